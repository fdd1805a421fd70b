"""What a training batch costs on a GPU, one adapter after the other in this interpreter.

    python -m scripts.gpu.probe machine
    python -m scripts.gpu.probe waits DEVICE     the first epoch's seconds; how often the host waits a batch
    python -m scripts.gpu.probe times DEVICE     milliseconds a batch; kernels, and how long the GPU is busy

These are figures to look at, not to publish: they are neither certified nor taken in turns.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from bench.measure import machine as machines
from bench.measure.card import choose
from tasks import worker
from tasks.classify.networks import csnn, fc_lif
from tasks.classify.weights import epoch_order, initial_weights
from tasks.protocol import Device, Settings

ADAPTERS = Path(__file__).parents[2] / "adapters"
VARIANTS = (
    ("torch", "folded"),
    ("spikingjelly", "multistep"),
    ("snntorch", "folded"),
    ("snntorch", "stock"),
    ("norse", "folded"),
    ("sinabs", "folded"),
    ("limit", "fused"),
)


def machine() -> None:
    """Versions, and the machine as a manifest has it."""
    print(sys.version.split()[0], torch.__version__, torch.version.cuda, torch.cuda.get_arch_list())
    card = choose(os.environ.get("CUDA_VISIBLE_DEVICES")) if torch.cuda.is_available() else None
    print(json.dumps(machines.describe(card), default=str))


class Probe:
    """A classifier with a training set of random pixels, four of five of them black."""

    def __init__(self, adapter: str, variant: str, task: Any, batches: int, device: str) -> None:
        self.module = worker.load_adapter(adapter, ADAPTERS)
        settings = Settings(device=cast(Device, device), threads=torch.get_num_threads())
        self.read = self.module.configure(settings)
        self.batches, self.on_gpu = batches, device == "cuda"
        rng = np.random.default_rng(0)
        shape = (batches * task.batch, *task.input_shape)
        images = rng.integers(0, 256, shape, dtype=np.uint8) * (rng.random(shape) < 0.2).astype(np.uint8)
        self.classifier = self.module.VARIANTS[variant](task, settings)
        self.classifier.load_weights(initial_weights(task, 0))
        self.classifier.load(images, rng.integers(0, task.classes, len(images)))
        self.order = epoch_order(images=len(images), batch=task.batch, seed=0, epoch=0)

    def seconds(self, batches: int) -> float:
        """Of so many batches of training."""
        self.module.sync()
        start = time.perf_counter()
        self.classifier.train_epoch(self.order[:batches])
        self.module.sync()
        return time.perf_counter() - start


def look(tasks: list[Any], batches: int, device: str, measure: Callable[[Probe], str]) -> None:
    """A line for every variant of every task; one that fails leaves its error, and the others go on."""
    for task in tasks:
        for adapter, variant in VARIANTS:
            try:
                said = measure(Probe(adapter, variant, task, batches, device))
            except Exception as error:
                said = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:160]}"
            print(f"{task.name} T={task.steps} batch {task.batch} {adapter} ({variant}): {said}", flush=True)


def waits(probe: Probe) -> str:
    """How often torch warns that it synchronises, in one batch more."""
    said = f"cold {probe.seconds(4):.2f} s"
    if probe.on_gpu:
        seen = [_warnings(probe, batches) for batches in (1, 2)]
        said += f", waits a batch: {seen[1] - seen[0]}"
    return " ".join([said, *(f"{key} {value}" for key, value in probe.read.items() if "kernel" in key)])


def _warnings(probe: Probe, batches: int) -> int:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        probe.classifier.train_epoch(probe.order[:batches])
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(each.message) for each in seen)


def times(probe: Probe) -> str:
    """The median of three times all batches, and what the GPU does in two of them."""
    probe.seconds(1)
    batch = median(probe.seconds(probe.batches) for _ in range(3)) / probe.batches * 1e3
    said = f"{batch:.2f} ms a batch"
    if probe.on_gpu:
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            probe.seconds(2)
        kernels = [each for each in seen.events() if each.device_type == torch.autograd.DeviceType.CUDA]
        busy = sum(each.device_time for each in kernels) / 2e3
        said += f", {len(kernels) / 2:.0f} kernels, the GPU busy for {busy:.2f} ms ({busy / batch:.0%})"
    return said


def main(what: str, device: str = "cpu") -> None:
    """See above."""
    if what == "machine":
        machine()
    elif what == "waits":
        look([fc_lif(steps=4, batch=16), csnn(batch=16)], 4, device, waits)
    else:
        tasks = [fc_lif(), fc_lif(batch=32), csnn(), csnn(channels=128)]
        look(tasks, 20 if device == "cuda" else 1, device, times)


if __name__ == "__main__":
    main(*sys.argv[1:])
