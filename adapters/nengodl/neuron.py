"""The TensorFlow builds of the reference neuron for NengoDL."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf
from nengo.params import NumberParam

from adapters.nengo_family.membrane import Membrane
from adapters.nengodl.shim import nengo_dl
from tasks.classify.spec import Neuron


class FoldedMembrane(Membrane):
    """All ``steps`` time steps within one simulator step: the minibatch is [steps * N], step-major."""

    state = {}  # noqa: RUF012 -- Nengo's way to declare it
    steps = NumberParam("steps", low=1)

    def __init__(self, neuron: Neuron, steps: int) -> None:
        super().__init__(neuron)
        self.steps = steps


def surrogate(distance: tf.Tensor, alpha: float) -> tf.Tensor:
    """ATan: dS/dv = (alpha / 2) / (1 + (pi / 2 * alpha * distance)^2), Fang et al. 2021."""
    return (alpha / 2) / (1 + tf.square(math.pi / 2 * alpha * distance))


def fire(distance: tf.Tensor, alpha: float) -> tf.Tensor:
    """Spikes 0/1 of v - threshold, the boundary itself firing; backward the surrogate."""

    @tf.custom_gradient
    def step(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.cast(x >= 0, x.dtype), lambda grad: grad * surrogate(x, alpha)

    return step(distance)


def charge(x: tf.Tensor, v: tf.Tensor, tau: float | tf.Tensor) -> tf.Tensor:
    """The membrane before it may fire, in the input's shape; ``tau`` is infinite for no leak."""
    return v + (x if isinstance(tau, float) and math.isinf(tau) else (x - v) / tau)


def advance(neuron: Membrane, x: tf.Tensor, v: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Charge, fire, reset: spikes and the membrane after reset, in the input's shape."""
    v = charge(x, v, neuron.tau)
    spikes = fire(v - neuron.threshold, neuron.alpha)
    return spikes, v * (1 - spikes)


def over_time(neuron: FoldedMembrane, inputs: tf.Tensor) -> tf.Tensor:
    """``advance`` from rest through all steps: inputs [steps * N, neurons], step-major, to spikes alike.

    The backward pass is written out: TensorFlow takes seconds to derive it step by step for every graph.
    """
    steps = int(neuron.steps)
    keep, gain = (1 - 1 / neuron.tau, 1 / neuron.tau) if neuron.leaks else (1.0, 1.0)

    @tf.custom_gradient
    def run(inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        # as tensors, or every step would make its own
        threshold = tf.constant(neuron.threshold, inputs.dtype)
        tau = tf.constant(neuron.tau, inputs.dtype) if neuron.leaks else neuron.tau
        rest = after = tf.zeros_like(inputs[: inputs.shape[0] // steps])
        charged = []
        for x in tf.split(inputs, steps):
            v = charge(x, after, tau)
            charged.append(v)
            after = tf.where(v >= threshold, rest, v)
        membranes = tf.concat(charged, axis=0)
        spikes = tf.cast(membranes >= threshold, membranes.dtype)

        def backward(grad: tf.Tensor) -> tf.Tensor:
            slope = surrogate(membranes - threshold, neuron.alpha)
            # what a membrane after its reset, v (1 - s), owes to the one before
            through_reset = tf.split(keep * (1 - spikes - membranes * slope), steps)
            grads = tf.split(grad * slope, steps)
            for step in reversed(range(steps - 1)):
                grads[step] += grads[step + 1] * through_reset[step]
            return gain * tf.concat(grads, axis=0)

        return spikes, backward

    return run(inputs)


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
        return over_time(self.ops[0].neurons, J)


# NengoDL looks a type up exactly, not by its bases.
nengo_dl.neuron_builders.SimNeuronsBuilder.TF_NEURON_IMPL.update(
    {Membrane: MembraneBuilder, FoldedMembrane: FoldedMembraneBuilder}
)
