"""A leaky integrate-and-fire network from scratch in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adapters.protocol import Settings
from adapters.torch_family import settings as family
from adapters.torch_family.classifier import TorchClassifier
from adapters.torch_family.network import from_cells
from adapters.torch_family.surrogate import fire
from tasks.spec import Classify, Neuron


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


def classifier(task: Classify, settings: Settings) -> TorchClassifier:
    """Variants: ``folded`` and ``step``."""
    network = from_cells(task, Cell, stepwise=settings.variant == "step")
    return TorchClassifier(task, settings, network)


configure = family.configure
versions = family.versions
BUILDERS = {Classify: classifier}
