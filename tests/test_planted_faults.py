"""Adapters that are wrong in one way each: certificate or real-size check must catch them, and say where."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks import worker
from tasks.classify import FAMILY, certificate, real_size, reference
from tasks.classify.networks import TASKS
from tasks.classify.probes import Probe, probes
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify, Layer, Neuron
from tasks.classify.weights import epoch_order, initial_weights
from tasks.measuring import Deviation, Diverged, Wrong, verdict
from tasks.protocol import Job, Precision, Settings, Turn
from tests.harness import FAKES

if TYPE_CHECKING:
    from tests.fakes.numpy_family.classifier import NumpyClassifier, Pass, Step
else:
    worker.load_adapter("ok", FAKES)  # makes the fakes' family importable
    family = sys.modules["adapters.numpy_family.classifier"]
    NumpyClassifier, Pass, Step = family.NumpyClassifier, family.Pass, family.Step

Float = NDArray[np.float64]


class FiresAboveOnly(NumpyClassifier):
    def fire(self, membrane: Float, neuron: Neuron) -> Float:
        return (membrane > neuron.threshold).astype(np.float64)


class DetachedReset(NumpyClassifier):
    def step(self, x: Float, membrane: Float, spikes: Float, neuron: Neuron) -> Step:
        return super().step(x, membrane, spikes, neuron)._replace(by_spikes=0)


class ResetBySubtraction(NumpyClassifier):
    def step(self, x: Float, membrane: Float, spikes: Float, neuron: Neuron) -> Step:
        rest = membrane - spikes * neuron.threshold
        gain = 1.0 if neuron.tau is None else 1 / neuron.tau
        keep = 1.0 if neuron.tau is None else 1 - 1 / neuron.tau
        return Step(keep * rest + gain * x, gain, keep, -keep * neuron.threshold)


class ResetOneStepLate(NumpyClassifier):
    def step(self, x: Float, membrane: Float, spikes: Float, neuron: Neuron) -> Step:
        s = super().step(x, membrane, np.zeros_like(spikes), neuron)
        kept = 1 - spikes
        return Step(s.membrane * kept, s.by_input * kept, s.by_membrane * kept, -s.membrane)


class NoRecurrence(NumpyClassifier):
    def step(self, x: Float, membrane: Float, spikes: Float, neuron: Neuron) -> Step:
        s = super().step(x, membrane * 0, spikes * 0, neuron)
        return s._replace(by_membrane=0, by_spikes=0)


class BatchAndTimeSwapped(NumpyClassifier):
    def spike(self, index: int, x: Float, neuron: Neuron) -> Any:
        spikes, backward = super().spike(index, x.swapaxes(0, 1), neuron)
        return spikes.swapaxes(0, 1), lambda grad: (backward(grad.swapaxes(0, 1))[0].swapaxes(0, 1), {})


class BatchNormPerStep(NumpyClassifier):
    def batch_norm(self, x: Float, own: dict[str, Float], over: str, training: bool) -> Any:
        return super().batch_norm(x, own, "batch", training)


class BiasedRunningVariance(NumpyClassifier):
    def batch_norm(self, x: Float, own: dict[str, Float], over: str, training: bool) -> Any:
        y, backward, running = super().batch_norm(x, own, over, training)
        if running:
            running["running_var"] = running["running_var"] * (1 - 1 / x.size)
        return y, backward, running


class WrongSurrogate(NumpyClassifier):
    def surrogate(self, membrane: Float, neuron: Neuron) -> Float:
        gate = 1 / (1 + np.exp(-4 * (membrane - neuron.threshold)))
        return 4 * gate * (1 - gate)


class StateCarriedOver(NumpyClassifier):
    def start(self, index: int, shape: tuple[int, ...]) -> tuple[Float, Float]:
        last = self.last.get(index)
        return last if last is not None and last[0].shape == shape else super().start(index, shape)


class ZeroGradient(NumpyClassifier):
    def run(self, inputs: Float, codes: Float, training: bool) -> Pass:
        done = super().run(inputs, codes, training)
        return done._replace(gradients={name: value * 0 for name, value in done.gradients.items()})


class FutureLeaks(NumpyClassifier):
    def run(self, inputs: Float, codes: Float, training: bool) -> Pass:
        return super().run(np.roll(inputs, -1, 0), codes, training)


class InputNotScaled(NumpyClassifier):
    def step(self, x: Float, membrane: Float, spikes: Float, neuron: Neuron) -> Step:
        tau = neuron.tau or 1.0
        s = super().step(x * tau, membrane, spikes, neuron)
        return s._replace(by_input=s.by_input * tau)


class OtherEpsilon(NumpyClassifier):
    """Keras's Adam has 1e-7; scaling every gradient by 0.1 does the same to torch's 1e-8."""

    def update(self, gradients: dict[str, Float]) -> None:
        super().update({name: value * 0.1 for name, value in gradients.items()})


class NoMomentum(NumpyClassifier):
    def update(self, gradients: dict[str, Float]) -> None:
        self.optimizer.first.clear()
        super().update(gradients)


class AlwaysMeanSquaredError(NumpyClassifier):
    def __init__(self, task: Classify, settings: Settings) -> None:
        super().__init__(replace(task, loss="mse"), settings)


class TrainsOnFewerSteps(NumpyClassifier):
    """``trace`` is right, ``train_epoch`` does something else."""

    def train_batch(self, inputs: Float, codes: Float) -> Float:
        return super().train_batch(inputs[:-1], codes)


class PredictsOnFewerSteps(NumpyClassifier):
    def predict(self, images: NDArray[np.uint8]) -> Array:
        return self.run(self.encode(images)[:-1], np.zeros(0), False).rates


class RatesInAnotherOrder(NumpyClassifier):
    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        return super().train_epoch(order)[::-1]


class NoPoissonDraw(NumpyClassifier):
    def encode(self, images: NDArray[np.uint8]) -> Float:
        if self.task.encoder == "direct":
            return super().encode(images)
        return np.repeat((images > 127)[None], self.task.steps, axis=0).astype(np.float64)


class OneDrawForAllSteps(NumpyClassifier):
    def encode(self, images: NDArray[np.uint8]) -> Float:
        first = super().encode(images)[:1]
        return np.repeat(first, self.task.steps, axis=0)


class NoGrey(NumpyClassifier):
    def encode(self, images: NDArray[np.uint8]) -> Float:
        return super().encode(np.where(images > 127, np.uint8(255), np.uint8(0)))


class LayerNotShown(NumpyClassifier):
    """A time axis too many: the spikes' values are right."""

    def run(self, inputs: Float, codes: Float, training: bool) -> Pass:
        done = super().run(inputs, codes, training)
        return done._replace(spikes=tuple(layer[None] for layer in done.spikes))


class SameNoiseInEveryBatch(NumpyClassifier):
    def encode(self, images: NDArray[np.uint8]) -> Float:
        self.rng = np.random.default_rng(0)
        return super().encode(images)


class SameNoiseInEveryEpoch(NumpyClassifier):
    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        self.rng = np.random.default_rng(0)
        return super().train_epoch(order)

    def predict(self, images: NDArray[np.uint8]) -> Array:
        self.rng = np.random.default_rng(0)
        return super().predict(images)


class StepsNotCounted(NumpyClassifier):
    def steps(self) -> int:
        return 0


class HandsOver(NumpyClassifier):
    """Everything that it shows goes through ``spoil``, one kind at a time."""

    kind = ""

    def spoil(self, value: Float) -> Any:
        raise NotImplementedError

    def only(self, kind: str, value: Any) -> Any:
        return self.spoil(value) if kind == self.kind else value

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        rates: Array = self.only("training rates", super().train_epoch(order))
        return rates

    def predict(self, images: NDArray[np.uint8]) -> Array:
        rates: Array = self.only("evaluation rates", super().predict(images))
        return rates

    def weights(self) -> dict[str, Array]:
        return {name: self.only("weights", value) for name, value in super().weights().items()}

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        done = super().trace(inputs, codes, training=training)
        return Trace(
            spikes=tuple(self.only("spikes", layer) for layer in done.spikes),
            gradients={name: self.only("gradients", value) for name, value in done.gradients.items()},
        )


class NotANumber(HandsOver):
    def spoil(self, value: Float) -> Any:
        return value * np.nan


class OneNotANumber(HandsOver):
    def spoil(self, value: Float) -> Any:
        spoilt = value.copy()
        spoilt.flat[0] = np.nan
        return spoilt


class Infinite(HandsOver):
    def spoil(self, value: Float) -> Any:
        return value + np.inf


class Negative(HandsOver):
    def spoil(self, value: Float) -> Any:
        return -value


class Complex(HandsOver):
    def spoil(self, value: Float) -> Any:
        return value + 0j


class Words(HandsOver):
    def spoil(self, value: Float) -> Any:
        return value.astype(str)


class OtherWayAbove16Samples(NumpyClassifier):
    """As a kernel that is chosen by size."""

    def step(self, x: Float, membrane: Float, spikes: Float, neuron: Neuron) -> Step:
        kernel = ResetBySubtraction if len(x) > 16 else NumpyClassifier
        return kernel.step(self, x, membrane, spikes, neuron)


class EveryThirdBatchOfALongEpochSkipped(NumpyClassifier):
    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        self.batch = 0
        self.is_long = len(order) > 3
        return super().train_epoch(order)

    def update(self, gradients: dict[str, Float]) -> None:
        self.batch += 1
        if not (self.is_long and self.batch % 3 == 0):
            super().update(gradients)


FAULTS: list[tuple[Callable[..., NumpyClassifier], str, str, str]] = [
    (FiresAboveOnly, "fc_lif", "spike difference", "grid LIF(tau 2)"),
    (FiresAboveOnly, "csnn", "spike difference", "drive IF"),
    (DetachedReset, "fc_lif", "gradient error", "network"),
    (ResetBySubtraction, "fc_lif", "spike difference", "network"),
    (ResetOneStepLate, "fc_lif", "spike difference", "network"),
    (NoRecurrence, "fc_lif", "no memory of the past", "change at step 0"),
    (BatchAndTimeSwapped, "fc_lif", "no memory of the past", "change at step 0"),
    (BatchNormPerStep, "csnn", "spike difference", "network"),
    (BiasedRunningVariance, "csnn", "update error", "timed path"),
    (WrongSurrogate, "fc_lif", "gradient error", "network"),
    (StateCarriedOver, "fc_lif", "spike difference", "train again"),
    (ZeroGradient, "fc_lif", "gradient error", "network"),
    (FutureLeaks, "fc_lif", "outputs changed before their cause", "change at step 50"),
    (InputNotScaled, "fc_lif", "spike difference", "network"),
    (OtherEpsilon, "fc_lif", "update error", "timed path"),
    (NoMomentum, "csnn", "update error", "timed path"),
    (TrainsOnFewerSteps, "fc_lif", "rate difference", "timed path, training"),
    (PredictsOnFewerSteps, "fc_lif", "rate difference", "timed path, evaluation"),
    (RatesInAnotherOrder, "fc_lif", "rate difference", "timed path, training"),
    (NoPoissonDraw, "fc_lif", "input rate error", "poisson input, training"),
    (OneDrawForAllSteps, "fc_lif", "input spread error", "poisson input, evaluation"),
    (NoGrey, "csnn", "update error", "timed path"),
    (LayerNotShown, "fc_lif", "shape mismatches", "network"),
    (SameNoiseInEveryBatch, "fc_lif", "repeated noise", "poisson input, training"),
    (SameNoiseInEveryEpoch, "fc_lif", "repeated noise", "poisson input, training"),
    (StepsNotCounted, "fc_lif", "optimiser steps missed", "timed path, training"),
]
SEEN_IN_EVALUATION: list[tuple[Callable[..., NumpyClassifier], str, str]] = [
    (FiresAboveOnly, "spike difference", "grid LIF(tau 2)"),
    (ResetBySubtraction, "spike difference", "network"),
    (NoRecurrence, "no memory of the past", "change at step 0"),
    (StateCarriedOver, "spike difference", "eval again"),
    (FutureLeaks, "outputs changed before their cause", "change at step 50"),
    (PredictsOnFewerSteps, "rate difference", "timed path, evaluation"),
    (OneDrawForAllSteps, "input spread error", "poisson input, evaluation"),
    (LayerNotShown, "shape mismatches", "network"),
    (SameNoiseInEveryBatch, "repeated noise", "poisson input, evaluation"),
    (SameNoiseInEveryEpoch, "repeated noise", "poisson input, evaluation"),
]
UNFIT: list[type[HandsOver]] = [NotANumber, OneNotANumber, Infinite, Negative, Complex, Words]
SHOWN_BY = {
    "spikes": ("spike difference", "network, train"),
    "gradients": ("gradient error", "network, train"),
    "training rates": ("rate difference", "timed path, training"),
    "evaluation rates": ("rate difference", "timed path, evaluation"),
    "weights": ("update error", "timed path, weights"),
}
AT_REAL_SIZE: list[tuple[Callable[..., NumpyClassifier], str, str]] = [
    (OtherWayAbove16Samples, "fc_lif", "of a batch of known images have other rates than the reference"),
    (OtherWayAbove16Samples, "csnn", "of the first training batch have other rates than the reference"),
    (EveryThirdBatchOfALongEpochSkipped, "fc_lif", "the optimiser has stepped 7 times in 10 batches"),
    (EveryThirdBatchOfALongEpochSkipped, "csnn", "the optimiser has stepped 7 times in 10 batches"),
]


@pytest.fixture(autouse=True, scope="module")
def truths_are_computed_once() -> Iterator[None]:
    """Certificates of a task share its probes and what the reference makes of them: 40 % of their time."""
    of_probes, truths = dict[int, Probe](), dict[tuple[Any, ...], reference.Truth]()
    run = reference.run

    @cache
    def shared(task: Classify) -> list[Probe]:
        found = list(probes(task))
        of_probes.update((id(probe.weights), probe) for probe in found)
        return found

    def remembered(
        layers: Sequence[Layer], weights: Mapping[str, Float], inputs: Float, codes: Float, **how: Any
    ) -> reference.Truth:
        if id(weights) not in of_probes:  # of the timed path, which change
            return run(layers, weights, inputs, codes, **how)
        key = (id(weights), inputs.shape, inputs[-1].tobytes(), codes.tobytes(), *how.values())
        if key not in truths:
            truths[key] = run(layers, weights, inputs, codes, **how)
        return truths[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificate, "probes", shared)
        patch.setattr(reference, "run", remembered)
        yield


def failures(
    build: Callable[..., NumpyClassifier],
    task: str,
    precision: Precision = "float64",
    learning: str = "bptt",
) -> list[Deviation]:
    found = list(FAMILY.certify(build, TASKS[task](), Settings(precision=precision), learning))
    parity, reason = verdict(found, precision)
    failed = [deviation for deviation in found if deviation.failed]
    assert (parity == "wrong") == bool(failed) == bool(reason)
    return failed


def assert_named(found: list[Deviation], metric: str, probe: str) -> None:
    named = [(deviation.metric, deviation.probe) for deviation in found]
    assert any(m == metric and probe in p for m, p in named), named


@pytest.mark.parametrize(
    ("fault", "task", "metric", "probe"), FAULTS, ids=[f"{f[0].__name__}-{f[1]}" for f in FAULTS]
)
def test_a_planted_fault_is_caught_and_named(
    fault: Callable[..., NumpyClassifier], task: str, metric: str, probe: str
) -> None:
    assert_named(failures(fault, task), metric, probe)


@pytest.mark.parametrize(
    ("fault", "metric", "probe"), SEEN_IN_EVALUATION, ids=[f[0].__name__ for f in SEEN_IN_EVALUATION]
)
def test_a_fault_is_caught_where_nothing_is_learned(
    fault: Callable[..., NumpyClassifier], metric: str, probe: str
) -> None:
    assert_named(failures(fault, "fc_lif", learning="none"), metric, probe)


def test_a_deviation_names_the_weight_that_it_was_found_in() -> None:
    class OneWeight(NumpyClassifier):
        def run(self, inputs: Float, codes: Float, training: bool) -> Pass:
            done = super().run(inputs, codes, training)
            spoilt = {n: g * (1.1 if n == "4.weight" else 1) for n, g in done.gradients.items()}
            return done._replace(gradients=spoilt)

    found = failures(OneWeight, "csnn")
    assert_named(found, "gradient error", "network, train, 4.weight")
    assert_named(found, "update error", "timed path, weights, 4.weight")


def test_a_dtype_that_is_not_the_one_asked_for_is_named() -> None:
    class Single(NumpyClassifier):
        def run(self, inputs: Float, codes: Float, training: bool) -> Pass:
            done = super().run(inputs, codes, training)
            single: Any = {name: value.astype(np.float32) for name, value in done.gradients.items()}
            return done._replace(gradients=single)

    named = "network, train, 1.weight, where float32 came back in float64"
    assert_named(failures(Single, "fc_lif"), "gradient error", named)
    assert failures(Single, "fc_lif", "float32") == []

    class Rounded(NumpyClassifier):
        def weights(self) -> dict[str, Array]:
            return {name: value.astype(np.float32) for name, value in super().weights().items()}

    named = "timed path, weights, 1.weight, where float32 came back in float64"
    assert_named(failures(Rounded, "fc_lif"), "update error", named)


@pytest.mark.parametrize("task", ["csnn", "fc_lif"])
@pytest.mark.parametrize("kind", SHOWN_BY)
@pytest.mark.parametrize("fault", UNFIT)
def test_what_is_no_finite_number_in_its_range_is_never_certified(
    fault: type[HandsOver], kind: str, task: str
) -> None:
    """Not even in mixed precision, where nothing has a bound; a negative gradient is wrong by its value."""
    precision: Precision = "float64" if fault is Negative else "amp"
    metric, probe = SHOWN_BY[kind]
    spoilt = type(fault.__name__, (fault,), {"kind": kind})
    found = FAMILY.certify(spoilt, TASKS[task](), Settings(precision=precision), "bptt")
    assert any(d.failed and d.metric == metric and d.probe.startswith(probe) for d in found)


@pytest.mark.parametrize("learning", ["bptt", "none"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("precision", ["float64", "float32", "amp"])
def test_the_honest_one_passes(task: str, precision: Precision, learning: str) -> None:
    assert failures(NumpyClassifier, task, precision, learning) == []


def test_firing_on_the_boundary_shows_on_exact_numbers_alone() -> None:
    probes = [deviation.probe for deviation in failures(FiresAboveOnly, "fc_lif")]
    exact = ("grid", "drive", "poisson input")  # an identity Linear there: membranes are 0 or 1
    assert probes and all(any(name in probe for name in exact) for probe in probes), probes


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_another_loss_is_another_task(task: str, precision: Precision) -> None:
    def certified(build: type[NumpyClassifier]) -> list[Deviation]:
        asked = TASKS[task](loss="cross_entropy")
        found = FAMILY.certify(build, asked, Settings(precision=precision), "bptt")
        return [deviation for deviation in found if deviation.failed]

    assert certified(NumpyClassifier) == []
    assert_named(certified(AlwaysMeanSquaredError), "gradient error", "network")


@pytest.mark.parametrize("fault", [OtherEpsilon, TrainsOnFewerSteps])
def test_what_no_trace_can_show_is_found_on_the_timed_path(fault: Callable[..., NumpyClassifier]) -> None:
    probes = [deviation.probe for deviation in failures(fault, "fc_lif")]
    assert probes and all("timed path" in probe for probe in probes), probes


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_are_no_fault(steps: int) -> None:
    task = TASKS["fc_lif"](steps=steps)
    found = FAMILY.certify(NumpyClassifier, task, Settings(precision="float64"), "bptt")
    assert [deviation for deviation in found if deviation.failed] == []


SMALL: dict[str, dict[str, int]] = {
    "fc_lif": {"steps": 10, "batch": 32},
    "csnn": {"channels": 4, "hidden": 32, "batch": 24},
    "csnn_stepbn": {"channels": 4, "hidden": 32, "batch": 24},
    "conv_lif": {"channels": 8, "hidden": 16, "batch": 24},
    "lenet": {"first": 4, "second": 4, "steps": 5, "batch": 24},
}


def trained(
    build: Callable[..., NumpyClassifier], task: Classify, precision: Precision = "float32"
) -> tuple[NumpyClassifier, real_size.Seen]:
    """One epoch of ten batches of grey images, as the timed cell trains it."""
    rng = np.random.default_rng(6)
    images = rng.integers(0, 256, (10 * task.batch, *task.input_shape), dtype=np.uint8)
    order = epoch_order(images=len(images), batch=task.batch, seed=0, epoch=0)
    weights = initial_weights(task, 0)
    classifier = build(task, Settings(precision=precision))
    classifier.load(images, rng.integers(0, 10, len(images)))
    classifier.load_weights(weights)
    rates = np.asarray(classifier.train_epoch(order)[: task.batch], np.float64)
    return classifier, real_size.Seen(weights=weights, batches=10, images=images[order[0]], rates=rates)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("precision", ["float64", "float32", "amp"])
def test_the_honest_one_passes_at_its_real_size(task: str, precision: Precision) -> None:
    real = TASKS[task](**SMALL[task])
    classifier, seen = trained(NumpyClassifier, real, precision)
    real_size.check(classifier, real, Settings(precision=precision), seen)


@pytest.mark.parametrize(
    ("fault", "task", "words"), AT_REAL_SIZE, ids=[f"{f[0].__name__}-{f[1]}" for f in AT_REAL_SIZE]
)
def test_what_only_a_real_size_shows_is_caught_there_alone(
    fault: Callable[..., NumpyClassifier], task: str, words: str
) -> None:
    assert failures(fault, task) == []
    real = TASKS[task](**SMALL[task])
    classifier, seen = trained(fault, real)
    with pytest.raises(Wrong, match=words):
        real_size.check(classifier, real, Settings(), seen)


@pytest.mark.parametrize("task", ["csnn", "fc_lif"])
def test_the_first_timed_batch_is_compared_with_the_reference(task: str) -> None:
    """Its rates, and not only those of the batch that is trained afterwards."""
    real = TASKS[task](**SMALL[task])
    classifier, seen = trained(NumpyClassifier, real)
    other = replace(seen, rates=(seen.rates + 1) / 2)
    with pytest.raises(Wrong, match="the first training batch"):
        real_size.check(classifier, real, Settings(), other)


@pytest.mark.long  # 160 trainings, so that a false alarm has its chance
def test_random_input_of_one_sample_and_of_silent_outputs_raises_no_alarm() -> None:
    for batch, scale in ((1, 1.0), (1, 4.0), (8, 4.0), (64, 3.0)):
        task = TASKS["fc_lif"](steps=10, batch=batch)
        for seed in range(40):
            classifier, seen = trained(NumpyClassifier, task)
            weights = {name: scale * value for name, value in initial_weights(task, seed).items()}
            classifier.load_weights(weights)
            classifier.load(seen.images, np.zeros(batch, np.int64))
            rates = np.asarray(classifier.train_epoch(np.arange(batch)[None]), np.float64)
            again = replace(seen, weights=weights, rates=rates, batches=1)
            real_size.check(classifier, task, Settings(seed=seed), again)


def test_one_flipped_hidden_spike_is_no_fault() -> None:
    """It spoils one sample; the bound is what the certificate allows of all spikes, in samples."""
    task = TASKS["csnn"](**SMALL["csnn"])
    assert real_size.allowed_samples(task, 1e-6) == 1
    classifier, seen = trained(NumpyClassifier, task)
    for samples, caught in ((1, False), (2, True)):
        rates = seen.rates.copy()
        rates[:samples, 0] += 0.25
        if caught:
            with pytest.raises(Wrong, match="2 of 24 samples of the first training batch have other rates"):
                real_size.check(classifier, task, Settings(), replace(seen, rates=rates))
        else:
            real_size.check(classifier, task, Settings(), replace(seen, rates=rates))
            classifier, _ = trained(NumpyClassifier, task)  # the check has trained on


def test_mixed_precision_may_leave_out_the_first_steps_alone() -> None:
    task = TASKS["fc_lif"](**SMALL["fc_lif"])
    classifier, seen = trained(NumpyClassifier, task, "amp")
    amp = Settings(precision="amp")
    real_size.check(classifier, task, amp, replace(seen, batches=26))
    with pytest.raises(Wrong, match="stepped 10 times in 27 batches"):
        real_size.check(classifier, task, amp, replace(seen, batches=27))
    with pytest.raises(Wrong, match="stepped 10 times in 9 batches"):
        real_size.check(classifier, task, amp, replace(seen, batches=9))


def run_cell(build: Callable[..., NumpyClassifier], mnist: Path) -> list[Turn]:
    """The timed cell of fc_lif: 12 batches an epoch, in one turn."""
    values = {"steps": 8, "batch": 2, "epochs": 2}
    job = Job(
        stage="run",
        family="classify",
        task="fc_lif",
        task_values=values,
        amounts={"train_images": 24, "test_images": 20, "curve_images": 10, "turns": 1},
        adapter="ok",
        adapters=str(FAKES),
        table="classify",
        variant="plain",
        learning="bptt",
        data=str(mnist),
    )
    module = SimpleNamespace(VARIANTS={"plain": build}, sync=lambda: None, device_memory=lambda: None)
    return list(FAMILY.run(module, TASKS["fc_lif"](**values), job))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (fault, kind)
        for fault in UNFIT
        for kind in ("training rates", "evaluation rates", "weights", "spikes")
        if (fault, kind) != (Negative, "weights")  # they have no range
    ],
)
def test_what_is_no_number_in_its_range_ends_the_timed_cell(
    fault: type[HandsOver], kind: str, mnist: Path
) -> None:
    name = {"training rates": "rates", "evaluation rates": "rates"}.get(kind, kind)
    with pytest.raises((Wrong, Diverged), match=name):
        run_cell(type(fault.__name__, (fault,), {"kind": kind}), mnist)


def test_the_timed_cell_is_held_against_its_real_size(mnist: Path) -> None:
    assert run_cell(NumpyClassifier, mnist)[-1].phase == "evaluate"
    with pytest.raises(Wrong, match="the optimiser has stepped 16 times in 24 batches"):
        run_cell(EveryThirdBatchOfALongEpochSkipped, mnist)


def test_every_fault_is_in_a_list() -> None:
    here = {value for value in globals().values() if isinstance(value, type)}
    planted = {value for value in here if issubclass(value, NumpyClassifier)} - {NumpyClassifier, HandsOver}
    listed = {fault for fault, *_ in FAULTS} | set(UNFIT) | {fault for fault, *_ in AT_REAL_SIZE}
    assert planted == listed | {AlwaysMeanSquaredError, Rounding, AlwaysRounding}


class Rounding(NumpyClassifier):
    """Rounds weights to the ten bits that TF32 keeps, where that is allowed, or ``always``."""

    always = False

    def __init__(self, task: Classify, settings: Settings) -> None:
        super().__init__(task, settings)
        self.rounds = self.always or (settings.tf32 and settings.precision == "float32")

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        if self.rounds:
            weights = {name: _ten_bits(value) for name, value in weights.items()}
        super().load_weights(weights)


class AlwaysRounding(Rounding):
    always = True


def _ten_bits(value: Any) -> Any:
    fraction, exponent = np.frexp(np.asarray(value, np.float64))
    return np.ldexp(np.round(fraction * 2**11) / 2**11, exponent)


@pytest.mark.parametrize(
    ("build", "settings", "parity"),
    [
        (Rounding, Settings(device="cuda", tf32=True), "reduced precision"),
        (Rounding, Settings(device="cuda"), "exact"),
        (Rounding, Settings(device="cuda", tf32=True, precision="float64"), "exact"),
        (NumpyClassifier, Settings(tf32=True), "exact"),
        (Rounding, Settings(tf32=True), "wrong"),  # the CPU has no TF32
        (AlwaysRounding, Settings(device="cuda", tf32=True), "wrong"),
    ],
)
def test_tf32_is_reduced_precision_beside_a_certificate_without_it(
    build: type[NumpyClassifier], settings: Settings, parity: str
) -> None:
    module: Any = SimpleNamespace(configure=asdict, VARIANTS={"plain": build})
    job = Job(
        stage="certify",
        family="classify",
        task="fc_lif",
        adapter="",
        adapters="",
        table="classify",
        variant="plain",
        learning="bptt",
        settings=settings,
    )
    found = worker.certify(module, FAMILY, TASKS["fc_lif"](), job)
    assert found["parity"] == parity, found["reason"]
    measured = {d["of"]["precision"]: d for d in found["metrics"] if d["metric"] == "gradient error"}
    assert measured.keys() == {"float64", "float32", settings.arithmetic}
    assert ("bound" in measured[settings.arithmetic]) == (settings.arithmetic != "tf32")


def test_at_its_real_size_tf32_is_left_to_its_certificate() -> None:
    task = TASKS["fc_lif"](**SMALL["fc_lif"])
    classifier, seen = trained(NumpyClassifier, task)
    other = replace(seen, rates=(seen.rates + 1) / 2)
    real_size.check(classifier, task, Settings(device="cuda", tf32=True), other)
    with pytest.raises(Wrong):
        real_size.check(classifier, task, Settings(tf32=True), other)
