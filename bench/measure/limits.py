"""What the kernel lets this process have of the machine: affinity is not capacity.

A control group (cgroup) may grant less than the cores and the memory that a process sees.  What counts is the
smallest limit of its own group and of all groups above it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

NO_LIMIT = 2**60  # version 1 writes the largest number of pages where there is none
_SELF = Path("/proc/self")
_OCTAL = re.compile(r"\\(\d{3})")  # as mountinfo writes spaces and backslashes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None where there is no limit.

    ``cores``: what the CPU time adds up to.  ``memory_bytes``: the smallest limit of memory;
    ``left_bytes``: what may still be taken before any limit of memory is reached.
    """

    cores: float | None = None
    memory_bytes: int | None = None
    left_bytes: int | None = None


def read(process: Path = _SELF) -> Limits:
    """The limits of a process, by the folder that /proc has of it; what cannot be read limits nothing."""
    cores: list[float] = []
    sizes: list[int] = []
    left: list[int] = []
    for group in _groups(process):
        if quota := _quota(group):
            cores.append(quota)
        for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):  # the last is version 1's
            for size in _numbers(group / name):
                if size < NO_LIMIT:
                    sizes.append(size)
                    left += [max(0, size - used) for used in _used(group)]
    return Limits(
        cores=min(cores, default=None),
        memory_bytes=min(sizes, default=None),
        left_bytes=min(left, default=None),
    )


def usable_cores() -> int:
    """How many threads may work at once without waiting for one another; 1 at least."""
    cores, quota = len(os.sched_getaffinity(0)), read().cores
    return cores if quota is None else max(1, min(cores, int(quota)))


def available_bytes() -> int:
    """The memory that new processes may take: what the machine has free, or what a limit leaves of it."""
    free, limits = int(psutil.virtual_memory().available), read()
    return min(size for size in (free, limits.memory_bytes, limits.left_bytes) if size is not None)


def throttled_seconds(process: Path = _SELF) -> float | None:
    """How long quotas have held back what was ready to run, on all cores together; None without a quota."""
    found: list[float] = []
    for group in _groups(process):
        if _quota(group):
            told = dict(line.split()[:2] for line in _lines(group / "cpu.stat") if len(line.split()) > 1)
            for name, second in (("throttled_usec", 1e6), ("throttled_time", 1e9)):  # of versions 2 and 1
                if told.get(name, "").isdecimal():
                    found.append(int(told[name]) / second)
    return sum(found) if found else None


def _quota(group: Path) -> float | None:
    """The cores that the group's quota of CPU time adds up to."""
    words = _numbers(group / "cpu.max")
    if not words:  # version 1 has it in two files
        words = _numbers(group / "cpu.cfs_quota_us") + _numbers(group / "cpu.cfs_period_us")
    return words[0] / words[1] if len(words) == 2 and min(words) > 0 else None


def _used(group: Path) -> list[int]:
    """What the group has taken and the kernel could not take back at once; empty where that is unknown."""
    used = _numbers(group / "memory.current") or _numbers(group / "memory.usage_in_bytes")
    told = dict(line.split()[:2] for line in _lines(group / "memory.stat") if len(line.split()) > 1)
    spare = told.get("total_inactive_file", told.get("inactive_file", "0"))
    return [size - int(spare) if spare.isdecimal() else size for size in used]


def killed_for_memory(process: Path = Path("/proc/self")) -> int:
    """How often the kernel has ended a process of these groups because their memory was used up."""
    most = 0
    for group in _groups(process):
        for name in ("memory.events", "memory.oom_control"):  # of version 2 and 1
            for line in _lines(group / name):
                what, _, count = line.partition(" ")
                if what == "oom_kill" and count.isdecimal():
                    most = max(most, int(count))
    return most


def _groups(process: Path) -> Iterator[Path]:
    """The folders of the process's groups and of all above them, of both versions, each once."""
    yield from dict.fromkeys(_folders(process))


def _folders(process: Path) -> Iterator[Path]:
    places: dict[str, str] = {}  # of version 1 by controller, of version 2 by ""
    for line in _lines(process / "cgroup"):
        _, controllers, place = line.split(":", 2)
        places |= dict.fromkeys(controllers.split(","), place)
    for line in _lines(process / "mountinfo"):
        before, _, after = line.partition(" - ")
        root, mounted = (_OCTAL.sub(lambda found: chr(int(found[1], 8)), w) for w in before.split()[3:5])
        kind, _, options = after.split()[:3]
        names = [""] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []
        for name in names:
            if name in places:
                yield from _upwards(Path(mounted), places[name].removeprefix(root.rstrip("/")))


def _upwards(mounted: Path, place: str) -> Iterator[Path]:
    """A group's folder and those above it; inside a container it may not show, but the mounted one does."""
    group = mounted / place.lstrip("/")
    for each in (group, *group.parents):
        yield each
        if each == mounted:
            return


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _numbers(path: Path) -> list[int]:
    """The whole numbers of a file of one line; none where it says "max", or cannot be read."""
    words = [word for line in _lines(path)[:1] for word in line.split()]
    try:
        return [int(word) for word in words]
    except ValueError:
        return []
