"""A run from its first cell to its last, or from where it was interrupted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from bench import certificates
from bench.catalogue import PROJECT, Adapter, digest, source_files
from bench.clean import cleaned, reason_line
from bench.errors import first_problem
from bench.files import read
from bench.heat import Hands, Kept, run_heat
from bench.measure import limits
from bench.measure.card import Card
from bench.process import Worker, side_by_side
from bench.progress import Progress
from bench.records import (
    Cell,
    CurvePoint,
    Manifest,
    Record,
    Turn,
    load_manifest,
    load_records,
    save_records,
    write_atomically,
)
from tasks.families import families
from tasks.protocol import Dataset, Job, Settings

KEPT = "kept.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a run needs beside its plan: interpreters by adapter, data folders by data set, the store.

    ``failed``: adapters that have no interpreter, and why.
    ``results`` holds the certificates that are kept; ``anew``: make them all again.  ``card`` is what jobs
    on CUDA run on.  ``retry``: what failed is run again.  ``code`` is that of the plan.
    """

    adapters: Mapping[str, Adapter]
    pythons: Mapping[str, Path]
    data: Mapping[str, Path]
    results: Path
    failed: Mapping[str, str] = field(default_factory=dict)
    anew: bool = False
    card: Card | None = None
    retry: bool = False
    code: Mapping[str, str] = field(default_factory=dict)

    def tries_again(self, record: Record) -> bool:
        """Whether a cell that has ended is run once more."""
        return (self.retry and is_failed(record)) or (record.again and record.cell.adapter in self.pythons)


def is_failed(record: Record) -> bool:
    """Whether another try may end otherwise: what is skipped says why it cannot run here."""
    return record.status not in ("ok", "skipped")


def code_of(adapters: Iterable[Adapter]) -> dict[str, str]:
    """What tells whether code was edited: a digest of all that the work of each adapter depends on."""
    shared = digest(source_files(PROJECT / "tasks"))
    return {adapter.name: shared + digest(adapter.files()) for adapter in adapters}


def go(folder: Path, means: Means, show: Progress) -> list[Record]:
    """Run every cell of a run folder that has no record yet; all records, in running order."""
    manifest = load_manifest(folder)
    for home in (folder / "logs").glob("home-*"):  # of workers whose harness was killed
        shutil.rmtree(home, ignore_errors=True)
    known = {record.cell.cell: record for record in load_records(folder)}
    done = {key: record for key, record in known.items() if not means.tries_again(record)}
    for record in _certify(folder, manifest, means, done, show):
        done[record.cell.cell] = record
    show.begin_heats()
    heats: dict[str, list[Cell]] = {}
    for cell in manifest.cells:
        if cell.stage != "certify":
            heats.setdefault(cell.heat, []).append(cell)
    for cells in heats.values():
        if left := [cell for cell in cells if cell.cell not in done]:
            for record in _heat(folder, manifest, means, left, known | done, show):
                done[record.cell.cell] = record
    return [done[cell.cell] for cell in manifest.cells]


def _certify(
    folder: Path, manifest: Manifest, means: Means, done: Mapping[str, Record], show: Progress
) -> list[Record]:
    """The certificates that are missing: from the store, or made side by side, as they time nothing."""
    found, reused, workers = list[Record](), list[Record](), {}
    for cell in manifest.cells:
        if cell.stage != "certify" or cell.cell in done:
            continue
        kept = None if means.anew or means.retry or cell.skip else certificates.find(means.results, cell)
        if kept is not None:
            record = kept
            reused.append(record)
        elif obstacle := _obstacle(cell, means):
            record = _record(cell, obstacle, means)
        else:
            worker = _worker(folder, manifest, means, cell)
            workers[id(worker)] = cell, worker
            continue
        save_records(folder, [record])
        found.append(record)
    show.certificates([*_certified(done), *reused], len(workers))
    for record in found:
        show.finish(record, kept=record in reused)
    with ExitStack() as stack:
        for _, worker in workers.values():
            stack.callback(worker.end)
        room = limits.usable_cores()
        for worker in side_by_side([worker for _, worker in workers.values()], room):
            cell, _ = workers[id(worker)]
            outcome = (worker.outcome or {}) | {"seconds": worker.worked}
            where = {"made": _now(), "machine": str(manifest.machine["name"])}
            record = _record(cell, outcome | where | _edited(cell, means), means)
            certificates.keep(means.results, record)
            save_records(folder, [record])
            show.finish(record)
            found.append(record)
    return found


def _certified(done: Mapping[str, Record]) -> list[Record]:
    """Certificates that this run had when it was interrupted."""
    return [record for record in done.values() if record.cell.stage == "certify" and record.made]


def _heat(
    folder: Path,
    manifest: Manifest,
    means: Means,
    cells: Sequence[Cell],
    done: Mapping[str, Record],
    show: Progress,
) -> list[Record]:
    """The records of cells of one heat, stored at once when all of them are there.

    The others of the heat are ``done``: they keep their records, and their rounds come before these.
    """
    others = [each for each in done.values() if each.cell.heat == cells[0].heat and each.cell not in cells]
    first = max((turn.round + 1 for each in others for turn in each.turns), default=0)
    outcomes: dict[str, dict[str, Any]] = {}
    for cell in cells:
        certificate = done[cell.certificate] if cell.certificate else None
        if obstacle := _obstacle(cell, means):
            outcomes[cell.cell] = obstacle
        elif certificate is not None and certificate.status != "ok":
            reason = f"certificate: {certificate.reason}"
            outcomes[cell.cell] = {"status": certificate.status, "reason": reason, "seconds": 0.0}
    runnable = [cell for cell in cells if cell.cell not in outcomes]
    started = _now()
    if runnable:
        show.heat(runnable)
        states = folder / "states" / cells[0].heat
        hands = Hands(
            make=lambda cell, epoch: _worker(folder, manifest, means, cell, states / cell.cell, epoch),
            turn=show.turn,
            keep=lambda kept: write_atomically(states / KEPT, json.dumps(asdict(kept))),
            card=means.card,
        )
        outcomes |= run_heat(runnable, hands, _kept(states, runnable, show.say), first)
        for cell in runnable:
            if edited := _edited(cell, means):
                outcomes[cell.cell] = edited | {"seconds": outcomes[cell.cell]["seconds"]}
    records = []
    for cell in cells:
        outcome = outcomes[cell.cell]
        certificate = done[cell.certificate] if cell.certificate else None
        if certificate is not None:
            outcome = outcome | {
                "parity": certificate.parity,
                "made": certificate.made,
                "machine": certificate.machine,
            }
        records.append(_record(cell, outcome, means, started))
    save_records(folder, [*others, *records])
    shutil.rmtree(folder / "states" / cells[0].heat, ignore_errors=True)
    for record in records:
        show.finish(record)
    return records


def _obstacle(cell: Cell, means: Means) -> dict[str, Any] | None:
    """The outcome of a cell that cannot begin; None where it can."""
    if cell.skip:
        return {"status": "skipped", "reason": cell.skip, "seconds": 0.0}
    if reason := means.failed.get(cell.adapter):
        return {"status": "error", "reason": reason, "seconds": 0.0, "again": True}
    return None


def _edited(cell: Cell, means: Means) -> dict[str, Any]:
    """What a cell ends with whose code is another than that which the run was planned with."""
    planned = means.code.get(cell.adapter)
    if planned is None or code_of([means.adapters[cell.adapter]])[cell.adapter] == planned:
        return {}
    return {"status": "error", "reason": "its code was edited while the run was under way: run again"}


class _Begun(BaseModel):
    """What a cell has done in an interrupted heat; with a status it has ended, and took ``seconds``."""

    turns: list[Turn]
    curve: list[CurvePoint]
    status: str = ""
    seconds: float = 0.0


class _Interrupted(BaseModel):
    epoch: int = Field(ge=0)
    outcomes: dict[str, _Begun]


def _kept(states: Path, cells: Sequence[Cell], say: Callable[[str], None]) -> Kept | None:
    """What an interrupted heat can go on from, if there is anything; ``say`` is told of what is damaged."""
    path = states / KEPT
    try:
        content = read(path)
        known = _Interrupted.model_validate_json(content).outcomes
        essential = {cell.cell for cell in cells if cell.baseline or cell.stage == "control"}
        if not essential <= known.keys() <= {cell.cell for cell in cells}:
            raise ValueError("it is of other cells")
        if any(begun.status and "seconds" not in begun.model_fields_set for begun in known.values()):
            raise ValueError("seconds are missing")
        return Kept(**json.loads(content))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        say(f"{path} is damaged ({problem}): the heat begins anew")
        return None


def _record(cell: Cell, outcome: Mapping[str, Any], means: Means, started: str = "") -> Record:
    """The record of a cell, or one that says what is wrong with what the adapter handed over."""
    told = {"cell": cell, "started": started or _now()}
    adapter = means.adapters[cell.adapter]
    try:
        record = Record.model_validate(cleaned(outcome, adapter) | told)
        # what cannot be read back would end every later command
        if Record.model_validate_json(record.model_dump_json()).cell != cell:
            raise ValueError("it does not read back")
        return record
    except (ValueError, RecursionError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        reason = reason_line(f"malformed result: {problem}", adapter)
        return Record.model_validate(
            told | {"status": "error", "reason": reason, "seconds": outcome["seconds"]}
        )


def _worker(
    folder: Path, manifest: Manifest, means: Means, cell: Cell, states: Path | None = None, epoch: int = 0
) -> Worker:
    told = job(cell, manifest.settings, means)
    return Worker(
        means.pythons[cell.adapter],
        replace(told, states=str(states), resume=epoch) if states else told,
        log=folder / "logs" / f"{cell.cell}.log",
        seconds=cell.timeout_seconds,
        card=means.card,
    )


def job(cell: Cell, settings: Mapping[str, Any], means: Means) -> Job:
    """What the worker of a cell is told."""
    own = {each.name: settings[each.name] for each in fields(Settings) if each.name in settings}
    own |= {"device": cell.device, "precision": cell.precision, "seed": cell.seed}
    # certificates are of tiny networks, where threads that wait for one another cost minutes
    own["threads"] = 1 if cell.stage == "certify" else cell.work["threads"]
    dataset = dataset_of(cell)
    return Job(
        stage="certify" if cell.stage == "certify" else "run",
        family=cell.family,
        task=cell.task,
        task_values=cell.task_values,
        amounts=cell.amounts,
        adapter=cell.adapter,
        adapters=str(means.adapters[cell.adapter].folder.parent),
        table=cell.table,
        variant=cell.variant,
        learning=cell.learning,
        division=cell.division,
        environment=settings["environment"],
        data=str(means.data[dataset.name]) if dataset else None,
        settings=Settings(**own),
    )


def dataset_of(cell: Cell) -> Dataset | None:
    """The data set that the cell needs; certificates bring their own."""
    if cell.stage == "certify":
        return None
    family = families()[cell.family]
    return family.dataset(family.tasks[cell.task](**cell.task_values))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
