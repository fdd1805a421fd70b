"""The plot of a training step's parts: what the framework's own code takes, and what all share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import seaborn as sns
from matplotlib.figure import Figure

from bench.report.drawing import INK, PAPER, WIDTH, Kind, Styles, label
from bench.report.sections import Row, Section

WHOLE = "whole"
# by a part's place in the record, which is that in the step: greys are what all share, neurons in colour
_LOOKS = (
    ("#8b929c", ""),
    ("#6b7280", "///"),
    ("#dd0066", ""),
    ("#8b929c", "..."),
    ("#6677ff", ""),
    ("#6b7280", "xxx"),
    ("#8b929c", "|||"),
    ("#6b7280", ""),
)
ADDS_UP = 0.1  # share of the untouched step by which the parts may differ from it


def _parts(row: Row) -> Mapping[str, float]:
    """Seconds of the step and of its parts, of the first seed that has them."""
    for record in row.records:
        if found := {str(m.of["part"]): m.value for m in record.metrics if m.metric == "step_seconds"}:
            return found
    return {}


def _draw(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """A bar a row, a piece a part; the line across it is the step that nobody looked into."""
    known = [(row, parts) for row in rows if (parts := _parts(row))]
    if not known:
        return None
    figure = Figure(figsize=(WIDTH, 1.9 + 0.5 * len(known)), layout="constrained")
    axes = figure.subplots()
    names, shares = [], []
    for place, (row, parts) in enumerate(known):
        left = 0.0
        own = {part: seconds for part, seconds in parts.items() if part != WHOLE}
        for (part, seconds), (colour, hatch) in zip(own.items(), cycle(_LOOKS), strict=False):
            width = 1e3 * seconds
            piece = axes.barh(
                place, width, left=left, height=0.62, color=colour, edgecolor=PAPER, hatch=hatch
            )
            if place == 0:
                piece.set_label(part)
            left += width
        whole = 1e3 * parts[WHOLE]
        axes.plot([whole, whole], [place - 0.4, place + 0.4], color=INK, linewidth=2.0)
        off = left / whole - 1
        names.append(
            label(row, look) + (f"\n(parts are off by {100 * off:+.0f} %)" if abs(off) > ADDS_UP else "")
        )
        neurons = sum(seconds for part, seconds in own.items() if part.startswith("neurons"))
        shares.append(neurons / (left / 1e3))
    axes.set_yticks(range(len(known)), names)
    axes.set_ylim(len(known) - 0.4, -0.6)
    axes.set_xlabel("ms a training step; across: the same step, untouched")
    axes.grid(axis="y", visible=False)
    sns.despine(ax=axes, left=True)
    figure.legend(loc="outside lower left", ncols=3)
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    figure.suptitle(
        f"{section.title} on {section.cell.device}: neurons take {low} to {high} % of a training step"
    )
    return figure


SPLIT = Kind(
    "split", "where the time of a training step goes", "speed", _draw, command="make bench PROFILE=split"
)
