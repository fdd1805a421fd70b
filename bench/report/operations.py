"""How many synaptic operations an image takes, and how far an epoch is from what they take at least."""

from __future__ import annotations

from statistics import median

from bench.measure.peaks import Peaks
from bench.report import text
from bench.report.figures import FIGURES
from bench.report.sections import Row, Section
from bench.report.tables import Entry, Group, Heading, Table

_COUNTS = tuple(
    FIGURES[name]
    for name in (
        "dense_synops",
        "effective_macs",
        "effective_acs",
        "training_operations",
        "footprint_bytes",
    )
)


def operations(section: Section, peaks: Peaks | None) -> Table:
    """A line a row that has been counted; without any the table has no group."""
    headings = [
        Heading("adapter"),
        *(Heading(figure.heading, numeric=True, tip=figure.meaning) for figure in _COUNTS),
        Heading(
            "epoch / products alone",
            numeric=True,
            tip="The time of an epoch over that of its least operations, each a multiplication and an "
            "addition, at the speed of this machine's matrix products. Work that knows its zeros, or adds in "
            "place of multiplying, may come near 1; nothing here takes the memory's time into account.",
        ),
    ]
    rows = [
        [Entry(row.adapter, row.variant), *_counts(row), Entry(_over_floor(row, peaks))]
        for row in section.rows
        if row.comparable and all(row.values(figure.name) for figure in _COUNTS)
    ]
    return Table(headings, [Group(rows)] if rows else [])


def _counts(row: Row) -> list[Entry]:
    return [Entry(figure.spell(median(row.values(figure.name)))) for figure in _COUNTS]


def _over_floor(row: Row, peaks: Peaks | None) -> str:
    """The epoch over the time of its products; what was not measured is absent."""
    speeds = row.values("images_per_second")
    if peaks is None or not speeds:
        return text.ABSENT
    least = 2 * median(row.values("training_operations")) / peaks.operations_per_second  # seconds an image
    return text.significant(1 / median(speeds) / least)
