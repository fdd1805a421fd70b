"""The two tasks in words and numbers: a rule that works, and the one that a user failed with.

A layer of neurons sees images of ``pixels`` for ``steps`` steps and learns from spikes alone: labels are
given to its neurons afterwards.  Per step and pixel the input is a spike with probability
``rate * pixel / 255`` (``bernoulli``) or the number pixel / 255 itself (``direct``).  All state but weights
and thresholds starts every batch anew, and what a batch teaches is added to the weights at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Encoder = Literal["bernoulli", "direct"]

PIXELS = 784


def _check(task: Stdp | Naive) -> None:
    for field in ("neurons", "steps", "batch", "epochs"):
        if getattr(task, field) < 1:
            raise ValueError(f"{field} must be at least 1, got {getattr(task, field)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stdp:
    """Competing neurons with homeostasis, reduced to what a batch of images can share.

    After Diehl & Cook 2015, "Unsupervised learning of digit recognition using spike-timing-dependent
    plasticity".
    Per step, with x the input [batch, pixels], W the weights [neurons, pixels] and per sample v = 0 at first:

        v <- v - v / tau_membrane + gain * W x
        the neuron with the largest v - threshold - theta spikes, if that is not below 0 (of equals the first)
        v = 0 for all neurons of a sample in which one has spiked
        theta += scale * tplus * (k - mean(k)),    k: spikes of each neuron in this step, over the batch
        trace <- trace - trace / tau_trace + x / (rate * tau_trace)    so that its mean is pixel / 255

    At the end of the batch  W[j] += scale * eta * (the traces at all spikes of j, added up),  then every row
    of W is scaled to the L2 norm ``norm``, which takes the place of depression.  ``theta`` starts at 0 and
    outlives batches.  ``scale`` falls exponentially from 1 to ``last`` over the training.  W starts uniform
    in 0..``start``, its rows scaled.  Nothing is learned in evaluation.

    Raises:
        ValueError: a count is below 1.
    """

    name: str = "stdp"
    version: int = 1
    neurons: int
    steps: int
    batch: int
    epochs: int
    eta: float
    tplus: float
    encoder: Encoder = "bernoulli"
    rate: float = 0.5
    pixels: int = PIXELS
    gain: float = 0.1
    threshold: float = 12.0
    tau_membrane: float = 100.0  # steps
    tau_trace: float = 10.0  # steps
    norm: float = 3.0
    start: float = 0.3
    last: float = 0.1

    def __post_init__(self) -> None:
        _check(self)

    @property
    def network(self) -> str:
        """The layer in words, as the report prints it."""
        return f"{self.pixels} - {self.neurons} LIF(tau {self.tau_membrane:g}), winner takes all, homeostasis"

    def scales(self, batches: int) -> Float:
        """The factor of eta and tplus for every batch of the training, [batches]."""
        return self.last ** (np.arange(batches) / batches)

    def initial_weights(self, rng: np.random.Generator) -> Float:
        """Weights [neurons, pixels] before training."""
        return normalised(rng.uniform(0, self.start, (self.neurons, self.pixels)), self.norm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naive:
    """A layer of LIF neurons with pair-based STDP on every synapse, and nothing else.

    Per step, with v, both traces [batch, ...] = 0 at first:

        v += (W x - v) / tau;  s = [v >= threshold];  v *= 1 - s
        pre <- pre - pre / tau + x;  post <- post - post / tau + s
        dW += f(W) * (s' pre - post' x),    f(W) = clip(W, -limit, limit), sums over the batch

    At the end of the batch  W <- clip(W + scale * lr * dW, -limit, limit),  with a ``scale`` of 1 in all of
    the training.  W starts uniform in ``low``..``high``.

    Raises:
        ValueError: a count is below 1.
    """

    name: str = "stdp_naive"
    version: int = 1
    neurons: int
    steps: int
    batch: int
    epochs: int
    encoder: Encoder
    low: float
    high: float
    rate: float = 1.0
    pixels: int = PIXELS
    lr: float = 0.01
    tau: float = 2.0  # steps
    threshold: float = 1.0
    limit: float = 1.0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def network(self) -> str:
        """The layer in words, as the report prints it."""
        weights = f"weights in {self.low:.3g}..{self.high:.3g}"
        return f"{self.pixels} - {self.neurons} LIF(tau {self.tau:g}), {weights}, {self.encoder} input"

    def scales(self, batches: int) -> Float:
        """The factor of the learning rate for every batch of the training, [batches]."""
        return np.ones(batches)

    def initial_weights(self, rng: np.random.Generator) -> Float:
        """Weights [neurons, pixels] before training."""
        return rng.uniform(self.low, self.high, (self.neurons, self.pixels))


Task = Stdp | Naive


def normalised(weights: Float, norm: float) -> Float:
    """Weights [neurons, pixels] with every row scaled to the L2 norm ``norm``."""
    scaled: Float = weights * (norm / np.linalg.norm(weights, axis=1, keepdims=True))
    return scaled


def encode(task: Task, images: NDArray[np.uint8], rng: np.random.Generator) -> Float:
    """Input of the layer, [steps, n, pixels], from images uint8 [n, pixels]."""
    intensity = images / 255.0
    if task.encoder == "direct":
        return np.repeat(intensity[None], task.steps, axis=0)
    return (rng.random((task.steps, *images.shape)) < task.rate * intensity).astype(np.float64)
