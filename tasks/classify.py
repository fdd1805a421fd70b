"""The image-classification tasks, their label codes and their initial weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.spec import (
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

MNIST_SHAPE = (1, 28, 28)


def fc_lif(*, steps: int = 100, batch: int = 128, epochs: int = 100) -> Classify:
    """784-10, LIF tau 2, Poisson input: the network of SpikingJelly's ``lif_fc_mnist`` example."""
    return Classify(
        name="fc_lif",
        input_shape=MNIST_SHAPE,
        layers=(Flatten(), Linear(features=10), Spike(neuron=Neuron(tau=2.0))),
        steps=steps,
        encoder="poisson",
        optimizer="adam",
        lr=1e-3,
        batch=batch,
        epochs=epochs,
    )


def csnn(
    *, channels: int = 64, hidden: int = 1024, steps: int = 4, batch: int = 128, epochs: int = 64
) -> Classify:
    """Convolutional SNN, BatchNorm over T x N: the network of SpikingJelly's ``conv_fashion_mnist``."""
    return _csnn("csnn", "time_batch", channels, hidden, steps, batch, epochs)


def csnn_stepbn(
    *, channels: int = 64, hidden: int = 1024, steps: int = 4, batch: int = 128, epochs: int = 64
) -> Classify:
    """``csnn`` with BatchNorm step by step, which is what a loop over time does: a different task."""
    return _csnn("csnn_stepbn", "batch", channels, hidden, steps, batch, epochs)


def _csnn(
    name: str,
    over: Literal["time_batch", "batch"],
    channels: int,
    hidden: int,
    steps: int,
    batch: int,
    epochs: int,
) -> Classify:
    for field, value in (("channels", channels), ("hidden", hidden)):
        if value < 1:
            raise ValueError(f"{field} must be at least 1, got {value}")
    neuron = Spike(neuron=Neuron(tau=None))
    block: tuple[Layer, ...] = (Conv(channels=channels), BatchNorm(over=over), neuron, MaxPool())
    return Classify(
        name=name,
        input_shape=MNIST_SHAPE,
        layers=(
            *block,
            *block,
            Flatten(),
            Linear(features=hidden),
            neuron,
            Linear(features=10),
            neuron,
        ),
        steps=steps,
        encoder="direct",
        optimizer="sgd",
        lr=0.1,
        momentum=0.9,
        batch=batch,
        epochs=epochs,
    )


TASKS: dict[str, Callable[..., Classify]] = {
    "fc_lif": fc_lif,
    "csnn": csnn,
    "csnn_stepbn": csnn_stepbn,
}


def code_table(task: Classify) -> NDArray[np.float64]:
    """Codeword of each class, [classes, outputs]."""
    return np.eye(task.classes)


def decode(task: Classify, rates: NDArray[np.floating]) -> NDArray[np.intp]:
    """Class [n] whose codeword lies nearest to the rates [n, outputs]; the lowest class wins a tie."""
    # |r - c|^2 without the |r|^2 that all classes share
    codes = code_table(task)
    distance = (codes**2).sum(1) - 2 * np.asarray(rates, np.float64) @ codes.T
    nearest: NDArray[np.intp] = distance.argmin(1)
    return nearest


def initial_weights(task: Classify, seed: int) -> dict[str, NDArray[np.float64]]:
    """Weights that every adapter starts from, by the names of ``Classifier.load_weights``.

    Conv and Linear are uniform within 1 / sqrt(fan_in) and rounded to float32, so that every precision
    starts from the same numbers; BatchNorm starts as the identity.
    """
    rng = np.random.default_rng([seed, 0])
    weights: dict[str, NDArray[np.float64]] = {}
    size: tuple[int, ...]
    shapes = input_shapes(task.layers, task.input_shape)
    for index, (layer, shape) in enumerate(zip(task.layers, shapes, strict=True)):
        match layer:
            case Conv():
                size = (layer.channels, shape[0], 3, 3)
            case Linear():
                size = (layer.features, shape[0])
            case BatchNorm():
                for name, value in (("weight", 1.0), ("bias", 0.0)):
                    weights[f"{index}.{name}"] = np.full(shape[0], value)
                for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
                    weights[f"{index}.{name}"] = np.full(shape[0], value)
                continue
            case _:
                continue
        bound = 1 / np.sqrt(np.prod(size[1:]))
        drawn = rng.uniform(-bound, bound, size)
        weights[f"{index}.weight"] = drawn.astype(np.float32).astype(np.float64)
    return weights


def epoch_order(*, images: int, batch: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Image indices of one training epoch, [batches, batch]; the last partial batch is dropped.

    Raises:
        ValueError: there are fewer images than one batch.
    """
    if images < batch:
        raise ValueError(f"{images} training images make no batch of {batch}")
    order = np.random.default_rng([seed, 1, epoch]).permutation(images)
    return order[: images // batch * batch].reshape(-1, batch)
