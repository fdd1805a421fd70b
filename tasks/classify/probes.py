"""What a certificate looks at: networks small enough for the reference, weights and inputs that matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from tasks.classify.codes import code_table
from tasks.classify.spec import (
    BatchNorm,
    Classify,
    Conv,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Spike,
    input_shapes,
)

Float = NDArray[np.float64]

SAMPLES = 16
SMALL_SIZE = 8  # height and width, or more where pooling would leave nothing
SMALL_STEPS = 6
SMALL_CHANNELS = 4
SMALL_HIDDEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A network with weights, encoded inputs [T, N, *input_shape] and codes [N, outputs]."""

    name: str
    task: Classify
    weights: Mapping[str, Float]
    inputs: Float
    codes: Float


def probes(task: Classify) -> Iterator[Probe]:
    """The probes of a task, their names unique.

    ``network``: the task's layers, at full size without convolutions, else at 8 x 8, 4 channels, T = 6.
    Per kind of neuron: ``neuron``: Linear 784-10 and the neuron over T = 100; ``grid``: the same with
    weights on a grid of 2^-4, so that every membrane is an exact number and many land on the threshold;
    ``drive``: constant drives that land on it (Linear is the identity).
    """
    small = shrink(task)
    yield _probe("network", small, random_weights(small))
    for neuron in dict.fromkeys(layer.neuron for layer in task.layers if isinstance(layer, Spike)):
        single = replace(
            task,
            input_shape=(1, 28, 28),
            layers=(Flatten(), Linear(features=10), Spike(neuron=neuron)),
            encoder="poisson",
            label_code="onehot",
            steps=100,
        )
        weights = random_weights(single)
        if single.layers != small.layers:
            yield _probe(f"neuron {neuron}", single, weights)
        grid = {name: np.round(value * 16) / 16 for name, value in weights.items()}
        yield _probe(f"grid {neuron}", single, grid)
        yield _drive(neuron, single)


def shrink(task: Classify) -> Classify:
    """The task at a size that the reference runs in milliseconds: batch 16, one epoch."""
    if not any(isinstance(layer, Conv) for layer in task.layers):
        return replace(task, batch=SAMPLES, epochs=1)
    last = max(i for i, layer in enumerate(task.layers) if isinstance(layer, Linear))
    layers: list[Layer] = []
    for index, layer in enumerate(task.layers):
        if isinstance(layer, Conv):
            layers.append(replace(layer, channels=SMALL_CHANNELS))
        elif isinstance(layer, Linear) and index != last:
            layers.append(replace(layer, features=SMALL_HIDDEN))
        else:
            layers.append(layer)
    channels = task.input_shape[0]
    shape = next(
        (channels, size, size)
        for size in count(SMALL_SIZE)
        if all(min(after) > 0 for after in input_shapes(tuple(layers), (channels, size, size)))
    )
    return replace(task, layers=tuple(layers), input_shape=shape, steps=SMALL_STEPS, batch=SAMPLES, epochs=1)


def random_weights(task: Classify) -> dict[str, Float]:
    """Weights with which every layer fires, rounded to float32 so that both precisions share them.

    Those that feed neurons are in units of the drive that makes them fire at once.
    """
    rng = np.random.default_rng(20)
    weights: dict[str, Float] = {}
    shapes = input_shapes(task.layers, task.input_shape)
    for index, (layer, shape) in enumerate(zip(task.layers, shapes, strict=True)):
        match layer:
            case Conv():
                # BatchNorm centres what neurons are fed; without it a few filters may silence a layer
                size = (layer.channels, shape[0], layer.kernel, layer.kernel)
                inputs = np.prod(size[1:])
                centred = isinstance(task.layers[index + 1], BatchNorm)
                weights[f"{index}.weight"] = rng.normal(
                    0 if centred else 2 / inputs, 2 / np.sqrt(inputs), size
                )
            case Linear():
                features = (layer.features, shape[0])
                weights[f"{index}.weight"] = rng.normal(0.5 / shape[0], 2 / np.sqrt(shape[0]), features)
            case BatchNorm():
                weights[f"{index}.weight"] = rng.uniform(0.5, 1.5, shape[0])
                weights[f"{index}.bias"] = rng.uniform(-0.2, 0.5, shape[0])
                weights[f"{index}.running_mean"] = rng.normal(0, 0.1, shape[0])
                weights[f"{index}.running_var"] = rng.uniform(0.2, 1.0, shape[0])
            case Spike():
                before = index - 2 if isinstance(task.layers[index - 1], MaxPool) else index - 1
                if f"{before}.weight" in weights:
                    weights[f"{before}.weight"] *= _unit(layer.neuron)
            case _:
                pass
    return {name: _single(value) for name, value in weights.items()}


def _single(values: Float) -> Float:
    return values.astype(np.float32).astype(np.float64)


def _probe(name: str, task: Classify, weights: Mapping[str, Float]) -> Probe:
    rng = np.random.default_rng(21)
    images = _single(rng.uniform(0, 1, (SAMPLES, *task.input_shape)))
    inputs = np.broadcast_to(images, (task.steps, *images.shape))
    if task.encoder == "poisson":
        inputs = (rng.random(inputs.shape) < inputs).astype(np.float64)
    codes = code_table(task)[rng.integers(0, task.classes, SAMPLES)]
    return Probe(name=name, task=task, weights=weights, inputs=inputs, codes=codes)


def _drive(neuron: Neuron, task: Classify) -> Probe:
    """Sample n is driven by the n-th current; at tau = 2 a drive of 2 reaches 1, not more, at every step."""
    currents = _unit(neuron) * np.array([1, 0.5, 0.25, 2, 1.5, 0.75, -1, 0.0])
    steps, outputs = 12, 10
    inputs = np.broadcast_to(currents[:, None], (steps, len(currents), outputs))
    shape = (outputs, 1, 1)
    small = replace(task, input_shape=shape, steps=steps)
    return Probe(
        name=f"drive {neuron}",
        task=small,
        weights={"1.weight": np.eye(outputs)},
        inputs=inputs.reshape(steps, len(currents), *shape),
        codes=code_table(small)[: len(currents)],
    )


def _unit(neuron: Neuron) -> float:
    """The drive that reaches the threshold in one step, from rest."""
    return neuron.threshold * (neuron.tau or 1.0)


def known_images(task: Classify, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images whose encoding is no matter of chance, and labels: grey for direct input, else 0 and 255."""
    images, labels = extreme_images(task, count)
    if task.encoder == "direct":
        images = np.random.default_rng(25).integers(0, 256, images.shape, dtype=np.uint8)
    return images, labels


def extreme_images(task: Classify, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images of only 0 and 255, which any encoder turns into known inputs, and labels."""
    rng = np.random.default_rng(22)
    images = (rng.random((count, *task.input_shape)) < 0.5).astype(np.uint8) * np.uint8(255)
    return images, rng.integers(0, task.classes, count)
