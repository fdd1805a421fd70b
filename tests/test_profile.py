from __future__ import annotations

from pathlib import Path

import pytest

from bench.profile import FOLDER, load, task_names
from tasks.classify.networks import csnn, fc_lif
from tests.harness import CLASSIFY, PROFILE, write_profile


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_profile_can_be_planned(path: Path) -> None:
    name, profile = load(path.stem)
    assert name == path.stem
    for name, family in task_names().items():
        task, amounts = profile.build(name), profile.amounts(family.name)
        assert task.name == name
        for table in family.tables.values():  # raises where a batch does not fit the training images
            assert family.work(task, amounts, table.learning or "bptt")


def test_a_profile_says_what_its_file_says(tmp_path: Path) -> None:
    name, profile = load(str(write_profile(tmp_path / "a.b.toml")))
    assert name == "a.b"
    assert profile.model_dump(exclude_defaults=True) == PROFILE
    task, amounts = profile.build("fc_lif"), profile.amounts("classify")
    assert (task.steps, task.batch, task.epochs) == (8, 8, 2)
    assert (amounts.train_images, amounts.turns) == (24, 2)


def test_what_a_profile_does_not_say_is_the_tasks_own(tmp_path: Path) -> None:
    values = {**CLASSIFY, "fc_lif": {}, "csnn": {"hidden": 32}}
    _, profile = load(str(write_profile(tmp_path / "mine.toml", classify=values)))
    assert profile.build("fc_lif") == fc_lif()
    assert profile.build("csnn") == csnn(hidden=32)


def test_a_value_of_a_family_is_one_of_all_its_tasks_and_a_task_may_differ(tmp_path: Path) -> None:
    nef = {"n": 30, "repeats": 2, "memory": {"n": 40}}
    _, profile = load(str(write_profile(tmp_path / "mine.toml", nef=nef)))
    assert (profile.build("add").n, profile.build("memory").n) == (30, 40)
    assert profile.amounts("nef").repeats == 2
