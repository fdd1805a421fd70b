"""What the pages of the studies are made with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

from bench.report.statistics import mean_interval
from bench.report.tables import Entry, Group, Heading, Table, as_markdown

PROJECT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def spell(values: Sequence[float]) -> str:
    """The mean of shares and its 95 % interval, in %."""
    low, high = mean_interval(values)
    return f"{100 * mean(values):.1f} ({100 * low:.1f} to {100 * high:.1f})"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    group = Group(rows=[[Entry(value) for value in row] for row in rows])
    return as_markdown(Table(headings=[Heading(name) for name in headings], groups=[group]))


def with_figures(text: str, figures: str) -> str:
    """The text with these figures in its block."""
    return _BLOCK.sub(lambda block: f"{block[1]}{figures}{block[2]}", text)
