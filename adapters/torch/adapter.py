"""Leaky integrate-and-fire networks from scratch in plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from adapters.torch.plasticity import plastic
from adapters.torch_family import settings as family
from adapters.torch_family.classifier import TorchClassifier
from adapters.torch_family.layer import TorchPass, stack
from adapters.torch_family.nef import Dynamics, TorchNef
from adapters.torch_family.network import from_cells
from adapters.torch_family.surrogate import fire
from tasks.classify.spec import Classify, Neuron
from tasks.layer.spec import Layer
from tasks.nef.model import Model
from tasks.nef.spec import Nef
from tasks.protocol import Build, Settings


class Cell(nn.Module):
    """One time step of a neuron layer."""

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        self.neuron = neuron

    def forward(self, x: Tensor, v: Tensor | None) -> tuple[Tensor, Tensor]:
        """Charge, fire, reset: spikes and the membrane after reset, in the input's shape [N, ...]."""
        if v is None:
            v = torch.zeros_like(x)
        v = v + (x if self.neuron.tau is None else (x - v) / self.neuron.tau)
        spikes = fire(v - self.neuron.threshold, self.neuron.alpha)
        return spikes, v * (1 - spikes)


class ExactLif(nn.Module):
    """LIF neurons that keep their refractory time to fractions of a step."""

    def __init__(self, dynamics: Dynamics) -> None:
        super().__init__()
        self.dynamics = dynamics

    def start(self, voltage: Tensor) -> None:
        """Begin a run at these voltages [seeds, neurons]."""
        self.voltage, self.refractory = voltage, torch.zeros_like(voltage)

    def forward(self, current: Tensor) -> Tensor:
        """Spikes 0/1 of one step, [seeds, neurons]."""
        voltage, refractory = self.dynamics.charge(current, self.voltage, self.refractory)
        spikes = voltage > 1
        self.refractory = torch.where(spikes, self.dynamics.rest(current, voltage), refractory)
        self.voltage = voltage.clamp(min=0).masked_fill(spikes, 0)
        return spikes.to(current.dtype)


def classifier(task: Classify, settings: Settings, *, stepwise: bool) -> TorchClassifier:
    """Variants ``folded`` and ``step``."""
    return TorchClassifier(task, settings, from_cells(task, Cell, stepwise=stepwise))


def layer(task: Layer, settings: Settings) -> TorchPass:
    """Variant ``loop``."""
    return TorchPass(settings, from_cells(stack(task), Cell, stepwise=False))


def nef_simulator(task: Nef, settings: Settings, models: Sequence[Model]) -> TorchNef:
    """Variant ``batched``."""
    return TorchNef(task, settings, models, ExactLif)


versions = family.versions
configure = family.configure
sync = family.sync
device_memory = family.device_memory
VARIANTS: dict[str, Build] = {
    "folded": partial(classifier, stepwise=False),
    "step": partial(classifier, stepwise=True),
    "batched": nef_simulator,
    "products": plastic,
    "loop": layer,
}
