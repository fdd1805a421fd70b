"""How many synaptic operations the work takes, and how far each framework is from what they take at least.

The floor is the time of the least operations at the speed of the machine's matrix products, or of the
least bytes at the speed of its memory, whichever is longer.  Both speeds are measured once a run, on all its
threads.
"""

from __future__ import annotations

from math import prod
from statistics import median

from bench.measure.peaks import Peaks
from bench.records import Cell
from bench.report import text
from bench.report.figures import FIGURES
from bench.report.sections import Row, Section
from bench.report.tables import Entry, Group, Heading, Table
from tasks.families import families

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
FLOOR = (
    "The floor is what the least operations take at the speed of this machine's matrix products, each a "
    "multiplication and an addition, or the least bytes at the speed of its memory, whichever is longer; "
    "both speeds are those of all its cores."
)


def trained(section: Section, peaks: Peaks | None) -> Table:
    """A line a row that has been counted; without any the table has no group."""
    headings = [
        Heading("adapter"),
        *(Heading(figure.heading, numeric=True, tip=figure.meaning) for figure in _COUNTS),
        Heading(
            "least bytes per training image",
            numeric=True,
            tip="The image, a byte a pixel, and its part of what every batch reads and writes: all "
            "parameters and the moments that the optimiser keeps of them.",
        ),
        Heading("epoch / floor", numeric=True, tip=FLOOR),
    ]
    rows = [
        [
            Entry(row.adapter, row.variant),
            *(Entry(figure.spell(median(row.values(figure.name)))) for figure in _COUNTS),
            Entry(text.whole(_training_bytes(section.cell, row))),
            Entry(_over_floor_trained(section.cell, row, peaks)),
        ]
        for row in section.rows
        if row.comparable and all(row.values(figure.name) for figure in _COUNTS)
    ]
    return Table(headings, [Group(rows)] if rows else [])


def _training_bytes(cell: Cell, row: Row) -> float:
    task = families()[cell.family].tasks[cell.task](**cell.task_values)
    moved = 6 if task.optimizer == "adam" else 2  # times the parameters: they and, with Adam, two moments
    return float(prod(task.input_shape) + moved * median(row.values("footprint_bytes")) / task.batch)


def _over_floor_trained(cell: Cell, row: Row, peaks: Peaks | None) -> str:
    speeds = row.values("images_per_second")
    if peaks is None or not speeds:
        return text.ABSENT
    least = least_seconds(peaks, 2 * median(row.values("training_operations")), _training_bytes(cell, row))
    return text.significant(1 / median(speeds) / least)


def least_seconds(peaks: Peaks, operations: float, moved: float) -> float:
    """Seconds that so many additions and multiplications, and so many bytes, take at least."""
    return max(operations / peaks.operations_per_second, moved / peaks.bytes_per_second)
