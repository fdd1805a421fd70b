"""The CSV files of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.measure.gpu import OnCard
from bench.records import CurvePoint, Metric, Record
from bench.report.figures import FIGURES
from bench.report.files import write_tables
from tests.builders import WORK, cell, certify, control, record, save, turns
from tests.harness import table

TORCH, OTHER = cell("torch"), cell("other", work=WORK | {"network": "Linear - LIF"})
OWN = cell(
    "own",
    variant="its-way",
    table="open",
    division="open",
    compared=False,
    work={"epochs": 1, "solver": "L2"},
)
CERTIFIED: dict[str, Any] = {"made": "2026-01-01T09:00:00+00:00", "machine": "elsewhere"}


def records() -> list[Record]:
    deviations = [
        Metric(
            metric="gradient error", of={"probe": "deep", "precision": "float64"}, value=3e-14, bound=1e-10
        ),
        Metric(metric="firing rate", of={"probe": "deep", "precision": "float64"}, value=0.2),
    ]
    return [
        record(certify(OTHER), metrics=deviations, **CERTIFIED),
        record(certify(TORCH), status="wrong", parity="wrong", reason="no such weights"),
        record(TORCH, [1.0] * 6, figures={"host_peak_bytes": 912e6, "epoch_seconds": 3.0}),
        record(
            OTHER,
            turns=turns([2.0] * 8, foreign=[0.5, None]),
            metrics=[Metric(metric="rmse", of={"stimulus": "-0.5", "n": 50}, value=0.1)],
            curve=[CurvePoint(epoch=1, seconds=1.0, train_seconds=1.0)],
            **CERTIFIED,
        ),
        record(control(TORCH), [1.1] * 6),
        record(OWN, [9.0], network="1000 neurons", reason='=HYPERLINK("x")'),
        record(
            cell("none", table="", variant="", learning="", compared=False),
            status="skipped",
            reason="-1 free",
        ),
    ]


def test_what_the_card_did_stands_where_it_was_measured(tmp_path: Path) -> None:
    on_card = OnCard(seconds=6.0, joules=600.0, throttled=["power cap"])
    ran = turns([1.0, 1.0])
    ran = [ran[0], *(turn.model_copy(update={"gpu": on_card}) for turn in ran[1:])]
    save(tmp_path, [record(TORCH, turns=ran, figures={"energy_joules": 1200.0}), record(OTHER, [2.0])])
    write_tables(tmp_path)
    torch, other = table(tmp_path / "results.csv")
    assert (torch["throttle_reasons"], torch["energy_joules"]) == ("power cap", "1200.0")
    assert (other["throttle_reasons"], other["energy_joules"]) == ("", "")
    first, second, *_ = table(tmp_path / "turns.csv")
    assert (first["gpu_joules"], second["gpu_joules"], second["gpu_celsius"]) == ("", "600.0", "")
    assert (first["gpu_throttled"], second["gpu_throttled"]) == ("", "power cap")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path, records())
    write_tables(tmp_path)
    return tmp_path


def row(folder: Path, adapter: str) -> dict[str, str]:
    (found,) = (row for row in table(folder / "results.csv") if row["adapter"] == adapter)
    return found


def test_results_have_the_columns_of_every_run_and_then_those_of_this_ones_work(folder: Path) -> None:
    first = (
        "run cell profile family adapter variant task network division learning device precision seed status "
        "reason parity certified_on certified_at"
    ).split()
    last = "ratio ratio_low ratio_high rounds train_images test_images curve_images steps batch epochs solver"
    assert list(row(folder, "torch")) == [*first, *FIGURES, *last.split()]


def test_a_row_of_the_results_says_what_ran_and_how_long_it_took(folder: Path) -> None:
    found = row(folder, "other")
    assert found["run"] == "2026-01-01T10-00-00-quick" and found["profile"] == "quick"
    assert (found["family"], found["task"], found["seed"]) == ("classify", "fc_lif", "0")
    assert (found["network"], found["epochs"], found["parity"]) == ("Linear - LIF", "2", "exact")
    assert (found["certified_on"], found["certified_at"]) == ("elsewhere", "2026-01-01T09:00:00+00:00")
    assert float(found["ratio"]) == pytest.approx(2.0) and found["rounds"] == "5"
    assert found["ratio_low"] == found["test_accuracy"] == ""
    own = row(folder, "own")
    assert (own["network"], own["solver"], own["epochs"]) == ("1000 neurons", "L2", "1")
    assert own["ratio"] == own["train_images"] == ""


def test_controls_and_certificates_are_no_results(folder: Path) -> None:
    assert [row["adapter"] for row in table(folder / "results.csv")] == ["torch", "other", "own", "none"]


def test_counts_are_whole_and_seconds_are_not(folder: Path) -> None:
    found = row(folder, "torch")
    assert (found["host_peak_bytes"], found["epoch_seconds"]) == ("912000000", "3.0")
    assert (found["ratio"], found["ratio_low"], found["rounds"]) == ("1.0", "1.0", "6")


def test_text_that_a_spreadsheet_would_run_is_marked_as_text_and_numbers_are_not(folder: Path) -> None:
    assert row(folder, "own")["reason"] == '\'=HYPERLINK("x")'
    assert row(folder, "none")["reason"] == "'-1 free"
    (metric,) = table(folder / "metrics.csv")
    assert metric["stimulus"] == "-0.5"


def test_heats_have_what_their_control_says(folder: Path) -> None:
    (heat,) = table(folder / "heats.csv")
    assert heat["heat"] == TORCH.heat and heat["baseline"] == "torch/plain"
    assert float(heat["control_ratio"]) == pytest.approx(1.1) and heat["rounds"] == "6"
    assert float(heat["control_low"]) == float(heat["control_high"]) == pytest.approx(1.1)
    assert (heat["turns"], heat["disturbed"]) == ("20", "1")


def test_every_turn_is_there_the_disturbed_ones_marked(folder: Path) -> None:
    found = table(folder / "turns.csv")
    assert len(found) == 7 + 9 + 7 + 2
    mine = [turn for turn in found if turn["cell"] == OTHER.cell]
    assert [turn["round"] for turn in mine] == [str(n) for n in range(9)]
    assert [turn["disturbed"] for turn in mine[:4]] == ["", "True", "", "False"]
    assert (mine[0]["phase"], mine[0]["foreign"], mine[1]["foreign"]) == ("build", "", "0.5")
    assert {turn["heat"] for turn in found} == {TORCH.heat, OWN.heat}


def test_metrics_have_a_column_for_all_that_they_are_of(folder: Path) -> None:
    (metric,) = table(folder / "metrics.csv")
    assert list(metric) == ["cell", "metric", "value", "bound", "stimulus", "n"]
    assert (metric["cell"], metric["value"], metric["bound"], metric["n"]) == (OTHER.cell, "0.1", "", "50")


def test_curves_have_every_epoch(folder: Path) -> None:
    (point,) = table(folder / "curves.csv")
    assert (point["cell"], point["epoch"], point["loss"]) == (OTHER.cell, "1", "")
    columns = "cell epoch loss test_loss train_accuracy test_accuracy seconds train_seconds"
    assert " ".join(point) == columns


def test_parity_has_every_comparison_with_its_bound(folder: Path) -> None:
    error, rate, failed = table(folder / "parity.csv")
    assert (error["adapter"], error["metric"], error["value"], error["bound"]) == (
        "other",
        "gradient error",
        "3e-14",
        "1e-10",
    )
    # of the comparison, not of the run
    assert (error["probe"], error["precision"], rate["bound"]) == ("deep", "float64", "")
    assert (failed["status"], failed["reason"], failed["metric"]) == ("wrong", "no such weights", "")


def test_the_same_records_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    write_tables(folder)
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == before
    assert sorted(before) == [
        f"{name}.csv" for name in ("curves", "heats", "metrics", "parity", "results", "turns")
    ]
