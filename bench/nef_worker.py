"""The timed cell of a NEF task: build, first run, a run per stimulus, and what they decoded."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
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
    bias,
    build_model,
    drift,
    ideal,
    mean_output,
    rmse,
    stimulus_array,
)


def run(
    build: Callable[[Nef, Settings, Sequence[Model]], NefSimulator], task: Nef, settings: Settings
) -> dict[str, Any]:
    """Simulate ``task.seeds`` models on every stimulus of the task; the fields of the cell's record.

    ``build_seconds``: from the models' arrays to a simulator that can run (drawing the neurons and solving
    the decoders is the harness's and not timed).  The first run, on the first stimulus, is the metric
    ``first_run_seconds`` and enters nothing else.  ``sim_speed``: networks times simulated seconds per wall
    second, at the median of the runs that follow, one per stimulus; recording decoded values and all
    spikes is part of a run.  ``rmse``: median over models and stimuli.
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
    seconds, errors, rates = [], [], []
    metrics = [_metric("first_run_seconds", task.stimuli[0].name, first)]
    for stimulus in task.stimuli:
        inputs = stimuli[stimulus.name]
        result, took = timed(partial(simulator.run, inputs), simulator.sync)
        decoded = _checked(task, result)
        seconds.append(took)
        expected = ideal(task, inputs)
        key = f"{stimulus.name} n={task.n}"
        error = rmse(task, decoded, expected)
        errors.append(error)
        metrics += [_metric("rmse", key, np.median(error)), _metric("rmse_worst", key, error.max())]
        metrics += [
            _metric("rmse_seed", f"{key} seed={seed}", value)
            for seed, value in zip(seeds, error, strict=True)
        ]
        metrics.append(_metric("bias", key, np.median(bias(task, decoded, expected))))
        metrics.append(_metric("mean_output", key, np.median(mean_output(task, decoded))))
        if stimulus.hold is not None:
            slopes = drift(task, decoded, stimulus.hold)
            metrics.append(_metric("drift", key, np.median(slopes)))
            metrics.append(_metric("drift_worst", key, np.abs(slopes).max()))
        fired = {name: float(np.mean(spikes)) for name, spikes in result.spikes.items()}
        metrics += [_metric("spike_rate", f"{key} {name}", rate) for name, rate in fired.items()]
        total = sum(int(np.sum(spikes)) for spikes in result.spikes.values())
        rates.append(total / sum(np.size(spikes) for spikes in result.spikes.values()))

    figures = {
        "rmse": float(np.median(np.concatenate(errors))),
        "build_seconds": build_seconds,
        "sim_speed": task.seeds * task.steps * task.dt / float(np.median(seconds)),
        "host_peak_bytes": host_peak_bytes(),
        "spike_rate": float(np.mean(rates)),
    }
    device = simulator.device_memory()
    if device is not None:
        figures["device_allocated_bytes"] = device
    return {"status": "ok", "figures": figures, "metrics": metrics}


def _metric(metric: str, key: str, value: float) -> dict[str, Any]:
    return {"metric": metric, "key": key, "value": float(value)}


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
