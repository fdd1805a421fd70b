"""Certificate, timed cell and plan of the NEF tasks, on simulators that are wrong in one way each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.records import Record
from bench.report.files import write_tables
from tasks.measuring import Deviation, Diverged, Wrong, verdict
from tasks.nef import FAMILY, certificate, reference, run, scores
from tasks.nef.examples import add, calculate, memory, multiply
from tasks.nef.model import Model, build_model
from tasks.nef.protocol import Array, NefResult, NefSimulator
from tasks.nef.spec import Float, Nef
from tasks.nef.stimuli import stimulus_array
from tasks.protocol import Job, Settings, Turn, Unsupported
from tests.builders import save
from tests.harness import table
from tests.test_plan import cells

SETTINGS = Settings(precision="float64", seed=2)


# by task, models and inputs; the models stand beside, so that no other gets their identities
_RUNS: dict[tuple[Any, ...], tuple[list[Model], reference.Truth]] = {}


def simulated(task: Nef, models: list[Model], inputs: Float) -> reference.Truth:
    """The reference's run; what many faults of the same models start from is computed once."""
    key = (task, *map(id, models), inputs.tobytes())
    if key not in _RUNS:
        truth = reference.simulate(task, models, inputs)
        for array in (truth.decoded, *truth.spikes.values()):
            array.setflags(write=False)
        _RUNS[key] = models, truth
    return _RUNS[key][1]


@pytest.fixture(autouse=True)
def the_reference_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "simulate", simulated)


class Honest:
    """``NefSimulator`` by the reference; a fault overrides one method."""

    def __init__(self, task: Nef, settings: Settings, models: Sequence[Model]) -> None:
        self.task, self.models = task, list(models)

    def run(self, inputs: Array) -> NefResult:
        truth = simulated(self.task, self.models, np.asarray(inputs, np.float64))
        return self.changed(NefResult(decoded=truth.decoded, spikes=truth.spikes))

    def changed(self, result: NefResult) -> NefResult:
        return result


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


class Planted(Honest):
    """One value in the decoded output of every run; ``kind`` is the array's type."""

    value: complex = 0.0
    kind: type = np.float64

    def changed(self, result: NefResult) -> NefResult:
        decoded: Any = result.decoded.astype(self.kind)
        decoded[0, 500, 0] = self.value
        return replace(result, decoded=decoded)


class NotANumber(Planted):
    value = np.nan


class Infinite(Planted):
    value = -np.inf


class Complex(Planted):
    value, kind = 1j, np.complex128


class CountsSpikes(Honest):
    def changed(self, result: NefResult) -> NefResult:
        spikes: Any = {name: -fired.astype(int) for name, fired in result.spikes.items()}
        return replace(result, spikes=spikes)


class NoSpikes(Honest):
    """One value among the spikes of an ensemble, which are numbers therefore."""

    value: complex

    def changed(self, result: NefResult) -> NefResult:
        spikes: Any = dict(result.spikes)
        spikes["a"] = spikes["a"].astype(np.asarray(self.value).dtype)
        spikes["a"][0, 500, 0] = self.value
        return replace(result, spikes=spikes)


def failures(fault: Callable[..., NefSimulator], precision: str = "float64") -> list[Deviation]:
    settings = replace(SETTINGS, precision=precision)  # type: ignore[arg-type]
    found = list(certificate.certify(fault, memory(n=10), settings))
    failed = [deviation for deviation in found if deviation.failed]
    assert (verdict(found, precision)[0] == "wrong") == bool(failed)
    return failed


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_honest_one_passes(precision: str) -> None:
    assert failures(Honest, precision) == []


@pytest.mark.parametrize(
    ("fault", "metric", "where"),
    [
        (StartsAtRest, "spike difference", "square n=10"),
        (KeepsItsState, "spike difference", "again"),
        (OneSpikeTooMany, "spike difference", "pulse"),
        (ReadsTheProbeLate, "decoded error", "noise"),
        (OneModelForAll, "spike difference", "other models"),
        (StepsFirst, "shape mismatches", "square"),
        (ForgetsAnEnsemble, "shape mismatches", "square"),
        (NotANumber, "decoded error", "square"),
        (Infinite, "decoded error", "square"),
        (Complex, "decoded error", "square"),
        (CountsSpikes, "shape mismatches", "square"),
    ],
)
def test_a_planted_fault_is_caught_and_named(fault: type[Honest], metric: str, where: str) -> None:
    found = failures(fault)
    assert any(d.metric == metric and where in d.probe for d in found), found


def test_a_network_too_small_to_fire_is_no_fault_of_the_adapter() -> None:
    with pytest.raises(Unsupported, match="at n=1 an ensemble never fires under square: take a larger n"):
        list(certificate.certify(Honest, memory(n=1, seeds=1), SETTINGS))


def test_a_model_cannot_be_changed_for_all() -> None:
    with pytest.raises(ValueError, match="read-only"):
        failures(SilencesTheGivenArrays)


def test_what_a_simulator_refuses_is_refused() -> None:
    def refuse(task: Nef, settings: Settings, models: Sequence[Model]) -> NefSimulator:
        raise Unsupported("no mixed precision")

    with pytest.raises(Unsupported):
        list(certificate.certify(refuse, memory(n=3), replace(SETTINGS, precision="amp")))


def test_what_only_one_comparison_can_see_is_seen_there_alone() -> None:
    assert all("again" in deviation.probe for deviation in failures(KeepsItsState))
    assert all("other models" in deviation.probe for deviation in failures(OneModelForAll))


def test_every_size_of_the_sweep_is_certified() -> None:
    task = add(n=10, sweep=(10, 6))
    found = list(certificate.certify(Honest, task, SETTINGS))
    assert not any(deviation.failed for deviation in found)
    keys = {d.probe for d in found if d.metric == "spike difference"}
    for size in (10, 6):
        assert {f"{s.name} n={size}" for s in task.stimuli} <= keys


def test_all_spikes_together_are_one_share() -> None:
    (found,) = (d for d in failures(OneSpikeTooMany) if d.probe == "all stimuli and sizes")
    task = memory(n=10)
    models = [build_model(task, seed) for seed in range(3)]
    truths = [reference.simulate(task, models, stimulus_array(task, s)) for s in task.stimuli]
    spikes = sum(int(fired.sum()) for truth in truths for fired in truth.spikes.values())
    assert found.value == pytest.approx(3 / (spikes + 3))  # one too many under each of three stimuli


def test_only_float32_has_a_yardstick_and_it_is_not_judged() -> None:
    for precision, count in (("float64", 0), ("float32", 3)):
        settings = replace(SETTINGS, precision=precision)  # type: ignore[arg-type]
        found = list(certificate.certify(Honest, multiply(n=20), settings))
        yardsticks = [d for d in found if d.metric == "rounded reference"]
        assert len(yardsticks) == count
        assert all(d.bound is None for d in yardsticks)
    assert 0 < max(d.value for d in yardsticks) < 0.1


@pytest.mark.parametrize("fault", [StartsAtRest, NotANumber, Infinite, Complex, CountsSpikes])
def test_faults_are_caught_in_float32_too(fault: type[Honest]) -> None:
    assert failures(fault, "float32")


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("planted", [np.nan, np.inf, 1j, -1.0, -1, 1.0])
def test_spikes_that_are_no_truth_values_are_never_certified(planted: complex, precision: str) -> None:
    found = failures(type("Planted", (NoSpikes,), {"value": planted}), precision)
    assert {d.probe for d in found if d.metric == "shape mismatches"} >= {"square n=10", "square n=10, again"}
    (together,) = (d for d in found if d.probe == "all stimuli and sizes")
    assert 0.05 < together.value <= 1


@pytest.mark.parametrize("planted", [np.nan, np.inf, 1j, -9.0])
def test_what_only_the_second_run_decodes_is_judged_too(planted: complex) -> None:
    class Second(Planted):
        value, kind = planted, np.asarray(planted).dtype.type
        runs = 0

        def changed(self, result: NefResult) -> NefResult:
            self.runs += 1
            return super().changed(result) if self.runs == 4 else result  # three stimuli, and the first again

    (found,) = failures(Second)
    assert (found.metric, found.probe) == ("decoded error", "square n=10, again")


def timed(
    simulator: Callable[..., NefSimulator],
    task: Nef,
    *,
    repeats: int = 1,
    device_memory: Callable[[], int | None] = lambda: None,
) -> tuple[list[Turn], dict[str, Any]]:
    """The turns of a timed cell and what it ends with."""
    module = SimpleNamespace(VARIANTS={"plain": simulator}, sync=lambda: None, device_memory=device_memory)
    job = Job(
        stage="run",
        family="nef",
        task=task.name,
        amounts={"repeats": repeats},
        adapter="any",
        adapters="",
        table="nef",
        variant="plain",
        learning="least-squares",
        settings=SETTINGS,
    )
    turns = []
    generator = FAMILY.run(module, task, job)
    while True:
        try:
            turns.append(next(generator))
        except StopIteration as end:
            return turns, end.value


def rows(done: dict[str, Any], metric: str) -> dict[tuple[Any, ...], float]:
    """The values of a metric by what they are of."""
    return {tuple(row["of"].values()): row["value"] for row in done["metrics"] if row["metric"] == metric}


def test_a_timed_cell_has_its_figures_and_a_row_for_each_network() -> None:
    task = memory(n=10, seeds=2)
    _, done = timed(Honest, task)
    assert done["figures"].keys() == {
        "rmse",
        "build_seconds",
        "first_run_seconds",
        "sim_speed",
        "host_peak_bytes",
        "spike_rate",
    }
    assert 0.01 < done["figures"]["spike_rate"] < 0.5
    each = rows(done, "rmse_seed")
    both = [each["square", 10, seed] for seed in (4, 5)]  # of the third process
    assert rows(done, "rmse")["square", 10] == pytest.approx(np.mean(both))
    assert rows(done, "rmse_worst")["square", 10] == max(both)
    assert len(each) == 6 and done["figures"]["rmse"] == pytest.approx(np.median([*each.values()]))
    assert [*rows(done, "drift")] == [("pulse", 10)]
    inputs = stimulus_array(task, task.stimuli[0])
    truth = reference.simulate(task, [build_model(task, 4)], inputs).decoded
    assert both[0] == scores.rmse(task, truth, scores.ideal(task, inputs))[0]


def test_turns_go_through_all_stimuli_as_often_as_asked() -> None:
    turns, _ = timed(Honest, memory(n=5, seeds=1), repeats=2)
    assert [turn.phase for turn in turns] == ["prepare", "build", "first"] + ["simulate"] * 6
    assert [turn.epoch for turn in turns[3:]] == [1, 1, 1, 2, 2, 2]
    assert [turn.compared for turn in turns] == [False] * 3 + [True] * 6
    assert [turn.free for turn in turns] == [False] * 8 + [True]
    assert turns[0].seconds is None and all(turn.seconds is not None for turn in turns[1:])


def test_speed_is_networks_times_simulated_seconds_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([7.0, 9.0, 4.0, 5.0, 100.0])  # neither the build nor the first run counts
    monkeypatch.setattr(run, "timed", lambda work, sync: (work(), next(seconds)))
    _, done = timed(Honest, memory(n=5, seeds=3))
    assert done["figures"]["sim_speed"] == pytest.approx(3 * 2.0 / 5.0)
    assert done["figures"]["build_seconds"] == 7.0
    assert done["figures"]["first_run_seconds"] == 9.0


def test_a_sweep_scores_other_sizes_and_changes_no_figure() -> None:
    task = calculate(n=5, seeds=2, sweep=(3, 5))
    swept, plain = (timed(Honest, t)[1] for t in (task, replace(task, sweep=())))
    assert swept["figures"]["rmse"] == plain["figures"]["rmse"]
    assert swept["shows"] == plain["shows"]
    added = [row for row in swept["metrics"] if row not in plain["metrics"]]
    assert {row["of"]["n"] for row in added} == {3}
    alone = timed(Honest, calculate(n=3, seeds=2))[1]["metrics"]
    assert added == [row for row in alone if row["metric"] != "spike_rate"]


def test_a_record_keeps_the_first_networks_curves_and_spikes() -> None:
    task = memory(n=30, seeds=2)
    _, done = timed(Honest, task)
    inputs = stimulus_array(task, task.stimuli[0])
    truth = reference.simulate(task, [build_model(task, 4)], inputs)
    recordings = done["shows"]["recordings"]
    assert [recording["stimulus"] for recording in recordings] == ["square", "pulse", "noise"]
    square = recordings[0]
    assert square["seconds"] == 0.01
    assert np.allclose(square["decoded"], truth.decoded[0, ::10, 0], rtol=0, atol=1e-5)
    assert np.allclose(square["ideal"], scores.ideal(task, inputs)[::10, 0], rtol=0, atol=1e-5)
    raster = done["shows"]["raster"]
    assert (raster["stimulus"], raster["ensemble"], len(raster["spikes"])) == ("square", "b", 20)
    for neuron, times in enumerate(raster["spikes"]):
        steps = np.flatnonzero(truth.spikes["b"][0, 500:1000, neuron]) + 500
        assert np.allclose(times, steps * task.dt)
    assert any(raster["spikes"])


def test_what_is_measured_ends_before_the_sweep_and_before_the_reference_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str | int] = []

    class Sized(Honest):
        def run(self, inputs: Array) -> NefResult:
            done.append(self.task.n)
            return super().run(inputs)

    def seen(name: str, value: int) -> Callable[..., int]:
        def see(*_: object) -> int:
            done.append(name)
            return value

        return see

    monkeypatch.setattr(run, "host_peak_bytes", seen("host", 7))
    monkeypatch.setattr(certificate, "check_real_size", seen("reference", 0))
    task = memory(n=4, seeds=1, sweep=(3,))
    _, result = timed(Sized, task, device_memory=seen("device", 9))
    assert done == [4] * 4 + ["host", "device", "reference"] + [3] * 3
    assert result["figures"]["host_peak_bytes"] == 7
    assert result["figures"]["device_allocated_bytes"] == 9


def test_what_is_no_result_is_none() -> None:
    task = memory(n=5, seeds=3)
    with pytest.raises(Wrong, match=r"shape \(2000, 3, 1\), expected \(3, 2000, 1\)"):
        timed(StepsFirst, task)
    with pytest.raises(Wrong, match="complex128, expected real numbers"):
        timed(Complex, task)
    with pytest.raises(Wrong, match=r"spikes of a: .* of int64, expected .* of bool"):
        timed(CountsSpikes, task)
    with pytest.raises(Wrong, match=r"spikes of ensembles \['b'\], expected \['a', 'b'\]"):
        timed(ForgetsAnEnsemble, task)
    for fault in (NotANumber, Infinite):
        with pytest.raises(Diverged, match="became NaN or infinite"):
            timed(fault, task)


class WrongWithManyModels(Honest):
    """Takes another way for more models than a certificate has."""

    def changed(self, result: NefResult) -> NefResult:
        return OneSpikeTooMany.changed(self, result) if len(self.models) > 3 else result  # type: ignore[arg-type]


def test_the_first_timed_run_is_compared_with_the_reference_at_its_real_size() -> None:
    assert failures(WrongWithManyModels) == []
    with pytest.raises(
        Wrong, match=r"at its real size, spike difference .* exceeds 0 in the first timed run"
    ):
        timed(WrongWithManyModels, memory(n=10, seeds=4))


NEF: dict[str, Any] = {"tasks": ["memory"], "nef": {"n": 8, "seeds": 3}}


def test_a_cell_of_a_nef_task() -> None:
    found = {cell.stage: cell for cell in cells("adapter=torch", **NEF)}
    certify, own = found["certify"], found["run"]
    assert own.certificate == certify.cell
    assert (own.family, own.learning) == ("nef", "least-squares")
    assert own.work == {"network": memory(n=8).network, "networks": 3, "steps": 2000, "threads": 1}
    assert not own.skip
    others = cells("adapter=torch", tasks=["memory"], nef={"n": 9, "seeds": 3})
    assert not {cell.cell for cell in others} & {certify.cell, own.cell}


@pytest.mark.parametrize(("adapter", "task"), [("ok", "memory"), ("norse", "multiply"), ("sinabs", "add")])
def test_who_lacks_the_family_has_a_row_with_the_reason(adapter: str, task: str) -> None:
    reason = f"{adapter} has no adapter code for Nengo examples"
    assert {cell.skip for cell in cells(f"adapter={adapter}", tasks=[task])} == {reason}


def test_what_a_nef_cell_does_not_have_is_empty_not_zero(tmp_path: Path) -> None:
    own, *_ = (cell for cell in cells("adapter=torch", **NEF) if cell.stage == "run")
    record = Record(cell=own, status="ok", figures={"rmse": 0.5}, started="", seconds=1)
    write_tables(save(tmp_path, [record]))
    (row,) = table(tmp_path / "results.csv")
    assert (row["rmse"], row["networks"], row["steps"]) == ("0.5", "3", "2000")
    assert row["train_images"] == row["test_images"] == row["epochs"] == row["test_accuracy"] == ""
