"""Nengo core on images, in the open division: fixed features, LIF neurons and least-squares decoders.

No gradient flows: the input weights come from the training images themselves, and what is learned are
decoders, in one pass.  Neurons learn by their rates and classify by their spikes, smoothed by a synapse.
Eliasmith and Anderson 2003, "Neural Engineering" (encoders, decoders); McDonnell et al. 2015, "Fast, simple
and accurate handwritten digit classification" (random receptive fields).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import nengo
import numpy as np
from nengo.solvers import LstsqL2
from numpy.typing import NDArray

from tasks.classify.codes import code_table
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify, Conv, Shape
from tasks.protocol import Settings, Unsupported

NEURONS = 1000  # of the layer without convolution
FIELD = 14  # width and height of a receptive field, pixels
FILTERS, KERNEL, STRIDE = 16, 5, 2
GAIN, BIAS = 2.5, 0.5  # of an input current scaled to unit variance; a neuron fires above 1
REGULARISATION = 0.03  # of LstsqL2: deviation of the noise over the largest rate
DT = 0.001  # s
PRESENTATION = 0.1  # s for which a test image is shown
SYNAPSE = 0.05  # s, smooths the spikes that are read out at its end
TOGETHER = 100  # images simulated side by side


def encoders(images: Array, labels: NDArray[np.integer], rng: np.random.Generator) -> nengo.Dense:
    """Per neuron the difference of two images [n, 1, height, width] of two classes, in a receptive field."""
    first, second = rng.integers(0, len(images), (2, 2 * NEURONS))
    chosen = np.flatnonzero(labels[first] != labels[second])[:NEURONS]
    weights = np.zeros((len(chosen), *images.shape[1:]))
    height, width = images.shape[2:]
    for weight, one, other in zip(weights, images[first[chosen]], images[second[chosen]], strict=True):
        row, column = rng.integers(0, height - FIELD + 1), rng.integers(0, width - FIELD + 1)
        field = np.s_[:, row : row + FIELD, column : column + FIELD]
        weight[field] = one[field] - other[field]
    weights = weights.reshape(len(chosen), -1)
    return nengo.Dense(weights.shape, init=weights)


def filters(images: Array, shape: Shape, rng: np.random.Generator) -> nengo.Convolution:
    """Per filter the difference of two patches of images [n, 1, height, width]."""
    patches: list[Array] = []
    while len(patches) < FILTERS:
        index = rng.integers(0, len(images), 2)
        row, column = (rng.integers(0, size - KERNEL + 1) for size in shape[1:])
        one, other = images[index, :, row : row + KERNEL, column : column + KERNEL]
        if np.linalg.norm(one - other) > 1:  # not two empty ones
            patches.append(np.moveaxis(one - other, 0, -1))
    return nengo.Convolution(
        FILTERS,
        shape,
        kernel_size=(KERNEL, KERNEL),
        strides=(STRIDE, STRIDE),
        channels_last=False,
        init=np.stack(patches, axis=-1),
    )


def through(transform: nengo.transforms.Transform, images: Array) -> Array:
    """What Nengo makes of images [n, pixels], one at each simulator step: [n, outputs]."""
    with nengo.Network() as network:
        # PresentInput loses count in float32
        node = nengo.Node(lambda t: images[round(t / DT) - 1], size_out=images.shape[1])
        out = nengo.Node(size_in=transform.size_out)
        nengo.Connection(node, out, transform=transform, synapse=None)
        probe = nengo.Probe(out)
    with nengo.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(len(images), progress_bar=False)
        return simulator.data[probe]


class Population:
    """LIF neurons for ``TOGETHER`` images side by side, in one ensemble of Nengo's."""

    def __init__(self, neurons: int, kind: nengo.LIF) -> None:
        self.shape = (TOGETHER, neurons)
        self.currents: Array = np.zeros(self.shape)
        count = TOGETHER * neurons
        with nengo.Network(seed=0) as network:
            node = nengo.Node(lambda t: self.currents.ravel(), size_out=count)
            # nothing is decoded inside of Nengo, so that encoders and evaluation points need not be drawn
            ensemble = nengo.Ensemble(
                count,
                1,
                neuron_type=kind,
                gain=np.ones(count),
                bias=np.zeros(count),
                encoders=np.ones((count, 1)),
                eval_points=np.zeros((1, 1)),
            )
            nengo.Connection(node, ensemble.neurons, synapse=None)
            self.probe = nengo.Probe(ensemble.neurons, synapse=SYNAPSE, sample_every=PRESENTATION)
        self.simulator = nengo.Simulator(network, dt=DT, progress_bar=False)

    def rates(self, currents: Array) -> Array:
        """Smoothed spikes in Hz [TOGETHER, neurons] after a presentation of constant currents, from rest."""
        self.currents = currents
        self.simulator.reset()
        self.simulator.run(PRESENTATION, progress_bar=False)
        # the synapse has not settled by then
        return self.simulator.data[self.probe][-1].reshape(self.shape) / -np.expm1(-PRESENTATION / SYNAPSE)


def network(task: Classify) -> str:
    """The network that is really run, in words."""
    if any(isinstance(layer, Conv) for layer in task.layers):
        _, *size = task.input_shape
        neurons = FILTERS * math.prod((length - KERNEL) // STRIDE + 1 for length in size)
        features = f"Conv {FILTERS} {KERNEL}x{KERNEL} stride {STRIDE} of image patches - {neurons} LIF"
    else:
        features = f"receptive fields {math.prod(task.input_shape)}-{NEURONS} LIF"
    return f"{features} - least-squares decoders {task.classes}"


class LeastSquaresClassifier:
    """``Classifier`` of tasks/classify/protocol.py in the open division.

    Raises:
        Unsupported: mixed precision or another loss than the mean squared error is asked for.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        if task.loss != "mse":
            raise Unsupported(f"least squares lower the mean squared error, not {task.loss}")
        if settings.precision == "amp":
            raise Unsupported("Nengo has no mixed precision")
        nengo.rc.set("precision", "bits", settings.precision.removeprefix("float"))
        nengo.rc.set("decoder_cache", "enabled", "False")
        self.task = task
        self.network = network(task)
        self.seed = settings.seed
        self.neurons = nengo.LIF()

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol."""
        self.images, self.labels = images, labels

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """The open division starts from no weights."""

    def weights(self) -> dict[str, Array]:
        """What was learned: the decoders [neurons, classes]."""
        return {"decoders": self.decoders}

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol; solves for the decoders, and returns the scores that they give to the rates."""
        chosen = order.ravel()
        images, labels = self.images[chosen] / 255.0, self.labels[chosen]
        rng = np.random.default_rng(self.seed)
        if any(isinstance(layer, Conv) for layer in self.task.layers):
            self.transform = filters(images, self.task.input_shape, rng)
        else:
            self.transform = encoders(images, labels, rng)
        raw = through(self.transform, images.reshape(len(images), -1))
        self.mean, self.deviation = raw.mean(0), raw.std(0) + 1e-9
        size = raw.shape[1]
        rates = self.neurons.rates(self._scaled(raw), gain=np.ones(size), bias=np.zeros(size))
        solver = LstsqL2(reg=REGULARISATION)
        self.decoders, _ = solver(rates, code_table(self.task)[labels], rng=np.random)
        self.population = Population(size, self.neurons)
        return np.clip(rates @ self.decoders, 0, 1)

    def _scaled(self, raw: Array) -> Array:
        return GAIN * (raw - self.mean) / self.deviation + BIAS

    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol; every image is shown to neurons at rest."""
        currents = self._scaled(through(self.transform, images.reshape(len(images), -1) / 255.0))
        missing = -len(currents) % TOGETHER
        batches = np.pad(currents, ((0, missing), (0, 0))).reshape(-1, TOGETHER, currents.shape[1])
        rates = np.concatenate([self.population.rates(batch) for batch in batches])
        return np.clip(rates[: len(images)] @ self.decoders, 0, 1)

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """Nothing in the open division asks for it.

        Raises:
            Unsupported: always.
        """
        raise Unsupported("the open division has no reference to compare with")
