"""Learning from spike times: reference, certificate on layers that are wrong in one way each, timed cell."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.records import load_records
from bench.report.page import write_report
from tasks import worker
from tasks.measuring import Diverged, Wrong, verdict
from tasks.plasticity import FAMILY, readout
from tasks.plasticity.diagnosis import Seen, diagnose
from tasks.plasticity.examples import FORMS, stdp, stdp_naive
from tasks.plasticity.protocol import Array, Pictures
from tasks.plasticity.reference import Reference
from tasks.plasticity.run import Amounts
from tasks.plasticity.spec import Naive, Stdp, Task, encode, normalised
from tasks.protocol import Job, Settings, Turn, Unsupported
from tests.harness import FAKES, Bench, table, write_profile

if TYPE_CHECKING:
    from tests.fakes.numpy_family.plasticity import NumpyPlastic
else:
    worker.load_adapter("plastic", FAKES)  # makes the fakes' family importable
    NumpyPlastic = sys.modules["adapters.numpy_family.plasticity"].NumpyPlastic

Float = NDArray[np.float64]
TASKS: dict[str, Task] = {
    "stdp": stdp(),
    "spiking": stdp_naive(form="saturated"),
    "constant": stdp_naive(form="cancelling"),
}


def tiny(**changes: Any) -> Stdp:
    """Two neurons that see two pixels, without leak; both rows of the identity have norm 1."""
    values = {"neurons": 2, "pixels": 2, "gain": 1.0, "threshold": 2.0, "tau_membrane": 1e30, "norm": 1.0}
    return replace(stdp(), **values | {"tau_trace": 2.0, "rate": 0.5, "eta": 0.5, "tplus": 0.25} | changes)


def test_only_the_neuron_furthest_above_threshold_fires_and_all_start_again() -> None:
    layer = Reference(tiny(), np.array([[1.0, 0.0], [0.8, 0.6]]))
    inputs = np.tile([[1.0, 1.0]], (4, 1))[:, None]
    # per step 1 and 1.4: the second is above 2 after two steps, the first never before a reset
    assert layer.run(inputs)[:, 0].tolist() == [[0, 0], [0, 1], [0, 0], [0, 1]]


def test_a_winner_learns_the_trace_and_others_nothing() -> None:
    layer = Reference(tiny(), np.eye(2))
    spikes = layer.run(np.tile([[1.0, 0.0]], (2, 1))[:, None], scale=1.0)
    assert spikes[:, 0].tolist() == [[0, 0], [1, 0]]
    # x / (rate * tau) = 1 a step, half of it left: 1.5 at the spike, and 1 + 0.5 * 1.5 has norm 1 again
    assert layer.weights.tolist() == [[1, 0], [0, 1]]
    layer = Reference(tiny(), normalised(np.array([[3.0, 4.0], [0.0, 1.0]]), 1.0))
    layer.run(np.tile([[1.0, 0.0]], (4, 1))[:, None], scale=1.0)
    # 0.6 a step is above 2 after the fourth: traces 1, 1.5, 1.75, 1.875
    expected = normalised(np.array([[0.6 + 0.5 * 1.875, 0.8], [0.0, 1.0]]), 1.0)
    assert np.allclose(layer.weights, expected, rtol=0, atol=1e-15)


def test_who_fires_more_than_others_gets_harder_to_fire_and_only_while_it_learns() -> None:
    layer = Reference(tiny(), np.eye(2))
    inputs = np.tile([[1.0, 0.0]], (2, 1))[:, None].repeat(3, axis=1)
    layer.run(inputs)
    assert layer.thresholds.tolist() == [0, 0]
    layer.run(inputs, scale=0.5)
    assert layer.thresholds.tolist() == [0.5 * 0.25 * 1.5, -0.5 * 0.25 * 1.5]  # 3 spikes, mean 1.5


def test_a_naive_layer_by_hand() -> None:
    task = replace(stdp_naive(), neurons=1, pixels=1, lr=0.5, limit=3.0)
    layer = Reference(task, np.array([[1.5]]))
    # v: 0.75, then 1.125 fires; pre: 1, 1.5; post: 0, 1; dW = f(W) (1 * 1.5 - 1 * 1)
    assert layer.run(np.ones((2, 1, 1)), scale=1.0).ravel().tolist() == [0, 1]
    assert layer.weights.tolist() == [[1.5 + 0.5 * 1.5 * 0.5]]
    layer.run(np.ones((4, 100, 1)), scale=100.0)
    assert layer.weights.tolist() == [[3.0]]


def test_constant_input_and_spikes_at_every_step_change_nothing() -> None:
    layer = Reference(stdp_naive(form="cancelling"), np.random.default_rng(0).uniform(0.5, 1, (10, 784)))
    before = layer.weights
    spikes = layer.run(np.full((4, 8, 784), 0.3), scale=1.0)
    assert spikes.all() and np.allclose(layer.weights, before, rtol=1e-12)


def test_inputs_have_the_probability_of_the_task_and_black_never_fires() -> None:
    images = np.repeat(np.array([[0, 51, 255]], np.uint8), 4000, axis=0)
    found = encode(stdp(), images, np.random.default_rng(0)).mean(axis=(0, 1))
    assert found[0] == 0 and np.allclose(found, [0, 0.1, 0.5], atol=0.01)
    assert encode(TASKS["constant"], images, np.random.default_rng(0))[3, 7].tolist() == [0, 0.2, 1]


def test_rates_of_learning_fall_to_a_tenth() -> None:
    scales = stdp().scales(750)
    assert scales[0] == 1 and np.isclose(scales[-1], 0.1, rtol=0.01)
    assert np.allclose(scales[1:] / scales[:-1], scales[1])


def test_neurons_get_the_label_of_their_highest_mean_response() -> None:
    labels = np.array([3, 3, 3, 7])
    # the first fires more often for 3, but more strongly for 7; the last never
    responses = np.array([[1.0, 5, 0], [1, 0, 0], [1, 0, 0], [2, 0, 0]])
    own = readout.neuron_labels(responses, labels)
    assert own.tolist() == [7, 3, readout.NO_LABEL]
    found = readout.classify(np.array([[1.0, 0, 9], [1, 2, 0], [0, 0, 0]]), own)
    assert found.tolist() == [7, 3, 0]
    counts = readout.confusion(np.array([7, 7, 1]), found)
    assert counts[7, 7] == counts[7, 3] == counts[1, 0] == 1 and counts.sum() == 3


class TracesOutliveTheBatch(NumpyPlastic):
    kept: Float | None = None

    def keep(self, name: str, value: Float) -> None:
        if name == "pre":
            self.kept = value

    def state(self, name: str, shape: tuple[int, ...]) -> Float:
        if name == "pre" and self.kept is not None and self.kept.shape == shape:
            return self.kept
        return super().state(name, shape)


class MembranesOutliveTheBatch(TracesOutliveTheBatch):
    def keep(self, name: str, value: Float) -> None:
        super().keep({"membrane": "pre", "pre": ""}.get(name, name), value)

    def state(self, name: str, shape: tuple[int, ...]) -> Float:
        return super().state({"membrane": "pre", "pre": ""}.get(name, name), shape)


class ThresholdsHoldStill(NumpyPlastic):
    def adapt(self, task: Stdp, spikes: Float, scale: float) -> None:
        pass


class ThresholdsAreForgotten(NumpyPlastic):
    def trace(self, inputs: Array, scale: float | None) -> Array:
        self.theta = np.zeros_like(self.theta)
        return super().trace(inputs, scale)


class ThresholdsAreKeptForEver(NumpyPlastic):
    def load_weights(self, weights: Array) -> None:
        theta = self.theta
        super().load_weights(weights)
        self.theta = theta


class LearnsWithTheWrongSign(NumpyPlastic):
    def potentiate(self, task: Stdp, change: Float, scale: float) -> None:
        super().potentiate(task, -change, scale)

    def change(self, spikes: Float, x: Float, pre: Float, post: Float) -> Float:
        return -super().change(spikes, x, pre, post)


class NoDepression(NumpyPlastic):
    def change(self, spikes: Float, x: Float, pre: Float, post: Float) -> Float:
        return super().change(spikes, x, pre, post * 0)


class EverybodyFires(NumpyPlastic):
    def fire(self, task: Stdp, membrane: Float) -> Float:
        return (membrane >= task.threshold + self.theta).astype(np.float64)


class RowsAreNotScaled(NumpyPlastic):
    def potentiate(self, task: Stdp, change: Float, scale: float) -> None:
        self.weight = self.weight + scale * task.eta * change


class RatesDoNotFall(NumpyPlastic):
    def trace(self, inputs: Array, scale: float | None) -> Array:
        return super().trace(inputs, None if scale is None else 1.0)


class LearnsWhileItIsLookedAt(NumpyPlastic):
    def trace(self, inputs: Array, scale: float | None) -> Array:
        return super().trace(inputs, 1e-3 if scale is None else scale)


class LeavesOutABatch(NumpyPlastic):
    def train(self, images: Pictures, scales: Array) -> Array:
        return np.concatenate([super().train(images[:-1], scales[:-1]), self.respond(images[-1])])


class RepeatsItsNoise(NumpyPlastic):
    def encode(self, images: Pictures) -> Float:
        return encode(self.task, images, np.random.default_rng(self.settings.seed))


class OneNoiseForAllOfABatch(NumpyPlastic):
    def encode(self, images: Pictures) -> Float:
        draws = self.rng.random((self.task.steps, 1, images.shape[1]))
        return (draws < self.task.rate * images / 255).astype(np.float64)


class OneNoiseForAllOfAnImage(NumpyPlastic):
    def encode(self, images: Pictures) -> Float:
        draws = self.rng.random((self.task.steps, len(images), 1))
        return (draws < self.task.rate * images / 255).astype(np.float64)


class TooFewInputSpikes(NumpyPlastic):
    def encode(self, images: Pictures) -> Float:
        return encode(self.task, images - images // 20, self.rng)


class NotANumber(NumpyPlastic):
    def weights(self) -> Array:
        return super().weights() * np.nan


class NumbersOfSpikes(NumpyPlastic):
    def trace(self, inputs: Array, scale: float | None) -> Array:
        return 2 * super().trace(inputs, scale)


class NeuronsFirst(NumpyPlastic):
    def trace(self, inputs: Array, scale: float | None) -> Array:
        return super().trace(inputs, scale).swapaxes(1, 2)

    def train(self, images: Pictures, scales: Array) -> Array:
        return np.zeros((1, 1))

    def respond(self, images: Pictures) -> Array:
        return np.zeros((1, 1))


FAULTS: list[tuple[type[NumpyPlastic], str, str, str]] = [
    (TracesOutliveTheBatch, "stdp", "weight error", "batch 2"),
    (TracesOutliveTheBatch, "spiking", "weight error", "batch 2"),
    (MembranesOutliveTheBatch, "stdp", "spike difference", "batch 2"),
    (MembranesOutliveTheBatch, "constant", "spike difference", "batch 2"),
    (ThresholdsHoldStill, "stdp", "spike difference", "batch 1"),
    (ThresholdsAreForgotten, "stdp", "spike difference", "batch 2"),
    (ThresholdsAreKeptForEver, "stdp", "spike difference", "started again"),
    (LearnsWithTheWrongSign, "stdp", "weight error", "batch 1"),
    (LearnsWithTheWrongSign, "spiking", "weight error", "batch 1"),
    (NoDepression, "constant", "weight error", "batch 1"),
    (EverybodyFires, "stdp", "spike difference", "batch 1"),
    (RowsAreNotScaled, "stdp", "weight error", "batch 1"),
    (RatesDoNotFall, "stdp", "weight error", "batch 2"),
    (LearnsWhileItIsLookedAt, "stdp", "weights changed by looking", "evaluation"),
    (LearnsWhileItIsLookedAt, "spiking", "weights changed by looking", "evaluation"),
    (LeavesOutABatch, "stdp", "weight error", "timed path, training"),
    (LeavesOutABatch, "constant", "weight error", "timed path, training"),
    (RepeatsItsNoise, "stdp", "repeated noise", "encoding, training"),
    (OneNoiseForAllOfABatch, "spiking", "repeated noise", "encoding, training"),
    (OneNoiseForAllOfABatch, "stdp", "repeated noise", "encoding, evaluation"),
    (OneNoiseForAllOfAnImage, "spiking", "repeated noise", "encoding, evaluation"),
    (OneNoiseForAllOfAnImage, "stdp", "input rate error", "encoding, training"),
    (TooFewInputSpikes, "stdp", "input rate error", "encoding, training"),
    (TooFewInputSpikes, "spiking", "input rate error", "encoding, evaluation"),
    (NotANumber, "stdp", "weight error", "batch 1"),
    (NumbersOfSpikes, "spiking", "spike difference", "batch 1"),
    (NeuronsFirst, "stdp", "shape mismatches", "batch 1"),
]


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", TASKS)
def test_an_honest_layer_is_certified(name: str, precision: Any) -> None:
    settings = Settings(precision=precision)
    found = list(FAMILY.certify(NumpyPlastic, TASKS[name], settings, "stdp"))
    assert verdict(found, precision) == ("exact", "")
    assert len({(one.metric, one.probe) for one in found}) == len(found)


def test_a_precision_that_an_adapter_refuses_is_its_own_to_explain() -> None:
    def refuse(task: Task, settings: Settings) -> NumpyPlastic:
        raise Unsupported("no mixed precision")

    with pytest.raises(Unsupported, match="no mixed precision"):
        next(FAMILY.certify(refuse, stdp(), Settings(precision="amp"), "stdp"))


@pytest.mark.parametrize(("fault", "name", "metric", "probe"), FAULTS)
def test_a_planted_fault_is_caught(fault: type[NumpyPlastic], name: str, metric: str, probe: str) -> None:
    for precision in ("float64", "float32"):
        found = list(FAMILY.certify(fault, TASKS[name], Settings(precision=precision), "stdp"))
        failed = {(one.metric, one.probe) for one in found if one.failed}
        assert (metric, probe) in failed, failed


def test_every_fault_is_in_the_list() -> None:
    here = {value for value in globals().values() if isinstance(value, type)}
    planted = {value for value in here if issubclass(value, NumpyPlastic)} - {NumpyPlastic}
    assert planted == {fault for fault, *_ in FAULTS} | {fault for fault, *_ in IN_THE_CELL}


def test_a_certificate_does_not_depend_on_first_weights_and_sizes() -> None:
    assert FAMILY.certified(stdp(neurons=100, epochs=3, batch=8)) == FAMILY.certified(stdp())
    assert FAMILY.certified(stdp_naive(form="silent")) == FAMILY.certified(stdp_naive(form="saturated"))
    assert FAMILY.certified(stdp_naive(form="cancelling")) != FAMILY.certified(stdp_naive())


def seen(**changes: Any) -> Seen:
    """A training of twenty batches in which two neurons have learned different things."""
    before = np.ones((2, 4))
    values: dict[str, Any] = {
        "batches": 20,
        "steps": 10,
        "spikes": 1.5,
        "before": before,
        "after": np.eye(2, 4),
        "labelled": 2,
    }
    return Seen(**values | changes)


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({}, "learning: an image causes 1.5 spikes, weights have moved by"),
        (
            {"spikes": 0.0},
            "silent: no output spikes in 20 batches, so that no weight can change; raise weights or lower "
            "the threshold",
        ),
        (
            {"spikes": 20.0, "after": np.ones((2, 4)) * (1 + 1e-7)},
            "cancelling: outputs fire in 100 % of the steps and no weight has moved in 20 batches",
        ),
        ({"spikes": 19.2}, "saturated: outputs fire in 96 % of the steps whatever they see"),
        ({"after": np.full((2, 4), 3.0)}, "alike: all neurons have the same weights"),
    ],
)
def test_a_training_is_diagnosed_by_what_it_shows(changes: dict[str, Any], start: str) -> None:
    assert diagnose(seen(**changes)).startswith(start)


def test_a_neuron_alone_is_not_like_others() -> None:
    one = seen(before=np.ones((1, 4)), after=np.eye(1, 4), labelled=1)
    assert diagnose(one).startswith("learning") and diagnose(one).endswith(
        "1 of 1 neurons respond to training images"
    )


def cell(build: Callable[..., Any], mnist: Path, task: Task, **changes: Any) -> tuple[list[Turn], Any]:
    """The timed cell of a task on 32 images, and what it ends with."""
    job = Job(
        stage="run",
        family="plasticity",
        task=task.name,
        amounts={"train_images": 32, "label_images": 20, "test_images": 20, "turns": 2},
        adapter="plastic",
        adapters=str(FAKES),
        table="plasticity",
        variant="plain",
        learning="stdp",
        data=str(mnist),
        **changes,
    )
    module = SimpleNamespace(VARIANTS={"plain": build}, sync=lambda: None, device_memory=lambda: None)
    turns: list[Turn] = []

    def driven() -> Iterator[Any]:
        turns_of = FAMILY.run(module, task, job)
        while True:
            try:
                turns.append(next(turns_of))
            except StopIteration as end:
                yield end.value
                return

    return turns, next(driven())


def test_the_timed_cell_in_turns(mnist: Path) -> None:
    turns, result = cell(NumpyPlastic, mnist, stdp(neurons=9, batch=4, epochs=2))
    assert [turn.phase for turn in turns] == ["prepare", "build", *["train"] * 4, "label", "evaluate"]
    assert [turn.compared for turn in turns[2:6]] == [False, True, True, True]
    assert [turn.epoch for turn in turns[2:6]] == [1, 1, 2, 2]
    figures, shows = result["figures"], result["shows"]
    seconds = [turn.seconds or 0.0 for turn in turns[2:6]]
    assert np.isclose(figures["train_seconds"], sum(seconds))
    assert 0 < figures["spike_rate"] < 1 and 0 < figures["active_neurons"] <= 1
    counts = np.array(shows["confusion"])
    assert counts.sum() == 20 and np.isclose(np.trace(counts) / 20, figures["test_accuracy"])
    assert len(shows["fields"]["labels"]) == 9
    assert shows["diagnosis"].startswith("learning")


@pytest.mark.parametrize("form", FORMS)
def test_a_naive_layer_diagnoses_itself(form: str, mnist: Path) -> None:
    _, result = cell(NumpyPlastic, mnist, stdp_naive(form=form, batch=8))
    assert result["shows"]["diagnosis"].startswith(f"{form}: ")


def test_the_open_division_says_what_ran(mnist: Path) -> None:
    class Other(NumpyPlastic):
        network = "something else"
        steps = 80

        def load_weights(self, weights: Array) -> None:
            super().load_weights(np.random.default_rng(1).uniform(0.1, 0.2, weights.shape))

        def trace(self, inputs: Array, scale: float | None) -> Array:
            return np.concatenate([super().trace(inputs, scale)] * 2)

    _, result = cell(Other, mnist, stdp(neurons=9, batch=4), division="open")
    assert result["network"] == "something else" and "fields" in result["shows"]


class WrongAtRealSize(NumpyPlastic):
    def fire(self, task: Stdp, membrane: Float) -> Float:
        fired: Float = super().fire(task, membrane)
        if task.neurons > 12:  # those of a certificate
            fired[:, 12:] = 0
        return fired


class HalfSpikes(NumpyPlastic):
    def train(self, images: Pictures, scales: Array) -> Array:
        return super().train(images, scales) / 2 + 0.25


class TooFewAnswers(NumpyPlastic):
    def respond(self, images: Pictures) -> Array:
        return super().respond(images)[:-1]


class Diverges(NumpyPlastic):
    def potentiate(self, task: Stdp, change: Float, scale: float) -> None:
        self.weight = self.weight * np.nan


IN_THE_CELL: list[tuple[type[NumpyPlastic], type[Exception], str]] = [
    (WrongAtRealSize, Wrong, "at its real size, .* of the spikes of a batch differ"),
    (HalfSpikes, Wrong, "no whole numbers from 0 to 40"),
    (TooFewAnswers, Wrong, r"output spikes of shape \(19, 30\), expected \(20, 30\)"),
    (Diverges, Diverged, "weights became NaN or infinite"),
]


@pytest.mark.parametrize(("build", "error", "reason"), IN_THE_CELL)
def test_what_was_not_asked_for_ends_the_timed_cell(
    build: type[NumpyPlastic], error: type[Exception], reason: str, mnist: Path
) -> None:
    with pytest.raises(error, match=reason):
        cell(build, mnist, stdp(neurons=30, batch=4))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"train_images": 0}, "train_images must be from 1 to 60000, got 0"),
        ({"test_images": 10_001}, "test_images must be from 1 to 10000, got 10001"),
        ({"train_images": 100, "label_images": 101}, "label_images 101 exceed train_images 100"),
    ],
)
def test_amounts_out_of_range_are_refused(changes: dict[str, int], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Amounts(**changes)


def test_tasks_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="neurons must be at least 1, got 0"):
        stdp(neurons=0)
    with pytest.raises(ValueError, match="form must be one of silent, saturated, cancelling, got 'loud'"):
        stdp_naive(form="loud")
    with pytest.raises(ValueError, match="31 training images make no batch of 32"):
        FAMILY.work(stdp(), Amounts(train_images=31, label_images=1), "stdp")


def test_networks_are_said_in_words() -> None:
    assert stdp().network == "784 - 400 LIF(tau 100), winner takes all, homeostasis"
    silent = stdp_naive()
    assert isinstance(silent, Naive)
    assert silent.network == "784 - 10 LIF(tau 2), weights in -0.0357..0.0357, bernoulli input"


@pytest.mark.long  # a whole run with its report
def test_a_run_from_the_command_to_the_report(tmp_path: Path, mnist: Path) -> None:
    amounts = {"train_images": 32, "label_images": 16, "test_images": 20, "turns": 4}
    plasticity = amounts | {
        "stdp": {"neurons": 9, "batch": 4},
        "stdp_naive": {"form": "saturated", "batch": 8},
    }
    profile = write_profile(tmp_path / "tiny.toml", tasks=["stdp", "stdp_naive"], plasticity=plasticity)
    with Bench(tmp_path, mnist) as bench:
        done = bench.run("run", "--profile", profile, "--only", "adapter=plastic,ok")
        assert done.returncode == 0, done.stdout + done.stderr
        folder = bench.folder()
    write_report(folder)
    rows = {(row["adapter"], row["task"]): row for row in table(folder / "results.csv")}
    for task in ("stdp", "stdp_naive"):
        assert rows["plastic", task]["status"] == "ok" and rows["plastic", task]["parity"] == "exact"
        assert rows["ok", task]["reason"] == "ok has no adapter code for learning from spike times"
    shown = {r.cell.task: r.shows for r in load_records(folder) if r.cell.stage == "run" and r.shows}
    assert shown["stdp_naive"]["diagnosis"].startswith("saturated: ")
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "saturated: outputs fire" in page and "receptive fields" in page
