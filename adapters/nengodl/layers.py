"""Keras layers for the layer words without state, channels last, as NengoDL's TensorNodes take them.

TensorFlow convolves on the CPU with channels last only: a sample [channels, height, width] of
tasks/spec.py is [height, width, channels] here, and ``Flatten`` puts the elements back in order.
"""

from __future__ import annotations

import tensorflow as tf

from tasks.spec import BatchNorm, Conv, Flatten, Layer, Linear, MaxPool, Spike

EPS = 1e-5
MOMENTUM = 0.1


class BatchNormalization(tf.keras.layers.Layer):
    """``tasks.spec.BatchNorm`` over the minibatch, in ``parts`` equal parts one after the other.

    Keras's own keeps a biased running variance in float64.
    """

    def __init__(self, parts: int, dtype: str) -> None:
        super().__init__(dtype=dtype)
        self.parts = parts

    def build(self, shape: tf.TensorShape) -> None:
        """Weights and running statistics [channels]."""
        size = (shape[-1],)
        self.weight = self.add_weight("weight", size, initializer="ones")
        self.bias = self.add_weight("bias", size, initializer="zeros")
        self.running_mean = self.add_weight("running_mean", size, initializer="zeros", trainable=False)
        self.running_var = self.add_weight("running_var", size, initializer="ones", trainable=False)
        super().build(shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[parts * N, ..., channels] to the same."""
        if not training:
            return self._normalise(x, self.running_mean, self.running_var)
        return tf.concat([self._train(part) for part in tf.split(x, self.parts)], axis=0)

    def _train(self, x: tf.Tensor) -> tf.Tensor:
        mean, var = tf.nn.moments(x, axes=list(range(len(x.shape) - 1)))
        count = x.shape.num_elements() // x.shape[-1]
        self.running_mean.assign_add(MOMENTUM * (mean - self.running_mean))
        self.running_var.assign_add(MOMENTUM * (var * (count / (count - 1)) - self.running_var))
        return self._normalise(x, mean, var)

    def _normalise(self, x: tf.Tensor, mean: tf.Tensor, var: tf.Tensor) -> tf.Tensor:
        return tf.nn.batch_normalization(x, mean, var, self.bias, self.weight, EPS)


class FlattenChannelsFirst(tf.keras.layers.Layer):
    """[height, width, channels] to [channels * height * width]; a flat sample stays as it is."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N, ...] to [N, features]."""
        if len(x.shape) == 4:
            x = tf.transpose(x, [0, 3, 1, 2])
        return tf.reshape(x, [x.shape[0], -1])


def keras_layer(layer: Layer, *, parts: int, dtype: str) -> tf.keras.layers.Layer:
    """The Keras layer of a layer word; ``parts``: see ``BatchNormalization``."""
    match layer:
        case Conv():
            return tf.keras.layers.Conv2D(layer.channels, 3, padding="same", use_bias=False, dtype=dtype)
        case BatchNorm():
            return BatchNormalization(parts, dtype)
        case MaxPool():
            return tf.keras.layers.MaxPool2D(2, dtype=dtype)
        case Flatten():
            return FlattenChannelsFirst(dtype=dtype)
        case Linear():
            return tf.keras.layers.Dense(layer.features, use_bias=False, dtype=dtype)
        case Spike():
            raise TypeError("a Spike layer has state")


def variables(layer: tf.keras.layers.Layer) -> dict[str, tf.Variable]:
    """Weights and running statistics of a built layer by the protocol's names."""
    match layer:
        case tf.keras.layers.Conv2D() | tf.keras.layers.Dense():
            return {"weight": layer.kernel}
        case BatchNormalization():
            return {name: getattr(layer, name) for name in ("weight", "bias", "running_mean", "running_var")}
    return {}
