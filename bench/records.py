"""What a run leaves on disk: the models of manifest and records, and the tables made from them.

<run>/manifest.json      the plan, the profile's values, machine, order (written once, at the start)
<run>/records/*.json     one file per certificate and per heat, written atomically by the parent alone
<run>/*.csv              results, heats, turns, metrics, curves, parity: a pure function of the records

A published run has all its records in one file, records.json.xz: what workers show alike lies
farther apart there than gzip looks back.
"""

from __future__ import annotations

import io
import json
import lzma
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from bench.errors import UserError, first_problem
from bench.files import LARGEST, read
from bench.measure.gpu import OnCard
from bench.report.figures import FIGURES

VERSION = 2  # of manifest and records; raised when an older reader would misread them
PUBLISHED = "records.json.xz"  # of a published run, all of them

Status = Literal["ok", "skipped", "wrong", "diverged", "error", "crashed", "timeout", "out_of_memory"]
Parity = Literal["exact", "within", "reduced precision", "wrong"]


def _as_name(text: str) -> str:
    """Files and folders are called so: it must lead nowhere else."""
    if "/" in text or text.startswith(".") or not text.isprintable() or len(text) > 200:
        raise ValueError(f"{text[:80]!r} cannot be the name of a file")
    return text


Name = Annotated[str, AfterValidator(_as_name)]


class _Model(BaseModel):
    # a diverged loss is nan, which plain JSON would turn into an absent one
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Cell(_Model):
    """One process to run.  ``cell`` is its readable, unique key; equal keys mean equal work.

    ``stage``: ``certify``; ``run``; or ``control``, the heat's baseline once more.  ``work`` is what cells
    share that are compared, by column; what does not apply is absent.
    """

    cell: Name
    stage: Literal["certify", "run", "control"]
    family: str
    adapter: str
    table: str = Field(description="of adapter.toml, in which the variant stands; empty where none does")
    variant: str
    division: Literal["closed", "open"] = "closed"
    learning: str
    compared: bool = Field(description="whether its times are compared with those of its heat")
    reference: bool = Field(default=False, description="no framework, but how near the limit others are")
    task: str
    task_values: dict[str, Any] = Field(description="keyword arguments of the task's factory")
    amounts: dict[str, Any] = Field(description="the family's profile values")
    work: dict[str, Any]
    device: str
    precision: str
    seed: int
    heat: Name = Field(default="", description="cells of one heat take turns; a certificate has none")
    baseline: bool = Field(default=False, description="what the others of its heat are compared with")
    certificate: str | None = Field(default=None, description="key of the certificate that it needs")
    timeout_seconds: float
    skip: str = Field(default="", description="reason known at planning time, else empty")

    @property
    def way(self) -> str:
        """What tells rows of one adapter apart: the variant, and the precision where it is not float32."""
        return self.variant if self.precision == "float32" else f"{self.variant} {self.precision}".strip()


class CurvePoint(_Model):
    """One epoch; ``seconds`` of this epoch, ``train_seconds`` of all training so far.

    ``loss`` and ``train_accuracy`` are those of the images as they are trained on, weights changing.
    """

    epoch: int
    loss: float | None = None
    test_loss: float | None = None
    train_accuracy: float | None = None
    test_accuracy: float | None = None
    seconds: float
    train_seconds: float


class Metric(_Model):
    """A long-form figure: ``rmse`` of {"stimulus": "ramp", "n": 50}; ``bound`` is what it had to keep."""

    metric: str
    of: dict[str, str | int] = {}
    value: float
    bound: float | None = None


class Turn(_Model):
    """One turn: tasks.protocol.Turn with its ``round`` in the heat.

    ``foreign``: the share that others took meanwhile of the cores that its threads need, 0 to 1; None where
    it is unknown.  ``throttled``: the share that a quota held back; None where there is none.  ``gpu``: what
    the card did, of a cell that uses one.
    """

    round: int
    phase: str
    epoch: int = 0
    seconds: float | None = None
    compared: bool = False
    foreign: float | None = None
    throttled: float | None = None
    gpu: OnCard | None = None


class Record(_Model):
    """The outcome of one cell.

    ``figures``: those of bench/report/figures.py that were measured, no others.  ``network``: what ran,
    where that is not the task's.  ``again``: it failed for the environment's sake, and is run once more where
    that has been mended.  ``made`` and ``machine``: when and where the certificate was made.
    ``shows``: what the family's page draws besides.
    """

    version: int = VERSION
    cell: Cell
    status: Status
    reason: str = ""
    again: bool = False
    parity: Parity | None = None
    made: str = ""
    machine: str = ""
    network: str = ""
    figures: dict[str, float] = {}
    metrics: list[Metric] = []
    turns: list[Turn] = []
    curve: list[CurvePoint] = []
    shows: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    versions: dict[str, str] = {}
    started: str
    seconds: float

    @field_validator("figures")
    @classmethod
    def _figures_are_known(cls, figures: dict[str, float]) -> dict[str, float]:
        for name, value in figures.items():
            if name not in FIGURES:
                raise ValueError(f"there is no figure {name!r} in bench/report/figures.py")
            FIGURES[name].check(value)
        return figures


class Manifest(_Model):
    """What a run is: enough to go on with it, and to read its figures years later."""

    version: int = VERSION
    run: Name
    digest: str = Field(description="hash of all cell keys; equal digests are the same plan")
    profile: str
    profile_values: dict[str, Any] = Field(description="every value that the profile says")
    settings: dict[str, Any]
    machine: dict[str, Any]
    peaks: dict[str, float] = Field(default={}, description="of the CPU, as far as they were measured")
    git: dict[str, Any]
    order_seed: int
    cells: list[Cell] = Field(description="in running order")
    created: str
    number: int = Field(default=0, description="counts the runs of a folder, as clocks may go back")

    @field_validator("machine")
    @classmethod
    def _machine_has_a_fitting_name(cls, machine: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(name := machine.get("name", ""), str):
            raise ValueError(f"{name!r} cannot be the name of a machine")
        _as_name(name)
        return machine


_RECORDS = TypeAdapter(list[Record])


def write_atomically(path: Path, text: str) -> None:
    """Write through a temporary file, fsync and rename, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def record_path(folder: Path, cell: Cell) -> Path:
    """Where the record of a cell lies in a run folder: those of a heat share one file."""
    return folder / "records" / f"{cell.heat or cell.cell}.json"


def save_records(folder: Path, records: Sequence[Record]) -> None:
    """Store the records of one certificate or of one whole heat."""
    write_atomically(record_path(folder, records[0].cell), dump_records(records))


def dump_records(records: Sequence[Record]) -> str:
    """Records as JSON, one record a line."""
    lines = ",\n".join(record.model_dump_json() for record in records)
    return f"[\n{lines}\n]\n"


def load_records(folder: Path) -> list[Record]:
    """All finished cells of a run folder, or of a published run, in the manifest's order.

    Raises:
        UserError: a file is damaged, or holds what is not the record of its cell.
    """
    cells = load_manifest(folder).cells
    paths = {cell.cell: record_path(folder, cell) for cell in cells}
    if (folder / PUBLISHED).exists():
        paths = dict.fromkeys(paths, folder / PUBLISHED)
    found: dict[str, Record] = {}
    for path in dict.fromkeys(paths.values()):
        own = {cell.cell: cell for cell in cells if paths[cell.cell] == path}
        for record in _records_of(path):
            key = record.cell.cell
            if own.get(key) != record.cell or key in found:
                raise _damaged(
                    path, f"it holds a record of {key}, which is not its own or stands there twice"
                )
            found[key] = record
    return [found[cell.cell] for cell in cells if cell.cell in found]


def _records_of(path: Path) -> list[Record]:
    """The records in a file; none where there is no file."""
    try:
        content = read(path)
        if path.name == PUBLISHED:
            content = _unpacked(content)
        return _RECORDS.validate_json(content)
    except FileNotFoundError:
        return []
    except ValidationError as error:
        raise _damaged(path, first_problem(error)) from None
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or str(error)) from None


def _unpacked(content: bytes) -> bytes:
    with lzma.open(io.BytesIO(content)) as file:
        unpacked = file.read(LARGEST + 1)
    if len(unpacked) > LARGEST:
        raise OSError(f"it unpacks to more than {LARGEST:,} bytes")
    return unpacked


def _damaged(path: Path, problem: str) -> UserError:
    way_out = "get it again" if path.name == PUBLISHED else "delete it, and what it held alone is run again"
    return UserError(f"{path} is damaged ({problem}): {way_out}")


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Store what the run is."""
    write_atomically(folder / "manifest.json", manifest.model_dump_json(indent=1) + "\n")


def load_manifest(folder: Path) -> Manifest:
    """Read back what the run is.

    Raises:
        FileNotFoundError: the folder is no run.
        UserError: the manifest is damaged.
    """
    path = folder / "manifest.json"
    try:
        return Manifest.model_validate_json(read(path))
    except FileNotFoundError:
        raise
    except (OSError, ValidationError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error.strerror)
        raise UserError(
            f"{path} is damaged or of another version ({problem}): put back a copy, or remove its folder"
        ) from None


def dumps(value: object) -> str:
    """Canonical JSON, for hashing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
