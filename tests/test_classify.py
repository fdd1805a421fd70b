from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from tasks.classify import FAMILY
from tasks.classify.codes import code_table, codewords, decode, decode_bitwise
from tasks.classify.networks import TASKS, conv_lif, csnn, fc_lif, lenet
from tasks.classify.probes import shrink
from tasks.classify.run import epochs_of
from tasks.classify.spec import BatchNorm, Conv, LabelCode, Linear, MaxPool, input_shapes, output_shape
from tasks.classify.weights import epoch_order, initial_weights, trained_weights


def test_decode_takes_the_nearest_code_and_the_lowest_class_of_a_tie() -> None:
    task = fc_lif()
    rates = np.zeros((4, 10))
    rates[0, 7] = 0.3
    rates[1, [4, 8]] = 0.5
    rates[2, [2, 5]] = 0.6, 0.7
    assert decode(task, rates).tolist() == [7, 4, 5, 0]
    assert decode(task, rates.astype(np.float32)).tolist() == [7, 4, 5, 0]


@pytest.mark.parametrize("by", [decode, decode_bitwise])
@pytest.mark.parametrize("code", get_args(LabelCode))
def test_every_class_decodes_to_itself(code: LabelCode, by: Callable[..., Any]) -> None:
    task = conv_lif(code=code)
    codes = code_table(task)
    assert len(np.unique(codes, axis=0)) == 10
    assert by(task, codes).tolist() == list(range(10))
    assert by(task, 0.8 * codes + 0.1).tolist() == list(range(10))


def test_codewords_are_those_of_their_names() -> None:
    assert codewords("binary", 10)[[0, 5, 9]].tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [1, 0, 0, 1]]
    gray = codewords("gray", 10)
    assert gray[[0, 2, 9]].tolist() == [[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 1]]
    assert (np.abs(np.diff(gray, axis=0)).sum(axis=1) == 1).all()
    assert codewords("inverse", 3).tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]


def test_a_word_of_no_class_is_none_bitwise_and_the_nearest_one_else() -> None:
    rates = np.array([[0.9, 0.9, 0.6, 0.8], [0.4, 0.4, 0.4, 0.4]])  # 1110 is no codeword of 0 to 9
    task = conv_lif(code="binary")
    assert decode_bitwise(task, rates).tolist() == [-1, 0]
    assert decode(task, rates).tolist() == [7, 0]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"code": "grey"}, "code must be one of onehot, inverse, binary, gray, got grey"),
        ({"channels": 6}, "channels must be a multiple of 4, got 6"),
        ({"hidden": 0}, "hidden must be at least 1, got 0"),
    ],
)
def test_conv_lif_refuses(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        conv_lif(**values)


def test_conv_lif_shrinks_to_maps_of_one_pixel() -> None:
    task = conv_lif(channels=8, hidden=6, code="gray")
    shapes = [*input_shapes(task.layers, task.input_shape)]
    assert (8, 1, 1) in shapes
    assert output_shape(task.layers[-1], shapes[-1]) == (4,)


def test_lenet_shrinks_no_further_than_its_convolutions_let_it() -> None:
    task = lenet(first=6, second=7, hidden=9)
    shapes = [*input_shapes(task.layers, task.input_shape)]
    assert shapes[1:6] == [(6, 24, 24), (6, 12, 12), (6, 12, 12), (7, 8, 8), (7, 4, 4)]
    small = shrink(task)
    assert small.input_shape == (1, 16, 16)
    assert input_shapes(small.layers, small.input_shape)[6] == (4, 1, 1)


def test_lenet_pools_before_its_neurons_or_after_them() -> None:
    assert lenet(first=2, second=3).network == (
        "Conv 2 5x5 - MaxPool 2 - LIF(tau 2) - Conv 3 5x5 - MaxPool 2 - LIF(tau 2) - Flatten - Linear 10 - "
        "LIF(tau 2)"
    )
    after = lenet(first=2, second=3, hidden=4, pool_first=False).network
    assert after.startswith("Conv 2 5x5 - LIF(tau 2) - MaxPool 2") and "Linear 4 - LIF(tau 2)" in after


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"first": 0}, "first must be at least 1, got 0"),
        ({"encoder": "rate"}, "encoder must be one of poisson, direct, got rate"),
    ],
)
def test_lenet_refuses(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        lenet(**values)


def test_fc_lif_may_have_a_layer_between() -> None:
    assert fc_lif(hidden=196).network == "Flatten - Linear 196 - LIF(tau 2) - Linear 10 - LIF(tau 2)"


def test_initial_weights_have_the_layouts_of_the_layers() -> None:
    weights = initial_weights(csnn(channels=3, hidden=5), seed=1)
    statistics = ("weight", "bias", "running_mean", "running_var")
    assert {name: value.shape for name, value in weights.items()} == {
        "0.weight": (3, 1, 3, 3),
        **{f"1.{name}": (3,) for name in statistics},
        "4.weight": (3, 3, 3, 3),
        **{f"5.{name}": (3,) for name in statistics},
        "9.weight": (5, 3 * 7 * 7),
        "11.weight": (10, 5),
    }


@pytest.mark.parametrize("name", TASKS)
def test_initial_weights_are_uniform_within_their_bound(name: str) -> None:
    task = TASKS[name]()
    weights = initial_weights(task, seed=1)
    for index, layer in enumerate(task.layers):
        if isinstance(layer, Conv | Linear):
            drawn = weights[f"{index}.weight"]
            bound = 1 / np.sqrt(drawn[0].size)
            assert 0.98 * bound < np.abs(drawn).max() <= bound * (1 + 2**-23)
            assert np.abs(drawn.mean()) < 0.1 * bound
            assert drawn.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
            np.testing.assert_array_equal(drawn, drawn.astype(np.float32))
        elif isinstance(layer, BatchNorm):
            for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
                assert (weights[f"{index}.{part}"] == value).all()


def test_initial_weights_depend_on_the_seed_alone() -> None:
    task = csnn(channels=3, hidden=5)
    first, again, other = (initial_weights(task, seed) for seed in (1, 1, 2))
    assert first.keys() == again.keys() == other.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    assert not (first["0.weight"] == other["0.weight"]).any()


def test_an_epoch_sees_each_image_once_and_drops_the_last_partial_batch() -> None:
    order = epoch_order(images=23, batch=5, seed=1, epoch=0)
    assert order.shape == (4, 5)
    assert len(set(order.ravel())) == 20
    assert set(order.ravel()) <= set(range(23))
    whole = epoch_order(images=20, batch=5, seed=1, epoch=0)
    assert sorted(whole.ravel()) == list(range(20))
    assert epoch_order(images=5, batch=5, seed=1, epoch=0).shape == (1, 5)
    with pytest.raises(ValueError, match="4 training images make no batch of 5"):
        epoch_order(images=4, batch=5, seed=1, epoch=0)


def test_the_order_differs_by_epoch_and_seed_and_is_repeatable() -> None:
    orders = {
        (seed, epoch): epoch_order(images=100, batch=10, seed=seed, epoch=epoch).tobytes()
        for seed in (1, 2)
        for epoch in (0, 1, 2)
    }
    assert len(set(orders.values())) == 6
    for (seed, epoch), order in orders.items():
        assert epoch_order(images=100, batch=10, seed=seed, epoch=epoch).tobytes() == order


@pytest.mark.parametrize("field", ["steps", "batch", "epochs"])
@pytest.mark.parametrize("name", TASKS)
def test_counts_below_one_are_refused(name: str, field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        TASKS[name](**{field: 0})
    with pytest.raises(ValueError, match="lr must be positive"):
        replace(TASKS[name](), lr=0)


def test_an_odd_row_is_lost_in_pooling() -> None:
    assert output_shape(MaxPool(), (3, 7, 6)) == (3, 3, 3)


@pytest.mark.parametrize("field", ["channels", "hidden"])
@pytest.mark.parametrize("name", ["csnn", "csnn_stepbn"])
def test_layers_of_nothing_are_refused(name: str, field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        TASKS[name](**{field: 0})


def test_trained_weights_are_those_of_their_task_and_others_have_none() -> None:
    task = fc_lif(steps=5)  # of any number of steps
    kept, drawn = trained_weights(task), initial_weights(task, seed=0)
    assert {name: value.shape for name, value in kept.items()} == {n: v.shape for n, v in drawn.items()}
    assert all(value.dtype == np.float64 and np.isfinite(value).all() for value in kept.values())
    assert not (kept["1.weight"] == drawn["1.weight"]).all()
    with pytest.raises(LookupError, match="no trained weights are kept for csnn"):
        trained_weights(csnn())


def test_images_are_seen_as_often_as_the_way_of_learning_asks() -> None:
    task = fc_lif(epochs=7)
    ways = ("bptt", "backpropagation", "least-squares", "none")
    assert [epochs_of(task, learning) for learning in ways] == [7, 7, 1, 0]


def test_work_is_what_rows_must_share_to_be_compared() -> None:
    task = fc_lif(steps=8, batch=20, epochs=3)
    amounts = FAMILY.amounts(train_images=50, test_images=40, curve_images=10)
    shared = {"test_images": 40, "steps": 8, "batch": 20}
    learned = {"train_images": 50, "curve_images": 10, "epochs": 3}
    assert FAMILY.work(task, amounts, "bptt") == shared | learned | {"loss": "mse"}
    assert FAMILY.work(task, amounts, "least-squares") == shared | learned | {"epochs": 1}
    assert FAMILY.work(task, amounts, "none") == shared
    few = FAMILY.amounts(train_images=19, test_images=40, curve_images=10)
    assert FAMILY.work(task, few, "none") == shared
    with pytest.raises(ValueError, match="raise train_images to at least 20, or lower batch of fc_lif"):
        FAMILY.work(task, few, "bptt")
