"""Each framework's own example beside its fastest variant that does the task, and both beside the limit."""

from __future__ import annotations

from bench.measure.peaks import Peaks
from bench.report import sentences, text
from bench.report.figures import FIGURES
from bench.report.sections import Difference, Row, Section
from bench.report.tables import Entry, Group, Heading, Table, over_limit, summary
from bench.report.text import ABSENT

_PACE = FIGURES["epoch_seconds"]
_SAID = {"slower": "the example is slower", "faster": "the example is faster"}


def versus(section: Section, _: Peaks | None) -> Table:
    """A row for each example that was timed; without any the table has no group."""
    headings = [
        Heading("framework"),
        Heading("own example", numeric=True, note=_PACE.heading),
        Heading("our fastest", numeric=True, note=_PACE.heading),
        Heading("example / ours", numeric=True, tip="Above 1, ours takes less time."),
        Heading("says"),
        Heading("example / limit", numeric=True),
        Heading("ours / limit", numeric=True),
        Heading("the example", below=True),
    ]
    rows = [_line(section, row) for row in section.rows if row.tier == "own example"]
    return Table(headings, [Group(rows)] if rows else [])


def fastest_of(section: Section, adapter: str) -> Row | None:
    """An adapter's fastest row that does the task; compared rows stand in the order of their times."""
    return next((row for row in section.rows if (row.adapter, row.tier) == (adapter, "compared")), None)


def _line(section: Section, example: Row) -> list[Entry]:
    ours = fastest_of(section, example.adapter)
    difference = section.difference(example, ours) if ours else None
    ratio = difference.ratio if difference else None
    return [
        Entry(example.adapter),
        _pace(example),
        _pace(ours) if ours else Entry(ABSENT),
        Entry(text.times(ratio.ratio), sentences.interval(ratio)) if ratio else Entry(ABSENT),
        Entry(_said(difference)),
        over_limit(example),
        over_limit(ours) if ours else Entry(""),
        Entry("; ".join(dict.fromkeys(record.network for record in example.records if record.network))),
    ]


def _pace(row: Row) -> Entry:
    entry = summary(_PACE, row.values(_PACE.name), row.seeds)
    return Entry(entry.text, ", ".join(filter(None, (row.variant, entry.note))))


def _said(difference: Difference | None) -> str:
    if difference is None:
        return ABSENT
    verdict = difference.verdict
    said = _SAID.get(verdict.word, verdict.word)
    return f"{said}: {verdict.reason}" if verdict.reason else said
