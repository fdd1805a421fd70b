"""Inference parity of Nengo core in the closed division: ``python -m adapters.nengo.parity``.

The reference neuron as a custom neuron type, stepped by Nengo's own simulator.  Core has no gradients, so
that nothing can be trained there; the forward pass is compared with tasks/reference.py, spike by spike, on
every probe of one layer: LIF for fc_lif, IF for csnn, whose max-pooling Nengo has not.
"""

from __future__ import annotations

import sys

import nengo
import numpy as np

from adapters.nengo_family.membrane import Membrane
from adapters.protocol import Array
from bench.probes import Probe, probes
from tasks import reference
from tasks.classify import csnn, fc_lif
from tasks.spec import Flatten, Linear, Spike


def output_spikes(probe: Probe) -> Array:
    """Spikes [T, N, outputs] of Flatten - Linear - Spike; the samples lie side by side in one ensemble.

    Raises:
        ValueError: the probe's network has other layers.
    """
    match probe.task.layers:
        case (Flatten(), Linear(), Spike() as layer):
            weight = probe.weights["1.weight"]
        case _:
            raise ValueError(f"{probe.name}: {probe.task.network} is no Flatten - Linear - Spike")
    steps, samples = probe.inputs.shape[:2]
    currents = probe.inputs.reshape(steps, samples, -1) @ weight.T
    count = samples * len(weight)
    with nengo.Network(seed=0) as network:
        node = nengo.Node(lambda t: currents[round(t) - 1].ravel(), size_out=count)
        ensemble = nengo.Ensemble(
            count, 1, neuron_type=Membrane(layer.neuron), gain=np.ones(count), bias=np.zeros(count)
        )
        nengo.Connection(node, ensemble.neurons, synapse=None)
        spikes = nengo.Probe(ensemble.neurons)
    with nengo.Simulator(network, dt=1, progress_bar=False) as simulator:
        simulator.run_steps(steps, progress_bar=False)
        return simulator.data[spikes].reshape(steps, samples, -1)


def main() -> int:
    """Print the spikes that differ on every probe; the exit status is 1 if any does."""
    different = 0
    nengo.rc.set("precision", "bits", "64")
    for probe in (*probes(fc_lif()), *probes(csnn())):
        if len(probe.task.layers) > 3:
            continue
        truth = reference.run(probe.task.layers, probe.weights, probe.inputs, probe.codes, training=False)
        wrong = int((output_spikes(probe) != truth.spikes[-1]).sum())
        print(f"{probe.name}: {wrong} of {truth.spikes[-1].size} spikes differ")
        different += wrong
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
