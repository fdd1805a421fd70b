from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench import catalogue, plan
from bench.catalogue import PROJECT, discover
from bench.errors import UserError
from bench.plan import CERTIFY_TIMEOUT_SECONDS, make_cells, order_seed, parse_only, plan_digest
from bench.profile import Profile
from bench.records import Cell
from tests.harness import CLASSIFY, FAKES, PROFILE

SETTINGS = {"device": "cpu", "precision": "float32", "threads": 1, "environment": "locked"}
MACHINE = {"name": "some", "cores": 2}
TWO_TASKS: dict[str, Any] = {"tasks": ["fc_lif", "csnn"], "classify": CLASSIFY | {"csnn": {"batch": 8}}}
# a control is the baseline once more, under the baseline's key
THREE = ("ok", "wrong", "noisy")


def cells(
    only: str = "adapter=ok,wrong,noisy",
    *,
    folder: Path | None = FAKES,
    settings: dict[str, Any] = SETTINGS,
    machine: dict[str, Any] = MACHINE,
    unavailable: dict[str, str] = {},  # noqa: B006 -- never written to
    **profile: Any,
) -> list[Cell]:
    return make_cells(
        Profile(**(PROFILE | profile)),
        discover(folder),
        parse_only(only),
        settings=settings,
        machine=machine,
        unavailable=unavailable,
    )


def of(stage: str, cells: list[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.stage == stage]


def keys(cells: list[Cell], stage: str = "run") -> dict[str, str]:
    """Keys by adapter."""
    return {cell.adapter: cell.cell for cell in of(stage, cells)}


def heats(cells: list[Cell]) -> list[list[Cell]]:
    """Cells heat by heat; those of a heat must stand side by side."""
    found: list[list[Cell]] = []
    for cell in cells:
        if cell.stage == "certify":
            continue
        if not found or found[-1][0].heat != cell.heat:
            found.append([])
        found[-1].append(cell)
    assert len({heat[0].heat for heat in found}) == len(found)
    return found


def test_equal_plans_are_equal_in_keys_and_order() -> None:
    assert cells() == cells()
    shuffled = random.Random(1).sample(cells(), len(cells()))
    assert plan_digest(shuffled) == plan_digest(cells())
    assert order_seed(shuffled) == order_seed(cells())


def test_keys_are_unique() -> None:
    planned = cells(seeds=[0, 1], **TWO_TASKS)
    assert len({cell.cell for cell in planned}) == len(planned) == 2 * 3 + 2 * 2 * (3 + 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [2]},
        {"classify": CLASSIFY | {"train_images": 23}},
        {"classify": CLASSIFY | {"test_images": 19}},
        {"classify": CLASSIFY | {"curve_images": 9}},
        {"classify": CLASSIFY | {"turns": 3}},
        {"classify": CLASSIFY | {"fc_lif": {"steps": 9, "batch": 8, "epochs": 2}}},
        {"classify": CLASSIFY | {"fc_lif": {"steps": 8, "batch": 8, "epochs": 3}}},
        {"timeout_minutes": 3},
        {"settings": SETTINGS | {"threads": 2}},
        {"settings": SETTINGS | {"precision": "float64"}},
        {"settings": SETTINGS | {"deterministic": True}},
        {"settings": SETTINGS | {"environment": "current"}},
        {"machine": MACHINE | {"cores": 4}},
    ],
    ids=str,
)
def test_other_work_has_other_keys(changes: dict[str, Any]) -> None:
    before = {cell.cell for cell in cells() if cell.stage != "certify"}
    after = {cell.cell for cell in cells(**changes) if cell.stage != "certify"}
    assert not before & after
    assert not {cell.heat for cell in of("run", cells())} & {
        cell.heat for cell in of("run", cells(**changes))
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [2, 3]},
        {"classify": CLASSIFY | {"train_images": 23, "turns": 3}},
        {"classify": CLASSIFY | {"fc_lif": {"steps": 8, "batch": 4, "epochs": 3}}},
        {"timeout_minutes": 3},
        {"settings": SETTINGS | {"threads": 2}},
    ],
    ids=str,
)
def test_a_certificate_serves_every_seed_and_amount(changes: dict[str, Any]) -> None:
    assert keys(cells(**changes), "certify") == keys(cells(), "certify")


@pytest.mark.parametrize(
    "changes",
    [
        {"classify": CLASSIFY | {"fc_lif": {"steps": 9, "batch": 8}}},
        {"settings": SETTINGS | {"precision": "float64"}},
        {"settings": SETTINGS | {"tf32": True}},
        {"settings": SETTINGS | {"deterministic": True}},
        {"settings": SETTINGS | {"environment": "current", "interpreter": "Python 3.12.1"}},
        {"machine": MACHINE | {"name": "other"}},
    ],
    ids=str,
)
def test_another_network_setting_or_machine_needs_another_certificate(changes: dict[str, Any]) -> None:
    assert not set(keys(cells(), "certify").values()) & set(keys(cells(**changes), "certify").values())


def test_certificates_stand_first_and_cells_name_theirs() -> None:
    planned = cells(seeds=[3, 4], **TWO_TASKS)
    certificates = planned[: 2 * 3]
    assert {(cell.adapter, cell.task) for cell in certificates} == {
        (adapter, task) for adapter in THREE for task in ("fc_lif", "csnn")
    }
    for cell in certificates:
        assert (cell.stage, cell.seed, cell.heat, cell.certificate) == ("certify", 0, "", None)
        assert (cell.timeout_seconds, cell.baseline) == (CERTIFY_TIMEOUT_SECONDS, False)
        assert cell.amounts == {} and cell.work.keys() == {"network"}
    known = {(cell.adapter, cell.task): cell.cell for cell in certificates}
    for cell in planned[2 * 3 :]:
        assert cell.stage in ("run", "control")
        assert cell.certificate == known[cell.adapter, cell.task]


def test_heats_come_by_seed_then_task_and_cells_are_shuffled() -> None:
    planned = heats(cells("adapter=ok,wrong,noisy,error,crash", seeds=[0, 1, 2], **TWO_TASKS))
    assert [(heat[0].seed, heat[0].task) for heat in planned] == [
        (seed, task) for seed in (0, 1, 2) for task in ("fc_lif", "csnn")
    ]
    for heat in planned:
        assert {(cell.seed, cell.task) for cell in heat} == {(heat[0].seed, heat[0].task)}
        assert [cell.stage for cell in heat] == ["run"] * 5 + ["control"]
    orders = {tuple(cell.adapter for cell in heat[:-1]) for heat in planned}
    assert len(orders) > 1


def test_more_seeds_are_for_single_tasks_and_what_is_compared_in_them() -> None:
    found = of("run", cells("adapter=ok,given,noisy", seeds=[1], more_seeds={"csnn": [7, 8]}, **TWO_TASKS))
    seeds: dict[tuple[str, str], list[int]] = {(cell.task, cell.adapter): [] for cell in found}
    for cell in found:
        seeds[cell.task, cell.adapter].append(cell.seed)
    for adapter in ("ok", "noisy"):
        assert (seeds["fc_lif", adapter], seeds["csnn", adapter]) == ([1], [1, 7, 8])
    assert (seeds["fc_lif", "given"], seeds["csnn", "given"]) == ([1], [1])


def test_the_order_is_the_one_that_its_seed_gives() -> None:
    planned = cells("adapter=ok,wrong,noisy,error", seeds=[0, 1])
    by_key = sorted(planned, key=lambda cell: cell.cell)
    shuffle = random.Random(order_seed(by_key))
    for heat in heats(planned):
        runs = [cell.adapter for cell in heat[:-1]]
        expected = ["ok", "wrong", "noisy", "error"]  # as they were asked for
        control = ["control"]
        both = expected + control
        shuffle.shuffle(both)
        assert [name for name in both if name != "control"] == runs


def test_a_heat_has_a_baseline_and_a_control_which_is_the_same_again() -> None:
    (heat,) = heats(cells("adapter=torch,ok,norse"))
    (baseline,) = (cell for cell in heat if cell.baseline)
    assert (baseline.adapter, baseline.stage) == ("torch", "run")
    control = heat[-1]
    assert control.stage == "control" and control.cell not in {cell.cell for cell in heat[:-1]}
    other = {"cell": "", "stage": "run", "baseline": True}
    assert control.model_copy(update=other) == baseline.model_copy(update={"cell": ""})


def test_the_first_by_name_is_the_baseline_where_no_adapter_is() -> None:
    (heat,) = heats(cells("adapter=wrong,ok,noisy"))
    assert [cell.adapter for cell in heat if cell.baseline] == ["noisy"] == [heat[-1].adapter]


def test_the_first_of_the_baselines_variants_is_the_baseline() -> None:
    (heat,) = heats(cells("adapter=torch variant=all"))
    assert [cell.variant for cell in heat if cell.baseline] == ["folded"]
    assert len(heat) == 3


def test_what_does_not_run_is_no_baseline() -> None:
    (heat,) = heats(cells("adapter=torch,ok", unavailable={"torch": "torch needs something"}))
    assert [(cell.adapter, cell.skip) for cell in heat if cell.baseline] == [("ok", "")]
    (heat,) = heats(cells("adapter=ok", unavailable={"ok": "ok needs something"}))
    assert [(cell.stage, cell.baseline) for cell in heat] == [("run", False)]


def test_a_single_cell_has_no_control_as_there_is_nothing_to_compare() -> None:
    for heat in heats(cells("adapter=ok")):
        assert [cell.stage for cell in heat] == ["run"] and heat[0].baseline


def test_what_is_not_compared_is_a_heat_of_its_own_without_control() -> None:
    planned = heats(cells("adapter=ok,given,nengo"))
    alone = [heat for heat in planned if not heat[0].compared]
    assert {(heat[0].adapter, heat[0].table) for heat in alone} == {
        ("given", "inference"),
        ("nengo", "inference"),
        ("nengo", "open"),
    }
    assert [len(heat) for heat in alone] == [1, 1, 1]
    assert not any(heat[0].baseline for heat in alone)
    assert len(planned) == 4


def test_precisions_of_a_profile_share_a_heat_whose_baseline_has_the_one_that_is_asked_for() -> None:
    planned = cells("adapter=ok,wrong", also_precisions=["amp", "float32"])
    (heat,) = heats(planned)
    run = sorted((cell.adapter, cell.precision) for cell in heat if cell.stage == "run")
    assert run == [(name, precision) for name in ("ok", "wrong") for precision in ("amp", "float32")]
    assert all(cell.compared for cell in heat)
    marked = [(cell.stage, cell.adapter, cell.precision) for cell in heat if cell.baseline]
    assert marked == [("run", "ok", "float32")]
    assert [(cell.adapter, cell.precision) for cell in of("control", planned)] == [("ok", "float32")]
    certified = {cell.cell: cell.precision for cell in of("certify", planned)}
    assert len(certified) == 4
    assert all(certified[cell.certificate or ""] == cell.precision for cell in heat)


def test_a_precision_has_the_keys_of_a_run_that_is_asked_for_it_alone() -> None:
    both = cells(also_precisions=["amp"])
    for precision in ("float32", "amp"):
        alone = cells(settings=SETTINGS | {"precision": precision})
        for stage in ("certify", "run"):
            own = [cell for cell in both if cell.precision == precision]
            assert keys(own, stage) == keys(alone, stage)


@pytest.mark.parametrize(("available", "used"), [(1, 1), (2, 2), (8, 3)])
def test_a_family_uses_as_many_threads_as_its_profile_allows(available: int, used: int) -> None:
    settings = SETTINGS | {"threads": available}
    (few,) = of("run", cells("adapter=ok", settings=settings, classify=CLASSIFY | {"threads": 3}))
    assert few.work["threads"] == used
    (all_of_them,) = of("run", cells("adapter=ok", settings=settings))
    assert all_of_them.work["threads"] == available


def test_a_row_says_the_work_of_its_task_as_far_as_it_applies() -> None:
    (trained, given, own) = (
        next(c for c in of("run", cells(f"adapter={adapter} variant={variant}")) if c.cell)
        for adapter, variant in (("ok", "plain"), ("given", "plain"), ("nengo", "least-squares"))
    )
    amounts = {"train_images": 24, "test_images": 20, "curve_images": 10, "turns": 2, "split_batches": 0}
    assert trained.amounts == amounts
    assert trained.task_values == {"steps": 8, "batch": 8, "epochs": 2}
    network = {"network": "Flatten - Linear 10 - LIF(tau 2)"}
    assert trained.work == network | {
        "train_images": 24,
        "test_images": 20,
        "curve_images": 10,
        "steps": 8,
        "batch": 8,
        "epochs": 2,
        "loss": "mse",
        "threads": 1,
    }
    assert given.work == network | {"test_images": 20, "steps": 8, "batch": 8, "threads": 1}
    assert "network" not in own.work  # its record says what ran


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, which is planned for instead of the project."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for part in ("bench", "tasks", "adapters", "scripts"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(FAKES, folder / "fakes", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(plan, "PROJECT", folder)
    monkeypatch.setattr(catalogue, "SHIPPED", folder / "adapters")
    return folder


CLASSIFY_AND_NEF: dict[str, Any] = {"tasks": ["fc_lif", "memory"]}
ALL = {
    f"{stage}/{task}/{adapter}"
    for stage in ("certify", "run")
    for task in ("fc_lif", "memory")
    for adapter in ("ok", "torch", "norse")
}
OF_CLASSIFY = {name for name in ALL if "/fc_lif/" in name}
OF_RUNS = {name for name in ALL if name.startswith("run/")}


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("adapters/torch/adapter.py", {name for name in ALL if name.endswith("/torch")}),
        ("adapters/torch/adapter.toml", {name for name in ALL if name.endswith("/torch")}),
        ("adapters/torch/requirements.txt", {name for name in ALL if name.endswith("/torch")}),
        ("adapters/torch/part/new.py", {name for name in ALL if name.endswith("/torch")}),
        ("adapters/torch_family/network.py", {name for name in ALL if not name.endswith("/ok")}),
        ("adapters/nengo/adapter.py", set()),
        ("fakes/numpy_family/classifier.py", {name for name in ALL if name.endswith("/ok")}),
        ("tasks/worker.py", ALL),
        ("tasks/new.py", ALL),
        ("tasks/classify/reference.py", OF_CLASSIFY),
        ("tasks/classify/trained/new.npz", OF_CLASSIFY),
        ("tasks/nef/reference.py", ALL - OF_CLASSIFY),
        ("bench/heat.py", OF_RUNS),
        ("bench/process.py", OF_RUNS),
        ("bench/runs.py", set()),
        ("bench/plan.py", set()),
        ("bench/report/page.py", set()),
        ("bench/profiles/quick.toml", set()),
        ("scripts/new.py", set()),
        ("adapters/torch/__pycache__/adapter.pyc", set()),
        ("adapters/torch/.adapter.py.swp", set()),
        ("adapters/torch/adapter.py~", set()),
        ("tasks/classify/.run.py.swp", set()),
    ],
)
def test_an_edit_changes_the_keys_of_what_depends_on_the_file(
    copy: Path, file: str, changed: set[str]
) -> None:
    def planned() -> dict[str, str]:
        made = cells("adapter=ok,torch,norse", folder=copy / "fakes", **CLASSIFY_AND_NEF)
        return {f"{cell.stage}/{cell.task}/{cell.adapter}": cell.cell for cell in made}

    before = planned()
    assert before.keys() >= ALL
    (copy / file).parent.mkdir(exist_ok=True)
    with (copy / file).open("a") as content:
        content.write("\n# changed\n")
    after = planned()
    assert {name for name in ALL if after[name] != before[name]} == changed


def test_a_plan_does_not_depend_on_where_the_files_lie(copy: Path) -> None:
    assert {c.cell for c in cells(folder=copy / "fakes")} == {c.cell for c in cells()}


def test_an_adapter_without_code_for_a_family_is_a_row() -> None:
    planned = cells("adapter=ok,torch", tasks=["memory"])
    (row,) = (cell for cell in of("run", planned) if cell.adapter == "ok")
    assert (row.table, row.variant, row.compared) == ("", "", False)
    assert row.skip == "ok has no adapter code for Nengo examples"
    (certify,) = (cell for cell in of("certify", planned) if cell.adapter == "ok")
    assert certify.skip == row.skip
    assert not [cell for cell in cells("adapter=ok,torch variant=batched", tasks=["memory"]) if cell.skip]


def test_a_device_that_an_adapter_lacks_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    text = (FAKES / "ok" / "adapter.toml").read_text().replace('["cpu"]', '["cuda"]')
    (tmp_path / "other" / "adapter.toml").write_text(text.replace("numpy_family", "torch_family"))
    assert {cell.skip for cell in cells("adapter=other", folder=tmp_path)} == {"other does not run on cpu"}


def test_who_lacks_cuda_has_a_cpu_row_in_a_run_on_cuda_compared_with_no_other() -> None:
    planned = cells("adapter=ok,noisy,torch", settings=SETTINGS | {"device": "cuda"})
    found = {
        tuple(sorted((c.adapter, c.stage, c.device, c.compared) for c in heat)) for heat in heats(planned)
    }
    assert found == {
        (("ok", "run", "cpu", False),),
        (("noisy", "run", "cpu", False),),
        (("torch", "run", "cuda", True),),
    }
    assert not any(cell.skip for cell in planned)


def test_what_this_machine_lacks_is_a_reason() -> None:
    planned = cells("adapter=ok,wrong", unavailable={"wrong": "wrong needs something"})
    assert {(c.adapter, c.skip) for c in planned} == {("ok", ""), ("wrong", "wrong needs something")}


def test_what_is_named_twice_runs_once() -> None:
    once = cells("adapter=ok task=fc_lif variant=plain")
    assert cells("adapter=ok,ok task=fc_lif,fc_lif variant=plain,plain", seeds=[1, 1]) == once
    assert cells("adapter=ok task=fc_lif,fc_lif variant=plain variant=all") == once
    assert cells("adapter=ok adapter=wrong,noisy") == cells()


def test_variants_that_run() -> None:
    torch = discover(None)["torch"]

    def names(only: str, **profile: Any) -> set[str]:
        return {cell.variant for cell in of("run", cells(only, **profile))}

    assert names("adapter=torch") == {"folded"} == set(list(torch.variants("classify"))[:1])
    assert names("adapter=torch variant=all") == torch.variants("classify").keys()
    assert names("adapter=torch", variants="all") == torch.variants("classify").keys()
    assert names("adapter=torch variant=step", variants="all") == {"step"}
    assert names("adapter=torch variant=all", tasks=["memory"]) == torch.variants("nef").keys()


def test_the_first_of_each_table_runs(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "adapter.py").touch()
    (folder / "adapter.toml").write_text(
        'about = "a"\ndevices = ["cpu"]\n[inference]\nfirst = "1"\nsecond = "2"\n[nef]\nthird = "3"\n'
        '[open.own]\nabout = "its way"\nlearning = "least-squares"\n'
    )
    planned = cells("adapter=many", folder=tmp_path)
    assert {(c.stage, c.table, c.variant, c.division, c.learning, bool(c.certificate)) for c in planned} == {
        ("certify", "inference", "first", "closed", "none", False),
        ("run", "inference", "first", "closed", "none", True),
        ("run", "open", "own", "open", "least-squares", False),
    }
    assert {cell.variant for cell in cells("adapter=many variant=all", folder=tmp_path)} == {
        "first",
        "second",
        "own",
    }


def test_a_profile_of_certificates_times_nothing() -> None:
    planned = cells("adapter=torch,nengo", certificates_only=True, variants="all", **CLASSIFY_AND_NEF)
    assert {cell.stage for cell in planned} == {"certify"}
    assert {(cell.adapter, cell.task, cell.variant) for cell in planned} == {
        ("torch", "fc_lif", "folded"),
        ("torch", "fc_lif", "step"),
        ("torch", "memory", "batched"),
        ("nengo", "fc_lif", "stepped"),
        ("nengo", "memory", "apart"),
        ("nengo", "memory", "together"),
    }
    timed = cells("adapter=torch,nengo", variants="all", **CLASSIFY_AND_NEF)
    assert of("certify", timed) == planned
    with pytest.raises(UserError, match="nothing to certify"):
        cells("adapter=nengo variant=least-squares", certificates_only=True)


def test_a_batch_must_fit_only_in_the_tasks_that_run() -> None:
    assert cells()  # the profile's 24 images make no batch of csnn's own 128
    with pytest.raises(UserError, match=r"^csnn: 24 training images make no batch of 128"):
        cells("adapter=ok task=csnn")


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("adapter=okay", r"unknown adapter 'okay': did you mean 'ok'\?"),
        ("task=fc_lift", r"unknown task 'fc_lift': did you mean 'fc_lif'\?"),
        ("variant=plane", r"unknown variant 'plane': did you mean 'plain'\?"),
        ("adaptor=ok", r"unknown key in ONLY \(--only\) 'adaptor': did you mean 'adapter'\?"),
        ("adapter=ok,", r"ONLY \(--only\) adapter=ok,: write adapter=NAME"),
        ("adapter=ok,torch task=fc_lif variant=batched", "nothing to run"),
    ],
)
def test_a_selection_that_selects_nothing_known_is_refused(only: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cells(only)


def test_own_examples_run_where_a_profile_asks_for_them_beside_what_does_the_task() -> None:
    only = "adapter=torch,spikingjelly,snntorch"
    assert not [cell for cell in cells(only) if cell.table == "example"]
    planned = cells(only, own_examples=True)
    (heat,) = heats(planned)
    assert {(c.adapter, c.variant, c.division, bool(c.certificate)) for c in heat if c.stage == "run"} == {
        ("torch", "folded", "closed", True),
        ("spikingjelly", "multistep", "closed", True),
        ("spikingjelly", "shipped", "open", False),
        ("snntorch", "folded", "closed", True),
        ("snntorch", "tutorial", "open", False),
    }
    assert [c.adapter for c in heat if c.stage == "control"] == ["torch"]
    assert {c.variant for c in of("certify", planned)} == {"folded", "multistep"}


def test_an_example_is_the_baseline_only_where_it_is_alone() -> None:
    for only, baseline in (
        ("adapter=snntorch,limit", "folded"),
        ("adapter=spikingjelly variant=shipped,multistep", "multistep"),
        ("adapter=spikingjelly variant=shipped", "shipped"),
    ):
        (heat,) = heats(cells(only, own_examples=True))
        assert {cell.variant for cell in heat if cell.baseline} == {baseline}
