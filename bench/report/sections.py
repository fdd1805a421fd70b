"""Which cells are compared with one another, in which order they stand, and which of them are tied."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal, get_args

from bench.records import Cell, Manifest, Parity, Record, dumps
from bench.report.statistics import (
    Ratio,
    Spread,
    Verdict,
    differences,
    disturbed,
    inverse,
    over_seeds,
    paired,
    spread,
    through,
)
from bench.report.text import first_line, titled
from tasks.families import families

Tier = Literal["compared", "reduced precision", "own example", "reference", "open", "not compared"]
TIERS: tuple[Tier, ...] = get_args(Tier)
RANKED, TIMED = TIERS[:2], TIERS[:4]
PENDING = "pending"

_BEST_TO_WORST: tuple[Parity | None, ...] = ("exact", "within", "reduced precision", "wrong", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """The records of one heat in which times are compared: one question, one seed.

    ``cell`` is that of ``baseline``, which is another than the planned one where that failed, and None where
    nobody ended well.  ``control``: the baseline once more over the baseline, the noise floor of this heat;
    None where either has no turns.  ``turns``: compared turns of all its processes, of which ``disturbed``
    were left out.
    """

    key: str
    cell: Cell
    records: tuple[Record, ...]
    baseline: Record | None
    control: Ratio | None
    turns: int
    disturbed: int

    def ratio(self, record: Record) -> Ratio | None:
        """The time of one of its records over that of the baseline."""
        return paired(record, self.baseline) if self.baseline and _is_sound(record) else None

    def between(self, of: Record, to: Record) -> Ratio | None:
        """The time of one of its records over that of another, who may have run in different groups of it."""
        if ratio := paired(of, to):
            return ratio
        return through(of, to, self.baseline) if self.baseline else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The seeds of one adapter and variant that ended alike; ``pending`` ones have no records.

    ``variant``: followed by the precision, where that is not float32.  ``apart``: why figures that are right
    don't belong beside the others'.  ``ratio``: its time over the baseline's (1 for the baseline itself),
    where it is compared.  ``group``: rows of one letter are as fast as the fastest of them, as far as this
    run can say, and "?" follows where it cannot; empty where it is not compared.  ``over_limit``: its time
    over that of the fastest reference, if there is one.
    """

    adapter: str
    variant: str
    status: str
    seeds: int
    planned: int
    records: tuple[Record, ...]
    reason: str
    apart: str = ""
    tier: Tier = "not compared"
    group: str = ""
    ratio: Ratio | None = None
    over_limit: Ratio | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart from the other compared rows of its section."""
        return self.adapter, self.variant

    @property
    def parity(self) -> Parity | None:
        """The worst class of the seeds; None if one of them has no certificate."""
        return max((r.parity for r in self.records), key=_BEST_TO_WORST.index, default=None)

    @property
    def comparable(self) -> bool:
        """Whether the figures are of the work that was asked for."""
        return self.status == "ok" and self.parity != "wrong" and not self.apart

    def values(self, figure: str) -> list[float]:
        """The figure of every seed that has it."""
        return [r.figures[figure] for r in self.records if figure in r.figures]

    def shown(self, name: str) -> Any:
        """What the first seed that kept it shows under that name; None where none did."""
        return next((r.shows[name] for r in self.records if r.shows.get(name)), None)


@dataclass(frozen=True, slots=True)
class Difference:
    """What there is to say of one compared row beside another."""

    ratio: Ratio | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """All rows of one piece of work, the compared ones first, fastest first.

    ``cell`` is one of its cells, a compared one if there is any.  ``heats``: those in which times are
    compared, one a seed.  ``baseline``: what ratios are to, as ADAPTER VARIANT; empty where nothing is
    compared.  ``control``: what the controls of its heats say together; see ``floor``.  ``differences``: of
    every pair of rows of a tier, and of each adapter's rows with its framework's own example, by their keys,
    the slower one first.
    """

    title: str
    slug: str
    cell: Cell
    rows: tuple[Row, ...]
    heats: tuple[Heat, ...]
    baseline: str
    control: Ratio | None
    differences: Mapping[tuple[tuple[str, str], tuple[str, str]], Difference]

    def difference(self, one: Row, other: Row) -> Difference | None:
        """What there is to say of the first beside the second; None where they are not compared."""
        if known := self.differences.get((one.key, other.key)):
            return known
        known = self.differences.get((other.key, one.key))
        return known and Difference(known.ratio and inverse(known.ratio), known.verdict.turned())


def sections(manifest: Manifest, records: Sequence[Record]) -> list[Section]:
    """One section per task; a task that the run asks for in several sizes has one for each."""
    finished = {record.cell.cell: record for record in records}
    works: dict[str, list[Cell]] = {}
    for cell in manifest.cells:
        if cell.stage == "run":
            works.setdefault(dumps([cell.family, cell.task, _asked(cell)]), []).append(cell)
    firsts = [cells[0] for cells in works.values()]
    found_heats = heats(records)
    slugs: Counter[str] = Counter()
    device = manifest.settings.get("device", "cpu")
    found = []
    for cells in works.values():
        slug = re.sub(r"[^a-z0-9]+", "-", cells[0].task.lower())
        slugs[slug] += 1
        names = {cell.heat for cell in cells}
        own = tuple(heat for heat in found_heats if heat.key in names)
        rows, baseline, control, pairs = _compared(_rows(cells, finished, device), own)
        found.append(
            Section(
                title=_title(cells[0], firsts),
                slug=slug if slugs[slug] == 1 else f"{slug}-{slugs[slug]}",
                cell=own[0].cell if own else next((c for c in cells if c.compared), cells[0]),
                rows=tuple(rows),
                heats=own,
                baseline=baseline,
                control=control,
                differences=pairs,
            )
        )
    return sorted(found, key=lambda section: section.title)


def heats(records: Sequence[Record]) -> list[Heat]:
    """The heats in which times are compared and of which there are records, in running order."""
    together: dict[str, list[Record]] = {}
    for record in records:
        if record.cell.compared and record.cell.heat:
            together.setdefault(record.cell.heat, []).append(record)
    return [_heat(key, members) for key, members in together.items()]


def _heat(key: str, records: Sequence[Record]) -> Heat:
    sound = [record for record in records if record.cell.stage == "run" and _is_sound(record)]
    baseline = min(sound, key=lambda record: _order(record.cell), default=None)
    control = next((r for r in records if r.cell.stage == "control" and _is_sound(r)), None)
    has_control = control is not None and baseline is not None and _key(control) == _key(baseline)
    turns = [turn for record in records for turn in record.turns if turn.compared and turn.seconds]
    return Heat(
        key=key,
        cell=baseline.cell if baseline else records[0].cell,
        records=tuple(records),
        baseline=baseline,
        control=paired(control, baseline) if has_control and control and baseline else None,
        turns=len(turns),
        disturbed=sum(map(disturbed, turns)),
    )


def _order(cell: Cell) -> tuple[bool, bool, bool, str, str]:
    """Who is the baseline, also where the planned one has failed; a reference or example only if alone."""
    return not cell.baseline, cell.division == "open", cell.reference, cell.adapter, cell.way


def _is_sound(record: Record) -> bool:
    return record.status == "ok" and record.parity != "wrong"


def _key(record: Record) -> tuple[str, str]:
    return record.cell.adapter, record.cell.way


def _asked(cell: Cell) -> dict[str, Any]:
    """What cells of one task must share to stand in one section."""
    return {**cell.amounts, **cell.task_values}


def _title(cell: Cell, firsts: Sequence[Cell]) -> str:
    return titled(cell.task, _asked(cell), (_asked(first) for first in firsts if first.task == cell.task))


def _rows(cells: Sequence[Cell], finished: Mapping[str, Record], device: str) -> list[Row]:
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.adapter, cell.way), []).append(cell)
    rows = []
    for (adapter, variant), planned in found.items():
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


def _judged(row: Row, other_outcomes: Mapping[str, int], device: str) -> Row:
    """The row with its tier, or with what keeps an ``ok`` row from being compared."""
    if row.status != "ok":
        return row
    cell = row.records[0].cell
    apart = []
    if cell.device != device:
        apart.append(f"on the {cell.device}: {row.adapter} does not run on {device}")
    if cell.division == "open" and not _is_own_example(cell):
        reason = "; ".join(filter(None, (row.reason, *apart)))
        return replace(row, tier="open", apart=", ".join(["open division", *apart]), reason=reason)
    table = families()[cell.family].tables[cell.table]
    if not table.compared:
        apart.append(table.about)
    row = replace(row, apart=", ".join(apart))
    if other_outcomes:
        ended = (f"{status} in {count}" for status, count in other_outcomes.items())
        return _not_compared(row, f"{', '.join(ended)} of {row.planned} seeds")
    if row.parity is None and not _is_own_example(cell):
        return _not_compared(row, "no parity certificate")
    if row.parity == "wrong":
        return _not_compared(row, "parity wrong")
    if row.apart:
        return _not_compared(row, row.apart)
    if _is_own_example(cell):
        return replace(row, tier="own example")
    if cell.reference:
        return replace(row, tier="reference")
    return replace(row, tier="reduced precision" if row.parity == "reduced precision" else "compared")


def _is_own_example(cell: Cell) -> bool:
    table = families()[cell.family].tables.get(cell.table)
    return table is not None and table.own_example


def _not_compared(row: Row, obstacle: str) -> Row:
    reason = "; ".join(filter(None, (row.reason, f"not compared: {obstacle}")))
    return replace(row, tier="not compared", reason=reason)


_Pairs = dict[tuple[tuple[str, str], tuple[str, str]], Difference]


def _compared(rows: Sequence[Row], heats: Sequence[Heat]) -> tuple[list[Row], str, Ratio | None, _Pairs]:
    """All rows in reading order with ratios and groups, the baseline's name, the control, all differences."""
    rest = [row for row in rows if row.tier not in TIMED]
    members: list[Row] = []
    asked = [row for row in rows if row.tier in TIMED]
    baseline = min(asked, key=lambda row: _order(row.records[0].cell), default=None)
    of_all = _spread(asked, heats)
    for row in asked:
        ratio = _ratio(row, baseline, heats, of_all) if baseline else None
        if ratio is None:
            rest.append(_not_compared(row, "no undisturbed round beside the baseline"))
        else:
            members.append(replace(row, ratio=ratio))
    members.sort(key=lambda row: (row.ratio.ratio if row.ratio else 0.0, row.key))
    limit = next((row for row in members if row.tier == "reference"), None)
    if limit is not None:
        members = [replace(row, over_limit=_ratio(row, limit, heats, of_all)) for row in members]
    found = {
        (slow.key, fast.key): _ratio(slow, fast, heats, of_all)
        for fast, slow in combinations(members, 2)
        if _belong_together(slow, fast)
    }
    control = over_seeds([heat.control for heat in heats if heat.control])
    verdicts = differences(found, control)
    pairs = {pair: Difference(ratio, verdicts[pair]) for pair, ratio in found.items()}
    ordered = [row for tier in RANKED for row in _tied([r for r in members if r.tier == tier], pairs)]
    ordered += [row for row in members if row.tier not in RANKED]
    rest.sort(
        key=lambda row: (row.status != "ok", row.status == PENDING, row.adapter, row.variant, row.status)
    )
    return ordered + rest, " ".join(baseline.key) if baseline and members else "", control, pairs


def _belong_together(one: Row, other: Row) -> bool:
    """Whether there is a verdict on two rows: the same work, or an adapter beside its framework's example."""
    if one.tier == other.tier:
        return one.tier in RANKED
    return one.adapter == other.adapter and {one.tier, other.tier} == {"compared", "own example"}


def _spread(rows: Sequence[Row], heats: Sequence[Heat]) -> Spread | None:
    """How far the heats lie apart, of the ranked rows that are in all of them, and of the control."""
    ratios: dict[Hashable, list[Ratio | None]] = {"control": [heat.control for heat in heats]}
    for row in rows:
        own = {record.cell.heat: record for record in row.records}
        if row.tier in RANKED:
            ratios[row.key] = [heat.ratio(own[heat.key]) if heat.key in own else None for heat in heats]
    return spread({key: [ratio.ratio for ratio in of if ratio] for key, of in ratios.items() if all(of)})


def _ratio(of: Row, to: Row, heats: Sequence[Heat], of_all: Spread | None) -> Ratio | None:
    """The time of one row over that of another, of all heats that both are in."""
    theirs = {record.cell.heat: record for record in to.records}
    by_key = {heat.key: heat for heat in heats}
    ratios = [
        by_key[record.cell.heat].between(record, theirs[record.cell.heat])
        for record in of.records
        if record.cell.heat in by_key and record.cell.heat in theirs
    ]
    holds = of_all and of is not to and {of.key, to.key} <= of_all.steady
    return over_seeds([ratio for ratio in ratios if ratio], of_all if holds else None)


def _tied(rows: Sequence[Row], pairs: _Pairs) -> list[Row]:
    """The rows, fastest first, with groups: one that is slower than the first of a group begins another."""
    grouped: list[Row] = []
    first, letter = None, "a"
    for row in rows:
        word = pairs[row.key, first.key].verdict.word if first else ""
        if word == "slower":
            letter = chr(ord(letter) + 1)
        if first is None or word == "slower":
            first = row
        grouped.append(replace(row, group=letter + "?" * (word == "undecided")))
    return grouped
