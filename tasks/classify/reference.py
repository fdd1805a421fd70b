"""The truth that every adapter is compared with: float64 NumPy, forward and back-propagation through time.

No automatic differentiation: each layer word has its forward and its backward pass written out.  Sequences
are [T, N, ...]; stateless layers see T x N images at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tasks.classify.losses import loss_of
from tasks.classify.spec import (
    BatchNorm,
    Classify,
    Conv,
    Flatten,
    Layer,
    Linear,
    Loss,
    MaxPool,
    Neuron,
    Spike,
)

Float = NDArray[np.float64]
Weights = dict[str, Float]
# A layer's backward pass: gradient of its output -> gradient of its input, its weights' gradients by name.
Backward = Callable[[Float], tuple[Float, Weights]]

BATCHNORM_EPS = 1e-5
BATCHNORM_MOMENTUM = 0.1
CHUNK = 8  # samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One batch through the reference.

    ``spikes`` and ``membranes`` (after charge, before reset) per Spike layer [T, N, ...]; ``rates``
    [N, outputs]; ``gradients`` by weight name; ``statistics``: running statistics after a training batch.
    """

    spikes: tuple[Float, ...]
    membranes: tuple[Float, ...]
    rates: Float
    loss: float
    gradients: Weights
    statistics: Weights


def run(
    layers: Sequence[Layer],
    weights: Mapping[str, Float],
    inputs: Float,
    codes: Float,
    *,
    training: bool,
    loss: Loss = "mse",
) -> Truth:
    """Forward and, in training, backward pass of one batch.

    Args:
        layers: the network.
        weights: by ``"<layer index>.<name>"``.
        inputs: [T, N, *input_shape].
        codes: target rates [N, outputs].
        training: BatchNorm by batch statistics, and gradients.
        loss: what the gradients are of.
    """
    sequence = np.asarray(inputs, np.float64)
    spikes, membranes = [], []
    statistics: Weights = {}
    backwards: list[tuple[int, Backward]] = []
    for index, layer in enumerate(layers):
        own = _own(weights, index)
        if isinstance(layer, BatchNorm):
            sequence, backward, running = batch_norm(sequence, own, over=layer.over, training=training)
            statistics |= {f"{index}.{name}": value for name, value in running.items()}
        elif isinstance(layer, Spike):
            sequence, membrane, backward = spike(sequence, layer.neuron)
            spikes.append(sequence)
            membranes.append(membrane)
        else:
            sequence, backward = stateless(layer, sequence, own)
        backwards.append((index, backward))

    steps = len(sequence)
    rates = sequence.mean(0)
    value, to_rates = loss_of(rates, codes, loss)
    gradients: Weights = {}
    if training:
        gradient = np.broadcast_to(to_rates / steps, sequence.shape)
        for index, backward in reversed(backwards):
            gradient, found = backward(gradient)
            gradients |= {f"{index}.{name}": value for name, value in found.items()}
    return Truth(
        spikes=tuple(spikes),
        membranes=tuple(membranes),
        rates=rates,
        loss=value,
        gradients=gradients,
        statistics=statistics,
    )


def training_rates(layers: Sequence[Layer], weights: Mapping[str, Float], inputs: Float) -> Float:
    """Output rates [N, outputs] of one training batch [T, N, *input_shape]: ``run``, but forward alone.

    All but BatchNorm sees ``CHUNK`` samples at a time, so that the largest task (64 channels, batch 128)
    takes about 1 GB.
    """
    sequence = np.asarray(inputs, np.float64)
    for index, layer in enumerate(layers):
        own = _own(weights, index)
        if isinstance(layer, BatchNorm):
            sequence, _, _ = batch_norm(sequence, own, over=layer.over, training=True)
            continue
        after = []
        for start in range(0, sequence.shape[1], CHUNK):
            part = sequence[:, start : start + CHUNK]
            if isinstance(layer, Spike):
                after.append(spike(part, layer.neuron)[0])
            else:
                after.append(stateless(layer, part, own)[0])
        sequence = np.concatenate(after, axis=1)
    rates: Float = sequence.mean(0)
    return rates


def _own(weights: Mapping[str, Float], index: int) -> Weights:
    """The weights of one layer, by their own names."""
    start = f"{index}."
    return {
        name.removeprefix(start): np.asarray(value, np.float64)
        for name, value in weights.items()
        if name.startswith(start)
    }


def stateless(layer: Conv | MaxPool | Flatten | Linear, x: Float, own: Weights) -> tuple[Float, Backward]:
    """A layer that sees every step and sample for itself."""
    match layer:
        case Conv():
            return conv(x, own["weight"], layer.padding)
        case MaxPool():
            return max_pool(x)
        case Flatten():
            return flatten(x)
        case Linear():
            return linear(x, own["weight"])


def linear(x: Float, weight: Float) -> tuple[Float, Backward]:
    """x [T, N, inputs], weight [features, inputs]."""

    def backward(grad: Float) -> tuple[Float, Weights]:
        return grad @ weight, {"weight": np.tensordot(grad, x, ([0, 1], [0, 1]))}

    return x @ weight.T, backward


def flatten(x: Float) -> tuple[Float, Backward]:
    """[T, N, ...] to [T, N, features]."""
    return x.reshape(*x.shape[:2], -1), lambda grad: (grad.reshape(x.shape), {})


def _windows(x: Float, kernel: int, padding: int) -> Float:
    """Neighbourhoods in zero-padded maps: [..., C, H, W] to [..., C, H', W', kernel, kernel]."""
    sides = [(0, 0)] * (x.ndim - 2) + [(padding, padding)] * 2
    return sliding_window_view(np.pad(x, sides), (kernel, kernel), axis=(-2, -1))


def conv(x: Float, weight: Float, padding: int) -> tuple[Float, Backward]:
    """x [T, N, C, H, W], weight [out, C, kernel, kernel]."""
    kernel = weight.shape[-1]
    windows = _windows(x, kernel, padding)
    y = np.moveaxis(np.tensordot(windows, weight, ([2, 5, 6], [1, 2, 3])), -1, 2)

    def backward(grad: Float) -> tuple[Float, Weights]:
        to_weight = np.tensordot(grad, windows, ([0, 1, 3, 4], [0, 1, 3, 4]))
        turned = weight[:, :, ::-1, ::-1]
        to_input = np.tensordot(_windows(grad, kernel, kernel - 1 - padding), turned, ([2, 5, 6], [0, 2, 3]))
        return np.moveaxis(to_input, -1, 2), {"weight": to_weight}

    return y, backward


def batch_norm(x: Float, own: Weights, *, over: str, training: bool) -> tuple[Float, Backward, Weights]:
    """x [T, N, C, ...]; returns output, backward pass and running statistics after the batch.

    Ioffe and Szegedy 2015; the running variance is the unbiased one, as torch keeps it.
    """
    spatial = tuple(range(3, x.ndim))
    axes = (0, 1, *spatial) if over == "time_batch" else (1, *spatial)
    per_channel = (1, 1, -1) + (1,) * len(spatial)
    scale = own["weight"].reshape(per_channel)
    if training:
        mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    else:
        mean, var = own["running_mean"].reshape(per_channel), own["running_var"].reshape(per_channel)
    inverse = 1 / np.sqrt(var + BATCHNORM_EPS)
    normal = (x - mean) * inverse

    def backward(grad: Float) -> tuple[Float, Weights]:
        everything = (0, 1, *spatial)
        to_own = {"weight": (grad * normal).sum(everything), "bias": grad.sum(everything)}
        centred = grad - grad.mean(axes, keepdims=True) - normal * (grad * normal).mean(axes, keepdims=True)
        return scale * inverse * centred, to_own

    running = {}
    if training:
        count = x.size // mean.size
        running_mean, running_var = own["running_mean"], own["running_var"]
        for step_mean, step_var in zip(
            mean.reshape(-1, x.shape[2]), var.reshape(-1, x.shape[2]) * count / (count - 1), strict=True
        ):
            running_mean = running_mean + BATCHNORM_MOMENTUM * (step_mean - running_mean)
            running_var = running_var + BATCHNORM_MOMENTUM * (step_var - running_var)
        running = {"running_mean": running_mean, "running_var": running_var}
    return normal * scale + own["bias"].reshape(per_channel), backward, running


def max_pool(x: Float) -> tuple[Float, Backward]:
    """2 x 2, stride 2, an odd last row or column dropped; the first maximum takes the gradient."""
    *lead, height, width = x.shape
    rows, columns = height // 2, width // 2
    blocks = x[..., : 2 * rows, : 2 * columns].reshape(*lead, rows, 2, columns, 2)
    flat = np.moveaxis(blocks, -3, -2).reshape(*lead, rows, columns, 4)
    first = flat.argmax(-1)[..., None]

    def backward(grad: Float) -> tuple[Float, Weights]:
        to_flat = np.zeros_like(flat)
        np.put_along_axis(to_flat, first, grad[..., None], -1)
        to_blocks = np.moveaxis(to_flat.reshape(*lead, rows, columns, 2, 2), -2, -3)
        to_input = np.zeros_like(x)
        to_input[..., : 2 * rows, : 2 * columns] = to_blocks.reshape(*lead, 2 * rows, 2 * columns)
        return to_input, {}

    return np.take_along_axis(flat, first, -1)[..., 0], backward


def spike(x: Float, neuron: Neuron) -> tuple[Float, Float, Backward]:
    """x [T, N, ...]; returns spikes, membranes before reset and the backward pass through time.

    Equations: ``Neuron`` in spec.py.
    """
    membranes = np.empty_like(x)
    spikes = np.empty_like(x)
    v = np.zeros_like(x[0])
    for t in range(len(x)):
        v = v + (x[t] if neuron.tau is None else (x[t] - v) / neuron.tau)
        membranes[t] = v
        spikes[t] = v >= neuron.threshold
        v = v * (1 - spikes[t])

    def backward(grad: Float) -> tuple[Float, Weights]:
        to_input = np.empty_like(x)
        to_rest = np.zeros_like(x[0])  # gradient of the membrane after the reset of step t
        for t in reversed(range(len(x))):
            to_spike = grad[t] - to_rest * membranes[t]
            scaled = np.pi / 2 * neuron.alpha * (membranes[t] - neuron.threshold)
            surrogate = neuron.alpha / 2 / (1 + scaled**2)
            to_charged = to_spike * surrogate + to_rest * (1 - spikes[t])
            to_input[t] = to_charged if neuron.tau is None else to_charged / neuron.tau
            to_rest = to_charged if neuron.tau is None else to_charged * (1 - 1 / neuron.tau)
        return to_input, {}

    return spikes, membranes, backward


class Optimizer:
    """torch's Adam (Kingma and Ba 2015; eps 1e-8 after bias correction) or SGD with momentum."""

    def __init__(self, task: Classify) -> None:
        self.task = task
        self.count = 0
        self.first: Weights = {}
        self.second: Weights = {}

    def step(self, weights: Weights, gradients: Weights) -> None:
        """Update ``weights`` in place by ``gradients`` of the same names."""
        self.count += 1
        for name, gradient in gradients.items():
            zero = np.zeros_like(gradient)
            if self.task.optimizer == "sgd":
                self.first[name] = self.task.momentum * self.first.get(name, zero) + gradient
                change = self.first[name]
            else:
                self.first[name] = 0.9 * self.first.get(name, zero) + 0.1 * gradient
                self.second[name] = 0.999 * self.second.get(name, zero) + 0.001 * gradient**2
                mean = self.first[name] / (1 - 0.9**self.count)
                square = self.second[name] / (1 - 0.999**self.count)
                change = mean / (np.sqrt(square) + 1e-8)
            weights[name] = weights[name] - self.task.lr * change


def train_batch(task: Classify, weights: Weights, optimizer: Optimizer, inputs: Float, codes: Float) -> Float:
    """One training step in place, running statistics included; rates [N, outputs] before the update."""
    truth = run(task.layers, weights, inputs, codes, training=True, loss=task.loss)
    optimizer.step(weights, truth.gradients)
    weights.update(truth.statistics)
    return truth.rates
