"""Synaptic operations: by hand, by the reference's own convolution, and by NeuroBench itself."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.catalogue import PROJECT, Adapter
from bench.environments import prepare
from bench.measure.peaks import Peaks
from bench.records import Metric
from bench.report import nef
from bench.report.operations import trained
from bench.report.sections import sections
from tasks.classify import reference
from tasks.classify.networks import TASKS
from tasks.classify.operations import footprint_bytes, synaptic_operations
from tasks.classify.probes import probes
from tasks.classify.spec import Classify, Conv, Flatten, Linear, MaxPool, Neuron, Spike
from tasks.nef import operations
from tasks.nef.examples import memory, multiply
from tests.builders import cell, manifest, record
from tests.test_report_nef import N, simulated
from tests.test_report_nef import cell as nef_cell

PEAKS = Peaks(bytes_per_second=1e10, operations_per_second=1e11)
NEURON = Spike(neuron=Neuron())
FOLDER = PROJECT / "tests" / "neurobench"


def task(*layers: Any, shape: tuple[int, ...] = (1, 4, 4)) -> Classify:
    return Classify(
        name="t",
        input_shape=shape,
        layers=layers,
        steps=2,
        encoder="direct",
        optimizer="sgd",
        lr=1.0,
        batch=2,
        epochs=1,
    )


def counts(found: dict[str, float]) -> tuple[float, ...]:
    """Dense operations, effective MACs and effective ACs."""
    return found["dense_synops"], found["effective_macs"], found["effective_acs"]


def draw(*shape: int, seed: int = 0, share: float = 0.5) -> NDArray[np.float64]:
    """Numbers of which a share is not 0."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * (rng.random(shape) < share)


def test_a_linear_layer_by_hand() -> None:
    inputs = np.array([[[[[1.0, 0.0]]], [[[1.0, 1.0]]]]])  # T = 1, N = 2
    weights = {"1.weight": np.array([[1.0, 0.0], [2.0, 3.0], [0.0, 0.0]])}
    found = synaptic_operations(
        task(Flatten(), Linear(features=3), NEURON, shape=(1, 1, 2)), weights, inputs, [np.zeros((1, 2, 3))]
    )
    # 1 -> 2 weights; 1, 1 -> 2 + 1 weights; over two images
    assert counts(found) == (6.0, 0.0, 2.5)


def test_inputs_that_are_no_spikes_are_multiplied() -> None:
    inputs = np.array([[[[[0.5, 0.0]]]]])
    weights = {"1.weight": np.ones((3, 2))}
    work = task(Flatten(), Linear(features=3), NEURON, shape=(1, 1, 2))
    found = synaptic_operations(work, weights, inputs, [np.zeros((1, 1, 3))])
    assert counts(found) == (6.0, 3.0, 0.0)


@pytest.mark.parametrize(("kernel", "padded"), [(3, True), (3, False), (5, True), (5, False)])
def test_a_convolution_counts_what_the_convolution_of_ones_adds_up(kernel: int, padded: bool) -> None:
    conv = Conv(channels=3, kernel=kernel, padded=padded)
    inputs, weight = draw(2, 3, 2, 6, 7), draw(3, 2, kernel, kernel, seed=1)
    found = synaptic_operations(task(conv, NEURON, shape=(2, 6, 7)), {"0.weight": weight}, inputs, [inputs])

    def added(x: NDArray[Any], weight: NDArray[Any]) -> float:
        return float(reference.conv(x.astype(float), weight.astype(float), conv.padding)[0].sum()) / 3

    assert found["effective_macs"] == pytest.approx(added(inputs != 0, weight != 0))
    assert found["dense_synops"] == pytest.approx(added(np.ones_like(inputs), np.ones_like(weight)))
    assert found["effective_macs"] < found["dense_synops"]


def test_what_is_pooled_counts_once() -> None:
    spikes = np.zeros((1, 1, 1, 5, 5))
    spikes[..., :2, :2] = 1
    spikes[..., 4, 4] = 1  # in no window
    layers = (NEURON, MaxPool(), Flatten(), Linear(features=2), NEURON)
    found = synaptic_operations(
        task(*layers, shape=(1, 5, 5)), {"3.weight": np.ones((2, 4))}, spikes, [spikes, np.zeros((1, 1, 2))]
    )
    assert counts(found) == (8.0, 0.0, 2.0)


def test_the_footprint_is_that_of_all_arrays_in_float32() -> None:
    assert footprint_bytes({"a": np.zeros((3, 4)), "b": np.zeros(5)}) == 68


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("name", "values"), [("fc_lif", {"hidden": 5, "steps": 3}), ("csnn", {}), ("conv_lif", {}), ("lenet", {})]
)
def test_neurobench_counts_the_same(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    probe = next(probes(TASKS[name](**values)))
    weights = {key: value * (np.abs(value) > 0.1) for key, value in probe.weights.items()}
    truth = reference.run(probe.task.layers, weights, probe.inputs, probe.codes, training=False)
    ours = synaptic_operations(probe.task, weights, probe.inputs, truth.spikes)
    shown = _shown(probe.task, weights, probe.inputs, truth.spikes)
    np.savez(tmp_path / "shown.npz", **shown)
    packages = Adapter(
        name="neurobench", folder=FOLDER, about="", devices=["cpu"], tables={"classify": {"none": ""}}
    )
    python = prepare(packages, device="cpu", root=PROJECT, say=print)
    done = subprocess.run(
        [python, FOLDER / "count.py", tmp_path / "shown.npz"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    assert ours["dense_synops"] == pytest.approx(theirs["Dense"])
    assert ours["effective_macs"] == pytest.approx(theirs["Effective_MACs"])
    assert ours["effective_acs"] == pytest.approx(theirs["Effective_ACs"])
    own = {f"{n}": shown[f"weight{n}"] for n in range(len(shown) // 3)}
    assert footprint_bytes(own) == theirs["Footprint"]


def _shown(task: Classify, weights: dict[str, Any], inputs: NDArray[Any], spikes: Any) -> dict[str, Any]:
    """What each layer with synapses is shown, by the reference's own passes between them."""
    shown: dict[str, Any] = {}
    fired = iter(spikes)
    x = np.asarray(inputs)
    for index, layer in enumerate(task.layers):
        match layer:
            case Spike():
                x = next(fired)
            case MaxPool() | Flatten():
                x, _ = reference.stateless(layer, x, {})
            case Conv() | Linear():
                number = len(shown) // 3
                shown[f"weight{number}"] = weights[f"{index}.weight"].astype(np.float32)
                shown[f"inputs{number}"] = np.ascontiguousarray(x, np.float32)
                shown[f"padding{number}"] = np.array(layer.padding if isinstance(layer, Conv) else 0)
            case _:
                pass
    return shown


def test_the_first_layer_gives_no_gradient_on_and_a_constant_input_is_seen_once() -> None:
    conv = Conv(channels=1, kernel=1)
    layers = (conv, NEURON, Flatten(), Linear(features=2), NEURON)
    images = np.array([[[[1.0, 0.0]]]])  # one image of two pixels
    inputs = np.broadcast_to(images, (3, *images.shape))
    spikes = np.ones((3, 1, 1, 1, 2))
    weights = {"0.weight": np.ones((1, 1, 1, 1)), "3.weight": np.ones((2, 2))}
    found = synaptic_operations(
        task(*layers, shape=(1, 1, 2)), weights, inputs, [spikes, np.zeros((3, 1, 2))]
    )
    # direct: one lit pixel, forward and to the weights; then 3 steps of 4 weights, three times
    assert found["training_operations"] == 2 * 1 + 3 * (3 * 4)
    drawn = replace(task(*layers, shape=(1, 1, 2)), encoder="poisson")
    found = synaptic_operations(drawn, weights, inputs, [spikes, np.zeros((3, 1, 2))])
    assert found["training_operations"] == 2 * 3 + 3 * (3 * 4)


def test_the_report_holds_an_epoch_against_its_products() -> None:
    counts = {
        "dense_synops": 1e6,
        "effective_macs": 0.0,
        "effective_acs": 2e5,
        "training_operations": 5e5,
        "footprint_bytes": 31360,
    }
    ran = record(cell("torch"), figures=counts | {"images_per_second": 1e4})
    (section,) = sections(manifest([ran.cell]), [ran])
    fc_lif = TASKS["fc_lif"](**ran.cell.task_values)  # Adam: the parameters and two moments, in and out
    least = 784 + 6 * 31360 / fc_lif.batch
    ((entries,),) = [group.rows for group in trained(section, PEAKS).groups]
    assert [entry.text for entry in entries] == [
        "torch", "1,000,000", "0", "200,000", "500,000", "31,360", f"{least:,.0f}", "10.0"
    ]  # fmt: skip
    # a memory so slow that the bytes take longer than the products
    slow = replace(PEAKS, bytes_per_second=least * 5e3)
    ((entries,),) = [group.rows for group in trained(section, slow).groups]
    assert entries[-1].text == "0.500"
    ((entries,),) = [group.rows for group in trained(section, None).groups]
    assert entries[-1].text == "–"
    bare = record(cell("torch"))
    (section,) = sections(manifest([bare.cell]), [bare])
    assert trained(section, PEAKS).groups == []


def test_a_step_of_a_simulated_network_by_hand() -> None:
    task = multiply(n=10)  # a, b and d 10 neurons; c 40 of two dimensions
    found = operations.synaptic_operations(task, {"a": 0.1, "b": 0.2, "c": 0.5, "d": 1.0})
    macs = 10 + 10 + 40 * 2 + 10
    assert found["macs"] == macs
    spikes = 0.1 * 10 + 0.2 * 10 + 0.5 * 40 + 1.0 * 10
    assert found["acs"] == pytest.approx(spikes)  # each decoded to one value, the product of c too
    assert found["dense"] == macs + 10 + 10 + 40 + 10
    assert operations.least_bytes(task) == 4 * (2 + 1) + 70


def test_what_is_decoded_twice_is_counted_once() -> None:
    found = operations.synaptic_operations(memory(n=10), {"a": 0.0, "b": 1.0})
    assert found["acs"] == 10  # b feeds itself and the probe


def test_the_report_holds_a_simulation_against_its_floor() -> None:
    ran = simulated(nef_cell("torch"))  # 40 networks' seconds a second; spikes of ensemble a alone
    (section,) = sections(manifest([ran.cell]), [ran])
    table = dict(nef.PAGE.tables)["Synaptic operations and distance to the floor"]
    assert table(section, PEAKS).groups == []
    spikes = [
        Metric(metric="spike_rate", of={"stimulus": "pulse", "n": N, "ensemble": name}, value=0.5)
        for name in "ab"
    ]
    ran = ran.model_copy(update={"metrics": spikes})
    (section,) = sections(manifest([ran.cell]), [ran])
    ((entries,),) = [group.rows for group in table(section, PEAKS).groups]
    least = 4 * 2 + 2 * N  # bytes, which take longer than the operations
    over = 0.001 / 40 / (least / PEAKS.bytes_per_second)
    assert [entry.text for entry in entries] == ["torch", "32.0", "16.0", "8.00", "24", f"{over:,.0f}"]
    ((entries,),) = [group.rows for group in table(section, None).groups]
    assert entries[-1].text == "–"
