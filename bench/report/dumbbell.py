"""The plot of frameworks beside their own examples: two points a framework, and the limit."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import seaborn as sns
from matplotlib.figure import Figure

from bench.report import text
from bench.report.drawing import INK, LIMIT, WIDTH, Kind, Styles, fitted_logarithm
from bench.report.sections import Row, Section
from bench.report.versus import fastest_of


def _draw(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """A line a framework, from its own example (open) to its fastest variant (filled)."""
    pairs = [
        (example, ours)
        for example in rows
        if example.tier == "own example" and (ours := fastest_of(section, example.adapter))
    ]
    pairs = [(example, ours) for example, ours in pairs if _pace(example) and _pace(ours)]
    if not pairs:
        return None
    figure = Figure(figsize=(WIDTH, 1.7 + 0.5 * len(pairs)), layout="constrained")
    axes = figure.subplots()
    for place, (example, ours) in enumerate(pairs):
        ends = _pace(example), _pace(ours)
        colour = look[ours.key].colour
        axes.plot(ends, [place] * 2, color=colour, linewidth=2.0, zorder=2)
        for seconds, face, name in ((ends[0], "none", "its own example"), (ends[1], colour, "our fastest")):
            axes.plot(
                [seconds], [place], "o", markersize=9, markeredgewidth=1.8, markeredgecolor=colour,
                markerfacecolor=face, color=INK, zorder=3, label=name if place == 0 else None,
            )  # fmt: skip
    limits = [seconds for row in rows if row.tier == "reference" and (seconds := _pace(row))]
    if limits:
        axes.axvline(min(limits), color=LIMIT, linewidth=1.6, linestyle="--", label="limit")
    axes.set_xscale("log")
    fitted_logarithm(axes.xaxis, [*limits, *(_pace(row) for pair in pairs for row in pair)])
    axes.set_yticks(range(len(pairs)), [example.adapter for example, _ in pairs])
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_xlabel("seconds per epoch, logarithmic")
    sns.despine(ax=axes, left=True)
    figure.legend(loc="outside lower left", ncols=3)
    said = [_finding(section, example, ours) for example, ours in pairs]
    figure.suptitle(f"{section.title} on {section.cell.device}: {'; '.join(said)}")
    return figure


def _pace(row: Row) -> float:
    """Seconds per epoch, the median of its seeds; 0 without any."""
    values = row.values("epoch_seconds")
    return median(values) if values else 0.0


def _finding(section: Section, example: Row, ours: Row) -> str:
    difference = section.difference(example, ours)
    if difference is None or difference.ratio is None:
        return f"{example.adapter} not compared"
    if difference.verdict.word not in ("slower", "faster"):
        return f"{example.adapter}'s own example: {difference.verdict.word}"
    return f"{example.adapter}'s own example takes {text.times(difference.ratio.ratio)} times as long"


BESIDE = Kind("beside", "each framework beside its own example", "speed", _draw, command="make versus")
