"""A task's layers as a Nengo network in NengoDL: Keras layers in TensorNodes, neurons in ensembles."""

from __future__ import annotations

from collections.abc import Mapping

import nengo
import numpy as np
import tensorflow as tf
from nengo.dists import Choice

from adapters.nengo_family.membrane import Membrane
from adapters.nengodl.layers import channels_last, keras_layer, variables
from adapters.nengodl.neuron import FoldedMembrane
from adapters.nengodl.shim import nengo_dl
from tasks.classify.protocol import Array
from tasks.classify.spec import BatchNorm, Layer, Shape, Spike, input_shapes, output_shape
from tasks.protocol import Unsupported


class Network:
    """A task's network for one minibatch size: NengoDL builds that size into its graph.

    ``folded``: one simulator step, time and samples share the minibatch [T * N]; otherwise the simulator
    steps T times through samples [N].  ``probed``: the spikes of every Spike layer are outputs, not the
    last one's alone.

    Raises:
        Unsupported: the simulator's time loop has no BatchNorm over T x N.
    """

    def __init__(
        self,
        layers: tuple[Layer, ...],
        input_shape: Shape,
        *,
        steps: int,
        samples: int,
        folded: bool,
        probed: bool,
        dtype: str,
    ) -> None:
        if not folded and BatchNorm(over="time_batch") in layers:
            raise Unsupported(
                "the simulator's time loop has no BatchNorm over T x N: variant folded, or csnn_stepbn"
            )
        self.steps, self.samples, self.folded = steps, samples, folded
        self.layers: dict[int, tf.keras.layers.Layer] = {}
        self.shapes = []
        with nengo.Network(seed=0) as network:
            nengo_dl.configure_settings(
                dtype=dtype, trainable=False, stateful=False, keep_history=True, use_loop=not folded
            )
            node = nengo.Node(np.zeros(int(np.prod(input_shape))))
            shapes = input_shapes(layers, input_shape)
            for index, (layer, shape) in enumerate(zip(layers, shapes, strict=True)):
                if isinstance(layer, Spike):
                    kind = FoldedMembrane(layer.neuron, steps) if folded else Membrane(layer.neuron)
                    node = nengo_dl.Layer(kind)(node, gain=Choice([1]), bias=Choice([0]))
                    self.shapes.append(shape)
                    if probed or index == len(layers) - 1:
                        nengo.Probe(node)
                    continue
                parts = steps if folded and layer == BatchNorm(over="batch") else 1
                self.layers[index] = keras_layer(layer, parts=parts, dtype=dtype)
                node = nengo_dl.Layer(self.layers[index])(
                    node,
                    shape_in=channels_last(shape),
                    shape_out=channels_last(output_shape(layer, shape)),
                )
            minibatch = samples * steps if folded else samples
            with nengo_dl.Simulator(
                network, minibatch_size=minibatch, progress_bar=False, seed=0
            ) as simulator:
                self.model = simulator.keras_model  # which outlives the simulator
        self.variables = {
            f"{index}.{name}": variable
            for index, layer in self.layers.items()
            for name, variable in variables(layer).items()
        }
        self.trainable = {name: variable for name, variable in self.variables.items() if variable.trainable}

    def __call__(self, inputs: tf.Tensor, *, training: bool) -> list[tf.Tensor]:
        """Inputs [T, N, ...], channels last, to the spikes [T, N, neurons] of the probed Spike layers."""
        steps = self.steps
        flat = tf.reshape(inputs, [steps, self.samples, -1])
        if self.folded:
            run = 1
            flat = tf.reshape(flat, [steps * self.samples, 1, -1])
        else:
            run = steps
            flat = tf.transpose(flat, [1, 0, 2])
        count = tf.fill([flat.shape[0], 1], run)
        *spikes, _ = self.model([flat, count], training=training)
        if self.folded:
            return [tf.reshape(x, [steps, self.samples, -1]) for x in spikes]
        return [tf.transpose(x, [1, 0, 2]) for x in spikes]

    def weights(self) -> dict[str, Array]:
        """Weights and running statistics in torch's layout."""
        return {name: to_torch(variable) for name, variable in self.variables.items()}

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Set what ``weights`` returns."""
        if self.variables.keys() != weights.keys():
            raise ValueError(f"weights {sorted(weights)} given for variables {sorted(self.variables)}")
        for name, variable in self.variables.items():
            variable.assign(from_torch(np.asarray(weights[name])).astype(variable.dtype.as_numpy_dtype))


def to_torch(tensor: tf.Tensor) -> Array:
    """Kernels [height, width, in, out] and [in, out] to [out, in, height, width] and [out, in]."""
    array = tensor.numpy()
    return np.ascontiguousarray({4: lambda: array.transpose(3, 2, 0, 1)}.get(array.ndim, lambda: array.T)())


def from_torch(array: Array) -> Array:
    """The inverse of ``to_torch``."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
