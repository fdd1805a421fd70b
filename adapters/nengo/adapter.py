"""Nengo core: the NEF tasks in its simulator, and its own way to classify."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from functools import partial

import nengo
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from adapters.nengo.classify import LeastSquaresClassifier
from adapters.nengo.inference import InferenceClassifier
from adapters.nengo_family.nef import Network
from tasks.nef.model import Model
from tasks.nef.protocol import Array, NefResult
from tasks.nef.spec import Nef
from tasks.protocol import Build, Settings, Unsupported


class Together:
    """``NefSimulator`` of tasks/nef/protocol.py: every model is a subnetwork of one network."""

    def __init__(self, task: Nef, models: Sequence[Model]) -> None:
        self.inputs: Array = np.zeros((0, len(task.inputs)))
        with nengo.Network(seed=0) as network:
            sources = {name: self._node(task, index) for index, name in enumerate(task.inputs)}
            self.networks = []
            for model in models:
                with nengo.Network():
                    self.networks.append(Network(task, model, sources))
        self.simulator = nengo.Simulator(network, dt=task.dt, progress_bar=False)

    def _node(self, task: Nef, index: int) -> nengo.Node:
        return nengo.Node(lambda t: self.inputs[round(t / task.dt) - 1, index], size_out=1)

    def run(self, inputs: Array) -> NefResult:
        """See the protocol."""
        self.inputs = inputs
        self.simulator.reset()
        self.simulator.run_steps(len(inputs), progress_bar=False)
        data = self.simulator.data
        return NefResult(
            decoded=np.stack([data[network.decoded] for network in self.networks]),
            spikes={
                name: np.stack([data[network.spikes[name]] > 0 for network in self.networks])
                for name in self.networks[0].spikes
            },
        )


class Apart:
    """``NefSimulator`` of tasks/nef/protocol.py: every model has its own simulator."""

    def __init__(self, task: Nef, models: Sequence[Model]) -> None:
        self.simulators = [Together(task, [model]) for model in models]

    def run(self, inputs: Array) -> NefResult:
        """See the protocol."""
        results = [simulator.run(inputs) for simulator in self.simulators]
        return NefResult(
            decoded=np.concatenate([result.decoded for result in results]),
            spikes={
                name: np.concatenate([result.spikes[name] for result in results])
                for name in results[0].spikes
            },
        )


def nef_simulator(
    task: Nef, settings: Settings, models: Sequence[Model], *, kind: type[Together] | type[Apart]
) -> Together | Apart:
    """Variants ``together`` and ``apart``."""
    if settings.precision == "amp":
        raise Unsupported("Nengo has no mixed precision")
    nengo.rc.set("precision", "bits", settings.precision.removeprefix("float"))
    nengo.rc.set("decoder_cache", "enabled", "False")  # the decoders are given
    return kind(task, models)


def configure(settings: Settings) -> dict[str, object]:
    """Set NumPy's threads; there is no TF32, cuDNN or chance in it, so that what was asked of those holds.

    Raises:
        Unsupported: another device than the CPU is asked for.
    """
    if settings.device != "cpu":
        raise Unsupported("Nengo core runs on the CPU alone")
    threadpool_limits(settings.threads)
    threads = {pool["num_threads"] for pool in threadpool_info()}
    return {
        "device": "cpu",
        "threads": threads.pop() if len(threads) == 1 else sorted(threads),
        "tf32": settings.tf32,
        "cudnn_benchmark": settings.cudnn_benchmark,
        "deterministic": settings.deterministic,
        "seed": settings.seed,
    }


def versions() -> dict[str, str]:
    """Versions of Python, Nengo and the libraries that do its work."""
    found = {name: importlib.metadata.version(name) for name in ("nengo", "numpy", "scipy")}
    return {"python": platform.python_version()} | found


def sync() -> None:
    """Nothing is ever pending on the CPU."""


def device_memory() -> None:
    """There is no device."""


VARIANTS: dict[str, Build] = {
    "apart": partial(nef_simulator, kind=Apart),
    "together": partial(nef_simulator, kind=Together),
    "stepped": InferenceClassifier,
    "least-squares": LeastSquaresClassifier,
}
