"""How long cells take, from the records of earlier runs and of the one under way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from statistics import median

from bench.errors import UserError
from bench.records import Cell, Record, dumps, load_records
from bench.runs import oldest_first

EARLIER_RUNS = 5  # that are read: one of the same profile is mostly among them


class Durations:
    """The seconds that cells have taken; of one that has never run, those of others with its work."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._same: dict[str, float] = {}
        self._alike: dict[str, list[float]] = defaultdict(list)
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Learn from a cell that ended well; what is learnt later counts."""
        if record.status == "ok" and record.seconds > 0:
            self._same[_who(record.cell)] = record.seconds
            self._alike[_what(record.cell)].append(record.seconds)

    def of(self, cell: Cell) -> float | None:
        """About how long the cell takes; None where nothing like it has run."""
        if (known := self._same.get(_who(cell))) is not None:
            return known
        alike = self._alike.get(_what(cell))
        return median(alike) if alike else None


def earlier(runs: Path) -> list[Record]:
    """The records of the last runs in a folder, the oldest first."""
    found: list[Record] = []
    for folder, _ in oldest_first(runs)[-EARLIER_RUNS:]:
        with suppress(OSError, UserError):  # damaged: a guess is worth no error
            found += load_records(folder)
    return found


def _what(cell: Cell) -> str:
    return dumps([cell.stage, cell.task, cell.task_values, cell.amounts, cell.device])


def _who(cell: Cell) -> str:
    return dumps([_what(cell), cell.adapter, cell.table, cell.way])
