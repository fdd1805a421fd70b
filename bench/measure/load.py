"""How much others used the CPU while a cell ran: figures are worth something on a quiet machine only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from time import monotonic, process_time

import psutil


class ForeignLoad:
    """From its making on, the share of the usable cores' time that went to nobody of this benchmark.

    What a hypervisor gave to other machines (steal) is among it.
    """

    def __init__(self) -> None:
        self._cores = os.sched_getaffinity(0)
        self._start = monotonic()
        self._before = busy_seconds(self._cores) - process_time()

    def share(self, group: int) -> float:
        """The share until now, 0 to 1; ``group`` is the worker's process group, begun since."""
        busy = busy_seconds(self._cores) - process_time() - self._before - group_seconds(group)
        return min(1.0, max(0.0, busy / (monotonic() - self._start) / len(self._cores)))


def busy_seconds(cores: set[int]) -> float:
    """What these cores have worked since the machine started, whoever for."""
    ticks = 0
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu" and int(name[3:]) in cores:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def group_seconds(group: int) -> float:
    """CPU time of a process group's members and of their children that have ended."""
    total = 0.0
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group:
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total
