from __future__ import annotations

from pathlib import Path

import pytest

from bench import claims
from bench.claims import Claim, Ours, ours, verdict
from bench.profile import load as load_profile
from bench.profile import task_names
from bench.records import Record
from bench.report.figures import FIGURES
from tests.builders import cell, record, save

AMOUNTS = {"train_images": 60000, "turns": 10}
CLAIM = Claim(
    name="a",
    source="b",
    task="fc_lif",
    values={"steps": 50, "batch": 128},
    amounts={"train_images": 60000},
    figure="test_accuracy",
    published=0.92,
    near=0.005,
    profile="paper",
)


def trained(
    accuracy: float,
    seed: int = 0,
    amounts: dict[str, int] = AMOUNTS,
    precision: str = "float32",
    **values: int,
) -> Record:
    of = cell("torch", task_values={"steps": 50, **values}, amounts=amounts, seed=seed, precision=precision)
    return record(of, figures={"test_accuracy": accuracy})


def test_ours_is_the_mean_over_seeds_with_its_interval() -> None:
    found = ours(CLAIM, {"one": [trained(0.91, 0), trained(0.92, 1), trained(0.93, 2)]})
    assert found is not None
    assert (round(found.value, 9), found.seeds, found.run) == (0.92, 3, "one")
    assert found.low == pytest.approx(0.92 - 4.3027 * 0.01 / 3**0.5, abs=1e-6)
    assert found.high == pytest.approx(0.92 + 4.3027 * 0.01 / 3**0.5, abs=1e-6)


def test_only_records_with_its_values_and_amounts_count_the_tasks_own_among_them() -> None:
    others = [
        trained(0.1, steps=40),
        trained(0.2, batch=64),  # 128 is the task's own
        trained(0.3, amounts={"train_images": 1000}),
        trained(0.4, precision="amp"),
    ]
    assert ours(CLAIM, {"one": others}) is None
    found = ours(CLAIM, {"one": [*others, trained(0.9)]})
    assert found == Ours(value=0.9, low=None, high=None, seeds=1, run="one")


def test_what_a_claim_leaves_open_is_the_same_in_all_seeds() -> None:
    mixed = [trained(0.9, 0, epochs=3), trained(0.91, 1, epochs=3), trained(0.5, 2, epochs=1)]
    found = ours(CLAIM, {"one": mixed})
    assert found is not None
    assert (found.seeds, round(found.value, 9)) == (2, 0.905)


def test_the_run_with_the_most_seeds_is_taken_and_of_those_the_newest() -> None:
    runs = {
        "1": [trained(0.9, 0), trained(0.9, 1)],
        "2": [trained(0.8)],
        "3": [trained(0.7, 0), trained(0.7, 1)],
    }
    found = ours(CLAIM, runs)
    assert found is not None and found.run == "3"


def test_a_difference_is_taken_seed_by_seed() -> None:
    claim = CLAIM.model_copy(update={"beside": {"steps": 50, "batch": 64}, "published": -0.1})
    records = [trained(0.8, 0), trained(0.9, 0, batch=64), trained(0.7, 1), trained(0.81, 1, batch=64)]
    found = ours(claim, {"one": [*records, trained(0.1, 2)]})
    assert found is not None
    assert (found.seeds, round(found.value, 9)) == (2, -0.105)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (None, "not run here"),
        (Ours(value=0.924, low=None, high=None, seeds=1, run="a"), "reproduced"),
        (Ours(value=0.91, low=0.89, high=0.93, seeds=3, run="a"), "reproduced"),
        (Ours(value=0.91, low=0.905, high=0.915, seeds=3, run="a"), "not reproduced"),
        (Ours(value=0.93, low=0.925, high=0.935, seeds=3, run="a"), "better"),
        (Ours(value=0.9, low=None, high=None, seeds=1, run="a"), "not reproduced"),
    ],
)
def test_verdicts(found: Ours | None, word: str) -> None:
    assert verdict(CLAIM, found) == word


def test_a_time_is_better_where_it_is_shorter() -> None:
    claim = CLAIM.model_copy(update={"figure": "epoch_seconds", "published": 70.0, "near": 5.0})
    assert verdict(claim, Ours(value=20.0, low=None, high=None, seeds=1, run="a")) == "better"
    assert verdict(claim, Ours(value=99.0, low=None, high=None, seeds=1, run="a")) == "not reproduced"


@pytest.mark.parametrize("claim", claims.load(), ids=lambda claim: claim.name)
def test_every_claim_can_be_run_by_the_profile_that_it_names(claim: Claim) -> None:
    assert claim.figure in FIGURES
    _, profile = load_profile(claim.profile)
    assert claim.task in profile.tasks
    family = task_names()[claim.task]
    tasks = [point.task for point in profile.points(claim.task)]
    amounts = profile.amounts(family.name)
    assert all(getattr(amounts, name) == value for name, value in claim.amounts.items())
    for values in filter(None, (claim.values, claim.beside)):
        assert family.tasks[claim.task](**values) in tasks


def test_the_table_says_what_was_not_run_and_how_it_would_be(tmp_path: Path) -> None:
    save(tmp_path / "runs" / "2026-01-01T00-00-00-tiny", [trained(0.9)])
    lines = claims.lines(tmp_path)
    assert {line["verdict"] for line in lines} == {"not run here"}
    assert "make bench PROFILE=paper" in claims.sentence(lines[-1])
    claims.write(tmp_path / "claims.md", lines)
    assert (tmp_path / "claims.md").read_text().count("\n") == 4 + len(lines)
