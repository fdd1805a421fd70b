"""Ways to run a list of layers over time: folded, stepped, or by modules that take whole sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.classify.spec import (
    BatchNorm,
    Conv,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Neuron,
    Shape,
    Spike,
    input_shapes,
)
from tasks.protocol import Unsupported

# The reset of a framework's stateful modules, called before every batch.
Reset = Callable[[nn.Module], None]


class Layered(Protocol):
    """What a network is built from: its layers, and the shape of one sample before them."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """In their order."""

    @property
    def input_shape(self) -> Shape:
        """Without time and batch."""


def stateless(layer: Layer, shape: Shape) -> nn.Module:
    """torch's own module for a layer without state, for samples of ``shape``; maps [N, ...] to [N, ...].

    That of BatchNorm takes sequences too.
    """
    match layer:
        case Conv():
            return nn.Conv2d(shape[0], layer.channels, layer.kernel, padding=layer.padding, bias=False)
        case BatchNorm():
            return SequenceNorm(shape[0], layer.over)
        case MaxPool():
            return nn.MaxPool2d(2)
        case Flatten():
            return nn.Flatten()
        case Linear():
            return nn.Linear(shape[0], layer.features, bias=False)
        case Spike():
            raise TypeError("a Spike layer has state")


def fold(module: Callable[[Tensor], Tensor], sequence: Tensor) -> Tensor:
    """Apply a stateless module once to all T x N images of a sequence [T, N, ...]."""
    return module(sequence.flatten(0, 1)).unflatten(0, sequence.shape[:2])


def is_constant(sequence: Tensor) -> bool:
    """Whether this is one batch expanded over time (stride 0), which layers without state need see once."""
    return sequence.stride(0) == 0


def once(module: Callable[[Tensor], Tensor], sequence: Tensor) -> Tensor:
    """Apply a stateless module to one step of a constant sequence [T, N, ...], for all of them."""
    y = module(sequence[0])
    return y.expand(len(sequence), *y.shape)


def normalise_once(norm: nn.BatchNorm2d, sequence: Tensor, *, each_step: bool) -> Tensor:
    """BatchNorm of a constant sequence [T, N, C, H, W], as if it had seen all steps: exact.

    Mean and variance over T x N are those of one step; the running statistics alone know the others.
    ``each_step``: every step has been normalised for itself.
    """
    x = sequence[0]
    if not norm.training:
        return once(partial(nn.BatchNorm2d.forward, norm), sequence)
    mean, var = torch.zeros_like(norm.running_mean), torch.zeros_like(norm.running_var)
    y = functional.batch_norm(x, mean, var, norm.weight, norm.bias, training=True, momentum=1.0, eps=norm.eps)
    steps, count = len(sequence), x.numel() // x.shape[1]
    if not each_step:
        var = var * (steps * (count - 1) / (steps * count - 1))  # unbiased over T x N
    for _ in range(steps if each_step else 1):
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(var, norm.momentum)
    return y.expand(steps, *y.shape)


class SequenceNorm(nn.BatchNorm2d):
    """BatchNorm of whole sequences, over T x N or step by step, or of a step that comes alone."""

    def __init__(self, channels: int, over: Literal["time_batch", "batch"]) -> None:
        super().__init__(channels)
        self.each_step = over == "batch"

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, C, H, W] or [N, C, H, W] to the same."""
        if x.ndim == 4:
            return super().forward(x)
        if is_constant(x):
            return normalise_once(self, x, each_step=self.each_step)
        if self.each_step:
            return torch.stack([super(SequenceNorm, self).forward(step) for step in x.unbind(0)])
        return fold(super().forward, x)


class SpikingNetwork(nn.Module):
    """Layers and their modules, index by index.

    ``forward`` takes inputs [T, N, *input_shape] and returns output spikes [T, N, outputs].
    ``stepwise``: spike modules are called once per step ([N, ...]), not once per batch ([T, N, ...]).
    """

    stepwise = False

    def __init__(self, layers: Sequence[Layer], modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.stages = nn.ModuleList(modules)


class Folded(SpikingNetwork):
    """Stateless layers see T x N images at once; spike modules take the whole sequence [T, N, ...]."""

    def forward(self, sequence: Tensor) -> Tensor:
        """Run a batch from rest; [T, N, *input_shape] to [T, N, outputs]."""
        for layer, module in zip(self.layers, self.stages, strict=True):
            match layer:
                case Spike():
                    sequence = module(state_dtype(sequence))
                case BatchNorm():
                    sequence = module(sequence)
                case _:
                    sequence = (once if is_constant(sequence) else fold)(module, sequence)
        return sequence


class Stepped(SpikingNetwork):
    """Every module is called once per time step, as most tutorials write it.

    Raises:
        Unsupported: the network has BatchNorm over T x N, whose statistics no single step knows.
    """

    stepwise = True

    def __init__(self, layers: Sequence[Layer], modules: Sequence[nn.Module], reset: Reset) -> None:
        if BatchNorm(over="time_batch") in layers:
            raise Unsupported("step by step there is no BatchNorm over T x N; csnn_stepbn is the task for it")
        super().__init__(layers, modules)
        self.forget = reset

    def forward(self, sequence: Tensor) -> Tensor:
        """Run a batch from rest; [T, N, *input_shape] to [T, N, outputs]."""
        self.forget(self)
        outputs = []
        for x in sequence.unbind(0):
            for layer, module in zip(self.layers, self.stages, strict=True):
                x = module(state_dtype(x) if isinstance(layer, Spike) else x)
            outputs.append(x)
        return torch.stack(outputs)


class Unbound:
    """A sequence taken apart into its steps, for loops of frameworks that index a tensor at every step.

    Each index of a tensor adds a gradient as large as the whole sequence; taking it apart adds one in all.
    """

    def __init__(self, sequence: Tensor, time: int) -> None:
        self.shape = sequence.shape
        self.steps = sequence.unbind(time)

    def __getitem__(self, index: int | tuple[slice, int]) -> Tensor:
        """One step, by its number or, batch first, as [:, number]."""
        return self.steps[index[1] if isinstance(index, tuple) else index]


class OverSequence(nn.Module):
    """A cell called once per batch, from rest; [T, N, ...] to [T, N, ...]."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, sequence: Tensor) -> Tensor:
        """Loop over time; unbind's backward is one stack, where indexing would write [T, N, ...] T times."""
        state = None
        outputs = []
        for x in sequence.unbind(0):
            spikes, state = self.cell(x, state)
            outputs.append(spikes)
        return torch.stack(outputs)


class OverSteps(nn.Module):
    """A cell called once per time step, its state kept here; [N, ...] to [N, ...]."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell
        self.state: object = None

    def forward(self, x: Tensor) -> Tensor:
        """One step."""
        spikes, self.state = self.cell(x, self.state)
        return spikes


def rest(network: nn.Module) -> None:
    """Forget the states of the batch before."""
    for module in network.modules():
        if isinstance(module, OverSteps):
            module.state = None


def folded(task: Layered, neurons: Callable[[Neuron], nn.Module]) -> Folded:
    """The network of these layers from torch's stateless modules, and spike modules over [T, N, ...]."""
    return Folded(task.layers, _modules(task, neurons))


def from_cells(task: Layered, cell: Callable[[Neuron], nn.Module], *, stepwise: bool) -> SpikingNetwork:
    """The network of these layers from torch's stateless modules and a framework's cells.

    A cell maps an input [N, ...] and its state (None at rest) to spikes [N, ...] and the next state.

    Raises:
        Unsupported: see ``Stepped``.
    """
    if not stepwise:
        return folded(task, lambda neuron: OverSequence(cell(neuron)))
    return Stepped(task.layers, _modules(task, lambda neuron: OverSteps(cell(neuron))), rest)


def _modules(task: Layered, neurons: Callable[[Neuron], nn.Module]) -> list[nn.Module]:
    shapes = input_shapes(task.layers, task.input_shape)
    return [
        neurons(layer.neuron) if isinstance(layer, Spike) else stateless(layer, shape)
        for layer, shape in zip(task.layers, shapes, strict=True)
    ]


def state_dtype(current: Tensor) -> Tensor:
    """Membranes are never kept in half precision: cast what autocast made float16 or bfloat16 to float32."""
    return current.float() if current.dtype in (torch.float16, torch.bfloat16) else current
