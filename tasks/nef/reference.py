"""The truth of the NEF tasks: a float64 NumPy simulator, written ensemble by ensemble.

It equals Nengo core step for step (tests/test_nengo.py), spike by spike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.nef.model import Model, stack
from tasks.nef.spec import Float, Nef


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """``decoded`` [seeds, steps, outputs] and ``spikes`` by ensemble [seeds, steps, neurons]."""

    decoded: Float
    spikes: Mapping[str, NDArray[np.bool_]]


class Lif:
    """LIF neurons of any shape with exact integration; the equations are those of ``tasks.nef.Nef``."""

    def __init__(self, task: Nef, voltage: Float) -> None:
        self.dt, self.tau_rc, self.tau_ref = task.dt, task.tau_rc, task.tau_ref
        self.voltage = voltage.copy()
        self.refractory = np.zeros_like(voltage)

    def step(self, current: Float) -> NDArray[np.bool_]:
        """Which neurons spike under ``current`` during this step."""
        self.refractory -= self.dt
        open_for = np.clip(self.dt - self.refractory, 0, self.dt)
        self.voltage -= (current - self.voltage) * np.expm1(-open_for / self.tau_rc)
        spikes = self.voltage > 1
        overshoot = (self.voltage[spikes] - 1) / (current[spikes] - 1)
        self.refractory[spikes] = self.tau_ref + (self.dt + self.tau_rc * np.log1p(-overshoot))
        self.voltage = np.where(spikes, 0, np.maximum(self.voltage, 0))
        return spikes


def simulate(task: Nef, models: Sequence[Model], inputs: Float) -> Truth:
    """Simulate every model from its initial state on the same inputs [steps, inputs]."""
    model = stack(models)
    count, steps = len(models), len(inputs)
    neurons = {name: Lif(task, population.voltage) for name, population in model.populations.items()}
    spikes = {e.name: np.zeros((count, steps, e.neurons), bool) for e in task.ensembles}
    dimensions = {ensemble.name: ensemble.dimensions for ensemble in task.ensembles}
    decoded = np.empty((count, steps, dimensions[task.output]))
    probe = np.zeros((count, dimensions[task.output]))
    keep_probe = np.exp(-task.dt / task.probe_synapse)
    keep = [np.exp(-task.dt / connection.synapse) for connection in task.connections]
    filtered = [np.zeros((count, dimensions[c.target])) for c in task.connections]

    for step, drive in enumerate(inputs):
        for ensemble in task.ensembles:
            arriving = zip(task.connections, filtered, strict=True)
            x = sum(
                (state for connection, state in arriving if connection.target == ensemble.name),
                start=np.zeros((count, ensemble.dimensions)),
            )
            population = model.populations[ensemble.name]
            projected = np.einsum("snd,sd->sn", population.encoders, x) / ensemble.radius
            current = population.gain * projected + population.bias
            spikes[ensemble.name][:, step] = neurons[ensemble.name].step(current)
        values = {
            key: np.einsum("sno,sn->so", decoders, spikes[key[0]][:, step] / task.dt)
            for key, decoders in model.decoders.items()
        }
        decoded[:, step] = probe
        probe = keep_probe * probe + (1 - keep_probe) * values[task.output, "identity"]
        for index, connection in enumerate(task.connections):
            if connection.source in task.inputs:
                value = np.full((count, 1), drive[task.inputs.index(connection.source)])
            else:
                value = values[connection.source, connection.function]
            arrived = np.zeros_like(filtered[index])
            arrived[:, connection.arrives] = connection.transform * value
            filtered[index] = keep[index] * filtered[index] + (1 - keep[index]) * arrived
    return Truth(decoded=decoded, spikes=spikes)
