"""The plot of a sweep: quality, time and memory over the value that is swept."""

from __future__ import annotations

from statistics import mean
from typing import Any

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bench.report.drawing import INK, LIMIT, PAPER, WIDTH, Styles, plain_logarithm, stroke
from bench.report.sweeps import Sweep, Value
from bench.report.text import plain

_LOGARITHMIC_FROM = 4.0  # ratio of the largest to the smallest value of what is swept
_FLAT_FROM = 10.0  # the same, of a time


def draw(sweep: Sweep, look: Styles) -> Figure | None:
    """A panel a figure: every seed is a point, and lines go through the means of an adapter and variant."""
    lines = sweep.lines()
    if not (sweep.figures and lines):
        return None
    figure = Figure(figsize=(WIDTH, 3.4 + 0.2 * len(lines)), layout="constrained")
    all_axes = figure.subplots(1, len(sweep.figures), squeeze=False)[0]
    for axes, shown in zip(all_axes, sweep.figures, strict=True):
        where = _places(axes, sweep)
        for number, (key, line) in enumerate(lines.items()):
            shape = look[key]
            known = {where[value]: found for value, row in line.items() if (found := row.values(shown.name))}
            # of a sweep of words, a line between them would mean nothing
            style: dict[str, Any] = stroke(shape, number, len(lines))
            if not sweep.is_numeric:
                style["linestyle"] = ""
            axes.plot(
                list(known),
                [shown.scale * mean(found) for found in known.values()],
                label=shape.label if axes is all_axes[0] else None,
                **style,
            )
            axes.plot(
                [x for x, found in known.items() for _ in found],
                [shown.scale * value for found in known.values() for value in found],
                linestyle="",
                marker="o",
                markersize=3,
                markerfacecolor=PAPER,
                markeredgecolor=INK,
                markeredgewidth=0.7,
                zorder=5,
                clip_on=False,
            )
        axes.set_title(shown.heading, loc="left", fontsize=9.5)
        if shown.name == sweep.pace and sweep.floor:
            axes.plot(
                [where[value] for value in sweep.floor],
                [shown.scale * least for least in sweep.floor.values()],
                color=LIMIT,
                linewidth=1.2,
                linestyle=(0, (1, 1.5)),
                label="memory and products alone",
            )
        if shown.name == sweep.pace and _spans(axes):
            axes.set_yscale("log")
            plain_logarithm(axes.yaxis)
            axes.set_title(f"{shown.heading}, logarithmic", loc="left", fontsize=9.5)
        axes.margins(x=0.08, y=0.12)
        sns.despine(ax=axes)
    scale = ", logarithmic" if all_axes[0].get_xscale() == "log" else ""
    # a label of the whole figure would lie under the legend
    middle = all_axes[(len(all_axes) - 1) // 2]
    middle.set_xlabel(f"{sweep.key.replace('_', ' ')}{scale}; small rings are seeds")
    figure.legend(loc="outside lower right", ncols=3)
    return figure


def _spans(axes: Axes) -> bool:
    """Whether the largest value drawn is so many times the smallest that small ones lie flat on the axis."""
    low, high = axes.dataLim.intervaly
    return bool(low > 0 and high / low >= _FLAT_FROM)


def _places(axes: Axes, sweep: Sweep) -> dict[Value, float]:
    """Where on the axis each value lies: numbers at their own place, words side by side."""
    if not sweep.is_numeric:
        axes.set_xticks(range(len(sweep.values)), [plain(value) for value in sweep.values])
        axes.set_xlim(-0.5, len(sweep.values) - 0.5)
        return {value: float(place) for place, value in enumerate(sweep.values)}
    numbers = {value: float(value) for value in sweep.values}
    low, high = min(numbers.values()), max(numbers.values())
    if low > 0 and high / low >= _LOGARITHMIC_FROM:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(numbers.values()), [plain(value) for value in numbers])
    return numbers
