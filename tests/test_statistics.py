"""Intervals, ties and verdicts; what holds with a probability is counted in seeded simulations."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import combinations

import pytest
from scipy import stats

from bench.records import Record, Turn
from bench.report.statistics import (
    NOTABLE,
    Ratio,
    Spread,
    differences,
    disturbed,
    floor,
    inverse,
    over_seeds,
    paired,
    spread,
    sureness,
    through,
)
from tests.builders import cell, control, record, turns

TORCH, OTHER = cell("torch"), cell("other")


def pair(mine: Sequence[float], theirs: Sequence[float]) -> Ratio:
    ratio = paired(record(OTHER, mine), record(TORCH, theirs))
    assert ratio is not None
    return ratio


def ratio(value: float, low: float | None = None, high: float | None = None, p: float = 0.0) -> Ratio:
    return Ratio(ratio=value, low=low, high=high, rounds=30, left_out=0, p=p)


def test_the_ratio_is_the_median_of_the_rounds_and_its_interval_are_order_statistics() -> None:
    found = pair([1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 9.0], [1.0] * 9)
    assert (found.ratio, found.low, found.high) == pytest.approx((1.5, 1.2, 1.8))
    assert (found.rounds, found.left_out, found.seeds) == (9, 0, 1)
    assert found.p == pytest.approx(2 / 2**9)


def test_fewer_than_six_rounds_have_no_interval() -> None:
    assert pair([2.0] * 5, [1.0] * 5).low is None
    assert pair([2.0] * 6, [1.0] * 6).low == pytest.approx(2.0)


def test_a_process_beside_itself_is_one() -> None:
    found = pair([0.7, 0.8, 0.9, 1.0, 1.1, 1.2], [0.7, 0.8, 0.9, 1.0, 1.1, 1.2])
    assert (found.ratio, found.low, found.high, found.p) == (1.0, 1.0, 1.0, 1.0)


def test_what_is_disturbed_is_left_out_and_what_is_unknown_is_kept() -> None:
    mine = record(OTHER, turns=turns([2.0, 2.0, 50.0, 2.0], foreign=[0.06, None, 0.061, 0.0]))
    theirs = record(TORCH, turns=turns([1.0, 1.0, 1.0, 0.01], foreign=[0.0, 0.0, 0.0, 0.5]))
    found = paired(mine, theirs)
    assert found is not None
    assert found.ratio == pytest.approx(2.0)
    assert (found.rounds, found.left_out) == (2, 2)


def test_only_turns_of_the_same_round_and_work_are_paired() -> None:
    mine = record(OTHER, turns=[*turns([2.0, 3.0]), *turns([9.0], first=8)])
    theirs = turns([1.0, 1.0])
    theirs[2] = theirs[2].model_copy(update={"epoch": 3})
    found = paired(mine, record(TORCH, turns=theirs))
    assert found is not None and (found.ratio, found.rounds) == (2.0, 1)
    theirs = [turn.model_copy(update={"compared": False}) for turn in theirs]
    assert paired(mine, record(TORCH, turns=theirs)) is None


def test_who_ran_in_another_group_is_compared_through_the_baseline() -> None:
    rng = random.Random(3)
    noise = [math.exp(rng.gauss(0, 0.01)) for _ in range(60)]
    baseline = record(TORCH, turns=[*turns([1.0] * 30), *turns([5.0] * 30, first=40)])
    early = record(OTHER, turns=turns(noise[:30]))
    late = record(cell("late"), turns=turns([10 * each for each in noise[30:]], first=40))
    assert paired(late, early) is None
    found = through(late, early, baseline)
    assert found is not None and found.low is not None and found.high is not None
    assert found.low < found.ratio < found.high
    assert found.ratio == pytest.approx(2.0, rel=0.02) and found.p < 1e-9
    assert differences({"pair": found}, ratio(1, 0.99, 1.01))["pair"].word == "slower"


def test_several_seeds_are_one_value_each_with_students_interval() -> None:
    found = over_seeds([ratio(math.exp(log)) for log in (0.1, 0.2, 0.3)])
    assert found is not None and found.low is not None and found.high is not None
    # t(0.975, 2) = 4.3027, standard error 0.1 / sqrt(3)
    assert math.log(found.ratio) == pytest.approx(0.2)
    assert (math.log(found.low), math.log(found.high)) == pytest.approx((-0.04842, 0.44842), abs=1e-4)
    assert found.p == pytest.approx(0.0742, abs=1e-4)
    assert (found.seeds, found.rounds) == (3, 90)
    assert over_seeds([]) is None
    assert over_seeds([ratio(2.0, 1.5, 2.5)]) == ratio(2.0, 1.5, 2.5)


def test_the_spread_is_what_neither_the_program_nor_the_heat_explains() -> None:
    slow, late = math.exp(0.5), math.exp(0.3)  # of a program, of a heat: all programs alike
    alike = spread({"a": [1.0, late], "b": [slow, slow * late]})
    assert alike is not None and alike.deviation == pytest.approx(0.0, abs=1e-9)
    one_strays = spread({"a": [1.0, 1.0], "b": [1.0, math.exp(0.2)]})  # residuals of 0.05 each
    assert one_strays is not None and one_strays.deviation == pytest.approx(0.1)
    four = {"a": [1.0, 1.1, 0.9], "b": [2.0, 2.1, 2.2], "c": [0.5, 0.4, 0.6], "d": [1.0, 1.0, 1.0]}
    found = spread(four)
    assert found is not None and (found.freedom, found.steady) == (6, frozenset(four))
    assert spread({}) is spread({"a": [1.0, 2.0]}) is spread({"a": [1.0], "b": [2.0]}) is None


def test_the_spread_does_not_hold_for_a_program_that_strays_beside_the_others() -> None:
    steady = {"a": [1.0, 1.01, 0.99], "b": [2.0, 2.01, 2.02], "c": [0.5, 0.504, 0.498], "d": [1.0, 1.0, 1.0]}
    found = spread(steady | {"restless": [0.7, 1.0, 1.4]})
    assert found == spread(steady) and found is not None and found.steady == frozenset(steady)
    same = {name: [1.0, 1.0, 1.0] for name in "abc"}
    nothing_moves = spread(same | {"restless": [1.0, 1.0, 1.1]})
    assert nothing_moves is not None and (nothing_moves.deviation, nothing_moves.steady) == (
        0.0,
        frozenset(same),
    )


def test_the_spread_of_all_says_how_sure_three_seeds_are() -> None:
    ratios = [ratio(math.exp(log)) for log in (0.19, 0.2, 0.21)]
    found = over_seeds(ratios, Spread(0.05, 14, frozenset()))
    assert found is not None and found.low is not None and found.high is not None
    # t(0.975, 14) = 2.1448, standard error 0.05 * sqrt(2 / 3)
    assert (math.log(found.low), math.log(found.high)) == pytest.approx((0.11244, 0.28756), abs=1e-4)


def test_equal_values_of_seeds_leave_no_doubt() -> None:
    same, other = over_seeds([ratio(1.0)] * 3), over_seeds([ratio(2.0)] * 3)
    assert same is not None and (same.low, same.high, same.p) == (1.0, 1.0, 1.0)
    assert other is not None and other.p == 0.0


def test_so_few_seeds_are_called_what_they_are() -> None:
    assert [sureness(count) for count in (1, 2, 4, 5)] == ["single run", "indicative", "indicative", ""]


def test_the_floor_is_where_the_control_reaches_to_in_either_direction() -> None:
    assert floor(ratio(1.0, 0.99, 1.02)) == NOTABLE
    assert floor(ratio(1.0, 0.99, 1.11)) == 1.11
    assert floor(ratio(0.9, 0.8, 1.0)) == 1.25
    assert floor(None) is None and floor(ratio(1.0)) is None


def test_the_inverse_is_seen_from_the_other_side() -> None:
    found = inverse(ratio(0.5, 0.4, 0.8))
    assert (found.ratio, found.low, found.high) == (2.0, 1.25, 2.5)


QUIET = ratio(1.0, 0.99, 1.01)


@pytest.mark.parametrize(
    ("of", "beside", "word", "reason"),
    [
        (ratio(1.3, 1.2, 1.4), QUIET, "slower", ""),
        (ratio(0.8, 0.7, 0.9), QUIET, "faster", ""),
        (ratio(1.3, 0.99, 1.4), QUIET, "tie", "the interval holds 1"),
        (ratio(1.04, 1.03, 1.06), QUIET, "tie", "below the 5 % that count"),
        (ratio(0.96, 0.95, 0.97), QUIET, "tie", "below the 5 % that count"),
        (ratio(1.3, 1.2, 1.4), ratio(1.1, 1.0, 1.32), "undecided", "below the 32 % that count"),
        (ratio(0.76, 0.7, 0.8), ratio(1.1, 1.0, 1.32), "undecided", "below the 32 % that count"),
        (ratio(1.3, 1.2, 1.4), None, "undecided", "no control says what counts"),
        (ratio(1.3), QUIET, "undecided", "30 rounds are too few for an interval"),
        (ratio(1.3, 1.2, 1.4, p=0.06), QUIET, "undecided", "not sure enough among so many pairs"),
        (None, QUIET, "undecided", "no undisturbed round in common"),
    ],
)
def test_a_difference_counts_only_where_nothing_speaks_against_it(
    of: Ratio | None, beside: Ratio | None, word: str, reason: str
) -> None:
    verdict = differences({"pair": of}, beside)["pair"]
    assert (verdict.word, verdict.reason) == (word, reason)


@pytest.mark.parametrize(
    ("ps", "undecided"),
    [
        ((0.001, 0.02, 0.026, 0.001), ""),  # 4 x 0.001, 3 x 0.001, 2 x 0.02 and 1 x 0.026 hold
        ((0.001, 0.03, 0.04, 0.001), "bc"),  # 2 x 0.03 does not, and nothing with a larger p after it
        ((0.03, 0.04), "ab"),
    ],
)
def test_all_pairs_of_a_heat_stand_holms_correction(ps: Sequence[float], undecided: str) -> None:
    asked = {name: ratio(1.3, 1.2, 1.4, p=p) for name, p in zip("abcd", ps, strict=False)}
    found = differences(asked | {"none": None}, QUIET)
    assert "".join(sorted(name for name in asked if found[name].word == "undecided")) == undecided


def heat(
    rng: random.Random,
    factors: Sequence[float],
    *,
    noise: float = 0.03,
    hit: float = 0.0,
    stays: float = 0.7,
    rounds: int = 30,
) -> list[list[float]]:
    """Seconds of every process and round.

    A second load hits this share of all turns and makes them 1.1 to 2 times longer; it stays from one turn to
    the next, whoever takes that, with a chance.
    """
    seconds: list[list[float]] = [[] for _ in factors]
    burst = 1.0
    comes = hit * (1 - stays) / (1 - hit)
    for _ in range(rounds):
        for place in rng.sample(range(len(factors)), len(factors)):
            if burst == 1.0:
                burst = rng.uniform(1.1, 2.0) if rng.random() < comes else 1.0
            elif rng.random() > stays:
                burst = 1.0
            seconds[place].append(factors[place] * burst * math.exp(rng.gauss(0, noise)))
    return seconds


def records(rng: random.Random, factors: Sequence[float], hit: float, stays: float) -> list[Record]:
    """The records of a heat; the first is the baseline and the last the control."""
    cells = [TORCH, *(cell(f"adapter-{number}") for number in range(len(factors) - 1)), control(TORCH)]
    return [
        record(each, s)
        for each, s in zip(cells, heat(rng, [*factors, 1.0], hit=hit, stays=stays), strict=True)
    ]


@pytest.mark.parametrize(("hit", "stays"), [(0.0, 0.7), (0.05, 0.7), (0.15, 0.7), (0.15, 0.95)])
def test_the_interval_covers_the_truth_in_bursts_too(hit: float, stays: float) -> None:
    rng = random.Random(11)
    covered = 0
    for _ in range(300):
        other, baseline = heat(rng, [1.3, 1.0], hit=hit, stays=stays)
        found = pair(other, baseline)
        assert found.low is not None and found.high is not None
        covered += found.low <= 1.3 <= found.high
    assert covered >= 0.92 * 300


@pytest.mark.parametrize(("hit", "stays"), [(0.05, 0.7), (0.15, 0.7), (0.15, 0.95)])
def test_of_200_heats_of_equals_in_bursts_none_declares_a_difference(hit: float, stays: float) -> None:
    rng = random.Random(12)
    for _ in range(200):
        baseline, other, again = records(rng, [1.0, 1.0], hit, stays)
        of_control = paired(again, baseline)
        assert differences({"pair": paired(other, baseline)}, of_control)["pair"].word == "tie"
        # nor does the control, held to the smallest floor
        assert differences({"pair": of_control}, QUIET)["pair"].word == "tie"


@pytest.mark.parametrize(("hit", "stays"), [(0.0, 0.7), (0.05, 0.7), (0.15, 0.95)])
def test_10_percent_slower_is_found_among_the_pairs_of_six(hit: float, stays: float) -> None:
    rng = random.Random(13)
    heats, found = 50, 0
    for _ in range(heats):
        *processes, again = records(rng, [1.0, 1.0, 1.0, 1.0, 1.0, 1.1], hit, stays)
        ratios = {(of.cell.adapter, to.cell.adapter): paired(of, to) for to, of in combinations(processes, 2)}
        verdicts = differences(ratios, paired(again, processes[0]))
        found += verdicts["adapter-4", "torch"].word == "slower"
        equals = [verdict for (of, _), verdict in verdicts.items() if of != "adapter-4"]
        assert all(verdict.word == "tie" for verdict in equals)
    assert found >= 0.9 * heats


def test_the_interval_over_seeds_covers_the_truth() -> None:
    rng = random.Random(14)
    covered = 0
    for _ in range(500):
        found = over_seeds([ratio(1.2 * math.exp(rng.gauss(0, 0.05))) for _ in range(3)])
        assert found is not None and found.low is not None and found.high is not None
        covered += found.low <= 1.2 <= found.high
    assert covered >= 0.93 * 500


def over_three_seeds(
    rng: random.Random, truths: Sequence[float], noise: Sequence[float]
) -> dict[tuple[int, int], Ratio]:
    """The ratios of programs in three heats, of which every process is by its own noise slower or faster."""
    times = {
        number: [truth * math.exp(rng.gauss(0, each)) for _ in range(3)]
        for number, (truth, each) in enumerate(zip(truths, noise, strict=True))
    }
    of_all = spread(times)
    found = {}
    for to, of in combinations(times, 2):
        holds = of_all and {of, to} <= of_all.steady
        ratios = [ratio(a / b) for a, b in zip(times[of], times[to], strict=True)]
        known = over_seeds(ratios, of_all if holds else None)
        assert known is not None
        found[of, to] = known
    return found


def holds(known: Ratio, truth: float) -> bool:
    assert known.low is not None and known.high is not None
    return known.low <= truth <= known.high


def test_with_the_spread_of_all_three_seeds_find_20_percent_among_the_pairs_of_seven() -> None:
    rng = random.Random(15)
    found, covered, wrong = 0, 0, 0
    for _ in range(200):
        pairs = over_three_seeds(rng, [1.0] * 6 + [1.2], [0.03] * 7)
        verdicts = differences(pairs, ratio(1.0, 0.97, 1.03))
        found += verdicts[6, 0].word == "slower"
        wrong += any(said.word in ("faster", "slower") for (of, _), said in verdicts.items() if of != 6)
        covered += holds(pairs[6, 0], 1.2)
    assert found >= 0.9 * 200 and covered >= 0.93 * 200 and wrong <= 0.05 * 200


def test_one_restless_program_hides_no_difference_and_makes_none() -> None:
    rng = random.Random(16)
    found, covered, wrong = 0, 0, 0
    for _ in range(400):
        pairs = over_three_seeds(rng, [1.0] * 5 + [1.2, 1.0], [0.02] * 6 + [0.15])
        verdicts = differences(pairs, ratio(1.0, 0.97, 1.03))
        found += verdicts[5, 0].word == "slower"
        wrong += any(
            said.word in ("faster", "slower") for (of, to), said in verdicts.items() if 5 not in (of, to)
        )
        covered += sum(holds(pairs[6, to], 1.0) for to in range(5))
    assert found >= 0.9 * 400 and covered >= 0.9 * 2000 and wrong <= 0.05 * 400


@pytest.mark.parametrize("rounds", [1, 5, 6, 9, 30, 31, 200, 6000])
def test_signs_and_order_statistics_are_those_of_scipy(rounds: int) -> None:
    rng = random.Random(rounds)
    logs = [rng.gauss(0.1, 1) for _ in range(rounds)]
    found = pair([math.exp(log) for log in logs], [1.0] * rounds)
    above = sum(log > 0 for log in logs)
    assert found.p == pytest.approx(stats.binomtest(above, rounds).pvalue)
    place = int(stats.binom.ppf(0.025, rounds, 0.5))
    if place == 0:
        assert found.low is None and found.high is None
    else:
        low, high = sorted(logs)[place - 1], sorted(logs)[-place]
        assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_a_turn_that_a_quota_held_back_is_left_out_as_one_that_others_took_from() -> None:
    plain = Turn(round=1, phase="train", seconds=1.0, compared=True, foreign=0.06, throttled=0.06)
    assert not disturbed(plain)
    assert disturbed(plain.model_copy(update={"throttled": 0.07}))
    assert disturbed(plain.model_copy(update={"throttled": 0.5, "foreign": None}))
