"""A worker process, which works when it is told to, and is ended with its whole process group."""

from __future__ import annotations

import ctypes
import json
import math
import os
import secrets
import select
import selectors
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, get_args

import psutil
from pydantic import TypeAdapter

from bench.catalogue import PROJECT
from bench.errors import UserError
from bench.measure import limits
from bench.measure.card import Card
from bench.records import Status
from bench.surroundings import absolute, cache_folder, packages_at_hand
from tasks.protocol import Environment, Job, Settings, Turn

GRACE_SECONDS = 5
WATCH_SECONDS = 1.0  # how often a silent worker is looked after
LONGEST_EVENT = 2**26  # bytes
LAST_WORDS = 2**16  # bytes of a log that are read
# Of the person's environment a worker sees these alone.  Any other may change what is measured: threads
# (OMP_*, KMP_*), arithmetic (NVIDIA_*, TF_*), allocators (LD_PRELOAD, MALLOC_*), compilers (CFLAGS) ...
PASSED: tuple[str, ...] = ("PATH", "LD_LIBRARY_PATH")
# glibc otherwise gives large temporaries back to the kernel and faults them in again: a tenth of an epoch
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": "-1", "MALLOC_MMAP_THRESHOLD_": str(2**32)}


_LIBC = ctypes.CDLL(None)
PR_SET_CHILD_SUBREAPER = 36
_WORKERS = set[int]()  # those that have not ended
_TURN = TypeAdapter(Turn)


class Worker:
    """One job in one process.

    ``begin`` starts the process, or its next turn; it has answered when ``turn`` or ``outcome`` has changed:
    ``turn`` is the last turn that it has taken, ``outcome`` how it ended (the fields of its record),
    ``worked`` its seconds of work.  ``seconds`` is all the work that it may do.  A job on CUDA sees ``card``
    and no other.
    """

    def __init__(
        self, python: Path, job: Job, *, log: Path, seconds: float, card: Card | None = None
    ) -> None:
        self.python, self.job, self.log, self.seconds, self.card = python, job, log, seconds, card
        self.process: subprocess.Popen[bytes] | None = None
        self._home: TemporaryDirectory[str] | None = None
        self.turn: dict[str, Any] | None = None
        self.outcome: dict[str, Any] | None = None
        self.worked = 0.0
        self._held = bytearray()
        self._spoken = 0  # bytes that are held and have no line's end
        self._token = secrets.token_hex(8)
        self._kills = 0
        self._since = 0.0

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        assert self.process
        return self.process.pid

    def begin(self) -> None:
        """Let it work until its next answer."""
        self._since = monotonic()
        line = "go"
        if self.process is None:
            line = replace(self.job, token=self._token).dumps()
            adopt_orphans()
            self._kills = limits.killed_for_memory()
            self.log.parent.mkdir(parents=True, exist_ok=True)
            # a worker that found the kernels of an earlier one would compile nothing in its cold epoch
            self._home = TemporaryDirectory(prefix="home-", dir=self.log.parent, ignore_cleanup_errors=True)
            environment = worker_environment(
                self.job.settings, self.job.environment, self.card, home=Path(self._home.name)
            )
            with self.log.open("wb") as stderr:
                self.process = subprocess.Popen(
                    [self.python, "-m", "tasks.worker"],
                    cwd=PROJECT,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    start_new_session=True,
                )
            _WORKERS.add(self.pid)
        assert self.process.stdin
        with suppress(BrokenPipeError):  # it may have ended; its exit status then says how
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    @property
    def left(self) -> float:
        """Seconds that the turn under way may still take."""
        return self.seconds - self.worked - (monotonic() - self._since)

    def listen(self, *, readable: bool) -> bool:
        """Whether it has answered; reads what there is to read, and ends it where its time is up."""
        assert self.process and self.process.stdout
        # what it has said counts, also where this process was stopped meanwhile or its own has ended
        code = self.process.poll()
        if readable or select.select([self.process.stdout], [], [], 0)[0]:
            chunk = os.read(self.process.stdout.fileno(), 2**20)
            self._held += chunk
            end = self._held.find(b"\n", self._spoken)
            if end >= 0:
                line, self._spoken = bytes(self._held[:end]), 0
                if len(self._held) > end + 1:  # it waits for its next turn, and says nothing before that
                    return self._ended("error", "its process printed more than the one event of its turn")
                self._held.clear()
                return self._answered(line)
            self._spoken = len(self._held)
            if self._spoken > LONGEST_EVENT:
                return self._ended("error", f"an event of more than {LONGEST_EVENT >> 20} MiB")
            if not chunk:
                try:
                    self.process.wait(GRACE_SECONDS)
                except subprocess.TimeoutExpired:
                    return self._ended("crashed", "closed its output without a result")
                return self._crashed(self.process.returncode)
        elif code is not None:  # what it has left behind holds its output open
            return self._crashed(code)
        if self.left <= 0:
            return self._ended("timeout", f"no result within {self.seconds:g} s of work")
        return False

    def _crashed(self, code: int) -> bool:
        if code == -signal.SIGKILL and limits.killed_for_memory() > self._kills:
            return self._ended("out_of_memory", "ended by the kernel: its control group has no memory left")
        return self._ended("crashed", _how_it_ended(code, self.log))

    def _answered(self, line: bytes) -> bool:
        try:
            event = json.loads(line)
            if event.pop("token") != self._token:
                raise ValueError("it is not the worker's")
            kind = event.pop("event")
            if kind == "turn":
                event = asdict(_TURN.validate_python(event))
                if not 0 <= (event["seconds"] or 0) < math.inf:
                    raise ValueError("its seconds are no time")
            elif kind != "result" or event.get("status") not in get_args(Status):
                raise ValueError("it is neither a turn nor a result")
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            words = line[:80].decode(errors="replace")
            return self._ended("error", f"its process printed what is no event: {words}")
        if kind == "turn":
            self.turn = event
            self.worked += monotonic() - self._since
            return True
        self.worked += monotonic() - self._since
        self.outcome = event
        self.end()
        return True

    def _ended(self, status: str, reason: str) -> bool:
        self.worked += monotonic() - self._since
        self.outcome = {"status": status, "reason": reason}
        self.end()
        return True

    def end(self) -> None:
        """Terminate the process group, kill what does not go, and reap the worker."""
        if self.process is None or self.process.stdin is None:
            return
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with suppress(BrokenPipeError):  # of a line that was never read
                    pipe.close()
        try:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE_SECONDS)
        finally:  # also where a second Ctrl-C ends the waiting
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            if self._home:
                self._home.cleanup()
        self.process.wait()
        _WORKERS.discard(self.pid)
        end_orphans()
        self.process.stdin = self.process.stdout = None


def adopt_orphans() -> None:
    """Let what loses its parent, as a daemon does, become a child of this process."""
    _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_orphans() -> None:
    """Kill what workers that have ended left behind, also in sessions of its own."""
    own = os.getsid(0)
    while True:
        orphans = []
        for child in psutil.Process().children():
            with suppress(ProcessLookupError):
                if child.pid not in _WORKERS and os.getsid(child.pid) != own:
                    orphans.append(child.pid)
        if not orphans:
            return
        for pid in orphans:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def side_by_side(workers: Iterable[Worker], limit: int) -> Iterator[Worker]:
    """Let every worker work until its next answer, at most ``limit`` at once; each when it has answered."""
    waiting, busy = list(workers), list[Worker]()
    with selectors.DefaultSelector() as selector:
        while waiting or busy:
            while waiting and len(busy) < limit:
                worker = waiting.pop(0)
                worker.begin()
                assert worker.process and worker.process.stdout
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
                busy.append(worker)
            patience = min([WATCH_SECONDS, *(max(0.0, worker.left) for worker in busy)])
            readable = [key.data for key, _ in selector.select(patience)]
            for worker in [*busy]:
                output = worker.process.stdout if worker.process else None
                if worker.listen(readable=worker in readable):
                    assert output
                    selector.unregister(output)
                    busy.remove(worker)
                    yield worker


def worker_environment(
    settings: Settings, environment: Environment = "locked", card: Card | None = None, *, home: Path
) -> dict[str, str]:
    """Threads, allocator, determinism and visible devices must stand before a framework is imported.

    ``home`` is a folder of the worker's own: a person's configuration of a framework (Keras's, Nengo's,
    matplotlib's) lies in theirs, and what frameworks leave behind goes with it.  The interpreter at hand
    keeps the variables by which it finds its packages.
    """
    threads = str(settings.threads)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    chosen = dict.fromkeys(names, threads) | ALLOCATOR
    chosen |= {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
    chosen |= dict.fromkeys(("HOME", "TMPDIR"), str(home)) | dict.fromkeys(("USER", "LOGNAME"), "spikebench")
    with suppress(UserError):  # else what could be kept for later runs goes with the worker
        chosen["SPIKEBENCH_CACHE"] = str(cache_folder())
    if settings.deterministic:
        chosen["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    if settings.device == "cpu":
        chosen["CUDA_VISIBLE_DEVICES"] = ""
    elif card is not None:
        chosen |= card.variables
    if environment == "current":
        chosen |= packages_at_hand()
    return {name: absolute(os.environ[name]) for name in PASSED if name in os.environ} | chosen


def _how_it_ended(code: int, log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LAST_WORDS))
        lines = file.read().decode(errors="replace").strip().splitlines()
    last = f"; its last words: {lines[-1]}" if lines else ""
    if code < 0:
        known = {each.value: each.name for each in signal.Signals}
        name = known.get(-code, f"signal {-code}")
        hint = " (often the kernel's, out of memory)" if name == "SIGKILL" else ""
        return f"ended by {name}{hint}{last}"
    return f"exit code {code} without a result{last}"
