"""One screen of a whole run: what every framework came to in every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench.catalogue import Adapter
from bench.records import Cell, Manifest, dumps
from bench.report import text
from bench.report.figures import FIGURES, Figure
from bench.report.links import Links
from bench.report.pages import Page
from bench.report.sections import RANKED, Row, Section
from bench.report.statistics import Ratio, inverse
from bench.report.tables import Entry, Group, Heading, Table

MOST = 6  # tasks in one table; of more, each task has its first size alone
_PEAKS = ("device_allocated_bytes", "host_peak_bytes")  # the first that was measured is shown


@dataclass(frozen=True, slots=True)
class Standing:
    """What one framework came to in one task.

    ``ratio``: its time over that of the fastest, 1 for the fastest itself; None where it is not compared,
    and then ``words`` say what there is in place of it.  ``is_first``: one of several that are not told apart
    from the fastest.
    """

    row: Row
    ratio: Ratio | None
    words: str
    is_first: bool


def in_order(manifest: Manifest, found: Sequence[Section]) -> list[Section]:
    """The sections in the order in which the profile names their tasks, and the sizes of each."""
    asked = list(manifest.profile_values.get("tasks", ()))
    planned: dict[str, int] = {}
    for place, cell in enumerate(manifest.cells):
        planned.setdefault(_size(cell), place)

    def place_of(section: Section) -> tuple[int, int]:
        cell = section.cell
        return asked.index(cell.task) if cell.task in asked else len(asked), planned[_size(cell)]

    return sorted(found, key=place_of)


def _size(cell: Cell) -> str:
    return dumps([cell.task, cell.task_values])


def shown(found: Sequence[Section]) -> list[Section]:
    """The sections of the overview: all of them, or of too many the first of each task."""
    if len(found) <= MOST:
        return list(found)
    return list({section.cell.task: section for section in reversed(found)}.values())[::-1]


def frameworks(found: Sequence[Section]) -> list[str]:
    """Adapters that did any of the work, the baseline first, references last, the others by name."""
    order: dict[str, tuple[bool, bool, str]] = {}
    for section in found:
        for row in section.rows:
            if row.status == "ok":
                cell = row.records[0].cell
                known = order.get(row.adapter, (True, True, row.adapter))
                order[row.adapter] = (cell.reference, known[1] and not cell.baseline, row.adapter)
    return sorted(order, key=lambda name: order[name])


def _references(found: Sequence[Section]) -> set[str]:
    """Adapters that are no framework."""
    cells = [record.cell for section in found for row in section.rows for record in row.records]
    return {cell.adapter for cell in cells if cell.reference}


def peak(found: Sequence[Section]) -> Figure:
    """The peak memory that the run is about: the device's, where there is one."""
    measured = {name for section in found for row in section.rows for r in row.records for name in r.figures}
    return next((FIGURES[name] for name in _PEAKS if name in measured), FIGURES[_PEAKS[-1]])


def standing(section: Section, adapter: str) -> Standing | None:
    """Of an adapter's rows the one that counts: the fastest compared one, or what stands in its place."""
    rows = [row for row in section.rows if row.adapter == adapter and row.tier != "own example"]
    if not rows:
        return None
    row = min(rows, key=lambda row: (row.tier not in RANKED, row.status != "ok", _is_open(row)))
    first = leaders(section)
    return Standing(row, _over_fastest(section, row), _in_place(row), row in first and len(first) > 1)


def _is_open(row: Row) -> bool:
    return bool(row.records) and row.records[0].cell.division == "open"


def fastest(section: Section) -> Row | None:
    """The first of the ranked rows."""
    return next((row for row in section.rows if row.tier in RANKED), None)


def leaders(section: Section) -> list[Row]:
    """The fastest of the ranked rows, and those that are not told apart from it."""
    first = fastest(section)
    return [
        row
        for row in section.rows
        if first
        and row.tier == first.tier
        and ((known := section.difference(row, first)) is None or known.verdict.word != "slower")
    ]


def _over_fastest(section: Section, row: Row) -> Ratio | None:
    first = fastest(section)
    if first is None or row.ratio is None or first.ratio is None:
        return None
    if row.key == first.key:
        return replace(row.ratio, ratio=1.0, low=None, high=None)
    if row.tier == "reference":
        return inverse(first.over_limit) if first.over_limit else None
    if difference := section.difference(row, first):
        return difference.ratio
    return replace(row.ratio, ratio=row.ratio.ratio / first.ratio.ratio, low=None, high=None)


def _in_place(row: Row) -> str:
    """What stands in place of a time that is compared."""
    if row.status == "skipped":
        return "not possible" if row.records[0].cell.table else "no adapter"
    if row.status == "pending":
        return "pending"
    if row.status != "ok":
        return "failed: other work" if row.status == "wrong" else f"failed: {row.status.replace('_', ' ')}"
    if row.tier == "open":
        return "own way only"
    cell = row.records[0].cell
    return f"{cell.table} only" if row.apart and not cell.compared else "not compared"


def table(
    found: Sequence[Section], pages: Mapping[str, Page], adapters: Mapping[str, Adapter], links: Links
) -> Table:
    """A row a framework, a column a task: time over that of the fastest, and who is not told apart from it.

    Which of the slower ones are tied with one another is for the tables of the tasks: near a difference of
    5 % that changes from run to run.
    """
    names, references = frameworks(found), _references(found)
    headings = [
        Heading("framework"),
        *(
            Heading(
                section.title, numeric=True, tip="Time over that of the fastest.", link=f"#{anchor(section)}"
            )
            for section in found
        ),
        Heading("peak MB", numeric=True, tip=peak(found).meaning),
        Heading("variant, code", tip="The variant that is shown, and the adapter's code."),
    ]
    rows = []
    for name in names:
        standings = [standing(section, name) for section in found]
        rows.append(
            [
                Entry(name, "no framework" if name in references else ""),
                *(_entry(each) for each in standings),
                _memory([each.row for each in standings if each], peak(found)),
                _code(name, [each.row for each in standings if each], adapters, links),
            ]
        )
    quickest = [Entry("fastest takes"), *(_pace(section, pages) for section in found), Entry(""), Entry("")]
    return Table(headings, [Group([*rows, quickest])] if rows else [])


def anchor(section: Section) -> str:
    """Where the page speaks of the section's times."""
    return f"speed-{section.slug}"


def _entry(known: Standing | None) -> Entry:
    if known is None:
        return Entry(text.ABSENT)
    if known.ratio is None:
        return Entry(known.words, tip=known.row.reason or known.row.apart)
    low, high = known.ratio.low, known.ratio.high
    between = "" if low is None or high is None else f"{text.times(low)}–{text.times(high)}"
    tip = f"95 % interval {between}, {known.ratio.rounds} rounds" if between else ""
    return Entry(f"{'= ' * known.is_first}{text.times(known.ratio.ratio)}×", between, tip)


def _memory(rows: Sequence[Row], shown: Figure) -> Entry:
    values = [median(found) for row in rows if (found := row.values(shown.name))]
    if not values:
        return Entry(text.ABSENT)
    spelled = dict.fromkeys(shown.spell(value) for value in (min(values), max(values)))
    return Entry("–".join(spelled))


def _code(name: str, rows: Sequence[Row], adapters: Mapping[str, Adapter], links: Links) -> Entry:
    variants = ", ".join(dict.fromkeys(row.variant for row in rows if row.variant and row.status == "ok"))
    if adapter := adapters.get(name):
        return Entry(variants or name, tip=adapter.about, link=links.adapter(adapter))
    return Entry(variants)


def _pace(section: Section, pages: Mapping[str, Page]) -> Entry:
    first, name = fastest(section), pages[section.cell.family].pace
    values = first.values(name) if first and name else []
    if not values:
        return Entry(text.ABSENT)
    return Entry(FIGURES[name].spell(median(values)), FIGURES[name].heading)


def own_code(found: Sequence[Section], adapters: Mapping[str, Adapter], links: Links) -> Table:
    """What each adapter that is in the run does itself, variant by variant, in its own words."""
    ran = dict.fromkeys((row.adapter, row.records[0].cell.table, row.records[0].cell.variant)
        for section in found for row in section.rows if row.status == "ok")  # fmt: skip
    rows = [
        [
            Entry(name, link=links.adapter(adapter)),
            Entry(variant),
            Entry(adapter.variants(table)[variant]),
            Entry(adapter.about),
        ]
        for name, table, variant in sorted(ran)
        if (adapter := adapters.get(name)) and variant in adapter.variants(table)
    ]
    headings = [Heading("adapter"), Heading("variant"), Heading("what it does"), Heading("the adapter")]
    return Table(headings, [Group(rows)] if rows else [])
