"""One cell in one worker process, ended with its whole process group when its time is up."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import IO, Any

from bench.adapters import PROJECT
from bench.measure.load import ForeignLoad

GRACE_SECONDS = 5


def run_worker(
    python: Path,
    job: Mapping[str, Any],
    *,
    log: Path,
    timeout_seconds: float,
    on_epoch: Callable[[dict[str, Any]], None],
    on_measured: Callable[[], None],
) -> dict[str, Any]:
    """Run one job and return the fields of its outcome; ``status`` is always among them.

    With a result of the worker's own comes ``foreign_cpu_share``, see ``ForeignLoad``: of all the time,
    or until the worker says that nothing more is measured, when ``on_measured`` is called.
    The framework's own output goes to ``log``.  The worker ends when this process does: it
    holds the read end of a pipe that closes with it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stderr = stack.enter_context(log.open("wb"))
        load = ForeignLoad()
        worker = subprocess.Popen(
            [python, "-m", "bench.worker"],
            cwd=PROJECT,
            env=worker_environment(job["settings"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
        stack.callback(_end_group, worker)
        deadline = monotonic() + timeout_seconds
        result: dict[str, Any] | None = None
        share: float | None = None
        assert worker.stdin and worker.stdout
        with suppress(BrokenPipeError):  # it may end at once; its exit status then says how
            worker.stdin.write(json.dumps(job).encode() + b"\n")
            worker.stdin.flush()
        for line in _lines(worker.stdout, deadline):
            event = json.loads(line)
            kind = event.pop("event")
            if kind == "epoch":
                on_epoch(event)
            elif kind == "measured":
                share = load.share(worker.pid)
                on_measured()
            elif kind == "result":
                result = event
                break
        if result is not None:
            return result | {"foreign_cpu_share": load.share(worker.pid) if share is None else share}
        if monotonic() >= deadline:
            return {"status": "timeout", "reason": f"no result within {timeout_seconds:g} s"}
        try:
            code = worker.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return {"status": "crashed", "reason": "closed its output without a result"}
    return {"status": "crashed", "reason": _how_it_ended(code, log)}


def worker_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Threads, determinism and visible devices must stand before the framework is imported."""
    threads = str(settings["threads"])
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    chosen = dict.fromkeys(names, threads) | {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    if settings["deterministic"]:
        chosen["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    if settings["device"] == "cpu":
        chosen["CUDA_VISIBLE_DEVICES"] = ""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | chosen


def _lines(pipe: IO[bytes], deadline: float) -> Iterator[bytes]:
    """The worker's output by lines, until it closes or the deadline passes."""
    held = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while (left := deadline - monotonic()) > 0:
            if not selector.select(left):
                return
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                return
            *lines, held = (held + chunk).split(b"\n")
            yield from lines


def _end_group(worker: subprocess.Popen[bytes]) -> None:
    """Terminate the worker's process group, kill what does not go, and reap the worker."""
    for pipe in (worker.stdin, worker.stdout):
        if pipe:
            with suppress(BrokenPipeError):  # of a job that was never read
                pipe.close()
    try:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            worker.wait(GRACE_SECONDS)
    finally:  # also where a second Ctrl-C ends the waiting
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _how_it_ended(code: int, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = f"; its last words: {lines[-1]}" if lines else ""
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (often the kernel's, out of memory)" if name == "SIGKILL" else ""
        return f"ended by {name}{hint}{last}"
    return f"exit code {code} without a result{last}"
