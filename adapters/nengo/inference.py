"""Nengo core on images, in the closed division: the reference neuron, with weights that are given.

Core has no gradients, so that nothing is trained here.  The samples of a batch lie side by side in one
ensemble, and a convolution with a kernel of one sample applies the same weights to each.
"""

from __future__ import annotations

from collections.abc import Mapping

import nengo
import numpy as np
from numpy.typing import NDArray

from adapters.nengo_family.membrane import Membrane
from tasks.classify.images import encode
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify, Flatten, Linear, Spike
from tasks.protocol import Settings, Unsupported


class Layer:
    """Linear and Spike over ``samples`` samples in a simulator whose step is one time step.

    ``weight`` [outputs, inputs].
    """

    def __init__(self, spike: Spike, weight: Array, samples: int) -> None:
        outputs, inputs = weight.shape
        self.shape = (samples, outputs)
        count = samples * outputs
        self.inputs: Array = np.zeros((0, samples * inputs))
        with nengo.Network(seed=0) as network:
            node = nengo.Node(lambda t: self.inputs[round(t) - 1], size_out=samples * inputs)
            neurons = nengo.Ensemble(
                count, 1, neuron_type=Membrane(spike.neuron), gain=np.ones(count), bias=np.zeros(count)
            ).neurons
            same_for_all = nengo.Convolution(
                outputs, (samples, inputs), kernel_size=(1,), strides=(1,), init=weight.T[None]
            )
            nengo.Connection(node, neurons, transform=same_for_all, synapse=None)
            self.spikes = nengo.Probe(neurons)
        self.simulator = nengo.Simulator(network, dt=1, progress_bar=False)

    def run(self, inputs: Array) -> Array:
        """Inputs [T, samples, ...] to spikes 0/1 [T, samples, outputs], from rest."""
        self.inputs = inputs.reshape(len(inputs), -1)
        self.simulator.reset()
        self.simulator.run_steps(len(inputs), progress_bar=False)
        return self.simulator.data[self.spikes].reshape(len(inputs), *self.shape)


class InferenceClassifier:
    """``Classifier`` of tasks/classify/protocol.py that does not learn.

    Raises:
        Unsupported: layers other than Flatten - Linear - Spike, or mixed precision.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        if settings.precision == "amp":
            raise Unsupported("Nengo has no mixed precision")
        match task.layers:
            case (Flatten(), Linear(), Spike() as spike):
                self.spike = spike
            case _:
                raise Unsupported("not possible in Nengo: it has no max-pooling and no BatchNorm")
        nengo.rc.set("precision", "bits", settings.precision.removeprefix("float"))
        self.task = task
        self.rng = np.random.default_rng(settings.seed)

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol; nothing is trained."""

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """See the protocol."""
        self.weight = np.array(weights["1.weight"])
        self.sizes: dict[int, Layer] = {}
        self._layer(self.task.batch)

    def _layer(self, samples: int) -> Layer:
        if samples not in self.sizes:
            self.sizes[samples] = Layer(self.spike, self.weight, samples)
        return self.sizes[samples]

    def weights(self) -> dict[str, Array]:
        """See the protocol."""
        return {"1.weight": self.weight}

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol.

        Raises:
            Unsupported: always.
        """
        raise Unsupported("Nengo core has no gradients: it is given trained weights")

    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol; the last batch is filled up, since a simulator has one size."""
        size = self.task.batch
        missing = -len(images) % size
        padded = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
        rates = [self._rates(batch) for batch in padded.reshape(-1, size, *images.shape[1:])]
        return np.concatenate(rates)[: len(images)]

    def _rates(self, images: NDArray[np.uint8]) -> Array:
        inputs = encode(images, encoder=self.task.encoder, steps=self.task.steps, rng=self.rng)
        return self._layer(len(images)).run(inputs).mean(axis=0)

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """See the protocol.

        Raises:
            Unsupported: in training.
        """
        if training:
            raise Unsupported("Nengo core has no gradients: it is given trained weights")
        return Trace(spikes=(self._layer(inputs.shape[1]).run(inputs),), gradients={})
