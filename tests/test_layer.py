"""Single layers: reference, certificate on layers that are wrong in one way each, timed cell."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.measure.peaks import Peaks, measure
from bench.records import Cell
from bench.report import sweep_plot, sweeps
from bench.report.drawing import styles
from bench.report.layer import PAGE
from bench.report.page import write_report
from bench.report.sections import sections
from bench.report.sweeps import Sweep
from tasks import worker
from tasks.classify import reference as classify
from tasks.classify.spec import Neuron
from tasks.layer import FAMILY, reference
from tasks.layer.protocol import Array, Passed
from tasks.layer.run import Amounts
from tasks.layer.spec import ALPHA, TASKS, TAU, THRESHOLD, Flow, Layer, draw, lif, linear_lif
from tasks.measuring import Wrong, verdict
from tasks.protocol import Job, Settings, Turn
from tests.builders import cell as cell_of
from tests.builders import manifest, record
from tests.harness import FAKES, Bench, table, write_profile

if TYPE_CHECKING:
    from tests.fakes.numpy_family.layer import NumpyPass
else:
    worker.load_adapter("single", FAKES)  # makes the fakes' family importable
    NumpyPass = sys.modules["adapters.numpy_family.layer"].NumpyPass

Float = NDArray[np.float64]
SMALL = {"neurons": 7, "steps": 9, "batch": 3}


@pytest.mark.parametrize("task", [lif(**SMALL), linear_lif(**SMALL)])
def test_a_layer_is_what_the_layers_of_a_network_are(task: Layer) -> None:
    flow = draw(task, 1)
    found = reference.run(flow, task.neurons)
    current, through = flow.inputs.astype(np.float64), None
    if flow.weight is not None:
        current, through = classify.linear(current, flow.weight.astype(np.float64))
    neuron = Neuron(tau=TAU, threshold=THRESHOLD, alpha=ALPHA)
    spikes, _, backward = classify.spike(current, neuron)
    gradient, _ = backward(flow.gradient.astype(np.float64))
    assert np.array_equal(found.spikes, spikes)
    if through is None:
        assert found.weight_gradient is None
    else:
        gradient, weights = through(gradient)
        assert found.weight_gradient is not None
        assert np.allclose(found.weight_gradient, weights["weight"], rtol=1e-12)
    assert np.allclose(found.input_gradient, gradient, rtol=1e-12)


def test_a_part_of_the_neurons_is_that_part_of_all() -> None:
    flow = draw(linear_lif(**SMALL), 1)
    some, every = reference.run(flow, 3), reference.run(flow, 7)
    assert np.array_equal(some.spikes, every.spikes[..., :3])
    assert some.weight_gradient is not None and every.weight_gradient is not None
    assert np.allclose(some.weight_gradient, every.weight_gradient[:3], rtol=1e-12)


@pytest.mark.parametrize("neurons", [16, 1024])
@pytest.mark.parametrize("name", TASKS)
def test_neurons_fire_now_and_then_whatever_the_size(name: str, neurons: int) -> None:
    flow = draw(TASKS[name](neurons=neurons, steps=20, batch=4), 0)
    assert 0.1 < reference.run(flow, neurons).spikes.mean() < 0.4


class MembranesStay(NumpyPass):
    last: Float | float = 0.0

    def neurons(self, current: Float, gradient: Float) -> tuple[Float, Float]:
        current = current.copy()
        current[0] += self.last
        spikes, back = super().neurons(current, gradient)
        self.last = current[-1] * (1 - spikes[-1])
        return spikes, back


class GradientsAddUp(NumpyPass):
    earlier: Array | float = 0.0

    def backward(self) -> None:
        super().backward()
        before, self.earlier = self.earlier, self.result.input_gradient
        self.result = replace(self.result, input_gradient=self.earlier + before)


class KeepsTheFirstFlow(NumpyPass):
    def load(self, flow: Flow) -> None:
        self.flow = getattr(self, "flow", flow)


class FiresAboveTheThresholdOnly(NumpyPass):
    def neurons(self, current: Float, gradient: Float) -> tuple[Float, Float]:
        return super().neurons(current - 1e-9, gradient)


class NoTime(NumpyPass):
    def neurons(self, current: Float, gradient: Float) -> tuple[Float, Float]:
        steps = [
            super(NoTime, self).neurons(x[None], g[None]) for x, g in zip(current, gradient, strict=True)
        ]
        return np.concatenate([one for one, _ in steps]), np.concatenate([other for _, other in steps])


class SamplesForSteps(NumpyPass):
    def passed(self, first: int) -> Passed:
        passed = super().passed(first)
        return replace(passed, spikes=passed.spikes.swapaxes(0, 1))


class WeightsTransposed(NumpyPass):
    def passed(self, first: int) -> Passed:
        passed = super().passed(first)
        gradient = passed.weight_gradient
        return passed if gradient is None else replace(passed, weight_gradient=gradient.T)


class NoWeightGradient(NumpyPass):
    def passed(self, first: int) -> Passed:
        return replace(super().passed(first), weight_gradient=None)


class NotANumber(NumpyPass):
    def passed(self, first: int) -> Passed:
        passed = super().passed(first)
        return replace(passed, input_gradient=passed.input_gradient * np.nan)


FAULTS: list[tuple[type[NumpyPass], str, str, str]] = [
    (MembranesStay, "lif", "spike difference", "random, again"),
    (GradientsAddUp, "lif", "input gradient error", "random, again"),
    (KeepsTheFirstFlow, "linear_lif", "spike difference", "others"),
    (FiresAboveTheThresholdOnly, "lif", "spike difference", "threshold"),
    (FiresAboveTheThresholdOnly, "linear_lif", "spike difference", "threshold"),
    (NoTime, "lif", "spike difference", "random"),
    (SamplesForSteps, "lif", "spike difference", "random"),
    (WeightsTransposed, "linear_lif", "weight gradient error", "random"),
    (NoWeightGradient, "linear_lif", "weight gradient error", "random"),
    (NotANumber, "linear_lif", "input gradient error", "random"),
]


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", TASKS)
def test_an_honest_layer_is_certified(name: str, precision: Any) -> None:
    found = list(FAMILY.certify(NumpyPass, TASKS[name](), Settings(precision=precision), "none"))
    assert verdict(found, precision) == ("exact", "")
    assert len({(one.metric, one.probe) for one in found}) == len(found)


@pytest.mark.parametrize(("fault", "name", "metric", "probe"), FAULTS)
def test_a_planted_fault_is_caught(fault: type[NumpyPass], name: str, metric: str, probe: str) -> None:
    for precision in ("float64", "float32"):
        found = list(FAMILY.certify(fault, TASKS[name](), Settings(precision=precision), "none"))
        failed = {(one.metric, one.probe) for one in found if one.failed}
        assert (metric, probe) in failed, failed


def test_every_fault_is_in_the_list() -> None:
    here = {value for value in globals().values() if isinstance(value, type)}
    planted = {value for value in here if issubclass(value, NumpyPass)} - {NumpyPass}
    assert planted == {fault for fault, *_ in FAULTS} | {WrongWhereItIsLarge}


def test_a_certificate_does_not_depend_on_the_size() -> None:
    assert FAMILY.certified(lif(neurons=16, steps=2)) == FAMILY.certified(lif())
    assert FAMILY.certified(lif()) != FAMILY.certified(linear_lif())


class WrongWhereItIsLarge(NumpyPass):
    def neurons(self, current: Float, gradient: Float) -> tuple[Float, Float]:
        spikes, back = super().neurons(current, gradient)
        if self.task.neurons > 30:
            spikes[5] = 0
        return spikes, back


def cell(build: type[NumpyPass], task: Layer, repeats: int) -> tuple[list[Turn], dict[str, Any]]:
    module = SimpleNamespace(VARIANTS={"plain": build}, sync=lambda: None, device_memory=lambda: None)
    job = Job(
        stage="run",
        family="layer",
        task=task.name,
        amounts={"repeats": repeats},
        adapter="single",
        adapters=str(FAKES),
        table="layer",
        variant="plain",
        learning="none",
    )
    turns, work = [], FAMILY.run(module, task, job)
    while True:
        try:
            turns.append(next(work))
        except StopIteration as end:
            return turns, end.value


def test_the_first_turn_warms_up_and_the_others_are_compared() -> None:
    turns, result = cell(NumpyPass, linear_lif(neurons=100, steps=20, batch=4), repeats=3)
    passes = [turn for turn in turns if turn.phase == "pass"]
    assert [turn.compared for turn in passes] == [False, True, True, True]
    assert turns[-1].free
    figures = result["figures"]
    shares = figures["forward_seconds"] + figures["backward_seconds"]
    assert 0 < shares < 3 * figures["pass_seconds"]
    assert figures["element_nanoseconds"] == pytest.approx(figures["pass_seconds"] / 8000 * 1e9)
    assert 0.1 < figures["spike_rate"] < 0.4


def test_what_is_wrong_at_its_real_size_has_no_figures() -> None:
    with pytest.raises(Wrong, match="at its real size, spikes differ by"):
        cell(WrongWhereItIsLarge, lif(neurons=40, steps=20, batch=4), repeats=1)


def test_small_layers_pass_several_times_a_turn() -> None:
    assert lif(neurons=16, steps=2, batch=1).passes == 50
    assert lif(neurons=1000, steps=100, batch=10).passes == 10
    assert linear_lif(neurons=16384, steps=500).passes == 1


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="neurons must be at least 1, got 0"):
        lif(neurons=0)
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        Amounts(repeats=0)


PEAKS = Peaks(bytes_per_second=2e10, operations_per_second=1e11)


def test_the_floor_is_the_time_of_memory_and_products() -> None:
    assert PAGE.floor
    # 5 numbers of 4 bytes; and 3 products of a multiplication and an addition a neuron
    assert PAGE.floor(planned("lif", neurons=100), PEAKS) == pytest.approx(1.0)
    assert PAGE.floor(planned("linear_lif", neurons=100), PEAKS) == pytest.approx(1.0 + 6.0)


def planned(task: str, adapter: str = "torch", **values: int) -> Cell:
    work = FAMILY.work(TASKS[task](**values), Amounts(), "none")
    own = f"{task}-{adapter}-{values}"
    return cell_of(
        adapter, task, family="layer", table="layer", work=work, task_values=values, heat=own, cell=own
    )


def swept(times: dict[str, list[float]], **changes: Any) -> Sweep:
    records = [
        record(planned("lif", name, neurons=neurons), figures={"element_nanoseconds": seconds})
        for name, each in times.items()
        for neurons, seconds in zip((16, 1024), each, strict=True)
    ]
    made = manifest([each.cell for each in records], **changes)
    (sweep,) = sweeps.sweeps(made, sections(made, records), {"layer": PAGE})
    return sweep


def test_a_sweep_says_how_far_from_the_floor_each_is() -> None:
    sweep = swept({"near": [40.0, 2.0]}, peaks=asdict(PEAKS))
    assert sweep.floor == {16: pytest.approx(1.0), 1024: pytest.approx(1.0)}
    assert (
        "near plain takes 2.00 times what memory and products alone take at neurons 1024, and 40.0 times "
        "at 16."
    ) in sweeps.findings(sweep)
    drawn = sweep_plot.draw(
        sweep, styles([row.records[0].cell for line in sweep.lines().values() for row in line.values()])
    )
    assert drawn and "memory and products alone" in {text.get_text() for text in drawn.legends[0].get_texts()}
    drawn.draw_without_rendering()
    ticks = [text.get_text() for text in drawn.axes[0].get_yticklabels()]
    assert {"1", "10"} <= set(ticks)  # no powers in markup


def test_without_peaks_there_is_no_floor() -> None:
    sweep = swept({"near": [40.0, 2.0]})
    assert sweep.floor == {} and not any("alone" in said for said in sweeps.findings(sweep))


def test_peaks_that_cannot_be_measured_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert measure(1) is None


def test_peaks_are_measured_whatever_folders_a_person_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    found = measure(1)
    assert found and found.bytes_per_second > 1e7 and found.operations_per_second > 1e7


@pytest.mark.long  # a whole run with its report
def test_a_run_from_the_command_to_the_report(tmp_path: Path, mnist: Path) -> None:
    layer = {"repeats": 2, "lif": {"neurons": 20, "also": [{"neurons": 40}, {"neurons": 200}]}}
    profile = write_profile(tmp_path / "tiny.toml", tasks=["lif", "linear_lif"], layer=layer)
    with Bench(tmp_path, mnist) as bench:
        done = bench.run("run", "--profile", profile, "--only", "adapter=single")
        assert done.returncode == 0, done.stdout + done.stderr
        folder = bench.folder()
    write_report(folder)
    rows = table(folder / "results.csv")
    assert [row["task"] for row in rows] == ["lif", "lif", "lif", "linear_lif"]
    assert {(row["status"], row["parity"]) for row in rows} == {("ok", "exact")}
    assert {row["neurons"] for row in rows} >= {"20", "40", "200"}
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "lif over neurons" in page and "ns/neuron/step" in page
    assert "GFLOP/s" in page
