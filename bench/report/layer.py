"""The page of single layers: what a neuron's step costs, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure as Drawing

from bench.records import Cell
from bench.report.drawing import Kind, Styles, bars, memory_bars
from bench.report.pages import Page
from bench.report.sections import Row, Section


def _time_bars(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    return bars(rows, look, ("forward_seconds", "backward_seconds"))


def _work(cell: Cell) -> str:
    work = cell.work
    passes = f"{work['passes']} passes" if work["passes"] > 1 else "1 pass"
    return (
        f"{work['neurons']:,} neurons, T = {work['steps']}, batch {work['batch']}; "
        f"{passes} a turn, {work['repeats']} turns after the first"
    )


PAGE = Page(
    pace="element_nanoseconds",
    others=(
        "forward_seconds",
        "backward_seconds",
        "host_peak_bytes",
        "device_allocated_bytes",
        "device_used_bytes",
        "energy_joules",
        "build_seconds",
        "spike_rate",
    ),
    proof="input gradient error",
    work=_work,
    plots=(
        Kind("times", "forward and backward", _time_bars),
        Kind("memory", "peak memory", memory_bars),
    ),
    terms=(
        (
            "input gradient error",
            "Error of the gradient that a certificate's pass gives back to the input, relative to it.",
        ),
        (
            "pass",
            "Once through a layer, forward from input to spikes and backward from a given gradient of the "
            "spikes to those of the input and, where there are any, of the weights.",
        ),
    ),
)
