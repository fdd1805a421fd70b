"""The command as a person types it, with its runs and its MNIST in a folder of the test.

python -m tests.harness RUNS MNIST WORD...      MNIST may be empty: then it is the real one
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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from bench import cli, session
from bench.adapters import PROJECT
from tasks import images

FAKES = PROJECT / "tests" / "fakes"
PATIENCE_SECONDS = 120  # for what must happen; nothing is measured by it
PROFILE: dict[str, Any] = {
    "about": "for tests",
    "tasks": ["fc_lif"],
    "seeds": [1],
    "train_images": 24,
    "test_images": 20,
    "curve_images": 10,
    "timeout_minutes": 2,
    "task": {"fc_lif": {"steps": 8, "batch": 8, "epochs": 2}},
}


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array as MNIST's files hold it."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder: Path) -> Path:
    """A small set of images with MNIST's file names."""
    rng = np.random.default_rng(5)
    shapes = ((32, 28, 28), (32,), (20, 28, 28), (20,))
    for name, shape in zip(images.CHECKSUMS, shapes, strict=True):
        largest = 256 if len(shape) == 3 else 10
        (folder / name).write_bytes(idx(rng.integers(0, largest, shape).astype(np.uint8)))
    return folder


def checksums(mnist: Path) -> dict[str, str]:
    """What ``images.CHECKSUMS`` must say for a folder of ``write_mnist`` to pass."""
    return {
        name: hashlib.md5((mnist / name).read_bytes(), usedforsecurity=False).hexdigest()
        for name in images.CHECKSUMS
    }


def write_profile(path: Path, values: Mapping[str, Any] = PROFILE, /, **changes: Any) -> Path:
    """A profile file: ``values`` with ``changes``."""
    values = {**values, **changes}
    tables = values.pop("task")
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    for task, own in tables.items():
        lines += [f"[task.{task}]", *(f"{key} = {json.dumps(value)}" for key, value in own.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


class Bench:
    """``spikebench`` in processes of its own, on the fake adapters."""

    def __init__(self, root: Path, mnist: Path | None) -> None:
        self.root, self.mnist = root, mnist
        self.runs = root / "runs"
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
        given = ("--adapters", FAKES, "--threads", "1", "--data", self.mnist) if self.mnist else ()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness", self.runs, self.mnist or "", *words, *given],
            cwd=PROJECT,
            env=os.environ | {"FAKES_GATE": str(self.gate)},
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


def main(runs: str, mnist: str, *words: str) -> None:
    """The command in this process."""
    # a shell starts background jobs, this suite perhaps, with Ctrl-C ignored, and children inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    session.RUNS = Path(runs)
    if mnist:
        images.CHECKSUMS.update(checksums(Path(mnist)))
    sys.argv[1:] = words
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
