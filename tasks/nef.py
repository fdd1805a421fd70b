"""The four examples of the Neural Engineering Framework (NEF): networks, stimuli, models, ideal and metrics.

Eliasmith and Anderson 2003, "Neural Engineering"; the networks are those of NengoGUI's tutorials.  All that
is random (neurons, decoders, noise) is drawn here from a seed and rounded to float32, so that every
framework and every precision simulates the same neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

SKIP_SECONDS = 0.2  # before the networks have settled, nothing is scored


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


def calculate(*, n: int = 50, seeds: int = 10, sweep: Sequence[int] = ()) -> Nef:
    """b is the square of a."""
    return Nef(
        name="calculate",
        n=n,
        seeds=seeds,
        sweep=tuple(sweep),
        ensembles=(Ensemble(name="a", neurons=n), Ensemble(name="b", neurons=n)),
        connections=(
            Connection(source="stim", target="a"),
            Connection(source="a", target="b", function="square", synapse=0.01),
        ),
        inputs=("stim",),
        output="b",
        stimuli=(
            Stimulus(name="constant", signals=(Constant(value=0.2),)),
            Stimulus(name="ramp", signals=(Ramp(start=-1, stop=1),)),
            Stimulus(name="noise", signals=(Noise(hertz=5, peak=1, seed=0),)),
        ),
    )


def add(*, n: int = 50, seeds: int = 10, sweep: Sequence[int] = ()) -> Nef:
    """c is the sum of a and b."""
    return Nef(
        name="add",
        n=n,
        seeds=seeds,
        sweep=tuple(sweep),
        ensembles=tuple(Ensemble(name=name, neurons=n) for name in "abc"),
        connections=(
            Connection(source="stim_a", target="a"),
            Connection(source="stim_b", target="b"),
            Connection(source="a", target="c"),
            Connection(source="b", target="c"),
        ),
        inputs=("stim_a", "stim_b"),
        output="c",
        stimuli=(
            Stimulus(name="constant", signals=(Constant(value=0.3), Constant(value=0.4))),
            Stimulus(name="ramp", signals=(Ramp(start=-0.5, stop=0.5), Sine(hertz=1, amplitude=0.5))),
            Stimulus(
                name="noise",
                signals=(Noise(hertz=5, peak=0.5, seed=0), Noise(hertz=5, peak=0.5, seed=1)),
            ),
        ),
    )


def multiply(*, n: int = 50, seeds: int = 10, sweep: Sequence[int] = ()) -> Nef:
    """d is the product of a and b, which meet in the two-dimensional c."""
    return Nef(
        name="multiply",
        n=n,
        seeds=seeds,
        sweep=tuple(sweep),
        ensembles=(
            Ensemble(name="a", neurons=n),
            Ensemble(name="b", neurons=n),
            Ensemble(name="c", neurons=4 * n, dimensions=2, radius=1.5),
            Ensemble(name="d", neurons=n),
        ),
        connections=(
            Connection(source="stim_a", target="a"),
            Connection(source="stim_b", target="b"),
            Connection(source="a", target="c", into=0),
            Connection(source="b", target="c", into=1),
            Connection(source="c", target="d", function="product"),
        ),
        inputs=("stim_a", "stim_b"),
        output="d",
        stimuli=(
            Stimulus(name="constant", signals=(Constant(value=0.2), Constant(value=0.5))),
            Stimulus(name="ramp", signals=(Ramp(start=-1, stop=1), Sine(hertz=1, amplitude=1))),
            Stimulus(name="noise", signals=(Noise(hertz=5, peak=1, seed=0), Noise(hertz=5, peak=1, seed=1))),
        ),
    )


def memory(*, n: int = 50, seeds: int = 10, sweep: Sequence[int] = ()) -> Nef:
    """b integrates a: transform 0.1 over the feedback's 0.1 s makes x' = u."""
    return Nef(
        name="memory",
        n=n,
        seeds=seeds,
        sweep=tuple(sweep),
        ensembles=(Ensemble(name="a", neurons=n), Ensemble(name="b", neurons=n)),
        connections=(
            Connection(source="stim", target="a"),
            Connection(source="a", target="b", transform=0.1),
            Connection(source="b", target="b", synapse=0.1),
        ),
        inputs=("stim",),
        output="b",
        stimuli=(
            Stimulus(name="square", signals=(Square(hertz=1, amplitude=1),)),
            Stimulus(name="pulse", signals=(Pulse(start=0.2, stop=0.7, amplitude=1),), hold=(1.0, 2.0)),
            Stimulus(name="noise", signals=(Noise(hertz=5, peak=1, seed=0),)),
        ),
    )


TASKS: dict[str, Callable[..., Nef]] = {
    "memory": memory,
    "add": add,
    "multiply": multiply,
    "calculate": calculate,
}


def stimulus_array(task: Nef, stimulus: Stimulus) -> Float:
    """The inputs of a run, [steps, inputs]; row k is what holds during step k, from k dt to (k + 1) dt.

    Signals are taken at the end of the step, as Nengo's clock has it, but a jump never falls on one.
    """
    columns = [_signal(signal, task.steps, task.dt) for signal in stimulus.signals]
    return _single(np.stack(columns, axis=1))


def _signal(signal: Signal, steps: int, dt: float) -> Float:
    time = np.arange(1, steps + 1, dtype=np.float64) * dt
    middle = time - dt / 2  # where rounding cannot move a jump to the next step
    match signal:
        case Constant():
            return np.full(steps, signal.value)
        case Ramp():
            return np.linspace(signal.start, signal.stop, steps)
        case Sine():
            return signal.amplitude * np.sin(2 * np.pi * signal.hertz * time)
        case Square():
            return np.where(np.floor(2 * signal.hertz * middle) % 2 == 0, 1.0, -1.0) * signal.amplitude
        case Pulse():
            return np.where((middle > signal.start) & (middle < signal.stop), signal.amplitude, 0.0)
        case Noise():
            rng = np.random.default_rng(signal.seed)
            hertz = np.arange(0.5, signal.hertz + 0.25, 0.5)
            phase = rng.uniform(0, 2 * np.pi, len(hertz))
            wave = np.cos(2 * np.pi * time[:, None] * hertz + phase) @ rng.normal(size=len(hertz))
            scaled: Float = wave * (signal.peak / np.abs(wave).max())
            return scaled


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The neurons of an ensemble: unit ``encoders`` [..., n, d]; ``gain``, ``bias``, ``voltage`` [..., n]."""

    encoders: Float
    gain: Float
    bias: Float
    voltage: Float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a simulator is built from: neurons by ensemble, decoders [..., n, d] by (ensemble, function).

    Decoders turn spikes per second into values.
    """

    populations: Mapping[str, Population]
    decoders: Mapping[tuple[str, Function], Float]


def build_model(task: Nef, seed: int) -> Model:
    """Draw the neurons of a task and solve its decoders."""
    populations: dict[str, Population] = {}
    decoders: dict[tuple[str, Function], Float] = {}
    for index, ensemble in enumerate(task.ensembles):
        rng = np.random.default_rng([seed, index])
        encoders = _directions(_scattered(rng, ensemble.neurons, 1))
        if ensemble.dimensions == 1:
            encoders = np.sign(encoders[:, 1:])
        intercepts = rng.uniform(*task.intercepts, ensemble.neurons)
        gain, bias = gain_and_bias(task, rng.uniform(*task.max_rates, ensemble.neurons), intercepts)
        population = Population(
            encoders=_single(encoders),
            gain=_single(gain),
            bias=_single(bias),
            voltage=_single(rng.uniform(0, 1, ensemble.neurons)),
        )
        populations[ensemble.name] = population
        # as many points as Nengo takes by default
        count = max(int(np.clip(500 * ensemble.dimensions, 750, 2500)), 2 * ensemble.neurons)
        points = _ball(_scattered(rng, count, ensemble.dimensions))
        activities = rates(task, population.gain * (points @ population.encoders.T) + population.bias)
        for name, function in task.decoded:
            if name == ensemble.name:
                values = FUNCTIONS[function](points * ensemble.radius)
                solved = solve_decoders(activities, values, task.regularization)
                decoders[name, function] = _single(solved)
    return Model(populations=populations, decoders=decoders)


def stack(models: Sequence[Model]) -> Model:
    """Several models as one, their arrays with a leading axis [seeds, ...]."""
    first = models[0]
    return Model(
        populations={
            name: Population(
                encoders=np.stack([model.populations[name].encoders for model in models]),
                gain=np.stack([model.populations[name].gain for model in models]),
                bias=np.stack([model.populations[name].bias for model in models]),
                voltage=np.stack([model.populations[name].voltage for model in models]),
            )
            for name in first.populations
        },
        decoders={key: np.stack([model.decoders[key] for model in models]) for key in first.decoders},
    )


def gain_and_bias(task: Nef, max_rates: Float, intercepts: Float) -> tuple[Float, Float]:
    """Gain and bias [n] of neurons that start to fire at their intercept and reach their maximum at 1.

    J = 1 is the LIF threshold; at 1 the current must be  1 / (1 - exp((tau_ref - 1 / rate) / tau_rc)).
    """
    largest = 1 / -np.expm1((task.tau_ref - 1 / max_rates) / task.tau_rc)
    gain = (largest - 1) / (1 - intercepts)
    return gain, largest - gain


def rates(task: Nef, currents: Float) -> Float:
    """Spikes per second of LIF neurons under constant currents, any shape: 0 up to the threshold 1."""
    above = np.where(currents > 1, currents - 1, np.inf)
    return 1 / (task.tau_ref + task.tau_rc * np.log1p(1 / above)) * (currents > 1)


def solve_decoders(activities: Float, values: Float, regularization: float) -> Float:
    """Least-squares decoders [n, outputs] from activities [points, n] to values [points, outputs].

    L2 regularised: the noise that it assumes is ``regularization`` times the largest activity.
    """
    noise = regularization * activities.max()
    gram = activities.T @ activities + len(activities) * noise**2 * np.eye(activities.shape[1])
    solved: Float = np.linalg.solve(gram, activities.T @ values)
    return solved


def _scattered(rng: np.random.Generator, count: int, dimensions: int) -> Float:
    """Points [count, dimensions] spread evenly over the unit cube, from a random start.

    The additive recurrence R_d of Roberts 2018, "The unreasonable effectiveness of quasirandom sequences".
    Nengo too scatters encoders and evaluation points unless it is told otherwise.
    """
    root = 2.0
    for _ in range(60):  # to the root of x ** (d + 1) = x + 1
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1)
    points: Float = (rng.uniform(size=dimensions) + np.arange(count)[:, None] * steps) % 1
    return points


def _directions(points: Float) -> Float:
    """Unit vectors [count, 2] at the angles that points [count, 1] of the unit interval stand for."""
    return np.concatenate([np.cos(2 * np.pi * points), np.sin(2 * np.pi * points)], axis=1)


def _ball(points: Float) -> Float:
    """Points of the unit cube [count, 1 or 2] taken to the unit ball, spread as evenly there."""
    if points.shape[1] == 1:
        return 2 * points - 1
    return _directions(points[:, :1]) * np.sqrt(points[:, 1:])


def _single(values: Float) -> Float:
    rounded = values.astype(np.float32).astype(np.float64)
    rounded.flags.writeable = False  # nobody may change the model that others simulate
    return rounded


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
