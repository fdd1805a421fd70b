"""A folder for a new adapter; it works as written, on plain neurons that are to be replaced."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.catalogue import SHIPPED
from bench.errors import UserError

TEMPLATES = SHIPPED / "_scaffold"
KINDS = ("cells", "plain")


def write_adapter(name: str, extra: Path | None, kind: str = "cells") -> Path:
    """Write the three files of a new adapter beside the shipped ones, or into the folder ``extra``.

    ``kind``: "cells" for one that brings neurons to a family of adapters, "plain" for a whole one in NumPy.

    Raises:
        UserError: there is no such kind, the name cannot be a package's or is taken, or the folder cannot be
            written.
    """
    if kind not in KINDS:
        raise UserError(f"there is no KIND={kind!r} of adapter: choose from {', '.join(KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(
            f"NAME={name!r} cannot name an adapter: small letters, digits and _ only, as in my_net"
        )
    if extra is not None:
        extra.mkdir(parents=True, exist_ok=True)
    folder = (extra or SHIPPED) / name
    if (SHIPPED / name).exists() or folder.exists():
        raise UserError(f"there is an adapter or a folder {name!r} already: choose another NAME")
    shipped = os.path.relpath(SHIPPED, folder)
    try:
        folder.mkdir()
        for template in sorted((TEMPLATES / kind).glob("*.template")):
            text = template.read_text(encoding="utf-8")
            text = text.replace("@NAME@", name).replace("@SHIPPED@", shipped)
            (folder / template.stem).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): give another folder") from None
    return folder
