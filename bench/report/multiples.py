"""The figures of a whole run: a small panel for each task, the same frameworks in each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from statistics import median

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report import findings, overview
from bench.report.drawing import INK, Styles, note
from bench.report.overview import Standing, fastest, frameworks, standing
from bench.report.sections import RANKED, Section
from bench.report.statistics import floor

_TICKS = (1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
_FEW = 4  # ticks of a narrow panel
_TITLE = 10.5  # letters of a panel's title in an inch
_NAMES = 0.8  # inches that the frameworks' names take
_SMALL = 8.0  # of words in place of a dot


def speed(found: Sequence[Section], look: Styles, columns: int, width: float) -> Figure | None:
    """Time over that of the fastest: a dot, its interval, and in grey what this run cannot tell apart."""
    compared = [section for section in found if fastest(section)]
    names = [n for n in frameworks(compared) if any(_is_ranked(s, n) for s in compared)]
    if not names:
        return None
    figure, panels = _panels(compared, names, columns, width)
    largest = 1.0
    for axes, section in zip(panels, compared, strict=False):
        if counts := floor(section.control):
            axes.axvspan(1 / counts, counts, color=INK, alpha=0.1, linewidth=0)
        axes.axvline(1, color=INK, linewidth=0.8)
        for place, name in enumerate(names):
            known = standing(section, name)
            largest = max(largest, _dot(axes, place, known, look))
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlim(0.9, 1.1 * largest)
        ticks = [tick for tick in _TICKS if tick <= 1.1 * largest]
        axes.set_xticks(
            ticks[:: -(-len(ticks) // _FEW)], [f"{tick:g}" for tick in ticks[:: -(-len(ticks) // _FEW)]]
        )
        axes.minorticks_off()
    note(figure, "time / that of the fastest, logarithmic; line: 95 % interval; grey: too close to tell")
    figure.suptitle(findings.counted(compared))
    return figure


def _is_ranked(section: Section, name: str) -> bool:
    return any(row.adapter == name and row.tier in RANKED for row in section.rows)


def _dot(axes: Axes, place: int, known: Standing | None, look: Styles) -> float:
    """Draw what there is of a framework in a task; the largest ratio that was drawn."""
    if known is None or known.ratio is None:
        axes.text(1.02, place, known.words if known else "not asked for", va="center", fontsize=_SMALL)
        return 1.0
    ratio, style = known.ratio, look[known.row.key]
    if ratio.low is not None and ratio.high is not None:
        axes.plot([ratio.low, ratio.high], [place, place], color=style.colour, linewidth=2.0)
    axes.plot([ratio.ratio], [place], style.marker, color=style.colour, markersize=6.0, clip_on=False)
    return max(ratio.ratio, ratio.high or 0.0)


def memory(found: Sequence[Section], look: Styles, columns: int, width: float) -> Figure | None:
    """Peak memory of every framework's row that counts, from 0."""
    names, peak = frameworks(found), overview.peak(found)
    known = {
        (number, name): each.row
        for number, section in enumerate(found)
        for name in names
        if (each := standing(section, name)) and each.row.values(peak.name)
    }
    if not known:
        return None
    largest = max(median(row.values(peak.name)) for row in known.values()) * peak.scale
    figure, panels = _panels(found, names, columns, width)
    for number, (axes, _) in enumerate(zip(panels, found, strict=False)):
        for place, name in enumerate(names):
            if row := known.get((number, name)):
                value = median(row.values(peak.name))
                style = look[row.key]
                axes.plot([0, peak.scale * value], [place, place], color=style.colour, linewidth=2.0)
                axes.plot([peak.scale * value], [place], style.marker, color=style.colour, markersize=6.0)
                axes.annotate(
                    peak.spell(value), (peak.scale * value, place), xytext=(5, 0),
                    textcoords="offset points", va="center", fontsize=_SMALL,
                )  # fmt: skip
    for axes in panels:
        axes.set_xlim(0, 1.35 * largest)
        axes.locator_params(axis="x", nbins=_FEW - 1)
    note(figure, peak.heading)
    figure.suptitle(findings.memory(found))
    return figure


def _panels(
    found: Sequence[Section], names: Sequence[str], columns: int, width: float
) -> tuple[Figure, list[Axes]]:
    """A panel a section, titled, with the frameworks from top to bottom."""
    columns = min(columns, len(found))
    lines = -(-len(found) // columns)
    # a narrow page breaks the title into more lines
    height = 0.45 + 2.6 / width + lines * (0.42 + 0.2 * len(names))
    figure = Figure(figsize=(width, max(2.4, height)), layout="constrained")
    letters = round(_TITLE * (width - _NAMES) / columns)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for axes, section in zip(panels, found, strict=False):
        axes.set_title(textwrap.fill(section.title, letters), loc="left", fontsize=9)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.tick_params(labelsize=8.5)
        axes.grid(axis="y", visible=False)
        sns.despine(ax=axes, left=True)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    return figure, panels[: len(found)]
