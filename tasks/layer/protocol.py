"""What a layer of an adapter must be able to do: ``builder(task, settings) -> Pass``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.layer.spec import Flow

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What the last pass gave, of the first so many neurons (inputs, where it says inputs).

    ``spikes`` 0/1 [steps, batch, first]; ``input_gradient`` [steps, batch, first]; ``weight_gradient``
    [first, neurons], None without weights.
    """

    spikes: Array
    input_gradient: Array
    weight_gradient: Array | None


class Pass(Protocol):
    """One layer, built for one ``Layer`` of spec.py under one ``Settings``."""

    def load(self, flow: Flow) -> None:
        """Take input, gradient and weights to the device (untimed)."""

    def forward(self) -> None:
        """From the input to spikes, from rest, keeping what ``backward`` needs (timed)."""

    def backward(self) -> None:
        """From the gradient to those of input and weights, not added to earlier ones (timed)."""

    def passed(self, first: int) -> Passed:
        """What the last pass gave."""
