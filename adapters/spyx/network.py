"""The layers of a task as one function of its weights, around spyx's scan over time and its surrogates.

None of spyx's neurons is the tasks': they fire one step late and reset by subtraction.
"""

from __future__ import annotations

import math
from functools import cache, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from spyx import axn, nn

from tasks.classify.spec import BatchNorm, Classify, Conv, Flatten, Linear, MaxPool, Neuron, Spike

Weights = dict[str, Array]
EPS = 1e-5
MOMENTUM = 0.1


@cache
def _fire(alpha: float) -> Any:
    """spyx's spike function with the ATan surrogate, but firing on the threshold; of v - threshold."""
    return axn.custom(
        bwd=lambda distance: alpha / 2 / (1 + (math.pi / 2 * alpha * distance) ** 2),
        fwd=lambda distance: (distance >= 0).astype(distance.dtype),
    )


def _step(neuron: Neuron, x: Array, v: Array) -> tuple[Array, Array]:
    """Charge, fire, reset: spikes and the membrane after reset, in the input's shape [N, ...]."""
    v = v + (x if neuron.tau is None else (x - v) / neuron.tau)
    spikes = _fire(neuron.alpha)(v - neuron.threshold)
    return spikes, v * (1 - spikes)


def forward(task: Classify, weights: Weights, x: Array, *, training: bool) -> tuple[list[Array], Weights]:
    """Spikes [T, N, ...] of every Spike layer, and the running statistics after a training batch.

    ``x`` [T, N, *input_shape], or [1, N, *input_shape] where every step is the same: then the layers before
    the first neurons see each image once.
    """
    fired: list[Array] = []
    statistics: Weights = {}
    for index, layer in enumerate(task.layers):
        match layer:
            case Spike():
                x = jnp.broadcast_to(x, (task.steps, *x.shape[1:]))
                x, _ = nn.run(partial(_step, layer.neuron), x, jnp.zeros_like(x[0]))
                fired.append(x)
            case BatchNorm():
                names = ("weight", "bias", "running_mean", "running_var")
                own = {name: weights[f"{index}.{name}"] for name in names}
                x, running = _batch_norm(layer, own, x, task.steps, training=training)
                statistics |= {f"{index}.{name}": value for name, value in running.items()}
            case Conv():
                x = _conv(layer, x, weights[f"{index}.weight"])
            case Linear():
                x = x @ weights[f"{index}.weight"].T
            case MaxPool():
                x = _max_pool(x)
            case Flatten():
                x = x.reshape(*x.shape[:2], -1)
    return fired, statistics


def _conv(layer: Conv, x: Array, weight: Array) -> Array:
    """x [T, N, C, H, W], weight [out, C, kernel, kernel]."""
    padding = [(layer.padding, layer.padding)] * 2
    y = jax.lax.conv_general_dilated(x.reshape(-1, *x.shape[2:]), weight, (1, 1), padding)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _max_pool(x: Array) -> Array:
    """2 x 2, an odd last row or column dropped; the first maximum takes the gradient."""
    height, width = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
    corners = [x[..., row:height:2, column:width:2] for row in (0, 1) for column in (0, 1)]
    # of two that are equal jnp.maximum would give the gradient to both
    return reduce(lambda one, other: jnp.where(one >= other, one, other), corners)


def _batch_norm(
    layer: BatchNorm, own: Weights, x: Array, steps: int, *, training: bool
) -> tuple[Array, Weights]:
    """x [T or 1, N, C, H, W]; output, and the running statistics after a training batch.

    Ioffe and Szegedy 2015; the running variance is the unbiased one, as torch keeps it.
    """
    mean, var = (own[name][:, None, None] for name in ("running_mean", "running_var"))
    running: Weights = {}
    if training:
        over_time = layer.over == "time_batch"
        axes = (0, 1, 3, 4) if over_time else (1, 3, 4)
        mean = x.mean(axes, keepdims=True)
        var = jnp.square(x - mean).mean(axes, keepdims=True)
        count = x[0, :, 0].size * (steps if over_time else 1)
        updates = 1 if over_time else steps
        seen = {"running_mean": mean, "running_var": var * (count / (count - 1))}
        for name, value in seen.items():
            running[name] = own[name]
            for each in jnp.broadcast_to(value, (updates, *value.shape[1:])).reshape(updates, -1):
                running[name] += MOMENTUM * (each - running[name])
    scale = own["weight"][:, None, None] * jax.lax.rsqrt(var + EPS)
    return (x - mean) * scale + own["bias"][:, None, None], running
