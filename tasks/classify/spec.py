"""The vocabulary in which a task is said: a neuron, six layer words and the task.

Everything that makes two runs "the same work" is either a field here or fixed in a docstring here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

Encoder = Literal["poisson", "direct"]
Optimizer = Literal["adam", "sgd"]
LabelCode = Literal["onehot", "inverse", "binary", "gray"]
Loss = Literal["mse", "cross_entropy"]


def one_of(name: str, value: str, words: Any) -> None:
    """Refuse what is none of a Literal's words.

    Raises:
        ValueError: it is none; the message names them.
    """
    if value not in get_args(words):
        raise ValueError(f"{name} must be one of {', '.join(get_args(words))}, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neuron:
    """A discrete leaky (or plain) integrate-and-fire neuron with hard reset to 0.

    Per step, from v = 0:  v += (x - v) / tau  (``tau=None``: v += x);  s = [v >= threshold];
    v *= 1 - s.  The gradient flows through the reset.  Backward, the step function has the ATan
    surrogate  dS/dv = (alpha / 2) / (1 + (pi / 2 * alpha * (v - threshold))^2)
    (Fang et al. 2021, "Incorporating learnable membrane time constant").
    ``tau`` is in time steps.
    """

    tau: float | None = 2.0
    threshold: float = 1.0
    alpha: float = 2.0

    def __post_init__(self) -> None:
        if self.tau is not None and self.tau < 1:
            raise ValueError(f"tau must be at least 1 step, got {self.tau}")

    def __str__(self) -> str:
        return "IF" if self.tau is None else f"LIF(tau {self.tau:g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv:
    """Convolution (cross-correlation), stride 1, no bias; weight [out, in, kernel, kernel].

    ``padded``: with zeros around, so that maps keep their size.
    """

    channels: int
    kernel: int = 3
    padded: bool = True

    @property
    def padding(self) -> int:
        """Rows and columns of zeros on each side."""
        return self.kernel // 2 if self.padded else 0

    def __str__(self) -> str:
        return f"Conv {self.channels} {self.kernel}x{self.kernel}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm:
    """Batch normalisation per channel, eps 1e-5, momentum 0.1, unbiased running variance.

    ``over="time_batch"``: statistics over all T x N images at once; ``over="batch"``: each time step
    for itself, the running statistics updated T times.  Weight and bias [channels].
    """

    over: Literal["time_batch", "batch"]

    def __str__(self) -> str:
        return "BatchNorm" if self.over == "time_batch" else "BatchNorm per step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """A layer of neurons, one per input element; membranes start each batch at 0."""

    neuron: Neuron

    def __str__(self) -> str:
        return str(self.neuron)


@dataclass(frozen=True, slots=True)
class MaxPool:
    """2 x 2 max-pooling, stride 2; the gradient of a tie goes to the first in row-major order."""

    def __str__(self) -> str:
        return "MaxPool 2"


@dataclass(frozen=True, slots=True)
class Flatten:
    """[channels, height, width] -> [channels * height * width], row-major."""

    def __str__(self) -> str:
        return "Flatten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """Fully connected, no bias; weight [features, inputs]."""

    features: int

    def __str__(self) -> str:
        return f"Linear {self.features}"


Layer = Conv | BatchNorm | Spike | MaxPool | Flatten | Linear
Shape = tuple[int, ...]


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """Shape of one sample after ``layer``, given its shape before (no time and batch axes)."""
    match layer:
        case Conv():
            shrinks = layer.kernel - 1 - 2 * layer.padding
            return (layer.channels, *(length - shrinks for length in shape[1:]))
        case MaxPool():
            return (shape[0], shape[1] // 2, shape[2] // 2)
        case Flatten():
            size = 1
            for length in shape:
                size *= length
            return (size,)
        case Linear():
            return (layer.features,)
        case BatchNorm() | Spike():
            return shape


def input_shapes(layers: tuple[Layer, ...], shape: Shape) -> list[Shape]:
    """The sample shape that each layer receives, in order."""
    shapes = []
    for layer in layers:
        shapes.append(shape)
        shape = output_shape(layer, shape)
    return shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify:
    """Train a spiking network on labelled images and classify by its output firing rates.

    The input is ``steps`` time steps long: ``poisson`` draws, per pixel and step, a spike with
    probability pixel / 255; ``direct`` feeds pixel / 255 at every step.  The loss (losses.py) is that of
    firing rates (spikes / steps): ``mse``, the mean squared error between them and the code of the label
    (codes.py); or ``cross_entropy``, for one-hot codes alone, with the rates as logits of the classes.  The
    last partial batch of a training epoch is dropped.
    ``version`` is raised when the meaning of a task changes.

    Raises:
        ValueError: a count is below 1, a rate is not positive, or the loss is unknown or does not
            fit the label code.
    """

    name: str
    version: int = 1
    input_shape: Shape
    layers: tuple[Layer, ...]
    steps: int
    encoder: Encoder
    label_code: LabelCode = "onehot"
    loss: Loss = "mse"
    classes: int = 10
    optimizer: Optimizer
    lr: float
    momentum: float = 0.0
    batch: int
    epochs: int

    def __post_init__(self) -> None:
        for field in ("steps", "batch", "epochs"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, got {getattr(self, field)}")
        if self.lr <= 0:
            raise ValueError(f"lr must be positive, got {self.lr}")
        one_of("loss", self.loss, Loss)
        if self.loss == "cross_entropy" and self.label_code != "onehot":
            raise ValueError(f"loss cross_entropy needs one-hot labels, got the code {self.label_code}")

    @property
    def network(self) -> str:
        """The layers in words, as the report prints them."""
        return " - ".join(str(layer) for layer in self.layers)
