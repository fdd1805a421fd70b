"""The plots of one section, as SVG."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import seaborn as sns
from matplotlib import style
from matplotlib.figure import Figure

from bench.report import rounds
from bench.report.drawing import RC, Kind, Styles
from bench.report.sections import Section
from bench.report.text import first_line

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plot:
    """One finished plot; ``svg`` is the whole file."""

    name: str
    title: str
    svg: str


@dataclass(frozen=True, slots=True)
class Plots:
    """The plots of a section; what those that ``lacking`` names need was not measured; ``broken`` failed."""

    made: list[Plot]
    lacking: list[str]
    broken: list[str]


def plots(section: Section, kinds: Sequence[Kind], look: Styles) -> Plots:
    """The plot of the section's rounds and those of its family."""
    rows = [row for row in section.rows if row.comparable]
    found = Plots([], [], [])
    for kind in (rounds.KIND, *kinds):
        name = f"{section.slug}-{kind.name}"
        title = f"{section.title} on {section.cell.device}: {kind.what}"
        try:
            with _drawing():
                figure = kind.draw(section, rows, look)
                if figure is None:
                    found.lacking.append(f"{kind.what} ({kind.needs})" if kind.needs else kind.what)
                    continue
                # a plot whose finding stands in its own title keeps that
                title = figure.get_suptitle() or title
                figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
                found.made.append(Plot(name, title, _svg(figure)))
        except Exception as error:  # a picture is never worth the tables
            _LOG.warning(
                "plot %s could not be drawn: %s", name, first_line(str(error)) or type(error).__name__
            )
            found.broken.append(kind.what)
    return found


@contextmanager
def _drawing() -> Iterator[None]:
    # from the defaults, so that a person's own matplotlibrc changes nothing
    with style.context(["default", sns.axes_style("whitegrid"), RC]):
        yield


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    # a hundredth of a point is finer than any screen, and half of the file
    return re.sub(r'(?<= d=")[^"]*', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), file.getvalue())
