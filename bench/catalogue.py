"""What the harness knows of adapters without starting them: their adapter.toml and their files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench.errors import UserError, first_problem, unknown
from bench.files import read_toml
from tasks.families import families
from tasks.protocol import Table

PROJECT = Path(__file__).resolve().parents[1]
SHIPPED = PROJECT / "adapters"
_LEFT_BY_EDITORS = re.compile(r"^[.#]|(~|\.(sw[a-p]|orig|rej|bak|pyc))$")


class Open(BaseModel):
    """A variant of a table that leaves it to each of its variants how weights come about."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    learning: Literal["bptt", "backpropagation", "least-squares"]


class Adapter(BaseModel):
    """One adapter.toml.

    ``devices`` it runs on; without "cuda" its rows of a CUDA run are CPU rows, which are compared with no
    other; ``python``: the only CPython that it runs on, as "3.11"; ``uses``: sibling folders whose code it
    imports; ``baseline``: others are compared with it; ``reference``: it is no framework but shows how near
    the limit others are, and is ranked with none; ``deviations``: conformance checks that fail for a known
    reason, as ``check`` or ``variant/check`` -> reason.

    ``tables`` are those of the task families, table -> variant -> what is said about it.  Variants are ways
    to do the same work; the first of each table is the one that runs unless others are asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    folder: Path
    about: str
    devices: Annotated[list[Literal["cpu", "cuda"]], Field(min_length=1)]
    python: Annotated[str, Field(pattern=r"^(3\.\d+)?$")] = ""
    uses: list[str] = []
    baseline: bool = False
    reference: bool = False
    tables: dict[str, dict[str, str | Open]]
    deviations: dict[str, str] = {}

    @field_validator("tables", mode="before")
    @classmethod
    def _variants_are_as_their_table_says(cls, tables: Mapping[str, Any]) -> dict[str, Any]:
        checked: dict[str, Any] = {}
        for table, variants in tables.items():
            if not isinstance(variants, Mapping):
                raise ValueError(f"{table} must be a table [{table}] of variants, got {variants!r}")
            checked[table] = {}
            for name, said in variants.items():
                if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name, re.ASCII):  # files are named after it
                    raise ValueError(
                        f"{table}: variant {name!r} must be letters, digits and . _ - only, at most 64, "
                        "the first a letter or digit"
                    )
                checked[table][name] = _said(f"{table}.{name}", said, known_tables()[table])
        return checked

    @model_validator(mode="after")
    def _variants_are_told_apart(self) -> Adapter:
        names = self.names()
        if not names:
            known = ", ".join(f"[{name}]" for name in known_tables())
            raise ValueError(f"it has no variant: add one to a table {known}")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"variant {twice[0]!r} stands in two tables: rename one")
        return self

    @model_validator(mode="after")
    def _what_is_ranked_with_none_is_no_baseline(self) -> Adapter:
        if self.baseline and self.reference:
            raise ValueError("baseline and reference exclude one another: delete one of the lines")
        return self

    def names(self) -> list[str]:
        """The names of all variants."""
        return [name for variants in self.tables.values() for name in variants]

    def variants(self, table: str) -> dict[str, str]:
        """Name and description of the variants in one table."""
        found = self.tables.get(table, {})
        return {name: said.about if isinstance(said, Open) else said for name, said in found.items()}

    def learning(self, table: str, variant: str) -> str:
        """How the weights of a variant come about."""
        said = self.tables[table][variant]
        return said.learning if isinstance(said, Open) else str(known_tables()[table].learning)

    def files(self) -> list[Path]:
        """Every file that decides what it computes: its own and those of the folders that it uses."""
        folders = [self.folder, *(_used(self, name) for name in self.uses)]
        return [path for folder in folders for path in source_files(folder)]


def known_tables() -> dict[str, Table]:
    """Every table that an adapter.toml may have, by name."""
    return {name: table for family in families().values() for name, table in family.tables.items()}


def _said(where: str, said: object, table: Table) -> str | Open:
    """What is said about a variant, in the form that its table asks for."""
    if table.learning is None:
        if not isinstance(said, Mapping):
            raise ValueError(f"{where} must be a table [{where}], got {said!r}")
        try:
            return Open.model_validate(said)
        except ValidationError as error:
            raise ValueError(f"{where}: {first_problem(error)}") from None
    if not isinstance(said, str):
        raise ValueError(f"{where} must be one line about it, got {said!r}")
    return said


def source_files(folder: Path) -> list[Path]:
    """The files of a folder and of those in it, without caches and what editors leave; links are followed."""
    found: list[Path] = []
    seen = set[tuple[int, int]]()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = os.stat(place)
        if (here.st_dev, here.st_ino) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        found += [Path(place, name) for name in names if not _LEFT_BY_EDITORS.search(name)]
    return sorted(path for path in found if path.is_file())


def _used(adapter: Adapter, name: str) -> Path:
    for base in (SHIPPED, adapter.folder.parent):  # the order in which they are imported
        if (base / name).is_dir():
            return base / name
    raise UserError(f"{adapter.folder / 'adapter.toml'}: uses names no folder {name!r} beside it")


def discover(extra: Path | None, only: Collection[str] | None = None) -> dict[str, Adapter]:
    """The adapters of the project and of one more folder, by name: all, or ``only`` those that are asked for.

    Raises:
        UserError: an adapter.toml is malformed, two adapters have one name, or there is none of a name.
    """
    if extra is not None and not extra.is_dir():
        raise UserError(f"--adapters {extra}: there is no such folder")
    if extra is not None and (extra / "adapter.toml").exists():
        raise UserError(f"--adapters {extra} is an adapter itself: name the folder above it, {extra.parent}")
    found: dict[str, Path] = {}
    for base in (SHIPPED, extra):
        # a folder of adapters may be a link, and so may an adapter in it, which is known by the link's name
        for path in sorted(base.resolve().glob("*/adapter.toml")) if base else ():
            name = path.parent.name
            if name in found:
                raise UserError(f"two adapters are called {name!r}: rename the folder {path.parent}")
            if path.parent.parent != SHIPPED and (SHIPPED / name).exists():
                raise UserError(f"{path.parent}: the project has a folder {name!r} already: rename yours")
            found[name] = path
    for name in only or ():
        if name not in found:
            raise unknown("adapter", name, found)
    return {name: _load(path) for name, path in found.items() if only is None or name in only}


def _load(path: Path) -> Adapter:
    try:
        values = read_toml(path)
        if taken := sorted(values.keys() & {"name", "folder"}):
            raise UserError(f"{path}: {taken[0]} is the folder's own; delete the line")
        if not path.parent.name.isidentifier():
            raise UserError(f"{path.parent}: the folder's name must be a Python name, as in my_net")
        return Adapter.model_validate(
            _with_tables(path, values) | {"name": path.parent.name, "folder": path.parent}
        )
    except ValidationError as error:
        # the tables of the file stand at its top
        raise UserError(f"{path}: {first_problem(error).removeprefix('tables: ')}") from None


def _with_tables(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an adapter.toml, the tables of the families gathered under ``tables``."""
    tables = {name: value for name, value in values.items() if name in known_tables()}
    others = {name: value for name, value in values.items() if name not in tables}
    known = {*Adapter.model_fields, *known_tables()} - {"name", "folder", "tables"}
    for name in others:
        if name not in known:
            raise UserError(f"{path}: {unknown('key', name, known)}")
    return others | {"tables": tables}


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 over file names and contents, in the order given."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
