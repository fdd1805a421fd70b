from __future__ import annotations

from pathlib import Path

import pytest

from bench.profile import FOLDER, load
from tasks.nef import Nef
from tasks.registry import TASKS
from tasks.spec import Classify
from tests.harness import PROFILE, write_profile


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_profile_can_be_planned(path: Path) -> None:
    name, profile = load(path.stem)
    assert name == path.stem
    for task in TASKS:
        built = profile.build(task)
        assert isinstance(built, Nef) or built.batch <= profile.train_images


def test_a_profile_says_what_its_file_says(tmp_path: Path) -> None:
    name, profile = load(str(write_profile(tmp_path / "a.b.toml")))
    assert name == "a.b"
    assert profile.model_dump() == PROFILE
    task = profile.build("fc_lif")
    assert isinstance(task, Classify)
    assert (task.steps, task.batch, task.epochs) == (8, 8, 2)


def test_what_a_profile_does_not_say_is_the_tasks_own(tmp_path: Path) -> None:
    _, profile = load(str(write_profile(tmp_path / "mine.toml", task={"csnn": {"hidden": 32}})))
    assert profile.build("fc_lif") == TASKS["fc_lif"]()
    assert profile.build("csnn") == TASKS["csnn"](hidden=32)
