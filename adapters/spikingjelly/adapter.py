"""SpikingJelly: its own layers and neurons, in multi-step or single-step mode."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from adapters.protocol import Settings
from adapters.torch_family import settings as family
from adapters.torch_family.classifier import TorchClassifier
from adapters.torch_family.network import SpikingNetwork, Stepped, is_constant, state_dtype
from tasks.spec import (
    BatchNorm,
    Classify,
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

StepMode = Literal["s", "m"]


class Conv2d(layer.Conv2d):
    """``layer.Conv2d`` that sees a constant sequence once."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, ...] in step mode m, [N, ...] in step mode s."""
        if self.step_mode == "m" and is_constant(x):
            return nn.Conv2d.forward(self, x[0]).expand(len(x), -1, -1, -1, -1)
        return super().forward(x)


class StepwiseBatchNorm(nn.BatchNorm2d):
    """BatchNorm that treats each step of a sequence [T, N, ...] for itself."""

    def forward(self, sequence: Tensor) -> Tensor:
        """[T, N, C, H, W] to the same."""
        return functional.multi_step_forward(sequence, super().forward)


def node(spec: Neuron, mode: StepMode) -> nn.Module:
    """LIFNode or IFNode with decayed input, hard reset to 0, attached reset and ATan."""
    common = {
        "v_threshold": spec.threshold,
        "v_reset": 0.0,
        "surrogate_function": surrogate.ATan(alpha=spec.alpha),
        "detach_reset": False,
        "step_mode": mode,
    }
    if spec.tau is None:
        return neuron.IFNode(**common)
    return neuron.LIFNode(tau=float(spec.tau), decay_input=True, **common)


def module(spec: Layer, shape: Shape, mode: StepMode) -> nn.Module:
    """SpikingJelly's module for a layer whose samples have ``shape``."""
    match spec:
        case Conv():
            return Conv2d(shape[0], spec.channels, kernel_size=3, padding=1, bias=False, step_mode=mode)
        case BatchNorm(over="batch") if mode == "m":
            return StepwiseBatchNorm(shape[0])
        case BatchNorm():
            return layer.BatchNorm2d(shape[0], step_mode=mode)
        case MaxPool():
            return layer.MaxPool2d(2, 2, step_mode=mode)
        case Flatten():
            return layer.Flatten(step_mode=mode)
        case Linear():
            return layer.Linear(shape[0], spec.features, bias=False, step_mode=mode)
        case Spike():
            return node(spec.neuron, mode)


class MultiStep(SpikingNetwork):
    """Modules in step mode m, one after the other, each on the whole sequence."""

    def forward(self, sequence: Tensor) -> Tensor:
        """[T, N, *input_shape] to [T, N, outputs]."""
        functional.reset_net(self)
        for spec, stage in zip(self.layers, self.stages, strict=True):
            # SpikingJelly's fused kernels need float32 membranes
            sequence = stage(state_dtype(sequence) if isinstance(spec, Spike) else sequence)
        return sequence


def classifier(task: Classify, settings: Settings) -> TorchClassifier:
    """Variants: ``multistep`` and ``step``."""
    mode: StepMode = "s" if settings.variant == "step" else "m"
    shapes = input_shapes(task.layers, task.input_shape)
    modules = [module(spec, shape, mode) for spec, shape in zip(task.layers, shapes, strict=True)]
    network: SpikingNetwork
    if mode == "s":
        network = Stepped(task.layers, modules, functional.reset_net)
    else:
        network = MultiStep(task.layers, modules)
    return TorchClassifier(task, settings, network)


def configure(settings: Settings) -> dict[str, object]:
    """torch's settings, and the neuron kernels that SpikingJelly chose for the device."""
    read = family.configure(settings)
    device = torch.device(settings.device)
    for kind in ("lif", "if"):
        read[f"{kind}_kernel"] = functional.neuron_implementation(kind, device)["implementation"]
    return read


versions = partial(family.versions, "spikingjelly")
BUILDERS = {Classify: classifier}
