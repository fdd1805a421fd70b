"""The closed division's classifier: the reference neuron, trained through time by torch's optimisers."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from adapters.nengodl.network import Network, to_torch
from adapters.nengodl.optimizer import Optimizer
from tasks.classify.codes import code_table
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify, Loss
from tasks.protocol import Settings, Unsupported


class NengoDLClassifier:
    """``Classifier`` of tasks/classify/protocol.py; variants ``loop`` and ``folded``.

    Raises:
        Unsupported: see ``Network``, and for mixed precision.
    """

    def __init__(self, task: Classify, settings: Settings, *, folded: bool) -> None:
        if settings.precision == "amp":
            raise Unsupported("NengoDL's simulator computes in one precision: no mixed precision")
        self.task = task
        self.dtype = settings.precision
        self.folded = folded
        self.network = self._network(Network, task.batch, probed=False)
        self.optimizer = Optimizer(task, list(self.network.trainable.values()))
        self.random = tf.random.Generator.from_seed(settings.seed)
        self.codes = tf.constant(code_table(task), self.dtype)
        self._train_batch = tf.function(self._train_batch_eagerly)
        self._predict_batch = tf.function(self._predict_batch_eagerly)

    def _network(self, make: Callable[..., Network], samples: int, *, probed: bool) -> Network:
        return make(
            self.task.layers,
            self.task.input_shape,
            steps=self.task.steps,
            samples=samples,
            folded=self.folded,
            probed=probed,
            dtype=self.dtype,
        )

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol; images stay uint8 on the device."""
        self.images = tf.constant(np.moveaxis(images, 1, -1))
        self.labels = tf.constant(labels, tf.int32)

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """See the protocol."""
        self.network.load_weights(weights)
        self.optimizer.forget()

    def weights(self) -> dict[str, Array]:
        """See the protocol."""
        return self.network.weights()

    def steps(self) -> int:
        """See the protocol."""
        return int(self.optimizer.count.numpy())

    def _states(self) -> list[tf.Variable]:
        return [*self.network.variables.values(), *self.optimizer.states(), self.random.state]

    def state(self) -> bytes:
        """See the protocol."""
        buffer = io.BytesIO()
        np.savez(buffer, *(variable.numpy() for variable in self._states()))
        return buffer.getvalue()

    def restore(self, state: bytes) -> None:
        """See the protocol."""
        with np.load(io.BytesIO(state)) as archive:
            for variable, name in zip(self._states(), archive.files, strict=True):
                variable.assign(archive[name])

    def _encode(self, images: tf.Tensor) -> tf.Tensor:
        """Images uint8 [N, ...] to inputs [T, N, ...]: see ``tasks.classify.images.encode``."""
        shape = (self.task.steps, *images.shape)
        if self.task.encoder == "direct":
            return tf.broadcast_to(tf.cast(images, self.dtype) / 255, shape)
        return tf.cast(self._draws(shape) < images, self.dtype)

    def _draws(self, shape: tuple[int, ...]) -> tf.Tensor:
        """Bytes uniform on 0..254, so that 255 always fires: those of 64-bit words, and 255 drawn again."""
        count = math.prod(shape)
        words = self.random.uniform_full_int([-(-count // 8)], dtype=tf.uint64)
        draws = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:count]
        again = tf.where(draws == 255)
        fresh = self.random.uniform(tf.shape(again)[:1], 0, 255, dtype=tf.int32)
        return tf.reshape(tf.tensor_scatter_nd_update(draws, again, tf.cast(fresh, tf.uint8)), shape)

    def _train_batch_eagerly(self, images: tf.Tensor, labels: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        inputs = self._encode(tf.gather(images, batch))
        codes = tf.gather(self.codes, tf.gather(labels, batch))
        _, rates, gradients = forward_and_back(self.network, self.task.loss, inputs, codes)
        self.optimizer.step(gradients)
        return rates

    def _predict_batch_eagerly(self, images: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(self.network(self._encode(images), training=False)[-1], axis=0)

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol."""
        batches = tf.constant(order, tf.int32)
        rates = [self._train_batch(self.images, self.labels, batch) for batch in batches]
        return tf.concat(rates, axis=0).numpy()

    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol; the last batch is filled up, since NengoDL's minibatch has one size."""
        size = self.task.batch
        missing = -len(images) % size
        padded = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
        padded = np.moveaxis(padded, 1, -1)
        batches = tf.constant(padded.reshape(-1, size, *padded.shape[1:]))
        return tf.concat([self._predict_batch(batch) for batch in batches], axis=0).numpy()[: len(images)]

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """See the protocol; on a network of its own, since only there every Spike layer is probed."""
        network = self._network(kept_network, inputs.shape[1], probed=True)
        network.load_weights(self.weights())
        sequence = tf.constant(np.moveaxis(inputs, 2, -1), self.dtype)
        run = kept_graph(network, self.task.loss if training else None)
        spikes, _, gradients = run(sequence, tf.constant(codes, self.dtype))
        return Trace(
            spikes=tuple(
                _channels_first(layer, shape) for layer, shape in zip(spikes, network.shapes, strict=True)
            ),
            gradients=dict(zip(network.trainable, map(to_torch, gradients), strict=False)),
        )


Outcome = tuple[list[tf.Tensor], tf.Tensor, list[tf.Tensor]]


def forward(network: Network, inputs: tf.Tensor, codes: tf.Tensor) -> Outcome:
    """Spikes of the probed layers, output rates and no gradients, in evaluation mode."""
    spikes = network(inputs, training=False)
    return spikes, tf.reduce_mean(spikes[-1], axis=0), []


def mean_squared_error(codes: tf.Tensor, rates: tf.Tensor) -> tf.Tensor:
    """Over batch and outputs, both [N, outputs]."""
    return tf.reduce_mean(tf.square(rates - codes))


def cross_entropy(codes: tf.Tensor, rates: tf.Tensor) -> tf.Tensor:
    """Of the rates as logits against one-hot codes, both [N, outputs], mean over the batch."""
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(codes, rates))


LOSSES: dict[Loss, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "mse": mean_squared_error,
    "cross_entropy": cross_entropy,
}


def forward_and_back(network: Network, loss: Loss, inputs: tf.Tensor, codes: tf.Tensor) -> Outcome:
    """Spikes of the probed layers, output rates [N, outputs] and the gradients of ``network.trainable``."""
    with tf.GradientTape() as tape:
        spikes = network(inputs, training=True)
        rates = tf.reduce_mean(spikes[-1], axis=0)
        value = LOSSES[loss](codes, rates)
    return spikes, rates, tape.gradient(value, list(network.trainable.values()))


# Graphs take seconds to build, so that a network that is traced serves every classifier of its size: whoever
# traces sets all weights first.  The timed path has a network of its own.
kept_network = cache(Network)


@cache
def kept_graph(network: Network, loss: Loss | None) -> Callable[[tf.Tensor, tf.Tensor], Outcome]:
    """``forward_and_back`` of a kept network by this loss; without one, ``forward``."""
    return tf.function(partial(forward_and_back, network, loss) if loss else partial(forward, network))


def _channels_first(spikes: tf.Tensor, shape: tuple[int, ...]) -> Array:
    """[T, N, neurons], channels last, to [T, N, *shape]."""
    array = spikes.numpy()
    if len(shape) == 1:
        return array
    return np.moveaxis(array.reshape(*array.shape[:2], *shape[1:], shape[0]), -1, 2)
