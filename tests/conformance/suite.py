"""The conformance suite: what every adapter must do, whatever its framework.

Runs inside the adapter's own environment (standard library, NumPy and the framework), one process per
adapter and variant: a job as a JSON line on stdin, one JSON line per check on stdout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import worker
from tasks.classify import reference
from tasks.classify.codes import code_table
from tasks.classify.losses import loss_of
from tasks.classify.networks import csnn, csnn_stepbn, fc_lif
from tasks.classify.probes import extreme_images, random_weights, shrink
from tasks.classify.protocol import Classifier
from tasks.classify.spec import Classify, Flatten, Linear, Neuron, Spike
from tasks.classify.split import PARTS
from tasks.families import families
from tasks.measuring import Deviation, verdict
from tasks.plasticity.examples import stdp
from tasks.plasticity.protocol import Plastic
from tasks.plasticity.spec import Stdp
from tasks.protocol import Family, Precision, Settings, Unsupported

# A fault of one in a million runs would still be found: five standard deviations.
SIGMAS = 5
PRECISIONS: tuple[Precision, ...] = ("float64", "float32")


@dataclass(frozen=True, slots=True)
class Subject:
    """One variant of an adapter's module; ``declared``: the variants that its adapter.toml names."""

    module: ModuleType
    table: str
    variant: str
    declared: list[str]
    settings: Settings

    @property
    def family(self) -> Family:
        """The one that runs variants of this table."""
        return FAMILY_OF[self.table]

    def build(self, task: Classify, **changes: Any) -> Classifier:
        """A classifier of the task, configured first as a worker would."""
        built: Classifier = self._built(task, changes)
        return built

    def build_plastic(self, task: Stdp, **changes: Any) -> Plastic:
        """A layer that learns from spike times, configured first as a worker would."""
        built: Plastic = self._built(task, changes)
        return built

    def _built(self, task: object, changes: dict[str, Any]) -> Any:
        settings = replace(self.settings, **changes)
        worker.configure(self.module, settings)
        return self.module.VARIANTS[self.variant](task, settings)

    def certify(self, name: str, settings: Settings, **values: Any) -> Iterator[Deviation]:
        """The comparisons of a task's certificate."""
        task = self.family.tasks[name](**values)
        learning = self.family.tables[self.table].learning
        assert learning is not None, f"table {self.table} has no certificates"
        return self.family.certify(self.module.VARIANTS[self.variant], task, settings, learning)


def small_fc() -> Classify:
    """784-10 at T = 20, batch 16."""
    return replace(fc_lif(), steps=20, batch=16)


def small_csnn() -> Classify:
    """The convolutional network that every variant can run, at the certificate's size."""
    return shrink(csnn_stepbn())


def check_certificate(name: str, subject: Subject, **values: Any) -> None:
    """What the task asks for equals the reference's: spikes; gradients and timed path, or decoded values."""
    for precision in PRECISIONS:
        settings = replace(subject.settings, precision=precision)
        worker.configure(subject.module, settings)
        parity, reason = verdict(subject.certify(name, settings, **values), precision)
        assert parity != "wrong", reason


def check_weights_round_trip(subject: Subject) -> None:
    """What load_weights is given, weights returns: names, layouts and float32 values."""
    for task in (small_fc(), small_csnn()):
        workload = subject.build(task)
        for weights in (random_weights(task), {k: v * 0.5 for k, v in random_weights(task).items()}):
            workload.load_weights(weights)
            found = workload.weights()
            assert found.keys() == weights.keys(), f"names {sorted(found)}, expected {sorted(weights)}"
            for name, value in weights.items():
                assert found[name].shape == value.shape, f"{name}: shape {found[name].shape}"
                assert np.array_equal(found[name], value), f"{name}: other values came back"


def check_looking_changes_nothing(subject: Subject) -> None:
    """predict and trace leave weights and running statistics as they were."""
    task = small_csnn()
    workload = subject.build(task)
    weights = random_weights(task)
    workload.load_weights(weights)
    images, labels = extreme_images(task, 20)
    workload.predict(images)
    inputs = np.repeat((images[:8] / 255.0)[None], task.steps, axis=0)
    for training in (True, False):
        workload.trace(inputs, code_table(task)[labels[:8]], training=training)
    for name, value in workload.weights().items():
        assert np.array_equal(value, weights[name]), f"{name} has changed"


def check_state_between_batches(subject: Subject) -> None:
    """What was seen before leaves no trace in what is seen next."""
    for task in (small_fc(), small_csnn()):
        workload = subject.build(task)
        workload.load_weights(random_weights(task))
        images, _ = extreme_images(task, 3 * task.batch)
        first = workload.predict(images[: task.batch])
        workload.predict(images[task.batch :])
        assert np.array_equal(workload.predict(images[: task.batch]), first), "a batch changed the next one"


def check_load_weights_restarts(subject: Subject) -> None:
    """load_weights forgets the optimiser too: the same training twice gives the same weights."""
    for task in (small_fc(), small_csnn()):
        workload = subject.build(task)
        images, labels = extreme_images(task, 4 * task.batch)
        workload.load(images, labels)
        order = np.arange(len(images)).reshape(4, task.batch)
        results = []
        for _ in range(2):
            workload.load_weights(random_weights(task))
            workload.train_epoch(order)
            results.append(workload.weights())
        for name, value in results[0].items():
            close = np.allclose(value, results[1][name], rtol=0, atol=1e-6)
            assert close, f"{name} differs when training starts again"


def check_same_seed_same_training(subject: Subject) -> None:
    """A seed fixes the random input; another one changes it."""
    task = small_fc()
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (2 * task.batch, *task.input_shape), dtype=np.uint8)
    labels = rng.integers(0, 10, len(images))
    order = np.arange(len(images)).reshape(2, task.batch)
    rates = {}
    for run, seed in (("first", 5), ("again", 5), ("other", 6)):
        workload = subject.build(task, seed=seed, deterministic=True)
        workload.load_weights(random_weights(task))
        workload.load(images, labels)
        rates[run] = workload.train_epoch(order)
    assert np.array_equal(rates["first"], rates["again"]), "one seed gave two trainings"
    assert not np.array_equal(rates["first"], rates["other"]), "the seed changes nothing"


def check_batch_order(subject: Subject) -> None:
    """train_epoch takes the images of ``order`` and returns their rates in that order."""
    task = small_fc()
    workload = subject.build(task)
    weights = random_weights(task)
    images, labels = extreme_images(task, 3 * task.batch)
    workload.load(images, labels)
    order = np.random.default_rng(2).permutation(len(images))[: task.batch]
    workload.load_weights(weights)
    expected = workload.predict(images[order])  # no BatchNorm here: before the first step both are the same
    rates = workload.train_epoch(order[None])
    assert rates.shape == (task.batch, 10), f"rates of shape {rates.shape}"
    assert np.array_equal(rates, expected), "rates are not those of the images in the order asked for"


def check_training_lowers_the_loss(subject: Subject) -> None:
    """Ten patterns are learned, in both networks."""
    for task, epochs in ((small_fc(), 30), (small_csnn(), 15)):
        rng = np.random.default_rng(3)
        patterns = (rng.random((10, *task.input_shape)) < 0.3) * np.uint8(255)
        labels = np.arange(10 * task.batch) % 10
        workload = subject.build(task)
        workload.load_weights(random_weights(task))
        workload.load(patterns[labels].astype(np.uint8), labels)
        losses = []
        for epoch in range(epochs):
            order = np.random.default_rng([3, epoch]).permutation(len(labels)).reshape(-1, task.batch)
            rates = workload.train_epoch(order)
            codes = code_table(task)[labels[order.ravel()]]
            losses.append(loss_of(rates.astype(np.float64), codes, task.loss)[0])
        assert losses[-1] < 0.5 * losses[0], f"{task.name}: loss from {losses[0]:.4f} to {losses[-1]:.4f}"


def check_rates(subject: Subject) -> None:
    """Rates have one row per image for any number of images, and are whole spikes over T."""
    task = small_fc()
    workload = subject.build(task)
    workload.load_weights(random_weights(task))
    images, _ = extreme_images(task, 2 * task.batch + 3)
    together = workload.predict(images)
    for count in (1, task.batch - 1, task.batch + 1, 2 * task.batch + 3):
        rates = workload.predict(images[:count])
        assert rates.shape == (count, 10), f"{count} images gave rates of shape {rates.shape}"
        assert np.array_equal(rates, together[:count]), f"{count} images alone gave other rates"
    spikes = together * task.steps
    assert np.abs(spikes - spikes.round()).max() < 1e-3, "rates are no whole spikes over T"
    assert together.min() >= 0 and together.max() <= 1, "rates lie outside 0 to 1"
    assert 0.05 < together.mean() < 0.95, f"the probe is vacuous: mean rate {together.mean():.3f}"


def check_settings_read_back(subject: Subject) -> None:
    """What the harness asks for is set and reads back; a worker asks once, before anything is built."""
    settings = replace(subject.settings, seed=7, tf32=True, cudnn_benchmark=True, deterministic=True)
    worker.configure(subject.module, settings)


def check_amp(subject: Subject) -> None:
    """Mixed precision trains to finite rates and keeps float32 weights' shapes."""
    for task in (small_fc(), small_csnn()):
        workload = subject.build(task, precision="amp")
        workload.load_weights(random_weights(task))
        images, labels = extreme_images(task, 4 * task.batch)
        workload.load(images, labels)
        rates = workload.train_epoch(np.arange(len(images)).reshape(4, task.batch))
        assert rates.shape == (len(images), 10) and np.isfinite(rates).all(), "rates are not finite"
        changed = any(not np.array_equal(v, random_weights(task)[k]) for k, v in workload.weights().items())
        assert changed, "training changed no weight"
        assert all(np.isfinite(v).all() for v in workload.weights().values()), "weights are not finite"


def check_refuses_a_missing_device(subject: Subject) -> None:
    """Without a CUDA device (this process sees none) there is a reason, no crash and no silent CPU run."""
    if subject.settings.device != "cpu":
        raise Unsupported("this process was given a CUDA device")
    settings = replace(subject.settings, device="cuda")
    try:
        worker.configure(subject.module, settings)
        next(subject.certify(next(iter(subject.family.tasks)), settings))
    except Unsupported:
        return
    raise AssertionError("built for CUDA where there is none")


def check_variants_match(subject: Subject) -> None:
    """adapter.py has a builder for every variant that adapter.toml names, and for no other."""
    found = sorted(subject.module.VARIANTS)
    assert found == sorted(subject.declared), f"adapter.toml names {subject.declared}, VARIANTS {found}"


def check_split(subject: Subject) -> None:
    """Looking for where the time goes trains as training does, to the last bit, and leaves nothing behind."""
    for task in (small_fc(), shrink(csnn())):
        images, labels = extreme_images(task, 4 * task.batch)
        order = np.arange(len(images)).reshape(4, task.batch)
        results = []
        for looks in (False, True):
            workload: Any = subject.build(task, deterministic=True)
            if not hasattr(workload, "split"):
                raise Unsupported("it does not say where the time of a training step goes")
            workload.load_weights(random_weights(task))
            workload.load(images, labels)
            parts = workload.split(order) if looks else workload.train_epoch(order)
            workload.train_epoch(order)
            results.append(workload.weights())
        assert parts.keys() == set(PARTS), f"parts {sorted(parts)}, expected {sorted(PARTS)}"
        for name, value in results[0].items():
            assert np.array_equal(value, results[1][name]), f"{name} differs where somebody has looked"


def check_state_goes_on(subject: Subject) -> None:
    """Another object that takes over the state of the first trains on as the first does, to the last bit."""
    for task in (small_fc(), small_csnn()):
        images, labels = extreme_images(task, 4 * task.batch)
        images //= 2  # grey, so that Poisson input is drawn
        order = np.arange(len(images)).reshape(4, task.batch)
        first = subject.build(task, seed=3, deterministic=True)
        first.load_weights(random_weights(task))
        first.load(images, labels)
        first.train_epoch(order)
        state = first.state()
        expected = first.train_epoch(order)
        weights = first.weights()
        for is_new in (True, False):
            other = subject.build(task, seed=4, deterministic=True)
            other.load(images, labels)
            other.load_weights(random_weights(task))
            if not is_new:
                other.train_epoch(order[:2])  # which leaves its traces everywhere
            other.restore(state)
            assert other.steps() == 4, f"{other.steps()} steps where the state had 4"
            assert np.array_equal(other.train_epoch(order), expected), "rates differ after restore"
            for name, value in other.weights().items():
                assert np.array_equal(value, weights[name]), f"{name} differs after restore and an epoch"


def check_steps_counted(subject: Subject) -> None:
    """steps counts every batch of training since load_weights, and nothing else."""
    for task in (small_fc(), small_csnn()):
        workload = subject.build(task)
        images, labels = extreme_images(task, 4 * task.batch)
        workload.load(images, labels)
        order = np.arange(len(images)).reshape(4, task.batch)
        for _ in range(2):
            workload.load_weights(random_weights(task))
            assert workload.steps() == 0, f"{workload.steps()} steps before any training"
            for asked, batches in ((3, order[:3]), (4, order[3:])):
                workload.train_epoch(batches)
                workload.predict(images[: task.batch])
                inputs = np.repeat((images[:8] / 255.0)[None], task.steps, axis=0)
                workload.trace(inputs, code_table(task)[labels[:8]], training=True)
                assert workload.steps() == asked, f"{workload.steps()} steps after {asked} batches"


def check_poisson_encoder(subject: Subject) -> None:
    """Spikes come with probability pixel / 255, independently over steps, pixels and images.

    An identity Linear into integrate-and-fire neurons copies input spikes to the output, so that rates are
    the encoder's own.  In training and in evaluation.
    """
    intensities = np.array([0, 1, 13, 51, 102, 128, 179, 230, 254, 255], np.uint8)
    steps, count = 40, 2000
    task = replace(
        fc_lif(),
        input_shape=(10, 1, 1),
        layers=(Flatten(), Linear(features=10), Spike(neuron=Neuron(tau=None))),
        steps=steps,
        batch=count,
    )
    images = np.broadcast_to(intensities[:, None, None], (count, 10, 1, 1)).copy()
    workload = subject.build(task)
    workload.load_weights({"1.weight": np.eye(10)})
    workload.load(images, np.zeros(count, np.int64))
    seen = {"evaluation": workload.predict(images), "training": workload.train_epoch(np.arange(count)[None])}
    for mode, rates in seen.items():
        spikes = np.round(rates * steps)
        assert (spikes[:, 0] == 0).all() and (spikes[:, -1] == steps).all(), f"{mode}: 0 fired or 255 did not"
        p = intensities[1:-1] / 255
        inner = spikes[:, 1:-1]
        chi = (inner.sum(0) - count * steps * p) ** 2 / (count * steps * p * (1 - p))
        worst = int(chi.argmax())
        what = f"{mode}: pixel {intensities[worst + 1]} has chi-square {chi[worst]:.1f}"
        assert chi[worst] < SIGMAS**2, what
        # steps: of independent draws the variances add up; pixel 1 is too rare to judge so
        ratio = inner.var(0) / (steps * p * (1 - p))
        common = slice(1, -1)
        spread = SIGMAS * np.sqrt(2 / count)
        assert (abs(ratio[common] - 1) < spread).all(), (
            f"{mode}: steps depend on one another: {ratio.round(2)}"
        )
        correlation = np.corrcoef(inner[:, common].T) - np.eye(len(p) - 2)
        assert abs(correlation).max() < SIGMAS / np.sqrt(count), f"{mode}: pixels depend on one another"
        shifted = [np.corrcoef(column[:-1], column[1:])[0, 1] for column in inner[:, common].T]
        assert np.abs(shifted).max() < SIGMAS / np.sqrt(count), f"{mode}: images depend on one another"


def check_direct_encoder(subject: Subject) -> None:
    """Grey images are fed as pixel / 255 at every step: rates equal the reference's in float64."""
    task = small_csnn()
    images = np.random.default_rng(4).integers(0, 256, (task.batch, *task.input_shape), dtype=np.uint8)
    weights = random_weights(task)
    inputs: NDArray[np.float64] = np.broadcast_to(images / 255.0, (task.steps, *images.shape))
    truth = reference.run(task.layers, weights, inputs, np.zeros((len(images), 10)), training=False)
    workload = subject.build(task, precision="float64")
    workload.load_weights(weights)
    assert np.allclose(workload.predict(images), truth.rates, atol=1e-9), "rates differ from the reference"


def check_plastic_weights_round_trip(subject: Subject) -> None:
    """What load_weights is given, weights returns, and it stays what it was when it is given others."""
    task = stdp(neurons=5)
    layer = subject.build_plastic(task, precision="float64")
    given = [task.initial_weights(np.random.default_rng(seed)) for seed in range(2)]
    for weights in given:
        layer.load_weights(weights)
        found = layer.weights()
        layer.load_weights(given[0])
        assert np.array_equal(found, weights), "other values came back"


def check_plastic_seeds(subject: Subject) -> None:
    """A seed fixes the input spikes; another one changes them."""
    task = stdp(neurons=5)
    images = np.random.default_rng(1).integers(0, 256, (4, task.batch, task.pixels), dtype=np.uint8)
    weights = {}
    for run, seed in (("first", 5), ("again", 5), ("other", 6)):
        layer = subject.build_plastic(task, seed=seed, deterministic=True)
        layer.load_weights(task.initial_weights(np.random.default_rng(0)))
        layer.train(images, np.ones(len(images)))
        weights[run] = layer.weights()
    assert np.array_equal(weights["first"], weights["again"]), "one seed gave two trainings"
    assert not np.array_equal(weights["first"], weights["other"]), "the seed changes nothing"


def check_plastic_responses(subject: Subject) -> None:
    """Any number of images gets as many answers, of whole spikes."""
    task = stdp(neurons=5)
    layer = subject.build_plastic(task)
    layer.load_weights(task.initial_weights(np.random.default_rng(0)))
    images = np.full((2 * task.batch + 3, task.pixels), 128, np.uint8)
    for count in (1, task.batch, len(images)):
        spikes = layer.respond(images[:count])
        assert spikes.shape == (count, task.neurons), f"{count} images gave spikes of shape {spikes.shape}"
        assert np.array_equal(spikes, spikes.round()) and spikes.any(), "no whole spikes"


Check = Callable[[Subject], None]
FAMILY_OF = {table: family for family in families().values() for table in family.tables}
MODULE: dict[str, Check] = {
    "variants-match": check_variants_match,
    "refuses-a-missing-device": check_refuses_a_missing_device,
    "settings-read-back": check_settings_read_back,
}
LEARNING: dict[str, Check] = {
    **{
        f"certificate-{name}-cross_entropy": partial(check_certificate, name, loss="cross_entropy")
        for name in ("fc_lif", "csnn")
    },
    "rates": check_rates,
    "weights-round-trip": check_weights_round_trip,
    "looking-changes-nothing": check_looking_changes_nothing,
    "state-between-batches": check_state_between_batches,
    "load-weights-restarts": check_load_weights_restarts,
    "steps-counted": check_steps_counted,
    "split": check_split,
    "state-goes-on": check_state_goes_on,
    "batch-order": check_batch_order,
    "training-lowers-the-loss": check_training_lowers_the_loss,
    "amp": check_amp,
    "poisson-encoder": check_poisson_encoder,
    "direct-encoder": check_direct_encoder,
    # last: some frameworks cannot leave determinism again within a process
    "same-seed-same-training": check_same_seed_same_training,
}
PLASTIC: dict[str, Check] = {
    "responses": check_plastic_responses,
    "weights-round-trip": check_plastic_weights_round_trip,
    "same-seed-same-training": check_plastic_seeds,
}
OWN: dict[str, dict[str, Check]] = {
    "classify": LEARNING,
    "inference": {"rates": check_rates},
    "plasticity": PLASTIC,
}
# by the table of adapter.toml that a variant stands in; the open division has nothing to conform to
CHECKS: dict[str, dict[str, Check]] = {
    table: {
        **{f"certificate-{name}": partial(check_certificate, name) for name in family.tasks},
        **OWN.get(table, {}),
        **MODULE,
    }
    for table, family in FAMILY_OF.items()
    if family.tables[table].division == "closed"
}


def outcomes(subject: Subject, chosen: Collection[str]) -> Iterator[dict[str, Any]]:
    """Run these checks, or all where none is chosen.

    Each gives ``check``, ``outcome`` (passed, failed, skipped), ``reason`` and ``seconds``.
    """
    for name, check in CHECKS[subject.table].items():
        if not chosen or name in chosen:
            start = perf_counter()
            found = _outcome(subject, check)
            yield {"check": name, "seconds": perf_counter() - start} | found


def _outcome(subject: Subject, check: Check) -> dict[str, str]:
    try:
        check(subject)
    except Unsupported as reason:
        return {"outcome": "skipped", "reason": str(reason)}
    except AssertionError as error:
        return {"outcome": "failed", "reason": str(error)}
    except Exception as error:
        return {"outcome": "failed", "reason": f"{type(error).__name__}: {error}"}
    return {"outcome": "passed", "reason": ""}


def main() -> None:
    """Run the job on stdin."""
    events = worker.take_stdout()
    job = json.loads(sys.stdin.readline())
    module = worker.load_adapter(job["adapter"], Path(job["adapters"]))
    settings = Settings(**job["settings"])
    subject = Subject(module, job["table"], job["variant"], job["declared"], settings)
    for outcome in outcomes(subject, job["checks"]):
        print(json.dumps(outcome), file=events, flush=True)


if __name__ == "__main__":
    main()
