"""What a run found, in sentences; a tie is called a tie.

Names that the statistics do not order stand in alphabetical order, so that two runs which found the same say
the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import median

from bench.records import Manifest
from bench.report import overview, text
from bench.report.pages import Page
from bench.report.sections import PENDING, RANKED, Row, Section


def listed(names: Sequence[str]) -> str:
    """Names as in "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def _name(section: Section, row: Row) -> str:
    """The adapter, with its variant where several of it are compared."""
    ranked = [other for other in section.rows if other.adapter == row.adapter and other.tier in RANKED]
    return row.adapter if len(ranked) == 1 else " ".join(row.key)


def leaders(section: Section) -> str:
    """Who is as fast as the fastest, in a few words; empty where nothing is compared.

    Which of them are tied and which undecided changes from run to run, and is ``speed``'s to say.
    """
    sure, unsure = _first(section)
    if unsure:
        return f"{listed(sorted([*sure, *unsure]))} (not told apart)"
    return f"{listed(sure)} (tied)" if len(sure) > 1 else listed(sure)


def _first(section: Section) -> tuple[list[str], list[str]]:
    """Who is as fast as the fastest, and of whom that is undecided."""
    found: dict[bool, list[str]] = {False: [], True: []}
    first = overview.fastest(section)
    for row in sorted(overview.leaders(section), key=lambda row: row.key):
        known = section.difference(row, first) if first else None
        found[known is not None and known.verdict.word == "undecided"].append(_name(section, row))
    return found[False], found[True]


def speed(section: Section) -> str:
    """Who is fastest, by how much, and how sure that is."""
    first = overview.fastest(section)
    tied, unsure = _first(section)
    if not first or not tied:
        return "No framework's time is compared here."
    ranked = [row for row in section.rows if row.tier == first.tier]
    if len(ranked) == 1:
        return f"{tied[0]} ran alone: nothing is compared with it."
    parts = []
    if len(tied) > 1:
        parts.append(f"{listed(tied)} are tied as fastest: this run cannot tell them apart.")
        if unsure:
            parts.append(
                f"Whether {listed(unsure)} {'is' if len(unsure) == 1 else 'are'} slower is undecided."
            )
    elif unsure:
        parts.append(f"Which of {listed(sorted([*tied, *unsure]))} is fastest, this run does not decide.")
    else:
        parts.append(f"{tied[0]} is fastest.")
    slower = [row for row in ranked if row not in overview.leaders(section)]
    if slower:
        than = tied[0] if len(tied) == 1 and not unsure else "the quickest of them"
        said = "; ".join(_times(section, row, first) for row in slower)
        parts.append(f"Times as long as {than}, with 95 % intervals: {said}.")
    return " ".join(parts)


def _times(section: Section, row: Row, first: Row) -> str:
    known = section.difference(row, first)
    if known is None or known.ratio is None:
        return f"{_name(section, row)} not compared"
    said = f"{_name(section, row)} {text.times(known.ratio.ratio)}"
    if known.ratio.low is None or known.ratio.high is None:
        return said
    return f"{said} ({text.times(known.ratio.low)}–{text.times(known.ratio.high)})"


def counted(found: Sequence[Section], noun: str = "tasks") -> str:
    """Of how many tasks, or of what the ``noun`` is, each framework is as fast as the fastest."""
    if len(found) == 1:
        return f"{found[0].title}: {speed(found[0])}"
    wins: dict[str, int] = {}
    for section in found:
        for row in section.rows:
            if row.tier in RANKED:
                wins.setdefault(row.adapter, 0)
        for name in {row.adapter for row in overview.leaders(section)}:
            wins[name] += 1
    said = [f"{name} {count}" for name, count in sorted(wins.items(), key=lambda w: (-w[1], w[0])) if count]
    never = [name for name, count in sorted(wins.items()) if not count]
    return f"Not told apart from the fastest, of {len(found)} {noun}: {', '.join(said)}" + (
        f"; {listed(never)} 0" if never else ""
    )


def memory(found: Sequence[Section]) -> str:
    """Who needs least and who most."""
    peak = overview.peak(found)
    values = [
        (median(known), row.adapter, section.title)
        for section in found
        for row in section.rows
        if row.tier in RANKED and (known := row.values(peak.name))
    ]
    if not values:
        return ""
    (low, least, where), (high, most, there) = min(values), max(values)
    if least == most:
        return f"{least} peaks at {peak.spell(low)} to {peak.spell(high)} MB"
    return (
        f"{least} needs least memory, {peak.spell(low)} MB in {where}; "
        f"{most} most, {peak.spell(high)} MB in {there}"
    )


def learned(found: Sequence[Section], pages: Mapping[str, Page]) -> str:
    """What each family says about quality, task by task."""
    said = [
        f"{section.title}: {words}"
        for section in found
        if (words := pages[section.cell.family].learned(section))
    ]
    return " ".join(f"{words}." for words in said)


def not_run(found: Sequence[Section]) -> str:
    """What was skipped, and why: what nobody wrote an adapter for is no fault of the framework."""
    skipped = [(section, row) for section in found for row in section.rows if row.status == "skipped"]
    if not skipped:
        return "Nothing was left out."
    unwritten: dict[str, list[str]] = {}
    reasons: dict[str, list[str]] = {}
    for section, row in skipped:
        if row.records[0].cell.table:
            why = row.reason.removeprefix("certificate: ")
            reasons.setdefault(f"{row.adapter}: {why}", []).append(section.title)
        else:
            unwritten.setdefault(row.adapter, []).append(section.title)
    parts = []
    if unwritten:
        by_tasks: dict[str, list[str]] = {}
        for name, tasks in sorted(unwritten.items()):
            by_tasks.setdefault(listed(tasks), []).append(name)
        said = [f"{listed(names)} ({tasks})" for tasks, names in by_tasks.items()]
        parts.append(f"nobody has written an adapter for {'; '.join(said)}")
    parts += [f"{why} ({listed(tasks)})" for why, tasks in reasons.items()]
    total = sum(len(section.rows) for section in found)
    return f"{len(skipped)} of {total}: {'. '.join(parts)}."


def failed(found: Iterable[Section]) -> str:
    """What did not end well, and why."""
    bad = [
        f"{row.adapter} {row.variant} in {section.title} ({row.status.replace('_', ' ')}"
        + (f": {row.reason})" if row.reason else ")")
        for section in found
        for row in section.rows
        if row.status not in ("ok", "skipped", PENDING)
    ]
    return "; ".join(bad) + "." if bad else "None."


def elsewhere(manifest: Manifest, pages: Iterable[Page], drawn: Collection[str]) -> str:
    """What this run did not measure, each with the command that would; ``drawn``: what was plotted."""
    commands = {} if manifest.settings.get("device") == "cuda" else {"a GPU": "make bench DEVICE=cuda"}
    for page in pages:
        commands |= {
            kind.what: kind.command for kind in page.plots if kind.command and kind.what not in drawn
        }
    return "; ".join(f"{what}: {command}" for what, command in commands.items())
