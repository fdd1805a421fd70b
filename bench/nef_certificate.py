"""The parity certificate of the NEF tasks: every spike against tasks/nef_reference.py."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np

from adapters.protocol import NefResult, NefSimulator, Settings, Unsupported
from bench.certificate import Deviation
from tasks.nef import Model, Nef, Stimulus, build_model, stimulus_array
from tasks.nef_reference import Truth, simulate

Build = Callable[[Nef, Settings, Sequence[Model]], NefSimulator]

MODELS = 3


class Bounds(NamedTuple):
    """What a precision may deviate by; ``decoded`` None: measured, not judged.

    ``spikes``: 1 - |both| / |either| over all ensembles; ``decoded``: largest absolute error.
    """

    spikes: float
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
BOUNDS = {"float64": Bounds(0.0, 1e-12), "float32": Bounds(0.05, None)}


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
    first = task.stimuli[0]
    inputs, where = stimulus_array(task, first), f"{first.name} n={task.n} {settings.precision}"
    simulator = build(task, settings, _models(task, MODELS))
    bounds = BOUNDS[settings.precision]  # others have been refused
    common = yield from _stimulated(simulator, task, MODELS, settings.precision)
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
            common = common.plus((yield from _stimulated(simulator, sized, 1, settings.precision)))
    where = f"all stimuli and sizes {settings.precision}"
    yield Deviation("spike difference", where, common.difference, bounds.spikes)


def _stimulated(
    simulator: NefSimulator, task: Nef, models: int, precision: str
) -> Generator[Deviation, None, Common]:
    """The comparisons of one size under every stimulus, and the spikes of all of them in common."""
    common = Common(0, 0)
    for stimulus in task.stimuli:
        inputs, truth = stimulus_array(task, stimulus), _truth(task, stimulus, models)
        where = f"{stimulus.name} n={task.n} {precision}"
        found = simulator.run(inputs)
        yield from _as_reference(found, truth, where, BOUNDS[precision])
        common = common.plus(_common(found, truth))
        active = [float(spikes.mean()) for spikes in truth.spikes.values()]
        if not all(active):
            raise Unsupported(f"at n={task.n} an ensemble never fires under {stimulus.name}: take a larger n")
        yield Deviation("firing rate", where, float(np.mean(active)), None)
        if precision == "float32":
            # how far such a network goes astray by itself, to read the spike difference by
            rounded = simulate(_with_single_constants(task), _models(task, models), inputs)
            yield Deviation("rounded reference", where, _common(rounded, truth).difference, None)
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


def _as_reference(found: NefResult, truth: Truth, where: str, bounds: Bounds) -> Iterator[Deviation]:
    mismatches = _shape_mismatches(found, truth)
    yield Deviation("shape mismatches", where, mismatches, 0)
    if mismatches:
        return
    decoded = np.asarray(found.decoded, np.float64)
    error = float(np.abs(decoded - truth.decoded).max())
    yield Deviation("decoded error", where, error, bounds.decoded)
    yield Deviation("spike difference", where, _common(found, truth).difference, bounds.spikes)


def _shape_mismatches(found: NefResult, truth: Truth) -> float:
    """Arrays whose shape is not the reference's; missing and surplus ensembles count."""
    wrong = int(found.decoded.shape != truth.decoded.shape)
    for name in found.spikes.keys() | truth.spikes.keys():
        pair = found.spikes.get(name), truth.spikes.get(name)
        wrong += pair[0] is None or pair[1] is None or pair[0].shape != pair[1].shape
    return float(wrong)


def _common(found: NefResult | Truth, truth: Truth) -> Common:
    """Spikes of all ensembles, those in common at the same step; none are where shapes differ."""
    both = either = 0
    for name, expected in truth.spikes.items():
        seen = found.spikes.get(name)
        if seen is None or seen.shape != expected.shape:
            either += int(expected.sum())
            continue
        both += int((seen & expected).sum())
        either += int((seen | expected).sum())
    return Common(both, either)
