"""What a run leaves on disk: one JSON record per cell, a manifest, and the tables made from them.

results/runs/<run>/manifest.json   the plan, the profile's values, machine, order (written once, at the start)
results/runs/<run>/cells/*.json    one record per finished cell, written atomically by the parent alone
results/runs/<run>/*.csv           results, metrics, curves: a pure function of the records
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["ok", "skipped", "wrong", "diverged", "error", "crashed", "timeout", "out_of_memory"]
Parity = Literal["exact", "within", "reduced precision", "wrong"]

COLUMNS = (
    "run cell profile adapter variant task network division learning device precision seed status "
    "reason parity test_accuracy best_test_accuracy train_accuracy rmse build_seconds "
    "first_run_seconds cold_epoch_seconds epoch_seconds train_seconds eval_seconds images_per_second "
    "sim_speed host_peak_bytes device_allocated_bytes device_used_bytes energy_joules spike_rate "
    "synops_per_image train_images test_images steps batch epochs "
).split()
CURVE_COLUMNS = "cell epoch loss train_accuracy test_accuracy seconds train_seconds".split()
METRIC_COLUMNS = "cell metric key value".split()
PARITY_COLUMNS = "cell adapter variant task device precision status parity metric probe value reason".split()


class _Model(BaseModel):
    # a diverged loss is nan, which plain JSON would turn into an absent one
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Cell(_Model):
    """One process to run.  ``cell`` is its readable, unique key; equal keys mean equal work."""

    cell: str
    kind: Literal["certify", "classify", "nef"]
    adapter: str
    variant: str
    division: Literal["closed", "open"] = "closed"
    learning: str
    task: str
    network: str
    device: str
    precision: str
    seed: int
    train_images: int
    test_images: int
    curve_images: int
    steps: int
    batch: int = Field(description="images, or networks, computed at once")
    epochs: int
    task_values: dict[str, Any] = Field(description="keyword arguments of the task's factory")
    certificate: str | None = Field(description="the certify cell that a timed cell needs")
    timeout_seconds: float
    skip: str = Field(default="", description="reason known at planning time, else empty")


class CurvePoint(_Model):
    """One epoch; ``seconds`` of this epoch, ``train_seconds`` of all training so far."""

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float | None
    seconds: float
    train_seconds: float


class Metric(_Model):
    """A long-form figure: ``spike_rate`` of ``layer 2``, ..."""

    metric: str
    key: str
    value: float


class Recording(_Model):
    """What one simulated network decoded under one stimulus, and its ideal; a point every ``seconds``."""

    stimulus: str
    seconds: float
    decoded: list[float]
    ideal: list[float]


class Raster(_Model):
    """Spike times of some neurons of an ensemble, a list for each neuron; in seconds since the run began."""

    stimulus: str
    ensemble: str
    start: float
    stop: float
    spikes: list[list[float]]


class Record(_Model):
    """The outcome of one cell.

    ``figures``: the columns of results.csv that were measured, no others.  ``recordings`` and ``raster``
    are of a NEF cell's first network.
    """

    cell: Cell
    status: Status
    reason: str = ""
    parity: Parity | None = None
    figures: dict[str, float] = {}
    metrics: list[Metric] = []
    curve: list[CurvePoint] = []
    recordings: list[Recording] = []
    raster: Raster | None = None
    settings: dict[str, Any] = {}
    versions: dict[str, str] = {}
    started: str
    seconds: float


class Manifest(_Model):
    """What a run is: enough to go on with it, and to read its figures years later."""

    run: str
    digest: str = Field(description="hash of all cell keys; equal digests are the same plan")
    profile: str
    profile_values: dict[str, Any] = Field(description="every value that the profile says")
    settings: dict[str, Any]
    machine: dict[str, Any]
    git: dict[str, Any]
    order_seed: int
    cells: list[Cell] = Field(description="in running order")
    created: str


def write_atomically(path: Path, text: str) -> None:
    """Write through a temporary file, fsync and rename, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def save_record(folder: Path, record: Record) -> None:
    """Store a finished cell in the run folder."""
    write_atomically(folder / "cells" / f"{record.cell.cell}.json", record.model_dump_json(indent=1) + "\n")


def load_records(folder: Path) -> list[Record]:
    """All finished cells of a run folder, in the manifest's order."""
    manifest = load_manifest(folder)
    paths = (folder / "cells" / f"{cell.cell}.json" for cell in manifest.cells)
    return [Record.model_validate_json(path.read_bytes()) for path in paths if path.exists()]


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Store what the run is."""
    write_atomically(folder / "manifest.json", manifest.model_dump_json(indent=1) + "\n")


def load_manifest(folder: Path) -> Manifest:
    """Read back what the run is.

    Raises:
        FileNotFoundError: the folder is no run.
    """
    return Manifest.model_validate_json((folder / "manifest.json").read_bytes())


def result_rows(manifest: Manifest, records: Iterable[Record]) -> list[dict[str, Any]]:
    """One dict per timed cell with the columns of results.csv; what was not measured is None."""
    rows = []
    for record in records:
        cell = record.cell
        if cell.kind == "certify":
            continue
        known = cell.model_dump() | record.figures
        known |= {"run": manifest.run, "profile": manifest.profile}
        known |= {"status": record.status, "reason": record.reason, "parity": record.parity}
        if cell.kind == "nef" or cell.learning == "none":  # nothing is trained on images
            known |= dict.fromkeys(("train_images", "epochs"))
        if cell.kind == "nef":
            known["test_images"] = None
        rows.append({column: known.get(column) for column in COLUMNS})
    return rows


def parity_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One dict per comparison of every certificate; a certificate without any has one row with its reason."""
    rows = []
    for record in records:
        if record.cell.kind != "certify":
            continue
        known = record.cell.model_dump() | {"status": record.status, "parity": record.parity}
        row = {column: known.get(column) for column in PARITY_COLUMNS} | {"reason": record.reason}
        metrics = [{"metric": m.metric, "probe": m.key, "value": m.value} for m in record.metrics]
        rows += [row | metric for metric in metrics or [{}]]
    return rows


def write_tables(folder: Path) -> None:
    """Make results.csv, metrics.csv, curves.csv and parity.csv of a run folder from its records."""
    manifest, records = load_manifest(folder), load_records(folder)
    _write_csv(folder / "results.csv", COLUMNS, result_rows(manifest, records))
    metrics = [{"cell": r.cell.cell} | m.model_dump() for r in records for m in r.metrics]
    _write_csv(folder / "metrics.csv", METRIC_COLUMNS, metrics)
    _write_csv(folder / "parity.csv", PARITY_COLUMNS, parity_rows(records))
    curves = [{"cell": r.cell.cell} | p.model_dump() for r in records for p in r.curve]
    _write_csv(folder / "curves.csv", CURVE_COLUMNS, curves)


def _write_csv(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


def dumps(value: object) -> str:
    """Canonical JSON, for hashing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
