"""SpikingJelly: its own layers and neurons, in multi-step or single-step mode."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from adapters.spikingjelly.example import example
from adapters.spikingjelly.plasticity import plastic
from adapters.torch_family import settings as family
from adapters.torch_family.classifier import TorchClassifier
from adapters.torch_family.layer import TorchPass, stack
from adapters.torch_family.nef import Dynamics, TorchNef
from adapters.torch_family.network import (
    Layered,
    SpikingNetwork,
    Stepped,
    is_constant,
    normalise_once,
    once,
    state_dtype,
)
from tasks.classify.spec import (
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
from tasks.layer.spec import Layer as SingleLayer
from tasks.nef.model import Model
from tasks.nef.spec import Nef
from tasks.protocol import Build, Settings

StepMode = Literal["s", "m"]


class Conv2d(layer.Conv2d):
    """``layer.Conv2d`` that sees a constant sequence once."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, ...] in step mode m, [N, ...] in step mode s."""
        if self.step_mode == "m" and is_constant(x):
            return once(partial(nn.Conv2d.forward, self), x)
        return super().forward(x)


class MaxPool2d(layer.MaxPool2d):
    """``layer.MaxPool2d`` that sees a constant sequence once."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, ...] in step mode m, [N, ...] in step mode s."""
        if self.step_mode == "m" and is_constant(x):
            return once(partial(nn.MaxPool2d.forward, self), x)
        return super().forward(x)


class BatchNorm2d(layer.BatchNorm2d):
    """``layer.BatchNorm2d`` that sees a constant sequence once."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, N, ...] in step mode m, [N, ...] in step mode s."""
        if self.step_mode == "m" and is_constant(x):
            return normalise_once(self, x, each_step=False)
        return super().forward(x)


class StepwiseBatchNorm(nn.BatchNorm2d):
    """BatchNorm that treats each step of a sequence [T, N, ...] for itself."""

    def forward(self, sequence: Tensor) -> Tensor:
        """[T, N, C, H, W] to the same."""
        if is_constant(sequence):
            return normalise_once(self, sequence, each_step=True)
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
            return Conv2d(
                shape[0], spec.channels, spec.kernel, padding=spec.padding, bias=False, step_mode=mode
            )
        case BatchNorm(over="batch") if mode == "m":
            return StepwiseBatchNorm(shape[0])
        case BatchNorm():
            return BatchNorm2d(shape[0], step_mode=mode)
        case MaxPool():
            return MaxPool2d(2, 2, step_mode=mode)
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


def network(task: Layered, mode: StepMode) -> SpikingNetwork:
    """SpikingJelly's modules for these layers."""
    shapes = input_shapes(task.layers, task.input_shape)
    modules = [module(spec, shape, mode) for spec, shape in zip(task.layers, shapes, strict=True)]
    if mode == "s":
        return Stepped(task.layers, modules, functional.reset_net)
    return MultiStep(task.layers, modules)


def classifier(task: Classify, settings: Settings, *, mode: StepMode) -> TorchClassifier:
    """Variants ``multistep`` and ``step``."""
    return TorchClassifier(task, settings, network(task, mode))


def single_layer(task: SingleLayer, settings: Settings) -> TorchPass:
    """Variant ``sequence``."""
    return TorchPass(settings, network(stack(task), "m"))


class ExactLif(neuron.SimpleBaseNode):
    """A node with a second memory, the refractory time, which is kept to fractions of a step."""

    def __init__(self, dynamics: Dynamics) -> None:
        super().__init__(v_threshold=1.0, v_reset=0.0, step_mode="s")
        self.dynamics = dynamics
        self.register_memory("refractory", 0.0)
        self.register_memory("rest", 0.0)

    def start(self, voltage: Tensor) -> None:
        """Begin a run at these voltages [seeds, neurons]."""
        functional.reset_net(self)
        self.v, self.refractory = voltage, torch.zeros_like(voltage)

    def neuronal_charge(self, x: Tensor) -> None:
        """Integrate the current for as long as each neuron is not refractory."""
        self.v, self.refractory = self.dynamics.charge(x, self.v, self.refractory)
        self.rest = self.dynamics.rest(x, self.v)

    def neuronal_fire(self) -> Tensor:
        """Only above the threshold, where SpikingJelly's surrogates fire on it as well."""
        return (self.v > self.v_threshold).to(self.v.dtype)

    def neuronal_reset(self, spike: Tensor) -> None:
        """Hard reset, no voltage below 0, and the refractory time from the moment of the spike."""
        fired = spike > 0
        self.refractory = torch.where(fired, self.rest, self.refractory)
        self.v = self.v.clamp(min=0).masked_fill(fired, self.v_reset)


def nef_simulator(task: Nef, settings: Settings, models: Sequence[Model]) -> TorchNef:
    """Variant ``batched``; the neurons are in step mode s, since feedback leaves no other."""
    return TorchNef(task, settings, models, ExactLif)


def configure(settings: Settings) -> dict[str, object]:
    """torch's settings, and the neuron kernels that SpikingJelly chose for the device."""
    read = family.configure(settings)
    device = torch.device(settings.device)
    for kind in ("lif", "if"):
        read[f"{kind}_kernel"] = functional.neuron_implementation(kind, device)["implementation"]
    return read


versions = partial(family.versions, "spikingjelly")
sync = family.sync
device_memory = family.device_memory
VARIANTS: dict[str, Build] = {
    "multistep": partial(classifier, mode="m"),
    "step": partial(classifier, mode="s"),
    "batched": nef_simulator,
    "learner": plastic,
    "sequence": single_layer,
    "shipped": example,
}
