"""The figure of the certificates: how near every deviation came to what it may be."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.records import Record
from bench.report.drawing import INK, Styles
from tasks.families import families

_SPREAD = 0.6  # of a line's height, over which the adapters' dots stand
_LABELS = 4.2  # letters in a line of a check's name, for an inch of the figure
_WORDS = 8.0  # letters in a line below the axis, for an inch of the figure
_BEYOND = 1e3  # where what is no number, or further off, is drawn

Shares = dict[str, dict[str, float]]  # check -> adapter -> its worst deviation over the bound


def draw(certificates: Sequence[Record], look: Styles, width: float) -> Figure | None:
    """A line a check, a dot an adapter: its worst deviation over the bound, of all its certificates."""
    found = _shares(certificates)
    if not found:
        return None
    adapters = sorted({name for shares in found.values() for name in shares})
    positive = [share for shares in found.values() for share in shares.values() if share > 0]
    least = 10.0 ** math.floor(math.log10(min(positive, default=0.1)) - 1)
    figure = Figure(figsize=(width, 1.6 + 0.4 * len(found)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1, color=INK, linewidth=1.4)
    for line, shares in enumerate(found.values()):
        for adapter, share in shares.items():
            place = line + _SPREAD * ((adapters.index(adapter) + 0.5) / len(adapters) - 0.5)
            axes.plot(
                [min(max(share, least), _BEYOND)], [place], "o", color=_colour(adapter, look), markersize=5.5
            )
    axes.set_xscale("log")
    decades = [10.0**power for power in range(round(math.log10(least)) + 1, 4)]
    step = -(-len(decades) // max(2, round(0.6 * width)))
    axes.set_xticks([least, *decades[::step]], ["0", *(f"{each:g}" for each in decades[::step])])
    axes.minorticks_off()
    axes.set_xlim(0.6 * least, 2 * (_BEYOND if max(positive, default=0) > 1 else 1))
    axes.set_yticks(range(len(found)), [textwrap.fill(check, round(_LABELS * width)) for check in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    said = "worst deviation / allowed, logarithmic; right of 1 the certificate fails"
    axes.set_xlabel(textwrap.fill(said, round(_WORDS * width)))
    sns.despine(ax=axes, left=True)
    handles = [Line2D([], [], marker="o", linestyle="", color=_colour(a, look), label=a) for a in adapters]
    figure.legend(handles=handles, loc="outside lower left", ncols=max(2, round(0.7 * width)))
    figure.suptitle(_finding(found, certificates))
    return figure


def _finding(found: Shares, certificates: Sequence[Record]) -> str:
    metrics = [metric for record in certificates for metric in record.metrics]
    strict = [metric.value for metric in metrics if metric.bound == 0]
    failed = sum(not value <= 0 for value in strict)
    said = f"{len(strict):,} checks that allow no difference: {failed or 'none'} failed. "
    share, check, adapter = max((s, c, a) for c, shares in found.items() for a, s in shares.items())
    if share > 1:
        return said + f"Out of bounds: {adapter}'s {check}"
    return said + f"Nearest to its bound: {adapter}'s {check}, at {100 * share:.2g} % of what is allowed"


def _colour(adapter: str, look: Styles) -> tuple[float, float, float]:
    return next(style.colour for (name, _), style in look.items() if name == adapter)


def _shares(certificates: Sequence[Record]) -> Shares:
    found: Shares = {}
    several = len({record.cell.family for record in certificates}) > 1
    for record in certificates:
        family = record.cell.family
        noun = families()[family].noun if family in families() else family
        for metric in record.metrics:
            if metric.bound:
                precision = metric.of.get("precision", record.cell.precision)
                name = f"{metric.metric}, {precision}" + (f" ({noun})" if several else "")
                share = metric.value / metric.bound if math.isfinite(metric.value) else math.inf
                shares = found.setdefault(name, {})
                shares[record.cell.adapter] = max(share, shares.get(record.cell.adapter, 0.0))
    return dict(sorted(found.items(), key=lambda item: (item[0].partition("(")[2], item[0])))
