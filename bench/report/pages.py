"""What the report shows of each family of tasks: the ``PAGE`` of bench/report/<family>.py."""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import chdir, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError
from bench.measure.peaks import Peaks
from bench.records import Cell, Record
from bench.report import text
from bench.surroundings import cache_folder
from tasks.families import families

if TYPE_CHECKING:
    from bench.report.drawing import Kind
    from bench.report.sections import Section
    from bench.report.tables import Table


def work_in_words(cell: Cell) -> str:
    """The work of a cell by the names of results.csv."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in text.flatten(cell.work))


def network_of(cell: Cell) -> str:
    """The network of the cell's task, in words."""
    network: str = families()[cell.family].tasks[cell.task](**cell.task_values).network
    return network


def _of_nothing(record: Record) -> Mapping[str, str]:
    return {}


def _nothing_learned(section: Section) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How the sections of one family are shown; figures are named as in bench/report/figures.py.

    ``quality`` and ``pace`` have a column even where nobody measured them, ``others`` only where
    somebody did; without any of them a section has all figures that were measured.  ``proof`` is the
    deviation that its certificates are summed up by.  ``of``: what a figure of one record is made of,
    as "2 epochs".  ``work``: what a cell does, in words.  ``learned``: what a section says of quality, in
    words.  ``floor``: the least that the pace of a cell
    can be on a machine of these peaks.  ``tables`` stand below the comparison by their titles, made from a
    section and the machine's peaks, None where they are unknown.  ``terms`` are
    words that only this family's tables and plots need.
    """

    quality: str = ""
    pace: str = ""
    others: tuple[str, ...] = ()
    proof: str = ""
    of: Callable[[Record], Mapping[str, str]] = _of_nothing
    work: Callable[[Cell], str] = work_in_words
    learned: Callable[[Section], str] = _nothing_learned
    floor: Callable[[Cell, Peaks], float] | None = None
    tables: tuple[tuple[str, Callable[[Section, Peaks | None], Table]], ...] = ()
    plots: tuple[Kind, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()


@cache
def page_of(family: str) -> Page:
    """The family's page, found by its name; a plain page of figures where it has none of its own."""
    settle_matplotlib()
    name = f"bench.report.{family}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return Page()
    page: Page = module.PAGE
    return page


@cache
def settle_matplotlib() -> None:
    """Import matplotlib as it is installed: a person's own settings of it change and break nothing."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's would be refused
    try:
        folder = str(cache_folder() / "matplotlib")
        with suppress(OSError):
            os.makedirs(folder, exist_ok=True)
    except UserError:
        folder = ""
    if not os.access(folder, os.W_OK):  # where nothing can be kept
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MPLCONFIGDIR"] = folder
    # a matplotlibrc in the working directory comes before all others
    with chdir(Path(__file__).parent / "templates"):
        importlib.import_module("matplotlib")
