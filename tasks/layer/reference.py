"""The layer in NumPy, float64: what every adapter is held against."""

from __future__ import annotations

import numpy as np

from tasks.layer.protocol import Passed
from tasks.layer.spec import ALPHA, TAU, THRESHOLD, Float, Flow


def run(flow: Flow, first: int) -> Passed:
    """One pass for the first neurons.

    A neuron knows nothing of the others, so their spikes and their rows of the weight gradient are right
    whatever ``first`` is.  With weights, ``input_gradient`` is right only where all neurons are asked for.
    """
    inputs = flow.inputs.astype(np.float64)
    gradient = flow.gradient[..., :first].astype(np.float64)
    if flow.weight is None:
        spikes, back = neurons(inputs[..., :first], gradient)
        return Passed(spikes=spikes, input_gradient=back, weight_gradient=None)
    weight = flow.weight[:first].astype(np.float64)
    spikes, back = neurons(inputs @ weight.T, gradient)
    return Passed(
        spikes=spikes,
        input_gradient=(back @ weight)[..., :first],
        weight_gradient=np.einsum("tni,tnj->ij", back, inputs, optimize=True),
    )


def neurons(current: Float, gradient: Float) -> tuple[Float, Float]:
    """Spikes of a current [steps, batch, n], and d loss / d current from d loss / d spikes, as large."""
    charged, spikes = np.empty_like(current), np.empty_like(current)
    v = np.zeros_like(current[0])
    for t, x in enumerate(current):
        charged[t] = v + (x - v) / TAU
        spikes[t] = charged[t] >= THRESHOLD
        v = charged[t] * (1 - spikes[t])
    surrogate = ALPHA / 2 / (1 + (np.pi / 2 * ALPHA * (charged - THRESHOLD)) ** 2)
    back = np.empty_like(current)
    to_v = np.zeros_like(v)  # d loss / d membrane after reset
    for t in reversed(range(len(current))):
        to_spikes = gradient[t] - to_v * charged[t]
        to_charged = to_v * (1 - spikes[t]) + to_spikes * surrogate[t]
        back[t] = to_charged / TAU
        to_v = to_charged * (1 - 1 / TAU)
    return spikes, back
