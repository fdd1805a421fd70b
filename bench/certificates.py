"""Certificates that are kept: by their content's address, so that what is unchanged is certified once.

<results>/certificates/<cell key>.json    the key hashes all that the certificate depends on (bench/plan.py)
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from bench.files import read
from bench.records import VERSION, Cell, Record, write_atomically


def find(results: Path, cell: Cell) -> Record | None:
    """The certificate of a ``certify`` cell, if it is kept; a damaged one is not."""
    try:
        record = Record.model_validate_json(read(_path(results, cell)))
    except (OSError, ValidationError):
        return None
    if record.version != VERSION or record.cell.cell != cell.cell:
        return None
    # equal keys are equal certificates: the time-out and the values of the whole task may differ
    return record.model_copy(update={"cell": cell})


def keep(results: Path, record: Record) -> None:
    """Keep a certificate that ended with a verdict; what ended otherwise is tried again."""
    if record.status in ("ok", "wrong"):
        write_atomically(_path(results, record.cell), record.model_dump_json(indent=1) + "\n")


def _path(results: Path, cell: Cell) -> Path:
    return results / "certificates" / f"{cell.cell}.json"
