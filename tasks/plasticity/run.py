"""The timed cell: learn from images without labels, then find out what the neurons stand for."""

from __future__ import annotations

import base64
import gc
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import images
from tasks.images import Images
from tasks.measuring import Diverged, Wrong, host_peak_bytes, is_real, timed
from tasks.plasticity import certificate, readout
from tasks.plasticity.diagnosis import Seen, diagnose
from tasks.plasticity.protocol import Array, Plastic
from tasks.plasticity.spec import Float, Task
from tasks.protocol import Job, Result, Turn, data_folder

FIELDS = 64  # neurons whose weights the record keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much of the data set a profile uses, the first images of each part, and in how many pieces.

    ``label_images``: training images by whose labels neurons get theirs; ``turns``: slices of an epoch.

    Raises:
        ValueError: a count is out of range.
    """

    train_images: int = images.MNIST.train
    label_images: int = 10_000
    test_images: int = images.MNIST.test
    turns: int = 10

    def __post_init__(self) -> None:
        most = {
            "train_images": images.MNIST.train,
            "label_images": images.MNIST.train,
            "test_images": images.MNIST.test,
            "turns": images.MNIST.train,
        }
        for name, largest in most.items():
            value = getattr(self, name)
            if not 1 <= value <= largest:
                raise ValueError(f"{name} must be from 1 to {largest}, got {value}")
        if self.label_images > self.train_images:
            raise ValueError(f"label_images {self.label_images} exceed train_images {self.train_images}")


def run(module: Any, task: Task, job: Job) -> Generator[Turn, None, Result]:
    """The cell, turn by turn: see ``Family`` in tasks/protocol.py.

    Raises:
        Unsupported: the adapter cannot run this.
        Wrong: what it hands over is not what was asked for.
        Diverged: weights became NaN or infinite.
    """
    amounts, seed = Amounts(**job.amounts), job.settings.seed
    data = _flat(images.load(images.MNIST, data_folder(job)), amounts)
    drawn = task.initial_weights(np.random.default_rng([seed, 0]))
    weights = drawn.astype(np.float32).astype(np.float64)  # what every precision has
    yield Turn(phase="prepare")

    def build() -> Any:
        layer = module.VARIANTS[job.variant](task, job.settings)
        layer.load_weights(weights)
        return layer

    layer, build_seconds = timed(build, module.sync)
    is_open = job.division == "open"
    steps = layer.steps if is_open else task.steps
    before = _weights(layer, task)
    gc.collect()
    yield Turn(phase="build", seconds=build_seconds)

    learned = yield from _learn(module, layer, task, data, amounts.turns, steps, seed)
    after = _weights(layer, task)
    labelling = data.train_images[: amounts.label_images]
    responses = _counts(layer.respond(labelling), (len(labelling), task.neurons), steps)
    own = readout.neuron_labels(responses, data.train_labels[: amounts.label_images])
    yield Turn(phase="label")

    answer, eval_seconds = timed(partial(layer.respond, data.test_images), module.sync)
    answer = _counts(answer, (len(data.test_images), task.neurons), steps)
    found = readout.classify(answer, own)
    labelled = int((own != readout.NO_LABEL).sum())
    figures = {
        "test_accuracy": float((found == data.test_labels).mean()),
        "train_seconds": sum(learned.epochs),
        "images_per_second": learned.images / float(np.median(learned.epochs)),
        "build_seconds": build_seconds,
        "eval_seconds": eval_seconds,
        "host_peak_bytes": host_peak_bytes(),
        "spike_rate": float(answer.mean()) / steps,
        "active_neurons": labelled / task.neurons,
    }
    device = module.device_memory()
    if device is not None:
        figures["device_allocated_bytes"] = device
    yield Turn(phase="evaluate", seconds=eval_seconds, free=True)

    seen = Seen(
        batches=learned.batches,
        steps=steps,
        spikes=learned.spikes,
        before=before,
        after=after,
        labelled=labelled,
    )
    shows = {
        "diagnosis": diagnose(seen),
        "fields": _fields(after, own),
        "confusion": readout.confusion(data.test_labels, found).tolist(),
    }
    if is_open:  # the neurons are not those that the task names
        return {"figures": figures, "shows": shows, "network": layer.network}
    certificate.check_real_size(layer, task, job.settings, weights, data.train_images)
    return {"figures": figures, "shows": shows}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learned:
    """A training: seconds of each epoch, images of one, batches and spikes per image of all."""

    epochs: list[float]
    images: int
    batches: int
    spikes: float


def _learn(
    module: Any, layer: Plastic, task: Task, data: Images, turns: int, steps: int, seed: int
) -> Generator[Turn, None, _Learned]:
    """Every epoch in slices of its batches; of the last partial batch nothing is learned."""
    count = len(data.train_images) // task.batch
    scales = task.scales(count * task.epochs).reshape(task.epochs, count)
    epochs, causes = [], []
    for epoch in range(task.epochs):
        order = np.random.default_rng([seed, 1, epoch]).permutation(len(data.train_images))
        order = order[: count * task.batch].reshape(count, task.batch)
        seconds = 0.0
        for part in np.array_split(np.arange(count), min(turns, count)):
            batches = data.train_images[order[part]]
            spikes, took = timed(partial(layer.train, batches, scales[epoch, part]), module.sync)
            spikes = _counts(spikes, (batches.shape[0] * task.batch, task.neurons), steps)
            causes.append(spikes.sum(axis=1))
            seconds += took
            # the first one warms up
            yield Turn(phase="train", seconds=took, epoch=epoch + 1, compared=len(causes) > 1)
        epochs.append(seconds)
    return _Learned(
        epochs=epochs,
        images=order.size,
        batches=count * task.epochs,
        spikes=float(np.concatenate(causes).mean()),
    )


def _flat(whole: Images, amounts: Amounts) -> Images:
    """The first images of each part, [n, pixels]."""
    train, test = slice(amounts.train_images), slice(amounts.test_images)
    return Images(
        train_images=whole.train_images[train].reshape(amounts.train_images, -1),
        train_labels=whole.train_labels[train],
        test_images=whole.test_images[test].reshape(amounts.test_images, -1),
        test_labels=whole.test_labels[test],
    )


def _counts(spikes: Array, expected: tuple[int, int], steps: int) -> Float:
    """The adapter's spikes per image and neuron, if they can be that."""
    if spikes.shape != expected:
        raise Wrong(f"output spikes of shape {spikes.shape}, expected {expected}")
    if not is_real(spikes):
        raise Wrong(f"output spikes of type {spikes.dtype}, expected real numbers")
    counts = np.asarray(spikes, np.float64)
    if not ((counts >= 0) & (counts <= steps) & (counts == np.round(counts))).all():
        raise Wrong(f"output spikes are no whole numbers from 0 to {steps}")
    return counts


def _weights(layer: Plastic, task: Task) -> Float:
    """The layer's weights, if they can be that."""
    weights = layer.weights()
    if weights.shape != (task.neurons, task.pixels) or not is_real(weights):
        raise Wrong(
            f"weights of shape {weights.shape} and type {weights.dtype}, "
            f"expected real numbers of {(task.neurons, task.pixels)}"
        )
    if not np.isfinite(weights).all():
        raise Diverged("weights became NaN or infinite")
    return np.asarray(weights, np.float64)


def _fields(weights: Float, own: NDArray[np.int64]) -> dict[str, Any]:
    """The weights of the first neurons as bytes in Base64, 0 the lowest and 255 the highest, and labels."""
    first = weights[:FIELDS]
    low, high = float(first.min()), float(first.max())
    scaled = np.round((first - low) * (255 / (high - low or 1.0))).astype(np.uint8)
    return {
        "pixels": base64.b64encode(scaled.tobytes()).decode("ascii"),
        "low": low,
        "high": high,
        "labels": own[:FIELDS].tolist(),
    }
