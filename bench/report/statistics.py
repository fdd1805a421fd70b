"""How sure a comparison of times is.

What is compared are turns of the same round, so that what disturbs a round disturbs both.  The order within
a round is shuffled anew each time: where two processes are equally fast, each is the slower one of a round
with the same chance, whatever happened in the round before.  The sign test and the interval that belongs to
it need no more than that: neither a shape of the noise nor independent rounds.

The limit: what shuffling cannot exchange stays with a process while it lives, such as where its memory lies.
In simulations, processes that differ by 3 % for life, or whose own noise of 10 % lasts for rounds, are taken
for different in one heat of five to ten.  The control and the smallest ratio that counts hold most of that
back; only several seeds, each with processes of its own, measure it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import mean, median, stdev, variance
from typing import Literal, TypeVar

from bench.records import Record, Turn
from bench.report.text import gap

DISTURBED = 0.06  # the share that others may take of the cores of a turn that is compared
NOTABLE = 1.05  # a smaller difference is never declared
CONFIDENCE = 0.95
CHANCE_OF_STRAYING = 0.01  # that a program like the others is called restless

Program = TypeVar("Program", bound=Hashable)
Pair = TypeVar("Pair", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Time of one over that of another, doing the same: below 1 is faster.

    ``low`` and ``high``: the 95 % interval, None where there is too little for one.  ``rounds``: those that
    were compared; ``left_out``: those that were not, because a turn of either was disturbed.  ``seeds``:
    heats, each with processes of its own, that it is made of.  ``p``: two-sided, of the ratio being 1.
    """

    ratio: float
    low: float | None
    high: float | None
    rounds: int
    left_out: int
    p: float
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the times of one program in several heats lie apart beyond what the heats share.

    ``deviation``: the standard deviation of their logarithms; ``freedom``: the degrees of freedom behind it.
    ``steady``: the programs that it holds for.
    """

    deviation: float
    freedom: int
    steady: frozenset[Hashable]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be said of one beside another; ``reason`` says why no more than that.

    ``tie``: no difference above 5 % shows; ``undecided``: one does, and it is not sure enough.
    """

    word: Literal["faster", "slower", "tie", "undecided"]
    reason: str = ""

    def turned(self) -> Verdict:
        """What may be said of the other beside the first."""
        turned: dict[str, Verdict] = {"faster": Verdict("slower"), "slower": Verdict("faster")}
        return turned.get(self.word, self)


def disturbed(turn: Turn) -> bool:
    """Whether others, or a quota, took too much of its cores for it to be compared; the unknown is kept."""
    return max(turn.foreign or 0.0, turn.throttled or 0.0) > DISTURBED


def was_disturbed(record: Record) -> bool:
    """Whether others used the machine in more than a tenth of the record's compared turns."""
    compared = [turn for turn in record.turns if turn.compared]
    return 10 * sum(disturbed(turn) for turn in compared) > len(compared)


def paired(of: Record, to: Record) -> Ratio | None:
    """The time of one over that of the other in the rounds of their heat; None without a round in common.

    The interval is that of the median by order statistics, from 6 rounds on.
    """
    logs, left_out = _logs(of, to)
    if not logs:
        return None
    above, below = sum(log > 0 for log in logs), sum(log < 0 for log in logs)
    p = min(1.0, 2 * next(islice(_heads(above + below), min(above, below), None)))
    return _ratio(median(logs), median_interval(logs, CONFIDENCE), len(logs), left_out, p)


def through(of: Record, to: Record, baseline: Record) -> Ratio | None:
    """As ``paired``, for two that had no room side by side, by the rounds of each with the baseline.

    The ratios of the two to the baseline are compared as independent samples: by the Mann-Whitney test, and
    by intervals of each so wide that both hold with 95 %.
    """
    from scipy import stats  # here, as it takes longer than all else that a command imports

    mine, left_out = _logs(of, baseline)
    theirs, left_out_too = _logs(to, baseline)
    if not mine or not theirs:
        return None
    each = (1 + CONFIDENCE) / 2
    one, other = median_interval(mine, each), median_interval(theirs, each)
    interval = (one[0] - other[1], one[1] - other[0]) if one and other else None
    p = float(stats.mannwhitneyu(mine, theirs).pvalue)
    rounds = min(len(mine), len(theirs))
    return _ratio(median(mine) - median(theirs), interval, rounds, left_out + left_out_too, p)


def spread(times: Mapping[Program, Sequence[float]]) -> Spread | None:
    """How far heats lie apart, from the times of several programs, of each one in every heat.

    What is left of the logarithms once every program's and every heat's mean is taken away: the residual of
    a randomised block design, as in an analysis of variance in two ways.  A program that strays by more than
    chance lets the others (F test, 1 %) is left out, as the spread of the others does not hold for it.  None
    for fewer than two programs or heats.
    """
    logs = {name: [math.log(time) for time in row] for name, row in times.items()}
    while (found := _residual(logs)) and len(logs) > 2:
        from scipy import special  # here, as it takes longer than all else that a command imports

        rests = {name: {other: row for other, row in logs.items() if other != name} for name in logs}
        strays = {name: _straying(logs[name], rest) for name, rest in rests.items()}
        worst = max(strays, key=lambda name: strays[name])
        heats = len(logs[worst])
        bound = special.fdtri(heats - 1, (heats - 1) * (len(logs) - 2), 1 - CHANCE_OF_STRAYING)
        if strays[worst] <= bound:
            break
        logs = rests[worst]
    return found


def _residual(logs: Mapping[Program, Sequence[float]]) -> Spread | None:
    rows = list(logs.values())
    freedom = (len(rows) - 1) * (len(rows[0]) - 1) if rows else 0
    if freedom < 1:
        return None
    heats = [mean(column) for column in zip(*rows, strict=True)]
    left = (
        log - mean(row) - heat + mean(heats) for row in rows for log, heat in zip(row, heats, strict=True)
    )
    return Spread(math.sqrt(sum(one**2 for one in left) / freedom), freedom, frozenset(logs))


def _straying(own: Sequence[float], others: Mapping[Program, Sequence[float]]) -> float:
    """The variance of one program beside the others over what theirs lets expect: about 1."""
    known = _residual(others)
    moves = variance(log - mean(heat) for log, *heat in zip(own, *others.values(), strict=True))
    expected = known.deviation**2 * (1 + 1 / len(others)) if known else 0.0
    return moves / expected if expected else math.inf if moves else 0.0


def over_seeds(ratios: Sequence[Ratio], of_all: Spread | None = None) -> Ratio | None:
    """One ratio of those of several heats, each of them one value; None without any.

    The interval is Student's, on logarithms.  Three values say next to nothing about how far the next one
    lies from them; ``of_all``, the spread of all programs in these heats, says more where it holds.  Where
    the ratio moves more than that, its own movement counts.
    """
    if len(ratios) < 2:
        return next(iter(ratios), None)
    from scipy import special

    logs = [math.log(ratio.ratio) for ratio in ratios]
    deviation, freedom = stdev(logs), len(logs) - 1
    if of_all:  # twice, as a ratio has the chance of two programs
        deviation, freedom = max(math.sqrt(2) * of_all.deviation, deviation), of_all.freedom
    centre, error = mean(logs), deviation / math.sqrt(len(logs))
    # equal values, as of a baseline beside itself, leave no doubt in either direction
    p = 2 * float(special.stdtr(freedom, -abs(centre) / error)) if error else float(centre == 0)
    reaches = error * float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2))
    rounds, left_out = sum(r.rounds for r in ratios), sum(r.left_out for r in ratios)
    return _ratio(centre, (centre - reaches, centre + reaches), rounds, left_out, p, len(ratios))


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean of at least two values."""
    from scipy import special

    error = stdev(values) / math.sqrt(len(values))
    reach = error * float(special.stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    return mean(values) - reach, mean(values) + reach


def sureness(seeds: int) -> str:
    """What so few seeds (processes) are; empty from 5 on."""
    return "single run" if seeds == 1 else "indicative" if seeds < 5 else ""


def floor(control: Ratio | None) -> float | None:
    """The ratio beyond which a difference counts, 1.05 at least; None where the control has no interval."""
    moves = reach(control) if control else None
    return None if moves is None else max(NOTABLE, moves)


def reach(ratio: Ratio) -> float | None:
    """The ratio above 1 up to which its interval goes in either direction; None without an interval."""
    return None if ratio.low is None or ratio.high is None else max(ratio.high, 1 / ratio.low)


def inverse(ratio: Ratio) -> Ratio:
    """The same seen from the other side."""
    low, high = (None if end is None else 1 / end for end in (ratio.high, ratio.low))
    return replace(ratio, ratio=1 / ratio.ratio, low=low, high=high)


def differences(ratios: Mapping[Pair, Ratio | None], control: Ratio | None) -> dict[Pair, Verdict]:
    """What may be said of every pair of a heat, with 95 % for all of them together (Holm).

    One is faster or slower only where the interval excludes 1, the ratio lies beyond the ``floor``, and the
    pair stands the correction.
    """
    smallest = floor(control)
    found = {}
    stands, left = True, sum(ratio is not None for ratio in ratios.values())
    for pair in sorted(ratios, key=lambda pair: 1.0 if (r := ratios[pair]) is None else r.p):
        if (ratio := ratios[pair]) is None:
            found[pair] = Verdict("undecided", "no undisturbed round in common")
            continue
        stands = stands and ratio.p * left <= 1 - CONFIDENCE
        left -= 1
        found[pair] = _verdict(ratio, smallest, stands)
    return found


def _verdict(ratio: Ratio, smallest: float | None, stands: bool) -> Verdict:
    if ratio.low is None or ratio.high is None:
        return Verdict("undecided", f"{ratio.rounds} rounds are too few for an interval")
    if ratio.low <= 1 <= ratio.high:
        return Verdict("tie", "the interval holds 1")
    if smallest is None:
        return Verdict("undecided", "no control says what counts")
    if 1 / smallest <= ratio.ratio <= smallest:
        is_small = 1 / NOTABLE <= ratio.ratio <= NOTABLE
        return Verdict("tie" if is_small else "undecided", f"below the {gap(smallest)} that count")
    if not stands:
        return Verdict("undecided", "not sure enough among so many pairs")
    return Verdict("faster" if ratio.ratio < 1 else "slower")


def in_rounds(of: Record, to: Record) -> list[tuple[float, bool]]:
    """The ratio in every round in which both did the same, and whether it is left out as disturbed."""
    theirs = {turn.round: turn for turn in to.turns if turn.compared and turn.seconds}
    found = []
    for mine in of.turns:
        other = theirs.get(mine.round)
        if not (mine.compared and mine.seconds and other and other.seconds):
            continue
        if (mine.phase, mine.epoch) == (other.phase, other.epoch):
            found.append((mine.seconds / other.seconds, disturbed(mine) or disturbed(other)))
    return found


def _logs(of: Record, to: Record) -> tuple[list[float], int]:
    """Log ratios of the rounds in which both did the same, and how many of them were left out."""
    rounds = in_rounds(of, to)
    logs = [math.log(ratio) for ratio, is_disturbed in rounds if not is_disturbed]
    return logs, len(rounds) - len(logs)


def median_interval(values: Sequence[float], confidence: float) -> tuple[float, float] | None:
    """Order statistics that hold the median with at least this confidence, whatever the distribution."""
    outside = (1 - confidence) / 2
    place = next(place for place, chance in enumerate(_heads(len(values))) if chance >= outside)
    if place == 0:
        return None
    ordered = sorted(values)
    return ordered[place - 1], ordered[-place]


def _heads(throws: int) -> Iterator[float]:
    """The chance that a coin falls heads at most 0 times, at most once, and so on."""
    ways = all_ways = 1
    for count in range(throws + 1):
        yield all_ways / (1 << throws)
        ways = ways * (throws - count) // (count + 1)
        all_ways += ways


def _ratio(
    centre: float, interval: tuple[float, float] | None, rounds: int, left_out: int, p: float, seeds: int = 1
) -> Ratio:
    low, high = map(math.exp, interval) if interval else (None, None)
    return Ratio(
        ratio=math.exp(centre), low=low, high=high, rounds=rounds, left_out=left_out, p=p, seeds=seeds
    )
