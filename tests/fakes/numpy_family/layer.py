"""An honest ``Pass`` in plain NumPy; whoever spoils it overrides the one method that it gets wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tasks.layer import reference
from tasks.layer.protocol import Passed
from tasks.layer.spec import Float, Flow, Layer
from tasks.protocol import Settings


class NumpyPass:
    """``Pass`` of tasks/layer, in float64 whatever is asked for."""

    def __init__(self, task: Layer, settings: Settings) -> None:
        self.task = task

    def load(self, flow: Flow) -> None:
        """See the protocol."""
        self.flow = flow

    def current(self) -> Float:
        """What flows into the neurons."""
        inputs = self.flow.inputs.astype(np.float64)
        return inputs if self.flow.weight is None else inputs @ self.flow.weight.T.astype(np.float64)

    def neurons(self, current: Float, gradient: Float) -> tuple[Float, Float]:
        """Spikes and the gradient of the current."""
        return reference.neurons(current, gradient)

    def forward(self) -> None:
        """See the protocol."""
        self.spikes, self.back = self.neurons(self.current(), self.flow.gradient.astype(np.float64))

    def backward(self) -> None:
        """See the protocol."""
        self.result = Passed(spikes=self.spikes, input_gradient=self.back, weight_gradient=None)
        if self.flow.weight is not None:
            self.result = replace(
                self.result,
                input_gradient=self.back @ self.flow.weight,
                weight_gradient=np.tensordot(self.back, self.flow.inputs, ([0, 1], [0, 1])),
            )

    def passed(self, first: int) -> Passed:
        """See the protocol."""
        gradient = self.result.weight_gradient
        return Passed(
            spikes=self.result.spikes[..., :first],
            input_gradient=self.result.input_gradient[..., :first],
            weight_gradient=None if gradient is None else gradient[:first],
        )
