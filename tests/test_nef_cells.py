"""Certificate, timed cell and plan of the NEF tasks, on simulators that are wrong in one way each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from adapters.protocol import Array, NefResult, NefSimulator, Settings, Unsupported
from bench import nef_certificate, nef_worker
from bench.certificate import Deviation, verdict
from bench.outcomes import Diverged, Wrong
from bench.records import METRIC_COLUMNS, Record, result_rows
from bench.report.ranking import sections
from bench.report.tables import comparison, tasks
from tasks import nef, nef_reference
from tasks.nef import Model, Nef, build_model
from tests.test_plan import cells

SETTINGS = Settings(
    device="cpu",
    precision="float64",
    tf32=False,
    cudnn_benchmark=False,
    deterministic=False,
    threads=1,
    seed=2,
    variant="plain",
)


class Honest:
    """``NefSimulator`` by the reference; a fault overrides one method."""

    def __init__(self, task: Nef, settings: Settings, models: Sequence[Model]) -> None:
        self.task, self.models = task, list(models)

    def run(self, inputs: Array) -> NefResult:
        truth = nef_reference.simulate(self.task, self.models, np.asarray(inputs, np.float64))
        return self.changed(NefResult(decoded=truth.decoded, spikes=truth.spikes))

    def changed(self, result: NefResult) -> NefResult:
        return result

    def sync(self) -> None:
        pass

    def device_memory(self) -> int | None:
        return None


class StartsAtRest(Honest):
    def __init__(self, task: Nef, settings: Settings, models: Sequence[Model]) -> None:
        super().__init__(task, settings, [self.silenced(model) for model in models])

    def silenced(self, model: Model) -> Model:
        populations = {k: replace(p, voltage=p.voltage * 0) for k, p in model.populations.items()}
        return replace(model, populations=populations)


class KeepsItsState(Honest):
    runs = 0

    def changed(self, result: NefResult) -> NefResult:
        self.runs += 1
        shift = 3 if self.runs > 3 else 0  # the fourth run is the repetition
        spikes = {name: np.roll(fired, shift, axis=1) for name, fired in result.spikes.items()}
        return replace(result, spikes=spikes)


class OneSpikeTooMany(Honest):
    def changed(self, result: NefResult) -> NefResult:
        spikes = {name: fired.copy() for name, fired in result.spikes.items()}
        spikes["a"][0, np.flatnonzero(~spikes["a"][0, :, 0])[0], 0] = True
        return replace(result, spikes=spikes)


class ReadsTheProbeLate(Honest):
    def changed(self, result: NefResult) -> NefResult:
        return replace(result, decoded=np.roll(result.decoded, -1, axis=1))


class SilencesTheGivenArrays(Honest):
    def __init__(self, task: Nef, settings: Settings, models: Sequence[Model]) -> None:
        super().__init__(task, settings, models)
        for model in models:
            model.populations["a"].voltage[:] = 0


class OneModelForAll(Honest):
    def __init__(self, task: Nef, settings: Settings, models: Sequence[Model]) -> None:
        super().__init__(task, settings, [build_model(task, seed) for seed in range(len(models))])


class StepsFirst(Honest):
    def changed(self, result: NefResult) -> NefResult:
        return replace(result, decoded=result.decoded.swapaxes(0, 1))


class ForgetsAnEnsemble(Honest):
    def changed(self, result: NefResult) -> NefResult:
        return replace(result, spikes={k: v for k, v in result.spikes.items() if k != "a"})


def failures(fault: Callable[..., NefSimulator], precision: str = "float64") -> list[Deviation]:
    settings = replace(SETTINGS, precision=precision)  # type: ignore[arg-type]
    found = list(nef_certificate.certify(fault, nef.memory(n=10), settings))
    failed = [deviation for deviation in found if deviation.failed]
    assert (verdict(found, precision)[0] == "wrong") == bool(failed)
    return failed


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_honest_one_passes(precision: str) -> None:
    assert failures(Honest, precision) == []


@pytest.mark.parametrize(
    ("fault", "metric", "where"),
    [
        (StartsAtRest, "spike difference", "square n=10 float64"),
        (KeepsItsState, "spike difference", "again"),
        (OneSpikeTooMany, "spike difference", "pulse"),
        (ReadsTheProbeLate, "decoded error", "noise"),
        (OneModelForAll, "spike difference", "other models"),
        (StepsFirst, "shape mismatches", "square"),
        (ForgetsAnEnsemble, "shape mismatches", "square"),
    ],
)
def test_a_planted_fault_is_caught_and_named(fault: type[Honest], metric: str, where: str) -> None:
    found = failures(fault)
    assert any(d.metric == metric and where in d.key for d in found), [d[:2] for d in found]


def test_a_network_too_small_to_fire_is_no_fault_of_the_adapter() -> None:
    with pytest.raises(Unsupported, match="at n=1 an ensemble never fires under square: take a larger n"):
        list(nef_certificate.certify(Honest, nef.memory(n=1, seeds=1), SETTINGS))


def test_a_model_cannot_be_changed_for_all() -> None:
    with pytest.raises(ValueError, match="read-only"):
        failures(SilencesTheGivenArrays)


def test_what_a_simulator_refuses_is_refused() -> None:
    def refuse(task: Nef, settings: Settings, models: Sequence[Model]) -> NefSimulator:
        raise Unsupported("no mixed precision")

    with pytest.raises(Unsupported):
        list(nef_certificate.certify(refuse, nef.memory(n=3), replace(SETTINGS, precision="amp")))


def test_what_only_one_comparison_can_see_is_seen_there_alone() -> None:
    assert all("again" in deviation.key for deviation in failures(KeepsItsState))
    assert all("other models" in deviation.key for deviation in failures(OneModelForAll))


def test_every_size_of_the_sweep_is_certified() -> None:
    task = nef.add(n=10, sweep=(10, 6))
    found = list(nef_certificate.certify(Honest, task, SETTINGS))
    assert not any(deviation.failed for deviation in found)
    keys = {d.key for d in found if d.metric == "spike difference"}
    for size in (10, 6):
        assert {f"{s.name} n={size} float64" for s in task.stimuli} <= keys


def test_all_spikes_together_are_one_share() -> None:
    (found,) = (d for d in failures(OneSpikeTooMany) if d.key == "all stimuli and sizes float64")
    task = nef.memory(n=10)
    models = [build_model(task, seed) for seed in range(3)]
    truths = [nef_reference.simulate(task, models, nef.stimulus_array(task, s)) for s in task.stimuli]
    spikes = sum(int(fired.sum()) for truth in truths for fired in truth.spikes.values())
    assert found.value == pytest.approx(3 / (spikes + 3))  # one too many under each of three stimuli


def test_only_float32_has_a_yardstick_and_it_is_not_judged() -> None:
    for precision, count in (("float64", 0), ("float32", 3)):
        settings = replace(SETTINGS, precision=precision)  # type: ignore[arg-type]
        found = list(nef_certificate.certify(Honest, nef.multiply(n=20), settings))
        yardsticks = [d for d in found if d.metric == "rounded reference"]
        assert len(yardsticks) == count
        assert all(d.bound is None for d in yardsticks)
    assert 0 < max(d.value for d in yardsticks) < 0.1


def test_other_spikes_are_caught_in_float32_too() -> None:
    assert failures(StartsAtRest, "float32")


def test_a_timed_cell_has_its_figures_and_a_row_for_each_network() -> None:
    task = nef.memory(n=10, seeds=2)
    done = nef_worker.run(Honest, task, SETTINGS, measured=Mock())
    assert done["status"] == "ok"
    assert done["figures"].keys() == {
        "rmse",
        "build_seconds",
        "first_run_seconds",
        "sim_speed",
        "host_peak_bytes",
        "spike_rate",
    }
    assert 0.01 < done["figures"]["spike_rate"] < 0.5
    values = {(row["metric"], row["key"]): row["value"] for row in done["metrics"]}
    assert all(row.keys() | {"cell"} == set(METRIC_COLUMNS) for row in done["metrics"])
    both = [values["rmse_seed", f"square n=10 seed={seed}"] for seed in (4, 5)]  # of the third process
    assert values["rmse", "square n=10"] == pytest.approx(np.mean(both))
    assert values["rmse_worst", "square n=10"] == max(both)
    everything = [value for (metric, _), value in values.items() if metric == "rmse_seed"]
    assert len(everything) == 6 and done["figures"]["rmse"] == pytest.approx(np.median(everything))
    assert [key for metric, key in values if metric == "drift"] == ["pulse n=10"]
    truth = nef_reference.simulate(
        task, [build_model(task, 4)], nef.stimulus_array(task, task.stimuli[0])
    ).decoded
    expected = nef.ideal(task, nef.stimulus_array(task, task.stimuli[0]))
    assert both[0] == nef.rmse(task, truth, expected)[0]


def test_speed_is_networks_times_simulated_seconds_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([9.0, 4.0, 5.0, 100.0])  # the first run does not count
    monkeypatch.setattr(nef_worker, "timed", lambda work, sync: (work(), next(seconds)))
    done = nef_worker.run(Honest, nef.memory(n=5, seeds=3), SETTINGS, measured=Mock())
    assert done["figures"]["sim_speed"] == pytest.approx(3 * 2.0 / 5.0)
    assert done["figures"]["first_run_seconds"] == 9.0


def test_a_sweep_scores_other_sizes_and_changes_no_figure() -> None:
    task = nef.multiply(n=5, seeds=2, sweep=(3, 5))
    both = (task, replace(task, sweep=()))
    swept, plain = (nef_worker.run(Honest, t, SETTINGS, measured=Mock()) for t in both)
    assert swept["figures"]["rmse"] == plain["figures"]["rmse"]
    assert swept["recordings"] == plain["recordings"]
    added = [row for row in swept["metrics"] if row not in plain["metrics"]]
    assert {row["key"].split(" ")[1] for row in added} == {"n=3"}
    alone = nef_worker.run(Honest, nef.multiply(n=3, seeds=2), SETTINGS, measured=Mock())["metrics"]
    assert added == [row for row in alone if row["metric"] != "spike_rate"]


def test_a_record_keeps_the_first_networks_curves_and_spikes() -> None:
    task = nef.memory(n=30, seeds=2)
    done = nef_worker.run(Honest, task, SETTINGS, measured=Mock())
    inputs = nef.stimulus_array(task, task.stimuli[0])
    truth = nef_reference.simulate(task, [build_model(task, 4)], inputs)
    assert [recording["stimulus"] for recording in done["recordings"]] == ["square", "pulse", "noise"]
    square = done["recordings"][0]
    assert square["seconds"] == 0.01
    assert np.allclose(square["decoded"], truth.decoded[0, ::10, 0], rtol=0, atol=1e-5)
    assert np.allclose(square["ideal"], nef.ideal(task, inputs)[::10, 0], rtol=0, atol=1e-5)
    raster = done["raster"]
    assert (raster["stimulus"], raster["ensemble"], len(raster["spikes"])) == ("square", "b", 20)
    for neuron, times in enumerate(raster["spikes"]):
        steps = np.flatnonzero(truth.spikes["b"][0, 500:1000, neuron]) + 500
        assert np.allclose(times, steps * task.dt)
    assert any(raster["spikes"])


def test_what_is_measured_ends_before_the_sweep() -> None:
    sizes: list[int] = []

    class Sized(Honest):
        def run(self, inputs: Array) -> NefResult:
            sizes.append(self.task.n)
            return super().run(inputs)

    task = nef.memory(n=4, seeds=1, sweep=(3,))
    nef_worker.run(Sized, task, SETTINGS, measured=lambda: sizes.append(0))
    assert sizes == [4] * 4 + [0] + [3] * 3


class NotFinite(Honest):
    def changed(self, result: NefResult) -> NefResult:
        return replace(result, decoded=result.decoded * np.nan)


def test_what_is_no_result_is_none() -> None:
    task = nef.memory(n=5, seeds=3)
    with pytest.raises(Wrong, match=r"shape \(2000, 3, 1\), expected \(3, 2000, 1\)"):
        nef_worker.run(StepsFirst, task, SETTINGS, measured=Mock())
    with pytest.raises(Diverged, match="no longer finite"):
        nef_worker.run(NotFinite, task, SETTINGS, measured=Mock())


NEF: dict[str, Any] = {"tasks": ["memory"], "task": {"memory": {"n": 8, "seeds": 3}}}


def test_a_cell_of_a_nef_task() -> None:
    certify, timed = cells("adapter=torch", **NEF)
    assert (certify.kind, timed.kind) == ("certify", "nef")
    assert timed.certificate == certify.cell
    assert timed.learning == "least-squares"
    assert (timed.steps, timed.batch, timed.network) == (2000, 3, nef.memory(n=8).network)
    assert not timed.skip
    others = cells("adapter=torch", tasks=["memory"], task={"memory": {"n": 9, "seeds": 3}})
    assert not {cell.cell for cell in others} & {certify.cell, timed.cell}


@pytest.mark.parametrize(
    ("adapter", "task", "reason"),
    [
        ("ok", "memory", "ok declares no NEF tasks"),
        ("norse", "multiply", "norse declares no NEF tasks"),
        ("sinabs", "add", "sinabs declares no NEF tasks"),
    ],
)
def test_who_lacks_the_family_has_a_row_with_the_reason(adapter: str, task: str, reason: str) -> None:
    assert {cell.skip for cell in cells(f"adapter={adapter}", tasks=[task])} == {reason}


def test_what_a_nef_cell_does_not_have_is_empty_not_zero() -> None:
    (timed,) = [cell for cell in cells("adapter=torch", **NEF) if cell.kind == "nef"]
    record = Record(cell=timed, status="ok", figures={"rmse": 0.5}, started="", seconds=1)
    (row,) = result_rows(SimpleNamespace(run="any", profile="any"), [record])  # type: ignore[arg-type]
    assert (row["rmse"], row["batch"], row["steps"]) == (0.5, 3, 2000)
    assert row["train_images"] is row["test_images"] is row["epochs"] is None


def test_the_report_ranks_simulators_by_their_speed() -> None:
    planned = cells("adapter=torch,nengo,norse", **NEF)
    speeds = {"torch": 40.0, "nengo": 10.0}
    records = [
        Record(
            cell=cell,
            status="skipped" if cell.skip else "ok",
            parity=None if cell.skip else "within",
            figures={"rmse": 0.05, "sim_speed": speeds[cell.adapter]} if cell.adapter in speeds else {},
            started="",
            seconds=1,
        )
        for cell in planned
        if cell.kind == "nef"
    ]
    (section,) = sections(SimpleNamespace(cells=planned, settings={}), records)  # type: ignore[arg-type]
    table = comparison(section)
    headings = [heading.text for heading in table.headings]
    rows = [dict(zip(headings, row, strict=True)) for group in table.groups for row in group.rows]
    found = [
        [row[heading].text for heading in ("rank", "adapter", "RMSE", "networks × s/s", "× fastest")]
        for row in rows
    ]
    assert found == [
        ["1", "torch", "0.0500", "40.0", "1.00"],
        ["2", "nengo", "0.0500", "10.0", "4.00"],
        ["", "norse", "–", "–", ""],
    ]
    assert [group.title for group in table.groups] == ["Ranked by networks × s/s", "Not ranked"]
    asked = tasks([section])
    row = dict(zip((heading.text for heading in asked.headings), asked.groups[0].rows[0], strict=True))
    assert (row["time steps"].text, row["batch"].text) == ("2,000", "3")
    assert (row["epochs"].text, row["training images"].text) == ("–", "–")
