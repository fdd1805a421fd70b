"""The tasks: networks, optimisers and default sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tasks.classify.codes import codewords
from tasks.classify.images import MNIST
from tasks.classify.spec import (
    BatchNorm,
    Classify,
    Conv,
    Encoder,
    Flatten,
    LabelCode,
    Layer,
    Linear,
    Loss,
    MaxPool,
    Neuron,
    Spike,
    one_of,
)


def fc_lif(
    *, hidden: int = 0, loss: Loss = "mse", steps: int = 100, batch: int = 128, epochs: int = 100
) -> Classify:
    """784-10, LIF tau 2, Poisson input: the network of SpikingJelly's ``lif_fc_mnist`` example.

    With ``hidden`` neurons (0: none) in a layer between.
    """
    neuron = Spike(neuron=Neuron(tau=2.0))
    between: tuple[Layer, ...] = (Linear(features=_count("hidden", hidden)), neuron) if hidden else ()
    return Classify(
        name="fc_lif",
        input_shape=MNIST.shape,
        layers=(Flatten(), *between, Linear(features=10), neuron),
        steps=steps,
        encoder="poisson",
        loss=loss,
        optimizer="adam",
        lr=1e-3,
        batch=batch,
        epochs=epochs,
    )


def csnn(
    *,
    channels: int = 64,
    hidden: int = 1024,
    loss: Loss = "mse",
    steps: int = 4,
    batch: int = 128,
    epochs: int = 64,
) -> Classify:
    """Convolutional SNN, BatchNorm over T x N: the network of SpikingJelly's ``conv_fashion_mnist``."""
    return _csnn("csnn", "time_batch", channels, hidden, loss, steps, batch, epochs)


def csnn_stepbn(
    *,
    channels: int = 64,
    hidden: int = 1024,
    loss: Loss = "mse",
    steps: int = 4,
    batch: int = 128,
    epochs: int = 64,
) -> Classify:
    """``csnn`` with BatchNorm step by step, which is what a loop over time does: a different task."""
    return _csnn("csnn_stepbn", "batch", channels, hidden, loss, steps, batch, epochs)


def _csnn(
    name: str,
    over: Literal["time_batch", "batch"],
    channels: int,
    hidden: int,
    loss: Loss,
    steps: int,
    batch: int,
    epochs: int,
) -> Classify:
    neuron = Spike(neuron=Neuron(tau=None))
    convolution = Conv(channels=_count("channels", channels))
    block: tuple[Layer, ...] = (convolution, BatchNorm(over=over), neuron, MaxPool())
    return Classify(
        name=name,
        input_shape=MNIST.shape,
        layers=(
            *block,
            *block,
            Flatten(),
            Linear(features=_count("hidden", hidden)),
            neuron,
            Linear(features=10),
            neuron,
        ),
        steps=steps,
        encoder="direct",
        loss=loss,
        optimizer="sgd",
        lr=0.1,
        momentum=0.9,
        batch=batch,
        epochs=epochs,
    )


def conv_lif(
    *,
    channels: int = 128,
    hidden: int = 64,
    code: LabelCode = "onehot",
    loss: Loss = "mse",
    steps: int = 4,
    batch: int = 64,
    lr: float = 0.01,
    epochs: int = 3,
) -> Classify:
    """Three convolutions that double to ``channels``, two linear layers, LIF: published as "from scratch".

    Every convolution is followed by neurons and pooling, the last one by pooling twice, so that maps shrink
    28 - 14 - 7 - 3 - 1 and the first linear layer has as many inputs as channels.  The source gives batch,
    learning rate, sizes and label codes; ours are steps, tau, threshold, direct input and Adam.

    Raises:
        ValueError: a count is below 1, channels are no multiple of 4, or code or loss is unknown or does
            not fit the other.
    """
    one_of("code", code, LabelCode)
    if _count("channels", channels) % 4:
        raise ValueError(f"channels must be a multiple of 4, got {channels}")
    neuron = Spike(neuron=Neuron(tau=2.0, threshold=0.25))
    first, second, third = ((Conv(channels=channels // share), neuron, MaxPool()) for share in (4, 2, 1))
    return Classify(
        name="conv_lif",
        input_shape=MNIST.shape,
        layers=(
            *first,
            *second,
            *third,
            MaxPool(),
            Flatten(),
            Linear(features=_count("hidden", hidden)),
            neuron,
            Linear(features=codewords(code, 10).shape[1]),
            neuron,
        ),
        label_code=code,
        loss=loss,
        steps=steps,
        encoder="direct",
        optimizer="adam",
        lr=lr,
        batch=batch,
        epochs=epochs,
    )


def lenet(
    *,
    first: int = 12,
    second: int = 64,
    hidden: int = 0,
    pool_first: bool = True,
    encoder: Encoder = "direct",
    loss: Loss = "mse",
    steps: int = 50,
    batch: int = 128,
    epochs: int = 1,
) -> Classify:
    """Two 5 x 5 convolutions without padding, as LeNet has them: the layers of other frameworks' examples.

    LeCun et al. 1998.  ``first`` and ``second`` channels, and ``hidden`` neurons (0: none) before the last
    layer; neurons stand after each pooling (``pool_first``), as in snnTorch's tutorial 6, or before it, as in
    Norse's MNIST example.  Neuron and optimiser are those of ``conv_lif``.

    Raises:
        ValueError: a count is below 1, or encoder or loss is unknown.
    """
    one_of("encoder", encoder, Encoder)
    neuron = Spike(neuron=Neuron(tau=2.0, threshold=0.25))
    after: tuple[Layer, ...] = (MaxPool(), neuron) if pool_first else (neuron, MaxPool())
    between: tuple[Layer, ...] = (Linear(features=_count("hidden", hidden)), neuron) if hidden else ()
    convolutions = [
        Conv(channels=_count(name, channels), kernel=5, padded=False)
        for name, channels in (("first", first), ("second", second))
    ]
    return Classify(
        name="lenet",
        input_shape=MNIST.shape,
        layers=(
            convolutions[0],
            *after,
            convolutions[1],
            *after,
            Flatten(),
            *between,
            Linear(features=10),
            neuron,
        ),
        steps=steps,
        encoder=encoder,
        loss=loss,
        optimizer="adam",
        lr=0.002,
        batch=batch,
        epochs=epochs,
    )


def _count(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return value


TASKS: dict[str, Callable[..., Classify]] = {
    "fc_lif": fc_lif,
    "csnn": csnn,
    "csnn_stepbn": csnn_stepbn,
    "conv_lif": conv_lif,
    "lenet": lenet,
}
