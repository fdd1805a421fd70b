"""The plots of one section, as files."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import seaborn as sns
from matplotlib import style
from matplotlib.figure import Figure

from bench.report import classify_plots, nef_plots
from bench.report.drawing import RC, Styles
from bench.report.ranking import Section


@dataclass(frozen=True, slots=True)
class Plot:
    """One finished plot; ``svg`` and ``png`` are the whole files."""

    name: str
    title: str
    svg: str
    png: bytes


def plots(section: Section, look: Styles) -> tuple[list[Plot], list[str]]:
    """The plots of a section, and the names of those that lack data, with what they need."""
    rows = [row for row in section.rows if row.comparable]
    made, lacking = [], []
    for kind in nef_plots.KINDS if section.cell.kind == "nef" else classify_plots.KINDS:
        title = f"{section.title} on {section.cell.device}: {kind.what}"
        with _drawing():
            figure = kind.draw(section, rows, look)
            if figure is None:
                lacking.append(f"{kind.what} ({kind.needs})" if kind.needs else kind.what)
                continue
            figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
            made.append(Plot(f"{section.slug}-{kind.name}", title, _svg(figure), _png(figure)))
    return made, lacking


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


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
