"""Networks of LIF ensembles, each simulated in C by one thread from its first step to its last: nef.c."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from ctypes import Structure, c_double, c_int64, c_void_p
from typing import NamedTuple

import numpy as np

from adapters.limit.library import aligned, lanes, load, macros
from tasks.nef.model import Model, stack
from tasks.nef.protocol import Array, NefResult
from tasks.nef.spec import Connection, Nef
from tasks.protocol import Settings, Unsupported

LONGEST_STEP = 0.05  # dt / tau_rc for which the series of exp and log in nef.c have terms enough


class _Run(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("models", "steps", "vectors", "channels", "ensembles", "outputs")),
        *((name, c_double) for name in ("dt", "tau_rc", "tau_ref")),
        *((name, c_void_p) for name in ("ensemble", "source", "bias", "voltage", "encoders", "decoders")),
        *((name, c_void_p) for name in ("keep", "drive", "decoded", "fired")),
    )


class Channel(NamedTuple):
    """One filtered value: what dimension of its target a connection reaches, by which column of a decoder."""

    connection: Connection
    dimension: int
    column: int


def channels(task: Nef) -> Iterator[Channel]:
    """Those that arrive at one ensemble together, in the order of the ensembles; last those of the probe."""
    probe = Connection(source=task.output, target="", synapse=task.probe_synapse)
    for ensemble in task.ensembles:
        for connection in task.connections:
            if connection.target == ensemble.name:
                reached = range(ensemble.dimensions)[connection.arrives]
                yield from (Channel(connection, dimension, at) for at, dimension in enumerate(reached))
    for dimension in range(task.ensemble(task.output).dimensions):
        yield Channel(probe, dimension, dimension)


class Layout:
    """The arrays of many networks of one task, as kernels take them: all neurons around all channels.

    Ensembles are filled up to whole vectors of ``lanes`` by neurons without bias and encoders, which never
    fire.

    Raises:
        Unsupported: a time step too long for the series that the kernels have.
    """

    def __init__(self, task: Nef, models: Sequence[Model], *, lanes: int, double: bool) -> None:
        if task.dt > LONGEST_STEP * task.tau_rc:
            raise Unsupported(f"the kernel is written for steps of at most {LONGEST_STEP:g} tau_rc")
        self.task, self.lanes = task, lanes
        self.dtype: type[np.floating] = np.float64 if double else np.float32
        self._lay_out()
        model, count = stack(models), len(self.channels)
        self.bias, self.voltage = (aligned((len(models), self.neurons), self.dtype) for _ in range(2))
        self.encoders, self.decoders = (
            aligned((len(models), count, self.neurons), self.dtype) for _ in range(2)
        )
        for name, rows in self.rows.items():
            self.bias[:, rows] = model.populations[name].bias
            self.voltage[:, rows] = model.populations[name].voltage
        keep = np.array([np.exp(-task.dt / connection.synapse) for connection, _, _ in self.channels])
        self.keep = keep.astype(self.dtype)
        self.from_inputs = np.zeros((len(task.inputs), count))
        for index, (connection, dimension, column) in enumerate(self.channels):
            factor = connection.transform * (1 - keep[index])
            if connection.source in task.inputs:
                self.from_inputs[task.inputs.index(connection.source), index] = factor
            else:
                decoder = model.decoders[connection.source, connection.function][..., column]
                self.decoders[:, index, self.rows[connection.source]] = decoder * factor / task.dt
            if connection.target:
                population = model.populations[connection.target]
                scale = population.gain / task.ensemble(connection.target).radius
                encoder = population.encoders[..., dimension]
                self.encoders[:, index, self.rows[connection.target]] = scale * encoder

    def _lay_out(self) -> None:
        """Where neurons and channels stand, ensemble by ensemble."""
        task = self.task
        self.channels = list(channels(task))
        names = [ensemble.name for ensemble in task.ensembles]
        targets = [connection.target for connection, _, _ in self.channels]
        sources = [connection.source for connection, _, _ in self.channels]
        self.source = np.array([names.index(name) if name in names else -1 for name in sources], np.int64)
        self.rows: dict[str, slice] = {}
        places, vectors = [], 0
        for ensemble in task.ensembles:
            start, vectors = vectors, vectors - (-ensemble.neurons // self.lanes)
            self.rows[ensemble.name] = slice(start * self.lanes, start * self.lanes + ensemble.neurons)
            first = targets.index(ensemble.name)
            places.append((start, vectors, first, first + targets.count(ensemble.name)))
        self.places = np.array(places, np.int64)
        self.neurons = vectors * self.lanes


class Networks(Layout):
    """``NefSimulator`` of tasks/nef/protocol.py.

    Raises:
        Unsupported: mixed precision, or a time step too long for the series that the kernel has.
    """

    def __init__(self, task: Nef, settings: Settings, models: Sequence[Model]) -> None:
        self.library = load("nef", *macros(settings))
        super().__init__(task, models, lanes=lanes(settings), double=settings.precision == "float64")

    def run(self, inputs: Array) -> NefResult:
        """See the protocol."""
        models, steps, outputs = len(self.bias), len(inputs), self.task.ensemble(self.task.output).dimensions
        drive = np.ascontiguousarray(inputs @ self.from_inputs, self.dtype)
        decoded = np.empty((models, steps, outputs), self.dtype)
        fired = np.empty((models, steps, self.neurons), np.bool_)
        arrays = {
            "ensemble": self.places,
            "source": self.source,
            "bias": self.bias,
            "voltage": self.voltage,
            "encoders": self.encoders,
            "decoders": self.decoders,
            "keep": self.keep,
            "drive": drive,
            "decoded": decoded,
            "fired": fired,
        }
        run = _Run(
            models=models,
            steps=steps,
            vectors=self.neurons // self.lanes,
            channels=len(self.channels),
            ensembles=len(self.places),
            outputs=outputs,
            dt=self.task.dt,
            tau_rc=self.task.tau_rc,
            tau_ref=self.task.tau_ref,
            **{name: array.ctypes.data for name, array in arrays.items()},
        )
        self.library.simulate_all(ctypes.byref(run))
        return NefResult(
            decoded=decoded, spikes={name: fired[:, :, rows] for name, rows in self.rows.items()}
        )
