"""A run from its first cell to its last, or from where it was interrupted."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from time import monotonic
from typing import Any

from pydantic import ValidationError

from bench.adapters import PROJECT, Adapter
from bench.errors import UserError, first_problem
from bench.measure.gpu import GpuMemory
from bench.process import run_worker
from bench.progress import Progress
from bench.records import Cell, Manifest, Record, load_manifest, load_records, save_manifest, save_record

RUNS = PROJECT / "results" / "runs"
REASON_LENGTH = 300
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_FOLDERS = re.compile(r"(?<![\w.~/])/(?:[^\s/'\":,]+/)+")


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


def find(runs: Path, digest: str) -> Path | None:
    """The newest run folder of the same plan."""
    for path in sorted(runs.glob("*/manifest.json"), reverse=True):
        if path.parent.is_symlink():
            continue
        try:
            if load_manifest(path.parent).digest == digest:
                return path.parent
        except ValueError:
            continue  # of another version of this project
    return None


def is_finished(folder: Path) -> bool:
    """Whether every cell of the run has its record."""
    return all((folder / "cells" / f"{cell.cell}.json").exists() for cell in load_manifest(folder).cells)


def create(runs: Path, manifest: Manifest) -> Path:
    """A new run folder, which ``latest`` then points to."""
    folder = runs / manifest.run
    folder.mkdir()
    save_manifest(folder, manifest)
    point_latest(folder)
    return folder


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
    """Commit and whether tracked files differ from it; empty outside of git."""

    def ask(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return {
            "commit": ask("rev-parse", "HEAD"),
            "dirty": bool(ask("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.CalledProcessError):
        return {}


def go(
    folder: Path,
    *,
    adapters: Mapping[str, Adapter],
    pythons: Mapping[str, Path],
    data: Path | None,
    progress: Callable[[list[Cell], list[Record]], Progress],
) -> list[Record]:
    """Run every cell of a run folder that has no record yet; all records, in running order."""
    manifest = load_manifest(folder)
    done = {record.cell.cell: record for record in load_records(folder)}
    with progress(manifest.cells, list(done.values())) as show:
        for cell in manifest.cells:
            if cell.cell in done:
                continue
            show.start(cell)
            record = _run_cell(folder, cell, done, manifest, adapters, pythons, data, show)
            save_record(folder, record)
            done[cell.cell] = record
            show.finish(record)
    return [done[cell.cell] for cell in manifest.cells]


def _run_cell(
    folder: Path,
    cell: Cell,
    done: Mapping[str, Record],
    manifest: Manifest,
    adapters: Mapping[str, Adapter],
    pythons: Mapping[str, Path],
    data: Path | None,
    show: Progress,
) -> Record:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    start = monotonic()
    outcome: dict[str, Any]
    certificate = done[cell.certificate] if cell.certificate else None
    if cell.skip:
        outcome = {"status": "skipped", "reason": cell.skip}
    elif certificate is not None and certificate.status != "ok":
        outcome = {"status": certificate.status, "reason": f"certificate: {certificate.reason}"}
    else:
        curve: list[dict[str, Any]] = []

        def on_epoch(point: dict[str, Any]) -> None:
            show.epoch(cell, point)
            curve.append({key: value for key, value in point.items() if key != "epochs"})

        with ExitStack() as stack:
            gpu = stack.enter_context(GpuMemory()) if cell.device == "cuda" else None
            outcome = run_worker(
                pythons[cell.adapter],
                _job(cell, manifest.settings, adapters[cell.adapter], data),
                log=folder / "logs" / f"{cell.cell}.log",
                timeout_seconds=cell.timeout_seconds,
                on_epoch=on_epoch,
                on_measured=gpu.stop if gpu else lambda: None,
            )
        outcome.setdefault("curve", curve)
        foreign = outcome.pop("foreign_cpu_share", None)
        if outcome["status"] == "ok" and cell.kind != "certify":
            outcome["metrics"].append({"metric": "foreign_cpu_share", "key": "machine", "value": foreign})
            if gpu is not None:
                outcome["figures"]["device_used_bytes"] = gpu.peak_bytes
    if certificate is not None:
        outcome["parity"] = certificate.parity
        outcome["metrics"] = [*outcome.get("metrics", []), *_worst(certificate)]
    outcome["reason"] = _publishable(outcome.get("reason", ""), adapters[cell.adapter])
    frame: dict[str, Any] = {"cell": cell, "started": started, "seconds": monotonic() - start}
    try:
        return Record(**frame, **outcome)
    except ValidationError as error:  # of what the adapter handed over
        return Record(**frame, status="error", reason=f"malformed result: {first_problem(error)}")


def _worst(certificate: Record) -> list[dict[str, Any]]:
    """The largest value of each of the certificate's comparisons, to stand beside what it vouches for."""
    worst: dict[str, float] = {}
    for metric in certificate.metrics:
        worst[metric.metric] = max(metric.value, worst.get(metric.metric, metric.value))
    return [{"metric": name, "key": "certificate", "value": value} for name, value in worst.items()]


def _job(cell: Cell, settings: Mapping[str, Any], adapter: Adapter, data: Path | None) -> dict[str, Any]:
    wanted = (
        "kind",
        "adapter",
        "division",
        "learning",
        "task",
        "task_values",
        "train_images",
        "test_images",
        "curve_images",
    )
    own = {name: value for name, value in settings.items() if name not in ("environment", "interpreter")}
    own |= {"device": cell.device, "seed": cell.seed, "variant": cell.variant}
    if cell.kind == "certify":  # of tiny networks, where threads that wait for one another cost minutes
        own["threads"] = 1
    return {name: getattr(cell, name) for name in wanted} | {
        "adapters": str(adapter.folder.parent),
        "environment": settings["environment"],
        "data": str(data),
        "settings": own,
    }


def _publishable(reason: str, adapter: Adapter) -> str:
    """One printable line of bounded length in which no folder of this machine stands."""
    known = {str(PROJECT): ".", str(adapter.folder.parent): ".", os.path.expanduser("~"): "~"}
    for folder, word in known.items():
        if folder != "/":
            reason = reason.replace(folder, word)
    reason = _FOLDERS.sub("", _COLOURS.sub("", reason))
    printable = "".join(sign if sign.isprintable() else " " for sign in reason)
    return " ".join(printable.split())[:REASON_LENGTH]


def copy_to_published(folder: Path, published: Path) -> Path:
    """Copy a finished run to ``published/<machine>/<run>``, to be kept in the repository.

    Of the report its Markdown with the plots as SVG; neither logs nor the page, which is made again from
    the records.

    Raises:
        UserError: the run is not finished, or has been published before.
    """
    manifest = load_manifest(folder)
    if not is_finished(folder):
        raise UserError(f"run {manifest.run} is not finished: go on with it before you publish it")
    target = published / str(manifest.machine["name"]) / manifest.run
    if target.exists():
        raise UserError(f"run {manifest.run} is published already: remove {target} first")
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("logs", "index.html", "*.png", ".*.tmp"))
    return target


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


def summary_statuses(records: Sequence[Record]) -> dict[str, int]:
    """How many cells ended in each status."""
    counts: dict[str, int] = {}
    for record in records:
        counts[record.status] = counts.get(record.status, 0) + 1
    return counts
