"""The report's tables, before they become HTML or Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bench.measure.gpu import held_back
from bench.records import Cell, Manifest, Metric, Record, dumps
from bench.report import sentences, text
from bench.report.figures import FIGURES, Figure
from bench.report.pages import Page, network_of
from bench.report.sections import PENDING, TIERS, Row, Section, Tier
from bench.report.text import ABSENT
from tasks.families import families


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in one place of a table; ``note`` is smaller, below or in brackets; ``tip`` on demand.

    ``link``: where the page leads from here.
    """

    text: str
    note: str = ""
    tip: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a column.

    ``numeric`` is aligned to the right.  ``note`` is smaller, ``tip`` on demand, ``link`` where the page
    leads from here.  ``below`` is a long text, mostly empty, that says more about the row: the page gives it
    a line of its own beneath the row.
    """

    text: str
    numeric: bool = False
    below: bool = False
    note: str = ""
    tip: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together, with a title unless there is nothing to tell apart."""

    rows: list[list[Entry]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and groups of rows, every row as long as the headings."""

    headings: list[Heading]
    groups: list[Group]


_TIER_TITLES: dict[Tier, str] = {
    "compared": "Compared, by time / baseline",
    "reduced precision": "Reduced precision, compared apart",
    "own example": "Beside them: examples that frameworks ship or document, which do not do the same work",
    "reference": "The limit: kernels written by hand, no framework; never ranked",
    "open": "Open division: the same data and goal, the framework's own way; not compared",
    "not compared": "Not compared",
}
_OTHER_NETWORK = "ran another network"
_OVER_LIMIT = "time / limit"
_HELD_BACK = "the device's clocks were held back by"


def comparison(section: Section, page: Page) -> Table:
    """All adapters and variants of one section."""
    columns = figures_of(section, page)
    counts = {figure.name: _counts(section.rows, page, figure) for figure in columns}
    headings = [
        Heading("adapter"),
        Heading("time / baseline", numeric=True),
        Heading("tie group"),
        Heading(_OVER_LIMIT, numeric=True, tip="How many times as long as the fastest reference it takes."),
        *(
            Heading(figure.heading, numeric=True, note=_common(counts[figure.name]), tip=figure.meaning)
            for figure in columns
        ),
        Heading("parity"),
        Heading("seeds", numeric=True),
        Heading("status"),
        Heading("reason", below=True),
        Heading(_OTHER_NETWORK, below=True),
        Heading(_HELD_BACK, below=True),
    ]
    lines = []
    for row in section.rows:
        of = {name: "" if _common(count) else count.get(_key(row), "") for name, count in counts.items()}
        entries = [
            names(row),
            _ratio(row, section),
            Entry(f"= {row.group}" if row.group else ""),
            over_limit(row),
            *(_figure(row, figure, of[figure.name]) for figure in columns),
            Entry(row.parity or ABSENT, tip=_certified(row)),
            Entry(str(row.seeds) if row.seeds == row.planned else f"{row.seeds} of {row.planned}"),
            Entry(row.status),
            Entry(row.reason),
            Entry(_network(row)),
            Entry(_held_back(row)),
        ]
        lines.append((row, entries))
    table = by_tier(headings, lines)
    optional = ("tie group", _OVER_LIMIT, _OTHER_NETWORK, _HELD_BACK)
    return _without(table, [title for title in optional if _is_empty(table, title)])


def _held_back(row: Row) -> str:
    reasons = held_back(turn.gpu for record in row.records for turn in record.turns if turn.gpu)
    return reasons if reasons and reasons != "none" else ""


def brief(section: Section, page: Page) -> Table:
    """The rows of a section that have figures, and only the figures that decide: for a README."""
    rows = tuple(row for row in section.rows if row.status == "ok")
    return _without(deciding(replace(section, rows=rows), page), ["status", "reason"])


def deciding(section: Section, page: Page) -> Table:
    """All rows of a section, and only the figures that decide: for the width of a sheet of paper."""
    table = comparison(section, replace(page, others=("best_test_accuracy", "host_peak_bytes")))
    return _without(table, ["seeds"])


def figures_of(section: Section, page: Page) -> list[Figure]:
    """The figures that have a column: the page's first two, and of the others what any row has."""
    measured = {name for row in section.rows for record in row.records for name in record.figures}
    first = [name for name in (page.quality, page.pace) if name]
    others = page.others if first else FIGURES
    return [FIGURES[name] for name in [*first, *(name for name in others if name in measured)]]


def by_tier(headings: list[Heading], lines: Sequence[tuple[Row, list[Entry]]]) -> Table:
    """A group for each tier that has lines."""
    groups = []
    for tier in TIERS:
        if rows := [line for row, line in lines if row.tier == tier]:
            groups.append(Group(rows, _TIER_TITLES[tier]))
    return Table(headings, groups)


def names(row: Row) -> Entry:
    """Who ran."""
    return Entry(row.adapter, row.variant)


def _ratio(row: Row, section: Section) -> Entry:
    """Time over the baseline's, with its 95 % interval and the rounds of which it is made."""
    if row.ratio is None:
        return Entry(ABSENT)
    if f"{row.adapter} {row.variant}" == section.baseline:
        return Entry("1", "baseline")
    return Entry(text.times(row.ratio.ratio), sentences.interval(row.ratio))


def over_limit(row: Row) -> Entry:
    """Time over that of the fastest reference, with its 95 % interval."""
    ratio = row.over_limit
    if ratio is None:
        return Entry("")
    if row.tier == "reference" and ratio.ratio == 1:
        return Entry("1", "limit")
    between = ""
    if ratio.low is not None and ratio.high is not None:
        between = f"{text.significant(ratio.low)}–{text.significant(ratio.high)}"
    return Entry(text.significant(ratio.ratio), between)


def summary(
    figure: Figure,
    values: list[float],
    seeds: int,
    summarise: Callable[[list[float]], float] = median,
    of: str = "",
) -> Entry:
    """The figure's summary of the seeds that have it, with their range; ``of`` what each is made of."""
    if not values:
        return Entry(ABSENT)
    notes = [of] if of else []
    if len(values) > 1:
        notes.append(text.span(values, figure.spell))
    if len(values) < seeds:
        notes.append(f"n = {len(values)}")
    return Entry(figure.spell(summarise(values)), ", ".join(notes))


def _figure(row: Row, figure: Figure, of: str) -> Entry:
    return summary(figure, row.values(figure.name), row.seeds, of=of)


def _key(row: Row) -> tuple[str, str, str]:
    return row.adapter, row.variant, row.status


def _counts(rows: Iterable[Row], page: Page, figure: Figure) -> dict[tuple[str, str, str], str]:
    """What the figure of each row is made of, as "2 epochs"; rows without the figure are left out."""
    found = {}
    for row in rows:
        each = dict.fromkeys(
            page.of(record).get(figure.name, "") for record in row.records if figure.name in record.figures
        )
        if each:
            found[_key(row)] = " or ".join(filter(None, each))
    return found


def _common(counts: Mapping[tuple[str, str, str], str]) -> str:
    """What all rows have in common, so that it is said once; empty where they differ."""
    distinct = set(counts.values())
    return distinct.pop() if len(distinct) == 1 else ""


def _network(row: Row) -> str:
    """What ran where that is not the task's network."""
    return "; ".join(dict.fromkeys(record.network for record in row.records if record.network))


def _certified(row: Row) -> str:
    """When and where the certificates of a row were made."""
    found = dict.fromkeys(_made(record) for record in row.records if record.made)
    return f"certified {'; '.join(found)}" if found else ""


def _made(record: Record) -> str:
    return " on ".join(filter(None, (record.made[:16].replace("T", " "), record.machine)))


def _is_empty(table: Table, title: str) -> bool:
    place = [heading.text for heading in table.headings].index(title)
    return not any(row[place].text for group in table.groups for row in group.rows)


def _without(table: Table, titles: Sequence[str]) -> Table:
    """The table without the columns of these titles."""
    keep = [place for place, heading in enumerate(table.headings) if heading.text not in titles]
    return Table(
        [table.headings[place] for place in keep],
        [
            Group([[row[place] for place in keep] for row in group.rows], group.title)
            for group in table.groups
        ],
    )


def as_markdown(table: Table) -> str:
    """The table in Markdown; titles stand in it where there are several groups."""
    lines = [
        _line(f"{text.markdown(h.text)}{_in_brackets(h.note)}" for h in table.headings),
        _line("---:" if heading.numeric else "---" for heading in table.headings),
    ]
    for group in table.groups:
        if len(table.groups) > 1:
            lines.append(_line([f"**{text.markdown(group.title)}**", *[""] * (len(table.headings) - 1)]))
        lines += [
            _line(f"{text.markdown(entry.text)}{_in_brackets(entry.note)}" for entry in row)
            for row in group.rows
        ]
    return "\n".join(lines)


def _line(parts: Iterable[str]) -> str:
    return f"| {' | '.join(parts)} |"


def _in_brackets(note: str) -> str:
    return f" ({text.markdown(note)})" if note else ""


def certificates(manifest: Manifest, records: Iterable[Record]) -> list[tuple[str, Table]]:
    """The parity certificates of each family, with every kind of deviation beside its bound."""
    finished = {record.cell.cell: record for record in records}
    by_family: dict[str, list[Cell]] = {}
    for cell in manifest.cells:
        if cell.stage == "certify":
            by_family.setdefault(cell.family, []).append(cell)
    return [
        (families()[name].noun if name in families() else name, _certificates(cells, finished))
        for name, cells in sorted(by_family.items())
    ]


def _certificates(cells: list[Cell], finished: Mapping[str, Record]) -> Table:
    cells.sort(key=lambda cell: (cell.task, cell.adapter, cell.way))
    found = [finished[cell.cell] for cell in cells if cell.cell in finished]
    # a bound of 0 is a yes or no; those are counted together
    graded = [m.metric for record in found for m in record.metrics if m.bound]
    columns = list(dict.fromkeys(graded))
    headings = [
        Heading("task"),
        Heading("adapter"),
        Heading("parity"),
        *(Heading(metric, numeric=True, note="found / allowed") for metric in columns),
        Heading("checks passed", numeric=True),
        Heading("made"),
        Heading("status"),
        Heading("reason", below=True),
    ]
    rows = []
    for cell in cells:
        peers = (other.task_values for other in cells if other.task == cell.task)
        first = [Entry(text.titled(cell.task, cell.task_values, peers)), Entry(cell.adapter, cell.way)]
        rows.append([*first, *_certificate(cell, finished.get(cell.cell), columns)])
    return Table(headings, [Group(rows)])


def _certificate(cell: Cell, record: Record | None, columns: Sequence[str]) -> list[Entry]:
    if record is None:
        return [*[Entry(ABSENT)] * (3 + len(columns)), Entry(PENDING), Entry("")]
    judged = [metric for metric in record.metrics if metric.bound is not None]
    passed = sum(metric.value <= metric.bound for metric in judged if metric.bound is not None)
    return [
        Entry(record.parity or ABSENT),
        *(_deviation([m for m in record.metrics if m.metric == c], cell.precision) for c in columns),
        Entry(f"{passed} of {len(judged)}" if judged else ABSENT),
        Entry(_made(record) or ABSENT),
        Entry(record.status),
        Entry(text.first_line(record.reason)),
    ]


def _deviation(metrics: Iterable[Metric], asked: str) -> Entry:
    """The worst of one kind beside its bound: in the precision that was asked for, and in the others."""
    worst: dict[str, Metric] = {}
    for metric in metrics:
        precision = str(metric.of.get("precision", asked))
        known = worst.get(precision)
        if known is None or _badness(metric) > _badness(known):
            worst[precision] = metric
    if not worst:
        return Entry(ABSENT)
    main = worst.pop(asked, None)
    others = ", ".join(f"{precision}: {against_bound(metric)}" for precision, metric in worst.items())
    return Entry(
        against_bound(main) if main else ABSENT, others, str(main.of.get("probe", "")) if main else ""
    )


def _badness(metric: Metric) -> float:
    """By which deviations are ordered: what is not a number is worse than any number."""
    return metric.value if math.isfinite(metric.value) else math.inf


def against_bound(metric: Metric) -> str:
    """A deviation and what it may be: 2.5e-07 / 1e-05."""
    return f"{metric.value:.2g} / {ABSENT if metric.bound is None else format(metric.bound, '.2g')}"


def tasks(found: Iterable[Section]) -> Table:
    """What each section asks for."""
    sections = list(found)
    columns = list(dict.fromkeys(name for section in sections for name in section.cell.work))
    headings = [Heading("task"), Heading("network")]
    headings += [Heading(name.replace("_", " "), numeric=True) for name in columns]
    headings += [Heading("precision"), Heading("task values")]
    rows = []
    for section in sections:
        cell = section.cell
        values = ", ".join(f"{key} {value}" for key, value in text.flatten(cell.task_values))
        rows.append(
            [
                Entry(section.title),
                Entry(network_of(section.cell)),
                *(Entry(_amount(cell.work.get(name))) for name in columns),
                Entry(cell.precision),
                Entry(values or "the task's own"),
            ]
        )
    return Table(headings, [Group(rows)])


def _amount(value: object) -> str:
    if value is None:
        return ABSENT
    return text.whole(value) if isinstance(value, int) else text.plain(value)


def pairs(values: Mapping[str, object], title: str) -> Table:
    """Every value of a nested mapping, one a row."""
    rows = [[Entry(key), Entry(value)] for key, value in text.flatten(values)]
    return Table([Heading(title), Heading("value")], [Group(rows)])


def versions(records: Iterable[Record]) -> Table:
    """Packages of each adapter; a variant has its own row where its packages differ."""
    variants: dict[tuple[str, str], dict[str, None]] = {}
    spelled: dict[tuple[str, str], str] = {}
    for record in records:
        if record.versions:
            key = (record.cell.adapter, dumps(record.versions))
            variants.setdefault(key, {})[record.cell.variant] = None
            spelled[key] = ", ".join(f"{name} {value}" for name, value in sorted(record.versions.items()))
    rows = [
        [Entry(key[0]), Entry(", ".join(sorted(variants[key]))), Entry(spelled[key])]
        for key in sorted(spelled)
    ]
    return Table([Heading("adapter"), Heading("variants"), Heading("packages")], [Group(rows)])


def settings_read_back(records: Iterable[Record]) -> Table:
    """Settings as the adapters read them back, all values that occurred in their timed cells."""
    adapters: dict[str, dict[str, dict[str, None]]] = {}
    for record in records:
        if record.cell.stage == "certify":
            continue
        for key, value in text.flatten(record.settings):
            values = adapters.setdefault(record.cell.adapter, {}).setdefault(key, {})
            values[value] = None
    keys = sorted({key for values in adapters.values() for key in values})
    rows = [
        [Entry(adapter), *(Entry(", ".join(sorted(values.get(key, {ABSENT: None})))) for key in keys)]
        for adapter, values in sorted(adapters.items())
    ]
    return Table([Heading("adapter"), *(Heading(key) for key in keys)], [Group(rows)])
