"""The parity certificate of the NEF tasks: every spike against reference.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.measuring import Deviation, Wrong, finite, verdict
from tasks.nef.model import Model, build_model
from tasks.nef.protocol import NefResult, NefSimulator
from tasks.nef.reference import Truth, simulate
from tasks.nef.spec import Nef, Stimulus
from tasks.nef.stimuli import stimulus_array
from tasks.protocol import Settings, Unsupported

Build = Callable[[Nef, Settings, Sequence[Model]], NefSimulator]

MODELS = 3


class Bounds(NamedTuple):
    """What a precision may deviate by; None: measured, not judged.

    ``spikes``: 1 - |both| / |either| over all ensembles; ``decoded``: largest absolute error.
    """

    spikes: float | None
    decoded: float | None


class Common(NamedTuple):
    """How many spikes ``both`` sides have, and how many ``either`` has."""

    both: int
    either: int

    @property
    def difference(self) -> float:
        """1 - |both| / |either|; 0 where nobody fires."""
        return 1 - self.both / self.either if self.either else 0.0

    def plus(self, other: Common) -> Common:
        """Both counts together."""
        return Common(self.both + other.both, self.either + other.either)


# In float32 a spike that crosses the threshold one step later counts twice, and its neuron may stay late.
BOUNDS = {"float64": Bounds(0.0, 1e-12), "float32": Bounds(0.05, None), "tf32": Bounds(None, None)}


def certify(build: Build, task: Nef, settings: Settings) -> Iterator[Deviation]:
    """Every comparison of one adapter, variant and precision with the reference.

    All stimuli of the task; then the first one again, because a run must start from the initial state,
    and with fewer models in another order over fewer steps, since no model may know of another.  All
    stimuli once more, with one model, at every size of the task's sweep.

    In float32 the rounding of a few constants makes spikes change their step and that difference spreads:
    the reference, computed in float64 with constants rounded to float32, is compared with itself as a
    yardstick.

    Raises:
        Unsupported: the task is so small that the reference itself is silent, and equality means nothing.
    """
    for found in _comparisons(build, task, settings):
        yield Deviation(found.metric, found.probe, settings.arithmetic, found.value, found.bound)


class _Found(NamedTuple):
    """A deviation, but for its precision."""

    metric: str
    probe: str
    value: float
    bound: float | None


def _comparisons(build: Build, task: Nef, settings: Settings) -> Iterator[_Found]:
    first = task.stimuli[0]
    inputs, where = stimulus_array(task, first), f"{first.name} n={task.n}"
    simulator = build(task, settings, _models(task, MODELS))
    bounds = BOUNDS[settings.arithmetic]  # others have been refused
    common = yield from _stimulated(simulator, task, MODELS, settings.arithmetic)
    truth = _truth(task, first, MODELS)
    yield from _as_reference(simulator.run(inputs), truth, f"{where}, again", bounds)
    order, steps = [2, 0], len(inputs) // 2
    found = build(task, settings, [_models(task, MODELS)[model] for model in order]).run(inputs[:steps])
    expected = Truth(
        decoded=truth.decoded[order, :steps],
        spikes={name: spikes[order, :steps] for name, spikes in truth.spikes.items()},
    )
    yield from _as_reference(found, expected, f"{where}, other models", bounds)
    for n in task.sweep:
        if n != task.n:
            sized = task.sized(n)
            simulator = build(sized, settings, _models(sized, 1))
            common = common.plus((yield from _stimulated(simulator, sized, 1, settings.arithmetic)))
    yield _Found("spike difference", "all stimuli and sizes", common.difference, bounds.spikes)


def check_real_size(task: Nef, settings: Settings, models: Sequence[Model], found: NefResult) -> None:
    """The first timed run, on the first stimulus with all models, against the reference.

    Raises:
        Wrong: a bound of the certificate is broken.
    """
    truth = simulate(task, models, stimulus_array(task, task.stimuli[0]))
    for deviation in _as_reference(found, truth, "the first timed run", BOUNDS[settings.arithmetic]):
        one = Deviation(
            deviation.metric, deviation.probe, settings.arithmetic, deviation.value, deviation.bound
        )
        if one.failed:
            _, reason = verdict([one], settings.arithmetic)
            raise Wrong(f"at its real size, {reason}")


def _stimulated(
    simulator: NefSimulator, task: Nef, models: int, precision: str
) -> Generator[_Found, None, Common]:
    """The comparisons of one size under every stimulus, and the spikes of all of them in common."""
    common = Common(0, 0)
    for stimulus in task.stimuli:
        inputs, truth = stimulus_array(task, stimulus), _truth(task, stimulus, models)
        where = f"{stimulus.name} n={task.n}"
        found = simulator.run(inputs)
        yield from _as_reference(found, truth, where, BOUNDS[precision])
        common = common.plus(_common(found, truth))
        active = [float(spikes.mean()) for spikes in truth.spikes.values()]
        if not all(active):
            raise Unsupported(f"at n={task.n} an ensemble never fires under {stimulus.name}: take a larger n")
        yield _Found("firing rate", where, float(np.mean(active)), None)
        if precision == "float32":
            # how far such a network goes astray by itself, to read the spike difference by
            rounded = simulate(_with_single_constants(task), _models(task, models), inputs)
            yield _Found("rounded reference", where, _common(rounded, truth).difference, None)
    return common


@cache
def _models(task: Nef, count: int) -> list[Model]:
    return [build_model(task, seed) for seed in range(count)]


@cache  # the truth is the same in every precision, and takes longer than what it judges
def _truth(task: Nef, stimulus: Stimulus, models: int) -> Truth:
    return simulate(task, _models(task, models), stimulus_array(task, stimulus))


def _with_single_constants(task: Nef) -> Nef:
    """The task with its time constants rounded to float32, as a float32 simulator has them."""

    def single(seconds: float) -> float:
        return float(np.float32(seconds))

    return replace(
        task,
        dt=single(task.dt),
        tau_rc=single(task.tau_rc),
        tau_ref=single(task.tau_ref),
        probe_synapse=single(task.probe_synapse),
        connections=tuple(replace(c, synapse=single(c.synapse)) for c in task.connections),
    )


def _as_reference(found: NefResult, truth: Truth, where: str, bounds: Bounds) -> Iterator[_Found]:
    mismatches = _shape_mismatches(found, truth)
    yield _Found("shape mismatches", where, mismatches, 0)
    if mismatches:
        return
    decoded = finite(found.decoded)
    error = math.inf if decoded is None else float(np.abs(decoded - truth.decoded).max())
    yield _Found("decoded error", where, error, bounds.decoded)
    yield _Found("spike difference", where, _common(found, truth).difference, bounds.spikes)


def _shape_mismatches(found: NefResult, truth: Truth) -> float:
    """Arrays whose shape is not the reference's, or spikes that are not bool; missing ensembles count too."""
    names = found.spikes.keys() | truth.spikes.keys()
    alike = [_are_alike(found.spikes.get(name), truth.spikes.get(name)) for name in names]
    return float((found.decoded.shape != truth.decoded.shape) + alike.count(False))


def _are_alike(seen: NDArray[np.bool_] | None, expected: NDArray[np.bool_] | None) -> bool:
    """Whether both are the spikes of the same neurons and steps; numbers are no spikes."""
    if seen is None or expected is None:
        return False
    return seen.shape == expected.shape and seen.dtype == np.bool_


def _common(found: NefResult | Truth, truth: Truth) -> Common:
    """Spikes of all ensembles, those in common at the same step; none are where shapes or types differ."""
    both = either = 0
    for name, expected in truth.spikes.items():
        seen = found.spikes.get(name)
        if seen is None or not _are_alike(seen, expected):
            either += int(expected.sum())
            continue
        both += int((seen & expected).sum())
        either += int((seen | expected).sum())
    return Common(both, either)
