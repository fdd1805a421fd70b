"""The tasks: networks, optimisers and default sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tasks.classify.images import MNIST
from tasks.classify.spec import BatchNorm, Classify, Conv, Flatten, Layer, Linear, MaxPool, Neuron, Spike


def fc_lif(*, steps: int = 100, batch: int = 128, epochs: int = 100) -> Classify:
    """784-10, LIF tau 2, Poisson input: the network of SpikingJelly's ``lif_fc_mnist`` example."""
    return Classify(
        name="fc_lif",
        input_shape=MNIST.shape,
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
        input_shape=MNIST.shape,
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
