"""The TensorFlow builds of the reference neuron for NengoDL."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf
from nengo.params import NumberParam

from adapters.nengo_family.membrane import Membrane
from adapters.nengodl.shim import nengo_dl
from tasks.spec import Neuron


class FoldedMembrane(Membrane):
    """All ``steps`` time steps within one simulator step: the minibatch is [steps * N], step-major."""

    state = {}  # noqa: RUF012 -- Nengo's way to declare it
    steps = NumberParam("steps", low=1)

    def __init__(self, neuron: Neuron, steps: int) -> None:
        super().__init__(neuron)
        self.steps = steps


def fire(distance: tf.Tensor, alpha: float) -> tf.Tensor:
    """Spikes 0/1 of v - threshold, the boundary itself firing; backward the ATan surrogate.

    dS/dv = (alpha / 2) / (1 + (pi / 2 * alpha * distance)^2), Fang et al. 2021.
    """

    @tf.custom_gradient
    def step(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def backward(grad: tf.Tensor) -> tf.Tensor:
            return grad * (alpha / 2) / (1 + tf.square(math.pi / 2 * alpha * x))

        return tf.cast(x >= 0, x.dtype), backward

    return step(distance)


def advance(neuron: Membrane, x: tf.Tensor, v: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Charge, fire, reset: spikes and the membrane after reset, in the input's shape."""
    v = v + ((x - v) / neuron.tau if neuron.leaks else x)
    spikes = fire(v - neuron.threshold, neuron.alpha)
    return spikes, v * (1 - spikes)


class MembraneBuilder(nengo_dl.neuron_builders.TFNeuronBuilder):
    """``Membrane`` in TensorFlow, trained as it runs."""

    # NengoDL swaps the step of a builder that says it spikes for one without state while it trains.
    spiking = False

    def step(self, J: tf.Tensor, dt: tf.Tensor, voltage: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Input and membrane [N, neurons] to spikes and membrane."""
        return advance(self.ops[0].neurons, J, voltage)


class FoldedMembraneBuilder(nengo_dl.neuron_builders.TFNeuronBuilder):
    """``FoldedMembrane`` in TensorFlow."""

    spiking = False

    def step(self, J: tf.Tensor, dt: tf.Tensor) -> tf.Tensor:
        """Inputs [steps * N, neurons] to spikes of the same shape, from rest."""
        neuron = self.ops[0].neurons
        currents = tf.split(J, int(neuron.steps))
        v = tf.zeros_like(currents[0])
        spikes = []
        for x in currents:
            fired, v = advance(neuron, x, v)
            spikes.append(fired)
        return tf.concat(spikes, axis=0)


# NengoDL looks a type up exactly, not by its bases.
nengo_dl.neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL.update(
    {Membrane: MembraneBuilder, FoldedMembrane: FoldedMembraneBuilder}
)
