"""The page of single layers: what a neuron's step costs, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure as Drawing

from bench.measure.peaks import Peaks
from bench.records import Cell
from bench.report.drawing import Kind, Styles, bars
from bench.report.memory import MEMORY
from bench.report.pages import Page
from bench.report.sections import Row, Section
from tasks.families import families

_MOVED = 5 * 4  # bytes of a neuron's step and sample, see _floor


def _time_bars(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    return bars(rows, look, ("forward_seconds", "backward_seconds"))


def _work(cell: Cell) -> str:
    work = cell.work
    passes = f"{work['passes']} passes" if work["passes"] > 1 else "1 pass"
    return (
        f"{work['neurons']:,} neurons, T = {work['steps']}, batch {work['batch']}; "
        f"{passes} a turn, {work['repeats']} turns after the first"
    )


def _floor(cell: Cell, peaks: Peaks) -> float:
    """Nanoseconds per neuron, step and sample that memory and products alone take.

    Forward, a number is read (the input) and one written (the spike); backward, two are read (the input once
    more, from which the membrane can be had again, and the gradient) and one written (the input's gradient).
    Weights and their gradient are small beside that.  What a cache holds is faster: of small layers, this is
    not the least.
    """
    work = cell.work
    elements: int = work["neurons"] * work["steps"] * work["batch"]
    seconds = _MOVED * elements / peaks.bytes_per_second
    if families()[cell.family].tasks[cell.task](**cell.task_values).weighted:
        # forward, to the input, to the weights
        seconds += 3 * 2 * elements * int(work["neurons"]) / peaks.operations_per_second
    return seconds / elements * 1e9


PAGE = Page(
    pace="element_nanoseconds",
    others=(
        "forward_seconds",
        "backward_seconds",
        "host_peak_bytes",
        "device_allocated_bytes",
        "device_used_bytes",
        "device_context_bytes",
        "energy_joules",
        "sm_clock_mhz",
        "lowest_sm_clock_mhz",
        "device_celsius",
        "device_others",
        "build_seconds",
        "spike_rate",
    ),
    proof="input gradient error",
    work=_work,
    floor=_floor,
    plots=(
        Kind("times", "forward and backward", "speed", _time_bars),
        MEMORY,
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
