"""One table of a whole run: every framework, every task, time over that of the fastest."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.records import Manifest
from bench.report.figures import FIGURES
from bench.report.pages import page_of
from bench.report.sections import Row, Section
from bench.report.tables import Entry, Group, Heading, Table
from bench.report.text import ABSENT, times

_MEMORY = FIGURES["host_peak_bytes"]


def in_order(manifest: Manifest, found: Sequence[Section]) -> list[Section]:
    """The sections in the order in which the profile names their tasks."""
    asked: list[str] = list(manifest.profile_values.get("tasks", ()))
    return sorted(found, key=lambda s: asked.index(s.cell.task) if s.cell.task in asked else len(asked))


def overview(found: Sequence[Section]) -> Table:
    """A row for everyone who did any of the work, by name, references last; then what the fastest takes."""
    did = [row for section in found for row in section.rows if row.status == "ok"]
    references = {row.adapter: row.records[0].cell.reference for row in did}
    rows = [
        [
            Entry(name, "no framework" if references[name] else ""),
            *(_entry(section, name) for section in found),
            _memory(found, name),
        ]
        for name in sorted(references, key=lambda name: (references[name], name))
    ]
    rows.append([Entry("the fastest takes"), *map(_pace, found), Entry("")])
    headings = [Heading("framework"), *(Heading(section.title, numeric=True) for section in found)]
    return Table([*headings, Heading("peak memory (MB)", numeric=True)], [Group(rows)])


def _entry(section: Section, adapter: str) -> Entry:
    """Time over the fastest's and the tie group; or, in words, why there is none."""
    rows = _of(section, adapter)
    if not rows:
        return Entry(ABSENT)
    first, fastest = rows[0], section.rows[0]
    if fastest.tier != "compared":
        return Entry(ABSENT)
    if first.tier == "compared":
        known = section.difference(first, fastest)
        ratio = known.ratio.ratio if known and known.ratio else 1.0
        return Entry(times(ratio), f"= {first.group}")
    if first.tier == "reference" and fastest.over_limit:
        return Entry(times(1 / fastest.over_limit.ratio))
    return Entry(_in_place(rows))


def _in_place(rows: Sequence[Row]) -> str:
    """What stands in the place of a time that is compared."""
    if any(row.tier == "open" for row in rows):
        return "own way only"
    row = min(rows, key=lambda row: row.status != "ok")
    if row.status == "skipped":
        return "skipped" if row.variant else "no adapter"
    return row.status.replace("_", " ") if row.status != "ok" else "not compared"


def _of(section: Section, adapter: str) -> list[Row]:
    """An adapter's rows, compared ones first; its framework's own example is no row of the task."""
    return [row for row in section.rows if row.adapter == adapter and row.tier != "own example"]


def _memory(found: Sequence[Section], adapter: str) -> Entry:
    """Smallest and largest peak of the rows that the table shows."""
    shown = [rows[0] for section in found if (rows := _of(section, adapter))]
    peaks = [median(values) for row in shown if (values := row.values(_MEMORY.name))]
    if not peaks:
        return Entry(ABSENT)
    return Entry("–".join(dict.fromkeys(map(_MEMORY.spell, (min(peaks), max(peaks))))))


def _pace(section: Section) -> Entry:
    """What the fastest takes, in its unit."""
    pace = page_of(section.cell.family).pace
    values = section.rows[0].values(pace) if pace else []
    if section.rows[0].tier != "compared" or not values:
        return Entry(ABSENT)
    return Entry(FIGURES[pace].spell(median(values)), FIGURES[pace].heading)
