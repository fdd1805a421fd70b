"""Which frameworks are the fastest in a run, in one sentence: what a reader wants to know first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.sections import Row, Section
from bench.report.text import times


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Who is fastest in one section; ``others``: how many times as long each of the others takes."""

    title: str
    first: tuple[str, ...]
    undecided: tuple[str, ...]
    others: tuple[float, ...]


def fastest(sections: Sequence[Section]) -> str:
    """Who is the fastest in which task, ties called ties; rows of the same work alone are spoken of."""
    outcomes = [outcome for section in sections if (outcome := _outcome(section))]
    if not outcomes:
        return "in no task of this run can the times of two be compared."
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[_Outcome]] = {}
    for outcome in outcomes:
        alike.setdefault((outcome.first, outcome.undecided), []).append(outcome)
    return "; ".join(map(_sentence, alike.values())) + "."


def _outcome(section: Section) -> _Outcome | None:
    """None where there are no two rows to compare."""
    rows = [row for row in section.rows if row.tier == "compared"]
    if len(rows) < 2:
        return None
    ahead, *behind = rows
    first = [row for row in rows if row.group == ahead.group]
    undecided = [row for row in rows if row.group == f"{ahead.group}?"]
    others = [row for row in behind if row not in (*first, *undecided)]
    found = (section.difference(row, ahead) for row in others)
    return _Outcome(
        title=section.title,
        first=tuple(sorted(_name(row, rows) for row in first)),
        undecided=tuple(sorted(_name(row, rows) for row in undecided)),
        others=tuple(known.ratio.ratio for known in found if known and known.ratio),
    )


def _sentence(outcomes: Sequence[_Outcome]) -> str:
    """What there is to say of tasks in which the same are fastest."""
    one = outcomes[0]
    if one.first[1:]:
        said = f"{' = '.join(one.first)}, a tie"
    else:
        said = one.first[0] if one.undecided else f"{one.first[0]} is fastest"
    if one.undecided:
        said += f", and perhaps {', '.join(one.undecided)} (undecided)"
    if others := [ratio for outcome in outcomes for ratio in outcome.others]:
        span = dict.fromkeys(times(ratio) for ratio in (min(others), max(others)))
        said += f", others {' to '.join(span)} times as long"
    return f"{', '.join(outcome.title for outcome in outcomes)}: {said}"


def _name(row: Row, rows: Sequence[Row]) -> str:
    """The adapter, with its variant where several of it are compared."""
    variants = {other.variant for other in rows if other.adapter == row.adapter}
    return row.adapter if len(variants) == 1 else "/".join(row.key)
