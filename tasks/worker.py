"""The process in which one cell runs: standard library, NumPy and one framework.

    python -m tasks.worker      a job as one line on stdin, then a line for every turn that it may take;
                                events as JSON lines on stdout

What a framework prints goes to stderr.  When stdin closes, the harness is gone and so is the worker.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import re
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any, TextIO

from tasks.families import family_of
from tasks.measuring import Deviation, Diverged, Wrong, host_peak_bytes, verdict
from tasks.protocol import Family, Job, Settings, Unsupported

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
Say = Callable[[dict[str, Any]], None]
_DEEPEST = 9  # of exceptions that were raised from one another
_WRAPPERS = ("Exception encountered when calling", "in user code:")
_ERROR = re.compile(r"[\w.]*(Error|Exception)\b.*: ")


def main() -> None:
    """Run the job on stdin and end with one ``result`` event."""
    end_with_harness()
    events = take_stdout()
    told: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=[told], daemon=True).start()
    known = Job.loads(told.get())
    job = replace(known, token="")  # no affair of an adapter

    def say(event: dict[str, Any]) -> None:
        print(json.dumps(event | {"token": known.token}, default=str), file=events, flush=True)

    try:
        result = run(job, say, told.get)
    except Exception as error:
        traceback.print_exc()
        result = {"status": _status(error), "reason": _reason(error)}
    try:
        say({"event": "result"} | result)
    except (TypeError, ValueError, RecursionError) as error:
        say({"event": "result", "status": "error", "reason": f"the result cannot be written ({error})"})


def end_with_harness() -> None:
    """Be killed when the harness is, even if this process is stopped or holds the interpreter's lock.

    A child that does nothing else then kills the rest of the process group.  What loses its parent becomes a
    child of this process, and with it of the harness, which ends it.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.getpgrp() != os.getpid():  # a person has started it by hand
        return
    worker = os.getpid()
    if os.fork() == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGUSR1, 0, 0, 0)
        os.closerange(0, 3)
        if os.getppid() == worker:
            signal.sigwait([signal.SIGUSR1])
        os.killpg(worker, signal.SIGKILL)
        os._exit(0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def take_stdout() -> TextIO:
    """Keep stdout for events, and send everything else that prints there to stderr."""
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return events


def _listen(told: SimpleQueue[str]) -> None:
    """Hand on what the harness says, line by line; end with it."""
    held = b""
    while chunk := os.read(0, 65536):
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            told.put(line.decode())
    if os.getpgrp() == os.getpid():  # children end as well
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _status(error: Exception) -> str:
    if isinstance(error, Unsupported):
        return "skipped"
    if isinstance(error, Wrong):
        return "wrong"
    if isinstance(error, Diverged):
        return "diverged"
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "out_of_memory"
    return "error"


def _reason(error: Exception) -> str:
    name, first = type(error).__name__, _first_line(str(error))
    if isinstance(error, Unsupported | Wrong | Diverged):
        return first or name
    said = first if first.startswith(f"{name}: ") else f"{name}: {first}" if first else name
    root: BaseException = error
    for _ in range(_DEEPEST):
        root = root.__cause__ or root
    cause = _first_line(str(root))
    return said if cause in first else f"{said} ({type(root).__name__}: {cause})"


def _first_line(text: str) -> str:
    """The first line that says something; those with which frameworks begin what they wrap do not."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    while len(lines) > 1 and lines[0].startswith(_WRAPPERS):
        is_traced = lines[0].endswith("code:")
        lines = lines[1:]
        if is_traced:  # lines of a traceback, and then the error
            lines = [line for line in lines if _ERROR.match(line)] or lines[-1:]
    return lines[0] if lines else ""


def run(job: Job, say: Say, may_go_on: Callable[[], object]) -> dict[str, Any]:
    """Configure, build and run the job's cell; the fields of its record.

    After every turn ``may_go_on`` is called, which returns when the next one may begin.
    """
    try:
        module = load_adapter(job.adapter, Path(job.adapters))
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if job.environment == "current" and package not in ("adapters", "tasks"):
            raise Unsupported(f"the interpreter at hand has no {package}") from error
        raise
    read = configure(module, job.settings)
    family = family_of(job.family)
    task = family.tasks[job.task](**job.task_values)
    report = {"settings": read, "versions": {name: str(v) for name, v in module.versions().items()}}
    if job.variant not in module.VARIANTS:
        raise LookupError(f"adapter.toml names a variant that adapter.py has no builder for: {job.variant}")
    if job.stage == "certify":
        return report | certify(module, family, task, job)
    peaks = {"imported_bytes": host_peak_bytes()}
    generator = family.run(module, task, job)
    while True:
        try:
            turn = next(generator)
        except StopIteration as end:
            result: dict[str, Any] = report | {"status": "ok"} | end.value
            figures = result.get("figures", {}) | peaks  # the first is what a terminal shows
            return result | {"figures": {name: value for name, value in figures.items() if value is not None}}
        if turn.phase == "build":
            peaks["built_bytes"] = host_peak_bytes()
        say({"event": "turn"} | asdict(turn))
        may_go_on()


def load_adapter(name: str, folder: Path) -> ModuleType:
    """The module of ``folder/<name>/adapter.py``, which may lie outside the repository."""
    adapters = importlib.import_module("adapters")  # by name: what works without it must import without it
    if str(folder) not in adapters.__path__:
        adapters.__path__.append(str(folder))
    return importlib.import_module(f"adapters.{name}.adapter")


def configure(module: ModuleType, settings: Settings) -> dict[str, Any]:
    """Let the adapter set the settings, and compare what it reads back.

    Raises:
        Wrong: a setting reads back as something else.
    """
    read: dict[str, Any] = module.configure(settings)
    for name in ("device", "threads", "tf32", "cudnn_benchmark", "deterministic", "seed"):
        asked = getattr(settings, name)
        if read.get(name) != asked:
            raise Wrong(f"setting {name}: asked for {asked}, reads back as {read.get(name)}")
    return read


def certify(module: ModuleType, family: Family, task: Any, job: Job) -> dict[str, Any]:
    """Compare the adapter with the reference in float64, float32 and the arithmetic asked for."""
    deviations: list[Deviation] = []
    plain = replace(job.settings, tf32=False)
    every = [replace(plain, precision="float64"), replace(plain, precision="float32"), job.settings]
    for settings in {settings.arithmetic: settings for settings in every}.values():
        configure(module, settings)
        deviations += family.certify(module.VARIANTS[job.variant], task, settings, job.learning)
    parity, reason = verdict(deviations, job.settings.arithmetic)
    return {
        "status": "wrong" if parity == "wrong" else "ok",
        "reason": reason,
        "parity": parity,
        "metrics": [
            {"metric": d.metric, "of": {"probe": d.probe, "precision": d.precision}, "value": d.value}
            | ({} if d.bound is None else {"bound": d.bound})
            for d in deviations
        ],
    }


if __name__ == "__main__":
    main()
