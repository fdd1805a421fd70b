"""How much others use the CPU: figures are worth something on a quiet machine only."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time

from bench.measure import limits

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_STAT = Path("/proc/stat")
_SLACK = 0.1  # seconds: what is counted in ticks, on several cores, differs by some


@dataclass(frozen=True, slots=True)
class Reading:
    """One moment: all in seconds; ``busy`` and ``throttled`` are None where the kernel does not say them.

    ``busy``: what the cores have worked; ``own``: what of it was ours; ``throttled``: how long a quota has
    held us back.
    """

    time: float
    busy: float | None
    own: float
    throttled: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What a turn lacked of the time of the cores that its threads need, 0 to 1; None if unknown.

    ``foreign`` was taken by others, ``throttled`` held back by a quota.
    """

    foreign: float | None = None
    throttled: float | None = None


def read(group: int) -> Reading:
    """Now; ``own`` is the CPU time of this process and of the process group ``group``."""
    own = process_time() + group_seconds(group)
    return Reading(monotonic(), busy_seconds(os.sched_getaffinity(0)), own, limits.throttled_seconds())


def shares(start: Reading, stop: Reading, threads: int) -> Shares:
    """What so many threads lacked between two moments.

    Others may use the cores that the threads leave free without taking anything from them.  What a hypervisor
    gave to other machines (steal) is taken as well.
    """
    seconds = stop.time - start.time
    if seconds <= 0:
        return Shares()
    cores = len(os.sched_getaffinity(0))
    needed = min(threads, cores)
    foreign = throttled = None
    if start.busy is not None and stop.busy is not None:
        busy, own = stop.busy - start.busy, stop.own - start.own
        # cores that have worked less than we alone are not counted: some sandboxes' counters stand still
        if 2 * busy + _SLACK >= own:
            others = (busy - own) / seconds  # cores
            foreign = min(1.0, max(0.0, others - (cores - needed)) / needed)
    if start.throttled is not None and stop.throttled is not None:
        throttled = min(1.0, max(0.0, stop.throttled - start.throttled) / seconds / needed)
    return Shares(foreign=foreign, throttled=throttled)


def busy_seconds(cores: set[int]) -> float | None:
    """What these cores have worked since the machine started, whoever for.

    None where /proc/stat cannot be read or lacks one of them, as in containers that number the cores anew,
    and where another file lies in its place (lxcfs), which counts the container's own work alone.
    """
    ticks, seen = 0, set()
    try:
        if os.path.ismount(_STAT):
            return None
        for line in _STAT.read_text(encoding="ascii").splitlines():
            name, *fields = line.split() or [""]
            if name.startswith("cpu") and name != "cpu" and int(name[3:]) in cores:
                user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
                ticks += user + nice + system + irq + softirq + steal
                seen.add(int(name[3:]))
    except (OSError, ValueError):
        return None
    return ticks * _TICK if seen == cores else None


def group_seconds(group: int) -> float:
    """CPU time of a process group's members and of their children that have ended."""
    ticks = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                fields = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
                if int(fields[2]) == group:
                    ticks += sum(int(field) for field in fields[11:15])
    return ticks * _TICK
