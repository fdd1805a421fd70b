"""The timed cell of a classifier: build, train, evaluate, and look inside once; every figure is timed apart.

Where nothing is learned, trained weights are given and nothing but the evaluation is timed.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.classify import checkpoint, images, pictures, real_size, split, values
from tasks.classify.codes import CODES_OF_BITS, code_table, decode, decode_bitwise
from tasks.classify.images import Images, encode
from tasks.classify.losses import loss_of
from tasks.classify.operations import footprint_bytes, synaptic_operations
from tasks.classify.protocol import Array, Classifier
from tasks.classify.spec import Classify
from tasks.classify.values import Float
from tasks.classify.weights import epoch_order, initial_weights, trained_weights
from tasks.measuring import Diverged, Wrong, host_peak_bytes, is_real, timed
from tasks.protocol import Job, Result, Turn, Unsupported, data_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much of the data set a profile uses, the first images of each part, and in how many pieces.

    ``curve_images``: test images seen after every epoch (0: none); ``turns``: slices of an epoch's batches;
    ``split_batches``: batches whose training steps are timed part by part, after all else (0: none).

    Raises:
        ValueError: a count is out of range.
    """

    train_images: int = images.MNIST.train
    test_images: int = images.MNIST.test
    curve_images: int = 1000
    turns: int = 10
    split_batches: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "train_images": (1, images.MNIST.train),
            "test_images": (1, images.MNIST.test),
            "curve_images": (0, images.MNIST.test),
            "turns": (1, images.MNIST.train),
            "split_batches": (0, images.MNIST.train),
        }
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} must be from {least} to {most}, got {value}")
        if self.curve_images > self.test_images:
            raise ValueError(f"curve_images {self.curve_images} exceed test_images {self.test_images}")


def epochs_of(task: Classify, learning: str) -> int:
    """How often the training images are seen."""
    if learning == "none":
        return 0
    # least squares see all images at once: a second pass would repeat the first
    return 1 if learning == "least-squares" else task.epochs


def run(module: Any, task: Classify, job: Job) -> Generator[Turn, None, Result]:
    """The cell, turn by turn: see ``Family`` in tasks/protocol.py.

    Raises:
        Unsupported: the adapter cannot run this, or there are no trained weights to give.
        Wrong: what it hands over is not what was asked for.
        Diverged: rates or weights became NaN or infinite.
    """
    amounts = Amounts(**job.amounts)
    whole = images.load(images.MNIST, data_folder(job))
    data = Images(
        train_images=whole.train_images[: amounts.train_images],
        train_labels=whole.train_labels[: amounts.train_images],
        test_images=whole.test_images[: amounts.test_images],
        test_labels=whole.test_labels[: amounts.test_images],
    )
    learns = job.learning != "none"
    try:
        weights = initial_weights(task, job.settings.seed) if learns else trained_weights(task)
    except LookupError as error:
        raise Unsupported(str(error)) from None
    yield Turn(phase="prepare")

    def build() -> Any:
        classifier = module.VARIANTS[job.variant](task, job.settings)
        classifier.load_weights(weights)
        return classifier

    classifier, build_seconds = timed(build, module.sync)
    classifier.load(data.train_images, data.train_labels)
    gc.collect()
    yield Turn(phase="build", seconds=build_seconds)

    learned = (yield from _learn(module, classifier, task, data, amounts, job)) if learns else None
    rates, eval_seconds = timed(partial(classifier.predict, data.test_images), module.sync)
    rates = _checked(task, rates, len(data.test_images))
    test_accuracy = _accuracy(task, rates, data.test_labels)
    figures = {
        "test_accuracy": test_accuracy,
        "build_seconds": build_seconds,
        "eval_seconds": eval_seconds,
        "host_peak_bytes": max(host_peak_bytes() or 0, learned.earlier_peak if learned else 0) or None,
    }
    if task.label_code in CODES_OF_BITS:
        figures["bitwise_accuracy"] = float((decode_bitwise(task, rates) == data.test_labels).mean())
    device = module.device_memory()
    if device is not None:
        figures["device_allocated_bytes"] = device
    if learned:
        figures |= learned.figures
        if amounts.curve_images == amounts.test_images:  # only then has every epoch seen the whole test set
            figures["best_test_accuracy"] = max(test_accuracy, learned.best_test_accuracy)
    splits = bool(learned and amounts.split_batches and hasattr(classifier, "split"))
    yield Turn(phase="evaluate", seconds=eval_seconds, free=not splits)
    parts = []
    if splits:
        order = epoch_order(images=len(data.train_images), batch=task.batch, seed=job.settings.seed, epoch=0)
        parts = yield from split.measure(module, classifier, order[: amounts.split_batches])
    by_class = list(_by_class(task, rates, data.test_labels))
    shows: dict[str, Any] = {"tested": pictures.tested(task, rates, data.test_images, data.test_labels)}

    if job.division == "open":  # the neurons are not those that the task names
        return {"figures": figures, "shows": shows, "metrics": by_class, "network": classifier.network}
    final = classifier.weights()
    if learned:
        shows["weights"] = _digest(final)
    inputs, layers = _traced(classifier, task, data.test_images, job.settings.seed)
    by_layer, overall = _spike_rates(layers)
    figures |= synaptic_operations(task, final, inputs, layers)
    figures["footprint_bytes"] = footprint_bytes(final)
    shows["traced"] = pictures.traced(task, inputs, layers, data.test_labels)
    if learned:
        seen = real_size.Seen(
            weights=weights,
            images=data.train_images[learned.first_batch],
            rates=learned.first_rates,
            batches=learned.batches,
        )
        real_size.check(classifier, task, job.settings, seen)
    return {
        "figures": figures | {"spike_rate": overall},
        "shows": shows,
        "metrics": by_class
        + [
            {"metric": "spike_rate", "of": {"layer": layer}, "value": rate}
            for layer, rate in enumerate(by_layer, start=1)
        ]
        + parts,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learned:
    """What is kept of a training: ``batches`` in all, and the first with its rates [batch, outputs].

    ``earlier_peak``: the largest resident memory of the processes before an interruption, in bytes.
    """

    figures: dict[str, float]
    best_test_accuracy: float
    batches: int
    first_batch: NDArray[np.int64]
    first_rates: Float
    earlier_peak: int


def _learn(
    module: Any, classifier: Classifier, task: Classify, data: Images, amounts: Amounts, job: Job
) -> Generator[Turn, None, _Learned]:
    """Every epoch in slices of its batches, and a look at test images after each."""

    def order_of(epoch: int) -> NDArray[np.int64]:
        return epoch_order(
            images=len(data.train_images), batch=task.batch, seed=job.settings.seed, epoch=epoch - 1
        )

    turns = 1 if job.learning == "least-squares" else amounts.turns
    curve: list[dict[str, Any]] = []
    earlier_peak = 0
    cold: list[int] = []  # the first epoch of a process compiles and caches
    states = Path(job.states) if job.states and job.division == "closed" else None
    if states and job.resume:
        earlier = checkpoint.load(states, job.resume)
        classifier.restore(earlier.state)
        curve, cold, first_rates = earlier.curve, earlier.cold, earlier.first_rates
        earlier_peak = earlier.host_peak
    cold.append(len(curve) + 1)
    for epoch in range(cold[-1], epochs_of(task, job.learning) + 1):
        order = order_of(epoch)
        parts, seconds = [], 0.0
        for batches in np.array_split(order, min(turns, len(order))):
            part, took = timed(partial(classifier.train_epoch, batches), module.sync)
            parts.append(_checked(task, part, batches.size))
            seconds += took
            yield Turn(phase="train", seconds=took, epoch=epoch, compared=epoch > cold[-1])
        if epoch == 1:
            first_rates = parts[0][: task.batch]
        rates, labels = np.concatenate(parts), data.train_labels[order.ravel()]
        test_loss = test_accuracy = None
        if amounts.curve_images:
            seen = classifier.predict(data.test_images[: amounts.curve_images])
            seen = _checked(task, seen, amounts.curve_images)
            test_labels = data.test_labels[: amounts.curve_images]
            test_loss, test_accuracy = _loss(task, seen, test_labels), _accuracy(task, seen, test_labels)
        _check_weights(classifier.weights())
        point = {
            "epoch": epoch,
            "loss": _loss(task, rates, labels),
            "test_loss": test_loss,
            "train_accuracy": _accuracy(task, rates, labels),
            "test_accuracy": test_accuracy,
            "seconds": seconds,
            "train_seconds": sum(earlier["seconds"] for earlier in curve) + seconds,
        }
        curve.append(point)
        if states:
            done = checkpoint.Checkpoint(
                state=classifier.state(),
                curve=curve,
                cold=cold,
                first_rates=first_rates,
                host_peak=max(earlier_peak, host_peak_bytes() or 0),
            )
            checkpoint.save(states, done)
        shown = point | {"epochs": epochs_of(task, job.learning)}
        yield Turn(phase="curve", epoch=epoch, point=shown, kept=states is not None)

    figures = {
        "train_accuracy": curve[-1]["train_accuracy"],
        "cold_epoch_seconds": curve[0]["seconds"],
        "train_seconds": curve[-1]["train_seconds"],
    }
    if warm := [point["seconds"] for point in curve if point["epoch"] not in cold]:
        figures["epoch_seconds"] = float(np.median(warm))
        figures["images_per_second"] = order_of(1).size / figures["epoch_seconds"]
    return _Learned(
        figures=figures,
        best_test_accuracy=max(point["test_accuracy"] or 0.0 for point in curve),
        batches=len(order_of(1)) * len(curve),
        first_batch=order_of(1)[0],
        first_rates=first_rates,
        earlier_peak=earlier_peak,
    )


def _checked(task: Classify, rates: Array, count: int) -> Float:
    """The adapter's rates, if they are rates at all."""
    expected = (count, code_table(task).shape[1])
    if rates.shape != expected:
        raise Wrong(f"firing rates of shape {rates.shape}, expected {expected}")
    if not is_real(rates):
        raise Wrong(f"firing rates of type {rates.dtype}, expected real numbers")
    if not np.isfinite(rates).all():
        raise Diverged("firing rates became NaN or infinite")
    if rates.min() < 0 or rates.max() > 1:
        raise Wrong(f"firing rates from {rates.min():.3g} to {rates.max():.3g}, outside 0 to 1")
    return np.asarray(rates, np.float64)


def _check_weights(weights: Mapping[str, Array]) -> None:
    # a membrane that is not a number never fires, so the rates of such a network look sound
    for name, value in weights.items():
        if not is_real(value):
            raise Wrong(f"weights {name} of type {value.dtype}, expected real numbers")
        if not np.isfinite(value).all():
            raise Diverged(f"weights {name} became NaN or infinite")


def _digest(weights: Mapping[str, Array]) -> str:
    """SHA-256 of trained weights, by which two trainings are the same to the last bit or not."""
    total = hashlib.sha256()
    for name in sorted(weights):
        total.update(name.encode() + b"\0" + np.ascontiguousarray(weights[name]).tobytes())
    return total.hexdigest()


def _accuracy(task: Classify, rates: Float, labels: NDArray[np.uint8]) -> float:
    return float((decode(task, rates) == labels).mean())


def _loss(task: Classify, rates: Float, labels: NDArray[np.uint8]) -> float:
    return loss_of(rates, code_table(task)[labels], task.loss)[0]


def _by_class(task: Classify, rates: Float, labels: NDArray[np.uint8]) -> Iterator[dict[str, Any]]:
    """How many images of each class are found, and how often each bit of a code of bits is right."""
    found = decode(task, rates)
    for number in np.unique(labels):
        share = float((found[labels == number] == number).mean())
        yield {"metric": "class_accuracy", "of": {"class": int(number)}, "value": share}
    if task.label_code in CODES_OF_BITS:
        right = ((rates > 0.5) == (code_table(task)[labels] == 1)).mean(axis=0)
        for output, share in enumerate(right):
            yield {"metric": "bit_accuracy", "of": {"output": output}, "value": float(share)}


def _traced(
    classifier: Classifier, task: Classify, pictures: NDArray[np.uint8], seed: int
) -> tuple[Float, tuple[Array, ...]]:
    """One batch of images as the network's input, and the spikes of every layer."""
    rng = np.random.default_rng([seed, 2])
    inputs = encode(pictures[: task.batch], encoder=task.encoder, steps=task.steps, rng=rng)
    codes = np.zeros((inputs.shape[1], code_table(task).shape[1]))
    return inputs, classifier.trace(inputs, codes, training=False).spikes


def _spike_rates(layers: Sequence[Array]) -> tuple[list[float], float]:
    """Spikes per neuron and step, by layer and over all neurons."""
    fired = []
    for index, layer in enumerate(layers, start=1):
        spikes = values.spikes(layer)
        if spikes is None:
            raise Wrong(f"spikes of layer {index} are not all 0 or 1")
        fired.append(float(spikes.sum()))
    sizes = [layer.size for layer in layers]
    return [count / size for count, size in zip(fired, sizes, strict=True)], sum(fired) / sum(sizes)
