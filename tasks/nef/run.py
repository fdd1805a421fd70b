"""The timed cell of a NEF task: build, first run, runs of every stimulus, and what they decoded."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tasks.measuring import Diverged, Wrong, host_peak_bytes, is_real, timed
from tasks.nef import certificate
from tasks.nef.model import Model, build_model
from tasks.nef.protocol import NefResult
from tasks.nef.scores import bias, drift, ideal, mean_output, rmse
from tasks.nef.spec import Float, Nef, Stimulus
from tasks.nef.stimuli import stimulus_array
from tasks.protocol import Job, Result, Settings, Turn

RECORDED_EVERY = 0.01  # seconds: the probe's own time constant
RASTER_SECONDS = (0.5, 1.0)
RASTER_NEURONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How often all stimuli are simulated and timed.

    Raises:
        ValueError: less than once.
    """

    repeats: int = 5

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")


def run(module: Any, task: Nef, job: Job) -> Generator[Turn, None, Result]:
    """Simulate ``task.seeds`` models on every stimulus of the task: see ``Family`` in tasks/protocol.py.

    ``build_seconds``: from the models' arrays to a simulator that can run (drawing the neurons and solving
    the decoders is the harness's and not timed).  ``first_run_seconds``: the first run, on the first
    stimulus, which enters no other figure.  ``sim_speed``: networks times simulated seconds per wall
    second, at the median of the runs that follow; recording decoded values and all spikes is part of a
    run.  ``rmse``: median over models and stimuli.

    Scored is the first pass through the stimuli, and its first run is compared with the reference.  The
    sizes of ``task.sweep`` are simulated at the end and scored alone.  A size that fails fails the cell: a
    simulator that breaks in one size is trusted in none.

    Raises:
        Unsupported: the adapter cannot run this.
        Wrong: what it hands over is not what was asked for.
        Diverged: decoded values became NaN or infinite.
    """
    build, settings, repeats = module.VARIANTS[job.variant], job.settings, Amounts(**job.amounts).repeats
    # the processes of a run simulate different models
    seeds = range(settings.seed * task.seeds, (settings.seed + 1) * task.seeds)
    models = [build_model(task, seed) for seed in seeds]
    stimuli = [(stimulus, stimulus_array(task, stimulus)) for stimulus in task.stimuli]
    gc.collect()
    yield Turn(phase="prepare")
    simulator, build_seconds = timed(partial(build, task, settings, models), module.sync)
    yield Turn(phase="build", seconds=build_seconds)
    first, first_seconds = timed(partial(simulator.run, stimuli[0][1]), module.sync)
    yield Turn(phase="first", seconds=first_seconds)

    scores, seconds = _Scores(task, seeds), []
    for repeat in range(1, repeats + 1):
        for stimulus, inputs in stimuli:
            result, took = timed(partial(simulator.run, inputs), module.sync)
            decoded = _checked(task, result, len(models))
            seconds.append(took)
            if repeat == 1:
                scores.add(stimulus, inputs, result, decoded)
            is_last = repeat == repeats and stimulus is task.stimuli[-1]
            yield Turn(phase="simulate", seconds=took, epoch=repeat, compared=True, free=is_last)

    figures = {
        "rmse": scores.median_error(),
        "build_seconds": build_seconds,
        "first_run_seconds": first_seconds,
        "sim_speed": task.seeds * task.steps * task.dt / float(np.median(seconds)),
        "host_peak_bytes": host_peak_bytes(),
        "spike_rate": scores.mean_rate(),
    }
    device = module.device_memory()
    if device is not None:
        figures["device_allocated_bytes"] = device
    _checked(task, first, len(models))
    certificate.check_real_size(task, settings, models, first)
    for n in task.sweep:
        if n != task.n:
            scores.metrics += _sized(build, task.sized(n), settings, seeds)
    return {
        "figures": figures,
        "metrics": scores.metrics,
        "shows": {"recordings": scores.recordings, "raster": scores.raster},
    }


class _Scores:
    """What the first pass through the stimuli has shown."""

    def __init__(self, task: Nef, seeds: Sequence[int]) -> None:
        self.task, self.seeds = task, seeds
        self.errors: list[Float] = []
        self.rates: list[float] = []
        self.metrics: list[dict[str, Any]] = []
        self.recordings: list[dict[str, Any]] = []
        self.raster: dict[str, Any] = {}

    def add(self, stimulus: Stimulus, inputs: Float, result: NefResult, decoded: Float) -> None:
        """One run: ``decoded`` [seeds, steps, outputs] for inputs [steps, inputs]."""
        expected = ideal(self.task, inputs)
        self.errors.append(rmse(self.task, decoded, expected))
        self.metrics += _scored(self.task, stimulus, self.seeds, decoded, expected)
        self.recordings.append(_recording(self.task, stimulus, decoded, expected))
        self.raster = self.raster or _raster(self.task, stimulus, result)
        of: dict[str, str | int] = {"stimulus": stimulus.name, "n": self.task.n}
        for name, spikes in result.spikes.items():
            self.metrics.append(_metric("spike_rate", of | {"ensemble": name}, float(np.mean(spikes))))
        total = sum(int(np.sum(spikes)) for spikes in result.spikes.values())
        self.rates.append(total / sum(np.size(spikes) for spikes in result.spikes.values()))

    def median_error(self) -> float:
        """Over models and stimuli."""
        return float(np.median(np.concatenate(self.errors)))

    def mean_rate(self) -> float:
        """Spikes per neuron and step, over stimuli."""
        return float(np.mean(self.rates))


def _sized(build: Any, task: Nef, settings: Settings, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Scores of the same models in another size."""
    models: list[Model] = [build_model(task, seed) for seed in seeds]
    simulator = build(task, settings, models)
    for stimulus in task.stimuli:
        inputs = stimulus_array(task, stimulus)
        decoded = _checked(task, simulator.run(inputs), len(models))
        yield from _scored(task, stimulus, seeds, decoded, ideal(task, inputs))


def _scored(
    task: Nef, stimulus: Stimulus, seeds: Sequence[int], decoded: Float, expected: Float
) -> Iterator[dict[str, Any]]:
    """Metrics of one run: decoded [seeds, steps, 1] against the ideal [steps, 1]."""
    of: dict[str, str | int] = {"stimulus": stimulus.name, "n": task.n}
    error = rmse(task, decoded, expected)
    yield _metric("rmse", of, np.median(error))
    yield _metric("rmse_worst", of, error.max())
    for seed, value in zip(seeds, error, strict=True):
        yield _metric("rmse_seed", of | {"network": seed}, value)
    yield _metric("bias", of, np.median(bias(task, decoded, expected)))
    yield _metric("mean_output", of, np.median(mean_output(task, decoded)))
    if stimulus.hold is not None:
        slopes = drift(task, decoded, stimulus.hold)
        yield _metric("drift", of, np.median(slopes))
        yield _metric("drift_worst", of, np.abs(slopes).max())


def _metric(metric: str, of: dict[str, str | int], value: float) -> dict[str, Any]:
    return {"metric": metric, "of": of, "value": float(value)}


def _recording(task: Nef, stimulus: Stimulus, decoded: Float, expected: Float) -> dict[str, Any]:
    """The first model's curve and the ideal's, at a few hundred points."""
    every = slice(None, None, max(1, round(RECORDED_EVERY / task.dt)))
    return {
        "stimulus": stimulus.name,
        "seconds": every.step * task.dt,
        "decoded": decoded[0, every, 0].round(5).tolist(),
        "ideal": expected[every, 0].round(5).tolist(),
    }


def _raster(task: Nef, stimulus: Stimulus, result: NefResult) -> dict[str, Any]:
    """Spike times of the first model's output ensemble, its first neurons, in a window of the run."""
    start, stop = (round(second / task.dt) for second in RASTER_SECONDS)
    spikes = result.spikes[task.output][0, start:stop, :RASTER_NEURONS]
    times = [((np.flatnonzero(neuron) + start) * task.dt).round(6).tolist() for neuron in spikes.T]
    return {
        "stimulus": stimulus.name,
        "ensemble": task.output,
        "start": RASTER_SECONDS[0],
        "stop": RASTER_SECONDS[1],
        "spikes": times,
    }


def _checked(task: Nef, result: NefResult, models: int) -> Float:
    """The decoded values [seeds, steps, outputs], if they and the spikes are what was asked for."""
    expected = (models, task.steps, task.ensemble(task.output).dimensions)
    if result.decoded.shape != expected:
        raise Wrong(f"decoded values of shape {result.decoded.shape}, expected {expected}")
    if not is_real(result.decoded):
        raise Wrong(f"decoded values of type {result.decoded.dtype}, expected real numbers")
    names = [ensemble.name for ensemble in task.ensembles]
    if sorted(result.spikes) != sorted(names):
        raise Wrong(f"spikes of ensembles {sorted(result.spikes)}, expected {sorted(names)}")
    for ensemble in task.ensembles:
        spikes, shape = result.spikes[ensemble.name], (models, task.steps, ensemble.neurons)
        if spikes.shape != shape or spikes.dtype != np.bool_:
            raise Wrong(
                f"spikes of {ensemble.name}: {spikes.shape} of {spikes.dtype}, expected {shape} of bool"
            )
    decoded = np.asarray(result.decoded, np.float64)
    if not np.isfinite(decoded).all():
        raise Diverged("decoded values became NaN or infinite")
    return decoded
