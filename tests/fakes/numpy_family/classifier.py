"""An honest ``Classifier`` in plain NumPy; a fake adapter overrides the one method that it gets wrong.

The stateless layers, the losses and the optimiser are those of the reference.  A neuron's step is said
anew, with its three slopes, so that whoever changes the step gets the matching back-propagation through time.
"""

from __future__ import annotations

import pickle
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.classify import reference
from tasks.classify.codes import code_table
from tasks.classify.images import encode
from tasks.classify.losses import loss_of
from tasks.classify.protocol import Array, Trace
from tasks.classify.spec import BatchNorm, Classify, Neuron, Spike
from tasks.classify.split import PARTS
from tasks.protocol import Settings, Unsupported

Float = NDArray[np.float64]
Weights = dict[str, Float]
Backward = Callable[[Float], tuple[Float, Weights]]


class Step(NamedTuple):
    """The charged membrane of a step and its derivatives.

    By the step's input, by the membrane and by the spikes of the step before.
    """

    membrane: Float
    by_input: Float | float
    by_membrane: Float | float
    by_spikes: Float | float


class Pass(NamedTuple):
    """One batch: spikes per Spike layer [T, N, ...], rates [N, outputs]; the rest is empty in evaluation."""

    spikes: tuple[Float, ...]
    rates: Float
    gradients: Weights
    statistics: Weights


class NumpyClassifier:
    """``Classifier`` of tasks/classify; the methods before ``load`` are there to be overridden."""

    def __init__(self, task: Classify, settings: Settings) -> None:
        self.task = task
        self.settings = settings
        self.rng = np.random.default_rng(settings.seed)
        self.codes = code_table(task)
        self.parameters: Weights = {}
        self.last: dict[int, tuple[Float, Float]] = {}

    def start(self, index: int, shape: tuple[int, ...]) -> tuple[Float, Float]:
        """Membrane and spikes of layer ``index`` before the first step; ``last`` has those after a batch."""
        return np.zeros(shape), np.zeros(shape)

    def step(self, x: Float, membrane: Float, spikes: Float, neuron: Neuron) -> Step:
        """Reset what has fired, then charge; ``membrane`` is the one before the reset."""
        rest = membrane * (1 - spikes)
        if neuron.tau is None:
            return Step(rest + x, 1, 1 - spikes, -membrane)
        keep = 1 - 1 / neuron.tau
        return Step(rest + (x - rest) / neuron.tau, 1 / neuron.tau, keep * (1 - spikes), -keep * membrane)

    def fire(self, membrane: Float, neuron: Neuron) -> Float:
        """0/1."""
        return (membrane >= neuron.threshold).astype(np.float64)

    def surrogate(self, membrane: Float, neuron: Neuron) -> Float:
        """What stands for the derivative of ``fire``."""
        scaled = np.pi / 2 * neuron.alpha * (membrane - neuron.threshold)
        return neuron.alpha / 2 / (1 + scaled**2)

    def spike(self, index: int, x: Float, neuron: Neuron) -> tuple[Float, Backward]:
        """A layer of neurons over x [T, N, ...]."""
        membrane, spikes = self.start(index, x.shape[1:])
        steps, fired = [], []
        for current in x:
            steps.append(self.step(current, membrane, spikes, neuron))
            membrane = steps[-1].membrane
            spikes = self.fire(membrane, neuron)
            fired.append(spikes)
        self.last[index] = membrane, spikes

        def backward(grad: Float) -> tuple[Float, Weights]:
            to_input = np.empty_like(x)
            to_membrane = to_spikes = np.zeros(x.shape[1:])
            for t in reversed(range(len(x))):
                slope = self.surrogate(steps[t].membrane, neuron)
                charged = to_membrane + (grad[t] + to_spikes) * slope
                to_input[t] = charged * steps[t].by_input
                to_membrane, to_spikes = charged * steps[t].by_membrane, charged * steps[t].by_spikes
            return to_input, {}

        return np.stack(fired), backward

    def batch_norm(
        self, x: Float, own: Weights, over: str, training: bool
    ) -> tuple[Float, Backward, Weights]:
        """Over x [T, N, C, ...]; the last of the three are the running statistics after the batch."""
        return reference.batch_norm(x, own, over=over, training=training)

    def run(self, inputs: Float, codes: Float, training: bool) -> Pass:
        """One batch from inputs [T, N, ...], forward and in training backward; changes no parameter."""
        sequence = np.asarray(inputs, np.float64)
        fired: list[Float] = []
        statistics: Weights = {}
        backwards: list[tuple[int, Backward]] = []
        for index, layer in enumerate(self.task.layers):
            start = f"{index}."
            own = {n.removeprefix(start): v for n, v in self.parameters.items() if n.startswith(start)}
            if isinstance(layer, BatchNorm):
                sequence, backward, found = self.batch_norm(sequence, own, layer.over, training)
                statistics |= {f"{index}.{name}": value for name, value in found.items()}
            elif isinstance(layer, Spike):
                sequence, backward = self.spike(index, sequence, layer.neuron)
                fired.append(sequence)
            else:
                sequence, backward = reference.stateless(layer, sequence, own)
            backwards.append((index, backward))
        rates = sequence.mean(0)
        gradients: Weights = {}
        if training:
            _, to_rates = loss_of(rates, codes, self.task.loss)
            grad = np.broadcast_to(to_rates / len(sequence), sequence.shape)
            for index, backward in reversed(backwards):
                grad, found = backward(grad)
                gradients |= {f"{index}.{name}": value for name, value in found.items()}
        return Pass(tuple(fired), rates, gradients, statistics)

    def update(self, gradients: Weights) -> None:
        """One step of the optimiser."""
        self.optimizer.step(self.parameters, gradients)

    def train_batch(self, inputs: Float, codes: Float) -> Float:
        """One step of training; rates [N, outputs] from before it."""
        done = self.run(inputs, codes, True)
        self.update(done.gradients)
        self.parameters |= done.statistics
        return done.rates

    def load(self, images: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
        self.images, self.labels = images, labels

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        self.parameters = {name: np.array(value, np.float64) for name, value in weights.items()}
        self.optimizer = reference.Optimizer(self.task)

    def weights(self) -> dict[str, Array]:
        return dict(self.parameters)

    def state(self) -> bytes:
        return pickle.dumps((self.parameters, self.optimizer, self.rng))

    def restore(self, state: bytes) -> None:
        self.parameters, self.optimizer, self.rng = pickle.loads(state)

    def encode(self, images: NDArray[np.uint8]) -> Float:
        return encode(images, encoder=self.task.encoder, steps=self.task.steps, rng=self.rng)

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        return np.concatenate(
            [self.train_batch(self.encode(self.images[b]), self.codes[self.labels[b]]) for b in order]
        )

    def split(self, order: NDArray[np.integer]) -> dict[str, float]:
        self.train_epoch(order)
        return dict.fromkeys(PARTS, 0.001)

    def predict(self, images: NDArray[np.uint8]) -> Array:
        starts = range(0, len(images), self.task.batch)
        parts = [self.encode(images[start : start + self.task.batch]) for start in starts]
        return np.concatenate([self.run(part, np.zeros(0), False).rates for part in parts])

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        done = self.run(np.asarray(inputs, np.float64), np.asarray(codes, np.float64), training)
        return Trace(spikes=done.spikes, gradients=done.gradients)

    def steps(self) -> int:
        return self.optimizer.count


def sync() -> None:
    pass


def device_memory() -> int | None:
    return None


def configure(settings: Settings) -> dict[str, object]:
    """NumPy has nothing to set, so all that was asked for holds; numbers come back as a framework's own."""
    if settings.device == "cuda":
        raise Unsupported("NumPy has no GPU")
    return asdict(settings) | {"threads": np.int64(settings.threads)}


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "numpy": np.__version__}
