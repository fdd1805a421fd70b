"""Spike-timing-dependent plasticity from scratch in plain torch: matrix products over all of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from adapters.torch_family.plasticity import TorchPlastic, placed
from tasks.plasticity.spec import Naive, Stdp, Task
from tasks.protocol import Settings


class Competing:
    """The layer of ``Stdp``; only winners learn, so that their rows of the weights alone are touched."""

    def __init__(self, task: Stdp, settings: Settings) -> None:
        self.task = task
        device, dtype = placed(settings)
        self.weight = torch.zeros(task.neurons, task.pixels, device=device, dtype=dtype)
        self.theta = torch.zeros(task.neurons, device=device, dtype=dtype)

    def restart(self) -> None:
        """See ``Layer``."""
        self.theta.zero_()

    def run(self, inputs: Tensor, scale: float | None) -> Tensor:
        """See ``Layer``; the weights hold still during a batch, so that one product gives all currents."""
        task, keep = self.task, 1 - 1 / self.task.tau_membrane
        currents = (inputs.flatten(0, 1) @ self.weight.T).mul_(task.gain).unflatten(0, inputs.shape[:2])
        spikes = torch.zeros_like(currents)
        membrane = torch.zeros_like(currents[0])
        for step, current in enumerate(currents):
            membrane.mul_(keep).add_(current)
            height, winner = (membrane - (self.theta + task.threshold)).max(1, keepdim=True)
            fired = height >= 0
            spikes[step].scatter_(1, winner, fired.to(spikes.dtype))
            membrane.masked_fill_(fired, 0)
            if scale is not None:
                count = spikes[step].sum(0)
                self.theta.add_(count - count.mean(), alpha=scale * task.tplus)
        if scale is not None:
            step, sample, winner = spikes.nonzero(as_tuple=True)
            self.weight.index_add_(0, winner, self._traces(inputs)[step, sample], alpha=scale * task.eta)
            self.weight.mul_(task.norm / self.weight.norm(dim=1, keepdim=True))
        return spikes

    def _traces(self, inputs: Tensor) -> Tensor:
        """The traces of the pixels after every step, in the shape of the inputs."""
        traces = inputs / (self.task.rate * self.task.tau_trace)
        for step in range(1, len(traces)):
            traces[step].add_(traces[step - 1], alpha=1 - 1 / self.task.tau_trace)
        return traces


class Independent:
    """The layer of ``Naive``."""

    def __init__(self, task: Naive, settings: Settings) -> None:
        self.task = task
        device, dtype = placed(settings)
        self.weight = torch.zeros(task.neurons, task.pixels, device=device, dtype=dtype)

    def restart(self) -> None:
        """See ``Layer``: nothing but weights is learned."""

    def run(self, inputs: Tensor, scale: float | None) -> Tensor:
        """See ``Layer``."""
        task = self.task
        currents = inputs @ self.weight.T
        membrane, post = torch.zeros_like(currents[0]), torch.zeros_like(currents[0])
        pre, change = torch.zeros_like(inputs[0]), torch.zeros_like(self.weight)
        spikes = torch.zeros_like(currents)
        for step, (x, current) in enumerate(zip(inputs, currents, strict=True)):
            membrane = membrane + (current - membrane) / task.tau
            fired = (membrane >= task.threshold).to(membrane.dtype)
            membrane = membrane * (1 - fired)
            spikes[step] = fired
            if scale is not None:
                pre = pre - pre / task.tau + x
                post = post - post / task.tau + fired
                change += fired.T @ pre - post.T @ x
        if scale is not None:
            force = self.weight.clamp(-task.limit, task.limit)
            self.weight.add_(force * change, alpha=scale * task.lr).clamp_(-task.limit, task.limit)
        return spikes


def plastic(task: Task, settings: Settings) -> TorchPlastic:
    """Variant ``products``."""
    layer = Competing(task, settings) if isinstance(task, Stdp) else Independent(task, settings)
    return TorchPlastic(task, settings, layer)
