"""One layer by itself, for every torch-based adapter."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch
from torch import Tensor

from adapters.torch_family.classifier import to_numpy
from adapters.torch_family.network import SpikingNetwork
from tasks.classify.spec import Layer as Stage
from tasks.classify.spec import Linear, Neuron, Shape, Spike
from tasks.layer.protocol import Passed
from tasks.layer.spec import ALPHA, TAU, THRESHOLD, Flow, Layer
from tasks.protocol import Settings


@dataclass(frozen=True, slots=True)
class Stack:
    """Layers and the shape of one sample before them, as networks are built from."""

    layers: tuple[Stage, ...]
    input_shape: Shape


def stack(task: Layer) -> Stack:
    """The layer words of a task."""
    spike = Spike(neuron=Neuron(tau=TAU, threshold=THRESHOLD, alpha=ALPHA))
    layers = (Linear(features=task.neurons), spike) if task.weighted else (spike,)
    return Stack(layers, (task.neurons,))


class TorchPass:
    """``Pass`` of tasks/layer/protocol.py around a network of ``stack(task)``."""

    def __init__(self, settings: Settings, network: SpikingNetwork) -> None:
        self.device = torch.device(settings.device)
        self.dtype = torch.float64 if settings.precision == "float64" else torch.float32
        self.network = network.to(self.device, self.dtype)
        self.amp = settings.precision == "amp"
        self.half = torch.float16 if settings.device == "cuda" else torch.bfloat16

    def load(self, flow: Flow) -> None:
        """See the protocol."""
        self.inputs = torch.tensor(flow.inputs, device=self.device, dtype=self.dtype, requires_grad=True)
        self.gradient = torch.tensor(flow.gradient, device=self.device, dtype=self.dtype)
        self.spikes = torch.empty(0)
        self.weight: Tensor | None = None
        if flow.weight is not None:
            self.weight = self.network.stages[0].weight
            with torch.no_grad():
                self.weight.copy_(torch.as_tensor(flow.weight))

    def forward(self) -> None:
        """See the protocol."""
        for tensor in (self.inputs, self.weight):
            if tensor is not None:
                tensor.grad = None
        autocast = torch.autocast(self.device.type, dtype=self.half) if self.amp else contextlib.nullcontext()
        with autocast:
            self.spikes = self.network(self.inputs)

    def backward(self) -> None:
        """See the protocol."""
        self.spikes.backward(self.gradient)

    def passed(self, first: int) -> Passed:
        """See the protocol."""
        assert self.inputs.grad is not None, "backward comes first"
        gradient = None if self.weight is None else self.weight.grad
        return Passed(
            spikes=to_numpy(self.spikes[..., :first]),
            input_gradient=to_numpy(self.inputs.grad[..., :first]),
            weight_gradient=None if gradient is None else to_numpy(gradient[:first]),
        )
