from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.profile import FOLDER, Profile, load, task_names
from tasks.classify.networks import csnn, fc_lif
from tests.harness import CLASSIFY, PROFILE, write_profile


def _task(profile: Profile, name: str) -> Any:
    """The one task of that name."""
    (point,) = profile.points(name)
    return point.task


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_profile_can_be_planned(path: Path) -> None:
    name, profile = load(path.stem)
    assert name == path.stem
    for name, family in task_names().items():
        amounts = profile.amounts(family.name)
        for point in profile.points(name):
            assert point.task.name == name
            for table in family.tables.values():  # raises where a batch does not fit the training images
                assert family.work(point.task, amounts, table.learning or "bptt")


def test_a_profile_says_what_its_file_says(tmp_path: Path) -> None:
    name, profile = load(str(write_profile(tmp_path / "a.b.toml")))
    assert name == "a.b"
    assert profile.model_dump(exclude_defaults=True) == PROFILE
    task, amounts = _task(profile, "fc_lif"), profile.amounts("classify")
    assert (task.steps, task.batch, task.epochs) == (8, 8, 2)
    assert (amounts.train_images, amounts.turns) == (24, 2)


def test_what_a_profile_does_not_say_is_the_tasks_own(tmp_path: Path) -> None:
    values = {**CLASSIFY, "fc_lif": {}, "csnn": {"hidden": 32}}
    _, profile = load(str(write_profile(tmp_path / "mine.toml", classify=values)))
    assert _task(profile, "fc_lif") == fc_lif()
    assert _task(profile, "csnn") == csnn(hidden=32)


def test_a_value_of_a_family_is_one_of_all_its_tasks_and_a_task_may_differ(tmp_path: Path) -> None:
    nef = {"n": 30, "repeats": 2, "memory": {"n": 40}}
    _, profile = load(str(write_profile(tmp_path / "mine.toml", nef=nef)))
    assert (_task(profile, "add").n, _task(profile, "memory").n) == (30, 40)
    assert profile.amounts("nef").repeats == 2


def test_a_task_may_run_with_other_values_also(tmp_path: Path) -> None:
    table = {"steps": 8, "batch": 8, "epochs": 2, "also": [{"batch": 4}, {"steps": 3, "hidden": 6}]}
    _, profile = load(str(write_profile(tmp_path / "mine.toml", classify={**CLASSIFY, "fc_lif": table})))
    points = profile.points("fc_lif")
    assert [point.values for point in points] == [
        {"steps": 8, "batch": 8, "epochs": 2},
        {"steps": 8, "batch": 4, "epochs": 2},
        {"steps": 3, "batch": 8, "epochs": 2, "hidden": 6},
    ]
    assert points[2].task == fc_lif(steps=3, batch=8, epochs=2, hidden=6)


def test_a_task_may_run_with_another_loss(tmp_path: Path) -> None:
    table = {"also": [{"loss": "cross_entropy"}]}
    _, profile = load(str(write_profile(tmp_path / "mine.toml", classify={**CLASSIFY, "csnn": table})))
    assert [point.task.loss for point in profile.points("csnn")] == ["mse", "cross_entropy"]
    both = {"code": "gray", "loss": "cross_entropy"}
    with pytest.raises(UserError, match="conv_lif: loss cross_entropy needs one-hot labels"):
        load(str(write_profile(tmp_path / "mine.toml", classify={**CLASSIFY, "conv_lif": both})))


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_threads_that_cannot_be(tmp_path: Path, threads: object) -> None:
    with pytest.raises(UserError, match=r"classify\.threads must be at least 1, got"):
        load(str(write_profile(tmp_path / "mine.toml", classify={**CLASSIFY, "threads": threads})))


@pytest.mark.parametrize(
    ("also", "said"),
    [
        ({"batch": 4}, r"fc_lif\.also must be a list of tables"),
        ([{"batch": 4}, {"batch": 4}], r"fc_lif\.also repeats a task: \{'batch': 4\}"),
        ([{"batch": 8}], r"fc_lif\.also repeats a task"),
        ([{"batches": 8}], "batches"),
    ],
)
def test_what_also_cannot_be(tmp_path: Path, also: object, said: str) -> None:
    values = {**CLASSIFY, "fc_lif": {"batch": 8, "also": also}}
    with pytest.raises(UserError, match=said):
        load(str(write_profile(tmp_path / "mine.toml", classify=values)))
