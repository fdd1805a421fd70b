"""The page of image classification; in its plots every seed is a point."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.records import Cell, CurvePoint, Record
from bench.report.drawing import Kind, Styles, bars, label, memory_bars, plain_logarithm, stroke
from bench.report.figures import FIGURES
from bench.report.pages import Page
from bench.report.pictures import PICTURES
from bench.report.sections import Row, Section

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
        series, look, x="seconds per epoch", y=_accuracy_of(section, "test_images"), joined=False, timed=True
    )


def _accuracy_of(section: Section, images: str) -> str:
    return f"{FIGURES['test_accuracy'].heading}, {section.cell.work.get(images, 0):,} images"


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
    return _points(series, look, x=x, y=_accuracy_of(section, "curve_images"), joined=True, timed=timed)


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
    return bars(rows, look, ("epoch_seconds",))


def _of(record: Record) -> Mapping[str, str]:
    """What the figures of one record are made of."""
    warm = max(0, len(record.curve) - 1)
    epochs = f"{warm} epoch" if warm == 1 else f"{warm} epochs"
    images = f"{record.cell.work.get('test_images', 0):,} images"
    return {"epoch_seconds": epochs, "test_accuracy": images}


def _work(cell: Cell) -> str:
    work = cell.work
    words = [f"T = {work['steps']}", f"batch {work['batch']}"]
    if "train_images" in work:
        epochs = "1 epoch" if work["epochs"] == 1 else f"{work['epochs']} epochs"
        words = [f"{work['train_images']:,} training images", *words, epochs]
    return ", ".join([*words, f"{work['test_images']:,} test images"])


PAGE = Page(
    quality="test_accuracy",
    pace="epoch_seconds",
    others=(
        "host_peak_bytes",
        "device_allocated_bytes",
        "device_used_bytes",
        "energy_joules",
        "train_seconds",
        "cold_epoch_seconds",
        "images_per_second",
        "eval_seconds",
        "spike_rate",
        "synops_per_image",
    ),
    proof="gradient error",
    of=_of,
    work=_work,
    plots=(
        Kind("accuracy-speed", "test accuracy against time per epoch", _accuracy_over_speed),
        Kind("epoch-seconds", "time per epoch", _epoch_bars),
        Kind("accuracy-epochs", "test accuracy over epochs", _accuracy_over_epochs),
        Kind("accuracy-time", "test accuracy over training time", _accuracy_over_time),
        Kind("memory", "peak memory", memory_bars),
        *PICTURES,
    ),
    terms=(
        (
            "inference alone",
            "A framework that cannot train is given weights trained on all 60,000 images at T = 100 for "
            "three epochs; its certificate compares spikes, since it has no gradients.",
        ),
        (
            "T",
            "Time steps that every image is shown for.",
        ),
        (
            "Poisson spikes",
            "How fc_lif sees an image: at each step a pixel spikes or not, the likelier the darker it is "
            "drawn. How far the mean over steps is off is itself a mean over pixels, in percent of black.",
        ),
        (
            "read as",
            "The class whose code is nearest to the firing rates of the output neurons. Spikes are kept of "
            "one batch alone, with Poisson spikes other than those of the evaluation, so an image may be "
            "read otherwise there.",
        ),
    ),
)
