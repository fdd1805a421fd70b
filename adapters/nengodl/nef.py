"""The NEF tasks in NengoDL: every model is a subnetwork of one network, stepped inside of TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import nengo
import numpy as np
import tensorflow as tf

from adapters.nengo_family.nef import Network
from adapters.nengodl.shim import nengo_dl
from tasks.nef.model import Model
from tasks.nef.protocol import Array, NefResult
from tasks.nef.spec import Nef
from tasks.protocol import Settings, Unsupported


def _in_steps(task: Nef) -> Nef:
    """The task with the step as its unit of time, in which float32 has its constants exactly."""
    return replace(
        task,
        dt=1.0,
        tau_rc=task.tau_rc / task.dt,
        tau_ref=task.tau_ref / task.dt,
        probe_synapse=task.probe_synapse / task.dt,
        connections=tuple(replace(c, synapse=c.synapse / task.dt) for c in task.connections),
    )


class NengoDLNef:
    """``NefSimulator`` of tasks/nef/protocol.py with NengoDL's own LIF neurons.

    Raises:
        Unsupported: mixed precision is asked for.
    """

    def __init__(self, task: Nef, settings: Settings, models: Sequence[Model]) -> None:
        if settings.precision == "amp":
            raise Unsupported("NengoDL's simulator computes in one precision: no mixed precision")
        self.dtype = settings.precision
        with nengo.Network(seed=0) as network:
            nengo_dl.configure_settings(dtype=self.dtype, inference_only=True, stateful=False)
            sources = {name: nengo.Node(np.zeros(1)) for name in task.inputs}
            self.networks = []
            for model in models:
                with nengo.Network():
                    self.networks.append(Network(_in_steps(task), model, sources, amplitude=1 / task.dt))
        with nengo_dl.Simulator(network, dt=1, minibatch_size=1, progress_bar=False, seed=0) as simulator:
            self.model = simulator.keras_model  # which outlives the simulator
            self.probes = simulator.model.probes  # in the order of its outputs
        # of any length, so that another number of steps is not another graph
        signature = [tf.TensorSpec([None, len(task.inputs)], self.dtype)]
        self._run = tf.function(self._run_eagerly, input_signature=signature)

    def _run_eagerly(self, inputs: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Inputs [steps, inputs] to decoded values and spikes as of ``NefResult``."""
        values = [value[None, :, None] for value in tf.unstack(inputs, axis=1)]
        steps = tf.reshape(tf.shape(inputs)[0], [1, 1])
        *outputs, _ = self.model([*values, steps], training=False)
        seen = dict(zip(self.probes, outputs, strict=True))
        decoded = tf.concat([seen[network.decoded] for network in self.networks], axis=0)
        spikes = {
            name: tf.concat([seen[network.spikes[name]] for network in self.networks], axis=0) > 0
            for name in self.networks[0].spikes
        }
        return decoded, spikes

    def run(self, inputs: Array) -> NefResult:
        """See the protocol."""
        decoded, spikes = self._run(tf.constant(inputs, self.dtype))
        return NefResult(
            decoded=decoded.numpy(), spikes={name: fired.numpy() for name, fired in spikes.items()}
        )
