"""The open division as NengoDL's users work: LIF neurons trained by their rates, then run as spikes.

Hunsberger and Eliasmith 2016, "Training spiking deep networks for neuromorphic hardware": the network is
trained for one step with the LIF rate equation, and run in time with spikes that a synapse smooths.
"""

from __future__ import annotations

from collections.abc import Mapping

import nengo
import numpy as np
import tensorflow as tf
from nengo.dists import Choice
from numpy.typing import NDArray

from adapters.nengodl.layers import FlattenChannelsFirst, channels_last
from adapters.nengodl.shim import nengo_dl
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify, Conv, Linear
from tasks.protocol import Settings, Unsupported

HIDDEN = 128  # of a task whose only neurons are its outputs
MAX_RATE = 200.0  # Hz at an input of 1
SYNAPSE = 0.005  # s
PRESENTATION = 30  # simulator steps of 1 ms for which a test image is shown
RATE = 1e-3
SHOWN = 250  # images at once when they are shown in time: fewer take longer each


def keras_layers(task: Classify) -> list[tf.keras.layers.Layer | nengo.neurons.NeuronType]:
    """The task's sizes as convolutions or one hidden layer, LIF neurons between, and a linear readout."""
    lif = nengo.LIF(amplitude=1 / MAX_RATE)
    layers: list[tf.keras.layers.Layer | nengo.neurons.NeuronType] = []
    for layer in task.layers:
        if isinstance(layer, Conv):
            convolution = tf.keras.layers.Conv2D(layer.channels, 3, padding="same")
            layers += [convolution, lif, tf.keras.layers.AveragePooling2D(2)]
    hidden = [layer.features for layer in task.layers if isinstance(layer, Linear)][:-1] or [HIDDEN]
    layers.append(FlattenChannelsFirst())
    for features in hidden:
        layers += [tf.keras.layers.Dense(features), lif]
    return [*layers, tf.keras.layers.Dense(task.classes)]


def in_words(layer: tf.keras.layers.Layer | nengo.neurons.NeuronType) -> str:
    """A layer of ``keras_layers`` as a report prints it."""
    match layer:
        case tf.keras.layers.Conv2D():
            return f"Conv {layer.filters} 3x3"
        case tf.keras.layers.AveragePooling2D():
            return "AveragePool 2"
        case tf.keras.layers.Dense():
            return f"Linear {layer.units}"
        case FlattenChannelsFirst():
            return "Flatten"
    return "LIF"


def simulator_model(
    task: Classify, samples: int, *, synapse: float | None
) -> tuple[tf.keras.Model, list[tf.keras.layers.Layer]]:
    """NengoDL's Keras model of minibatches of ``samples``, and the Keras layers in it.

    ``synapse`` follows every layer of neurons.
    """
    with nengo.Network(seed=0) as network:
        nengo_dl.configure_settings(trainable=False, stateful=False, keep_history=False)
        # the planned order scatters the synapses' states: one step takes six times as long
        graph = nengo_dl.graph_optimizer
        nengo_dl.configure_settings(
            planner=graph.noop_planner, sorter=graph.noop_order_signals, simplifications=[]
        )
        node = nengo.Node(np.zeros(int(np.prod(task.input_shape))))
        shape = channels_last(task.input_shape)
        after = None
        layers = []
        for layer in keras_layers(task):
            if isinstance(layer, nengo.neurons.NeuronType):
                node = nengo_dl.Layer(layer)(
                    node, max_rates=Choice([MAX_RATE]), intercepts=Choice([0]), synapse=after
                )
                after = synapse
                continue
            layers.append(layer)
            given, shape = shape, tuple(layer.compute_output_shape((1, *shape))[1:])
            node = nengo_dl.Layer(layer)(node, shape_in=given, shape_out=shape, synapse=after)
            after = None
        nengo.Probe(node)
        with nengo_dl.Simulator(network, minibatch_size=samples, progress_bar=False, seed=0) as simulator:
            return simulator.keras_model, layers


class RateClassifier:
    """``Classifier`` of tasks/classify/protocol.py in the open division; the scores are a softmax.

    Raises:
        Unsupported: another precision than float32 is asked for.
    """

    def __init__(self, task: Classify, settings: Settings) -> None:
        if settings.precision != "float32":
            raise Unsupported("variant rate trains in float32, NengoDL's default")
        self.task = task
        self.network = " - ".join(in_words(layer) for layer in keras_layers(task))
        tf.keras.utils.set_random_seed(settings.seed)
        self.training, self.layers = simulator_model(task, task.batch, synapse=None)
        self.spiking, self.spiking_layers = simulator_model(task, SHOWN, synapse=SYNAPSE)
        self.optimizer = tf.keras.optimizers.Adam(RATE)
        self._train_batch = tf.function(self._train_batch_eagerly)
        self._predict_batch = tf.function(self._predict_batch_eagerly)

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol."""
        self.images = self._flat(images)
        self.labels = tf.constant(labels, tf.int32)

    def _flat(self, images: NDArray[np.uint8]) -> tf.Tensor:
        return tf.constant(np.moveaxis(images, 1, -1).reshape(len(images), -1))

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """The open division starts from Keras's own initial weights, drawn from the seed."""

    def weights(self) -> dict[str, Array]:
        """By Keras's names, in Keras's layout."""
        return {f"{i} {w.name}": w.numpy() for i, layer in enumerate(self.layers) for w in layer.weights}

    def _run(self, model: tf.keras.Model, images: tf.Tensor, steps: int, *, training: bool) -> tf.Tensor:
        """Readout [N, classes] after ``steps`` steps of a constant image."""
        inputs = tf.repeat(tf.cast(images, tf.float32)[:, None] / 255, steps, axis=1)
        readout, _ = model([inputs, tf.fill([images.shape[0], 1], steps)], training=training)
        return readout[:, -1]

    def _train_batch_eagerly(self, images: tf.Tensor, labels: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        variables = self.training.trainable_variables
        with tf.GradientTape() as tape:
            readout = self._run(self.training, tf.gather(images, batch), 1, training=True)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, batch), readout)
            loss = tf.reduce_mean(loss)
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return tf.nn.softmax(readout)

    def _predict_batch_eagerly(self, images: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self._run(self.spiking, images, PRESENTATION, training=False))

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol; the scores are those of the rates."""
        batches = tf.constant(order, tf.int32)
        scores = [self._train_batch(self.images, self.labels, batch) for batch in batches]
        return tf.concat(scores, axis=0).numpy()

    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol; with spikes, the last batch filled up."""
        for spiking, trained in zip(self.spiking_layers, self.layers, strict=True):
            spiking.set_weights(trained.get_weights())
        missing = -len(images) % SHOWN
        padded = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
        batches = tf.reshape(self._flat(padded), [-1, SHOWN, images[0].size])
        return tf.concat([self._predict_batch(batch) for batch in batches], axis=0).numpy()[: len(images)]

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """Nothing in the open division asks for it.

        Raises:
            Unsupported: always.
        """
        raise Unsupported("the open division has no reference to compare with")
