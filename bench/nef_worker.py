"""The timed cell of a NEF task: build, first run, a run per stimulus, and what they decoded."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter_ns
from typing import Any

import numpy as np

from adapters.protocol import NefResult, NefSimulator, Settings
from bench.measure.clock import timed
from bench.measure.memory import host_peak_bytes
from bench.outcomes import Diverged, Wrong
from tasks.nef import (
    Float,
    Model,
    Nef,
    Stimulus,
    bias,
    build_model,
    drift,
    ideal,
    mean_output,
    rmse,
    stimulus_array,
)

RECORDED_EVERY = 0.01  # seconds: the probe's own time constant
RASTER_SECONDS = (0.5, 1.0)
RASTER_NEURONS = 20

Build = Callable[[Nef, Settings, Sequence[Model]], NefSimulator]


def run(build: Build, task: Nef, settings: Settings, *, measured: Callable[[], None]) -> dict[str, Any]:
    """Simulate ``task.seeds`` models on every stimulus of the task; the fields of the cell's record.

    ``build_seconds``: from the models' arrays to a simulator that can run (drawing the neurons and solving
    the decoders is the harness's and not timed).  ``first_run_seconds``: the first run, on the first
    stimulus, which enters nothing else.  ``sim_speed``: networks times simulated seconds per wall
    second, at the median of the runs that follow, one per stimulus; recording decoded values and all
    spikes is part of a run.  ``rmse``: median over models and stimuli.

    The sizes of ``task.sweep`` are simulated afterwards, when ``measured`` has been called, and scored
    alone.  A size that fails fails the cell: a simulator that breaks in one size is trusted in none.
    """
    # the processes of a run simulate different models
    seeds = range(settings.seed * task.seeds, (settings.seed + 1) * task.seeds)
    models = [build_model(task, seed) for seed in seeds]
    gc.collect()
    start = perf_counter_ns()
    simulator = build(task, settings, models)
    simulator.sync()
    build_seconds = (perf_counter_ns() - start) / 1e9

    stimuli = {stimulus.name: stimulus_array(task, stimulus) for stimulus in task.stimuli}
    _, first = timed(partial(simulator.run, stimuli[task.stimuli[0].name]), simulator.sync)
    seconds, errors, rates, recordings = [], [], [], []
    metrics: list[dict[str, Any]] = []
    raster = None
    for stimulus in task.stimuli:
        inputs = stimuli[stimulus.name]
        result, took = timed(partial(simulator.run, inputs), simulator.sync)
        decoded, expected = _checked(task, result), ideal(task, inputs)
        seconds.append(took)
        errors.append(rmse(task, decoded, expected))
        metrics += _scores(task, stimulus, seeds, decoded, expected)
        recordings.append(_recording(task, stimulus, decoded, expected))
        raster = raster or _raster(task, stimulus, result)
        fired = {name: float(np.mean(spikes)) for name, spikes in result.spikes.items()}
        key = f"{stimulus.name} n={task.n}"
        metrics += [_metric("spike_rate", f"{key} {name}", rate) for name, rate in fired.items()]
        total = sum(int(np.sum(spikes)) for spikes in result.spikes.values())
        rates.append(total / sum(np.size(spikes) for spikes in result.spikes.values()))

    figures = {
        "rmse": float(np.median(np.concatenate(errors))),
        "build_seconds": build_seconds,
        "first_run_seconds": first,
        "sim_speed": task.seeds * task.steps * task.dt / float(np.median(seconds)),
        "host_peak_bytes": host_peak_bytes(),
        "spike_rate": float(np.mean(rates)),
    }
    device = simulator.device_memory()
    if device is not None:
        figures["device_allocated_bytes"] = device
    measured()
    for n in task.sweep:
        if n != task.n:
            metrics += _sized(build, task.sized(n), settings, seeds)
    return {
        "status": "ok",
        "figures": figures,
        "metrics": metrics,
        "recordings": recordings,
        "raster": raster,
    }


def _sized(build: Build, task: Nef, settings: Settings, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Scores of the same models in another size."""
    simulator = build(task, settings, [build_model(task, seed) for seed in seeds])
    for stimulus in task.stimuli:
        inputs = stimulus_array(task, stimulus)
        decoded = _checked(task, simulator.run(inputs))
        yield from _scores(task, stimulus, seeds, decoded, ideal(task, inputs))


def _scores(
    task: Nef, stimulus: Stimulus, seeds: Sequence[int], decoded: Float, expected: Float
) -> Iterator[dict[str, Any]]:
    """Metrics of one run, by ``<stimulus> n=<n>``: decoded [seeds, steps, 1] against the ideal [steps, 1]."""
    key = f"{stimulus.name} n={task.n}"
    error = rmse(task, decoded, expected)
    yield _metric("rmse", key, np.median(error))
    yield _metric("rmse_worst", key, error.max())
    for seed, value in zip(seeds, error, strict=True):
        yield _metric("rmse_seed", f"{key} seed={seed}", value)
    yield _metric("bias", key, np.median(bias(task, decoded, expected)))
    yield _metric("mean_output", key, np.median(mean_output(task, decoded)))
    if stimulus.hold is not None:
        slopes = drift(task, decoded, stimulus.hold)
        yield _metric("drift", key, np.median(slopes))
        yield _metric("drift_worst", key, np.abs(slopes).max())


def _metric(metric: str, key: str, value: float) -> dict[str, Any]:
    return {"metric": metric, "key": key, "value": float(value)}


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


def _checked(task: Nef, result: NefResult) -> Float:
    """The decoded values [seeds, steps, outputs], if they are values at all.

    Raises:
        Wrong: another shape than asked for.
        Diverged: not finite.
    """
    expected = (task.seeds, task.steps, task.ensemble(task.output).dimensions)
    if result.decoded.shape != expected:
        raise Wrong(f"decoded values of shape {result.decoded.shape}, expected {expected}")
    decoded = np.asarray(result.decoded, np.float64)
    if not np.isfinite(decoded).all():
        raise Diverged("decoded values are no longer finite")
    return decoded
