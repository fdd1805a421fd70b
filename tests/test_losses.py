from __future__ import annotations

from math import exp, log
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks import worker
from tasks.classify import FAMILY
from tasks.classify.images import MNIST, load
from tasks.classify.losses import loss_of
from tasks.classify.networks import TASKS, conv_lif, fc_lif
from tasks.classify.spec import Classify, Loss
from tasks.classify.weights import epoch_order, trained_weights
from tasks.protocol import Job, Settings
from tests.harness import FAKES


class Seen:
    """Rates that pass by."""

    def __init__(self) -> None:
        self.rates: list[NDArray[Any]] = []

    def keep(self, rates: NDArray[Any]) -> NDArray[Any]:
        self.rates.append(rates)
        return rates


RATES = np.array([[0.25, 0.5, 0.0], [1.0, 0.0, 0.5]])
CODES = np.eye(3)[[1, 2]]


def test_mean_squared_error_by_hand() -> None:
    assert loss_of(RATES, CODES, "mse")[0] == pytest.approx((0.0625 + 0.25 + 1 + 0.25) / 6)


def test_cross_entropy_by_hand() -> None:
    first = log(exp(0.25) + exp(0.5) + 1) - 0.5
    second = log(exp(1) + 1 + exp(0.5)) - 0.5
    assert loss_of(RATES, CODES, "cross_entropy")[0] == pytest.approx((first + second) / 2)
    assert loss_of(np.zeros((4, 10)), np.eye(10)[:4], "cross_entropy")[0] == pytest.approx(log(10))


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_the_loss_that_it_is_given(name: str) -> None:
    assert TASKS[name]().loss == "mse"
    for loss in get_args(Loss):
        assert TASKS[name](loss=loss).loss == loss
    with pytest.raises(ValueError, match="loss must be one of mse, cross_entropy, got hinge"):
        TASKS[name](loss="hinge")


@pytest.mark.parametrize("code", ["inverse", "binary", "gray"])
def test_cross_entropy_is_for_onehot_labels_alone(code: Any) -> None:
    assert conv_lif(code=code).label_code == code
    with pytest.raises(ValueError, match=f"loss cross_entropy needs one-hot labels, got the code {code}"):
        conv_lif(code=code, loss="cross_entropy")


def test_weights_of_another_loss_are_not_given() -> None:
    with pytest.raises(LookupError, match="kept for fc_lif were trained with the loss mse"):
        trained_weights(fc_lif(loss="cross_entropy"))


def trained(task: Classify, mnist: Path, curve_images: int) -> tuple[list[dict[str, Any]], Seen, Seen]:
    """The curve of a cell, and the rates that its classifier has handed over in training and evaluation."""
    honest = worker.load_adapter("ok", FAKES)
    in_training, in_evaluation = Seen(), Seen()

    def build(task: Classify, settings: Settings) -> Any:
        classifier = honest.VARIANTS["plain"](task, settings)
        train, predict = classifier.train_epoch, classifier.predict
        classifier.train_epoch = lambda order: in_training.keep(train(order))
        classifier.predict = lambda images: in_evaluation.keep(predict(images))
        return classifier

    module = SimpleNamespace(**vars(honest) | {"VARIANTS": {"plain": build}})
    job = Job(
        stage="run",
        family="classify",
        task=task.name,
        amounts={"train_images": 24, "test_images": 20, "curve_images": curve_images, "turns": 1},
        adapter="ok",
        adapters=str(FAKES),
        table="classify",
        variant="plain",
        learning="bptt",
        data=str(mnist),
    )
    turns = FAMILY.run(module, task, job)
    return [dict(turn.point) for turn in turns if turn.point], in_training, in_evaluation


@pytest.mark.parametrize("loss", get_args(Loss))
def test_a_curve_has_the_loss_of_the_rates_that_were_seen(loss: Loss, mnist: Path) -> None:
    task = fc_lif(steps=8, batch=4, epochs=2, loss=loss)
    curve, in_training, in_evaluation = trained(task, mnist, curve_images=12)
    data = load(MNIST, mnist)
    assert len(curve) == 2
    for epoch, point in enumerate(curve):
        order = epoch_order(images=24, batch=4, seed=0, epoch=epoch)
        codes = np.eye(10)[data.train_labels[order.ravel()]]
        assert point["loss"] == loss_of(in_training.rates[epoch], codes, loss)[0]
        codes = np.eye(10)[data.test_labels[:12]]
        assert point["test_loss"] == loss_of(in_evaluation.rates[epoch], codes, loss)[0]


def test_without_images_for_the_curve_there_is_no_test_loss(mnist: Path) -> None:
    curve, _, _ = trained(fc_lif(steps=8, batch=4, epochs=2), mnist, curve_images=0)
    assert [(point["test_loss"], point["test_accuracy"]) for point in curve] == [(None, None)] * 2
