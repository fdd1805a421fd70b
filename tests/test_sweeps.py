"""What the report makes of a run with several points of one task."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.progress import Progress
from bench.records import Cell, Record, Turn
from bench.report import sweeps
from bench.report.page import write_report
from bench.report.pages import page_of
from bench.report.sections import sections
from bench.report.sweeps import Sweep
from tests.builders import cell, manifest, record, save

WAVER = (0.0, 0.001, -0.001)  # of a seed's accuracy


def point(
    values: Mapping[str, Any], seed: int = 0, *, adapter: str = "torch", task: str = "fc_lif", **changes: Any
) -> Record:
    """A cell of one point: accuracy 0.9, memory of 500 MB and 2 MB a step."""
    name = "-".join(f"{key}{value}" for key, value in values.items())
    own = cell(
        adapter,
        task,
        task_values=dict(values),
        seed=seed,
        heat=f"{name}-{seed}",
        cell=f"{adapter}{name}-{seed}",
    )
    figures = {
        "test_accuracy": 0.9 + WAVER[seed],
        "epoch_seconds": 0.1,
        "host_peak_bytes": 5e8 + 2e6 * float(values.get("steps", 0)),
    }
    return record(own, figures=figures | changes.pop("figures", {}), **changes)


def found(records: list[Record]) -> list[Sweep]:
    made = manifest([each.cell for each in records])
    return sweeps.sweeps(made, sections(made, records), {"classify": page_of("classify")})


def study() -> list[Record]:
    """T and batch through the first point, T = 10, batch 32; and T once more with a hidden layer."""
    base = {"steps": 10, "batch": 32}
    points = [base, base | {"steps": 100}, base | {"steps": 2}, base | {"batch": 64}]
    points += [base | {"hidden": 196, "steps": steps} for steps in (2, 10, 100)]
    return [point(values, seed) for seed in range(3) for values in points]


def test_every_value_that_varies_has_a_sweep_through_the_first_point() -> None:
    made = {sweep.slug: (sweep.title, sweep.values) for sweep in found(study())}
    assert made == {
        "fc-lif-over-hidden": ("fc_lif over hidden (steps 10, batch 32)", [0, 196]),
        "fc-lif-over-steps": ("fc_lif over steps (hidden 0, batch 32)", [2, 10, 100]),
        "fc-lif-over-steps-hidden-196": ("fc_lif over steps (hidden 196, batch 32)", [2, 10, 100]),
        "fc-lif-over-batch": ("fc_lif over batch (hidden 0, steps 10)", [32, 64]),
    }


def test_times_of_a_machine_that_did_something_else_are_left_out() -> None:
    def at(steps: int, foreign: float) -> Record:
        turns = [Turn(round=n, phase="train", seconds=1.0, compared=True, foreign=foreign) for n in range(4)]
        return point({"steps": steps}, turns=turns)

    (quiet,), (busy,) = found([at(2, 0.0), at(5, 0.0)]), found([at(2, 0.0), at(5, 0.5)])
    assert [figure.name for figure in quiet.figures] == ["test_accuracy", "epoch_seconds", "host_peak_bytes"]
    assert [figure.name for figure in busy.figures] == ["test_accuracy", "host_peak_bytes"]
    assert sweeps.findings(busy)[-1].startswith("No s/epoch: of some value others used the CPU")
    assert "Every value is a heat of its own" in sweeps.findings(quiet)[-1]


def test_a_run_of_one_point_has_no_sweep() -> None:
    assert found([point({"steps": 10}), point({"steps": 10}, 1)]) == []


def test_points_that_differ_in_two_values_are_no_sweep() -> None:
    assert found([point({"steps": 10, "batch": 32}), point({"steps": 20, "batch": 64})]) == []


def test_what_is_wrong_is_in_no_sweep() -> None:
    wrong = [point({"steps": steps}, adapter="liar", status="wrong", parity="wrong") for steps in (2, 4)]
    (sweep,) = found([*wrong, point({"steps": 2}), point({"steps": 4})])
    assert [*sweep.lines()] == [("torch", "plain")]


def test_words_are_categories_in_the_order_of_the_profile() -> None:
    codes = ["onehot", "gray", "binary"]
    (sweep,) = found([point({"code": code}, task="conv_lif") for code in codes])
    assert sweep.values == codes and not sweep.is_numeric


def test_the_table_has_means_with_their_interval() -> None:
    (sweep,) = found([point({"steps": steps}, seed) for steps in (2, 4) for seed in range(3)])
    (group,) = sweeps.table(sweep).groups
    assert [row[1].text for row in group.rows] == ["2", "4"]
    accuracy = group.rows[0][2]
    # Student's t for two degrees of freedom is 4.303, and the standard error 0.001 / sqrt(3)
    assert (accuracy.text, accuracy.note) == ("90.00", "89.75 to 90.25, n = 3")


def test_a_line_through_memory_says_what_a_step_takes_and_how_well_it_fits() -> None:
    straight = found([point({"steps": steps}) for steps in (2, 10, 100)])
    (line,) = [words for words in sweeps.findings(straight[0]) if "least-squares" in words]
    assert "500 MB + 2.00 MB x steps" in line and "R² 1.0000" in line
    bent = found([point({"steps": n}, figures={"host_peak_bytes": 1e6 * n**2}) for n in (1, 10, 20)])
    (line,) = [words for words in sweeps.findings(bent[0]) if "least-squares" in words]
    assert "R² 0.9" in line and "R² 1" not in line


def test_two_values_have_no_line_through_memory() -> None:
    (sweep,) = found([point({"steps": 2}), point({"steps": 4})])
    assert not any("least-squares" in words for words in sweeps.findings(sweep))


def test_the_best_value_is_named_with_those_that_seeds_do_not_tell_from_it() -> None:
    records = [
        point({"steps": steps}, seed, figures={"test_accuracy": accuracy + WAVER[seed * order % 3]})
        for steps, accuracy, order in ((2, 0.5, 1), (10, 0.9, 1), (100, 0.9001, 2))
        for seed in range(3)
    ]
    (sweep,) = found(records)
    (said,) = [words for words in sweeps.findings(sweep) if "best mean" in words]
    assert said.endswith("90.01 at steps 100; not told apart from it, seed by seed: 10.")


def test_one_seed_tells_no_two_values_apart() -> None:
    (sweep,) = found([point({"steps": 2}), point({"steps": 4})])
    assert any(words.endswith("one seed tells no two values apart.") for words in sweeps.findings(sweep))


def test_times_of_several_heats_are_said_not_to_be_compared() -> None:
    (sweep,) = found([point({"steps": 2}), point({"steps": 4})])
    assert "not compared" in sweeps.findings(sweep)[-1]


def test_both_reports_show_table_sentences_and_plot(tmp_path: Path) -> None:
    write_report(save(tmp_path, study()))
    for name in ("index.html", "report.md"):
        text = (tmp_path / "report" / name).read_text(encoding="utf-8")
        assert text.count("fc_lif over steps (hidden 196, batch 32)") >= 2
        assert "MB x steps, R²" in text and "n = 3" in text
    assert (tmp_path / "report" / "fc-lif-over-steps-hidden-196.svg").is_file()


@pytest.mark.parametrize(
    ("values", "scale"), [((2, 10, 100), "log"), ((2, 3), "linear"), ((0, 196), "linear")]
)
def test_the_axis_is_logarithmic_where_values_lie_far_apart(values: tuple[int, ...], scale: str) -> None:
    from bench.report.drawing import styles
    from bench.report.sweep_plot import draw

    records = [point({"hidden": value}, seed) for value in values for seed in range(2)]
    (sweep,) = found(records)
    figure = draw(sweep, styles([each.cell for each in records]))
    assert figure is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["test accuracy (%)", "s/epoch", "host peak (MB)"]
    assert {axes.get_xscale() for axes in figure.axes} == {scale}
    means, seeds = figure.axes[0].get_lines()
    assert list(np.asarray(means.get_xdata())) == [*values]
    assert np.size(seeds.get_xdata()) == 2 * len(values)
    assert means.get_ydata() == pytest.approx([90.05] * len(values))


def test_progress_says_which_point_runs() -> None:
    def shown(cells: list[Cell]) -> str:
        text = io.StringIO()
        Progress(Console(file=text, width=200), cells, []).heat([cells[-1]])
        return text.getvalue()

    cells = [point({"steps": 2, "batch": 8}).cell, point({"steps": 4, "batch": 8}).cell]
    assert shown(cells) == "heat 2/2  fc_lif (steps 4): torch plain runs\n"
    assert shown(cells[1:]) == "heat 1/1  fc_lif: torch plain runs\n"
