"""What the harness knows of adapters without starting them: their adapter.toml and their files."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bench.errors import UserError, first_problem

PROJECT = Path(__file__).resolve().parents[1]
SHIPPED = PROJECT / "adapters"


class Adapter(BaseModel):
    """One adapter.toml.

    ``families``: the workloads it builds; ``devices`` it runs on; ``learning``: how its weights come
    about; ``uses``: sibling folders whose code it imports; ``variants``: name -> one line about it;
    ``default``: the variant that is run when none is asked for; ``open``: variants of the open division,
    which classify images in the framework's own way, without a certificate, and are run as well;
    ``deviations``: conformance checks that fail for a known reason, as ``check`` or
    ``variant/check`` -> reason.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    folder: Path
    about: str
    families: list[Literal["classify", "nef"]]
    devices: list[Literal["cpu", "cuda"]]
    learning: Literal["bptt", "least-squares", "none"]
    uses: list[str] = []
    default: str = ""
    variants: dict[str, str] = {}
    open: dict[str, str] = {}
    deviations: dict[str, str] = {}

    @model_validator(mode="after")
    def _default_is_a_variant(self) -> Adapter:
        if self.default not in self.variants and (self.default or self.variants or not self.open):
            raise ValueError(f"default = {self.default!r} is none of its variants {sorted(self.variants)}")
        if both := self.variants.keys() & self.open.keys():
            raise ValueError(f"variants {sorted(both)} stand in both divisions")
        return self

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
