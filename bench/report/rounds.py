"""The plot of a section's rounds: what this run can tell apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import seaborn as sns
from matplotlib.figure import Figure

from bench.records import Record
from bench.report.drawing import INK, PAPER, WIDTH, Kind, Styles, fitted_logarithm, note
from bench.report.sections import Row, Section
from bench.report.sentences import interval
from bench.report.statistics import Ratio, floor, in_rounds
from bench.report.text import gap, times

_SPREAD = 0.56  # of a line's height, taken by its rounds from first to last
_GREY = "#6b7280"  # of the control, which is no framework


@dataclass(frozen=True, slots=True)
class _Line:
    """``dots``: the ratio of every round, and whether it is left out."""

    name: str
    dots: list[tuple[float, bool]]
    ratio: Ratio | None
    colour: Any
    marker: str


def draw(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """A line per row and one of the control: its rounds, their interval and median."""
    lines = [line for line in _lines(section, rows, look) if line.dots]
    if not lines:
        return None
    figure = Figure(figsize=(WIDTH, 1.5 + 0.5 * len(lines)), layout="constrained")
    axes = figure.subplots()
    counts = floor(section.control)
    if counts is not None:
        axes.axvspan(1 / counts, counts, color=INK, alpha=0.08, linewidth=0)
    axes.axvline(1.0, color=INK, linewidth=0.9)
    for place, line in enumerate(lines):
        step = _SPREAD / max(1, len(line.dots) - 1)
        for hollow in (False, True):
            points = [
                (ratio, place - _SPREAD / 2 + number * step)
                for number, (ratio, is_disturbed) in enumerate(line.dots)
                if is_disturbed == hollow
            ]
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                linestyle="",
                marker=line.marker,
                markersize=4.0,
                markerfacecolor=PAPER if hollow else line.colour,
                markeredgecolor=line.colour,
                markeredgewidth=0.8 if hollow else 0.0,
                alpha=0.8,
                zorder=3,
            )
        if line.ratio is not None:
            if line.ratio.low is not None and line.ratio.high is not None:
                axes.plot(
                    [line.ratio.low, line.ratio.high], [place, place], color=INK, linewidth=2.4, zorder=4
                )
            axes.plot([line.ratio.ratio] * 2, [place - 0.3, place + 0.3], color=INK, linewidth=1.6, zorder=4)
    axes.set_xscale("log")
    # below the whole figure: below the axes alone it would be cut off at the right
    note(
        figure,
        f"time / that of {section.baseline} in the same round, logarithmic; below 1: faster; "
        "black: median and 95 % interval; hollow: disturbed and left out; grey: gaps that don't count",
    )
    fitted_logarithm(axes.xaxis, [ratio for line in lines for ratio, _ in line.dots])
    axes.set_yticks(range(len(lines)), [_label(line) for line in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    sns.despine(ax=axes, left=True)
    where = f"{section.title} on {section.cell.device}"
    finding = (
        "no gap counts, for want of a control" if counts is None else f"only gaps above {gap(counts)} count"
    )
    figure.suptitle(f"{where}: {finding} in this run")
    return figure


def _lines(section: Section, rows: Sequence[Row], look: Styles) -> list[_Line]:
    """The control, and every compared row but the baseline's own, whose ratio is always 1."""
    heats = {heat.key: heat for heat in section.heats}

    def dots(records: Iterable[Record]) -> list[tuple[float, bool]]:
        found = []
        for record in records:
            if (heat := heats.get(record.cell.heat)) and heat.baseline:
                found += in_rounds(record, heat.baseline)
        return found

    controls = [record for heat in section.heats if heat.control for record in heat.records]
    repeated = dots(record for record in controls if record.cell.stage == "control")
    found = [_Line(f"control: {section.baseline}", repeated, section.control, _GREY, "o")]
    for row in rows:
        if row.ratio is not None and " ".join(row.key) != section.baseline:
            shape = look[row.key]
            found.append(_Line(shape.label, dots(row.records), row.ratio, shape.colour, shape.marker))
    return found


def _label(line: _Line) -> str:
    return f"{line.name}\n{times(line.ratio.ratio)} ({interval(line.ratio)})" if line.ratio else line.name


KIND = Kind(
    "rounds",
    "every round beside the baseline's",
    "speed",
    draw,
    needs="it takes rounds of two frameworks or of a control",
)
