"""BindsNET: its own network, encoder and learning rule, with the settings of its own batched example.

BindsNET is licensed AGPL-3.0-only: who hands on an environment in which this file runs with it, or serves it
to others over a network, is bound by that licence.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from bindsnet.encoding import poisson
from bindsnet.models import DiehlAndCook2015
from bindsnet.network.monitors import Monitor

from adapters.torch_family import settings as family
from tasks.plasticity.protocol import Array, Pictures
from tasks.plasticity.spec import Stdp, Task
from tasks.protocol import Build, Settings, Unsupported

STEPS = 100  # of 1 ms
INTENSITY = 128.0  # Hz of a white pixel
EXCITATION, INHIBITION = 22.5, 120.0
THETA_PLUS = 0.05
RATES = (1e-4, 1e-2)  # after spikes of the input and of the output
NORM = 78.4  # sum of the weights of a neuron


class DiehlCook:
    """``OpenPlastic`` of tasks/plasticity/protocol.py; batches are as large as the task's.

    Raises:
        Unsupported: the task is about other neurons, or another precision than float32 is asked for.
    """

    steps = STEPS

    def __init__(self, task: Task, settings: Settings) -> None:
        if not isinstance(task, Stdp):
            raise Unsupported(
                "BindsNET runs networks of its own, so that it fails in no way that a task asks for"
            )
        if settings.precision != "float32":
            raise Unsupported(f"BindsNET computes in float32, not in {settings.precision}")
        self.task = task
        self.net = DiehlAndCook2015(
            n_inpt=task.pixels,
            n_neurons=task.neurons,
            batch_size=task.batch,
            exc=EXCITATION,
            inh=INHIBITION,
            nu=RATES,
            norm=NORM,
            theta_plus=THETA_PLUS,
        )
        self.monitor = Monitor(self.net.layers["Ae"], state_vars=["s"], time=STEPS)
        self.net.add_monitor(self.monitor, name="spikes")

    @property
    def network(self) -> str:
        """See the protocol."""
        pixels, neurons = self.task.pixels, self.task.neurons
        return f"{pixels} - {neurons} excitatory - {neurons} inhibitory (DiehlAndCook2015), T = {STEPS}"

    def load_weights(self, weights: Array) -> None:
        """See the protocol: BindsNET draws its own."""

    def weights(self) -> Array:
        """See the protocol."""
        (weight,) = (part.value for part in self.net.connections["X", "Ae"].pipeline)
        return weight.detach().numpy().T.copy()

    def train(self, images: Pictures, scales: Array) -> Array:
        """See the protocol; rates of learning stay as they are."""
        self.net.train(True)
        return np.concatenate([self._run(batch) for batch in images])

    def respond(self, images: Pictures) -> Array:
        """See the protocol."""
        self.net.train(False)
        starts = range(0, len(images), self.task.batch)
        return np.concatenate([self._run(images[start : start + self.task.batch]) for start in starts])

    @torch.no_grad()
    def _run(self, images: Pictures) -> Array:
        """Output spikes [n, neurons] of images [n, pixels]."""
        rates = torch.tensor(images, dtype=torch.float32) * (INTENSITY / 255)
        self.net.run(inputs={"X": poisson(rates, time=STEPS)}, time=STEPS)
        counts = self.monitor.get("s").sum(0)
        self.net.reset_state_variables()
        return counts.numpy().astype(np.float32)


versions = partial(family.versions, "bindsnet")
configure = family.configure
sync = family.sync
device_memory = family.device_memory
VARIANTS: dict[str, Build] = {"diehl_cook": DiehlCook}
