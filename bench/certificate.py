"""The parity certificate: is what an adapter computes the work that the task asks for?

Runs inside the adapter's process and compares it with tasks/reference.py.  A certificate is a list of
deviations, each with the bound that it must keep; nothing here is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters.protocol import Classifier, Settings, Trace
from tasks import reference
from tasks.classify import code_table
from tasks.spec import BatchNorm, Classify, Conv, Layer, Linear, input_shapes

Float = NDArray[np.float64]

# Share of differing spikes and relative gradient error that a precision may show.
BOUNDS = {"float64": (0.0, 1e-12), "float32": (1e-6, 1e-5)}
RATE_RANGE = (0.05, 0.95)


class Deviation(NamedTuple):
    """One comparison: ``bound`` None means measured, not judged."""

    metric: str
    key: str
    value: float
    bound: float | None

    @property
    def failed(self) -> bool:
        """Whether the bound is broken; a value that is not a number breaks any bound."""
        return self.bound is not None and not self.value <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One network with weights, inputs [T, N, ...] and codes [N, outputs], small enough for the reference."""

    name: str
    task: Classify
    weights: Mapping[str, Float]
    inputs: Float
    codes: Float


def probes(task: Classify) -> Iterator[Probe]:
    """The probes of a task: its network on random weights, and where exact arithmetic allows it, on a grid.

    A network without convolutions is probed at full size, another at 8 x 8 images, 4 channels and T = 6.
    Weights on a grid of 2^-4 and spikes as inputs make every membrane an exact number, so that many land
    on the threshold itself.
    """
    small = task if not _has(task, Conv) else _shrink(task)
    yield _probe("network", small, _random_weights(small))
    if not _has(task, BatchNorm) and task.encoder == "poisson":
        grid = {name: np.round(value * 16) / 16 for name, value in _random_weights(small).items()}
        yield _probe("boundary", small, grid)


def _has(task: Classify, kind: type[Layer]) -> bool:
    return any(isinstance(layer, kind) for layer in task.layers)


def _shrink(task: Classify) -> Classify:
    last = max(i for i, layer in enumerate(task.layers) if isinstance(layer, Linear))
    layers: list[Layer] = []
    for index, layer in enumerate(task.layers):
        if isinstance(layer, Conv):
            layers.append(replace(layer, channels=4))
        elif isinstance(layer, Linear) and index != last:
            layers.append(replace(layer, features=16))
        else:
            layers.append(layer)
    return replace(task, layers=tuple(layers), input_shape=(task.input_shape[0], 8, 8), steps=6, batch=8)


def _random_weights(task: Classify) -> dict[str, Float]:
    """Weights large enough that every layer fires, rounded to float32 so that both precisions share them."""
    rng = np.random.default_rng(20)
    weights: dict[str, Float] = {}
    shapes = input_shapes(task.layers, task.input_shape)
    for index, (layer, shape) in enumerate(zip(task.layers, shapes, strict=True)):
        match layer:
            case Conv():
                weights[f"{index}.weight"] = rng.normal(0, 1 / 3, (layer.channels, shape[0], 3, 3))
            case Linear():
                size = (layer.features, shape[0])
                weights[f"{index}.weight"] = rng.normal(0.5 / shape[0], 2 / np.sqrt(shape[0]), size)
            case BatchNorm():
                weights[f"{index}.weight"] = rng.uniform(0.5, 1.5, shape[0])
                weights[f"{index}.bias"] = rng.uniform(-0.2, 0.5, shape[0])
                weights[f"{index}.running_mean"] = rng.normal(0, 0.1, shape[0])
                weights[f"{index}.running_var"] = rng.uniform(0.2, 1.0, shape[0])
            case _:
                pass
    return {name: value.astype(np.float32).astype(np.float64) for name, value in weights.items()}


def _probe(name: str, task: Classify, weights: Mapping[str, Float]) -> Probe:
    rng = np.random.default_rng(21)
    count = min(task.batch, 32)
    images = rng.uniform(0, 1, (count, *task.input_shape)).astype(np.float32).astype(np.float64)
    inputs = np.broadcast_to(images, (task.steps, *images.shape))
    if task.encoder == "poisson":
        inputs = (rng.random(inputs.shape) < inputs).astype(np.float64)
    return Probe(
        name=name,
        task=task,
        weights=weights,
        inputs=inputs,
        codes=code_table(task)[rng.integers(0, task.classes, count)],
    )


def compare(
    probe: Probe, build: Callable[[Classify, Settings], Classifier], settings: Settings
) -> Iterator[Deviation]:
    """Deviations of one adapter, variant and precision from the reference on one probe.

    Training and evaluation mode are compared, and training a second time: state must not outlive a batch.
    """
    classifier = build(probe.task, settings)
    classifier.load_weights(probe.weights)
    share_bound, gradient_bound = BOUNDS.get(settings.precision, (None, None))
    where = f"{probe.name} {settings.precision}"
    for mode, training in (("train", True), ("train again", True), ("eval", False)):
        truth = reference.run(probe.task.layers, probe.weights, probe.inputs, probe.codes, training=training)
        trace = classifier.trace(probe.inputs, probe.codes, training=training)
        key = f"{where} {mode}"
        yield Deviation("shape_mismatches", key, _shape_mismatches(trace, truth), 0)
        yield Deviation("spike_difference_share", key, _spike_difference(trace, truth), share_bound)
        if training:
            yield Deviation("gradient_error", key, _gradient_error(trace, truth), gradient_bound)
    rates = [float(spikes.mean()) for spikes in truth.spikes]
    yield Deviation("firing_rate_low", where, -min(rates), -RATE_RANGE[0])
    yield Deviation("firing_rate_high", where, max(rates), RATE_RANGE[1])


def _shape_mismatches(trace: Trace, truth: reference.Truth) -> float:
    """Layers or gradients whose shape is not the reference's; missing ones count."""
    spikes = [a.shape for a in trace.spikes], [a.shape for a in truth.spikes]
    wrong = sum(a != b for a, b in zip(*spikes, strict=False)) + abs(len(spikes[0]) - len(spikes[1]))
    names = trace.gradients.keys() | truth.gradients.keys()
    for name in names:
        pair = trace.gradients.get(name), truth.gradients.get(name)
        wrong += pair[0] is None or pair[1] is None or pair[0].shape != pair[1].shape
    return float(wrong)


def _spike_difference(trace: Trace, truth: reference.Truth) -> float:
    """Share of (step, sample, neuron) of all layers whose spike differs; 1 where shapes differ."""
    if [a.shape for a in trace.spikes] != [a.shape for a in truth.spikes]:
        return 1.0
    different = sum(int((a != b).sum()) for a, b in zip(trace.spikes, truth.spikes, strict=True))
    return different / sum(a.size for a in truth.spikes)


def _gradient_error(trace: Trace, truth: reference.Truth) -> float:
    """Worst relative L2 error over the weights; infinite where a gradient is missing or all zero."""
    worst = 0.0
    for name, expected in truth.gradients.items():
        found = trace.gradients.get(name)
        norm = float(np.linalg.norm(expected))
        if found is None or found.shape != expected.shape or norm == 0:
            return float("inf")
        worst = max(worst, float(np.linalg.norm(np.asarray(found, np.float64) - expected)) / norm)
    return worst


def verdict(deviations: list[Deviation], precision: str) -> tuple[str, str]:
    """Parity class and, where it is ``wrong``, the reason in one line."""
    failed = [d for d in deviations if d.failed]
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return "wrong", f"{first.metric} {first.value:.3g} > {first.bound:.3g} in probe {first.key}{more}"
    if precision == "amp":
        return "reduced precision", ""
    if any(d.metric == "spike_difference_share" and d.value > 0 for d in deviations):
        return "within", ""
    return "exact", ""
