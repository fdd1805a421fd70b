"""Cells, records and manifests of runs that never were, for the tests of what is made from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.records import Cell, Manifest, Record, Turn, save_manifest, save_records

WORK = {"train_images": 1000, "test_images": 500, "curve_images": 200, "steps": 4, "batch": 32, "epochs": 2}


def cell(adapter: str, task: str = "fc_lif", **changes: Any) -> Cell:
    """A compared cell of image classification; what follows from other fields follows unless it is given."""
    values: dict[str, Any] = {
        "stage": "run",
        "family": "classify",
        "table": "classify",
        "variant": "plain",
        "learning": "bptt",
        "compared": True,
        "task_values": {},
        "amounts": {"turns": 10},
        "work": WORK,
        "device": "cpu",
        "precision": "float32",
        "seed": 0,
        "baseline": adapter == "torch",
        "timeout_seconds": 60.0,
    } | changes
    name = f"{task}-{adapter}-{values['variant']}-{values['device']}-{values['seed']}"
    if values["stage"] == "certify":
        values["baseline"] = False
    else:
        certificate = f"certify-{task}-{adapter}-{values['variant']}"
        kind = "" if values["compared"] else f"-{values['learning']}"
        values.setdefault("certificate", certificate)
        values.setdefault("heat", f"heat-{task}-{values['device']}-{values['seed']}{kind}")
    values.setdefault("cell", f"{values['stage']}-{name}")
    return Cell(adapter=adapter, task=task, **values)


def control(of: Cell) -> Cell:
    """The control of a heat with that baseline."""
    return of.model_copy(update={"stage": "control", "cell": f"control-{of.cell}", "baseline": False})


def certify(of: Cell) -> Cell:
    """The cell of the certificate that a cell needs."""
    changes = {"stage": "certify", "cell": of.certificate, "heat": "", "baseline": False, "certificate": None}
    return of.model_copy(update=changes)


def turns(seconds: Iterable[float], foreign: Sequence[float | None] = (), first: int = 0) -> list[Turn]:
    """A build, and compared turns of these seconds in the rounds after it; ``foreign`` of the first ones."""
    found = [Turn(round=first, phase="build", seconds=1.0)]
    for number, value in enumerate(seconds):
        share = foreign[number] if number < len(foreign) else 0.0
        found.append(
            Turn(
                round=first + 1 + number,
                phase="train",
                epoch=2,
                seconds=value,
                compared=True,
                foreign=share,
            )
        )
    return found


def record(of: Cell, seconds: Iterable[float] = (), **changes: Any) -> Record:
    """A cell that ended well, unless ``status`` says otherwise, with compared turns of these seconds."""
    values: dict[str, Any] = {
        "status": "ok",
        "parity": None if of.division == "open" else "exact",
        "turns": turns(seconds) if changes.get("status", "ok") == "ok" else [],
        "started": "2026-01-01T10:00:00+00:00",
        "seconds": 1.0,
    } | changes
    return Record(cell=of, **values)


def manifest(cells: Iterable[Cell], **changes: Any) -> Manifest:
    """A run of these cells."""
    values: dict[str, Any] = {
        "run": "2026-01-01T10-00-00-quick",
        "digest": "d",
        "profile": "quick",
        "profile_values": {"tasks": ["fc_lif"], "seeds": [0]},
        "settings": {"device": "cpu", "precision": "float32", "threads": 2, "environment": "locked"},
        "machine": {"name": "two-cores", "cpu": "Some CPU", "cores": 2, "memory_bytes": 8_000_000_000},
        "git": {"commit": "abc123", "dirty": False},
        "order_seed": 5,
        "cells": list(cells),
        "created": "2026-01-01T10:00:00+00:00",
    } | changes
    return Manifest(**values)


def save(folder: Path, records: Sequence[Record], **changes: Any) -> Path:
    """A run folder of these records; ``changes`` are those of its manifest, of more cells perhaps."""
    save_manifest(folder, manifest(**{"cells": [record.cell for record in records]} | changes))
    files: dict[str, list[Record]] = {}
    for one in records:
        files.setdefault(one.cell.heat or one.cell.cell, []).append(one)
    for together in files.values():
        save_records(folder, together)
    return folder
