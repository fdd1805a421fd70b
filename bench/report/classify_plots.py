"""The plots of a task that classifies images; every seed is a point."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.records import CurvePoint
from bench.report.drawing import (
    Kind,
    Styles,
    bars,
    label,
    memory_bars,
    plain_logarithm,
    stroke,
)
from bench.report.ranking import Row, Section
from bench.report.text import significant

ACCURACY_SPAN = 5.0  # percentage points
_LOGARITHMIC_FROM = 20.0  # ratio of the largest to the smallest time


def _accuracy_over_speed(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    series = []
    for row in rows:
        figures = [record.figures for record in row.records]
        points = [
            [(f["epoch_seconds"], 100 * f["test_accuracy"])]
            for f in figures
            if "epoch_seconds" in f and "test_accuracy" in f
        ]
        series.append((row, points))
    return _points(
        series,
        look,
        x="seconds per epoch",
        y=f"test accuracy (%), {section.cell.test_images:,} images",
        joined=False,
        timed=True,
    )


def _accuracy_over_epochs(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    figure = _curves(section, rows, look, "epoch", lambda point: point.epoch, timed=False)
    if figure is not None:
        figure.axes[0].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def _accuracy_over_time(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    x = "training time so far (s)"
    return _curves(section, rows, look, x, lambda point: point.train_seconds, timed=True)


def _widen(axes: Axes) -> None:
    """Show at least some points of accuracy, so that tenths of one don't look like a difference."""
    low, high = axes.get_ylim()
    missing = ACCURACY_SPAN - (high - low)
    if missing > 0:
        axes.set_ylim(low - missing / 2, high + missing / 2)


def _curves(
    section: Section,
    rows: Sequence[Row],
    look: Styles,
    x: str,
    where: Callable[[CurvePoint], float],
    *,
    timed: bool,
) -> Figure | None:
    series = [
        (
            row,
            [
                [(where(p), 100 * p.test_accuracy) for p in record.curve if p.test_accuracy is not None]
                for record in row.records
            ],
        )
        for row in rows
    ]
    y = f"test accuracy (%), {section.cell.curve_images:,} images"
    return _points(series, look, x=x, y=y, joined=True, timed=timed)


_Points = list[tuple[float, float]]


def _points(
    series: Sequence[tuple[Row, list[_Points]]], look: Styles, *, x: str, y: str, joined: bool, timed: bool
) -> Figure | None:
    """Runs of points (one run per seed), joined by lines or not, with the legend beside the axes."""
    known = [
        (row, [[point for point in run if all(map(math.isfinite, point))] for run in runs])
        for row, runs in series
    ]
    known = [(row, [run for run in runs if run]) for row, runs in known]
    known = [(row, runs) for row, runs in known if runs]
    if not known:
        return None
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for index, (row, runs) in enumerate(known):
        style = stroke(look[row.adapter, row.variant], index, len(known))
        if not joined:
            style["linestyle"] = ""
        for number, run in enumerate(runs):
            frame = pd.DataFrame(run, columns=["x", "y"])
            sns.lineplot(
                data=frame,
                x="x",
                y="y",
                estimator=None,
                **style,
                label=label(row, look) if number == 0 else None,
                legend=False,
                ax=axes,
            )
    axes.set(xlabel=x, ylabel=y)
    axes.margins(0.06)
    _widen(axes)
    if timed:
        _spread(axes, [run[-1][0] for _, runs in known for run in runs])
    sns.despine(ax=axes)
    for line in figure.legend(loc="outside right upper").get_lines():
        line.set_markersize(6.5)
    return figure


def _spread(axes: Axes, times: Sequence[float]) -> None:
    """A time axis from 0, or a logarithmic one where the times differ too much for that."""
    if min(times) > 0 and max(times) / min(times) >= _LOGARITHMIC_FROM:
        axes.set_xscale("log")
        plain_logarithm(axes.xaxis)
        axes.set_xlabel(f"{axes.get_xlabel()}, logarithmic")
    else:
        axes.set_xlim(left=0)


def _epoch_bars(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    return bars(rows, look, [("epoch_seconds", "seconds per epoch", significant, 1.0)])


KINDS = (
    Kind("accuracy-speed", "test accuracy against time per epoch", _accuracy_over_speed),
    Kind("epoch-seconds", "time per epoch", _epoch_bars),
    Kind("accuracy-epochs", "test accuracy over epochs", _accuracy_over_epochs),
    Kind("accuracy-time", "test accuracy over training time", _accuracy_over_time),
    Kind("memory", "peak memory", memory_bars),
)
