from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import claims
from bench.claims import Claim, Ours, Place, Study, Trial, ours, trials, verdict
from bench.profile import load as load_profile
from bench.profile import task_names
from bench.records import CurvePoint, Metric, Record, Turn
from bench.report import claims as page
from bench.report.figures import FIGURES
from tests.builders import cell, record, save

AMOUNTS = {"train_images": 60000, "turns": 10}
CLAIM = Claim(name="a", figure="test_accuracy", published=0.92, near=0.005)
STUDY = Study(
    name="study",
    source="b",
    task="fc_lif",
    full=Place(profile="paper", amounts={"train_images": 60000}, values={"steps": 50, "batch": 128}),
    smaller=Place(profile="quick", amounts={"train_images": 1000}, values={"steps": 50, "batch": 128}),
    claim=[CLAIM],
)


def trial(**changes: Any) -> Trial:
    return trials(STUDY, CLAIM.model_copy(update=changes))[0]


def smaller(**changes: Any) -> Trial:
    return trials(STUDY, CLAIM.model_copy(update=changes))[1]


def of(value: float, low: float | None = None, high: float | None = None) -> Ours:
    return Ours(value=value, low=low, high=high, seeds=1 if low is None else 3, run="a")


def trained(
    accuracy: float,
    seed: int = 0,
    amounts: dict[str, int] = AMOUNTS,
    precision: str = "float32",
    **values: int,
) -> Record:
    row = cell("torch", task_values={"steps": 50, **values}, amounts=amounts, seed=seed, precision=precision)
    return record(row.model_copy(update={"baseline": True}), figures={"test_accuracy": accuracy})


def test_ours_is_the_mean_over_seeds_with_its_interval() -> None:
    found = ours(trial(), {"one": [trained(0.91, 0), trained(0.92, 1), trained(0.93, 2)]})
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
    assert ours(trial(), {"one": others}) is None
    found = ours(trial(), {"one": [*others, trained(0.9)]})
    assert found == Ours(value=0.9, low=None, high=None, seeds=1, run="one")


def test_what_a_claim_leaves_open_is_the_same_in_all_seeds() -> None:
    mixed = [trained(0.9, 0, epochs=3), trained(0.91, 1, epochs=3), trained(0.5, 2, epochs=1)]
    found = ours(trial(), {"one": mixed})
    assert found is not None
    assert (found.seeds, round(found.value, 9)) == (2, 0.905)


def test_the_run_with_the_most_seeds_is_taken_and_of_those_the_newest() -> None:
    runs = {
        "1": [trained(0.9, 0), trained(0.9, 1)],
        "2": [trained(0.8)],
        "3": [trained(0.7, 0), trained(0.7, 1)],
    }
    found = ours(trial(), runs)
    assert found is not None and found.run == "3"


def test_what_is_no_framework_is_not_held_against_a_claim() -> None:
    alone = trained(0.92)
    by_hand = alone.model_copy(update={"cell": alone.cell.model_copy(update={"reference": True})})
    assert ours(trial(), {"one": [by_hand]}) is None
    assert ours(trial(), {"one": [alone]}) is not None


def test_a_difference_or_ratio_is_taken_seed_by_seed() -> None:
    records = [trained(0.8, 0), trained(0.9, 0, batch=64), trained(0.7, 1), trained(0.81, 1, batch=64)]
    found = ours(trial(beside={"batch": 64}), {"one": [*records, trained(0.1, 2)]})
    assert found is not None
    assert (found.seeds, round(found.value, 9)) == (2, -0.105)
    found = ours(trial(beside={"batch": 64}, compare="ratio"), {"one": records})
    assert found is not None and found.value == pytest.approx((0.8 / 0.9 + 0.7 / 0.81) / 2)


def test_a_claim_may_set_one_precision_beside_another() -> None:
    records = [trained(0.8, 0), trained(0.6, 0, precision="amp"), trained(0.5, 1, precision="amp")]
    beside = trial(beside={}, compare="ratio", precision="amp", beside_precision="float32")
    found = ours(beside, {"one": records, "two": [trained(0.9, 1)]})
    assert found is not None
    assert (found.run, found.seeds, round(found.value, 9)) == ("one", 1, 0.75)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "make bench PROFILE=paper"),
        ({"precision": "amp"}, "make bench PROFILE=paper PRECISION=amp"),
        ({"precision": "amp", "beside_precision": "float32"}, "make bench PROFILE=paper"),
        ({"precision": "amp", "device": "cuda"}, "make bench PROFILE=paper DEVICE=cuda PRECISION=amp"),
    ],
)
def test_what_would_run_a_claim_is_said(changes: dict[str, Any], said: str) -> None:
    assert claims._command(STUDY, CLAIM.model_copy(update=changes)) == said


def test_a_claim_may_be_another_adapters_a_metric_or_the_best_of_a_curve() -> None:
    known = trained(0.9)
    other = known.model_copy(
        update={"cell": known.cell.model_copy(update={"adapter": "x", "baseline": False})}
    )
    assert ours(trial(), {"one": [other]}) is None
    assert ours(trial(adapter="x"), {"one": [known]}) is None
    assert ours(trial(adapter="x"), {"one": [other]}) is not None
    metrics = [Metric(metric="m", of={"s": name, "n": 1}, value=v) for name, v in (("a", 1.0), ("b", 2.0))]
    found = ours(trial(figure="m", of={"s": "b"}), {"one": [known.model_copy(update={"metrics": metrics})]})
    assert found is not None and found.value == 2.0
    points = [
        CurvePoint(epoch=e, train_accuracy=v, seconds=1, train_seconds=1) for e, v in ((1, 0.6), (2, 0.5))
    ]
    curved = known.model_copy(update={"curve": points})
    found = ours(trial(figure="train_accuracy", best=True), {"one": [curved]})
    assert found is not None and found.value == 0.6


def test_a_time_counts_only_where_the_machine_was_left_alone() -> None:
    def timed(foreign: float) -> Record:
        turns = [Turn(round=n, phase="train", seconds=1.0, compared=True, foreign=foreign) for n in range(5)]
        return trained(0.9).model_copy(update={"figures": {"epoch_seconds": 2.0}, "turns": turns})

    assert ours(trial(figure="epoch_seconds"), {"one": [timed(0.5)]}) is None
    assert ours(trial(figure="epoch_seconds"), {"one": [timed(0.0)]}) == Ours(
        value=2.0, low=None, high=None, seeds=1, run="one"
    )


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (of(0.924), "reproduced"),
        (of(0.91, 0.89, 0.93), "undecided"),
        (of(0.91, 0.905, 0.915), "not reproduced"),
        (of(0.93, 0.925, 0.935), "better"),
        (of(0.9), "not reproduced"),
    ],
)
def test_verdicts(found: Ours, word: str) -> None:
    assert verdict(trial(), found) == word
    assert verdict(smaller(), found) == "smaller size only"


def test_a_time_is_better_where_it_is_shorter() -> None:
    timed = trial(figure="epoch_seconds", published=70.0, near=5.0)
    assert verdict(timed, of(20.0)) == "better"
    assert verdict(timed, of(99.0)) == "not reproduced"


@pytest.mark.parametrize(
    ("published", "found", "word"),
    [
        ("higher", of(0.1, 0.05, 0.15), "reproduced"),
        ("higher", of(0.1, -0.05, 0.25), "undecided"),
        ("higher", of(-0.1, -0.15, -0.05), "not reproduced"),
        ("higher", of(0.1), "undecided"),
        ("lower", of(-0.1, -0.15, -0.05), "reproduced"),
        ("lower", of(0.1, 0.05, 0.15), "not reproduced"),
        ("same", of(0.001, -0.003, 0.004), "reproduced"),
        ("same", of(0.001, -0.1, 0.1), "undecided"),
        ("same", of(0.1, 0.05, 0.15), "not reproduced"),
    ],
)
def test_a_trend_needs_an_interval_that_carries_it(published: str, found: Ours, word: str) -> None:
    changes: dict[str, Any] = {"published": published, "beside": {"batch": 64}}
    assert verdict(trial(**changes), found) == word
    at = {"reproduced": "holds at", "not reproduced": "does not hold at", "undecided": "undecided at"}
    assert verdict(smaller(**changes), found) == f"{at[word]} a smaller size"


@pytest.mark.parametrize(("compare", "published"), [("difference", -0.1), ("ratio", 0.5)])
def test_of_a_published_difference_a_smaller_size_can_show_the_direction(
    compare: str, published: float
) -> None:
    found = of(published / 2, published / 2 - 0.01, published / 2 + 0.01)
    reduced = smaller(beside={"batch": 64}, compare=compare, published=published)
    assert verdict(reduced, found) == "holds at a smaller size"


def test_the_full_size_wins_over_the_smaller_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "load", lambda: [STUDY])
    small = trained(0.5, amounts={"train_images": 1000})
    save(tmp_path / "runs" / "2026-01-02T00-00-00-tiny", [small], run="small")
    (judged,) = claims.judge(tmp_path)
    assert (judged.word, judged.trial and judged.trial.is_full) == ("smaller size only", False)
    save(tmp_path / "runs" / "2026-01-01T00-00-00-tiny", [trained(0.92)], run="full")
    (judged,) = claims.judge(tmp_path)
    assert (judged.word, judged.trial and judged.trial.is_full) == ("reproduced", True)


EVERY = [(study, claim) for study in claims.load() for claim in study.claim]


def test_there_are_as_many_claims_as_the_sources_make_and_no_two_alike() -> None:
    names = [(study.name, claim.name) for study, claim in EVERY]
    assert len(set(names)) == len(names) >= 36


@pytest.mark.parametrize(("study", "claim"), EVERY, ids=[f"{s.name}: {c.name}" for s, c in EVERY])
def test_every_claim_can_be_run_by_the_profile_that_it_names(study: Study, claim: Claim) -> None:
    assert claim.of or claim.figure in FIGURES
    family = task_names()[study.task]
    for each in trials(study, claim):
        _, profile = load_profile(each.profile)
        assert study.task in profile.tasks
        assert not claim.beside_precision or claim.precision in profile.also_precisions
        tasks = [point.task for point in profile.points(study.task)]
        amounts = profile.amounts(family.name)
        assert all(getattr(amounts, name) == value for name, value in each.amounts.items())
        for values in (each.values, each.beside):
            assert values is None or family.tasks[study.task](**values) in tasks


def test_the_page_says_what_was_not_run_and_how_it_would_be(tmp_path: Path) -> None:
    save(tmp_path / "runs" / "2026-01-01T00-00-00-tiny", [trained(0.9)])
    judged = claims.judge(tmp_path)
    assert {each.word for each in judged} == {"not run here"}
    assert all(each.reason for each in judged)
    assert page.summary(judged).endswith(f"0 measured here: {len(judged)} not run here.")
    html, text = (path.read_text() for path in page.write(tmp_path, judged))
    for shown in (html, text):
        assert shown.count("make bench PROFILE=fc_long") == 2
        assert all(each.claim.name.split(":")[0] in shown for each in judged)
