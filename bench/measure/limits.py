"""What the kernel lets this process have of the machine: affinity is not capacity.

A control group (cgroup) may grant less than the cores and the memory that a process sees.  What counts is the
smallest limit of its own group and of all groups above it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NO_LIMIT = 2**60  # version 1 writes the largest number of pages where there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``cores``: what the CPU time adds up to; ``memory_bytes``; None where there is no limit."""

    cores: float | None = None
    memory_bytes: int | None = None


def read(process: Path = Path("/proc/self")) -> Limits:
    """The limits of a process, by the folder that /proc has of it; what cannot be read limits nothing."""
    cores: list[float] = []
    sizes: list[int] = []
    for group in _groups(process):
        quota = _numbers(group / "cpu.max")
        if not quota:  # version 1 has it in two files
            quota = _numbers(group / "cpu.cfs_quota_us") + _numbers(group / "cpu.cfs_period_us")
        if len(quota) == 2 and min(quota) > 0:
            cores.append(quota[0] / quota[1])
        found = _numbers(group / "memory.max") or _numbers(group / "memory.limit_in_bytes")
        sizes += [size for size in found if size < NO_LIMIT]
    return Limits(cores=min(cores, default=None), memory_bytes=min(sizes, default=None))


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
    """The folders of the process's groups and of all above them, of both versions."""
    places: dict[str, str] = {}  # of version 1 by controller, of version 2 by ""
    for line in _lines(process / "cgroup"):
        _, controllers, place = line.split(":", 2)
        places |= dict.fromkeys(controllers.split(","), place)
    for line in _lines(process / "mountinfo"):
        before, _, after = line.partition(" - ")
        root, mounted = before.split()[3:5]
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
