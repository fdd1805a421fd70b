from __future__ import annotations

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

from tasks.nef import scores
from tasks.nef.examples import TASKS, calculate, memory, multiply
from tasks.nef.model import build_model, gain_and_bias, rates, solve_decoders, stack
from tasks.nef.scores import ideal
from tasks.nef.spec import Constant, Float, Nef, Noise, Pulse, Ramp, Signal, Sine, Square, Stimulus
from tasks.nef.stimuli import stimulus_array

TASK = calculate()


def signal(wanted: Signal) -> Float:
    return stimulus_array(TASK, Stimulus(name="any", signals=(wanted,)))[:, 0]


def stimulus(task: Nef, name: str) -> Float:
    return stimulus_array(task, next(found for found in task.stimuli if found.name == name))


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("field", ["n", "seeds"])
def test_counts_are_at_least_one(name: str, field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        TASKS[name](**{field: 0})


@pytest.mark.parametrize(("sweep", "words"), [((50, 0), "at least 1"), ((50, 50), "twice")])
def test_a_sweep_names_sizes_once(sweep: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        memory(sweep=sweep)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_whole(name: str) -> None:
    task = TASKS[name](n=7)
    assert task.name == name
    known = {*task.inputs, *(ensemble.name for ensemble in task.ensembles)}
    assert {connection.source for connection in task.connections} | {task.output} <= known
    targets = {connection.target for connection in task.connections}
    assert targets == {ensemble.name for ensemble in task.ensembles}
    for found in task.stimuli:
        inputs = stimulus_array(task, found)
        assert inputs.shape == (task.steps, len(task.inputs))
        assert np.abs(inputs).max() <= 1


def test_a_network_in_words() -> None:
    assert memory(n=9).network == "a 9, b 9: stim -> a, a -> b x 0.1, b -> b"
    assert "c 36 (2-D)" in multiply(n=9).network
    assert "b -> c[1], c -> d product" in multiply(n=9).network


def test_signals_on_their_grid() -> None:
    assert signal(Constant(value=0.25)).tolist() == [0.25] * 2000
    ramp = signal(Ramp(start=-1, stop=1))
    assert (ramp[0], ramp[-1]) == (-1, 1)
    assert np.allclose(np.diff(ramp), 2 / 1999, atol=1e-6)
    sine = signal(Sine(hertz=1, amplitude=0.5))
    assert sine[249] == 0.5 and sine[749] == -0.5  # rows end at 0.25 s and 0.75 s
    square = signal(Square(hertz=1, amplitude=0.5))
    assert np.flatnonzero(np.diff(square)).tolist() == [499, 999, 1499]
    assert (square[0], square[500]) == (0.5, -0.5)
    pulse = signal(Pulse(start=0.2, stop=0.7, amplitude=0.5))
    assert np.flatnonzero(pulse).tolist() == list(range(200, 700))


def test_noise_has_its_band_its_peak_and_its_seed() -> None:
    noise = signal(Noise(hertz=5, peak=0.5, seed=3))
    assert np.abs(noise).max() == 0.5
    power = np.abs(np.fft.rfft(noise)) ** 2  # every 0.5 Hz over 2 s
    assert power[1:11].min() > 0
    assert power[0] + power[11:].sum() < 1e-10 * power.sum()
    assert np.array_equal(noise, signal(Noise(hertz=5, peak=0.5, seed=3)))
    assert not np.array_equal(noise, signal(Noise(hertz=5, peak=0.5, seed=4)))


def test_a_neuron_starts_at_its_intercept_and_reaches_its_rate_at_one() -> None:
    largest, intercepts = np.array([200.0, 300, 400]), np.array([-1.0, 0, 0.9])
    gain, bias = gain_and_bias(TASK, largest, intercepts)
    assert np.allclose(gain * intercepts + bias, 1, rtol=1e-12)
    assert np.allclose(rates(TASK, gain + bias), largest, rtol=1e-12)


def test_rates_by_hand() -> None:
    found = rates(TASK, np.array([-3, 0.5, 1, 2]))
    assert found.tolist() == pytest.approx([0, 0, 0, 1 / (0.002 + 0.02 * log(2))])


def test_decoders_by_hand() -> None:
    # noise 0.5 * 4 = 2: (2 * 1 + 4 * 2) / (2^2 + 4^2 + 2 points * 2^2)
    found = solve_decoders(np.array([[2.0], [4.0]]), np.array([[1.0], [2.0]]), 0.5)
    assert found.tolist() == [[pytest.approx(10 / 28)]]


def test_a_model_is_a_function_of_its_seed() -> None:
    task = multiply(n=6)
    one, same, other = build_model(task, 4), build_model(task, 4), build_model(task, 5)
    for name, population in one.populations.items():
        assert np.array_equal(population.gain, same.populations[name].gain)
        assert not np.array_equal(population.gain, other.populations[name].gain)
        assert np.allclose(np.linalg.norm(population.encoders, axis=1), 1, atol=1e-6)
        assert population.voltage.min() >= 0 and population.voltage.max() <= 1
        for values in (population.encoders, population.gain, population.bias, population.voltage):
            assert np.array_equal(values, values.astype(np.float32))
    assert one.populations["c"].encoders.shape == (24, 2)
    shapes = {key: decoders.shape for key, decoders in one.decoders.items()}
    assert shapes == {
        ("a", "identity"): (6, 1),
        ("b", "identity"): (6, 1),
        ("c", "product"): (24, 1),
        ("d", "identity"): (6, 1),
    }


def test_decoders_decode_within_the_ensembles_radius() -> None:
    task = multiply(n=100)
    model = build_model(task, 0)
    c = model.populations["c"]
    points = np.array([[0.5, 0.5], [-1, 0.8], [1, -0.9]])
    activities = rates(task, c.gain * (points / 1.5 @ c.encoders.T) + c.bias)
    assert np.allclose(activities @ model.decoders["c", "product"], points.prod(1)[:, None], atol=0.1)


def test_stacked_models_have_a_leading_axis() -> None:
    task = memory(n=6)
    models = [build_model(task, seed) for seed in (3, 1)]
    stacked = stack(models)
    assert stacked.decoders["b", "identity"].shape == (2, 6, 1)
    assert np.array_equal(stacked.populations["a"].encoders[1], models[1].populations["a"].encoders)


def test_the_ideal_by_hand_and_its_delays() -> None:
    fast, slow = 1 - exp(-0.2), 1 - exp(-0.1)
    found = ideal(TASK, np.full((5, 1), 0.5))[:, 0]
    assert found[:3].tolist() == [0, 0, 0]  # one step per filter: input, a -> b, probe
    assert found[3] == pytest.approx((0.5 * fast) ** 2 * slow * slow)
    assert found[4] > found[3]
    found = ideal(multiply(), np.array([[0.5, 0.8]] * 6))[:, 0]
    assert found[:4].tolist() == [0, 0, 0, 0]
    assert found[4] == pytest.approx(0.5 * fast * fast * 0.8 * fast * fast * fast * slow)


@pytest.mark.parametrize(
    ("name", "value"), [("add", 0.7), ("calculate", 0.04), ("multiply", 0.1)], ids=lambda x: str(x)
)
def test_the_ideal_settles_at_the_answer(name: str, value: float) -> None:
    assert ideal(TASKS[name](), stimulus(TASKS[name](), "constant"))[-1, 0] == pytest.approx(value, rel=1e-6)


def test_the_ideal_memory_integrates_and_holds() -> None:
    task = memory()
    held = ideal(task, stimulus(task, "pulse"))[1000:, 0]
    # 500 steps of dt, by a filter whose gain per step is (1 - a) / 0.1 s
    total = 500 * 0.1 * -np.expm1(-0.01)
    assert np.abs(held - total).max() < 1e-6
    assert np.ptp(held) < 1e-9


def test_metrics_by_hand() -> None:
    task = replace(TASK, steps=400)
    expected = np.linspace(0, 1, 400)[:, None]
    decoded = np.stack([expected + 0.5, expected - 0.25])
    decoded[:, :200] = 99  # the first 0.2 s do not count
    assert scores.rmse(task, decoded, expected).tolist() == pytest.approx([0.5, 0.25])
    assert scores.bias(task, decoded, expected).tolist() == pytest.approx([0.5, -0.25])
    mean = expected[200:].mean()
    assert scores.mean_output(task, decoded).tolist() == pytest.approx([mean + 0.5, mean - 0.25])
    decoded[0, 300:400, 0] = np.arange(100) * 0.002
    decoded[1, 300:400, 0] = 7
    assert scores.drift(task, decoded, (0.3, 0.4)).tolist() == pytest.approx([2, 0])
