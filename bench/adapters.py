"""What the harness knows of adapters without starting them: their adapter.toml and their files."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import UserError, first_problem

PROJECT = Path(__file__).resolve().parents[1]
SHIPPED = PROJECT / "adapters"


Family = Literal["classify", "nef"]
Kind = Literal["classify", "inference", "nef", "open"]
# which tables of adapter.toml hold variants for a family of tasks
KINDS: dict[Family, tuple[Kind, ...]] = {
    "classify": ("classify", "inference", "open"),
    "nef": ("nef",),
}


class Open(BaseModel):
    """A variant of the open division: one line about it, and how its weights come about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    learning: Literal["bptt", "backpropagation", "least-squares"]


class Adapter(BaseModel):
    """One adapter.toml.

    ``devices`` it runs on; without "cuda" its rows of a CUDA run are CPU rows, unranked; ``python``: the
    only CPython that it runs on, as "3.11"; ``uses``: sibling folders whose code it imports;
    ``deviations``: conformance checks that fail for a known reason, as ``check`` or ``variant/check`` ->
    reason.

    Its variants, name -> one line about it, are ways to do the same work; the first of each table is the
    one that runs unless others are asked for:

        classify    image classification, trained through time as the task says
        inference   image classification with trained weights that the harness gives
        nef         the NEF tasks
        open        image classification in the framework's own way, without a certificate
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    folder: Path
    about: str
    devices: Annotated[list[Literal["cpu", "cuda"]], Field(min_length=1)]
    python: Annotated[str, Field(pattern=r"^(3\.\d+)?$")] = ""
    uses: list[str] = []
    classify: dict[str, str] = {}
    inference: dict[str, str] = {}
    nef: dict[str, str] = {}
    open: dict[str, Open] = {}
    deviations: dict[str, str] = {}

    @model_validator(mode="after")
    def _variants_are_told_apart(self) -> Adapter:
        names = self.names()
        if not names:
            raise ValueError("it has no variant: add one to a table [classify], [inference], [nef] or [open]")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"variant {twice[0]!r} stands in two tables: rename one")
        return self

    def names(self) -> list[str]:
        """The names of all variants."""
        return [name for kinds in KINDS.values() for kind in kinds for name in self.variants(kind)]

    def variants(self, kind: Kind) -> dict[str, str]:
        """Name and description of the variants in one table."""
        if kind == "open":
            return {name: variant.about for name, variant in self.open.items()}
        tables = {"classify": self.classify, "inference": self.inference, "nef": self.nef}
        return tables[kind]

    def files(self) -> list[Path]:
        """Every file that decides what it computes: its own and those of the folders that it uses."""
        folders = [self.folder, *(_used(self, name) for name in self.uses)]
        return sorted(
            path
            for folder in folders
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        )


def _used(adapter: Adapter, name: str) -> Path:
    for base in (SHIPPED, adapter.folder.parent):  # the order in which they are imported
        if (base / name).is_dir():
            return base / name
    raise UserError(f"{adapter.folder / 'adapter.toml'}: uses names no folder {name!r} beside it")


def discover(extra: Path | None) -> dict[str, Adapter]:
    """All adapters of the project and of one more folder, by name.

    Raises:
        UserError: an adapter.toml is malformed, or two adapters have one name.
    """
    if extra is not None and not extra.is_dir():
        raise UserError(f"--adapters {extra}: there is no such folder")
    found: dict[str, Adapter] = {}
    for base in (SHIPPED, extra):
        for path in sorted(base.glob("*/adapter.toml")) if base else ():
            name = path.parent.name
            if name in found:
                raise UserError(f"two adapters are called {name!r}: rename the folder {path.parent}")
            found[name] = _load(path)
    return found


def _load(path: Path) -> Adapter:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        if taken := values.keys() & {"name", "folder"}:
            raise UserError(f"{path}: {', '.join(sorted(taken))} is the folder's own; delete the line")
        if not path.parent.name.isidentifier():
            raise UserError(f"{path.parent}: the folder's name must be a Python name, as in my_net")
        return Adapter.model_validate(values | {"name": path.parent.name, "folder": path.parent.resolve()})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise UserError(f"{path}: {first_problem(error)}") from None


def digest(paths: Sequence[Path]) -> str:
    """SHA-256 over file names and contents, in the order given."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
