"""The words in which a NEF task is said: ensembles, connections, signals and the network of them.

Eliasmith and Anderson 2003, "Neural Engineering" (the Neural Engineering Framework).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Function = Literal["identity", "square", "product"]

# what a connection computes from its source, [..., dimensions] -> [..., its own dimensions]
FUNCTIONS: dict[Function, Callable[[Float], Float]] = {
    "identity": lambda x: x,
    "square": lambda x: x * x,
    "product": lambda x: x.prod(-1, keepdims=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """``neurons`` LIF neurons that represent a vector of ``dimensions`` within a ball of ``radius``."""

    name: str
    neurons: int
    dimensions: Literal[1, 2] = 1
    radius: float = 1.0

    def __str__(self) -> str:
        return f"{self.name} {self.neurons}" + (f" ({self.dimensions}-D)" if self.dimensions > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """``target`` receives ``transform * function(source)`` through a first-order lowpass filter.

    ``source`` is an input or an ensemble, ``into`` the dimension of the target that receives it (all of
    them where it is None) and ``synapse`` the filter's time constant in seconds.
    """

    source: str
    target: str
    function: Function = "identity"
    transform: float = 1.0
    synapse: float = 0.005
    into: int | None = None

    @property
    def arrives(self) -> slice:
        """The dimensions of the target that receive it."""
        return slice(None) if self.into is None else slice(self.into, self.into + 1)

    def __str__(self) -> str:
        words = [f"{self.source} -> {self.target}" + ("" if self.into is None else f"[{self.into}]")]
        words += [] if self.function == "identity" else [self.function]
        words += [] if self.transform == 1 else [f"x {self.transform:g}"]
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The same ``value`` all the time."""

    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """From ``start`` to ``stop`` in a straight line over the whole run."""

    start: float
    stop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sine:
    """``amplitude * sin(2 pi hertz t)``."""

    hertz: float
    amplitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """``amplitude`` in the first half of each period, ``-amplitude`` in the second."""

    hertz: float
    amplitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Band-limited noise: cosines 0.5 Hz apart up to ``hertz``, random in phase and (normal) amplitude.

    Scaled so that its largest absolute value is ``peak``.
    """

    hertz: float
    peak: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """``amplitude`` from ``start`` to ``stop`` (seconds), else 0."""

    start: float
    stop: float
    amplitude: float


Signal = Constant | Ramp | Sine | Square | Noise | Pulse


@dataclass(frozen=True, slots=True, kw_only=True)
class Stimulus:
    """One signal per input of a task; in the window ``hold`` (seconds) a memory should not move."""

    name: str
    signals: tuple[Signal, ...]
    hold: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nef:
    """Simulate a network of LIF ensembles, ``seeds`` models of it at once, ``steps`` steps of ``dt`` seconds.

    Each step, with X the filtered state of the step before, u the input and D the decoders:

        J = gain * (encoders @ sum(X) / radius) + bias;  z = LIF(J)
        X <- a X + (1 - a) (transform * (u or D' z / dt)),   a = exp(-dt / synapse)

    LIF integrates exactly and keeps its refractory time to fractions of a step (``tau_rc`` and
    ``tau_ref`` in seconds); v starts at the model's voltages, r and X at 0:

        r -= dt;  d = clip(dt - r, 0, dt);  v -= (J - v) * expm1(-d / tau_rc);  z = v > 1
        r = tau_ref + dt + tau_rc * log1p(-(v - 1) / (J - 1))  where z
        v = 0 where z, else max(v, 0)

    The decoded output is that of ensemble ``output`` through a lowpass of ``probe_synapse`` seconds, read
    before the step's own spikes enter the filter.  ``n`` is the number of neurons of a one-dimensional
    ensemble and scales the whole network; accuracy is measured at every size of ``sweep`` as well.
    ``version`` is raised when the meaning of a task changes.

    Raises:
        ValueError: a count is below 1, or a size of the sweep is named twice.
    """

    name: str
    version: int = 1
    n: int
    seeds: int
    sweep: tuple[int, ...] = ()
    ensembles: tuple[Ensemble, ...]
    connections: tuple[Connection, ...]
    inputs: tuple[str, ...]
    output: str
    stimuli: tuple[Stimulus, ...]
    steps: int = 2000
    dt: float = 0.001
    probe_synapse: float = 0.01
    tau_rc: float = 0.02
    tau_ref: float = 0.002
    max_rates: tuple[float, float] = (200.0, 400.0)  # spikes per second, uniform
    intercepts: tuple[float, float] = (-1.0, 1.0)  # uniform
    regularization: float = 0.1  # of the decoders, relative to the largest firing rate

    def __post_init__(self) -> None:
        for field in ("n", "seeds", "steps"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, got {getattr(self, field)}")
        if any(n < 1 for n in self.sweep):
            raise ValueError(f"every n of sweep must be at least 1, got {self.sweep}")
        if len(set(self.sweep)) < len(self.sweep):
            raise ValueError(f"sweep names an n twice: {self.sweep}")

    def sized(self, n: int) -> Nef:
        """The same task in another size, with no more sizes to sweep."""
        ensembles = tuple(replace(e, neurons=e.neurons // self.n * n) for e in self.ensembles)
        return replace(self, n=n, ensembles=ensembles, sweep=())

    @property
    def network(self) -> str:
        """The ensembles with their neurons, and the connections, as the report prints them."""
        ensembles = ", ".join(str(ensemble) for ensemble in self.ensembles)
        return f"{ensembles}: {', '.join(str(connection) for connection in self.connections)}"

    @property
    def decoded(self) -> tuple[tuple[str, Function], ...]:
        """(ensemble, function) of everything that is decoded, the output's identity included."""
        pairs: list[tuple[str, Function]] = [
            (connection.source, connection.function)
            for connection in self.connections
            if connection.source not in self.inputs
        ]
        return tuple(dict.fromkeys([*pairs, (self.output, "identity")]))

    def ensemble(self, name: str) -> Ensemble:
        """The ensemble of that name."""
        return next(ensemble for ensemble in self.ensembles if ensemble.name == name)


def single(values: Float) -> Float:
    """Rounded to float32, which every precision represents, and read-only."""
    rounded = values.astype(np.float32).astype(np.float64)
    rounded.flags.writeable = False  # nobody may change the model that others simulate
    return rounded
