"""What this machine has and lacks for a run, a line each, and how to get what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from bench import catalogue, environments
from bench.data import data_cache
from bench.errors import UserError
from bench.measure import gpu, limits, load
from bench.measure.card import choose
from bench.report.statistics import DISTURBED
from tasks.families import families
from tasks.protocol import Dataset

ROOM_BYTES = 8.5e9  # of all environments and the harness; packages of one version lie on the disk once
HEAT_BYTES = 3e9  # the smallest heat: baseline, control and another, about 1 GB each
LISTEN_SECONDS = 1.0
COMPILERS = ("cc", "gcc", "clang")


State = Literal["ok", "note", "missing"]
_Said = tuple[State, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: what is ``missing`` lets no run succeed, a ``note`` costs a part of one or its sureness."""

    what: str
    state: State
    says: str


def examine(root: Path) -> Iterator[Finding]:
    """Every finding on a checkout of the project, as it is made; none of them raises."""
    for what, look in CHECKS.items():
        try:
            state, says = look(root)
        except Exception as error:  # whatever is odd about a machine, the other lines are still worth reading
            state, says = "note", f"cannot be found out here ({type(error).__name__}: {error})"
        yield Finding(what, state, " ".join(says.split()))


def _python(root: Path) -> _Said:
    found = catalogue.discover(None)
    lacking = [reason for adapter in found.values() if (reason := environments.unavailable(adapter))]
    said = f"{platform.python_version()} runs the harness"
    if lacking:
        return "note", f"{said}; {'; '.join(lacking)}: its cells are skipped until that is installed"
    return "ok", f"{said}, and every adapter has the Python that it needs"


def _uv(root: Path) -> _Said:
    try:
        uv = environments.find_uv(root)
    except UserError:
        return "missing", "not found: `make bench` installs it; pip install uv does so too"
    done = subprocess.run([uv, "--version"], capture_output=True, text=True, check=True)
    return "ok", " ".join(done.stdout.split()[1:2])


def _environments(root: Path) -> _Said:
    ready, waiting = _sorted_by_readiness(root)
    if not waiting:
        return "ok", f"all {len(ready)} are ready"
    return "ok", f"{len(ready)} of {len(ready) + len(waiting)} are ready; `make bench` makes the others"


def _sorted_by_readiness(root: Path) -> tuple[list[str], list[str]]:
    """The adapters that this machine can run: those whose environment is there, and the others."""
    ready: list[str] = []
    waiting: list[str] = []
    for adapter in catalogue.discover(None).values():
        if not environments.unavailable(adapter):
            is_ready = environments.is_ready(adapter, device="cpu", root=root)
            (ready if is_ready else waiting).append(adapter.name)
    return ready, waiting


def _disk(root: Path) -> _Said:
    free = shutil.disk_usage(root).free
    if not _sorted_by_readiness(root)[1]:
        return "ok", f"{_gigabytes(free)} free, and the environments are there already"
    if free < ROOM_BYTES:
        return "missing", (
            f"{_gigabytes(free)} free, and all environments take {_gigabytes(ROOM_BYTES)}: make room, move "
            'the project to another disk, or make fewer of them, ONLY="adapter=NAME,NAME"'
        )
    return "ok", f"{_gigabytes(free)} free; all environments take {_gigabytes(ROOM_BYTES)}"


def _cache(root: Path) -> _Said:
    cache = environments.foreign_cache(environments.find_uv(root), root)
    if cache is None:
        return "ok", "on the environments' filesystem: what they share lies there once"
    return "note", (
        f"{_short(cache)} is on another filesystem, so that every environment has up to 5.6 GB of its own: "
        "set UV_CACHE_DIR to a folder on the project's"
    )


def _datasets(root: Path) -> _Said:
    there = {dataset.name: data_cache(dataset) for dataset in _wanted() if _is_there(dataset)}
    lacking = [dataset.name for dataset in _wanted() if dataset.name not in there]
    if lacking:
        return "note", f"{', '.join(lacking)}: fetched in the first run; without a network give DATA=FOLDER"
    return "ok", "; ".join(f"{name} in {_short(folder)}" for name, folder in there.items())


def _npm(root: Path) -> _Said:
    if found := shutil.which("npm"):
        return "ok", _short(Path(found))
    if all(map(_is_there, _wanted())):
        return "ok", "not found, and not needed: the images are here already"
    return (
        "note",
        "not found: the images then come from their mirrors alone; install npm, or give DATA=FOLDER",
    )


def _wanted() -> list[Dataset]:
    """Every data set of every task, once."""
    sets = [family.dataset(task()) for family in families().values() for task in family.tasks.values()]
    return list({dataset.name: dataset for dataset in sets if dataset}.values())


def _is_there(dataset: Dataset) -> bool:
    return all((data_cache(dataset) / name).exists() for name in dataset.files)


def _compiler(root: Path) -> _Said:
    for name in COMPILERS:
        if found := shutil.which(name):
            command = [found, "-fopenmp", "-x", "c", "-", "-o", "/dev/null"]
            done = subprocess.run(
                command, input="int main(void){return 0;}", capture_output=True, text=True, check=False
            )
            if done.returncode == 0:
                return "ok", f"{_short(Path(found))}, with OpenMP"
    return "note", "none with OpenMP: adapters that are compiled on the spot are skipped; install gcc"


def _gpu(root: Path) -> _Said:
    try:
        card = choose(os.environ.get("CUDA_VISIBLE_DEVICES"))
    except UserError as error:
        return "note", str(error)
    return "ok", f"{card.name}, {card.place}, driver {gpu.describe(card).get('driver', 'unknown')}"


def _cpu(root: Path) -> _Said:
    cores, quota = len(os.sched_getaffinity(0)), limits.read().cores
    if quota is not None and quota < cores:
        return "note", (
            f"{cores} cores are seen, and a quota (cgroup) gives the time of {quota:g}: more threads than "
            f"that wait for one another, so that a run takes THREADS={limits.usable_cores()} by itself"
        )
    return "ok", f"{cores} {'core' if cores == 1 else 'cores'}, and no quota below that"


def _memory(root: Path) -> _Said:
    seen, limit, available = psutil.virtual_memory(), limits.read().memory_bytes, limits.available_bytes()
    if available < HEAT_BYTES:
        return "missing", (
            f"{_gigabytes(available)} to be had, and the smallest comparison takes {_gigabytes(HEAT_BYTES)}: "
            "end other programs, or raise the limit"
        )
    if limit is not None and limit < seen.total:
        return "note", (
            f"a limit (cgroup) of {_gigabytes(limit)} on a machine of {_gigabytes(seen.total)}: what goes "
            "beyond it is killed, and stands in the report as crashed or out of memory"
        )
    return "ok", f"{_gigabytes(seen.total)}, of which {_gigabytes(available)} are free"


def _load(root: Path) -> _Said:
    start = load.read(os.getpid())
    time.sleep(LISTEN_SECONDS)
    share = load.shares(start, load.read(os.getpid()), len(os.sched_getaffinity(0))).foreign
    if share is None:
        return "note", "the kernel does not say it here: turns that others disturb cannot be left out"
    now = f"others use {100 * share:.0f} % of the CPU now"
    if share > DISTURBED:
        return "note", (
            f"{now}: turns of which they take more than {100 * DISTURBED:.0f} % are left out of the "
            "comparison; a quiet machine says more"
        )
    return "ok", now


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _short(path: Path) -> str:
    """A folder as a person writes it."""
    home = os.path.expanduser("~").rstrip("/")
    return f"~{str(path).removeprefix(home)}" if home and path.is_relative_to(home) else str(path)


CHECKS: dict[str, Callable[[Path], _Said]] = {
    "Python": _python,
    "uv": _uv,
    "environments": _environments,
    "disk": _disk,
    "uv's cache": _cache,
    "images": _datasets,
    "npm": _npm,
    "C compiler": _compiler,
    "GPU": _gpu,
    "CPU": _cpu,
    "memory": _memory,
    "load": _load,
}
