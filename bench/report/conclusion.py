"""Which frameworks are the fastest in a run, in one sentence: what a reader wants to know first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.report import overview
from bench.report.findings import leaders
from bench.report.sections import Section
from bench.report.text import times


def fastest(sections: Sequence[Section]) -> str:
    """Who is the fastest in which task, ties called ties; rows of the same work alone are spoken of."""
    alike: dict[str, list[Section]] = {}
    for section in sections:
        if sum(row.tier == "compared" for row in section.rows) > 1:
            alike.setdefault(leaders(section), []).append(section)
    if not alike:
        return "in no task of this run can the times of two be compared."
    return "; ".join(_sentence(names, found) for names, found in alike.items()) + "."


def _sentence(names: str, sections: Sequence[Section]) -> str:
    """What there is to say of tasks in which the same are fastest."""
    said = f"{', '.join(section.title for section in sections)}: {names}"
    if others := [ratio for section in sections for ratio in _behind(section)]:
        span = dict.fromkeys(times(ratio) for ratio in (min(others), max(others)))
        said += f", others {' to '.join(span)} times as long"
        said += ", depending on the task" * (len(span) > 1 and len(sections) > 1)
    return said


def _behind(section: Section) -> Iterator[float]:
    """How many times as long as the fastest each of those takes that are slower for sure."""
    first, leaders = overview.fastest(section), overview.leaders(section)
    for row in section.rows:
        if first and row.tier == "compared" and row not in leaders:
            found = section.difference(row, first)
            if found and found.ratio:
                yield found.ratio.ratio
