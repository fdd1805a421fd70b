from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench import plan
from bench.adapters import KINDS, discover
from bench.errors import UserError
from bench.plan import make_cells, order_seed, parse_only, plan_digest
from bench.profile import Profile
from bench.records import Cell
from tests.harness import FAKES, PROFILE

SETTINGS = {"device": "cpu", "precision": "float32", "threads": 1, "environment": "locked"}
MACHINE = {"name": "some", "cores": 2}


def cells(
    only: str = "adapter=ok,wrong,noisy",
    *,
    folder: Path = FAKES,
    settings: dict[str, Any] = SETTINGS,
    machine: dict[str, Any] = MACHINE,
    unavailable: dict[str, str] = {},  # noqa: B006 -- never written to
    **profile: Any,
) -> list[Cell]:
    values = Profile(**(PROFILE | profile))
    return make_cells(
        values,
        discover(folder),
        parse_only(only),
        settings=settings,
        machine=machine,
        unavailable=unavailable,
    )


def timed(cells: list[Cell]) -> list[Cell]:
    return [cell for cell in cells if cell.kind == "classify"]


def test_equal_plans_are_equal_in_keys_and_order() -> None:
    assert cells() == cells()
    shuffled = random.Random(1).sample(cells(), len(cells()))
    assert plan_digest(shuffled) == plan_digest(cells())
    assert order_seed(shuffled) == order_seed(cells())


def test_keys_are_unique() -> None:
    keys = [cell.cell for cell in cells(seeds=[0, 1], tasks=["fc_lif", "csnn"], task=SMALL)]
    assert len(set(keys)) == len(keys) == 2 * 3 * 2 + 2 * 3


SMALL = {"fc_lif": {"batch": 8}, "csnn": {"batch": 8}}


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [2]},
        {"train_images": 23},
        {"test_images": 19},
        {"curve_images": 9},
        {"timeout_minutes": 3},
        {"task": {"fc_lif": {"steps": 9, "batch": 8, "epochs": 2}}},
        {"task": {"fc_lif": {"steps": 8, "batch": 8, "epochs": 3}}},
        {"settings": SETTINGS | {"threads": 2}},
        {"settings": SETTINGS | {"precision": "float64"}},
        {"settings": SETTINGS | {"environment": "current"}},
        {"machine": MACHINE | {"cores": 4}},
    ],
)
def test_other_work_has_other_keys(changes: dict[str, Any]) -> None:
    assert not {cell.cell for cell in timed(cells())} & {cell.cell for cell in timed(cells(**changes))}


@pytest.mark.parametrize(
    ("file", "adapters"),
    [
        ("ok/adapter.py", {"ok"}),
        ("ok/adapter.toml", {"ok"}),
        ("ok/part/new.py", {"ok"}),
        ("numpy_family/classifier.py", {"ok", "wrong", "noisy"}),
    ],
)
def test_a_changed_file_changes_the_keys_of_who_uses_it(
    tmp_path: Path, file: str, adapters: set[str]
) -> None:
    folder = tmp_path / "fakes"
    shutil.copytree(FAKES, folder)
    before = {cell.cell for cell in cells(folder=folder)}
    assert before == {cell.cell for cell in cells()}  # a plan doesn't depend on where the files lie
    (folder / file).parent.mkdir(exist_ok=True)
    with (folder / file).open("a") as content:
        content.write("\n# changed\n")
    after = cells(folder=folder)
    assert {cell.adapter for cell in after if cell.cell not in before} == adapters
    assert len([cell for cell in after if cell.cell not in before]) == 2 * len(adapters)
    assert plan_digest(after) != plan_digest(cells())


def test_caches_and_half_written_files_change_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "fakes"
    shutil.copytree(FAKES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "ok" / "__pycache__").mkdir()
    (folder / "ok" / "__pycache__" / "adapter.pyc").touch()
    assert cells(folder=folder) == cells()


def test_what_all_share_changes_all_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {cell.cell for cell in cells()}
    (tmp_path / "shared.py").touch()
    shared = plan._shared_files()
    assert {path.name for path in shared} >= {"protocol.py", "worker.py", "process.py", "spec.py", "clock.py"}
    monkeypatch.setattr(plan, "_shared_files", lambda: [*shared, tmp_path / "shared.py"])
    assert not before & {cell.cell for cell in cells()}


def test_a_certificate_serves_every_seed_and_stands_first() -> None:
    planned = cells(seeds=[3, 4, 5])
    certificates = planned[:3]
    assert {cell.adapter for cell in certificates} == {"ok", "wrong", "noisy"}
    assert all(cell.kind == "certify" and cell.seed == 0 for cell in certificates)
    keys = {cell.adapter: cell.cell for cell in certificates}
    assert [cell.seed for cell in planned[3:]] == [3] * 3 + [4] * 3 + [5] * 3
    for cell in planned[3:]:
        assert (cell.kind, cell.certificate) == ("classify", keys[cell.adapter])
    assert cells(seeds=[3])[:3] == certificates


def test_tasks_and_seeds_come_in_turn_and_adapters_are_shuffled() -> None:
    planned = timed(cells("", seeds=[0, 1], tasks=["fc_lif", "csnn"], task=SMALL))
    rounds = [(cell.seed, cell.task) for cell in planned]
    found = discover(FAKES).values()
    each = sum(bool(adapter.variants(kind)) for adapter in found for kind in KINDS["classify"])
    assert rounds == [
        pair for pair in ((0, "fc_lif"), (0, "csnn"), (1, "fc_lif"), (1, "csnn")) for _ in range(each)
    ]
    orders = [tuple(cell.adapter for cell in planned[i : i + each]) for i in range(0, len(planned), each)]
    assert all(set(order) == set(discover(FAKES)) for order in orders)
    assert len(set(orders)) == 4


def test_what_an_adapter_does_not_declare_is_a_row(tmp_path: Path) -> None:
    text = (FAKES / "ok" / "adapter.toml").read_text()
    for name, old, new in (("idle", "[classify]", "[nef]"), ("other", '["cpu"]', '["cuda"]')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter.toml").write_text(text.replace(old, new).replace("numpy", "torch"))
    for cell in cells("adapter=idle", folder=tmp_path):
        assert (cell.variant, cell.skip) == ("", "idle declares no classification tasks")
    planned = cells("adapter=idle,other", folder=tmp_path)
    assert len(timed(planned)) == 2
    assert {cell.skip for cell in planned if cell.adapter == "other"} == {"other does not run on cpu"}
    assert not any(cell.skip for cell in cells())


def test_who_lacks_cuda_has_a_cpu_row_in_a_run_on_cuda() -> None:
    planned = cells("adapter=ok,torch", settings=SETTINGS | {"device": "cuda"})
    assert {(cell.adapter, cell.device, cell.skip) for cell in planned} == {
        ("ok", "cpu", ""),
        ("torch", "cuda", ""),
    }


def test_what_this_machine_lacks_is_a_reason() -> None:
    planned = cells("adapter=ok,wrong", unavailable={"wrong": "wrong needs something"})
    assert {(c.adapter, c.skip) for c in planned} == {("ok", ""), ("wrong", "wrong needs something")}


def test_what_is_named_twice_runs_once() -> None:
    once = cells("adapter=ok task=fc_lif variant=plain")
    assert cells("adapter=ok,ok task=fc_lif,fc_lif variant=plain,plain", seeds=[1, 1]) == once
    assert cells("adapter=ok task=fc_lif,fc_lif variant=plain variant=all") == once
    assert cells("adapter=ok adapter=wrong,noisy") == cells()


def test_variants() -> None:
    torch = discover(None)["torch"]
    assert [c.variant for c in timed(cells("adapter=torch"))] == ["folded"] == list(torch.classify)[:1]
    assert {c.variant for c in timed(cells("adapter=torch variant=all"))} == torch.classify.keys()
    assert [c.variant for c in timed(cells("adapter=torch variant=step"))] == ["step"]
    nef = cells("adapter=torch variant=all", tasks=["memory"], task={})
    assert {c.variant for c in nef} == torch.nef.keys()


def test_the_first_of_each_kind_runs(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "adapter.py").touch()
    (folder / "adapter.toml").write_text(
        'about = "a"\ndevices = ["cpu"]\n[inference]\nfirst = "1"\nsecond = "2"\n[nef]\nthird = "3"\n'
        '[open.own]\nabout = "its way"\nlearning = "least-squares"\n'
    )
    planned = cells("adapter=many", folder=tmp_path)
    assert {
        (cell.kind, cell.variant, cell.division, cell.learning, cell.certificate is None) for cell in planned
    } == {
        ("certify", "first", "closed", "none", True),
        ("classify", "first", "closed", "none", False),
        ("classify", "own", "open", "least-squares", True),
    }
    assert {cell.variant for cell in cells("adapter=many variant=all", folder=tmp_path)} == {
        "first",
        "second",
        "own",
    }


def test_a_batch_must_fit_only_in_the_tasks_that_run() -> None:
    assert cells()  # the profile's 24 images make no batch of csnn's own 128
    with pytest.raises(UserError, match=r"csnn.* batch of 128 exceeds train_images 24"):
        cells("adapter=ok task=csnn")


def test_shared_folders_are_found_where_they_are_imported_from(tmp_path: Path) -> None:
    shutil.copytree(FAKES / "ok", tmp_path / "mine")
    toml = tmp_path / "mine" / "adapter.toml"
    toml.write_text(toml.read_text().replace("numpy_family", "torch_family"))
    (tmp_path / "torch_family").mkdir()
    (tmp_path / "torch_family" / "decoy.py").touch()
    assert "decoy.py" not in {path.name for path in discover(tmp_path)["mine"].files()}
