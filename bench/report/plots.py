"""The plots of a section and of a sweep, as SVG."""

from __future__ import annotations

import io
import logging
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import seaborn as sns
from matplotlib import style
from matplotlib.figure import Figure

from bench.report import findings, rounds
from bench.report.drawing import RC, Kind, Question, Styles
from bench.report.sections import Section
from bench.report.svg import compact
from bench.report.sweep_plot import draw as draw_sweep
from bench.report.sweeps import Sweep
from bench.report.text import first_line

_LETTERS = 10.0  # of a title, in an inch of the figure

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plot:
    """One finished plot; ``svg`` is the whole file, ``what`` says what is drawn, ``title`` what it found."""

    name: str
    title: str
    what: str
    svg: str
    question: Question


@dataclass(frozen=True, slots=True)
class Plots:
    """Plots; what those that ``lacking`` names need was not measured; ``broken`` failed."""

    made: list[Plot]
    lacking: list[str]
    broken: list[str]


def plots(section: Section, kinds: Sequence[Kind], look: Styles) -> Plots:
    """The plot of the section's rounds and those of its family."""
    rows = [row for row in section.rows if row.comparable]
    found = Plots([], [], [])
    for kind in (rounds.KIND, *kinds):
        name = f"{section.slug}-{kind.name}"
        draw = partial(kind.draw, section, rows, look)
        add(found, name, _title(section, kind), kind.what, kind.question, draw)
    lacking = [_needs(kind) for kind in (rounds.KIND, *kinds) if kind.what in found.lacking]
    return Plots(found.made, lacking, found.broken)


def _title(section: Section, kind: Kind) -> str:
    """Of a plot that says nothing itself: what it shows, and of a plot of times who is fastest."""
    title = f"{section.title} on {section.cell.device}: {kind.what}"
    leaders = findings.leaders(section) if kind.question == "speed" else ""
    return f"{title}; fastest: {leaders}" if leaders else title


def _needs(kind: Kind) -> str:
    needs = kind.needs or kind.command
    return f"{kind.what} ({needs})" if needs else kind.what


def sweep_plots(sweep: Sweep, look: Styles) -> Plots:
    """The plot of a sweep."""
    found = Plots([], [], [])
    what = f"quality, time and memory over {sweep.key.replace('_', ' ')}"
    title = sweep.title
    if len({adapter for adapter, _ in sweep.lines()}) > 1 and not sweep.untimed:
        title += f". {findings.counted([section for _, section in sweep.points], 'values')}"
    add(found, sweep.slug, title, what, "speed", partial(draw_sweep, sweep, look))
    return found


def add(
    found: Plots, name: str, title: str, what: str, question: Question, draw: Callable[[], Figure | None]
) -> None:
    """Draw one more plot, or say what it lacks or that it is broken."""
    try:
        with _drawing():
            figure = draw()
            if figure is None:
                found.lacking.append(what)
                return
            # a plot whose finding stands in its own title keeps that
            title = figure.get_suptitle() or title
            wrapped = textwrap.fill(title, round(_LETTERS * figure.get_figwidth()))
            figure.suptitle(wrapped, x=0.01, ha="left", fontsize=11, fontweight="bold")
            found.made.append(Plot(name, title, what, _svg(figure), question))
    except Exception as error:  # a picture is never worth the tables
        _LOG.warning("plot %s could not be drawn: %s", name, first_line(str(error)) or type(error).__name__)
        found.broken.append(what)


@contextmanager
def _drawing() -> Iterator[None]:
    # from the defaults, so that a person's own matplotlibrc changes nothing
    with style.context(["default", sns.axes_style("whitegrid"), RC]):
        yield


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return compact(file.getvalue())
