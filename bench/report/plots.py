"""The plots of one section; every seed is a point, and an adapter has one colour in all of them."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from bench.records import Cell, CurvePoint
from bench.report.ranking import Row, Section
from bench.report.text import ABSENT, megabytes, significant

INK = "#1f2a37"  # all text and lines
PAPER = "#ffffff"  # the background and the rims of the markers

ACCURACY_SPAN = 5.0  # percentage points
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
_DASHES = ("-", "--", ":", "-.")
_HATCHES = ("", "///", "\\\\\\", "xxx", "---", "|||", "+++", "//")
_LOGARITHMIC_FROM = 20.0  # ratio of the largest to the smallest time
# the first seven follow Paul Tol's "bright" scheme, told apart with any colour vision
_COLOURS = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#ccbb44",
    "#66ccee",
    "#aa3377",
    "#888888",
    "#8c6d5a",
    "#ee7733",
    "#009988",
)

_RC = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "savefig.dpi": 150,
    "svg.hashsalt": "spikebench",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, slots=True)
class Style:
    """How an adapter (colour) and its variant (marker, dash, hatch) look in every plot of a run."""

    label: str
    colour: tuple[float, float, float]
    marker: str
    dash: str
    hatch: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One finished plot; ``svg`` and ``png`` are the whole files."""

    name: str
    title: str
    svg: str
    png: bytes


Styles = dict[tuple[str, str], Style]


def styles(cells: Sequence[Cell]) -> Styles:
    """The style of every (adapter, variant) of a run."""
    variants: dict[str, list[str]] = {}
    for adapter, variant in sorted({(cell.adapter, cell.variant) for cell in cells}):
        variants.setdefault(adapter, []).append(variant)
    palette = sns.color_palette(_COLOURS if len(variants) <= len(_COLOURS) else "husl", len(variants))
    return {
        (adapter, variant): Style(
            label=f"{adapter} · {variant}" if len(names) > 1 else adapter,
            colour=colour,
            marker=_MARKERS[index % len(_MARKERS)],
            dash=_DASHES[index % len(_DASHES)],
            hatch=_HATCHES[index % len(_HATCHES)],
        )
        for (adapter, names), colour in zip(variants.items(), palette, strict=True)
        for index, variant in enumerate(names)
    }


def plots(section: Section, look: Styles) -> tuple[list[Plot], list[str]]:
    """The plots of a section, and the names of those that lack data."""
    rows = [row for row in section.rows if row.comparable]
    made, lacking = [], []
    for name, what, draw in _KINDS:
        title = f"{section.title} on {section.cell.device}: {what}"
        with _drawing():
            figure = draw(section, rows, look)
            if figure is None:
                lacking.append(what)
                continue
            figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
            made.append(Plot(f"{section.slug}-{name}", title, _svg(figure), _png(figure)))
    return made, lacking


@contextmanager
def _drawing() -> Iterator[None]:
    # from the defaults, so that a person's own matplotlibrc changes nothing
    with style.context(["default", sns.axes_style("whitegrid"), _RC]):
        yield


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return file.getvalue()


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _label(row: Row, look: Styles) -> str:
    label = look[row.adapter, row.variant].label
    match row.parity:
        case "exact" | "within":
            return label
        case "reduced precision":
            return f"{label}\n(reduced precision)"
        case _:
            return f"{label}\n(no certificate)"


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
        shape = look[row.adapter, row.variant]
        for number, run in enumerate(runs):
            frame = pd.DataFrame(run, columns=["x", "y"])
            sns.lineplot(
                data=frame,
                x="x",
                y="y",
                estimator=None,
                color=shape.colour,
                linestyle=shape.dash if joined else "",
                linewidth=1.6,
                marker=shape.marker,
                # equal work gives equal accuracy: of points that coincide, each shows as a ring
                markersize=10.5 - 5.5 * index / max(1, len(known) - 1),
                markeredgecolor=PAPER,
                markeredgewidth=0.7,
                label=_label(row, look) if number == 0 else None,
                legend=False,
                clip_on=False,
                zorder=3 + index / len(known),
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
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"{axes.get_xlabel()}, logarithmic")
    else:
        axes.set_xlim(left=0)


def _epoch_bars(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    return _bars(rows, look, [("epoch_seconds", "seconds per epoch", significant, 1.0)])


def _memory_bars(section: Section, rows: Sequence[Row], look: Styles) -> Figure | None:
    return _bars(
        rows,
        look,
        [
            ("host_peak_bytes", "host peak (MB)", megabytes, 1e-6),
            ("device_allocated_bytes", "device, allocator peak (MB)", megabytes, 1e-6),
            ("device_used_bytes", "device, used (MB)", megabytes, 1e-6),
        ],
    )


_Panel = tuple[str, str, Callable[[float], str], float]


def _bars(rows: Sequence[Row], look: Styles, panels: Sequence[_Panel]) -> Figure | None:
    """One panel of horizontal bars (medians) per figure that any row has; the points are the seeds."""
    panels = [panel for panel in panels if any(_finite(row, panel[0]) for row in rows)]
    if not panels:
        return None
    labels = [_label(row, look) for row in rows]
    chosen = [look[row.adapter, row.variant] for row in rows]
    figure = Figure(figsize=(8, 1.3 + 0.45 * len(rows)), layout="constrained")
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (column, name, spell, scale) in zip(all_axes, panels, strict=True):
        values = [
            (label, scale * value)
            for row, label in zip(rows, labels, strict=True)
            for value in _finite(row, column)
        ]
        frame = pd.DataFrame(values, columns=["label", "value"])
        common: dict[str, Any] = {"data": frame, "x": "value", "y": "label", "order": labels, "ax": axes}
        sns.barplot(**common, estimator="median", errorbar=None, width=0.62)
        for bar in axes.patches:
            shape = chosen[round(bar.get_y() + bar.get_height() / 2)]
            bar.set(facecolor=shape.colour, edgecolor=PAPER, hatch=shape.hatch, linewidth=0)
        sns.stripplot(**common, color=INK, size=4, jitter=False, clip_on=False, zorder=4)
        axes.set(xlabel=name, ylabel="")
        # room for the numbers beside the bars, which take more of a narrow panel
        axes.set_xlim(0, (1.08 + 0.13 * len(panels)) * (max(value for _, value in values) or 1.0))
        axes.grid(axis="y", visible=False)
        sns.despine(ax=axes, left=True)
        for place, row in enumerate(rows):
            known = _finite(row, column)
            axes.annotate(
                spell(median(known)) if known else f"{ABSENT} not measured",
                (scale * max(known, default=0.0), place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
            )
    return figure


def _finite(row: Row, column: str) -> list[float]:
    return [value for value in row.values(column) if math.isfinite(value)]


_Draw = Callable[[Section, Sequence[Row], Styles], Figure | None]

_KINDS: tuple[tuple[str, str, _Draw], ...] = (
    ("accuracy-speed", "test accuracy against time per epoch", _accuracy_over_speed),
    ("epoch-seconds", "time per epoch", _epoch_bars),
    ("accuracy-epochs", "test accuracy over epochs", _accuracy_over_epochs),
    ("accuracy-time", "test accuracy over training time", _accuracy_over_time),
    ("memory", "peak memory", _memory_bars),
)
