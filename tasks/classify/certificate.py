"""The parity certificate: is what an adapter computes the work that the task asks for?

Runs inside the adapter's process and compares it with reference.py.  A certificate is a list of deviations,
each with the bound that it must keep; what is no finite number breaks any.  Nothing here is timed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tasks.classify import reference, values
from tasks.classify.codes import code_table
from tasks.classify.probes import Probe, known_images, probes, random_weights, shrink
from tasks.classify.protocol import Array, Classifier, Trace
from tasks.classify.spec import Classify, Flatten, Linear, Neuron, Spike
from tasks.classify.values import Float
from tasks.measuring import Deviation, finite
from tasks.protocol import Settings

Build = Callable[[Classify, Settings], Classifier]


class Bounds(NamedTuple):
    """What a precision may deviate by; None: measured, not judged.

    ``spikes``: share that differs; ``gradient``: relative error; ``update``: error of what training
    changed, relative to that change (Adam divides a gradient's rounding by its size); ``missed``: optimiser
    steps left out.
    """

    spikes: float | None
    gradient: float | None
    update: float | None
    missed: float


BOUNDS = {
    "float64": Bounds(0.0, 1e-12, 1e-10, 0),
    "float32": Bounds(1e-6, 1e-5, 1e-4, 0),
    # a loss scale that starts at 2^16 may overflow that often before it fits
    "amp": Bounds(None, None, None, 16),
    "tf32": Bounds(None, None, None, 0),
}
RATE_RANGE = (0.05, 0.95)
TIMED_BATCHES = 3
# of what is left to chance: one false alarm in millions
SIGMAS = 6.0


def certify(build: Build, task: Classify, settings: Settings, *, learns: bool) -> Iterator[Deviation]:
    """Every comparison of one adapter, variant and precision with the reference, on all probes of a task.

    Of one that does not learn, the comparisons of evaluation alone.
    """
    bounds = BOUNDS[settings.arithmetic]
    for found in _comparisons(build, task, settings, bounds, learns):
        yield Deviation(found.metric, found.probe, settings.arithmetic, found.value, found.bound)


class _Found(NamedTuple):
    """A deviation, but for its precision."""

    metric: str
    probe: str
    value: float
    bound: float | None


def _comparisons(
    build: Build, task: Classify, settings: Settings, bounds: Bounds, learns: bool
) -> Iterator[_Found]:
    for probe in probes(task):
        classifier = build(probe.task, settings)
        yield from _as_reference(classifier, probe, bounds, learns)
        if probe.name == "network":
            yield from _causal(classifier, probe)
    if task.encoder == "poisson":
        yield from _poisson(build, task, settings, learns)
    small = shrink(task)
    yield from _timed_path(build(small, settings), small, bounds, learns)


def _as_reference(classifier: Classifier, probe: Probe, bounds: Bounds, learns: bool) -> Iterator[_Found]:
    """Spikes of every layer, gradients and shapes, in training and evaluation.

    Training (evaluation, of one that does not learn) is traced twice, because state must not outlive a
    batch; then in another order of samples, which must change nothing but that order; then with fewer
    samples.
    """
    classifier.load_weights(probe.weights)
    order = np.random.default_rng(23).permutation(len(probe.codes))
    everything = np.arange(len(order))
    first = "train" if learns else "eval"
    modes = [
        (first, everything, learns),
        (f"{first} again", everything, learns),
        ("other order", order, learns),
        ("fewer samples", order[: len(order) // 2 + 1], learns),
    ]
    if learns:
        modes.insert(2, ("eval", everything, False))
    for mode, samples, training in modes:
        inputs, codes = probe.inputs, probe.codes
        if samples is not everything:
            inputs, codes = inputs[:, samples], codes[samples]
        task = probe.task
        truth = reference.run(task.layers, probe.weights, inputs, codes, training=training, loss=task.loss)
        trace = classifier.trace(inputs, codes, training=training)
        where = f"{probe.name}, {mode}"
        yield _Found("shape mismatches", where, _shape_mismatches(trace, truth), 0)
        yield _Found("spike difference", where, _spike_difference(trace, truth), bounds.spikes)
        if training:
            error, name = _worst_error(trace.gradients, truth.gradients)
            name += _narrowed(trace.gradients, bounds)
            yield _Found("gradient error", f"{where}{name}", error, bounds.gradient)
        if mode == first:
            rates = [float(spikes.mean()) for spikes in truth.spikes]
            yield _Found("firing rate", where, float(np.mean(rates)), None)
            yield _Found("silent layers", where, sum(r < RATE_RANGE[0] for r in rates), 0)
            yield _Found("saturated layers", where, sum(r > RATE_RANGE[1] for r in rates), 0)


def _causal(classifier: Classifier, probe: Probe) -> Iterator[_Found]:
    """A change of the input at step t reaches no output before t, and one at step 0 reaches later ones.

    In evaluation mode: BatchNorm over T x N in training sees all steps by its definition.
    """
    inputs = np.array(probe.inputs)  # not one batch expanded, since single steps are to change
    before = values.spikes(classifier.trace(inputs, probe.codes, training=False).spikes[-1])
    for step in (0, len(inputs) // 2):
        changed = inputs.copy()
        changed[step] = 1 - changed[step]
        after = values.spikes(classifier.trace(changed, probe.codes, training=False).spikes[-1])
        early = forgotten = math.inf
        if before is not None and after is not None and before.shape == after.shape:
            moved = (after != before).any(axis=tuple(range(1, after.ndim)))
            early, forgotten = float(moved[:step].sum()), float(not moved[step + 1 :].any())
        where = f"{probe.name}, change at step {step}"
        yield _Found("outputs changed before their cause", where, early, 0)
        if step + 1 < len(inputs):  # else there is no later output
            yield _Found("no memory of the past", where, forgotten, 0)


def _poisson(build: Build, task: Classify, settings: Settings, learns: bool) -> Iterator[_Found]:
    """Input spikes of grey pixels, seen through an identity Linear into integrate-and-fire neurons.

    Their number must be binomial with pixel / 255, its spread that of independent steps, and the noise of
    every batch and epoch (or call of ``predict``) another one; all errors are in standard deviations.
    """
    steps, count = 50, 400
    pixels = np.linspace(5, 250, 10).astype(np.uint8)
    copying = replace(
        task,
        input_shape=(10, 1, 1),
        layers=(Flatten(), Linear(features=10), Spike(neuron=Neuron(tau=None))),
        label_code="onehot",
        steps=steps,
        batch=count,
        lr=1e-30,  # the weights copy in the second batch as well
    )
    classifier = build(copying, settings)
    classifier.load_weights({"1.weight": np.eye(10)})
    images = np.broadcast_to(pixels[:, None, None], (count, 10, 1, 1)).copy()
    classifier.load(images, np.zeros(count, np.int64))
    seen = {"evaluation": [classifier.predict(np.concatenate([images, images])) for _ in range(2)]}
    if learns:
        order = np.stack([np.arange(count)] * 2)
        seen["training"] = [classifier.train_epoch(order) for _ in range(2)]
    p = pixels / 255
    variance = steps * p * (1 - p)
    for path, passes in seen.items():
        probe = f"poisson input, {path}"
        mean_error = spread_error = repeated = math.inf
        rates = values.rates(np.concatenate(passes))
        if rates is not None and rates.shape == (4 * count, 10):
            spikes = np.round(rates * steps)
            mean_error = float((np.abs(spikes.mean(0) - steps * p) / np.sqrt(variance / len(spikes))).max())
            spread = np.abs(spikes.var(0) / variance - 1) / np.sqrt(2 / len(spikes))
            spread_error = float(spread.max())
            noise = ((spikes - steps * p) / np.sqrt(variance)).reshape(4, -1)
            shared = [abs((one * other).mean()) for one, other in combinations(noise, 2)]
            repeated = float(max(shared) * np.sqrt(noise.shape[1]))
        yield _Found("input rate error", probe, mean_error, SIGMAS)
        yield _Found("input spread error", probe, spread_error, SIGMAS)
        yield _Found("repeated noise", probe, repeated, SIGMAS)


def _timed_path(classifier: Classifier, task: Classify, bounds: Bounds, learns: bool) -> Iterator[_Found]:
    """``train_epoch`` and ``predict`` themselves, on images whose encoding is no matter of chance.

    Three batches, optimiser and running statistics included, against the reference's own training.
    """
    count = TIMED_BATCHES * task.batch + 3
    images, labels = known_images(task, count)
    order = np.random.default_rng(24).permutation(count)[: TIMED_BATCHES * task.batch]
    order = order.reshape(TIMED_BATCHES, task.batch)
    start = random_weights(task)

    expected = dict(start)
    optimizer = reference.Optimizer(task)
    codes = code_table(task)
    constant = (images / 255.0).astype(np.float64)
    rates = []
    for batch in order:
        inputs = np.broadcast_to(constant[batch], (task.steps, *constant[batch].shape))
        rates.append(reference.train_batch(task, expected, optimizer, inputs, codes[labels[batch]]))

    if learns:
        classifier.load(images, labels)
        classifier.load_weights(start)
        seen = classifier.train_epoch(order)
        difference = _rate_difference(seen, np.concatenate(rates), task.steps)
        yield _Found("rate difference", "timed path, training", difference, bounds.spikes)
        trained = classifier.weights()
        error, name = _worst_error(trained, expected, start)
        name += _narrowed(trained, bounds)
        yield _Found("update error", f"timed path, weights{name}", error, bounds.update)
        missing = abs(classifier.steps() - TIMED_BATCHES)
        yield _Found("optimiser steps missed", "timed path, training", missing, bounds.missed)

    # predict is judged from one set of weights, so that no rounding of the training enters
    classifier.load_weights(expected)
    inputs = np.broadcast_to(constant, (task.steps, *constant.shape))
    truth = reference.run(task.layers, expected, inputs, codes[labels], training=False)
    difference = _rate_difference(classifier.predict(images), truth.rates, task.steps)
    yield _Found("rate difference", "timed path, evaluation", difference, bounds.spikes)


def _narrowed(arrays: Mapping[str, Any], bounds: Bounds) -> str:
    """What to say where float64 was asked for and a value came back in float32."""
    narrow = any(np.asarray(value).dtype == np.float32 for value in arrays.values())
    return ", where float32 came back in float64" if narrow and bounds is BOUNDS["float64"] else ""


def _shape_mismatches(trace: Trace, truth: reference.Truth) -> float:
    """Layers or gradients whose shape is not the reference's; missing and surplus ones count."""
    spikes = [a.shape for a in trace.spikes], [a.shape for a in truth.spikes]
    wrong = sum(a != b for a, b in zip(*spikes, strict=False)) + abs(len(spikes[0]) - len(spikes[1]))
    for name in trace.gradients.keys() | truth.gradients.keys():
        pair = trace.gradients.get(name), truth.gradients.get(name)
        wrong += pair[0] is None or pair[1] is None or pair[0].shape != pair[1].shape
    return float(wrong)


def _spike_difference(trace: Trace, truth: reference.Truth) -> float:
    """Share of (step, sample, neuron) of all layers whose spike differs; 1 where shapes differ.

    Infinite where one is neither 0 nor 1.
    """
    if [a.shape for a in trace.spikes] != [a.shape for a in truth.spikes]:
        return 1.0
    different = 0
    for layer, expected in zip(trace.spikes, truth.spikes, strict=True):
        seen = values.spikes(layer)
        if seen is None:
            return math.inf
        different += int((seen != expected).sum())
    return different / sum(a.size for a in truth.spikes)


def _rate_difference(seen: Array, expected: Float, steps: int) -> float:
    """Share of output rates that differ by more than rounding; infinite where one is no rate."""
    rates = values.rates(seen)
    if rates is None:
        return math.inf
    if rates.shape != expected.shape:
        return 1.0
    return float(values.differs(rates, expected, steps).mean())


def _worst_error(
    found: Mapping[str, Array], expected: Mapping[str, Float], start: Mapping[str, Float] | None = None
) -> tuple[float, str]:
    """Worst relative L2 error over the names, of the change since ``start`` where that is given.

    With words for the weight that has it.  Infinite where a name is missing or too many, a value is not
    finite, or nothing is expected to change.
    """
    if found.keys() != expected.keys():
        return math.inf, f", {min(found.keys() ^ expected.keys())}"
    worst, where = 0.0, ""
    for name, truth in expected.items():
        value = finite(found[name])
        origin = np.zeros_like(truth) if start is None else start[name]
        norm = float(np.linalg.norm(truth - origin))
        if value is None or value.shape != truth.shape or norm == 0:
            return math.inf, f", {name}"
        error = float(np.linalg.norm(value - truth)) / norm
        if error > worst:
            worst, where = error, f", {name}"
    return worst, where
