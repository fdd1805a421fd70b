"""The command as a person types it, with its results and its MNIST in a folder of the test.

python -m tests.harness MNIST WORD...      MNIST may be empty: then it is the real one
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from bench import cli
from bench import process as workers
from bench.catalogue import PROJECT
from bench.measure import peaks
from bench.report.files import write_tables
from tasks import images as sets
from tasks.classify import images
from tasks.protocol import Dataset

FAKES = PROJECT / "tests" / "fakes"
PATIENCE_SECONDS = 120  # for what must happen; nothing is measured by it
CLASSIFY: dict[str, Any] = {
    "train_images": 24,
    "test_images": 20,
    "curve_images": 10,
    "turns": 2,
    "fc_lif": {"steps": 8, "batch": 8, "epochs": 2},
}
PROFILE: dict[str, Any] = {
    "about": "for tests",
    "tasks": ["fc_lif"],
    "seeds": [1],
    "timeout_minutes": 2,
    "classify": CLASSIFY,
}


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array as MNIST's files hold it."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder: Path) -> Path:
    """A small set of images with MNIST's file names."""
    rng = np.random.default_rng(5)
    shapes = ((32, 28, 28), (32,), (20, 28, 28), (20,))
    for name, shape in zip(images.MNIST.files, shapes, strict=True):
        largest = 256 if len(shape) == 3 else 10
        (folder / name).write_bytes(idx(rng.integers(0, largest, shape).astype(np.uint8)))
    return folder


def small_dataset(mnist: Path) -> Dataset:
    """What ``images.MNIST`` must be for a folder of ``write_mnist`` to pass."""
    files = {
        name: hashlib.md5((mnist / name).read_bytes(), usedforsecurity=False).hexdigest()
        for name in images.MNIST.files
    }
    return replace(images.MNIST, files=files)


def write_profile(path: Path, values: Mapping[str, Any] = PROFILE, /, **changes: Any) -> Path:
    """A profile file: ``values`` with ``changes``."""
    path.write_text("\n".join(_toml({**values, **changes}, "")) + "\n")
    return path


def _toml(values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Tables after values, as TOML wants them."""
    yield from (f"{k} = {_inline(v)}" for k, v in values.items() if not isinstance(v, Mapping))
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield f"[{prefix}{key}]"
            yield from _toml(value, f"{prefix}{key}.")


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return json.dumps(value)


# What a worker does, in a process that starts at once.
WORKER = """
import json, os, subprocess, sys, time
from pathlib import Path

job = json.loads(sys.stdin.readline())

def turn(phase, **values):
    event = {"event": "turn", "phase": phase, "seconds": 1.0, "epoch": 0, "compared": False}
    event |= {"point": None, "kept": False, "free": False, "token": job["token"]}
    print(json.dumps(event | values), flush=True)
    if not sys.stdin.readline():
        sys.exit("the harness is gone")

def result(**values):
    print(json.dumps({"event": "result", "status": "ok", "token": job["token"]} | values), flush=True)
"""


def interpreter(path: Path, source: str) -> Path:
    """A program in the place of an environment's interpreter: ``source`` has job, turn and result."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable} -IS\n{WORKER}\n{source}\n")
    path.chmod(0o755)
    return path


class Bench:
    """``spikebench`` in processes of its own, on the fake adapters.

    ``report``: whether a run ends with its report, which takes longer than all else, or with its tables.
    """

    def __init__(self, root: Path, mnist: Path | None, *, report: bool = False) -> None:
        self.root, self.mnist, self.report = root, mnist, report
        self.results = root / "results"
        self.runs = self.results / "runs"
        self.gate = root / "gate"
        self.gate.mkdir()
        self.started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            process.kill()  # nothing, where it has ended
            process.communicate()

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        """The command, started."""
        given: list[str | Path] = ["--results", self.results]
        if self.mnist and words[0] == "run":
            given += ["--adapters", FAKES, "--threads", "1", "--data", self.mnist]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness", self.mnist or "", *words, *given],
            cwd=PROJECT,
            env=os.environ | {"FAKES_GATE": str(self.gate), "HARNESS_REPORT": "yes" if self.report else ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.started.append(process)
        return process

    def run(self, *words: str | Path, seconds: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
        """The command, waited for."""
        process = self.start(*words)
        out, err = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def hanging(self) -> list[int]:
        """Wait until the fake ``hang`` hangs; the process ids of its worker and of that one's child."""
        wait_until((self.gate / "waiting").exists)
        return [int(pid) for pid in (self.gate / "waiting").read_text().split()]

    def open_gate(self) -> None:
        """Let ``hang`` go on."""
        (self.gate / "open").touch()

    def folders(self) -> list[Path]:
        """Every run folder, oldest first."""
        return sorted(path.parent for path in self.runs.glob("2*/manifest.json"))

    def folder(self) -> Path:
        """The only run folder."""
        (folder,) = self.folders()
        return folder


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of writing and content of every file of a folder."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait, but not for ever."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited for {PATIENCE_SECONDS} s in vain"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, even if nobody has asked for its exit status."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _activity(pid: int) -> list[list[str]]:
    """Of every thread of a process, how often it has been given a core, and its ticks on them."""
    return [
        [line for line in (thread / "status").read_text().splitlines() if "ctxt_switches" in line]
        + (thread / "stat").read_text().rpartition(")")[2].split()[11:13]
        for thread in sorted(Path(f"/proc/{pid}/task").iterdir())
    ]


def is_idle(pid: int) -> bool:
    """Whether no thread of a process does anything for a while: none spins, and none looks now and then."""
    before = _activity(pid)
    time.sleep(0.3)
    return _activity(pid) == before


def no_peaks(threads: int) -> peaks.Peaks:
    """In place of the machine's own, which take a second or two to measure."""
    return peaks.Peaks(bytes_per_second=1e10, operations_per_second=1e11)


def main(mnist: str, *words: str) -> None:
    """The command in this process."""
    # a shell starts background jobs, this suite perhaps, with Ctrl-C ignored, and children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if mnist:
        images.MNIST = sets.MNIST = small_dataset(Path(mnist))
    workers.PASSED = (*workers.PASSED, "FAKES_GATE")
    if not os.environ["HARNESS_REPORT"]:
        cli._report = write_tables
        peaks.measure = no_peaks
    sys.argv[1:] = words
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
