"""Sinabs: its LIF layer with alpha = 1 - 1/tau, frozen, one spike a step and a differentiable hard reset."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from sinabs.layers import LIF
from torch import Tensor

from adapters.torch_family import settings as family
from adapters.torch_family.classifier import TorchClassifier
from adapters.torch_family.layer import TorchPass, stack
from adapters.torch_family.network import Unbound, folded
from adapters.torch_family.surrogate import fire
from tasks.classify.spec import Classify, Neuron
from tasks.layer.spec import Layer
from tasks.protocol import Build, Settings

# Sinabs' interface of a spike function; its own SingleSpike returns float32 whatever the membrane is
FIRE = SimpleNamespace(
    required_states=["v_mem"], apply=lambda v, threshold, alpha: fire(v - threshold, alpha)
)


def reset(spikes: Tensor, state: dict[str, Tensor], threshold: Any) -> dict[str, Tensor]:
    """Hard reset to 0 through which the gradient flows; Sinabs' MembraneReset cuts it off."""
    return state | {"v_mem": state["v_mem"] * (1 - spikes)}


class Stock(LIF):
    """A neuron layer over a sequence from rest; [T, N, ...] to [T, N, ...] (Sinabs is batch-major)."""

    def __init__(self, neuron: Neuron) -> None:
        super().__init__(
            tau_mem=1.0,
            spike_threshold=torch.tensor(neuron.threshold),
            spike_fn=FIRE,
            reset_fn=reset,
            surrogate_grad_fn=neuron.alpha,
            train_alphas=True,
            norm_input=neuron.tau is not None,
        )
        alpha = torch.tensor(1.0 if neuron.tau is None else 1 - 1 / neuron.tau)
        self.alpha_mem = torch.nn.Parameter(alpha, requires_grad=False)

    def forward(self, sequence: Tensor) -> Tensor:
        """A state of another batch size would be resampled at random: start from none."""
        self.init_state_with_shape((sequence.shape[1], *sequence.shape[2:]))
        return super().forward(self.given(sequence.transpose(0, 1))).transpose(0, 1)

    def given(self, sequence: Tensor) -> Any:
        """What Sinabs' loop over time takes its steps from, [N, T, ...]."""
        return sequence


class Neurons(Stock):
    """``Stock`` whose loop is given the steps one by one."""

    def given(self, sequence: Tensor) -> Any:
        """See ``Stock``."""
        return Unbound(sequence, time=1)


def classifier(task: Classify, settings: Settings, *, neurons: type[Stock]) -> TorchClassifier:
    """Variants ``folded`` and ``stock``."""
    return TorchClassifier(task, settings, folded(task, neurons))


def layer(task: Layer, settings: Settings, *, neurons: type[Stock]) -> TorchPass:
    """Variants ``sequence`` and ``stock_sequence``."""
    return TorchPass(settings, folded(stack(task), neurons))


versions = partial(family.versions, "sinabs")
configure = family.configure
sync = family.sync
device_memory = family.device_memory
VARIANTS: dict[str, Build] = {
    "folded": partial(classifier, neurons=Neurons),
    "stock": partial(classifier, neurons=Stock),
    "sequence": partial(layer, neurons=Neurons),
    "stock_sequence": partial(layer, neurons=Stock),
}
