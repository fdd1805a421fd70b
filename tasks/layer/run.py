"""The timed cell: passes of one layer, forward and backward timed apart."""

from __future__ import annotations

import gc
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tasks.layer import certificate
from tasks.layer.spec import Layer, draw
from tasks.measuring import host_peak_bytes, timed
from tasks.protocol import Job, Result, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """``repeats``: turns after the first one, which warms up.

    Raises:
        ValueError: it is below 1.
    """

    repeats: int = 12

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}")


def run(module: Any, task: Layer, job: Job) -> Generator[Turn, None, Result]:
    """The cell, turn by turn: see ``Family`` in tasks/protocol.py.

    Raises:
        Unsupported: the adapter cannot run this.
        Wrong: at the cell's own size it computes something else than the reference.
    """
    flow = draw(task, job.settings.seed)
    yield Turn(phase="prepare")

    layer, build_seconds = timed(partial(module.VARIANTS[job.variant], task, job.settings), module.sync)
    layer.load(flow)
    gc.collect()
    yield Turn(phase="build", seconds=build_seconds)

    forward, backward = [], []
    for repeat in range(Amounts(**job.amounts).repeats + 1):
        there = back = 0.0
        for _ in range(task.passes):
            _, seconds = timed(layer.forward, module.sync)
            there += seconds
            _, seconds = timed(layer.backward, module.sync)
            back += seconds
        if repeat:
            forward.append(there / task.passes)
            backward.append(back / task.passes)
        yield Turn(phase="pass", seconds=there + back, epoch=repeat + 1, compared=repeat > 0)

    elements = task.neurons * task.steps * task.batch
    whole = float(np.median(np.add(forward, backward)))
    figures = {
        "build_seconds": build_seconds,
        "forward_seconds": float(np.median(forward)),
        "backward_seconds": float(np.median(backward)),
        "pass_seconds": whole,
        "element_nanoseconds": whole / elements * 1e9,
        "host_peak_bytes": host_peak_bytes(),
    }
    device = module.device_memory()
    if device is not None:
        figures["device_allocated_bytes"] = device
    yield Turn(phase="passed", free=True)
    figures["spike_rate"] = certificate.check_real_size(layer, task, job.settings, flow)
    return {"figures": figures}
