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

from bench.records import Cell, Metric, Parity, Raster, Record, Recording
from bench.report import nef_plots
from bench.report.drawing import INK, styles
from bench.report.glossary import GLOSSARY
from bench.report.ranking import sections
from bench.report.text import ABSENT, rate, significant, span
from tests.test_report import cell as classify_cell
from tests.test_report import done as classified
from tests.test_report import manifest, report, row_of, table

N = 8
SCORES = {"square": 0.25, "pulse": 0.5}  # RMSE of a first process
KINDS = ("output", "raster", "rmse-n", "speed", "memory")


def cell(adapter: str, task: str = "memory", *, seed: int = 0, **changes: Any) -> Cell:
    values = {
        "cell": f"nef-{task}-{adapter}-{seed}",
        "kind": "nef",
        "learning": "least-squares",
        "task": task,
        "network": "a 8, b 8",
        "train_images": 0,
        "test_images": 0,
        "curve_images": 0,
        "steps": 2000,
        "batch": 3,
        "epochs": 0,
        "task_values": {"n": N, "seeds": 3},
    }
    return classify_cell(adapter, seed=seed).model_copy(update=values | changes)


def metrics(n: int, scale: float, seed: int) -> list[Metric]:
    """Scores of three networks under two stimuli, their errors in proportion to ``scale``."""
    found = []
    for stimulus, error in SCORES.items():
        key = f"{stimulus} n={n}"
        values = {"rmse": scale * error, "rmse_worst": 2 * scale * error, "bias": -scale * error / 4}
        values |= {"mean_output": 0.75}
        if stimulus == "pulse":
            values |= {"drift": -0.125, "drift_worst": 0.375}
        found += [Metric(metric=metric, key=key, value=value) for metric, value in values.items()]
        for network, factor in enumerate((0.5, 1.0, 2.0)):
            name = f"{key} seed={3 * seed + network}"
            found.append(Metric(metric="rmse_seed", key=name, value=factor * scale * error))
    return found


def simulated(
    of: Cell, *, scale: float = 1.0, sweep: tuple[int, ...] = (2 * N,), parity: Parity | None = "within"
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
        Recording(stimulus=stimulus, seconds=0.01, decoded=[0.0, scale, 0.5], ideal=[0.0, 1.0, 0.75])
        for stimulus in SCORES
    ]
    raster = Raster(stimulus="square", ensemble="b", start=0.5, stop=1.0, spikes=[[0.625, 0.875], [], [0.75]])
    return Record(
        cell=of,
        status="ok",
        parity=parity,
        figures=figures,
        metrics=measured,
        recordings=curves,
        raster=raster,
        started="2026-01-01T10:00:00Z",
        seconds=1.0,
    )


def old(record: Record) -> Record:
    """The record as it was before curves, spikes and scores per network were kept."""
    return record.model_copy(update={"recordings": [], "raster": None, "metrics": []})


def drawn(kind: str, *records: Record) -> Figure | None:
    (section,) = sections(manifest(record.cell for record in records), records)
    (draw,) = (one.draw for one in nef_plots.KINDS if one.name == kind)
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
    records = [simulated(cell(name), scale=scale, sweep=sizes) for name, scale in (("a", 1.0), ("b", 0.5))]
    page, text = report(tmp_path, records)
    rows = table(text, "### memory: by stimulus")
    expected = {"rank": "1", "adapter": "a", "variant": "default", "stimulus": "square", "RMSE": "0.250"}
    expected |= {"worst RMSE": "0.500", "bias": "-0.0625", "mean output": "0.750"}
    assert rows[0] == expected | {"drift (1/s)": ABSENT, "worst drift (1/s)": ABSENT}
    assert [(row["adapter"], row["stimulus"], row["RMSE"], row["drift (1/s)"]) for row in rows] == [
        ("a", "square", "0.250", ABSENT),
        ("a", "pulse", "0.500", "-0.125"),
        ("b", "square", "0.125", ABSENT),
        ("b", "pulse", "0.250", "-0.125"),
    ]
    assert "<h3>By stimulus</h3>" in page
    assert row_of(text, "## memory", "a")["first run (s)"] == "1.25"


def test_scores_of_several_seeds_are_median_and_range(tmp_path: Path) -> None:
    records = [simulated(cell("a", seed=seed), scale=scale) for seed, scale in enumerate((1.0, 4.0, 2.0))]
    records[2] = records[2].model_copy(update={"metrics": metrics(N, 2.0, 2)[:1]})
    _, text = report(tmp_path, records)
    row = table(text, "### memory: by stimulus")[0]
    assert row["RMSE"] == "0.500 (0.250–1.00)"
    assert row["bias"] == "-0.156 (-0.250 to -0.0625, n = 2)"
    single = [
        table(report(tmp_path / str(n), [record])[1], "### memory: by stimulus")[0]
        for n, record in enumerate(records[:2])
    ]
    worst = [float(found["worst RMSE"]) for found in single]
    assert worst[0] < worst[1] and row["worst RMSE"].startswith(f"{worst[1]:.3g}")  # no median


def test_the_size_is_the_tasks_own_where_the_profile_names_none(tmp_path: Path) -> None:
    of = cell("a", task_values={})
    record = simulated(of).model_copy(update={"metrics": metrics(50, 1.0, 0) + metrics(N, 2.0, 0)})
    _, text = report(tmp_path, [record])
    assert [row["RMSE"] for row in table(text, "### memory: by stimulus")] == ["0.250", "0.500"]


def test_what_no_row_measured_is_no_column(tmp_path: Path) -> None:
    record = simulated(cell("a", "add"))
    kept = [metric for metric in record.metrics if not metric.metric.startswith("drift")]
    _, text = report(tmp_path, [record.model_copy(update={"metrics": kept})])
    (row, *_) = table(text, "### add: by stimulus")
    assert not any("drift" in column for column in row) and row["mean output"] == "0.750"


def test_every_score_and_plot_is_explained() -> None:
    terms = " ".join(term for term, _ in GLOSSARY)
    for word in ("first run", "bias", "mean output", "drift", "raster", "RMSE over n"):
        assert word in terms


def test_a_section_has_the_plots_of_its_own_kind(tmp_path: Path) -> None:
    _, text = report(tmp_path, [simulated(cell("a")), classified(classify_cell("a"), epoch_seconds=1.0)])
    found = {path.stem for path in (tmp_path / "report").glob("*.svg")}
    assert {name for name in found if name.startswith("memory")} == {f"memory-{kind}" for kind in KINDS}
    lacking = re.findall(r"^Not plotted.*$", text, re.MULTILINE)
    assert lacking == [
        "Not plotted, because no cell measured it: test accuracy against time per epoch; peak memory."
    ]


def test_output_and_ideal_of_one_network() -> None:
    first, second = simulated(cell("a", seed=0)), simulated(cell("a", seed=1), scale=3.0)
    slow = simulated(cell("b"), scale=2.0)
    slow.figures["sim_speed"] = 1.0
    made = figure("output", old(first), second, slow)
    panels = np.array(made.axes).reshape(2, 2)
    assert [axes.get_title() for axes in panels[0]] == ["square", "pulse"]
    assert [axes.get_ylabel() for axes in panels[:, 0]] == ["a", "b"]
    look = styles([second.cell, slow.cell])
    for line, adapter, peak in zip(panels, "ab", (3.0, 2.0), strict=True):
        for axes in line:
            decoded, ideal = axes.get_lines()
            assert points(decoded) == [(0.0, 0.0), (0.01, peak), (0.02, 0.5)]
            assert points(ideal) == [(0.0, 0.0), (0.01, 1.0), (0.02, 0.75)]
            assert to_rgb(decoded.get_color()) == to_rgb(look[adapter, "default"].colour)
            assert ideal.get_color() == INK and ideal.is_dashed()
    assert made.get_supxlabel() == "time (s); one network, n = 8; dashed: its ideal"


def test_output_has_room_for_every_row() -> None:
    heights = [
        figure("output", *(simulated(cell(f"adapter {k}")) for k in range(count))).get_figheight()
        for count in (1, 2, 12)
    ]
    assert heights[2] - heights[1] == pytest.approx(10 * (heights[1] - heights[0]))
    assert heights[1] - heights[0] > 0.5


def test_rmse_over_n_is_the_median_of_all_networks() -> None:
    seeds = [simulated(cell("a", seed=seed), scale=scale) for seed, scale in enumerate((1.0, 4.0))]
    made = figure("rmse-n", *seeds, simulated(cell("b"), scale=3.0))
    assert [axes.get_title() for axes in made.axes] == ["square", "pulse"]
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
    page, text = report(tmp_path, [simulated(cell("a"), sweep=())])
    line = "Not plotted, because no cell measured it: RMSE over n (it takes several sizes of the network)."
    assert line in page and line in text
    assert not (tmp_path / "report" / "memory-rmse-n.svg").exists()
    assert page.count("<svg") == len(KINDS) - 1


def test_a_raster_has_a_tick_per_spike() -> None:
    made = figure("raster", simulated(cell("a")), simulated(cell("b")))
    assert [axes.get_ylabel() for axes in made.axes] == ["a", "b"]
    for axes in made.axes:
        (ticks,) = axes.get_lines()
        known = [(x, y) for x, y in points(ticks) if np.isfinite(y)]
        assert [x for x, _ in known[::2]] == [x for x, _ in known[1::2]] == [0.625, 0.875, 0.75]
        middles = [(low + high) / 2 for (_, low), (_, high) in zip(known[::2], known[1::2], strict=True)]
        assert middles == pytest.approx([0, 0, 2])
        assert axes.get_xlim() == (0.5, 1.0)
    assert made.get_supxlabel().endswith("3 neurons of ensemble b, a line each; stimulus square, one network")


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
    page, text = report(tmp_path, [old(simulated(cell("a")))])
    assert row_of(text, "## memory", "a")["RMSE"] == "0.375"
    assert "by stimulus" not in text and "By stimulus" not in page
    assert "because no cell measured it: output against ideal; spike raster; RMSE over n (" in text
    assert {path.stem for path in (tmp_path / "report").glob("*.svg")} == {"memory-speed", "memory-memory"}


def test_open_and_wrong_rows_are_in_the_table_and_not_in_the_plots(tmp_path: Path) -> None:
    records = [
        simulated(cell("free", division="open"), parity=None),
        simulated(cell("liar"), parity="wrong"),
        simulated(cell("sound")),
    ]
    _, text = report(tmp_path, records)
    for kind in KINDS:
        svg = (tmp_path / "report" / f"memory-{kind}.svg").read_text(encoding="utf-8")
        assert "<!-- sound -->" in svg
        assert "free" not in svg and "liar" not in svg
    rows = table(text, "### memory: by stimulus")
    assert [(row["rank"], row["adapter"]) for row in rows[::2]] == [
        ("1", "sound"),
        ("", "free"),
        ("", "liar"),
    ]
    assert "Not in the plots: free default (open division), liar default (parity wrong)." in text


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        report(folder, [simulated(cell("a")), simulated(cell("b"), parity="reduced precision")])
        found.append({path.name: path.read_bytes() for path in (folder / "report").iterdir()})
    assert found[0] == found[1] and len(found[0]) == 2 + 2 * len(KINDS)
    for name, content in found[0].items():
        if name.endswith(".svg"):
            assert not re.search(rb' d="[^"]*\.\d{3}', content), name


def test_a_range_below_zero_is_readable() -> None:
    assert span([-2.0, 1.0], significant) == "-2.00 to 1.00"
    assert span([0.25, 0.5], rate) == "0.2500–0.5000"
