"""The plots of a NEF task: what the networks decoded, how well, their spikes and what that cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from bench.report.drawing import (
    INK,
    Kind,
    Styles,
    bars,
    label,
    memory_bars,
    plain_logarithm,
    stroke,
)
from bench.report.ranking import Row, Section
from bench.report.scores import network_errors, own_n
from bench.report.text import significant

_LEGEND_COLUMNS = 4
_SPREAD = 0.4  # share of the narrowest gap between two sizes that the points at one of them take


def _output_against_ideal(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """A line of panels per row, a column per stimulus, all on the same axes."""
    found = [(row, next((r.recordings for r in row.records if r.recordings), [])) for row in rows]
    known = [(row, {one.stimulus: one for one in recordings}) for row, recordings in found if recordings]
    if not known:
        return None
    stimuli = list(dict.fromkeys(stimulus for _, curves in known for stimulus in curves))
    figure = Figure(figsize=(8, 1.4 + 0.8 * len(known)), layout="constrained")
    panels = figure.subplots(len(known), len(stimuli), sharex=True, sharey=True, squeeze=False)
    for axes, stimulus in zip(panels[0], stimuli, strict=True):
        axes.set_title(stimulus)
    for line, (row, curves) in zip(panels, known, strict=True):
        _name(line[0], label(row, look))
        for axes, stimulus in zip(line, stimuli, strict=True):
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.margins(x=0)
            sns.despine(ax=axes)
            if curve := curves.get(stimulus):
                seconds = curve.seconds * np.arange(len(curve.decoded))
                axes.plot(seconds, curve.decoded, color=look[row.adapter, row.variant].colour, linewidth=1.3)
                axes.plot(seconds, curve.ideal, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    n = own_n(section.cell)
    figure.supxlabel(f"time (s); one network, n = {n}; dashed: its ideal", fontsize=10)
    return figure


def _name(axes: Axes, name: str) -> None:
    """The name of a line of panels, beside its first one."""
    axes.set_ylabel(name, rotation=0, ha="right", va="center")


def _rmse_over_n(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """A panel per stimulus; lines and points are medians, a faint point is one simulated network."""
    found = network_errors(rows)
    sizes = sorted({n for lines in found.values() for _, errors in lines for n in errors})
    if len(sizes) < 2:
        return None
    height = 3.4 + 0.22 * math.ceil(len(rows) / _LEGEND_COLUMNS)
    figure = Figure(figsize=(8, height), layout="constrained")
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    gap = min(larger / smaller for smaller, larger in pairwise(sizes))
    handles: dict[int, Line2D] = {}
    for axes, (stimulus, lines) in zip(panels, found.items(), strict=True):
        for row, errors in lines:
            place = rows.index(row)
            # frameworks that simulate the same neurons have the same errors: side by side, all are seen
            shift = gap ** (_SPREAD * ((place + 0.5) / len(rows) - 0.5))
            scores = [(n, value) for n, values in errors.items() for value in values if math.isfinite(value)]
            frame = pd.DataFrame(scores, columns=["n", "rmse"])
            medians = frame.groupby("n")["rmse"].median()
            line = stroke(look[row.adapter, row.variant], place, len(rows)) | {"markersize": 5.0}
            points = line | {"linestyle": ""}
            faint = points | {"markersize": 3.5, "markeredgewidth": 0, "alpha": 0.3}
            axes.plot(frame["n"] * shift, frame["rmse"], **faint)
            axes.plot(medians.index, medians, **line | {"marker": ""})
            axes.plot(medians.index * shift, medians, **points)
            handles[place] = Line2D([], [], label=label(row, look), **line)
        axes.set(xscale="log", yscale="log", title=stimulus)
        axes.set_xticks(sizes, [str(n) for n in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        plain_logarithm(axes.yaxis)
        sns.despine(ax=axes)
    panels[0].set_ylabel("RMSE, logarithmic")
    panels[len(panels) // 2].set_xlabel("n, neurons of a 1-D ensemble (points at one n stand side by side)")
    known = [handles[place] for place in sorted(handles)]
    figure.legend(handles=known, loc="outside lower left", ncols=_LEGEND_COLUMNS)
    return figure


def _raster(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """A panel per row, a line of ticks per neuron of the first network's output."""
    found = [(row, next((r.raster for r in row.records if r.raster), None)) for row in rows]
    known = [(row, raster) for row, raster in found if raster]
    if not known:
        return None
    figure = Figure(figsize=(8, 1.2 + 0.85 * len(known)), layout="constrained")
    panels = figure.subplots(len(known), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (row, raster) in zip(panels, known, strict=True):
        # one line with gaps: a path for each spike would make the file several times as large
        times = [np.repeat(neuron, 3) for neuron in raster.spikes]
        heights = [
            np.tile([place - 0.4, place + 0.4, np.nan], len(neuron))
            for place, neuron in enumerate(raster.spikes)
        ]
        colour = look[row.adapter, row.variant].colour
        axes.plot(np.concatenate(times), np.concatenate(heights), color=colour, linewidth=0.9)
        axes.set(xlim=(raster.start, raster.stop), ylim=(len(raster.spikes) - 0.4, -0.6), yticks=[])
        axes.grid(visible=False)
        _name(axes, label(row, look))
        sns.despine(ax=axes, left=True)
    raster = known[0][1]
    figure.supxlabel(
        f"time (s); {len(raster.spikes)} neurons of ensemble {raster.ensemble}, a line each; "
        f"stimulus {raster.stimulus}, one network",
        fontsize=10,
    )
    return figure


def _speed_bars(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    return bars(
        rows,
        look,
        [
            ("sim_speed", "networks × s/s", significant, 1.0),
            ("build_seconds", "build (s)", significant, 1.0),
            ("first_run_seconds", "first run (s)", significant, 1.0),
        ],
    )


KINDS = (
    Kind("output", "output against ideal", _output_against_ideal),
    Kind("raster", "spike raster", _raster),
    Kind("rmse-n", "RMSE over n", _rmse_over_n, needs="it takes several sizes of the network"),
    Kind("speed", "simulation speed, build and first run", _speed_bars),
    Kind("memory", "peak memory", memory_bars),
)
