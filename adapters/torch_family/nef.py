"""NEF simulation of all torch-based adapters: all seeds and ensembles of a network in one set of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tasks.nef.matrices import matrices
from tasks.nef.model import Model
from tasks.nef.protocol import Array, NefResult
from tasks.nef.spec import Nef
from tasks.protocol import Settings, Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """LIF with exact integration and refractory time, threshold 1; as ``tasks.nef.spec.Nef`` has it."""

    dt: float
    tau_rc: float
    tau_ref: float

    def charge(self, current: Tensor, voltage: Tensor, refractory: Tensor) -> tuple[Tensor, Tensor]:
        """Voltage before the reset and what is left of the refractory time, in the shape of the current."""
        refractory = refractory - self.dt
        open_for = (self.dt - refractory).clamp(0, self.dt)
        return voltage - (current - voltage) * torch.expm1(open_for / -self.tau_rc), refractory

    def rest(self, current: Tensor, voltage: Tensor) -> Tensor:
        """Refractory time of a neuron that has just crossed the threshold (no number where one has not)."""
        return self.tau_ref + (self.dt + self.tau_rc * torch.log1p((1 - voltage) / (current - 1)))


class Neurons(Protocol):
    """A framework's module of LIF neurons."""

    def start(self, voltage: Tensor) -> None:
        """Begin a run at these voltages [seeds, neurons], no neuron refractory."""

    def __call__(self, current: Tensor) -> Tensor:
        """Spikes 0/1 of one step in the dtype of the current, both [seeds, neurons]."""


class TorchNef:
    """``NefSimulator`` of tasks/nef/protocol.py around a framework's neurons.

    Raises:
        Unsupported: the precision is neither float32 nor float64.
    """

    def __init__(
        self,
        task: Nef,
        settings: Settings,
        models: Sequence[Model],
        neurons: Callable[[Dynamics], Neurons],
    ) -> None:
        if settings.precision == "amp":
            raise Unsupported("the NEF tasks have no mixed precision")
        self.task = task
        self.device = torch.device(settings.device)
        self.dtype = torch.float64 if settings.precision == "float64" else torch.float32
        self.neurons = neurons(Dynamics(dt=task.dt, tau_rc=task.tau_rc, tau_ref=task.tau_ref))
        made = matrices(task, models)
        self.encoders = self._tensor(made.encoders)
        self.bias = self._tensor(made.bias)[..., None]
        self.voltage = self._tensor(made.voltage)
        self.decoders = self._tensor(made.decoders)
        self.from_inputs = self._tensor(made.from_inputs)
        self.keep = self._tensor(made.keep)
        self.rows = made.rows
        self.output_size = task.ensemble(task.output).dimensions

    def _tensor(self, values: Array) -> Tensor:
        return torch.tensor(values, device=self.device, dtype=self.dtype)

    @torch.no_grad()
    def run(self, inputs: Array) -> NefResult:
        """See the protocol."""
        self.neurons.start(self.voltage)
        filtered = torch.zeros_like(self.decoders[:, :1])
        decoded, fired = [], []
        for drive in (self._tensor(inputs) @ self.from_inputs).unbind(0):
            decoded.append(filtered[:, 0, -self.output_size :])
            current = torch.baddbmm(self.bias, self.encoders, filtered.mT)
            spikes = self.neurons(current[..., 0])
            fired.append(spikes > 0)
            filtered = torch.baddbmm(
                torch.addcmul(drive, filtered, self.keep), spikes[:, None], self.decoders
            )
        spikes = torch.stack(fired, dim=1).cpu().numpy()
        return NefResult(
            decoded=torch.stack(decoded, dim=1).cpu().numpy(),
            spikes={name: spikes[:, :, rows] for name, rows in self.rows.items()},
        )
