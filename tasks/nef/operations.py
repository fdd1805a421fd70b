"""What a simulated step of one network takes at least, counted as NeuroBench counts synaptic operations.

See tasks/classify/operations.py; encoders and decoders are the weights.  Encoders are passed by values
(multiply-accumulations), decoders by spikes (accumulations).  The neurons' own update is no synaptic
operation and isn't counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tasks.nef.spec import FUNCTIONS, Function, Nef

NUMBER_BYTES = 4  # float32
SPIKE_BYTES = 1  # a bool


def synaptic_operations(task: Nef, rates: Mapping[str, float]) -> dict[str, float]:
    """Operations per network and step; ``rates`` are the spikes per neuron and step of every ensemble."""
    encoded = float(sum(ensemble.neurons * ensemble.dimensions for ensemble in task.ensembles))
    decoders = {pair: task.ensemble(pair[0]).neurons * _outputs(task, *pair) for pair in task.decoded}
    return {
        "dense": encoded + sum(decoders.values()),
        "macs": encoded,
        "acs": sum(rates[name] * count for (name, _), count in decoders.items()),
    }


def least_bytes(task: Nef) -> int:
    """Bytes per network and step that pass the memory in any case: input, decoded value, and all spikes."""
    numbers = len(task.inputs) + task.ensemble(task.output).dimensions
    return NUMBER_BYTES * numbers + SPIKE_BYTES * sum(ensemble.neurons for ensemble in task.ensembles)


def _outputs(task: Nef, name: str, function: Function) -> int:
    """Dimensions of what is decoded from an ensemble."""
    value = np.zeros((1, task.ensemble(name).dimensions))
    return int(FUNCTIONS[function](value).shape[-1])
