"""snnTorch: Leaky with reset to zero without delay, and a spike function that fires on the boundary."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import snntorch
import torch
from torch import Tensor, nn

from adapters.snntorch.example import example
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


class Leaky(snntorch.Leaky):
    """``snntorch.Leaky`` that computes its reset once.

    The shipped ``forward`` asks a tensor buffer which reset to use, which waits for the GPU at every step,
    and evaluates the spike function a second time for the delayed reset that is switched off here.
    """

    def forward(self, input_: Tensor, mem: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and next membrane, both [N, ...]."""
        mem = self.beta * mem + input_
        spikes = self.fire(mem)
        return spikes, mem - spikes * mem


class Cell(nn.Module):
    """A ``Leaky`` whose input is scaled by 1 / tau, which snnTorch leaves to the weights."""

    def __init__(self, neuron: Neuron, leaky: type[snntorch.Leaky]) -> None:
        super().__init__()
        self.scale = 1.0 if neuron.tau is None else 1 / neuron.tau
        self.leaky = leaky(
            beta=1.0 if neuron.tau is None else 1 - 1 / neuron.tau,
            threshold=neuron.threshold,
            spike_grad=partial(fire, alpha=neuron.alpha),
            reset_mechanism="zero",
            reset_delay=False,
        )

    def forward(self, x: Tensor, mem: Tensor | None) -> tuple[Tensor, Tensor]:
        """Spikes and membrane after reset, in the input's shape [N, ...]."""
        current = x if self.scale == 1 else x * self.scale
        return self.leaky(current, torch.zeros_like(x) if mem is None else mem)


def classifier(
    task: Classify, settings: Settings, *, leaky: type[snntorch.Leaky], stepwise: bool
) -> TorchClassifier:
    """Variants ``folded``, ``step`` and ``stock``."""
    network = from_cells(task, partial(Cell, leaky=leaky), stepwise=stepwise)
    return TorchClassifier(task, settings, network)


def layer(task: Layer, settings: Settings, *, leaky: type[snntorch.Leaky]) -> TorchPass:
    """Variants ``loop`` and ``stock_loop``."""
    return TorchPass(settings, from_cells(stack(task), partial(Cell, leaky=leaky), stepwise=False))


class ExactLif(snntorch.SpikingNeuron):
    """A spiking neuron with a second state, the refractory time, which is kept to fractions of a step."""

    def __init__(self, dynamics: Dynamics) -> None:
        super().__init__(threshold=1.0, surrogate_disable=True, reset_mechanism="zero")
        self.dynamics = dynamics

    def start(self, voltage: Tensor) -> None:
        """Begin a run at these voltages [seeds, neurons]."""
        self.to(voltage.device)
        self.mem, self.refractory = voltage, torch.zeros_like(voltage)

    def forward(self, input_: Tensor) -> Tensor:
        """Spikes 0/1 of one step, [seeds, neurons]."""
        mem, refractory = self.dynamics.charge(input_, self.mem, self.refractory)
        spikes = self.fire(mem).to(mem.dtype)  # fire casts to float32
        fired = spikes > 0
        self.refractory = torch.where(fired, self.dynamics.rest(input_, mem), refractory)
        self.mem = mem.clamp(min=0).masked_fill(fired, 0)
        return spikes


def nef_simulator(task: Nef, settings: Settings, models: Sequence[Model]) -> TorchNef:
    """Variant ``batched``."""
    return TorchNef(task, settings, models, ExactLif)


versions = partial(family.versions, "snntorch")
configure = family.configure
sync = family.sync
device_memory = family.device_memory
VARIANTS: dict[str, Build] = {
    "folded": partial(classifier, leaky=Leaky, stepwise=False),
    "step": partial(classifier, leaky=Leaky, stepwise=True),
    "stock": partial(classifier, leaky=snntorch.Leaky, stepwise=False),
    "batched": nef_simulator,
    "loop": partial(layer, leaky=Leaky),
    "tutorial": example,
    "stock_loop": partial(layer, leaky=snntorch.Leaky),
}
