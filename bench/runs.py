"""Run folders: made, found again, published."""

from __future__ import annotations

import fcntl
import gzip
import json
import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

from bench.catalogue import PROJECT
from bench.errors import UserError
from bench.files import read
from bench.records import PUBLISHED, Manifest, dump_records, load_manifest, load_records

RESULTS = PROJECT / "results"
CODE = ("adapters", "bench", "tasks")  # folders in which a file that git does not know is a change
LONG_TABLE = 50_000  # bytes, above which a table is published compressed


@contextmanager
def alone(runs: Path) -> Iterator[None]:
    """Hold the runs folder: two runs at once would falsify each other's figures.

    Raises:
        UserError: another run is under way, or the folder cannot be written.
    """
    try:
        runs.mkdir(parents=True, exist_ok=True)
        lock = (runs / ".lock").open("w")
    except OSError as error:
        raise UserError(
            f"{runs} cannot be written ({error.strerror}): make it writable, or use a copy of the project"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another run is under way in {runs}: wait for it or end it; two at once falsify each other"
            ) from None
        yield


def oldest_first(runs: Path) -> list[tuple[Path, Manifest]]:
    """The run folders that can be read, as they were made one after the other, whatever clocks say."""
    found = []
    for path in runs.glob("*/manifest.json"):
        if not path.parent.is_symlink():
            with suppress(OSError, UserError):
                found.append((path.parent, load_manifest(path.parent)))
    return sorted(
        found, key=lambda each: (each[1].number, each[1].created, _number(each[0].name), each[0].name)
    )


def _number(name: str) -> int:
    """Of a name that ``name_now`` had to tell from another: 11 of "x.11"."""
    last = name.rpartition(".")[2]
    return int(last) if last.isdecimal() and len(last) < 10 else 1


def find(runs: Path, digest: str, say: Callable[[str], None]) -> Path | None:
    """The newest run folder of the same plan; ``say`` is told of one whose manifest is damaged."""
    for path in sorted(runs.glob("*/manifest.json")):
        if not path.parent.is_symlink() and (problem := _is_damaged(path.parent, digest)):
            say(f"Run {path.parent.name} is left alone: {problem}")
    return next((path for path, made in reversed(oldest_first(runs)) if made.digest == digest), None)


def _is_damaged(folder: Path, digest: str) -> str:
    """What is wrong with a manifest; empty where it is whole, or that of another version and another plan."""
    try:
        load_manifest(folder)
    except OSError:
        return ""
    except UserError as error:
        try:
            known = json.loads(read(folder / "manifest.json"))
        except (OSError, ValueError, RecursionError):
            return str(error)
        is_of_another = isinstance(known, dict) and known.get("digest", digest) != digest
        return "" if is_of_another else str(error)
    return ""


def is_finished(folder: Path) -> bool:
    """Whether every cell of the run has its record."""
    return len(load_records(folder)) == len(load_manifest(folder).cells)


def point_latest(folder: Path) -> None:
    """Let ``latest`` beside the run folder lead to it."""
    link = folder.parent / ".latest"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    link.replace(folder.parent / "latest")


def name_now(profile: str, runs: Path) -> str:
    """A run's name: time (UTC) and profile, unique among the runs."""
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{profile}"
    names = chain([name], (f"{name}.{number}" for number in count(2)))
    return next(name for name in names if not (runs / name).exists())


def git_state() -> dict[str, Any]:
    """Commit, and whether the project's code differs from it, new files among it; or why that is unknown."""
    plain = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | plain

    def ask(*words: str) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
        )
        return done.stdout.strip()

    try:
        if Path(ask("rev-parse", "--show-toplevel")).resolve() != PROJECT:
            return {"unknown": "the project lies in another repository and is none itself"}
        changed = ask("status", "--porcelain", "--untracked-files=no")
        new = ask("status", "--porcelain", "--untracked-files=all", "--", *CODE)
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(changed or new)}
    except OSError:
        return {"unknown": "there is no git here"}
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[0]
        # it names the folder, which is nobody's affair
        return {"unknown": re.sub(r"'[^']*'|/\S*", "the project", said.removeprefix("fatal: "))}


def place_of(folder: Path, published: Path) -> Path:
    """Where a run is published: ``published/<machine>/<run>``.

    Raises:
        UserError: the run is not finished or has been published before.
    """
    manifest = load_manifest(folder)
    if not is_finished(folder):
        raise UserError(f"run {manifest.run} is not finished: go on with it before you publish it")
    machine = manifest.machine.get("name")
    if not machine or not manifest.run:
        raise UserError(
            f"{folder / 'manifest.json'} is damaged: it names no run or no machine to publish it under"
        )
    target = published / str(machine) / manifest.run
    if target.exists():
        raise UserError(f"run {manifest.run} is published already: remove {target} first")
    return target


def publish(folder: Path, target: Path, plots: Sequence[str]) -> None:
    """Copy a run to ``target``, to be kept in the repository.

    The manifest, the tables (long ones compressed) but for that of the turns, which stand in the records, all
    records in one file, and the plots of those names.

    Raises:
        UserError: there is no such plot.
    """
    tables = sorted(path for path in folder.glob("*.csv") if path.name != "turns.csv")
    files = [folder / "manifest.json", *tables]
    for name in plots:
        plot = folder / "report" / f"{name}.svg"
        if not plot.is_file():
            known = ", ".join(sorted(path.stem for path in plot.parent.glob("*.svg")))
            raise UserError(f"run {target.name} has no plot {name}: choose from {known}")
        files.append(plot)
    for path in (*files, *(folder / "records").glob("*.json"), target.parent):
        if path.is_symlink():
            raise UserError(f"{path} is a link, which publishing does not follow: put the file itself there")
    # beside its place, and moved there whole: half a copy must not count as published
    aside = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for file in files:
        if file.suffix == ".csv" and file.stat().st_size > LONG_TABLE:
            (aside / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        else:
            shutil.copyfile(file, aside / file.name)
    packed = lzma.compress(dump_records(load_records(folder)).encode())
    (aside / PUBLISHED).write_bytes(packed)
    aside.rename(target)


def resolve(runs: Path, name: str | None) -> Path:
    """The run folder of that name or path; the latest without one.

    Raises:
        UserError: there is none.
    """
    folder = runs / "latest" if name is None else runs / name
    if name is not None and not folder.exists():
        folder = Path(name)
    if not (folder / "manifest.json").exists():
        known = sorted(path.parent.name for path in runs.glob("*/manifest.json"))
        hint = f"choose from {', '.join(known)}" if known else "start one with `make bench`"
        raise UserError(f"there is no run {name or 'latest'}: {hint}")
    return folder.resolve()
