"""Norse: its SNN loop over time, with LIFBox and IAF parameters and a step that fires on the boundary."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from norse.torch.functional.iaf import IAFFeedForwardState, IAFParameters
from norse.torch.functional.lif_box import LIFBoxFeedForwardState, LIFBoxParameters
from norse.torch.functional.reset import reset_value
from norse.torch.module.snn import SNN
from torch import Tensor

from adapters.norse.example import ConvolutionalExample
from adapters.torch_family import settings as family
from adapters.torch_family.classifier import TorchClassifier
from adapters.torch_family.layer import TorchPass, stack
from adapters.torch_family.network import Unbound, folded
from adapters.torch_family.surrogate import fire
from tasks.classify.spec import Classify, Neuron
from tasks.layer.spec import Layer
from tasks.protocol import Build, Settings


def step(x: Tensor, state: Any, p: LIFBoxParameters | IAFParameters, dt: float) -> tuple[Tensor, Any]:
    """Norse's Euler step of LIFBox or IAF, but firing at the threshold itself; x and v [N, ...]."""
    leaks = isinstance(p, LIFBoxParameters)
    v = state.v + (dt * p.tau_mem_inv * (x + p.v_leak - state.v) if leaks else x)
    spikes = fire(v - p.v_th, p.alpha)
    return spikes, type(state)(v=reset_value(spikes, v, p.v_reset, p.v_th))


class Stock(SNN):
    """A neuron layer over a sequence from rest, dt = 1 step; [T, N, ...] to [T, N, ...]."""

    def __init__(self, neuron: Neuron) -> None:
        common = {"v_th": torch.tensor(neuron.threshold), "alpha": neuron.alpha}
        if neuron.tau is None:
            parameters, state = IAFParameters(**common), IAFFeedForwardState
        else:
            parameters = LIFBoxParameters(tau_mem_inv=torch.tensor(1 / neuron.tau), **common)
            state = LIFBoxFeedForwardState
        super().__init__(step, lambda sequence: state(v=torch.zeros_like(sequence[0])), parameters, dt=1.0)

    def forward(self, sequence: Tensor) -> Tensor:
        """Spikes without the last state."""
        return super().forward(sequence)[0]


class Neurons(Stock):
    """``Stock`` whose loop is given the steps one by one."""

    def forward(self, sequence: Tensor) -> Tensor:
        """[T, N, ...] to the same."""
        return super().forward(Unbound(sequence, time=0))


def classifier(task: Classify, settings: Settings, *, neurons: type[Stock]) -> TorchClassifier:
    """Variants ``folded`` and ``stock``."""
    return TorchClassifier(task, settings, folded(task, neurons))


def layer(task: Layer, settings: Settings, *, neurons: type[Stock]) -> TorchPass:
    """Variants ``sequence`` and ``stock_sequence``."""
    return TorchPass(settings, folded(stack(task), neurons))


versions = partial(family.versions, "norse")
configure = family.configure
sync = family.sync
device_memory = family.device_memory
VARIANTS: dict[str, Build] = {
    "folded": partial(classifier, neurons=Neurons),
    "stock": partial(classifier, neurons=Stock),
    "shipped": ConvolutionalExample,
    "sequence": partial(layer, neurons=Neurons),
    "stock_sequence": partial(layer, neurons=Stock),
}
