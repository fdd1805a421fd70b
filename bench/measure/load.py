"""How much others use the CPU: figures are worth something on a quiet machine only."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, process_time

_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Reading:
    """One moment: all in seconds; ``busy`` None where the kernel does not say what the cores have worked."""

    time: float
    busy: float | None
    own: float


def read(group: int) -> Reading:
    """Now; ``own`` is the CPU time of this process and of the process group ``group``."""
    return Reading(monotonic(), busy_seconds(os.sched_getaffinity(0)), process_time() + group_seconds(group))


def foreign_share(start: Reading, stop: Reading, threads: int) -> float | None:
    """The share that others took of the cores' time that so many threads need, 0 to 1; None if unknown.

    Others may use the cores that the threads leave free without taking anything from them.  What a hypervisor
    gave to other machines (steal) is taken as well.
    """
    seconds = stop.time - start.time
    if start.busy is None or stop.busy is None or seconds <= 0:
        return None
    cores = len(os.sched_getaffinity(0))
    needed = min(threads, cores)
    foreign = ((stop.busy - start.busy) - (stop.own - start.own)) / seconds  # cores
    return min(1.0, max(0.0, foreign - (cores - needed)) / needed)


def busy_seconds(cores: set[int]) -> float | None:
    """What these cores have worked since the machine started, whoever for.

    None where /proc/stat lacks one of them, as in containers that number the cores anew.
    """
    ticks, seen = 0, set()
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu" and int(name[3:]) in cores:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
            seen.add(int(name[3:]))
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
