"""The page of the Nengo examples: what the networks decoded, how well, their spikes and what that cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import mean, median
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from bench.measure.peaks import Peaks
from bench.records import Cell, Record
from bench.report import text
from bench.report.drawing import (
    INK,
    WIDTH,
    Kind,
    Styles,
    bars,
    label,
    note,
    plain_logarithm,
    stroke,
)
from bench.report.figures import FIGURES, Figure
from bench.report.memory import MEMORY
from bench.report.operations import FLOOR, least_seconds
from bench.report.pages import Page
from bench.report.sections import Row, Section
from bench.report.tables import Entry, Group, Heading, Table, by_tier, names, summary
from tasks.nef import FAMILY
from tasks.nef.model import Population, build_model
from tasks.nef.model import rates as steady_rates
from tasks.nef.operations import least_bytes, synaptic_operations
from tasks.nef.spec import Nef

# of one stimulus, and of metrics: their signs say something, which no figure's does
SCORES = (
    FIGURES["rmse"],
    Figure(
        name="rmse_worst",
        heading="worst RMSE",
        unit="",
        meaning="RMSE of the worst network.",
    ),
    Figure(
        name="bias",
        heading="bias",
        unit="",
        meaning="Mean over time of the difference between what a network decodes and its ideal, with its "
        "sign; the median over networks, the first 0.2 s left out.",
    ),
    Figure(
        name="mean_output",
        heading="mean output",
        unit="",
        meaning="Mean over time of what a network decodes; the median over networks, the first 0.2 s left "
        "out.",
    ),
    Figure(
        name="drift",
        heading="drift (1/s)",
        unit="1/s",
        meaning="Slope of the straight line through what a memory decodes while it should hold its value, "
        "in units per second; the median over networks.",
    ),
    Figure(
        name="drift_worst",
        heading="worst drift (1/s)",
        unit="1/s",
        meaning="The steepest drift of any network, without its sign.",
    ),
)
_WORST = ("rmse_worst", "drift_worst")  # of several seeds the largest counts, else the median

_LEGEND_COLUMNS = 4
_SPREAD = 0.4  # share of the narrowest gap between two sizes that the points at one of them take


def _one(section: Section, rows: Sequence[Row], what: str) -> tuple[Row, Any] | None:
    """The baseline, or the first row that kept it, and what it shows: the others are proved equal."""
    for row in sorted(rows, key=lambda row: " ".join(row.key) != section.baseline):
        if shown := row.shown(what):
            return row, shown
    return None


def _output_against_ideal(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    """A panel per stimulus, all on the same axes."""
    if not (found := _one(section, rows, "recordings")):
        return None
    row, recordings = found
    figure = Drawing(figsize=(WIDTH, 2.7), layout="constrained")
    panels = figure.subplots(1, len(recordings), sharex=True, sharey=True, squeeze=False)[0]
    for axes, curve in zip(panels, recordings, strict=True):
        axes.set_title(curve["stimulus"], fontsize=9.5)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.margins(x=0)
        sns.despine(ax=axes)
        seconds = curve["seconds"] * np.arange(len(curve["decoded"]))
        axes.plot(seconds, curve["decoded"], color=look[row.key].colour, linewidth=1.3)
        axes.plot(seconds, curve["ideal"], color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    n = _own_n(section.cell)
    note(figure, f"time (s); one network of {row.adapter}, n = {n}; dashed: its ideal")
    if errors := row.values("rmse"):
        error = FIGURES["rmse"].spell(median(errors))
        figure.suptitle(
            f"{section.title} on {section.cell.device}: networks follow their ideal, RMSE {error}"
        )
    return figure


def _tuning_curves(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    """Rates of the raster's neurons over what they represent, from the arrays that every adapter is given."""
    if not (found := _one(section, rows, "raster")):
        return None
    row, raster = found
    task, population = _first_network(row.records[0].cell, raster["ensemble"])
    values, count = np.linspace(-1, 1, 201), len(raster["spikes"])
    currents = population.gain * (values[:, None] * population.encoders[:, 0]) + population.bias
    figure = Drawing(figsize=(WIDTH, 2.9), layout="constrained")
    axes = figure.subplots()
    for encoder, dash in ((1, "-"), (-1, "--")):
        chosen = np.flatnonzero(population.encoders[:count, 0] == encoder)
        axes.plot(
            values, steady_rates(task, currents[:, chosen]), dash, color=look[row.key].colour, linewidth=1.0
        )
    axes.set_ylabel("spikes per second")
    axes.margins(x=0)
    sns.despine(ax=axes)
    note(figure, f"represented value; {count} neurons of ensemble {raster['ensemble']}; dashed: encoder -1")
    figure.suptitle(f"{section.title}: every neuron begins to fire at a value of its own")
    return figure


def _first_network(cell: Cell, ensemble: str) -> tuple[Nef, Population]:
    """The task, and the neurons that were drawn for the first network of a cell."""
    task = FAMILY.tasks[cell.task](**cell.task_values)
    return task, build_model(task, cell.seed * task.seeds).populations[ensemble]


def _rmse_over_n(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    """A panel per stimulus; lines and points are medians, a faint point is one simulated network."""
    found = _network_errors(rows)
    sizes = sorted({n for lines in found.values() for _, errors in lines for n in errors})
    if len(sizes) < 2:
        return None
    height = 3.4 + 0.22 * math.ceil(len(rows) / _LEGEND_COLUMNS)
    figure = Drawing(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    gap = min(larger / smaller for smaller, larger in pairwise(sizes))
    handles: dict[int, Line2D] = {}
    for axes, (stimulus, lines) in zip(panels, found.items(), strict=True):
        for row, errors in lines:
            place = rows.index(row)
            # frameworks that simulate the same neurons have the same errors: side by side, all are seen
            shift = gap ** (_SPREAD * ((place + 0.5) / len(rows) - 0.5))
            scores = [(n, value) for n, values in errors.items() for value in values if math.isfinite(value)]
            frame = pd.DataFrame(scores, columns=["n", "rmse"])
            medians = frame.groupby("n")["rmse"].median()
            line = stroke(look[row.adapter, row.variant], place, len(rows)) | {"markersize": 5.0}
            points = line | {"linestyle": ""}
            faint = points | {"markersize": 3.5, "markeredgewidth": 0, "alpha": 0.3}
            axes.plot(frame["n"] * shift, frame["rmse"], **faint)
            axes.plot(medians.index, medians, **line | {"marker": ""})
            axes.plot(medians.index * shift, medians, **points)
            handles[place] = Line2D([], [], label=label(row, look), **line)
        axes.set(xscale="log", yscale="log", title=stimulus)
        axes.set_xticks(sizes, [str(n) for n in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        plain_logarithm(axes.yaxis)
        sns.despine(ax=axes)
    panels[0].set_ylabel("RMSE, logarithmic")
    panels[len(panels) // 2].set_xlabel("n, neurons of a 1-D ensemble")
    known = [handles[place] for place in sorted(handles)]
    figure.legend(handles=known, loc="outside lower left", ncols=_LEGEND_COLUMNS)
    least, most = (_typical(found, size) for size in (sizes[0], sizes[-1]))
    figure.suptitle(
        f"{section.title} on {section.cell.device}: RMSE {least} at n = {sizes[0]}, {most} at n = {sizes[-1]}"
    )
    return figure


def _typical(found: Mapping[str, list[tuple[Row, dict[int, list[float]]]]], size: int) -> str:
    """The median error of all networks of one size."""
    errors = [e for lines in found.values() for _, sizes in lines for e in sizes.get(size, [])]
    return FIGURES["rmse"].spell(median(filter(math.isfinite, errors)))


def _raster(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    """A line of ticks per neuron of the first network's output, those alike side by side."""
    if not (found := _one(section, rows, "raster")):
        return None
    row, raster = found
    _, population = _first_network(row.records[0].cell, raster["ensemble"])
    # by the encoder, then by where on its way the neuron begins to fire
    starts = population.encoders[:, 0] * (1 - population.bias) / population.gain
    order = sorted(
        range(len(raster["spikes"])), key=lambda neuron: (population.encoders[neuron, 0], starts[neuron])
    )
    spikes = [raster["spikes"][neuron] for neuron in order]
    figure = Drawing(figsize=(WIDTH, 2.9), layout="constrained")
    axes = figure.subplots()
    # one line with gaps: a path for each spike would make the file several times as large
    times = [np.repeat(neuron, 3) for neuron in spikes]
    heights = [
        np.tile([place - 0.4, place + 0.4, np.nan], len(neuron)) for place, neuron in enumerate(spikes)
    ]
    axes.plot(np.concatenate(times), np.concatenate(heights), color=look[row.key].colour, linewidth=0.9)
    axes.set(xlim=(raster["start"], raster["stop"]), ylim=(len(spikes) - 0.4, -0.6), yticks=[])
    axes.grid(visible=False)
    axes.set_ylabel("neuron, by encoder")
    sns.despine(ax=axes, left=True)
    note(
        figure,
        f"time (s); {len(spikes)} neurons of ensemble {raster['ensemble']}, a line each, those of encoder -1 "
        f"above; stimulus {raster['stimulus']}, one network of {row.adapter}",
    )
    count = sum(map(len, spikes))
    figure.suptitle(f"{section.title} on {section.cell.device}: {count:,} spikes carry the value")
    return figure


def _speed_bars(section: Section, rows: Sequence[Row], look: Styles) -> Drawing | None:
    return bars(rows, look, ("sim_speed", "build_seconds", "first_run_seconds"))


def _own_n(cell: Cell) -> int:
    """The size n that the cell timed; those that it only scored are others."""
    n: int = FAMILY.tasks[cell.task](**cell.task_values).n
    return n


def _scores(row: Row, n: int) -> dict[str, dict[str, list[float]]]:
    """Stimulus -> metric -> the value of every seed (process) that has it, at size ``n``."""
    found: dict[str, dict[str, list[float]]] = {}
    for record in row.records:
        for metric in record.metrics:
            if set(metric.of) == {"stimulus", "n"} and metric.of["n"] == n:
                of_stimulus = found.setdefault(str(metric.of["stimulus"]), {})
                of_stimulus.setdefault(metric.metric, []).append(metric.value)
    return found


def _network_errors(rows: Iterable[Row]) -> dict[str, list[tuple[Row, dict[int, list[float]]]]]:
    """Stimulus -> rows that have it -> n -> RMSE of every simulated network, in the records' order."""
    found: dict[str, list[tuple[Row, dict[int, list[float]]]]] = {}
    for row in rows:
        stimuli: dict[str, dict[int, list[float]]] = {}
        for record in row.records:
            for metric in record.metrics:
                if metric.metric == "rmse_seed":
                    sizes = stimuli.setdefault(str(metric.of["stimulus"]), {})
                    sizes.setdefault(int(metric.of["n"]), []).append(metric.value)
        for stimulus, sizes in stimuli.items():
            found.setdefault(stimulus, []).append((row, sizes))
    return found


def _by_stimulus(section: Section, _: Peaks | None) -> Table:
    """What the networks decoded under each stimulus, at the size that was timed.

    A score that no row has is left out: nothing drifts where nothing is remembered.
    """
    n = _own_n(section.cell)
    found = [(row, stimulus, values) for row in section.rows for stimulus, values in _scores(row, n).items()]
    measured = {metric for _, _, values in found for metric in values}
    columns = [score for score in SCORES if score.name in measured]
    headings = [Heading("adapter"), Heading("stimulus")]
    headings += [Heading(score.heading, numeric=True, tip=score.meaning) for score in columns]
    lines = []
    for row, stimulus, values in found:
        entries = [
            summary(score, values.get(score.name, []), row.seeds, max if score.name in _WORST else median)
            for score in columns
        ]
        lines.append((row, [names(row), Entry(stimulus), *entries]))
    return by_tier(headings, lines)


def _operations(section: Section, peaks: Peaks | None) -> Table:
    """A line a row that was simulated: per network and step, at the size that was timed."""
    per_step = "Per network and step, at the size that was timed: "
    headings = [
        Heading("adapter"),
        Heading("dense operations", numeric=True, tip=f"{per_step}weights of encoders and decoders."),
        Heading("effective MACs", numeric=True, tip=f"{per_step}encoders, which values pass."),
        Heading("effective ACs", numeric=True, tip=f"{per_step}decoders that a spike passes, as measured."),
        Heading(
            "least bytes",
            numeric=True,
            tip=f"{per_step}the input, the decoded value and a byte for each neuron's spike, which a run "
            "hands over.",
        ),
        Heading("run / floor", numeric=True, tip=f"{FLOOR} The neurons' own update is not in it."),
    ]
    task = FAMILY.tasks[section.cell.task](**section.cell.task_values)
    rows = []
    for row in section.rows:
        rates = _rates(row, task.n)
        if not row.comparable or set(rates) != {ensemble.name for ensemble in task.ensembles}:
            continue
        counts = synaptic_operations(task, rates)
        over, speeds = text.ABSENT, row.values("sim_speed")
        if peaks is not None and speeds:
            least = least_seconds(peaks, 2 * counts["macs"] + counts["acs"], least_bytes(task))
            over = text.significant(task.dt / median(speeds) / least)
        shown = (text.significant(counts[name]) for name in ("dense", "macs", "acs"))
        entries = [*map(Entry, shown), Entry(text.whole(least_bytes(task))), Entry(over)]
        rows.append([Entry(row.adapter, row.variant), *entries])
    return Table(headings, [Group(rows)] if rows else [])


def _rates(row: Row, n: int) -> dict[str, float]:
    """Spikes per neuron and step of every ensemble, over stimuli and processes."""
    found: dict[str, list[float]] = {}
    for record in row.records:
        for metric in record.metrics:
            if metric.metric == "spike_rate" and metric.of.get("n") == n and "ensemble" in metric.of:
                found.setdefault(str(metric.of["ensemble"]), []).append(metric.value)
    return {name: mean(values) for name, values in found.items()}


def _of(record: Record) -> Mapping[str, str]:
    """What the figures of one record are made of."""
    runs = sum(turn.compared for turn in record.turns)
    return {
        "rmse": f"{_networks(record.cell)} networks",
        "sim_speed": f"{runs} run" if runs == 1 else f"{runs} runs",
    }


def _networks(cell: Cell) -> int:
    return int(cell.work["networks"])


def _learned(section: Section) -> str:
    """How far what the networks decode is from their ideal, over the frameworks that simulated them."""
    figure = FIGURES["rmse"]
    known = [median(values) for row in section.rows if row.comparable and (values := row.values(figure.name))]
    if not known:
        return ""
    low, high = figure.spell(min(known)), figure.spell(max(known))
    return f"RMSE {low} in all" if low == high else f"RMSE {low} to {high}"


def _work(cell: Cell) -> str:
    return f"{_networks(cell)} networks, {cell.work['steps']:,} steps"


PAGE = Page(
    quality="rmse",
    pace="sim_speed",
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
        "build_seconds",
        "first_run_seconds",
        "spike_rate",
    ),
    proof="decoded error",
    of=_of,
    work=_work,
    learned=_learned,
    tables=(
        ("By stimulus", _by_stimulus),
        ("Synaptic operations and distance to the floor", _operations),
    ),
    plots=(
        Kind("output", "output against ideal", "networks", _output_against_ideal),
        Kind("tuning", "tuning curves", "networks", _tuning_curves),
        Kind("raster", "spike raster", "networks", _raster),
        Kind(
            "rmse-n", "RMSE over n", "learning", _rmse_over_n, needs="it takes several sizes of the network"
        ),
        Kind("speed", "simulation speed, build and first run", "speed", _speed_bars),
        MEMORY,
    ),
    terms=(
        *((score.heading, score.meaning) for score in SCORES[1:]),
        (
            "RMSE over n",
            "The same networks in several sizes: n is the number of neurons of a one-dimensional ensemble. "
            "All tables and other plots are of the one size that was timed. A faint point is one simulated "
            "network.",
        ),
        (
            "raster",
            "When neurons fired: a line per neuron, a tick per spike, of the output ensemble of one network.",
        ),
        (
            "rounded reference",
            "The yardstick for the spike difference of simulated networks in float32: how many spikes differ "
            "when the float64 reference itself is given time constants rounded to float32. One spike that "
            "changes its step can move many that follow. Both are 1 minus the share of spikes in common.",
        ),
    ),
)
