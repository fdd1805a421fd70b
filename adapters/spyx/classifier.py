"""The classifier: images on the device, and a whole training step as one compiled program."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from adapters.spyx.network import Weights, forward
from tasks.classify.codes import code_table
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import Classify, Loss
from tasks.protocol import Settings

LOSSES: dict[Loss, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "mse": lambda rates, codes: jnp.square(rates - codes).mean(),
    "cross_entropy": lambda rates, codes: optax.softmax_cross_entropy(rates, codes).mean(),
}


def _optimizer(task: Classify) -> optax.GradientTransformation:
    """torch's Adam or SGD; the last part of its state counts the steps."""
    first = optax.scale_by_adam() if task.optimizer == "adam" else optax.trace(task.momentum)
    return optax.chain(first, optax.scale_by_schedule(lambda _: -task.lr))


def _learned(weights: Mapping[str, Any]) -> Weights:
    return {name: value for name, value in weights.items() if "running" not in name}


def _encode(task: Classify, images: jax.Array, key: jax.Array, dtype: Any) -> jax.Array:
    """uint8 [N, ...] to [T, N, ...], or [1, N, ...] where all steps are alike.

    65535 is 257 * 255, so that one draw of 65536 alone keeps a spike's probability from being pixel / 255.
    """
    if task.encoder == "direct":
        return images[None].astype(dtype) / 255
    draws = jax.random.bits(key, (task.steps, *images.shape), jnp.uint16)
    return ((draws < 257 * images.astype(jnp.uint16)) | (images == 255)).astype(dtype)


def _loss(task: Classify, learned: Weights, kept: Weights, x: jax.Array, codes: jax.Array) -> Any:
    fired, statistics = forward(task, kept | learned, x, training=True)
    return LOSSES[task.loss](fired[-1].mean(0), codes), (fired, statistics)


# Compiled once for all classifiers of a task: two that are built alike share their programs.
@partial(jax.jit, static_argnames="task")
def _train(task: Classify, weights: Weights, state: Any, key: jax.Array, data: Any, batch: jax.Array) -> Any:
    images, labels, codes = data
    key, drawn = jax.random.split(key)
    x = _encode(task, images[batch], drawn, codes.dtype)
    learned = _learned(weights)
    gradients, (fired, statistics) = jax.grad(partial(_loss, task), has_aux=True)(
        learned, weights, x, codes[labels[batch]]
    )
    updates, state = _optimizer(task).update(gradients, state)
    return weights | optax.apply_updates(learned, updates) | statistics, state, key, fired[-1].mean(0)


@partial(jax.jit, static_argnames="task")
def _predict(task: Classify, weights: Weights, key: jax.Array, images: jax.Array) -> Any:
    key, drawn = jax.random.split(key)
    x = _encode(task, images, drawn, next(iter(weights.values())).dtype)
    return key, forward(task, weights, x, training=False)[0][-1].mean(0)


@partial(jax.jit, static_argnames=("task", "training"))
def _trace(task: Classify, weights: Weights, x: jax.Array, codes: jax.Array, *, training: bool) -> Any:
    if not training:
        return {}, forward(task, weights, x, training=False)[0]
    look = jax.grad(partial(_loss, task), has_aux=True)
    gradients, (fired, _) = look(_learned(weights), weights, x, codes)
    return gradients, fired


class SpyxClassifier:
    """``Classifier`` of tasks/classify/protocol.py."""

    def __init__(self, task: Classify, settings: Settings) -> None:
        self.task = task
        self.dtype = jnp.dtype(settings.precision)
        self.codes = jnp.asarray(code_table(task), self.dtype)
        self.key = jax.random.PRNGKey(settings.seed)

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        """See the protocol."""
        self.images, self.labels = jnp.asarray(images), jnp.asarray(labels, jnp.int32)

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """See the protocol."""
        self.parameters = {name: jnp.asarray(value, self.dtype) for name, value in weights.items()}
        self.optimizer = _optimizer(self.task).init(_learned(self.parameters))

    def weights(self) -> dict[str, Array]:
        """See the protocol."""
        return {name: np.array(value) for name, value in self.parameters.items()}

    def steps(self) -> int:
        """See the protocol; as optax counts them."""
        return int(self.optimizer[-1].count)

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        """See the protocol."""
        data, rates = (self.images, self.labels, self.codes), []
        for batch in order.astype(np.int32):
            self.parameters, self.optimizer, self.key, seen = _train(
                self.task, self.parameters, self.optimizer, self.key, data, batch
            )
            rates.append(seen)
        return np.concatenate(rates)

    def predict(self, images: NDArray[np.uint8]) -> Array:
        """See the protocol; the last batch is filled up, so that one program serves all."""
        size, rates = self.task.batch, []
        padded = np.zeros((-(-len(images) // size) * size, *images.shape[1:]), np.uint8)
        padded[: len(images)] = images
        for batch in padded.reshape(-1, size, *images.shape[1:]):
            self.key, seen = _predict(self.task, self.parameters, self.key, batch)
            rates.append(seen)
        return np.concatenate(rates)[: len(images)]

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        """See the protocol; a constant sequence, known by its stride, takes the path of ``direct``."""
        x = jnp.asarray(inputs[:1] if inputs.strides[0] == 0 else inputs, self.dtype)
        seen = _trace(self.task, self.parameters, x, codes.astype(self.dtype), training=training)
        gradients, fired = jax.device_get(seen)
        return Trace(spikes=tuple(fired), gradients=gradients)

    def _state(self) -> Any:
        return self.parameters, self.optimizer, self.key

    def state(self) -> bytes:
        """See the protocol."""
        return pickle.dumps(jax.device_get(jax.tree.leaves(self._state())))

    def restore(self, state: bytes) -> None:
        """See the protocol."""
        kept = jax.tree.unflatten(jax.tree.structure(self._state()), map(jnp.asarray, pickle.loads(state)))
        self.parameters, self.optimizer, self.key = kept
