"""Adapters that are wrong in one way each: the certificate must catch them, and name the probe that did."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from adapters.protocol import Array, Settings
from bench import certificate, worker
from tasks.classify import TASKS
from tasks.spec import Neuron
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
    (TrainsOnFewerSteps, "fc_lif", "rate difference", "timed path float64, training"),
    (PredictsOnFewerSteps, "fc_lif", "rate difference", "timed path float64, evaluation"),
    (RatesInAnotherOrder, "fc_lif", "rate difference", "timed path float64, training"),
    (NoPoissonDraw, "fc_lif", "input rate error", "poisson input float64, training"),
    (OneDrawForAllSteps, "fc_lif", "input spread error", "poisson input float64, evaluation"),
    (NoGrey, "csnn", "update error", "timed path"),
    (LayerNotShown, "fc_lif", "shape mismatches", "network"),
]
SEEN_IN_EVALUATION: list[tuple[Callable[..., NumpyClassifier], str, str]] = [
    (FiresAboveOnly, "spike difference", "grid LIF(tau 2)"),
    (ResetBySubtraction, "spike difference", "network"),
    (NoRecurrence, "no memory of the past", "change at step 0"),
    (StateCarriedOver, "spike difference", "eval again"),
    (FutureLeaks, "outputs changed before their cause", "change at step 50"),
    (PredictsOnFewerSteps, "rate difference", "timed path float64, evaluation"),
    (OneDrawForAllSteps, "input spread error", "poisson input float64, evaluation"),
    (LayerNotShown, "shape mismatches", "network"),
]


def failures(
    build: Callable[..., NumpyClassifier], task: str, precision: str, *, learns: bool = True
) -> list[certificate.Deviation]:
    settings = Settings(
        device="cpu",
        precision=precision,  # type: ignore[arg-type]
        tf32=False,
        cudnn_benchmark=False,
        deterministic=False,
        threads=1,
        seed=0,
        variant="plain",
    )
    found = list(certificate.certify(build, TASKS[task](), settings, learns=learns))
    parity, reason = certificate.verdict(found, precision)
    failed = [deviation for deviation in found if deviation.failed]
    assert (parity == "wrong") == bool(failed) == bool(reason)
    return failed


@pytest.mark.parametrize(
    ("fault", "task", "metric", "probe"), FAULTS, ids=[f"{f[0].__name__}-{f[1]}" for f in FAULTS]
)
def test_a_planted_fault_is_caught_and_named(
    fault: Callable[..., NumpyClassifier], task: str, metric: str, probe: str
) -> None:
    found = failures(fault, task, "float64")
    assert any(d.metric == metric and probe in d.key for d in found), [d[:2] for d in found]


@pytest.mark.parametrize(
    ("fault", "metric", "probe"), SEEN_IN_EVALUATION, ids=[f[0].__name__ for f in SEEN_IN_EVALUATION]
)
def test_a_fault_is_caught_where_nothing_is_learned(
    fault: Callable[..., NumpyClassifier], metric: str, probe: str
) -> None:
    found = failures(fault, "fc_lif", "float64", learns=False)
    assert any(d.metric == metric and probe in d.key for d in found), [d[:2] for d in found]


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_honest_one_passes(task: str, precision: str, learns: bool) -> None:
    assert failures(NumpyClassifier, task, precision, learns=learns) == []


def test_firing_on_the_boundary_shows_on_exact_numbers_alone() -> None:
    keys = [deviation.key for deviation in failures(FiresAboveOnly, "fc_lif", "float64")]
    exact = ("grid", "drive", "poisson input")  # an identity Linear there: membranes are 0 or 1
    assert keys and all(any(name in key for name in exact) for key in keys), keys


@pytest.mark.parametrize("fault", [OtherEpsilon, TrainsOnFewerSteps])
def test_what_no_trace_can_show_is_found_on_the_timed_path(fault: Callable[..., NumpyClassifier]) -> None:
    keys = [deviation.key for deviation in failures(fault, "fc_lif", "float64")]
    assert keys and all("timed path" in key for key in keys), keys


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_are_no_fault(steps: int) -> None:
    settings = Settings(
        device="cpu",
        precision="float64",
        tf32=False,
        cudnn_benchmark=False,
        deterministic=False,
        threads=1,
        seed=0,
        variant="plain",
    )
    task = TASKS["fc_lif"](steps=steps)
    assert [d for d in certificate.certify(NumpyClassifier, task, settings, learns=True) if d.failed] == []


def test_every_fault_is_in_the_list() -> None:
    """Every class here that overrides the honest one is in the list."""
    here = {value for value in globals().values() if isinstance(value, type)}
    planted = {value for value in here if issubclass(value, NumpyClassifier) and value is not NumpyClassifier}
    assert planted == {fault for fault, *_ in FAULTS}
