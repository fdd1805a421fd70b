"""A NEF network as a few matrices: what a simulator that steps all ensembles at once computes with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.nef.model import Model, stack
from tasks.nef.spec import Float, Nef


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrices:
    """A network as one layer of neurons around one vector of F filtered values, the last of them the probe's.

    Per step, from filtered = 0:  current = encoders @ filtered + bias;  decoded = the probe's filtered;
    filtered <- keep * filtered + spikes @ decoders + inputs @ from_inputs.

    ``encoders`` and ``decoders`` [seeds, neurons, F]; ``bias`` and ``voltage`` [seeds, neurons];
    ``from_inputs`` [inputs, F]; ``keep`` [F].  ``rows``: which of the neurons are an ensemble's.
    """

    encoders: Float
    bias: Float
    voltage: Float
    decoders: Float
    from_inputs: Float
    keep: Float
    rows: dict[str, slice]


def matrices(task: Nef, models: Sequence[Model]) -> Matrices:
    """The matrices of a network, its ensembles in their order one after the other."""
    model = stack(models)
    sizes = {e.name: e.dimensions for e in task.ensembles}
    ends = np.cumsum([e.neurons for e in task.ensembles])
    rows = {e.name: slice(end - e.neurons, end) for e, end in zip(task.ensembles, ends, strict=True)}
    channels = sum(sizes[c.target] for c in task.connections) + sizes[task.output]
    encoders = np.zeros((len(models), ends[-1], channels))
    decoders = np.zeros_like(encoders)
    from_inputs = np.zeros((len(task.inputs), channels))
    keep = np.empty(channels)
    start = 0
    for connection in task.connections:
        to = slice(start, start + sizes[connection.target])
        start = to.stop
        keep[to] = np.exp(-task.dt / connection.synapse)
        population = model.populations[connection.target]
        scale = population.gain / task.ensemble(connection.target).radius
        encoders[:, rows[connection.target], to] = scale[..., None] * population.encoders
        arrives = range(to.start, to.stop)[connection.arrives]
        factor = connection.transform * (1 - keep[arrives])
        if connection.source in task.inputs:
            from_inputs[task.inputs.index(connection.source), arrives] = factor
        else:
            decoder = model.decoders[connection.source, connection.function]
            decoders[:, rows[connection.source], arrives] = decoder * factor / task.dt
    keep[start:] = np.exp(-task.dt / task.probe_synapse)
    decoder = model.decoders[task.output, "identity"]
    decoders[:, rows[task.output], start:] = decoder * (1 - keep[start:]) / task.dt
    populations = [model.populations[e.name] for e in task.ensembles]
    return Matrices(
        encoders=encoders,
        bias=np.concatenate([population.bias for population in populations], axis=1),
        voltage=np.concatenate([population.voltage for population in populations], axis=1),
        decoders=decoders,
        from_inputs=from_inputs,
        keep=keep,
        rows=rows,
    )
