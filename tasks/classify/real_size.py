"""The timed path proves itself at the cell's own size, once its figures are taken.

The certificate looks at small networks and few batches: a kernel may take another way at real sizes, an
adapter may leave out batches of long epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.classify import reference, values
from tasks.classify.certificate import BOUNDS, SIGMAS
from tasks.classify.images import encode
from tasks.classify.probes import known_images, random_weights
from tasks.classify.protocol import Classifier
from tasks.classify.spec import Classify, Spike, input_shapes
from tasks.classify.values import Float
from tasks.measuring import Wrong
from tasks.protocol import Settings

DRAWS = 8  # of the reference, from which the spread of a mean rate is estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A timed training: its initial weights and number of batches, and the first batch.

    Of that, ``images`` [batch, *input_shape] and the ``rates`` [batch, outputs] that were handed over.
    """

    weights: Mapping[str, Float]
    batches: int
    images: NDArray[np.uint8]
    rates: Float


def check(classifier: Classifier, task: Classify, settings: Settings, seen: Seen) -> None:
    """Optimiser steps, the rates of the first batch, and those of a batch whose encoding is known.

    Rates are compared with the reference's in training, so that what reduced precision does is left to
    its certificate.  The last comparison trains on, from other weights.

    Raises:
        Wrong: one of them is not what was asked for; the message says which.
    """
    bounds = BOUNDS[settings.arithmetic]
    steps = classifier.steps()
    if not 0 <= seen.batches - steps <= bounds.missed:
        raise Wrong(f"the optimiser has stepped {steps} times in {seen.batches} batches")
    if bounds.spikes is None:
        return
    allowed = allowed_samples(task, bounds.spikes)
    if task.encoder == "direct":
        expected = _reference(task, seen.weights, seen.images, settings.seed)
        _compare(seen.rates, expected, task, allowed, "the first training batch")
    else:
        _compare_means(task, settings, seen)
    images, labels = known_images(task, task.batch)
    start = random_weights(task)
    classifier.load(images, labels)
    classifier.load_weights(start)
    rates = values.rates(classifier.train_epoch(np.arange(task.batch)[None]))
    _compare(rates, _reference(task, start, images, settings.seed), task, allowed, "a batch of known images")


def allowed_samples(task: Classify, share: float) -> int:
    """How many samples of a batch may have other rates, where this share of all spikes may be another.

    One flipped spike of a hidden layer may change the outputs of its own sample, and of no other but for
    the batch statistics, which are the mean of thousands.  So a batch may have as many odd samples as
    flipped spikes.
    """
    shapes = input_shapes(task.layers, task.input_shape)
    neurons = sum(
        math.prod(shape) for layer, shape in zip(task.layers, shapes, strict=True) if isinstance(layer, Spike)
    )
    return math.ceil(neurons * task.steps * task.batch * share)


def _reference(task: Classify, weights: Mapping[str, Float], images: NDArray[np.uint8], *seed: int) -> Float:
    """The reference's rates [n, outputs] of one training batch."""
    rng = np.random.default_rng(seed)
    inputs = encode(images, encoder=task.encoder, steps=task.steps, rng=rng)
    return reference.training_rates(task.layers, weights, inputs)


def _compare(seen: Float | None, expected: Float, task: Classify, allowed: int, where: str) -> None:
    """Sample by sample."""
    if seen is None or seen.shape != expected.shape:
        raise Wrong(f"no firing rates of shape {expected.shape} come from {where}")
    odd = int(values.differs(seen, expected, task.steps).any(axis=1).sum())
    if odd > allowed:
        raise Wrong(
            f"at its real size, {odd} of {len(seen)} samples of {where} have other rates than the reference, "
            f"more than {allowed}"
        )


def _compare_means(task: Classify, settings: Settings, seen: Seen) -> None:
    """Per output, the mean rate over the batch against that of the reference's own draws."""
    draws = np.stack([_reference(task, seen.weights, seen.images, settings.seed, n) for n in range(DRAWS)])
    # a mean over samples, each with its own noise; no estimate of it goes below one spike in the batch
    variance = draws.var(axis=0, ddof=1).sum(axis=0) * (1 + 1 / DRAWS)
    floor = 1 / task.steps
    deviation = np.abs((seen.rates - draws.mean(axis=0)).sum(axis=0)) / np.maximum(np.sqrt(variance), floor)
    if not (deviation <= SIGMAS).all():
        raise Wrong(
            f"at its real size, a mean rate of the first training batch is {deviation.max():.3g} standard "
            f"deviations from the reference's, more than {SIGMAS:g}"
        )
