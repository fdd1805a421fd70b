"""The process in which one cell runs: standard library, NumPy and one framework.

    python -m bench.worker      one job as a JSON line on stdin, events as JSON lines on stdout

What a framework prints goes to stderr.  When stdin closes, the harness is gone and so is the worker.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from types import ModuleType
from typing import Any, TextIO

import numpy as np

import adapters
from adapters.protocol import Array, Classifier, Settings, Unsupported
from bench import certificate, nef_certificate, nef_worker
from bench.measure.clock import timed
from bench.measure.memory import host_peak_bytes
from bench.outcomes import Diverged, Wrong
from tasks.classify import code_table, decode, epoch_order, initial_weights
from tasks.images import encode, load_mnist
from tasks.nef import Nef
from tasks.registry import TASKS, Task
from tasks.spec import Classify
from tasks.trained import trained_weights

Say = Callable[[dict[str, Any]], None]


def main() -> None:
    """Run the job on stdin and end with one ``result`` event."""
    events = take_stdout()

    def say(event: dict[str, Any]) -> None:
        print(json.dumps(event, default=str), file=events, flush=True)

    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result = run(job, say)
    except Exception as error:
        traceback.print_exc()
        result = {"status": _status(error), "reason": _reason(error)}
    say({"event": "result"} | result)


def take_stdout() -> TextIO:
    """Keep stdout for events, and send everything else that prints there to stderr."""
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return events


def _end_with_parent() -> None:
    # unbuffered: the main thread may not find stdin's lock held when it ends
    while os.read(0, 4096):
        pass
    if os.getpgrp() == os.getpid():  # children end as well
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _status(error: Exception) -> str:
    if isinstance(error, Unsupported):
        return "skipped"
    if isinstance(error, Wrong):
        return "wrong"
    if isinstance(error, Diverged):
        return "diverged"
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "out_of_memory"
    return "error"


def _reason(error: Exception) -> str:
    name = type(error).__name__
    first = str(error).strip().partition("\n")[0]
    if isinstance(error, Unsupported | Wrong | Diverged):
        return first or name
    return f"{name}: {first}" if first else name


def run(job: dict[str, Any], say: Say) -> dict[str, Any]:
    """Configure, build and run the job's cell; the fields of its record."""
    try:
        module = load_adapter(job["adapter"], Path(job["adapters"]))
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if job["environment"] == "current" and package not in ("adapters", "bench", "tasks"):
            raise Unsupported(f"the interpreter at hand has no {package}") from error
        raise
    settings = Settings(**job["settings"])
    read = configure(module, settings)
    task = TASKS[job["task"]](**job["task_values"])
    versions = {name: str(version) for name, version in module.versions().items()}
    report = {"settings": read, "versions": versions}
    build = module.BUILDERS.get(type(task))
    if build is None:
        raise LookupError(f"adapter.toml declares what adapter.py has no builder for: {type(task).__name__}")
    if job["kind"] == "certify":
        return report | certify(module, build, task, settings, learns=job["learning"] != "none")
    if isinstance(task, Nef):
        return report | nef_worker.run(build, task, settings, measured=partial(say, {"event": "measured"}))
    return report | classify(build, task, settings, job, say)


def load_adapter(name: str, folder: Path) -> ModuleType:
    """The module of ``folder/<name>/adapter.py``, which may lie outside the repository."""
    if str(folder) not in adapters.__path__:
        adapters.__path__.append(str(folder))
    return importlib.import_module(f"adapters.{name}.adapter")


def configure(module: ModuleType, settings: Settings) -> dict[str, Any]:
    """Let the adapter set the settings, and compare what it reads back.

    Raises:
        Wrong: a setting reads back as something else.
    """
    read: dict[str, Any] = module.configure(settings)
    for name in ("device", "threads", "tf32", "cudnn_benchmark", "deterministic", "seed"):
        asked = getattr(settings, name)
        if read.get(name) != asked:
            raise Wrong(f"setting {name}: asked for {asked}, reads back as {read.get(name)}")
    return read


def certify(
    module: ModuleType, build: Callable[..., Any], task: Task, settings: Settings, *, learns: bool
) -> dict[str, Any]:
    """Compare the adapter with the reference in float64, float32 and the precision asked for."""
    deviations: list[certificate.Deviation] = []
    for precision in dict.fromkeys(("float64", "float32", settings.precision)):
        now = replace(settings, precision=precision)
        configure(module, now)
        if isinstance(task, Nef):
            deviations += nef_certificate.certify(build, task, now)
        else:
            deviations += certificate.certify(build, task, now, learns=learns)
    parity, reason = certificate.verdict(deviations, settings.precision)
    return {
        "status": "wrong" if parity == "wrong" else "ok",
        "reason": reason,
        "parity": parity,
        "metrics": [{"metric": d.metric, "key": d.key, "value": d.value} for d in deviations],
    }


def classify(
    build: Callable[[Classify, Settings], Classifier],
    task: Classify,
    settings: Settings,
    job: dict[str, Any],
    say: Say,
) -> dict[str, Any]:
    """Build, train, evaluate and look inside once; every figure is timed apart.

    Where nothing is learned, trained weights are given and nothing but the evaluation is timed.
    """
    mnist = load_mnist(Path(job["data"]))
    train = mnist.train_images[: job["train_images"]], mnist.train_labels[: job["train_images"]]
    test = mnist.test_images[: job["test_images"]], mnist.test_labels[: job["test_images"]]
    curve_images = job["curve_images"]
    learns = job["learning"] != "none"
    # least squares see all images at once: a second pass would repeat the first
    epochs = {"none": 0, "least-squares": 1}.get(job["learning"], task.epochs)

    try:
        weights = initial_weights(task, settings.seed) if learns else trained_weights(task)
    except LookupError as error:
        raise Unsupported(str(error)) from None
    start = perf_counter_ns()
    classifier = build(task, settings)
    classifier.load_weights(weights)
    classifier.sync()
    build_seconds = (perf_counter_ns() - start) / 1e9
    classifier.load(*train)
    gc.collect()

    seconds: list[float] = []
    curve: list[dict[str, Any]] = []
    for epoch in range(epochs):
        order = epoch_order(images=len(train[0]), batch=task.batch, seed=settings.seed, epoch=epoch)
        rates, took = timed(partial(classifier.train_epoch, order), classifier.sync)
        seconds.append(took)
        labels = train[1][order.ravel()]
        point = {
            "epoch": epoch + 1,
            "loss": _loss(task, _checked(task, rates, len(labels)), labels),
            "train_accuracy": _accuracy(task, rates, labels),
            "test_accuracy": None,
            "seconds": took,
            "train_seconds": sum(seconds),
        }
        if curve_images:
            seen = classifier.predict(test[0][:curve_images])
            point["test_accuracy"] = _accuracy(
                task, _checked(task, seen, curve_images), test[1][:curve_images]
            )
        _check_weights(classifier.weights())
        curve.append(point)
        say({"event": "epoch", "epochs": epochs} | point)

    rates, eval_seconds = timed(lambda: classifier.predict(test[0]), classifier.sync)
    test_accuracy = _accuracy(task, _checked(task, rates, len(test[0])), test[1])
    figures: dict[str, float] = {
        "test_accuracy": test_accuracy,
        "build_seconds": build_seconds,
        "eval_seconds": eval_seconds,
        "host_peak_bytes": host_peak_bytes(),
    }
    if learns:
        figures |= {
            "train_accuracy": curve[-1]["train_accuracy"],
            "cold_epoch_seconds": seconds[0],
            "train_seconds": sum(seconds),
            "epochs": epochs,
        }
    if learns and curve_images == len(test[0]):  # only then has every epoch seen the whole test set
        figures["best_test_accuracy"] = max(test_accuracy, *(p["test_accuracy"] for p in curve))
    if len(seconds) > 1:
        figures["epoch_seconds"] = float(np.median(seconds[1:]))
        figures["images_per_second"] = order.size / figures["epoch_seconds"]
    device = classifier.device_memory()
    if device is not None:
        figures["device_allocated_bytes"] = device
    spike_rates: dict[str, float] = {}
    if job["division"] == "closed":  # else the neurons are not those that the task names
        spike_rates = _spike_rates(classifier, task, test[0], settings.seed)
        figures["spike_rate"] = spike_rates.pop("all")
    return {
        "status": "ok",
        "figures": figures,
        "curve": curve,
        "metrics": [{"metric": "spike_rate", "key": key, "value": rate} for key, rate in spike_rates.items()],
    }


def _checked(task: Classify, rates: Array, count: int) -> Array:
    """The adapter's rates, if they are rates at all."""
    expected = (count, code_table(task).shape[1])
    if rates.shape != expected:
        raise Wrong(f"firing rates of shape {rates.shape}, expected {expected}")
    if not np.isfinite(rates).all():
        raise Diverged("firing rates are no longer finite")
    if rates.min() < 0 or rates.max() > 1:
        raise Wrong(f"firing rates from {rates.min():.3g} to {rates.max():.3g}, outside 0 to 1")
    return rates


def _check_weights(weights: Mapping[str, Array]) -> None:
    # a membrane that is not a number never fires, so the rates of such a network look sound
    for name, value in weights.items():
        if not np.isfinite(value).all():
            raise Diverged(f"weights {name} are no longer finite")


def _loss(task: Classify, rates: Array, labels: np.ndarray) -> float:
    return float(((rates.astype(np.float64) - code_table(task)[labels]) ** 2).mean())


def _accuracy(task: Classify, rates: Array, labels: np.ndarray) -> float:
    return float((decode(task, rates) == labels).mean())


def _spike_rates(classifier: Classifier, task: Classify, images: np.ndarray, seed: int) -> dict[str, float]:
    """Spikes per neuron and step on one batch of test images, by layer and over ``all`` neurons."""
    rng = np.random.default_rng([seed, 2])
    inputs = encode(images[: task.batch], encoder=task.encoder, steps=task.steps, rng=rng)
    codes = np.zeros((inputs.shape[1], code_table(task).shape[1]))
    spikes = classifier.trace(inputs, codes, training=False).spikes
    rates = {f"spike layer {index + 1}": float(layer.mean()) for index, layer in enumerate(spikes)}
    total = sum(layer.size for layer in spikes)
    return rates | {"all": sum(float(layer.sum()) for layer in spikes) / total}


if __name__ == "__main__":
    main()
