"""The parity certificate: does an adapter's layer fire and learn as reference.py does?

Every comparison has a bound; what is no finite number breaks any.  Nothing here is timed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tasks.measuring import Deviation, Wrong, finite
from tasks.plasticity.protocol import Array, Pictures, Plastic
from tasks.plasticity.reference import Reference
from tasks.plasticity.spec import Float, Naive, Stdp, Task, encode
from tasks.protocol import Settings

Build = Callable[[Any, Settings], Plastic]


class Bounds(NamedTuple):
    """What a precision may deviate by; None: measured, not judged.

    ``spikes``: 1 - |both| / |either|; ``weights``: error of what was learned, relative to that change;
    ``real_size``: as ``spikes``, of one batch with so many neurons that some are equal but for rounding.
    """

    spikes: float | None
    weights: float | None
    real_size: float | None


BOUNDS = {
    "float64": Bounds(0.0, 1e-10, 0.0),
    "float32": Bounds(0.01, 1e-4, 0.05),
    "tf32": Bounds(None, None, None),
}
NEURONS, PIXELS, BATCH = 12, 64, 16
SCALES = (1.0, 0.7, 0.4)  # of the batches that are learned from
SIGMAS = 6.0  # of what is left to chance: one false alarm in millions
DRAW_STEPS, DRAWS = 50, 400


class _Found(NamedTuple):
    """A deviation, but for its precision."""

    metric: str
    probe: str
    value: float
    bound: float | None


def shrink(task: Task) -> Task:
    """The task at a size that the reference runs in milliseconds, whatever its weights at first."""
    small = replace(task, neurons=NEURONS, pixels=PIXELS, batch=BATCH, epochs=1)
    return replace(small, low=0.0, high=0.0) if isinstance(small, Naive) else small


def certify(build: Build, task: Task, settings: Settings) -> Iterator[Deviation]:
    """Every comparison of one adapter, variant and precision with the reference."""
    for found in _comparisons(build, shrink(task), settings):
        yield Deviation(found.metric, found.probe, settings.arithmetic, found.value, found.bound)


def check_real_size(layer: Plastic, task: Task, settings: Settings, weights: Float, images: Pictures) -> None:
    """One batch of the task's own size, from its first weights; overwrites what was learned.

    Raises:
        Wrong: the layer fires otherwise than the reference.
    """
    inputs = encode(task, images[: task.batch], np.random.default_rng([settings.seed, 2]))
    expected = Reference(task, weights).run(inputs, 1.0)
    layer.load_weights(weights)
    found = _spike_difference(layer.trace(inputs, 1.0), expected)
    bound = BOUNDS[settings.arithmetic].real_size
    if bound is not None and not found <= bound:
        raise Wrong(f"at its real size, {found:.3g} of the spikes of a batch differ, more than {bound:g}")


def _comparisons(build: Build, task: Task, settings: Settings) -> Iterator[_Found]:
    layer, start = build(task, settings), _weights(task)
    bounds = BOUNDS[settings.arithmetic]  # others have been refused
    rng = np.random.default_rng(31)
    batches = [encode(task, _grey(BATCH, PIXELS, rng), rng) for _ in SCALES]
    yield from _learning(layer, task, start, batches, bounds)
    yield from _frozen(layer, task, start, batches, bounds)
    yield from _timed_path(build, task, settings, start, bounds)
    if task.encoder == "bernoulli":
        yield from _encoding(build, task, settings)


def _learning(
    layer: Plastic, task: Task, start: Float, batches: list[Float], bounds: Bounds
) -> Iterator[_Found]:
    """Batch after batch: no membrane and no trace may outlive one, and thresholds must.

    Then from the beginning, with fewer samples, because ``load_weights`` must forget thresholds too.
    """
    truth = Reference(task, start)
    layer.load_weights(start)
    for number, (inputs, scale) in enumerate(zip(batches, SCALES, strict=True), start=1):
        expected, seen = truth.run(inputs, scale), layer.trace(inputs, scale)
        where = f"batch {number}"
        yield _Found("shape mismatches", where, float(np.shape(seen) != expected.shape), 0)
        yield _Found("vacuous probes", where, float(not expected.any() or expected.all()), 0)
        yield _Found("spike difference", where, _spike_difference(seen, expected), bounds.spikes)
        yield _Found(
            "weight error", where, _weight_error(layer.weights(), truth.weights, start), bounds.weights
        )
    truth, fewer = Reference(task, start), batches[0][:, : BATCH // 2 + 1]
    layer.load_weights(start)
    difference = _spike_difference(layer.trace(fewer, 1.0), truth.run(fewer, 1.0))
    yield _Found("spike difference", "started again", difference, bounds.spikes)
    error = _weight_error(layer.weights(), truth.weights, start)
    yield _Found("weight error", "started again", error, bounds.weights)


def _frozen(
    layer: Plastic, task: Task, start: Float, batches: list[Float], bounds: Bounds
) -> Iterator[_Found]:
    """In evaluation the learned thresholds stay as they are, and so do the weights."""
    truth = Reference(task, start)
    layer.load_weights(start)
    truth.run(batches[0], 1.0)
    layer.trace(batches[0], 1.0)
    learned = finite(layer.weights())
    for name, inputs in (("evaluation", batches[1]), ("evaluation again", batches[2])):
        difference = _spike_difference(layer.trace(inputs, None), truth.run(inputs))
        yield _Found("spike difference", name, difference, bounds.spikes)
    same = learned is not None and np.array_equal(learned, layer.weights())
    yield _Found("weights changed by looking", "evaluation", float(not same), 0)


def _timed_path(
    build: Build, task: Task, settings: Settings, start: Float, bounds: Bounds
) -> Iterator[_Found]:
    """``train`` and ``respond`` themselves, on images whose encoding is no matter of chance."""
    certain = replace(task, rate=1.0)
    layer, truth = build(certain, settings), Reference(certain, start)
    rng = np.random.default_rng(32)
    shape = (len(SCALES), BATCH, PIXELS)
    images = (rng.random(shape) < 0.3).astype(np.uint8) * np.uint8(255)
    if task.encoder == "direct":
        images = _grey(shape[0] * BATCH, PIXELS, rng).reshape(shape)
    layer.load_weights(start)
    seen = layer.train(images, np.array(SCALES))
    expected = [
        truth.run(encode(certain, batch, rng), scale).sum(axis=0)
        for batch, scale in zip(images, SCALES, strict=True)
    ]
    difference = _count_difference(seen, np.concatenate(expected))
    yield _Found("count difference", "timed path, training", difference, bounds.spikes)
    error = _weight_error(layer.weights(), truth.weights, start)
    yield _Found("weight error", "timed path, training", error, bounds.weights)
    several = images.reshape(-1, PIXELS)[: 2 * BATCH + 3]
    answers = truth.run(encode(certain, several, rng)).sum(axis=0)
    difference = _count_difference(layer.respond(several), answers)
    yield _Found("count difference", "timed path, evaluation", difference, bounds.spikes)


def _encoding(build: Build, task: Task, settings: Settings) -> Iterator[_Found]:
    """Input spikes of grey pixels, seen through neurons that fire when one of their pixels does.

    The number of spikes must be binomial with the probability of the task, its spread that of independent
    steps, and the noise of every pixel, image, batch and pass another one; all errors are in standard
    deviations.
    """
    watching, weights, pixels = _watching(task)
    grey = np.linspace(5, 250, DRAWS).astype(np.uint8)
    images = np.repeat(grey[:, None], watching.pixels, axis=1)
    twice = np.stack([images, images])
    layer = build(watching, settings)
    layer.load_weights(weights)
    passes = {
        "training": [layer.train(twice, np.ones(2)) for _ in range(2)],
        "evaluation": [layer.respond(twice.reshape(-1, watching.pixels)) for _ in range(2)],
    }
    p = 1 - (1 - watching.rate * grey / 255) ** pixels
    for path, seen in passes.items():
        mean_error = spread_error = repeated = math.inf
        counts = finite(np.stack(seen)) if len({np.shape(each) for each in seen}) == 1 else None
        if counts is not None and counts.shape == (2, 2 * DRAWS, watching.neurons):
            mean, variance = DRAW_STEPS * p[:, None], DRAW_STEPS * (p * (1 - p))[:, None]
            noise = (counts.reshape(4, DRAWS, watching.neurons) - mean) / np.sqrt(variance)
            mean_error = abs(float(noise.mean())) * math.sqrt(noise.size)
            spread_error = abs(float((noise**2).mean()) - 1) * math.sqrt(noise.size / 2)
            repeated = _repetition(noise)
        probe = f"encoding, {path}"
        yield _Found("input rate error", probe, mean_error, SIGMAS)
        yield _Found("input spread error", probe, spread_error, SIGMAS)
        yield _Found("repeated noise", probe, repeated, SIGMAS)


def _watching(task: Task) -> tuple[Task, Float, int]:
    """A layer that shows its inputs, its weights, and how many pixels each of its neurons listens to.

    Where neurons compete it has one alone, which listens to two pixels: were their spikes the same, it would
    fire less.
    """
    if isinstance(task, Stdp):
        one = replace(task, neurons=1, pixels=2, steps=DRAW_STEPS, gain=1.0, threshold=0.4, norm=1.0, eta=0.0)
        return one, np.full((1, 2), 0.5**0.5), 2
    return replace(task, neurons=10, pixels=10, steps=DRAW_STEPS, threshold=0.4, lr=0.0), np.eye(10), 1


def _repetition(noise: Float) -> float:
    """The largest correlation of standard noise [batches, images, neurons], in standard deviations.

    Between any two batches, between neighbours of a batch, and between neurons of an image.
    """
    pairs = [(one, other) for one, other in combinations(noise, 2)]
    pairs += [(noise[:, 1:], noise[:, :-1]), (noise[:, :, 1:], noise[:, :, :-1])]
    products = [one * other for one, other in pairs if one.size]
    return max(abs(float(each.mean())) * math.sqrt(each.size) for each in products)


def _weights(task: Task) -> Float:
    """Weights with which a small layer fires now and then, as float32 has them."""
    rng = np.random.default_rng(30)
    if isinstance(task, Stdp):
        drawn = task.initial_weights(rng)
    else:
        drawn = rng.normal(0.03, 0.25, (task.neurons, task.pixels)).clip(-task.limit, task.limit)
    return drawn.astype(np.float32).astype(np.float64)


def _grey(count: int, pixels: int, rng: np.random.Generator) -> Pictures:
    return rng.integers(0, 256, (count, pixels), dtype=np.uint8)


def _spike_difference(seen: Array, expected: Float) -> float:
    """1 - |both| / |either| of spikes; infinite where one is neither 0 nor 1 or shapes differ."""
    found = finite(seen)
    if found is None or found.shape != expected.shape or not ((found == 0) | (found == 1)).all():
        return math.inf
    either = float(np.maximum(found, expected).sum())
    return 1 - float(np.minimum(found, expected).sum()) / either if either else 0.0


def _count_difference(seen: Array, expected: Float) -> float:
    """How many spikes are too many or too few, over those of the reference; infinite where shapes differ."""
    found = finite(seen)
    if found is None or found.shape != expected.shape:
        return math.inf
    return float(np.abs(found - expected).sum()) / max(1.0, float(expected.sum()))


def _weight_error(seen: Array, expected: Float, start: Float) -> float:
    """Error relative to the change since ``start``; infinite where nothing should have changed."""
    found, change = finite(seen), float(np.linalg.norm(expected - start))
    if found is None or found.shape != expected.shape or change == 0:
        return math.inf
    return float(np.linalg.norm(found - expected)) / change
