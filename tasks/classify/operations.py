"""Synaptic operations of a network as NeuroBench defines them, from what a batch looked like inside.

Yik et al. 2025, "The NeuroBench framework for benchmarking neuromorphic computing algorithms and systems": an
operation is a weight that an input passes, biases and padding not counted.  Dense operations are those of all
inputs and weights; effective ones those of inputs and weights that are not 0, accumulations (ACs) where the
inputs of a layer are spikes, else multiply-accumulations (MACs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.classify.protocol import Array
from tasks.classify.spec import Classify, Conv, Flatten, Linear, MaxPool, Spike, output_shape

Counts = NDArray[np.float64]


def synaptic_operations(
    task: Classify, weights: Mapping[str, Array], inputs: Array, spikes: Sequence[Array]
) -> dict[str, float]:
    """Operations per image over all its steps, by the names of their figures.

    ``training_operations``: the least that a training step does, in multiplications or additions of weights.
    Forward, and to the gradient of the weights, inputs of 0 add nothing; the gradient of the inputs takes all
    weights, but the first layer needs none.

    ``weights`` as ``Classifier.weights`` gives them; ``inputs`` [T, N, *input_shape] and the ``spikes`` of
    every Spike layer [T, N, ...] are of one batch.
    """
    found = {"dense_synops": 0.0, "effective_macs": 0.0, "effective_acs": 0.0, "training_operations": 0.0}
    fired = iter(spikes)
    x = np.asarray(inputs)
    steps, images = x.shape[:2]
    for index, layer in enumerate(task.layers):
        match layer:
            case Spike():
                x = np.asarray(next(fired))
            case MaxPool():
                x = _pooled(x)
            case Flatten():
                x = x.reshape(*x.shape[:2], -1)
            case Conv() | Linear():
                weight = np.asarray(weights[f"{index}.weight"]) != 0
                active = (x != 0).sum((0, 1), dtype=np.float64)
                kind = "effective_acs" if ((x == 0) | (x == 1)).all() else "effective_macs"
                effective = _passed(layer, active, weight)
                dense = _passed(layer, np.full_like(active, steps * images), np.ones_like(weight))
                found[kind] += effective
                if found["dense_synops"]:  # not the first: the gradient goes on, and is 0 nowhere
                    found["training_operations"] += 2 * effective + dense
                else:  # seen once where it is the same at every step
                    found["training_operations"] += 2 * effective / (steps if task.encoder == "direct" else 1)
                found["dense_synops"] += dense
            case _:
                pass
    return {name: count / images for name, count in found.items()}


def footprint_bytes(weights: Mapping[str, Array]) -> int:
    """Bytes of all parameters and running statistics in float32."""
    return 4 * sum(value.size for value in weights.values())


def _pooled(x: Array) -> Array:
    height, width = x.shape[-2] // 2, x.shape[-1] // 2
    windows = x[..., : 2 * height, : 2 * width].reshape(*x.shape[:-2], height, 2, width, 2)
    pooled: Array = windows.max((-3, -1))
    return pooled


def _passed(layer: Conv | Linear, active: Counts, weight: NDArray[np.bool_]) -> float:
    """Weights passed by inputs that were active so often, [*sample shape]."""
    if isinstance(layer, Linear):
        return float(active @ weight.sum(0))
    height, width = output_shape(layer, active.shape)[1:]
    total = 0.0
    for row, column in np.ndindex(weight.shape[2:]):
        seen = active[:, _under(row, height, layer, active.shape[1])]
        seen = seen[:, :, _under(column, width, layer, active.shape[2])]
        total += float(seen.sum((1, 2)) @ weight[:, :, row, column].sum(0))
    return total


def _under(offset: int, outputs: int, layer: Conv, inputs: int) -> slice:
    """The inputs along one side that this offset of the kernel meets, over all outputs."""
    first = offset - layer.padding
    return slice(max(0, first), min(inputs, first + outputs))
