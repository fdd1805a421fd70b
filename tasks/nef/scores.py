"""The ideal of a task, and how far from it decoded values are."""

from __future__ import annotations

import numpy as np

from tasks.nef.spec import FUNCTIONS, Float, Nef

SKIP_SECONDS = 0.2  # before the networks have settled, nothing is scored


def ideal(task: Nef, inputs: Float) -> Float:
    """Decoded output [steps, dimensions] for inputs [steps, inputs] if every ensemble were its function.

    The same filters and the same delays (one step for each), without any neuron.
    """
    size = {name: 1 for name in task.inputs} | {e.name: e.dimensions for e in task.ensembles}
    keep = [np.exp(-task.dt / connection.synapse) for connection in task.connections]
    keep_probe = np.exp(-task.dt / task.probe_synapse)
    filtered = [np.zeros(size[connection.target]) for connection in task.connections]
    probe = np.zeros(size[task.output])
    decoded = np.empty((len(inputs), size[task.output]))
    for step, drive in enumerate(inputs):
        values = {name: drive[index : index + 1] for index, name in enumerate(task.inputs)}
        values |= {ensemble.name: np.zeros(ensemble.dimensions) for ensemble in task.ensembles}
        for connection, state in zip(task.connections, filtered, strict=True):
            values[connection.target] = values[connection.target] + state
        decoded[step] = probe
        probe = keep_probe * probe + (1 - keep_probe) * values[task.output]
        for index, connection in enumerate(task.connections):
            arriving = np.zeros(size[connection.target])
            value = FUNCTIONS[connection.function](values[connection.source])
            arriving[connection.arrives] = connection.transform * value
            filtered[index] = keep[index] * filtered[index] + (1 - keep[index]) * arriving
    return decoded


def rmse(task: Nef, decoded: Float, expected: Float) -> Float:
    """Root mean square error per seed [seeds] of decoded [seeds, steps, d] against the ideal [steps, d]."""
    error = (decoded - expected)[:, _settled(task) :]
    result: Float = np.sqrt((error**2).mean(axis=(1, 2)))
    return result


def mean_output(task: Nef, decoded: Float) -> Float:
    """Mean over time (and dimensions) per seed [seeds] of decoded [seeds, steps, d]."""
    mean: Float = decoded[:, _settled(task) :].mean(axis=(1, 2))
    return mean


def bias(task: Nef, decoded: Float, expected: Float) -> Float:
    """Mean error, with its sign, per seed [seeds]; arguments as of ``rmse``."""
    return mean_output(task, decoded) - mean_output(task, expected[None])


def drift(task: Nef, decoded: Float, hold: tuple[float, float]) -> Float:
    """Slope (1/s) per seed [seeds] of the straight line fitted to decoded [seeds, steps, 1] during hold."""
    first, last = (round(second / task.dt) for second in hold)
    time = (np.arange(first, last) - (first + last - 1) / 2) * task.dt
    slope: Float = decoded[:, first:last, 0] @ time / (time @ time)
    return slope


def _settled(task: Nef) -> int:
    return round(SKIP_SECONDS / task.dt)
