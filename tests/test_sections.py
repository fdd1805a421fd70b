"""Which rows are compared, how they are ordered and tied, and why others stand apart."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from bench.records import Cell, Record
from bench.report.pages import Page
from bench.report.sections import PENDING, Row, Section, heats, sections
from bench.report.tables import comparison
from bench.report.text import times
from tests.builders import cell, certify, control, manifest, record, turns

TORCH = cell("torch")


def around(seconds: float, rounds: int = 30, seed: int = 0) -> list[float]:
    """Turns that differ by a few percent, in the same way for each seed."""
    rng = random.Random(seed)
    return [seconds * math.exp(rng.gauss(0, 0.01)) for _ in range(rounds)]


def ran(of: Cell, seconds: float, rounds: int = 30, **changes: Any) -> Record:
    return record(of, around(seconds, rounds, seed=sum(of.cell.encode())), **changes)


def with_control(baseline: Cell = TORCH) -> list[Record]:
    return [ran(baseline, 1.0), ran(control(baseline), 1.0)]


def only(records: Sequence[Record], device: str = "cpu", planned: Sequence[Cell] = ()) -> Section:
    (found,) = sections(
        manifest([*(r.cell for r in records), *planned], settings={"device": device}), records
    )
    return found


def row(found: Section, adapter: str, status: str = "ok") -> Row:
    return next(r for r in found.rows if (r.adapter, r.status) == (adapter, status))


def test_rows_stand_by_their_ratio_and_ties_share_a_letter() -> None:
    times = {"quick": 0.8, "same": 1.01, "slow": 1.3, "slower": 1.32, "slowest": 3.0}
    found = only([*with_control(), *(ran(cell(name), seconds) for name, seconds in times.items())])
    assert found.baseline == "torch plain"
    groups = {r.adapter: r.group for r in found.rows}
    assert groups == {"quick": "a", "torch": "b", "same": "b", "slow": "c", "slower": "c", "slowest": "d"}
    ratios = [r.ratio.ratio for r in found.rows if r.ratio]
    assert ratios == sorted(ratios) and len(ratios) == 6
    assert ratios[-1] == pytest.approx(3.0, rel=0.02)
    assert {r.tier for r in found.rows} == {"compared"}


def test_a_difference_is_seen_from_either_side() -> None:
    found = only([*with_control(), ran(cell("slow"), 1.3)])
    torch, slow = row(found, "torch"), row(found, "slow")
    mine, theirs = found.difference(slow, torch), found.difference(torch, slow)
    assert mine and theirs and mine.ratio and theirs.ratio
    assert (mine.verdict.word, theirs.verdict.word) == ("slower", "faster")
    assert mine.ratio.ratio == pytest.approx(1 / theirs.ratio.ratio)
    assert found.difference(torch, torch) is None


def test_without_a_control_nothing_is_decided() -> None:
    found = only([ran(TORCH, 1.0), ran(cell("slow"), 3.0)])
    assert [r.group for r in found.rows] == ["a", "a?"]
    assert found.control is None


def test_a_noisy_control_raises_what_counts() -> None:
    again = ran(control(TORCH), 1.4)
    found = only([ran(TORCH, 1.0), again, ran(cell("slow"), 1.3), ran(cell("slowest"), 1.6)])
    assert [r.group for r in found.rows] == ["a", "a?", "b"]


def test_where_the_baseline_failed_another_takes_its_place() -> None:
    failed = record(TORCH, status="crashed", parity="exact", reason="killed")
    found = only([failed, ran(control(TORCH), 1.0), ran(cell("a"), 1.0), ran(cell("b"), 2.0)])
    assert found.baseline == "a plain"
    ratios = [r.ratio.ratio for r in found.rows if r.ratio]
    assert ratios == pytest.approx([1.0, 2.0], rel=0.02)
    (heat,) = found.heats
    assert heat.cell.adapter == "a" and heat.control is None


def test_a_heat_counts_its_turns_and_the_disturbed_ones() -> None:
    noisy = record(cell("noisy"), turns=turns([1.0] * 30, foreign=[0.5, 0.5, None, 0.06]))
    (heat,) = only([*with_control(), noisy]).heats
    assert (heat.turns, heat.disturbed) == (90, 2)
    assert heat.control is not None and heat.control.rounds == 30
    ratio = heat.ratio(noisy)
    assert ratio is not None and (ratio.rounds, ratio.left_out) == (28, 2)


def test_heats_are_those_in_which_times_are_compared() -> None:
    alone = cell("given", table="inference", learning="none", compared=False)
    planned = certify(TORCH)
    assert [heat.key for heat in heats([*with_control(), ran(alone, 1.0), record(planned)])] == [TORCH.heat]


def test_groups_of_one_heat_are_compared_through_the_baseline() -> None:
    late = record(cell("late"), turns=turns(around(3.0, seed=1), first=40))
    early = ran(cell("early"), 1.5)
    both = [
        record(each, turns=[*turns(around(1.0, seed=n)), *turns(around(1.0, seed=n + 1), first=40)])
        for n, each in enumerate((TORCH, control(TORCH)))
    ]
    found = only([*both, early, late])
    assert [(r.adapter, r.group) for r in found.rows] == [("torch", "a"), ("early", "b"), ("late", "c")]


def test_with_several_seeds_each_is_one_value() -> None:
    records = []
    for seed, factor in enumerate((1.2, 1.3, 1.25, 1.22, 1.28)):
        torch = cell("torch", seed=seed)
        records += [*with_control(torch), ran(cell("slow", seed=seed), factor)]
    found = only(records)
    slow = row(found, "slow")
    assert slow.ratio is not None and slow.ratio.seeds == 5
    assert slow.ratio.rounds == 150 and slow.ratio.ratio == pytest.approx(1.25, rel=0.01)
    assert [r.group for r in found.rows] == ["a", "b"]
    assert len(found.heats) == 5 and found.control is not None and found.control.seeds == 5


def test_three_seeds_are_told_apart_by_what_all_programs_show_of_chance() -> None:
    processes = {
        "b": (1.02, 0.98, 1.01),
        "c": (0.99, 1.03, 0.99),
        "d": (1.01, 1.0, 0.97),
        "e": (0.98, 1.02, 1.02),
        "f": (1.0, 0.97, 1.01),
        "slow": (1.19, 1.25, 1.22),
    }
    records = []
    for seed in range(3):
        records += with_control(cell("torch", seed=seed))
        records += [ran(cell(name, seed=seed), factors[seed]) for name, factors in processes.items()]
    found = only(records)
    assert {r.adapter: r.group for r in found.rows} == dict.fromkeys(("torch", *"bcdef"), "a") | {"slow": "b"}
    baseline = row(found, "torch").ratio
    assert baseline is not None and (baseline.low, baseline.ratio, baseline.high) == (1.0, 1.0, 1.0)


def test_the_control_says_how_far_the_baseline_moves_whoever_else_is_restless() -> None:
    records = []
    for seed, factor in enumerate((0.75, 1.1, 1.5)):
        torch = cell("torch", seed=seed)
        records += [*with_control(torch), ran(cell("restless", seed=seed), factor)]
        records += [
            ran(cell(name, seed=seed), seconds) for name, seconds in (("b", 1.0), ("c", 1.0), ("d", 1.2))
        ]
    found = only(records)
    assert found.control is not None and found.control.high is not None and found.control.high < 1.05
    slow = found.difference(row(found, "d"), row(found, "torch"))
    assert slow is not None and slow.verdict.word == "slower"


def test_a_row_on_the_cpu_of_a_run_on_cuda_is_there_and_apart() -> None:
    torch = cell("torch", device="cuda")
    slow = cell("slow", compared=False)
    own = cell("own", compared=False, division="open", table="open", learning="least-squares")
    found = only([ran(slow, 1.0), *with_control(torch), ran(own, 1.0)], device="cuda")
    assert found.cell.device == "cuda" and [heat.key for heat in found.heats] == [torch.heat]
    other = row(found, "slow")
    assert (other.tier, other.ratio, other.group, other.comparable) == ("not compared", None, "", False)
    assert other.reason == "not compared: on the cpu: slow does not run on cuda"
    apart = row(found, "own")
    assert (apart.tier, apart.reason) == ("open", "on the cpu: own does not run on cuda")
    assert apart.apart == "open division, on the cpu: own does not run on cuda"
    assert row(found, "torch").comparable


def test_a_row_whose_table_is_not_compared_stands_apart() -> None:
    given = cell("given", table="inference", learning="none", compared=False, work={"test_images": 500})
    found = only([*with_control(), ran(given, 1.0)])
    apart = row(found, "given")
    assert (apart.tier, apart.comparable, apart.parity) == ("not compared", False, "exact")
    assert apart.apart == "inference only; weights were given"
    assert apart.reason == f"not compared: {apart.apart}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parity": None}, "not compared: no parity certificate"),
        ({"parity": "wrong"}, "not compared: parity wrong"),
        ({"turns": []}, "not compared: no undisturbed round beside the baseline"),
        (
            {"turns": turns([1.0] * 2, foreign=[0.5, 0.5])},
            "not compared: no undisturbed round beside the baseline",
        ),
    ],
)
def test_a_row_that_ended_well_says_why_it_is_not_compared(changes: dict[str, Any], reason: str) -> None:
    found = only([*with_control(), record(cell("other"), **{"turns": turns([1.0] * 30)} | changes)])
    other = row(found, "other")
    assert (other.tier, other.group, other.ratio, other.reason) == ("not compared", "", None, reason)


def test_reduced_precision_is_compared_among_itself() -> None:
    half = [
        ran(cell(name), seconds, parity="reduced precision") for name, seconds in (("x", 0.5), ("y", 0.8))
    ]
    found = only([*with_control(), *half])
    assert [(r.adapter, r.tier, r.group) for r in found.rows] == [
        ("torch", "compared", "a"),
        ("x", "reduced precision", "a"),
        ("y", "reduced precision", "b"),
    ]
    assert found.difference(row(found, "torch"), row(found, "x")) is None


def test_precisions_of_one_heat_are_rows_with_their_ratio() -> None:
    half = cell("torch", precision="amp", baseline=False, cell="amp")
    failed = cell("other", precision="amp", cell="other-amp")
    found = only(
        [*with_control(), ran(half, 2.0, parity="reduced precision"), record(failed, status="error")]
    )
    assert [(r.adapter, r.variant, r.tier, r.status) for r in found.rows] == [
        ("torch", "plain", "compared", "ok"),
        ("torch", "plain amp", "reduced precision", "ok"),
        ("other", "plain amp", "not compared", "error"),
    ]
    assert (found.title, found.baseline) == ("fc_lif", "torch plain")
    ratio = found.rows[1].ratio
    assert ratio and ratio.ratio == pytest.approx(2.0, rel=0.02)


def test_a_reference_is_never_ranked_and_says_how_far_the_others_are_from_it() -> None:
    limit = cell("alimit", reference=True)
    found = only([*with_control(), ran(limit, 0.1), ran(cell("slow"), 1.3)])
    assert found.baseline == "torch plain"
    assert [(r.adapter, r.tier, r.group) for r in found.rows] == [
        ("torch", "compared", "a"),
        ("slow", "compared", "b"),
        ("alimit", "reference", ""),
    ]
    over = {r.adapter: r.over_limit.ratio for r in found.rows if r.over_limit}
    assert over == pytest.approx({"torch": 10, "slow": 13, "alimit": 1}, rel=0.02)
    assert found.difference(row(found, "slow"), row(found, "alimit")) is None


def test_a_ratio_that_is_very_small_is_not_written_as_nothing() -> None:
    found = only([*with_control(), ran(cell("alimit", reference=True), 0.0042)])
    (line,) = (
        line for group in comparison(found, Page()).groups for line in group.rows if line[0].text == "alimit"
    )
    assert line[1].text == "0.0042" and line[1].note.startswith("0.004")


@pytest.mark.parametrize(
    ("ratio", "words"), [(1.074, "1.07"), (22.33, "22.3"), (1204.4, "1,204"), (0.03, "0.03")]
)
def test_a_ratio_has_three_digits(ratio: float, words: str) -> None:
    assert times(ratio) == words


def test_times_over_a_limit_are_numbers_as_they_are() -> None:
    found = only([*with_control(), ran(cell("alimit", reference=True), 0.0005)])
    (line,) = (
        line for group in comparison(found, Page()).groups for line in group.rows if line[0].text == "torch"
    )
    assert line[3].text.startswith(("1,9", "2,0")) and "e+" not in line[3].note


def test_a_reference_takes_the_place_of_a_failed_baseline_only_where_it_is_alone() -> None:
    limit, slow = ran(cell("alimit", reference=True), 0.1), ran(cell("slow"), 1.3)
    failed = record(TORCH, status="error")
    assert only([failed, limit, slow]).baseline == "slow plain"
    assert only([failed, limit]).baseline == "alimit plain"


def test_each_ending_is_a_row_and_a_row_of_fewer_seeds_is_not_compared() -> None:
    records = [each for seed in (0, 1) for each in with_control(cell("torch", seed=seed))]
    records += [
        ran(cell("other", seed=0), 1.0),
        record(cell("other", seed=1), status="timeout", reason="late\nlog"),
    ]
    found = only(records, planned=[cell("other", seed=2)])
    good, bad, waiting = (row(found, "other", status) for status in ("ok", "timeout", PENDING))
    assert good.reason == "not compared: timeout in 1 of 3 seeds"
    assert (bad.reason, bad.seeds, bad.planned) == ("late", 1, 3)
    assert (waiting.records, waiting.seeds) == ((), 1)
    assert [r.status for r in found.rows] == ["ok", "ok", "timeout", PENDING]


def test_a_task_in_two_sizes_has_a_section_for_each() -> None:
    sizes = [
        cell("torch", task_values={"steps": steps}, cell=str(steps), heat=str(steps)) for steps in (4, 8)
    ]
    found = sections(manifest(sizes), [ran(each, 1.0) for each in sizes])
    assert [(s.title, s.slug) for s in found] == [
        ("fc_lif (steps 4)", "fc-lif"),
        ("fc_lif (steps 8)", "fc-lif-2"),
    ]


def test_a_run_of_certificates_alone_has_no_sections() -> None:
    assert sections(manifest([certify(TORCH)]), [record(certify(TORCH))]) == []
