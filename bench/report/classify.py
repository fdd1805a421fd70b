"""The page of image classification; in its plots every seed is a point."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from statistics import NormalDist, median

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bench.records import Cell, Record
from bench.report.drawing import PAPER, WIDTH, Kind, Styles, bars, label, plain_logarithm, stroke
from bench.report.dumbbell import BESIDE
from bench.report.figures import FIGURES
from bench.report.memory import MEMORY
from bench.report.operations import trained
from bench.report.pages import Page
from bench.report.pictures import PICTURES
from bench.report.sections import RANKED, Row, Section
from bench.report.split import SPLIT
from bench.report.statistics import CONFIDENCE
from bench.report.text import significant
from bench.report.versus import versus

ACCURACY_SPAN = 5.0  # percentage points
_LEGEND = 64  # letters in a line of a legend
_LOGARITHMIC_FROM = 20.0  # ratio of the largest to the smallest time


def _accuracy_over_time(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    """Both divisions: a point a seed, with the 95 % interval of so many test images."""
    images = section.cell.work.get("test_images", 0)
    known = [
        (row, record.figures["train_seconds"], record.figures["test_accuracy"])
        for row in section.rows
        if row.comparable or row.tier == "open"
        for record in row.records
        if record.figures.keys() >= {"train_seconds", "test_accuracy"}
    ]
    if not known or not images:
        return None
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    named: dict[str, Line2D] = {}
    for row, seconds, accuracy in known:
        style = look[row.key]
        low, high = binomial(accuracy, images)
        axes.plot([seconds] * 2, [100 * low, 100 * high], color=style.colour, linewidth=1.6)
        face = PAPER if row.tier == "open" else style.colour
        name = f"{style.label} (own way)" if row.tier == "open" else style.label
        (named[name],) = axes.plot(
            [seconds], [100 * accuracy], style.marker, color=style.colour, markerfacecolor=face, markersize=7
        )
    _spread(axes, [seconds for _, seconds, _ in known])
    _widen(axes, ACCURACY_SPAN)
    scale = ", logarithmic" if axes.get_xscale() == "log" else ""
    axes.set_xlabel(f"{FIGURES['train_seconds'].heading}{scale}; bars: 95 % interval of {images:,} images")
    axes.set_ylabel(FIGURES["test_accuracy"].heading)
    sns.despine(ax=axes)
    figure.legend(named.values(), named.keys(), loc="outside lower left", ncols=2)
    figure.suptitle(f"{section.title} on {section.cell.device}: {_learned(section)}")
    return figure


def binomial(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of so many, after Wilson."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    centre, reach = (
        share + z**2 / (2 * count),
        z * math.sqrt(share * (1 - share) / count + (z / count) ** 2 / 4),
    )
    return (centre - reach) / (1 + z**2 / count), (centre + reach) / (1 + z**2 / count)


def _learned(section: Section) -> str:
    """The accuracies of both divisions; closed rows are called equal where their intervals overlap."""
    images = section.cell.work.get("test_images", 0)
    shares = [
        (row, median(values))
        for row in sorted(section.rows, key=lambda row: row.key)
        if row.status == "ok" and (values := row.values("test_accuracy"))
    ]
    closed = {row.adapter: share for row, share in shares if row.tier in RANKED}
    # where no framework is compared, a reference is all there is
    closed = closed or {row.adapter: share for row, share in shares if row.comparable}
    free = [f"{row.adapter} {100 * share:.1f} %" for row, share in shares if row.tier == "open"]
    parts = []
    if closed and images:
        ends = [binomial(share, images) for share in closed.values()]
        low, high = (f"{100 * share:.1f}" for share in (min(closed.values()), max(closed.values())))
        span = f"{low} %" if low == high else f"{low} to {high} %"
        alike = max(low for low, _ in ends) <= min(high for _, high in ends)
        if len(closed) == 1:
            parts.append(f"{next(iter(closed))} {span}")
        else:
            word = "equal within their intervals" if alike else "not equal"
            parts.append(f"the same network learns {span}, {word}")
    if free:
        parts.append(f"in their own way: {', '.join(free)}")
    return "; ".join(parts)


def _accuracy_over_epochs(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    panels = {
        _over(FIGURES["train_accuracy"].heading, section, "train_images"): _curves(
            rows, "epoch", "train_accuracy"
        ),
        _over(FIGURES["test_accuracy"].heading, section, "curve_images"): _curves(
            rows, "epoch", "test_accuracy"
        ),
    }
    return _titled(_points(panels, look), section, panels)


def _loss_over_epochs(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    panels = {
        _over("train loss", section, "train_images"): _curves(rows, "epoch", "loss"),
        _over("test loss", section, "curve_images"): _curves(rows, "epoch", "test_loss"),
    }
    return _titled(_points(panels, look, least=0.0), section, panels)


def _titled(figure: Figure | None, section: Section, panels: Mapping[str, _Series]) -> Figure | None:
    """With a title that says where the median of the rows begins and ends."""
    said = []
    for what, series in panels.items():
        if runs := [run for _, found in _finite(series) for run in found]:
            first, last = (significant(median(run[end][1] for run in runs)) for end in (0, -1))
            moves = f"goes from {first} to {last}" if first != last else f"is {last}"
            said.append(f"{what.partition(',')[0]} {moves}")
    if figure and said:
        figure.suptitle(f"{section.title} on {section.cell.device}: over epochs, {'; '.join(said)}")
    return figure


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


def _points(panels: Mapping[str, _Series], look: Styles, *, least: float = ACCURACY_SPAN) -> Figure | None:
    """A panel for each value that was measured, by its label, and one legend below them.

    A line a seed over epochs; all panels have one scale of at least ``least``.  Rows whose curves are the
    same to the eye share a line.
    """
    known = {y: found for y, series in panels.items() if (found := _finite(series))}
    if not known:
        return None
    figure = Figure(figsize=(WIDTH, 4.7), layout="constrained")
    every = figure.subplots(1, len(known), sharey=True, squeeze=False)[0]
    for axes, (y, series) in zip(every, known.items(), strict=True):
        _panel(axes, series, look)
        axes.set_xlabel("epoch")
        axes.set_ylabel(y.replace(", ", ",\n", 1), visible=True)  # seaborn hides it where a scale is shared
        axes.margins(0.06)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        sns.despine(ax=axes)
    _widen(every[0], least)
    named = {
        name: line for axes in every for line, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(named.values(), named.keys(), loc="outside lower left", ncols=1)
    return figure


def _finite(series: _Series) -> _Series:
    """Those with points, and of the points the finite ones."""
    known = [
        (row, [[point for point in run if all(map(math.isfinite, point))] for run in runs])
        for row, runs in series
    ]
    known = [(row, [run for run in runs if run]) for row, runs in known]
    return [(row, runs) for row, runs in known if runs]


def _panel(axes: Axes, known: _Series, look: Styles) -> None:
    distinct: list[tuple[list[Row], list[list[tuple[float, float]]]]] = []
    for row, runs in known:
        for rows, theirs in distinct:
            if _is_same(runs, theirs):
                rows.append(row)
                break
        else:
            distinct.append(([row], runs))
    for index, (rows, runs) in enumerate(distinct):
        first = min(rows, key=lambda row: row.key)
        style = stroke(look[first.key], index, len(distinct))
        name = textwrap.fill(", ".join(sorted(label(row, look) for row in rows)), _LEGEND)
        for number, run in enumerate(runs):
            frame = pd.DataFrame(run, columns=["x", "y"])
            sns.lineplot(
                data=frame,
                x="x",
                y="y",
                estimator=None,
                **style,
                label=name if number == 0 else None,
                legend=False,
                ax=axes,
            )


def _is_same(runs: list[list[tuple[float, float]]], others: list[list[tuple[float, float]]]) -> bool:
    """Whether no point differs by more than a thousandth."""
    mine, theirs = (np.array([point for run in every for point in run]) for every in (runs, others))
    return mine.shape == theirs.shape and bool(np.allclose(mine, theirs, rtol=1e-3, atol=0))


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
    learned=_learned,
    tables=(
        ("Each framework beside its own example", versus),
        ("Synaptic operations, footprint and distance to the floor", trained),
    ),
    plots=(
        Kind("epoch-seconds", "time per epoch", "speed", _epoch_bars),
        Kind(
            "accuracy-time",
            "test accuracy over training time, both divisions",
            "learning",
            _accuracy_over_time,
        ),
        Kind("accuracy-epochs", "accuracy over epochs", "learning", _accuracy_over_epochs),
        Kind("loss-epochs", "loss over epochs", "learning", _loss_over_epochs),
        BESIDE,
        SPLIT,
        MEMORY,
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
