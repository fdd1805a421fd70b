"""The NEF tasks as a Nengo user writes them: ensembles, connections and probes, with the model's neurons."""

from __future__ import annotations

from typing import Any

import nengo
from nengo.solvers import NoSolver

from tasks.nef.model import Model
from tasks.nef.spec import FUNCTIONS, Nef


class Network:
    """One model, written into the ``nengo.Network`` that is open: its probes.

    ``sources``: the node of each input of the task, one value each.  ``decoded`` and ``spikes`` (by
    ensemble; amplitude / dt where a neuron fires, else 0) are the probes.  ``amplitude`` makes that a rate
    per second where the task's times are in another unit.
    """

    def __init__(
        self, task: Nef, model: Model, sources: dict[str, nengo.Node], *, amplitude: float = 1
    ) -> None:
        ensembles = {}
        for ensemble in task.ensembles:
            population = model.populations[ensemble.name]
            ensembles[ensemble.name] = nengo.Ensemble(
                ensemble.neurons,
                ensemble.dimensions,
                radius=ensemble.radius,
                encoders=population.encoders,
                normalize_encoders=False,  # they are, and once more would change their last digit
                gain=population.gain,
                bias=population.bias,
                neuron_type=nengo.LIF(
                    tau_rc=task.tau_rc,
                    tau_ref=task.tau_ref,
                    amplitude=amplitude,
                    initial_state={"voltage": population.voltage},
                ),
            )
        for connection in task.connections:
            target = ensembles[connection.target][connection.arrives]
            how: dict[str, Any] = {"synapse": connection.synapse, "transform": connection.transform}
            if connection.source in sources:
                nengo.Connection(sources[connection.source], target, **how)
                continue
            decoders = model.decoders[connection.source, connection.function]
            nengo.Connection(
                ensembles[connection.source],
                target,
                function=FUNCTIONS[connection.function],
                solver=NoSolver(decoders),
                **how,
            )
        self.decoded = nengo.Probe(
            ensembles[task.output],
            synapse=task.probe_synapse,
            solver=NoSolver(model.decoders[task.output, "identity"]),
        )
        self.spikes = {name: nengo.Probe(ensemble.neurons) for name, ensemble in ensembles.items()}
