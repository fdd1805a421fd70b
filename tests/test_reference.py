"""The reference against what it did not compute itself: finite differences, identities and hand-made sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.classify import reference
from tasks.classify.networks import fc_lif
from tasks.classify.spec import (
    BatchNorm,
    Classify,
    Conv,
    Flatten,
    Layer,
    Linear,
    Loss,
    MaxPool,
    Neuron,
    Spike,
)

Float = NDArray[np.float64]
OVER: tuple[Literal["time_batch", "batch"], ...] = ("time_batch", "batch")


def random(*shape: int, seed: int = 0) -> Float:
    return np.random.default_rng(seed).normal(size=shape)


def slopes(value: Callable[[], float], array: Float, step: float = 1e-5) -> Float:
    """d value / d array, element by element, by central differences."""
    found = np.empty_like(array)
    for place in np.ndindex(array.shape):
        kept = array[place]
        array[place] = kept + step
        above = value()
        array[place] = kept - step
        below = value()
        array[place] = kept
        found[place] = (above - below) / (2 * step)
    return found


def assert_close(found: Float, expected: Float) -> None:
    assert np.abs(expected).max() > 1e-3  # or else nothing is compared
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_linear() -> None:
    x, weight, grad = random(2, 3, 4), random(5, 4, seed=1), random(2, 3, 5, seed=2)
    y, backward = reference.linear(x, weight)
    assert y[1, 2, 3] == pytest.approx(sum(weight[3, i] * x[1, 2, i] for i in range(4)))
    to_input, own = backward(grad)

    def value() -> float:
        return float((reference.linear(x, weight)[0] * grad).sum())

    assert_close(to_input, slopes(value, x))
    assert_close(own["weight"], slopes(value, weight))


@pytest.mark.parametrize(
    ("kernel", "padding", "shape"), [(3, 1, (5, 4)), (3, 0, (3, 2)), (5, 2, (5, 4)), (4, 0, (2, 1))]
)
def test_conv_is_a_cross_correlation_of_padded_maps(
    kernel: int, padding: int, shape: tuple[int, int]
) -> None:
    x, weight = random(2, 2, 3, 5, 4), random(2, 3, kernel, kernel, seed=1)
    y, _ = reference.conv(x, weight, padding)
    assert y.shape == (2, 2, 2, *shape)
    for t, n, c, row, column in np.ndindex(y.shape):
        total = 0.0
        for i, j in np.ndindex(kernel, kernel):
            if 0 <= row + i - padding < 5 and 0 <= column + j - padding < 4:
                total += float(weight[c, :, i, j] @ x[t, n, :, row + i - padding, column + j - padding])
        assert y[t, n, c, row, column] == pytest.approx(total)


@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (3, 0), (5, 2), (4, 0)])
def test_conv_gradients(kernel: int, padding: int) -> None:
    x, weight = random(2, 2, 3, 5, 4), random(2, 3, kernel, kernel, seed=1)
    grad = random(*reference.conv(x, weight, padding)[0].shape, seed=2)
    to_input, own = reference.conv(x, weight, padding)[1](grad)

    def value() -> float:
        return float((reference.conv(x, weight, padding)[0] * grad).sum())

    assert_close(to_input, slopes(value, x))
    assert_close(own["weight"], slopes(value, weight))


def norm_weights() -> dict[str, Float]:
    return {
        "weight": random(2, seed=3) + 2,
        "bias": random(2, seed=4),
        "running_mean": random(2, seed=5),
        "running_var": random(2, seed=6) ** 2 + 0.5,
    }


@pytest.mark.parametrize("over", OVER)
def test_batch_norm_gradients(over: str) -> None:
    x, own, grad = random(3, 2, 2, 2, 3), norm_weights(), random(3, 2, 2, 2, 3, seed=2)
    to_input, to_own = reference.batch_norm(x, own, over=over, training=True)[1](grad)

    def value() -> float:
        return float((reference.batch_norm(x, own, over=over, training=True)[0] * grad).sum())

    assert_close(to_input, slopes(value, x))
    assert to_own.keys() == {"weight", "bias"}
    for name, found in to_own.items():
        assert_close(found, slopes(value, own[name]))


def test_batch_norm_over_time_and_batch() -> None:
    x, own = random(3, 2, 2, 2, 3), norm_weights()
    y, _, running = reference.batch_norm(x, own, over="time_batch", training=True)
    for channel in range(2):
        values = x[:, :, channel]
        normal = (values - values.mean()) / np.sqrt(values.var() + 1e-5)
        np.testing.assert_allclose(y[:, :, channel], normal * own["weight"][channel] + own["bias"][channel])
        mean, var = running["running_mean"][channel], running["running_var"][channel]
        assert mean == pytest.approx(0.9 * own["running_mean"][channel] + 0.1 * values.mean())
        assert var == pytest.approx(0.9 * own["running_var"][channel] + 0.1 * values.var(ddof=1))


def test_batch_norm_step_by_step_is_batch_norm_of_each_step() -> None:
    x, own = random(3, 4, 2, 2, 3), norm_weights()
    y, _, running = reference.batch_norm(x, own, over="batch", training=True)
    for t in range(3):
        alone, _, statistics = reference.batch_norm(x[t : t + 1], own, over="time_batch", training=True)
        np.testing.assert_allclose(y[t], alone[0])
        own = own | statistics
    for name, value in running.items():
        np.testing.assert_allclose(value, own[name])


@pytest.mark.parametrize("over", OVER)
def test_batch_norm_evaluates_by_its_running_statistics(over: str) -> None:
    x, own = random(3, 2, 2, 2, 3), norm_weights()
    y, _, running = reference.batch_norm(x, own, over=over, training=False)
    assert running == {}
    shape = (2, 1, 1)
    mean, var, weight, bias = (
        own[name].reshape(shape) for name in ("running_mean", "running_var", "weight", "bias")
    )
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5) * weight + bias)


def test_max_pool_gradients_with_odd_sizes() -> None:
    x, grad = random(2, 2, 2, 5, 3), random(2, 2, 2, 2, 1, seed=2)
    y, backward = reference.max_pool(x)
    assert y.shape == grad.shape
    assert y[1, 0, 1, 1, 0] == x[1, 0, 1, 2:4, 0:2].max()
    to_input, own = backward(grad)
    assert own == {}
    assert not to_input[..., 4, :].any()
    assert not to_input[..., 2].any()
    assert_close(to_input, slopes(lambda: float((reference.max_pool(x)[0] * grad).sum()), x))


def test_the_first_of_a_tie_takes_the_gradient() -> None:
    x = np.array([[0.0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]]).reshape(1, 1, 1, 4, 4)
    y, backward = reference.max_pool(x)
    assert y.ravel().tolist() == [1, 1, 0, 1]
    grad = np.array([[2.0, 3], [4, 5]]).reshape(1, 1, 1, 2, 2)
    assert backward(grad)[0][0, 0, 0].tolist() == [[0, 2, 3, 0], [0, 0, 0, 0], [4, 0, 0, 0], [0, 0, 0, 5]]


def test_flatten() -> None:
    x = random(2, 3, 2, 2, 2)
    y, backward = reference.flatten(x)
    assert y.shape == (2, 3, 8)
    assert y[1, 2].tolist() == x[1, 2].ravel().tolist()
    np.testing.assert_array_equal(backward(y)[0], x)


@pytest.mark.parametrize(
    ("neuron", "drive", "spikes"),
    [
        (Neuron(tau=2.0), 2.0, [1, 1, 1, 1]),  # the boundary itself fires: 0 + (2 - 0) / 2 = 1
        (Neuron(tau=2.0), 1.5, [0, 1, 0, 1]),  # 0.75, 1.125, 0.75, 1.125
        (Neuron(tau=2.0), 1.0, [0, 0, 0, 0]),  # 0.5, 0.75, ... never 1
        (Neuron(tau=4.0), 2.0, [0, 0, 1, 0]),  # 0.5, 0.875, 1.15625, 0.5
        (Neuron(tau=None), 0.5, [0, 1, 0, 1]),  # 0.5, 1, 0.5, 1
        (Neuron(tau=None, threshold=1.25), 0.5, [0, 0, 1, 0]),
        (Neuron(tau=2.0), -1.0, [0, 0, 0, 0]),
    ],
)
def test_spikes_worked_out_by_hand(neuron: Neuron, drive: float, spikes: list[int]) -> None:
    fired, _, _ = reference.spike(np.full((4, 1), drive), neuron)
    assert fired.ravel().tolist() == spikes


@pytest.mark.parametrize(
    "neuron", [Neuron(tau=2.0), Neuron(tau=None), Neuron(tau=3.0, threshold=0.7, alpha=1.3)]
)
def test_gradient_through_time_of_a_spike(neuron: Neuron) -> None:
    """Each step function is replaced by its value + S(v) - S(v before), S the integral of the surrogate.

    At the point itself that is the hard network, and its true slopes are those that the surrogate stands for.
    """
    x, grad = 1 + 2 * random(6, 2, 3), random(6, 2, 3, seed=2)
    spikes, membranes, backward = reference.spike(x, neuron)
    assert 0.1 < spikes.mean() < 0.9

    def smooth(v: Float) -> Float:
        return np.arctan(np.pi / 2 * neuron.alpha * (v - neuron.threshold)) / np.pi

    def value() -> float:
        v = np.zeros(x.shape[1:])
        total = 0.0
        for t in range(len(x)):
            v = v + x[t] if neuron.tau is None else v + (x[t] - v) / neuron.tau
            s = spikes[t] + smooth(v) - smooth(membranes[t])
            total += float((s * grad[t]).sum())
            v = v * (1 - s)
        return total

    to_input, own = backward(grad)
    assert own == {}
    assert_close(to_input, slopes(value, x))


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_gradients_of_a_whole_network(loss: Loss) -> None:
    """Without a Spike layer the loss is smooth, so that every weight's gradient can be checked at once."""
    layers: tuple[Layer, ...] = (
        Conv(channels=2),
        BatchNorm(over="time_batch"),
        MaxPool(),
        Flatten(),
        Linear(features=3),
    )
    weights = {"0.weight": random(2, 1, 3, 3), "4.weight": random(3, 8, seed=1)}
    weights |= {f"1.{name}": value for name, value in norm_weights().items()}
    inputs, codes = random(2, 3, 1, 4, 5, seed=2), np.eye(3)[[2, 0, 1]]

    def run() -> reference.Truth:
        return reference.run(layers, weights, inputs, codes, training=True, loss=loss)

    def value() -> float:
        return run().loss

    truth = run()

    assert truth.gradients.keys() == {"0.weight", "1.weight", "1.bias", "4.weight"}
    for name, found in truth.gradients.items():
        assert found.any()
        assert_close(found, slopes(value, weights[name]))
    assert truth.statistics.keys() == {"1.running_mean", "1.running_var"}


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("samples", [1, 8, 19])
def test_rates_alone_are_those_of_a_training_batch(
    over: Literal["time_batch", "batch"], samples: int
) -> None:
    """They are made a few samples at a time, but for the statistics of the batch."""
    spike = Spike(neuron=Neuron())
    layers = (Conv(channels=2), BatchNorm(over=over), spike, MaxPool(), Flatten(), Linear(features=3), spike)
    weights = {"0.weight": random(2, 1, 3, 3), "5.weight": 2 * random(3, 8, seed=1)}
    weights |= {f"1.{name}": value for name, value in norm_weights().items()}
    inputs = random(6, samples, 1, 4, 4, seed=2)
    truth = reference.run(layers, weights, inputs, np.zeros((samples, 3)), training=True)
    assert 0 < truth.rates.mean() < 1
    np.testing.assert_array_equal(reference.training_rates(layers, weights, inputs), truth.rates)


def test_evaluation_has_no_gradients() -> None:
    layers = (Flatten(), Linear(features=2), Spike(neuron=Neuron()))
    weights = {"1.weight": random(2, 4)}
    truth = reference.run(layers, weights, random(3, 5, 1, 2, 2), np.zeros((5, 2)), training=False)
    assert truth.gradients == truth.statistics == {}
    (spikes,) = truth.spikes
    assert spikes.shape == (3, 5, 2)
    np.testing.assert_allclose(truth.rates, spikes.mean(0))


def task(**changes: object) -> Classify:
    values = {
        "name": "t",
        "input_shape": (1, 1, 2),
        "layers": (Flatten(), Linear(features=10), Spike(neuron=Neuron())),
        "steps": 2,
        "encoder": "poisson",
        "optimizer": "adam",
        "lr": 0.5,
        "batch": 1,
        "epochs": 1,
    }
    return Classify(**(values | changes))  # type: ignore[arg-type]


def test_adam_by_hand() -> None:
    optimizer = reference.Optimizer(task())
    weights = {"w": np.array([1.0, 1.0])}
    optimizer.step(weights, {"w": np.array([2.0, 1e-8])})
    # corrected means are the gradients themselves, corrected squares theirs: g / (|g| + 1e-8)
    np.testing.assert_allclose(weights["w"], [1 - 0.5 * 2 / (2 + 1e-8), 1 - 0.5 * 0.5], rtol=1e-13)
    before = weights["w"][0]
    optimizer.step(weights, {"w": np.array([-1.0, 0.0])})
    mean = (0.9 * 0.1 * 2 + 0.1 * -1) / (1 - 0.9**2)
    square = (0.999 * 0.001 * 4 + 0.001 * 1) / (1 - 0.999**2)
    assert weights["w"][0] == pytest.approx(before - 0.5 * mean / (np.sqrt(square) + 1e-8), rel=1e-13)


def test_sgd_with_momentum_by_hand() -> None:
    optimizer = reference.Optimizer(task(optimizer="sgd", momentum=0.9))
    weights = {"w": np.array([1.0])}
    found = []
    for gradient in (2.0, -1.0, 0.5):
        optimizer.step(weights, {"w": np.array([gradient])})
        found.append(float(weights["w"][0]))
    # velocities 2, 0.9 * 2 - 1 = 0.8, 0.9 * 0.8 + 0.5 = 1.22
    assert found == pytest.approx([0.0, -0.4, -1.01])


def test_a_training_step_changes_weights_and_statistics_and_tells_the_rates_before() -> None:
    norm = BatchNorm(over="time_batch")
    spike = Spike(neuron=Neuron())
    made = task(layers=(Conv(channels=2), norm, spike, Flatten(), Linear(features=10), spike))
    weights = {"0.weight": random(2, 1, 3, 3), "4.weight": 2 * random(10, 4, seed=1)}
    weights |= {f"1.{name}": value for name, value in norm_weights().items()}
    before = dict(weights)
    inputs, codes = random(2, 3, 1, 1, 2, seed=2), np.eye(10)[:3]
    truth = reference.run(made.layers, before, inputs, codes, training=True)
    rates = reference.train_batch(made, weights, reference.Optimizer(made), inputs, codes)
    np.testing.assert_array_equal(rates, truth.rates)
    for name, gradient in truth.gradients.items():
        assert gradient.any()
        change = 0.5 * gradient / (np.abs(gradient) + 1e-8)
        np.testing.assert_allclose(weights[name], before[name] - change, rtol=1e-9)
    for name, value in truth.statistics.items():
        np.testing.assert_array_equal(weights[name], value)


def test_fc_lif_learns_one_batch() -> None:
    made = fc_lif(steps=5, batch=4)
    rng = np.random.default_rng(0)
    weights = {"1.weight": rng.normal(0.1, 0.05, (10, 784))}
    inputs = (rng.random((5, 4, 1, 28, 28)) < 0.1).astype(np.float64)
    optimizer, codes = reference.Optimizer(made), np.eye(10)[:4]
    losses = [
        float(((reference.train_batch(made, weights, optimizer, inputs, codes) - codes) ** 2).mean())
        for _ in range(80)
    ]
    assert losses[-1] < 0.2 * losses[0]
