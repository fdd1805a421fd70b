"""The page of image classification; in its plots every seed is a point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.records import Cell, Record
from bench.report.drawing import Kind, Styles, bars, label, memory_bars, plain_logarithm, stroke
from bench.report.dumbbell import BESIDE
from bench.report.figures import FIGURES
from bench.report.operations import operations
from bench.report.pages import Page
from bench.report.pictures import PICTURES
from bench.report.sections import Row, Section
from bench.report.split import SPLIT
from bench.report.versus import versus

ACCURACY_SPAN = 5.0  # percentage points
_LOGARITHMIC_FROM = 20.0  # ratio of the largest to the smallest time


def _accuracy_over_speed(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    series: _Series = []
    for row in rows:
        figures = [record.figures for record in row.records]
        points = [
            [(f["epoch_seconds"], 100 * f["test_accuracy"])]
            for f in figures
            if "epoch_seconds" in f and "test_accuracy" in f
        ]
        series.append((row, points))
    panels = {_over(FIGURES["test_accuracy"].heading, section, "test_images"): series}
    return _points(panels, look, x="seconds per epoch", joined=False, timed=True)


def _accuracy_over_epochs(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    panels = {
        _over(FIGURES["train_accuracy"].heading, section, "train_images"): _curves(
            rows, "epoch", "train_accuracy"
        ),
        _over(FIGURES["test_accuracy"].heading, section, "curve_images"): _curves(
            rows, "epoch", "test_accuracy"
        ),
    }
    return _points(panels, look, x="epoch", joined=True)


def _loss_over_epochs(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    panels = {
        _over("train loss", section, "train_images"): _curves(rows, "epoch", "loss"),
        _over("test loss", section, "curve_images"): _curves(rows, "epoch", "test_loss"),
    }
    return _points(panels, look, x="epoch", joined=True, least=0.0)


def _accuracy_over_time(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    series = _curves(rows, "train_seconds", "test_accuracy")
    panels = {_over(FIGURES["test_accuracy"].heading, section, "curve_images"): series}
    return _points(panels, look, x="training time so far (s)", joined=True, timed=True)


def _over(what: str, section: Section, images: str) -> str:
    return f"{what}, {section.cell.work.get(images, 0):,} images"


def _widen(axes: Axes, least: float) -> None:
    """Show at least so much of the value, so that tenths of a point don't look like a difference."""
    low, high = axes.get_ylim()
    missing = least - (high - low)
    if missing > 0:
        axes.set_ylim(low - missing / 2, high + missing / 2)


_Series = list[tuple[Row, list[list[tuple[float, float]]]]]


def _curves(rows: Sequence[Row], x: str, y: str) -> _Series:
    """One field of the curves' points over another, an accuracy in %."""
    scale = 100 if y.endswith("accuracy") else 1
    return [
        (
            row,
            [
                [(getattr(p, x), scale * value) for p in record.curve if (value := getattr(p, y)) is not None]
                for record in row.records
            ],
        )
        for row in rows
    ]


def _points(
    panels: Mapping[str, _Series],
    look: Styles,
    *,
    x: str,
    joined: bool,
    timed: bool = False,
    least: float = ACCURACY_SPAN,
) -> Figure | None:
    """A panel for each value that was measured, by its label, and one legend beside them.

    Runs of points, one per seed, are joined by lines or not; all panels have one scale of at least ``least``.
    """
    known = {y: found for y, series in panels.items() if (found := _finite(series))}
    if not known:
        return None
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    every = figure.subplots(1, len(known), sharey=True, squeeze=False)[0]
    for axes, (y, series) in zip(every, known.items(), strict=True):
        _panel(axes, series, look, joined=joined)
        axes.set_xlabel(x)
        axes.set_ylabel(y, visible=True)  # seaborn hides it where a scale is shared
        axes.margins(0.06)
        if x == "epoch":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if timed:
            _spread(axes, [run[-1][0] for _, runs in series for run in runs])
        sns.despine(ax=axes)
    _widen(every[0], least)
    named = {
        name: line for axes in every for line, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    for line in figure.legend(named.values(), named.keys(), loc="outside right upper").get_lines():
        line.set_markersize(6.5)
    return figure


def _finite(series: _Series) -> _Series:
    """Those with points, and of the points the finite ones."""
    known = [
        (row, [[point for point in run if all(map(math.isfinite, point))] for run in runs])
        for row, runs in series
    ]
    known = [(row, [run for run in runs if run]) for row, runs in known]
    return [(row, runs) for row, runs in known if runs]


def _panel(axes: Axes, known: _Series, look: Styles, *, joined: bool) -> None:
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
    if work.get("loss", "mse") != "mse":
        words.append(f"{work['loss'].replace('_', '-')} loss")
    return ", ".join([*words, f"{work['test_images']:,} test images"])


PAGE = Page(
    quality="test_accuracy",
    pace="epoch_seconds",
    others=(
        "host_peak_bytes",
        "device_allocated_bytes",
        "device_used_bytes",
        "device_context_bytes",
        "energy_joules",
        "sm_clock_mhz",
        "lowest_sm_clock_mhz",
        "device_celsius",
        "device_others",
        "train_seconds",
        "cold_epoch_seconds",
        "images_per_second",
        "eval_seconds",
        "spike_rate",
    ),
    proof="gradient error",
    of=_of,
    work=_work,
    tables=(
        ("Each framework beside its own example", versus),
        ("Synaptic operations and footprint", operations),
    ),
    plots=(
        Kind("accuracy-speed", "test accuracy against time per epoch", _accuracy_over_speed),
        Kind("epoch-seconds", "time per epoch", _epoch_bars),
        Kind("accuracy-epochs", "accuracy over epochs", _accuracy_over_epochs),
        Kind("loss-epochs", "loss over epochs", _loss_over_epochs),
        Kind("accuracy-time", "test accuracy over training time", _accuracy_over_time),
        BESIDE,
        SPLIT,
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
            "own example",
            "What a framework ships or documents, at the task's T, batch and images but with its own neuron, "
            "loss and optimiser, and sometimes other layers: it has no certificate, and its time is held "
            "against the adapter of its own framework alone.",
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
