"""Neurons and decoders of a task, drawn from a seed and solved.

All that is random is drawn here and rounded to float32, so that every framework and every precision
simulates the same neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.nef.spec import FUNCTIONS, Float, Function, Nef, single


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
            encoders=single(encoders),
            gain=single(gain),
            bias=single(bias),
            voltage=single(rng.uniform(0, 1, ensemble.neurons)),
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
                decoders[name, function] = single(solved)
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
