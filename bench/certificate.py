"""The parity certificate: is what an adapter computes the work that the task asks for?

Runs inside the adapter's process and compares it with tasks/reference.py.  A certificate is a list of
deviations, each with the bound that it must keep; nothing here is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adapters.protocol import Array, Classifier, Settings, Trace
from bench.probes import Probe, known_images, probes, random_weights, shrink
from tasks import reference
from tasks.classify import code_table
from tasks.spec import Classify, Flatten, Linear, Neuron, Spike

Float = NDArray[np.float64]
Build = Callable[[Classify, Settings], Classifier]


class Bounds(NamedTuple):
    """What a precision may deviate by; None: measured, not judged.

    ``spikes``: share that differs; ``gradient``: relative error; ``update``: error of what training
    changed, relative to that change (Adam divides a gradient's rounding by its size).
    """

    spikes: float | None
    gradient: float | None
    update: float | None


BOUNDS = {
    "float64": Bounds(0.0, 1e-12, 1e-10),
    "float32": Bounds(1e-6, 1e-5, 1e-4),
    "amp": Bounds(None, None, None),
}
RATE_RANGE = (0.05, 0.95)
TIMED_BATCHES = 3
# of what is left to chance: one false alarm in millions
SIGMAS = 6.0


class Deviation(NamedTuple):
    """One comparison; ``bound`` None means measured, not judged."""

    metric: str
    key: str
    value: float
    bound: float | None

    @property
    def failed(self) -> bool:
        """Whether the bound is broken; a value that is not a number breaks any bound."""
        return self.bound is not None and not self.value <= self.bound


def certify(build: Build, task: Classify, settings: Settings, *, learns: bool) -> Iterator[Deviation]:
    """Every comparison of one adapter, variant and precision with the reference, on all probes of a task.

    Of one that does not learn, the comparisons of evaluation alone.
    """
    bounds = BOUNDS[settings.precision]
    for probe in probes(task):
        classifier = build(probe.task, settings)
        key = f"{probe.name} {settings.precision}"
        yield from _as_reference(classifier, probe, key, bounds, learns)
        if probe.name == "network":
            yield from _causal(classifier, probe, key)
    if task.encoder == "poisson":
        yield from _poisson(build, task, settings, learns)
    small = shrink(task)
    yield from _timed_path(build(small, settings), small, f"timed path {settings.precision}", bounds, learns)


def _as_reference(
    classifier: Classifier, probe: Probe, key: str, bounds: Bounds, learns: bool
) -> Iterator[Deviation]:
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
        truth = reference.run(probe.task.layers, probe.weights, inputs, codes, training=training)
        trace = classifier.trace(inputs, codes, training=training)
        where = f"{key}, {mode}"
        yield Deviation("shape mismatches", where, _shape_mismatches(trace, truth), 0)
        yield Deviation("spike difference", where, _spike_difference(trace, truth), bounds.spikes)
        if training:
            yield Deviation(
                "gradient error", where, _worst_error(trace.gradients, truth.gradients), bounds.gradient
            )
        if mode == first:
            rates = [float(spikes.mean()) for spikes in truth.spikes]
            yield Deviation("firing rate", where, float(np.mean(rates)), None)
            yield Deviation("silent layers", where, sum(r < RATE_RANGE[0] for r in rates), 0)
            yield Deviation("saturated layers", where, sum(r > RATE_RANGE[1] for r in rates), 0)


def _causal(classifier: Classifier, probe: Probe, key: str) -> Iterator[Deviation]:
    """A change of the input at step t reaches no output before t, and one at step 0 reaches later ones.

    In evaluation mode: BatchNorm over T x N in training sees all steps by its definition.
    """
    inputs = np.array(probe.inputs)  # not one batch expanded, since single steps are to change
    before = classifier.trace(inputs, probe.codes, training=False).spikes[-1]
    for step in (0, len(inputs) // 2):
        changed = inputs.copy()
        changed[step] = 1 - changed[step]
        after = classifier.trace(changed, probe.codes, training=False).spikes[-1]
        moved = (after != before).any(axis=tuple(range(1, after.ndim)))
        where = f"{key}, change at step {step}"
        yield Deviation("outputs changed before their cause", where, float(moved[:step].sum()), 0)
        if step + 1 < len(inputs):  # else there is no later output
            yield Deviation("no memory of the past", where, float(not moved[step + 1 :].any()), 0)


def _poisson(build: Build, task: Classify, settings: Settings, learns: bool) -> Iterator[Deviation]:
    """Input spikes of grey pixels, seen through an identity Linear into integrate-and-fire neurons.

    Their number must be binomial with pixel / 255, and its spread that of independent steps; both errors
    are in standard deviations.
    """
    steps, count = 50, 400
    pixels = np.linspace(5, 250, 10).astype(np.uint8)
    copying = replace(
        task,
        input_shape=(10, 1, 1),
        layers=(Flatten(), Linear(features=10), Spike(neuron=Neuron(tau=None))),
        steps=steps,
        batch=count,
    )
    classifier = build(copying, settings)
    classifier.load_weights({"1.weight": np.eye(10)})
    images = np.broadcast_to(pixels[:, None, None], (count, 10, 1, 1)).copy()
    classifier.load(images, np.zeros(count, np.int64))
    order = np.arange(count)[None]
    p = pixels / 255
    seen = {"evaluation": classifier.predict(images)}
    if learns:
        seen["training"] = classifier.train_epoch(order)
    for path, rates in seen.items():
        key = f"poisson input {settings.precision}, {path}"
        spikes = np.round(np.asarray(rates, np.float64) * steps)
        variance = steps * p * (1 - p)
        mean_error = np.abs(spikes.mean(0) - steps * p) / np.sqrt(variance / count)
        spread_error = np.abs(spikes.var(0) / variance - 1) / np.sqrt(2 / count)
        yield Deviation("input rate error", key, float(mean_error.max()), SIGMAS)
        yield Deviation("input spread error", key, float(spread_error.max()), SIGMAS)


def _timed_path(
    classifier: Classifier, task: Classify, key: str, bounds: Bounds, learns: bool
) -> Iterator[Deviation]:
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
        difference = _rates(seen, np.concatenate(rates))
        yield Deviation("rate difference", f"{key}, training", difference, bounds.spikes)
        trained = classifier.weights()
        change = {name: expected[name] - start[name] for name in start}
        error = {name: np.asarray(trained[name], np.float64) - start[name] for name in trained}
        yield Deviation("update error", f"{key}, weights", _worst_error(error, change), bounds.update)

    # predict is judged from one set of weights, so that no rounding of the training enters
    classifier.load_weights(expected)
    inputs = np.broadcast_to(constant, (task.steps, *constant.shape))
    truth = reference.run(task.layers, expected, inputs, codes[labels], training=False)
    seen = classifier.predict(images)
    yield Deviation("rate difference", f"{key}, evaluation", _rates(seen, truth.rates), bounds.spikes)


def _shape_mismatches(trace: Trace, truth: reference.Truth) -> float:
    """Layers or gradients whose shape is not the reference's; missing and surplus ones count."""
    spikes = [a.shape for a in trace.spikes], [a.shape for a in truth.spikes]
    wrong = sum(a != b for a, b in zip(*spikes, strict=False)) + abs(len(spikes[0]) - len(spikes[1]))
    for name in trace.gradients.keys() | truth.gradients.keys():
        pair = trace.gradients.get(name), truth.gradients.get(name)
        wrong += pair[0] is None or pair[1] is None or pair[0].shape != pair[1].shape
    return float(wrong)


def _spike_difference(trace: Trace, truth: reference.Truth) -> float:
    """Share of (step, sample, neuron) of all layers whose spike differs; 1 where shapes differ."""
    if [a.shape for a in trace.spikes] != [a.shape for a in truth.spikes]:
        return 1.0
    different = sum(int((a != b).sum()) for a, b in zip(trace.spikes, truth.spikes, strict=True))
    return different / sum(a.size for a in truth.spikes)


def _rates(seen: Array, expected: Float) -> float:
    """Share of output rates that differ by more than rounding (half a spike in 1000 steps)."""
    if seen.shape != expected.shape:
        return 1.0
    return float((np.abs(np.asarray(seen, np.float64) - expected) > 5e-4).mean())


def _worst_error(found: Mapping[str, Array], expected: Mapping[str, Float]) -> float:
    """Worst relative L2 error over the names; infinite where one is missing or expected to be zero."""
    worst = 0.0
    for name, truth in expected.items():
        value = found.get(name)
        norm = float(np.linalg.norm(truth))
        if value is None or value.shape != truth.shape or norm == 0:
            return float("inf")
        worst = max(worst, float(np.linalg.norm(np.asarray(value, np.float64) - truth)) / norm)
    return worst


def verdict(deviations: list[Deviation], precision: str) -> tuple[str, str]:
    """Parity class and, where it is ``wrong``, the reason in one line."""
    failed = [d for d in deviations if d.failed]
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return "wrong", f"{first.metric} {first.value:.3g} exceeds {first.bound:.3g} in {first.key}{more}"
    if precision == "amp":
        return "reduced precision", ""
    if any(d.metric == "spike difference" and d.value > 0 for d in deviations):
        return "within", ""
    return "exact", ""
