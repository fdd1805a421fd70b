"""What the plots of every family share: how an adapter looks, and bars of figures."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any, Literal

import pandas as pd
import seaborn as sns
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from bench import catalogue
from bench.records import Cell
from bench.report.figures import FIGURES
from bench.report.sections import Row, Section
from bench.report.text import ABSENT

LIMIT = "#7a8290"  # of what is no framework: a reference, or the least that the machine can do
INK = "#1f2a37"  # all text and lines
PAPER = "#ffffff"  # the background and the rims of the markers
WIDTH = 6.2  # inches, so that letters can be read where the page is as narrow as a phone

_LETTERS = 13.0  # of a note, in an inch
_NEAR, _FAR = 4.0, 200.0  # largest value over smallest
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p", "<", ">", "h", "*")
_DASHES = ("-", "--", ":", "-.", (0, (6, 1)), (0, (6, 1, 1, 1, 1, 1)), (0, (2, 1)))
_HATCHES = ("", "///", "\\\\\\", "xxx", "---", "|||", "+++", "//")
# 3:1 against a light and a dark ground, and told apart by readers who see no red or no green
COLOURS = (
    "#aa77bb",
    "#00aa22",
    "#ff4400",
    "#886633",
    "#bb11bb",
    "#7744ff",
    "#ee6666",
    "#1199ee",
    "#dd0066",
    "#6677ff",
)

RC: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9.5,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",  # letters stay letters: they can be searched, and read aloud
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
    dash: str | tuple[int, tuple[int, ...]]
    hatch: str


Styles = dict[tuple[str, str], Style]


@cache
def shipped_frameworks() -> tuple[str, ...]:
    """The adapters of this project that are no references, in one fixed order."""
    return tuple(name for name, adapter in catalogue.discover(None).items() if not adapter.reference)


def styles(cells: Sequence[Cell]) -> Styles:
    """The style of every (adapter, variant) of a run."""
    variants: dict[str, list[str]] = {}
    for adapter, variant in sorted({(cell.adapter, cell.way) for cell in cells if cell.variant}):
        variants.setdefault(adapter, []).append(variant)
    in_task = Counter(
        (name, task) for name, task, _ in {(cell.adapter, cell.task, cell.way) for cell in cells}
    )
    several = {adapter for (adapter, _), count in in_task.items() if count > 1}
    limits = {cell.adapter for cell in cells if cell.reference}
    # a variant looks the same in every framework; the one that most have is the plainest
    shared = Counter(variant for names in variants.values() for variant in names)
    places = {variant: place for place, (variant, _) in enumerate(shared.most_common())}
    # those that ship have a colour of their own in every run, whoever else is in it
    frameworks = list(dict.fromkeys([*shipped_frameworks(), *variants]))
    more = sns.color_palette("husl", max(0, len(frameworks) - len(COLOURS)))
    palette = [*map(to_rgb, COLOURS), *more][: len(frameworks)]
    colours = dict(zip(frameworks, palette, strict=True)) | dict.fromkeys(limits, to_rgb(LIMIT))
    return {
        (adapter, variant): Style(
            label=f"{adapter} · {variant}" if adapter in several else adapter,
            colour=colours[adapter],
            marker=_MARKERS[places[variant] % len(_MARKERS)],
            dash=_DASHES[places[variant] % len(_DASHES)],
            hatch=_HATCHES[places[variant] % len(_HATCHES)],
        )
        for adapter, names in variants.items()
        for variant in names
    }


Question = Literal["speed", "memory", "learning", "work", "networks"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A plot that sections of a family have; ``draw`` returns None where no cell measured it.

    ``question``: the part of the page that it belongs to.  ``needs``: what a cell must have measured, where
    the title doesn't say it; ``command``: what would measure it.
    """

    name: str
    what: str
    question: Question
    draw: Callable[[Section, Sequence[Row], Styles], Figure | None]
    needs: str = ""
    command: str = ""


def stroke(shape: Style, place: int, count: int) -> dict[str, Any]:
    """Line and markers of the ``place``-th of ``count`` lines in one plot."""
    return {
        "color": shape.colour,
        "linestyle": shape.dash,
        "linewidth": 1.6,
        "marker": shape.marker,
        "markersize": 6.5,
        "markeredgecolor": PAPER,
        "markeredgewidth": 0.7,
        "clip_on": False,
        "zorder": 3 + place / count,
    }


def plain_logarithm(axis: Axis) -> None:
    """Numbers of a logarithmic axis as they are, 0.02 and not a power of ten."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def fitted_logarithm(axis: Axis, values: Sequence[float]) -> None:
    """Numbers as they are: closer together for values that lie near, powers of ten for those far apart."""
    plain_logarithm(axis)
    reach = max(values) / min(values)
    if reach < _NEAR:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.set_minor_locator(NullLocator())
    elif reach > _FAR:
        axis.set_major_locator(LogLocator())


def note(figure: Figure, words: str) -> None:
    """What stands below the whole figure, in lines as long as it is wide; axes alone would cut it off."""
    figure.supxlabel(textwrap.fill(words, round(_LETTERS * figure.get_figwidth())), fontsize=9)


def label(row: Row, look: Styles) -> str:
    """The row's name in a plot, with what its certificate lacks."""
    name = look[row.adapter, row.variant].label
    match row.parity:
        case "exact" | "within":
            return name
        case "reduced precision":
            return f"{name}\n(reduced precision)"
        case _:
            return f"{name}\n(no certificate)"


def bars(rows: Sequence[Row], look: Styles, names: Sequence[str]) -> Figure | None:
    """One panel of horizontal bars (medians) per figure that any row has; the points are the seeds."""
    panels = [FIGURES[name] for name in names if any(row.values(name) for row in rows)]
    if not panels:
        return None
    labels = [label(row, look) for row in rows]
    chosen = [look[row.adapter, row.variant] for row in rows]
    # tick labels of neighbouring panels need room
    layout = ConstrainedLayoutEngine(wspace=0.08)
    drawn = Figure(figsize=(WIDTH, 1.3 + 0.45 * len(rows)), layout=layout)
    all_axes = drawn.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(all_axes, panels, strict=True):
        values = [
            (title, panel.scale * value)
            for row, title in zip(rows, labels, strict=True)
            for value in row.values(panel.name)
        ]
        frame = pd.DataFrame(values, columns=["label", "value"])
        common: dict[str, Any] = {"data": frame, "x": "value", "y": "label", "order": labels, "ax": axes}
        sns.barplot(**common, estimator="median", errorbar=None, width=0.62)
        for bar in axes.patches:
            shape = chosen[round(bar.get_y() + bar.get_height() / 2)]
            bar.set(facecolor=shape.colour, edgecolor=PAPER, hatch=shape.hatch, linewidth=0)
        sns.stripplot(**common, color=INK, size=4, jitter=False, clip_on=False, zorder=4)
        axes.set(xlabel=panel.heading, ylabel="")
        # room for the numbers beside the bars, which take more of a narrow panel
        axes.set_xlim(0, (1.08 + 0.13 * len(panels)) * (max(value for _, value in values) or 1.0))
        axes.locator_params(axis="x", nbins=9 // len(panels))
        axes.grid(axis="y", visible=False)
        sns.despine(ax=axes, left=True)
        for place, row in enumerate(rows):
            known = row.values(panel.name)
            axes.annotate(
                panel.spell(median(known)) if known else f"{ABSENT} not measured",
                (panel.scale * max(known, default=0.0), place),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
            )
    return drawn
