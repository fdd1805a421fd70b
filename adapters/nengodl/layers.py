"""Keras layers for the layer words without state, channels last, as NengoDL's TensorNodes take them.

TensorFlow convolves on the CPU with channels last only: a sample [channels, height, width] of
tasks/classify/spec.py is [height, width, channels] here, and ``Flatten`` puts the elements back in order.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tasks.classify.spec import BatchNorm, Conv, Flatten, Layer, Linear, MaxPool, Shape, Spike

EPS = 1e-5
MOMENTUM = 0.1


class BatchNormalization(tf.keras.layers.Layer):
    """``tasks.classify.spec.BatchNorm`` over the minibatch, in ``parts`` equal parts one after the other.

    Ioffe and Szegedy 2015, the gradient through mean and variance included.  Keras's own keeps a biased
    running variance in float64, and in float32 its sums are too coarse: see ``total``.
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
        count = x.shape.num_elements() // x.shape[-1]
        mean = total(x) / count
        var = total(tf.square(x - mean)) / count
        self.running_mean.assign_add(MOMENTUM * (mean - self.running_mean))
        self.running_var.assign_add(MOMENTUM * (var * (count / (count - 1)) - self.running_var))

        @tf.custom_gradient
        def affine(
            x: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor
        ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
            inverse = tf.math.rsqrt(var + EPS)
            normal = (x - mean) * inverse

            def backward(grad: tf.Tensor) -> tuple[tf.Tensor, ...]:
                to_weight, to_bias = total(grad * normal), total(grad)
                centred = grad - to_bias / count - normal * (to_weight / count)
                return weight * inverse * centred, to_weight, to_bias

            return normal * weight + bias, backward

        return affine(x, tf.identity(self.weight), tf.identity(self.bias))

    def _normalise(self, x: tf.Tensor, mean: tf.Tensor, var: tf.Tensor) -> tf.Tensor:
        return tf.nn.batch_normalization(x, mean, var, self.bias, self.weight, EPS)


def total(x: tf.Tensor) -> tf.Tensor:
    """Sum of [N, height, width, channels] per channel, one axis at a time.

    TensorFlow adds all N * height * width terms up one after the other, which in float32 leaves
    the gradient of the certificate's network 1.4e-5 from the reference; this leaves 4e-6.
    """
    return tf.reduce_sum(tf.reduce_sum(tf.reduce_sum(x, 2), 1), 0)


class FlattenChannelsFirst(tf.keras.layers.Layer):
    """[height, width, channels] to [channels * height * width]; a flat sample stays as it is."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """[N, ...] to [N, features]."""
        if len(x.shape) == 4:
            x = tf.transpose(x, [0, 3, 1, 2])
        return tf.reshape(x, [x.shape[0], -1])


def channels_last(shape: Shape) -> Shape:
    """[channels, height, width] as [height, width, channels]; a flat shape as it is."""
    return (*shape[1:], shape[0])


def keras_layer(layer: Layer, *, parts: int, dtype: str) -> tf.keras.layers.Layer:
    """The Keras layer of a layer word; ``parts``: see ``BatchNormalization``."""
    match layer:
        case Conv():
            padding = "same" if layer.padded else "valid"
            return tf.keras.layers.Conv2D(
                layer.channels, layer.kernel, padding=padding, use_bias=False, dtype=dtype
            )
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
