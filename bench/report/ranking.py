"""Which cells are compared with one another, and in which order they stand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from bench.records import Cell, Manifest, Parity, Record, dumps
from bench.report.text import first_line

Tier = Literal["ranked", "reduced precision", "open", "not ranked"]
TIERS: tuple[Tier, ...] = ("ranked", "reduced precision", "open", "not ranked")
PENDING = "pending"

# cells that agree in all of these do the same work
_WORK = (
    "task",
    "network",
    "precision",
    "train_images",
    "test_images",
    "curve_images",
    "steps",
    "batch",
    "epochs",
    "task_values",
)
_BEST_TO_WORST: tuple[Parity | None, ...] = ("exact", "within", "reduced precision", "wrong", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The seeds of one adapter and variant that ended alike; ``pending`` ones have no records.

    ``apart``: why figures that are right don't belong beside the others'.
    """

    adapter: str
    variant: str
    status: str
    seeds: int
    planned: int
    records: tuple[Record, ...]
    reason: str
    apart: str = ""
    tier: Tier = "not ranked"
    rank: int | None = None
    ratio: float | None = None

    @property
    def parity(self) -> Parity | None:
        """The worst class of the seeds; None if one of them has no certificate."""
        return max((r.parity for r in self.records), key=_BEST_TO_WORST.index, default=None)

    @property
    def comparable(self) -> bool:
        """Whether the figures are of the work that was asked for."""
        return self.status == "ok" and self.parity != "wrong" and not self.apart

    @property
    def costs(self) -> list[float]:
        """What rows are ranked by, of every seed that has it; less is better.

        Seconds per epoch or, where nothing is trained, seconds per network and simulated second.
        """
        return self.values("epoch_seconds") or [1 / speed for speed in self.values("sim_speed")]

    def values(self, figure: str) -> list[float]:
        """The figure of every seed that has it."""
        return [r.figures[figure] for r in self.records if figure in r.figures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """All rows of one piece of work, the ranked ones first.

    ``cell`` is one of its cells, on the device that was asked for if any is.
    """

    title: str
    slug: str
    cell: Cell
    rows: tuple[Row, ...]


def sections(manifest: Manifest, records: Sequence[Record]) -> list[Section]:
    """One section per task; a task that the run asks for in several sizes has one for each."""
    finished = {record.cell.cell: record for record in records}
    works: dict[str, list[Cell]] = {}
    for cell in manifest.cells:
        if cell.kind != "certify":
            works.setdefault(dumps([getattr(cell, name) for name in _WORK]), []).append(cell)
    firsts = [cells[0] for cells in works.values()]
    slugs: Counter[str] = Counter()
    asked = manifest.settings.get("device", "cpu")
    found = []
    for cells in works.values():
        slug = re.sub(r"[^a-z0-9]+", "-", cells[0].task.lower())
        slugs[slug] += 1
        found.append(
            Section(
                title=_title(cells[0], firsts),
                slug=slug if slugs[slug] == 1 else f"{slug}-{slugs[slug]}",
                cell=next((cell for cell in cells if cell.device == asked), cells[0]),
                rows=tuple(_ranked(_rows(cells, finished, asked))),
            )
        )
    return sorted(found, key=lambda section: section.title)


def _title(cell: Cell, firsts: Sequence[Cell]) -> str:
    peers = [first for first in firsts if first.task == cell.task]
    differing = [
        f"{name.replace('_', ' ')} {getattr(cell, name)}"
        for name in _WORK[:-1]
        if len({getattr(peer, name) for peer in peers}) > 1
    ]
    return f"{cell.task} ({', '.join(differing)})" if differing else cell.task


def _rows(cells: Sequence[Cell], finished: dict[str, Record], device: str) -> list[Row]:
    pairs: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        pairs.setdefault((cell.adapter, cell.variant), []).append(cell)
    rows = []
    for (adapter, variant), planned in pairs.items():
        outcomes: dict[str, list[Record]] = {}
        for cell in planned:
            if record := finished.get(cell.cell):
                outcomes.setdefault(record.status, []).append(record)
        missing = len(planned) - sum(map(len, outcomes.values()))
        for status, records in outcomes.items():
            reasons = dict.fromkeys(first_line(record.reason) for record in records)
            row = Row(
                adapter=adapter,
                variant=variant,
                status=status,
                seeds=len(records),
                planned=len(planned),
                records=tuple(records),
                reason="; ".join(filter(None, reasons)),
            )
            rows.append(_judged(row, {s: len(r) for s, r in outcomes.items() if s != status}, device))
        if missing:
            rows.append(
                Row(
                    adapter=adapter,
                    variant=variant,
                    status=PENDING,
                    seeds=missing,
                    planned=len(planned),
                    records=(),
                    reason="",
                )
            )
    return rows


def _judged(row: Row, other_outcomes: dict[str, int], device: str) -> Row:
    """The row with its tier, or with what keeps an ``ok`` row from being ranked."""
    if row.status != "ok":
        return row
    cell = row.records[0].cell
    apart = []
    if cell.device != device:
        apart.append(f"on the {cell.device}: {row.adapter} does not run on {device}")
    if cell.division == "open":
        reason = "; ".join(filter(None, (row.reason, *apart)))
        return replace(row, tier="open", apart=", ".join(["open division", *apart]), reason=reason)
    if cell.learning == "none":
        apart.append("inference alone, with weights trained on 60,000 images")
    row = replace(row, apart=", ".join(apart))
    if other_outcomes:
        ended = (f"{status} in {count}" for status, count in other_outcomes.items())
        obstacle = f"{', '.join(ended)} of {row.planned} seeds"
    elif row.parity is None:
        obstacle = "no parity certificate"
    elif row.parity == "wrong":
        obstacle = "parity wrong"
    elif row.apart:
        obstacle = row.apart
    elif not row.costs:
        obstacle = "no epoch was timed after the cold one"
    else:
        return replace(row, tier="reduced precision" if row.parity == "reduced precision" else "ranked")
    return replace(row, reason="; ".join(filter(None, (row.reason, f"not ranked: {obstacle}"))))


def _ranked(rows: list[Row]) -> list[Row]:
    """All rows in reading order; within a tier rank and ratio are by the median of their costs."""
    ordered = []
    for tier in TIERS[:2]:
        members = [row for row in rows if row.tier == tier]
        members.sort(key=lambda row: (median(row.costs), row.adapter, row.variant))
        for rank, row in enumerate(members, start=1):
            fastest = median(members[0].costs)
            ratio = median(row.costs) / fastest if fastest else None
            ordered.append(replace(row, rank=rank, ratio=ratio))
    rest = [row for row in rows if row.tier in TIERS[2:]]
    rest.sort(
        key=lambda row: (row.status != "ok", row.status == PENDING, row.adapter, row.variant, row.status)
    )
    return ordered + rest
