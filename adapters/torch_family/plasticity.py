"""What layers that learn from spikes share in all torch-based adapters: encoding, batches, weights."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tasks.plasticity.protocol import Array, Pictures
from tasks.plasticity.spec import Task
from tasks.protocol import Settings, Unsupported


class Layer(Protocol):
    """A framework's layer, on some device and in some dtype."""

    @property
    def weight(self) -> Tensor:
        """[neurons, pixels]; what is written into it is the layer's."""

    def restart(self) -> None:
        """Forget all that was learned but the weights."""

    def run(self, inputs: Tensor, scale: float | None) -> Tensor:
        """Spikes 0/1 [steps, n, neurons] of one batch [steps, n, pixels]; learns by ``scale``, if at all."""


class TorchPlastic:
    """``Plastic`` of tasks/plasticity/protocol.py around a ``Layer``.

    Raises:
        Unsupported: mixed precision is asked for.
    """

    def __init__(self, task: Task, settings: Settings, layer: Layer) -> None:
        self.task, self.layer = task, layer
        self.device, self.dtype = placed(settings)

    def load_weights(self, weights: Array) -> None:
        """See the protocol."""
        with torch.no_grad():
            self.layer.weight.copy_(torch.as_tensor(weights))
        self.layer.restart()

    def weights(self) -> Array:
        """See the protocol."""
        return self.layer.weight.detach().cpu().numpy().copy()

    @torch.no_grad()
    def train(self, images: Pictures, scales: Array) -> Array:
        """See the protocol."""
        batches = zip(torch.tensor(images, device=self.device), scales, strict=True)
        return _joined([self.layer.run(self._encode(batch), float(scale)).sum(0) for batch, scale in batches])

    @torch.no_grad()
    def respond(self, images: Pictures) -> Array:
        """See the protocol."""
        batches = torch.tensor(images, device=self.device).split(self.task.batch)
        return _joined([self.layer.run(self._encode(batch), None).sum(0) for batch in batches])

    @torch.no_grad()
    def trace(self, inputs: Array, scale: float | None) -> Array:
        """See the protocol."""
        given = torch.tensor(inputs, device=self.device, dtype=self.dtype)
        return self.layer.run(given, scale).cpu().numpy()

    def _encode(self, images: Tensor) -> Tensor:
        """Inputs [steps, n, pixels] of images uint8 [n, pixels], as the task says."""
        intensity = images.to(self.dtype) / 255
        if self.task.encoder == "direct":
            return intensity.expand(self.task.steps, *intensity.shape)
        draws = torch.rand(self.task.steps, *images.shape, device=self.device, dtype=self.dtype)
        return (draws < self.task.rate * intensity).to(self.dtype)


def placed(settings: Settings) -> tuple[torch.device, torch.dtype]:
    """Where and in what precision a layer lives.

    Raises:
        Unsupported: in mixed precision, which has no meaning without gradients.
    """
    if settings.precision == "amp":
        raise Unsupported("a layer that learns without gradients has no mixed precision")
    dtype = torch.float64 if settings.precision == "float64" else torch.float32
    return torch.device(settings.device), dtype


def _joined(parts: list[Tensor]) -> Array:
    counts: Array = torch.cat(parts).cpu().numpy().astype(np.float32)
    return counts
