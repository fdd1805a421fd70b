"""Spike-timing-dependent plasticity by SpikingJelly's own STDPLearner, Linear and neurons, step by step."""

from __future__ import annotations

import torch
from spikingjelly.activation_based import functional, layer, learning, neuron
from torch import Tensor, nn

from adapters.torch_family.plasticity import TorchPlastic, placed
from tasks.plasticity.spec import Naive, Stdp, Task
from tasks.protocol import Settings


class Winners(neuron.SimpleBaseNode):
    """A node in which the neuron that is furthest above its own threshold fires, and all are then reset."""

    def __init__(self, task: Stdp) -> None:
        super().__init__(v_threshold=task.threshold, v_reset=0.0, step_mode="s")
        self.v: Tensor
        self.task = task
        self.scale: float | None = None  # of what is learned in this batch
        self.register_buffer("theta", torch.zeros(task.neurons))

    def neuronal_charge(self, x: Tensor) -> None:
        """Leak and integrate the currents [n, neurons]."""
        self.v = self.v - self.v / self.task.tau_membrane + self.task.gain * x

    def neuronal_fire(self) -> Tensor:
        """Spikes 0/1 [n, neurons], at most one a sample."""
        height, winner = (self.v - self.v_threshold - self.theta).max(1, keepdim=True)
        return torch.zeros_like(self.v).scatter_(1, winner, (height >= 0).to(self.v))

    def neuronal_reset(self, spike: Tensor) -> None:
        """Back to 0 where anybody has fired; who fires more than others gets harder to fire."""
        self.v = self.v.masked_fill(spike.any(1, keepdim=True), self.v_reset)
        if self.scale is not None:
            count = spike.sum(0)
            self.theta += self.scale * self.task.tplus * (count - count.mean())


class _Learning:
    """A Linear, a node and the learner that watches both."""

    def __init__(self, settings: Settings, synapse: nn.Module, node: nn.Module) -> None:
        device, dtype = placed(settings)
        self.net = nn.Sequential(synapse, node).to(device, dtype).requires_grad_(False)
        self.synapse, self.node = synapse, node

    @property
    def weight(self) -> Tensor:
        """[neurons, pixels]."""
        return self.synapse.weight

    def steps(self, inputs: Tensor, learner: learning.STDPLearner, *, learns: bool) -> tuple[Tensor, Tensor]:
        """Spikes [steps, n, neurons], and what the learner has to add to the weights [neurons, pixels]."""
        functional.reset_net(self.net)
        learner.reset()
        spikes, change = [], torch.zeros_like(self.weight)
        if learns:
            learner.enable()
        else:
            learner.disable()
        for x in inputs:
            spikes.append(self.net(x))
            if learns:
                change += learner.step(on_grad=False)
        return torch.stack(spikes), change


class Competing(_Learning):
    """The layer of ``Stdp``: potentiation alone, of the same size whatever the weight."""

    def __init__(self, task: Stdp, settings: Settings) -> None:
        synapse = layer.Linear(task.pixels, task.neurons, bias=False, step_mode="s")
        super().__init__(settings, synapse, Winners(task))
        self.task = task
        self.learner = learning.STDPLearner(
            "s",
            self.synapse,
            self.node,
            tau_pre=task.tau_trace,
            tau_post=task.tau_trace,
            f_pre=torch.zeros_like,
            f_post=torch.ones_like,
        )

    def restart(self) -> None:
        """See ``Layer``."""
        self.node.theta.zero_()

    def run(self, inputs: Tensor, scale: float | None) -> Tensor:
        """See ``Layer``; the learner's traces count spikes, the task's have the pixel's value as mean."""
        self.node.scale = scale
        spikes, change = self.steps(inputs, self.learner, learns=scale is not None)
        if scale is not None:
            unit = self.task.rate * self.task.tau_trace
            self.weight.add_(change, alpha=scale * self.task.eta / unit)
            self.weight.mul_(self.task.norm / self.weight.norm(dim=1, keepdim=True))
        return spikes


class Independent(_Learning):
    """The layer of ``Naive``, as SpikingJelly's tutorial sets it up, with clamped weights."""

    def __init__(self, task: Naive, settings: Settings) -> None:
        synapse = layer.Linear(task.pixels, task.neurons, bias=False, step_mode="s")
        node = neuron.LIFNode(
            tau=task.tau, decay_input=True, v_threshold=task.threshold, v_reset=0.0, step_mode="s"
        )
        super().__init__(settings, synapse, node)
        self.task = task
        self.learner = learning.STDPLearner(
            "s",
            self.synapse,
            self.node,
            tau_pre=task.tau,
            tau_post=task.tau,
            f_pre=self._force,
            f_post=self._force,
        )

    def _force(self, weight: Tensor) -> Tensor:
        return weight.clamp(-self.task.limit, self.task.limit)

    def restart(self) -> None:
        """See ``Layer``: nothing but weights is learned."""

    def run(self, inputs: Tensor, scale: float | None) -> Tensor:
        """See ``Layer``."""
        spikes, change = self.steps(inputs, self.learner, learns=scale is not None)
        if scale is not None:
            self.weight.add_(change, alpha=scale * self.task.lr).clamp_(-self.task.limit, self.task.limit)
        return spikes


def plastic(task: Task, settings: Settings) -> TorchPlastic:
    """Variant ``learner``."""
    made = Competing(task, settings) if isinstance(task, Stdp) else Independent(task, settings)
    return TorchPlastic(task, settings, made)
