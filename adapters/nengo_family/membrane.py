"""The neuron of ``tasks.classify.spec.Neuron`` as a Nengo neuron type."""

from __future__ import annotations

import math

import nengo
import numpy as np
from nengo.dists import Choice
from nengo.params import NumberParam

from tasks.classify.protocol import Array
from tasks.classify.spec import Neuron


class Membrane(nengo.neurons.NeuronType):
    """One time step of the reference neuron at each simulator step; emits 0/1, not 1/dt.

    ``tau`` in simulator steps, infinite for no leak; equations in ``tasks.classify.spec.Neuron``.
    """

    state = {"voltage": Choice([0])}  # noqa: RUF012 -- Nengo's way to declare it
    spiking = True
    tau = NumberParam("tau", low=1)
    threshold = NumberParam("threshold")
    alpha = NumberParam("alpha")

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        self.tau = math.inf if neuron.tau is None else neuron.tau
        self.threshold = neuron.threshold
        self.alpha = neuron.alpha

    @property
    def leaks(self) -> bool:
        """Whether the membrane decays."""
        return not math.isinf(self.tau)

    def max_rates_intercepts(self, gain: Array, bias: Array) -> tuple[Array, Array]:
        """Nengo asks when it builds an ensemble; nothing here is solved from rates."""
        return np.zeros_like(gain), np.zeros_like(bias)

    def step(self, dt: float, J: Array, output: Array, voltage: Array) -> None:
        """Charge, fire, reset in place; for Nengo core."""
        voltage += (J - voltage) / self.tau if self.leaks else J
        output[:] = voltage >= self.threshold
        voltage *= 1 - output
