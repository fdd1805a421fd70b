"""An honest ``Plastic`` in plain NumPy; whoever spoils it overrides the one method that it gets wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.plasticity.protocol import Array, Pictures
from tasks.plasticity.spec import Naive, Stdp, Task, encode, normalised
from tasks.protocol import Settings

Float = NDArray[np.float64]


class NumpyPlastic:
    """``Plastic`` of tasks/plasticity; the methods before ``load_weights`` are there to be overridden."""

    def __init__(self, task: Task, settings: Settings) -> None:
        self.task, self.settings = task, settings
        self.rng = np.random.default_rng(settings.seed)
        self.weight = np.zeros((task.neurons, task.pixels))
        self.theta = np.zeros(task.neurons)

    def encode(self, images: Pictures) -> Float:
        """Inputs [steps, n, pixels]."""
        return encode(self.task, images, self.rng)

    def state(self, name: str, shape: tuple[int, ...]) -> Float:
        """Membranes, or the traces ``pre`` and ``post``, before the first step of a batch."""
        return np.zeros(shape)

    def keep(self, name: str, value: Float) -> None:
        """What such a state is after the last step."""

    def fire(self, task: Stdp, membrane: Float) -> Float:
        """Spikes 0/1 [n, neurons] of neurons that compete."""
        height = membrane - task.threshold - self.theta
        one = np.eye(task.neurons)[height.argmax(1)]
        return one * (height.max(1, keepdims=True) >= 0)

    def adapt(self, task: Stdp, spikes: Float, scale: float) -> None:
        """Homeostasis, after every step."""
        count = spikes.sum(0)
        self.theta = self.theta + scale * task.tplus * (count - count.mean())

    def potentiate(self, task: Stdp, change: Float, scale: float) -> None:
        """What a batch of competing neurons has taught."""
        self.weight = normalised(self.weight + scale * task.eta * change, task.norm)

    def change(self, spikes: Float, x: Float, pre: Float, post: Float) -> Float:
        """What a step of independent neurons teaches, before it is weighted."""
        return spikes.T @ pre - post.T @ x

    def compete(self, task: Stdp, inputs: Float, scale: float | None) -> Float:
        """A batch of ``Stdp``."""
        membrane = self.state("membrane", (inputs.shape[1], task.neurons))
        pre = self.state("pre", inputs.shape[1:])
        change, fired = np.zeros_like(self.weight), []
        for x in inputs:
            membrane = membrane * (1 - 1 / task.tau_membrane) + task.gain * (x @ self.weight.T)
            pre = pre * (1 - 1 / task.tau_trace) + x / (task.rate * task.tau_trace)
            spikes = self.fire(task, membrane)
            membrane = membrane * (1 - spikes.max(1, keepdims=True))
            change += spikes.T @ pre
            fired.append(spikes)
            if scale is not None:
                self.adapt(task, spikes, scale)
        self.keep("membrane", membrane)
        self.keep("pre", pre)
        if scale is not None:
            self.potentiate(task, change, scale)
        return np.stack(fired)

    def independent(self, task: Naive, inputs: Float, scale: float | None) -> Float:
        """A batch of ``Naive``."""
        membrane = self.state("membrane", (inputs.shape[1], task.neurons))
        pre, post = self.state("pre", inputs.shape[1:]), self.state("post", membrane.shape)
        change, fired = np.zeros_like(self.weight), []
        for x in inputs:
            membrane = membrane + (x @ self.weight.T - membrane) / task.tau
            spikes = (membrane >= task.threshold).astype(np.float64)
            membrane = membrane * (1 - spikes)
            pre, post = pre - pre / task.tau + x, post - post / task.tau + spikes
            change += self.change(spikes, x, pre, post)
            fired.append(spikes)
        for name, value in (("membrane", membrane), ("pre", pre), ("post", post)):
            self.keep(name, value)
        if scale is not None:
            force = self.weight.clip(-task.limit, task.limit)
            moved = self.weight + scale * task.lr * force * change
            self.weight = moved.clip(-task.limit, task.limit)
        return np.stack(fired)

    def load_weights(self, weights: Array) -> None:
        self.weight = np.array(weights, np.float64)
        self.theta = np.zeros(len(weights))

    def weights(self) -> Array:
        return self.weight.copy()

    def train(self, images: Pictures, scales: Array) -> Array:
        batches = zip(images, scales, strict=True)
        return np.concatenate([self.trace(self.encode(batch), scale).sum(0) for batch, scale in batches])

    def respond(self, images: Pictures) -> Array:
        starts = range(0, len(images), self.task.batch)
        parts = [images[start : start + self.task.batch] for start in starts]
        return np.concatenate([self.trace(self.encode(part), None).sum(0) for part in parts])

    def trace(self, inputs: Array, scale: float | None) -> Array:
        given = np.asarray(inputs, np.float64)
        if isinstance(self.task, Stdp):
            return self.compete(self.task, given, scale)
        return self.independent(self.task, given, scale)
