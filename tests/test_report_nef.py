"""What the report shows of NEF tasks, from records with known values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from bench.records import Cell, Metric, Parity, Record
from bench.report import nef
from bench.report.drawing import INK, styles
from bench.report.sections import sections
from bench.report.text import ABSENT
from tasks.nef import FAMILY
from tasks.nef.model import build_model
from tests import builders
from tests.builders import control, manifest
from tests.test_report import done as classified
from tests.test_report import report, row_of, table, times, unplotted

N = 8
SCORES = {"square": 0.25, "pulse": 0.5}  # RMSE of a first process
KINDS = tuple(kind.name for kind in nef.PAGE.plots)


def cell(adapter: str, task: str = "memory", **changes: Any) -> Cell:
    values = {
        "family": "nef",
        "table": "nef",
        "learning": "least-squares",
        "work": {"steps": 2000, "networks": 3},
        "amounts": {"repeats": 5},
        "task_values": {"n": N, "seeds": 3},
    }
    return builders.cell(adapter, task, **values | changes)


def metrics(n: int, scale: float, seed: int) -> list[Metric]:
    """Scores of three networks under two stimuli, their errors in proportion to ``scale``."""
    found = []
    for stimulus, error in SCORES.items():
        of: dict[str, str | int] = {"stimulus": stimulus, "n": n}
        values = {"rmse": scale * error, "rmse_worst": 2 * scale * error, "bias": -scale * error / 4}
        values |= {"mean_output": 0.75}
        if stimulus == "pulse":
            values |= {"drift": -0.125, "drift_worst": 0.375}
        found += [Metric(metric=metric, of=of, value=value) for metric, value in values.items()]
        found.append(Metric(metric="spike_rate", of={**of, "ensemble": "a"}, value=0.1))
        for network, factor in enumerate((0.5, 1.0, 2.0)):
            error_of = {**of, "network": 3 * seed + network}
            found.append(Metric(metric="rmse_seed", of=error_of, value=factor * scale * error))
    return found


def simulated(
    of: Cell,
    *,
    scale: float = 1.0,
    sweep: tuple[int, ...] = (2 * N,),
    parity: Parity | None = "within",
    seconds: float = 1.0,
) -> Record:
    figures = {
        "rmse": 0.375 * scale,
        "sim_speed": 40.0,
        "build_seconds": 0.5,
        "first_run_seconds": 1.25,
        "host_peak_bytes": 3e8,
    }
    measured = metrics(N, scale, of.seed)
    for n in sweep:
        measured += metrics(n, scale * N / n, of.seed)
    curves = [
        {"stimulus": stimulus, "seconds": 0.01, "decoded": [0.0, scale, 0.5], "ideal": [0.0, 1.0, 0.75]}
        for stimulus in SCORES
    ]
    raster = {
        "stimulus": "square",
        "ensemble": "b",
        "start": 0.5,
        "stop": 1.0,
        "spikes": [[0.625, 0.875], [], [0.75]],
    }
    return builders.record(
        of,
        times(seconds),
        parity=parity,
        figures=figures,
        metrics=measured,
        shows={"recordings": curves, "raster": raster},
    )


def heat(*records: Record) -> list[Record]:
    """A heat of torch, its control and these."""
    torch = cell("torch")
    return [simulated(torch), simulated(control(torch), seconds=1.01), *records]


def old(record: Record) -> Record:
    """The record without curves, spikes and scores per network."""
    return record.model_copy(update={"shows": {}, "metrics": []})


def drawn(kind: str, *records: Record) -> Figure | None:
    (section,) = sections(manifest(record.cell for record in records), records)
    (draw,) = (one.draw for one in nef.PAGE.plots if one.name == kind)
    rows = [row for row in section.rows if row.comparable]
    return draw(section, rows, styles([record.cell for record in records]))


def figure(kind: str, *records: Record) -> Figure:
    made = drawn(kind, *records)
    assert made is not None
    return made


def points(line: Line2D) -> list[tuple[float, float]]:
    x, y = (np.asarray(values, float).tolist() for values in (line.get_xdata(), line.get_ydata()))
    return list(zip(x, y, strict=True))


def test_every_stimulus_has_its_scores_at_the_timed_size(tmp_path: Path) -> None:
    sizes = (2 * N, 10 * N)
    page, text = unplotted(tmp_path, heat(simulated(cell("b"), scale=0.5, sweep=sizes, seconds=2.0)))
    rows = table(text, "### memory: By stimulus")
    expected = {"adapter": "torch (plain)", "stimulus": "square", "RMSE": "0.250", "worst RMSE": "0.500"}
    expected |= {"bias": "-0.0625", "mean output": "0.750"}
    assert rows[0] == expected | {"drift (1/s)": ABSENT, "worst drift (1/s)": ABSENT}
    assert [(row["adapter"], row["stimulus"], row["RMSE"], row["drift (1/s)"]) for row in rows] == [
        ("torch (plain)", "square", "0.250", ABSENT),
        ("torch (plain)", "pulse", "0.500", "-0.125"),
        ("b (plain)", "square", "0.125", ABSENT),
        ("b (plain)", "pulse", "0.250", "-0.125"),
    ]
    assert "<h3>By stimulus</h3>" in page
    assert row_of(text, "## memory", "b")["first run (s)"] == "1.25"


def test_figures_say_of_how_many_networks_and_runs_they_are(tmp_path: Path) -> None:
    page, text = unplotted(tmp_path, heat())
    row = row_of(text, "## memory", "torch")
    assert row["RMSE (3 networks)"] == "0.375"
    assert row["networks × s/s (30 runs)"] == "40.0"
    assert "3 networks, 2,000 steps" in page


def test_scores_of_several_seeds_are_median_and_range(tmp_path: Path) -> None:
    scales = (1.0, 4.0, 2.0)
    records = [simulated(cell("torch", seed=seed), scale=scale) for seed, scale in enumerate(scales)]
    records[2] = records[2].model_copy(update={"metrics": metrics(N, 2.0, 2)[:1]})
    _, text = unplotted(tmp_path / "all", records)
    row = table(text, "### memory: By stimulus")[0]
    assert row["RMSE"] == "0.500 (0.250–1.00)"
    assert row["bias"] == "-0.156 (-0.250 to -0.0625, n = 2)"
    single = [
        table(unplotted(tmp_path / str(n), [record])[1], "### memory: By stimulus")[0]
        for n, record in enumerate(records[:2])
    ]
    worst = [float(found["worst RMSE"]) for found in single]
    assert worst[0] < worst[1] and row["worst RMSE"].startswith(f"{worst[1]:.3g}")  # no median


def test_the_size_is_the_tasks_own_where_the_profile_names_none(tmp_path: Path) -> None:
    record = simulated(cell("torch", task_values={}))
    record = record.model_copy(update={"metrics": metrics(50, 1.0, 0) + metrics(N, 2.0, 0)})
    _, text = unplotted(tmp_path, [record])
    assert [row["RMSE"] for row in table(text, "### memory: By stimulus")] == ["0.250", "0.500"]


def test_what_no_row_measured_is_no_column(tmp_path: Path) -> None:
    record = simulated(cell("torch", "add"))
    kept = [metric for metric in record.metrics if not metric.metric.startswith("drift")]
    _, text = unplotted(tmp_path, [record.model_copy(update={"metrics": kept})])
    (row, *_) = table(text, "### add: By stimulus")
    assert not any("drift" in column for column in row) and row["mean output"] == "0.750"


def test_a_section_has_the_plots_of_its_own_family(tmp_path: Path) -> None:
    other = classified(builders.cell("torch", "csnn"), 1.0, figures={"epoch_seconds": 1.0})
    _, text = unplotted(tmp_path, [*heat(), other])
    found = {path.stem for path in (tmp_path / "report").glob("*.svg")}
    assert {name for name in found if name.startswith("memory")} == {
        "memory-rounds",
        *(f"memory-{kind}" for kind in KINDS),
    }
    (lacking,) = re.findall(r"^Not plotted.*$", text, re.MULTILINE)
    assert "test accuracy over training time, both divisions; each framework beside its own" in lacking
    assert "where the time of a training step goes (make bench PROFILE=split); " in lacking


def test_output_and_ideal_of_one_network() -> None:
    first, second = simulated(cell("a", seed=0)), simulated(cell("a", seed=1), scale=3.0)
    slow = simulated(cell("b"), scale=2.0)
    slow.figures["sim_speed"] = 1.0
    made = figure("output", old(first), second, slow)
    assert [axes.get_title() for axes in made.axes] == ["square", "pulse"]  # of one framework alone
    look = styles([second.cell, slow.cell])
    for axes in made.axes:
        decoded, ideal = axes.get_lines()
        assert points(decoded) == [(0.0, 0.0), (0.01, 3.0), (0.02, 0.5)]
        assert points(ideal) == [(0.0, 0.0), (0.01, 1.0), (0.02, 0.75)]
        assert to_rgb(decoded.get_color()) == to_rgb(look["a", "plain"].colour)
        assert ideal.get_color() == INK and ideal.is_dashed()
    assert made.get_supxlabel() == "time (s); one network of a, n = 8; dashed: its ideal"


def test_the_baseline_is_the_one_that_is_shown() -> None:
    made = figure("output", *heat(simulated(cell("a"), scale=2.0)))
    assert "network of torch" in made.get_supxlabel()


def test_tuning_curves_are_those_of_the_neurons_that_every_adapter_is_given() -> None:
    made = figure("tuning", simulated(cell("a")))
    (axes,) = made.axes
    lines = axes.get_lines()
    assert len(lines) == 3  # of the raster's neurons
    for line in lines:
        values = [y for _, y in points(line)]
        rising = values == sorted(values)
        assert rising or values == sorted(values, reverse=True)
        assert line.is_dashed() != rising and 200 <= max(values) <= 400


def test_rmse_over_n_is_the_median_of_all_networks() -> None:
    seeds = [simulated(cell("a", seed=seed), scale=scale) for seed, scale in enumerate((1.0, 4.0))]
    made = figure("rmse-n", *seeds, simulated(cell("b"), scale=3.0))
    assert [axes.get_title() for axes in made.axes] == ["square", "pulse"]
    assert re.fullmatch(r"memory on cpu: RMSE [\d.]+ at n = 8, [\d.]+ at n = 16", made.get_suptitle())
    for axes, error in zip(made.axes, SCORES.values(), strict=True):
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["8", "16"]
        lines = axes.get_lines()
        joined = [points(line) for line in lines if line.get_linestyle() != "None"]
        # of 0.5 1 2 and 2 4 8 times the error, the half of that at twice the size
        assert joined == [
            [(8.0, 2 * error), (16.0, error)],
            [(8.0, 3 * error), (16.0, 1.5 * error)],
        ]
        faint = [sorted(y for _, y in points(line)) for line in lines if line.get_alpha()]
        assert faint[0] == sorted(s * f * error for s in (1.0, 4.0) for f in (0.5, 1.0, 2.0, 0.25, 0.5, 1.0))
    (legend,) = made.legends
    assert [label.get_text() for label in legend.get_texts()] == ["a", "b"]


def test_points_of_equal_networks_stand_side_by_side() -> None:
    made = figure("rmse-n", simulated(cell("a")), simulated(cell("b")))
    medians = [line for line in made.axes[0].get_lines() if line.get_marker() != "" and not line.get_alpha()]
    (a, _), (b, _) = (points(line) for line in medians)
    assert a[0] < N < b[0] and a[0] * b[0] == pytest.approx(N * N) and a[1] == b[1]


def test_one_size_is_no_line_and_that_is_said(tmp_path: Path) -> None:
    records = [one.model_copy(update={"metrics": metrics(N, 1.0, 0)}) for one in heat()]
    page, text = unplotted(tmp_path, records)
    line = "Not plotted, because no cell measured it: RMSE over n (it takes several sizes of the network)."
    assert line in page and line in text
    assert not (tmp_path / "report" / "memory-rmse-n.svg").exists()
    assert page.count("<svg") == len(KINDS) + 4  # and those of the whole run


def test_a_raster_has_a_tick_per_spike() -> None:
    made = figure("raster", simulated(cell("a")), simulated(cell("b")))
    (axes,) = made.axes
    (ticks,) = axes.get_lines()
    known = [(x, y) for x, y in points(ticks) if np.isfinite(y)]
    assert [x for x, _ in known[::2]] == [x for x, _ in known[1::2]]
    middles = [(low + high) / 2 for (_, low), (_, high) in zip(known[::2], known[1::2], strict=True)]
    spikes: dict[int, list[float]] = {round(middle): [] for middle in middles}
    for (time, _), middle in zip(known[::2], middles, strict=True):
        spikes[round(middle)].append(time)
    assert sorted(spikes.values()) == [[0.625, 0.875], [0.75]]  # each neuron's in a line of its own
    assert axes.get_xlim() == (0.5, 1.0)
    assert " ".join(made.get_supxlabel().split()).endswith("stimulus square, one network of a")


def test_a_raster_has_neurons_of_one_encoder_side_by_side() -> None:
    spikes = [[0.6 + neuron / 100] for neuron in range(N)]
    one = simulated(cell("a"))
    one.shows["raster"]["spikes"] = spikes
    (axes,) = figure("raster", one).axes
    drawn = [(y, x) for x, y in points(axes.get_lines()[0])[::3]]
    order = [round(100 * (x - 0.6)) for _, x in sorted(drawn)]
    encoders = build_model(FAMILY.tasks["memory"](n=N, seeds=3), 0).populations["b"].encoders[:, 0]
    assert [encoders[neuron] for neuron in order] == sorted(encoders)


def test_speed_has_build_and_first_run_apart() -> None:
    made = figure("speed", simulated(cell("a")), simulated(cell("b")))
    bars = {
        axes.get_xlabel(): [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
        for axes in made.axes
    }
    assert bars == {
        "networks × s/s": [40.0, 40.0],
        "build (s)": [0.5, 0.5],
        "first run (s)": [1.25, 1.25],
    }


def test_records_without_curves_are_still_a_report(tmp_path: Path) -> None:
    page, text = unplotted(tmp_path, [old(record) for record in heat()])
    assert row_of(text, "## memory", "torch")["RMSE (3 networks)"] == "0.375"
    assert "By stimulus" not in text and "By stimulus" not in page
    assert (
        "because no cell measured it: output against ideal; tuning curves; spike raster; RMSE over n ("
        in text
    )
    drawn = {path.stem for path in (tmp_path / "report").glob("*.svg")}
    whole = {f"all-{name}{suffix}" for name in ("speed", "memory") for suffix in ("", "-narrow")}
    assert drawn == {"memory-rounds", "memory-speed", "memory-memory"} | whole


def test_open_and_wrong_rows_are_in_the_table_and_not_in_the_plots(tmp_path: Path) -> None:
    records = heat(
        simulated(cell("free", division="open", table="open", compared=False), parity=None),
        simulated(cell("liar"), parity="wrong"),
        simulated(cell("sound"), seconds=2.0),
    )
    _, text = report(tmp_path, records)
    for kind in KINDS:
        svg = (tmp_path / "report" / f"memory-{kind}.svg").read_text(encoding="utf-8")
        assert "free" not in svg and "liar" not in svg
    rows = table(text, "### memory: By stimulus")
    assert [row["adapter"].split()[0] for row in rows[::2]] == ["torch", "sound", "free", "liar"]
    assert "Not in the plots: free plain (open division), liar plain (parity wrong)." in text


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        report(folder, heat(simulated(cell("b"), parity="reduced precision", seconds=2.0)))
        found.append({path.name: path.read_bytes() for path in (folder / "report").iterdir()})
    assert found[0] == found[1] and len(found[0]) == 7 + len(KINDS)
    for name, content in found[0].items():
        if name.endswith(".svg"):
            assert not re.search(rb' d="[^"]*\.\d{3}', content), name
