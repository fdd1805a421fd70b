"""The tasks in words and numbers, and what flows into a layer and back into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

TAU = 2.0  # steps
THRESHOLD = 1.0
ALPHA = 2.0
_MEAN, _SPREAD = 0.8, 1.0  # of the current, with which about a quarter of all neurons fire in a step
_RATE = 0.2  # of the spikes that come in
# neurons x steps x batch of a turn, and its passes, at most: the load of others is counted in ticks of 10 ms
_ELEMENTS_A_TURN, _PASSES = 10_000_000, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """``neurons`` leaky integrate-and-fire neurons over ``steps`` steps of ``batch`` samples.

    Per step, from v = 0:  v += (x - v) / 2;  s = [v >= 1];  v *= 1 - s.  The gradient flows through the
    reset; backward, the step function has the ATan surrogate  dS/dv = 1 / (1 + (pi * (v - 1))^2)
    (Fang et al. 2021, "Incorporating learnable membrane time constant", alpha = 2).

    Without ``weighted``, x is the input [steps, batch, neurons] itself.  With it the input is spikes 0/1 of
    that shape and x = input W^T, W [neurons, neurons].  A pass is forward and then backward: from d loss / d
    output to d loss / d input and, where there is one, d loss / d W.

    Raises:
        ValueError: a count is below 1.
    """

    name: str
    version: int = 1
    weighted: bool
    neurons: int
    steps: int
    batch: int

    def __post_init__(self) -> None:
        for field in ("neurons", "steps", "batch"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, got {getattr(self, field)}")

    @property
    def network(self) -> str:
        """The layer in words, as the report prints it."""
        neurons = f"{self.neurons} LIF(tau {TAU:g})"
        return f"Linear {self.neurons} - {neurons}" if self.weighted else neurons

    @property
    def passes(self) -> int:
        """How many passes make a turn: of small layers several, for one alone is too short to be timed."""
        elements = self.neurons * self.steps * self.batch
        return min(max(1, _ELEMENTS_A_TURN // elements), _PASSES)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of input and output."""
        return self.steps, self.batch, self.neurons


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What a pass is made of.

    ``inputs`` and ``gradient`` (d loss / d output), both [steps, batch, neurons], float32; ``weight``
    [neurons, neurons], float32, None where the layer has none.
    """

    inputs: NDArray[np.float32]
    gradient: NDArray[np.float32]
    weight: NDArray[np.float32] | None


def draw(task: Layer, seed: int) -> Flow:
    """Random input, with which neurons fire now and then, and a random gradient."""
    rng = np.random.default_rng(seed)
    gradient = rng.standard_normal(task.shape, np.float32)
    if not task.weighted:
        inputs = rng.standard_normal(task.shape, np.float32) * np.float32(_SPREAD) + np.float32(_MEAN)
        return Flow(inputs=inputs, gradient=gradient, weight=None)
    inputs = (rng.random(task.shape, np.float32) < _RATE).astype(np.float32)
    arriving = task.neurons * _RATE  # spikes a step at every neuron
    weight = rng.standard_normal((task.neurons, task.neurons), np.float32)
    weight = weight * np.float32(_SPREAD / arriving**0.5) + np.float32(_MEAN / arriving)
    return Flow(inputs=inputs, gradient=gradient, weight=weight)


def lif(*, neurons: int = 1024, steps: int = 100, batch: int = 16) -> Layer:
    """The neurons alone."""
    return Layer(name="lif", weighted=False, neurons=neurons, steps=steps, batch=batch)


def linear_lif(*, neurons: int = 512, steps: int = 100, batch: int = 16) -> Layer:
    """As many weights for every neuron as there are neurons."""
    return Layer(name="linear_lif", weighted=True, neurons=neurons, steps=steps, batch=batch)


TASKS: dict[str, Callable[..., Layer]] = {"lif": lif, "linear_lif": linear_lif}
