"""Sweeps: the sections of one task that differ in a single value, and what figures do over that value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import combinations
from statistics import correlation, linear_regression, mean
from typing import Any

from bench.measure.peaks import Peaks
from bench.records import Manifest
from bench.report.figures import FIGURES, Figure
from bench.report.pages import Page
from bench.report.sections import Row, Section
from bench.report.statistics import mean_interval, was_disturbed
from bench.report.tables import Entry, Group, Heading, Table, names
from bench.report.text import ABSENT, plain, significant
from tasks.families import families

FEWEST = 3  # values of a line that is fitted, and of a sweep which leaves out the task's first point

Value = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Sections by the value of ``key``, in which alone they differ, in the order in which they are drawn.

    ``figures``: the page's ``quality`` and ``pace`` and the host's memory, those that any row has.
    ``floor``: the least that the pace can be, value by value, where it is known.
    ``untimed``: the pace, where it is left out because the machine did something else.
    """

    title: str
    slug: str
    key: str
    points: tuple[tuple[Value, Section], ...]
    quality: str
    pace: str
    figures: tuple[Figure, ...]
    floor: dict[Value, float]
    untimed: Figure | None

    @property
    def values(self) -> list[Value]:
        """Every value of the key, in order."""
        return [value for value, _ in self.points]

    @property
    def is_numeric(self) -> bool:
        """Whether the values are amounts, not words."""
        return all(isinstance(value, int | float) for value in self.values)

    def lines(self) -> dict[tuple[str, str], dict[Value, Row]]:
        """Of every adapter and variant its comparable rows by value."""
        found: dict[tuple[str, str], dict[Value, Row]] = {}
        for value, section in self.points:
            for row in section.rows:
                if row.comparable:
                    found.setdefault(row.key, {})[value] = row
        return dict(sorted(found.items()))


def sweeps(manifest: Manifest, sections: Sequence[Section], pages: dict[str, Page]) -> list[Sweep]:
    """Every sweep through the first point of a task, and others of at least three values."""
    peaks = Peaks(**manifest.peaks) if manifest.peaks else None
    planned = [(cell.task, cell.task_values) for cell in manifest.cells if cell.stage == "run"]
    found = []
    by_task: dict[str, list[Section]] = {}
    for section in sections:
        by_task.setdefault(section.cell.task, []).append(section)
    for members in by_task.values():
        members.sort(key=lambda section: planned.index((section.cell.task, section.cell.task_values)))
        every = [(_values(section), section) for section in members]
        varied = [key for key in every[0][0] if any(v[key] != every[0][0][key] for v, _ in every)]
        for key in varied:
            groups: dict[str, list[tuple[dict[str, Any], Section]]] = {}
            for values, section in every:
                rest = repr([values[name] for name in varied if name != key])
                groups.setdefault(rest, []).append((values, section))
            for place, group in enumerate(groups.values()):
                if len(group) >= (FEWEST if place else 2):
                    fixed = {name: group[0][0][name] for name in varied if name != key}
                    departs = {name: value for name, value in fixed.items() if value != every[0][0][name]}
                    points = [(values[key], section) for values, section in group]
                    found.append(_sweep(key, points, fixed, departs, pages[members[0].cell.family], peaks))
    return found


def _values(section: Section) -> dict[str, Any]:
    """All that a point of a task may differ in; what the profile leaves out has the task's own value."""
    cell = section.cell
    factory = families()[cell.family].tasks[cell.task]
    defaults = {name: parameter.default for name, parameter in signature(factory).parameters.items()}
    values = defaults | cell.task_values
    return {
        name: plain([*value]) if isinstance(value, tuple | list) else value for name, value in values.items()
    }


def _sweep(
    key: str,
    points: list[tuple[Value, Section]],
    fixed: dict[str, Any],
    departs: dict[str, Any],
    page: Page,
    peaks: Peaks | None,
) -> Sweep:
    """``fixed``: what other points of the task vary; ``departs``: what of it the first has otherwise."""
    if all(isinstance(value, int | float) for value, _ in points):
        points.sort(key=lambda point: point[0])
    title = f"{points[0][1].cell.task} over {key.replace('_', ' ')}"
    records = [
        record for _, section in points for row in section.rows if row.comparable for record in row.records
    ]
    measured = {name for record in records for name in record.figures}
    untimed = page.pace if page.pace in measured and any(map(was_disturbed, records)) else ""
    return Sweep(
        title=f"{title} ({_words(fixed)})" if fixed else title,
        slug=re.sub(r"[^a-z0-9]+", "-", f"{title} {_words(departs)}".lower()).strip("-"),
        key=key,
        points=tuple(points),
        quality=page.quality,
        pace=page.pace,
        figures=tuple(
            FIGURES[name]
            for name in dict.fromkeys((page.quality, page.pace, "host_peak_bytes"))
            if name in measured and name != untimed
        ),
        floor={value: page.floor(section.cell, peaks) for value, section in points if page.floor and peaks},
        untimed=FIGURES[untimed] if untimed else None,
    )


def _words(values: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {plain(value)}" for name, value in values.items())


def table(sweep: Sweep) -> Table:
    """A row per adapter, variant and value: means over the seeds with their 95 % interval."""
    headings = [Heading("adapter"), Heading(sweep.key.replace("_", " "), numeric=sweep.is_numeric)]
    headings += [Heading(each.heading, numeric=True, tip=each.meaning) for each in sweep.figures]
    rows = [
        [names(row), Entry(plain(value)), *(_mean(row.values(each.name), each) for each in sweep.figures)]
        for line in sweep.lines().values()
        for value, row in line.items()
    ]
    return Table(headings, [Group(rows)] if rows else [])


def _mean(values: Sequence[float], figure: Figure) -> Entry:
    if not values:
        return Entry(ABSENT)
    count = f"n = {len(values)}"
    if len(values) < 2:
        return Entry(figure.spell(values[0]), count)
    low, high = mean_interval(values)
    return Entry(figure.spell(mean(values)), f"{figure.spell(low)} to {figure.spell(high)}, {count}")


def findings(sweep: Sweep) -> list[str]:
    """What the figures do over the value, in sentences with their numbers, and what times cannot say."""
    said = []
    for key, line in sweep.lines().items():
        for figure in sweep.figures:
            said += [f"{' '.join(key)}: {words}" for words in _about(sweep, line, figure)]
    said += _crossovers(sweep)
    if sweep.untimed:
        left_out = sweep.untimed.heading
        return [*said, f"No {left_out}: of some value others used the CPU in more than a tenth of the turns."]
    said += _over_floor(sweep)
    said.append(
        "Every value is a heat of its own, minutes apart from the others: what the machine did meanwhile is "
        "in these times, and they are not compared."
    )
    return said


def _about(sweep: Sweep, line: dict[Value, Row], figure: Figure) -> Iterator[str]:
    known = {value: found for value, row in line.items() if (found := row.values(figure.name))}
    if len(known) < 2:
        return
    key = sweep.key.replace("_", " ")
    if figure.name == "host_peak_bytes":
        if sweep.is_numeric and len(known) >= FEWEST:
            pairs = [(float(value), size / 1e6) for value, sizes in known.items() for size in sizes]
            if len({size for _, size in pairs}) == 1:
                return  # no line has a slope there
            slope, intercept = linear_regression(*zip(*pairs, strict=True))
            squared = correlation(*zip(*pairs, strict=True)) ** 2
            yield (
                f"the least-squares line of memory over {key} has {intercept:,.0f} MB + "
                f"{significant(slope)} MB x {key}, R² {squared:.4f}."
            )
        return
    if figure.name != sweep.quality:
        return
    choose = max if figure.better == "higher" else min
    best = choose(known, key=lambda value: mean(known[value]))
    words = f"best mean {figure.heading} {figure.spell(mean(known[best]))} at {key} {plain(best)}"
    if min(map(len, known.values())) < 2:
        yield f"{words}; one seed tells no two values apart."
        return
    alike = [plain(value) for value in known if value != best and _is_alike(line, best, value, figure)]
    yield f"{words}; not told apart from it, seed by seed: {', '.join(alike) or 'none'}."


def _over_floor(sweep: Sweep) -> Iterator[str]:
    """How many times its floor each adapter and variant takes, where it is nearest and furthest."""
    key = sweep.key.replace("_", " ")
    for name, line in sweep.lines().items():
        times = {
            value: mean(found) / least
            for value, least in sweep.floor.items()
            if value in line and (found := line[value].values(sweep.pace))
        }
        if len(times) > 1:
            near, far = min(times, key=times.__getitem__), max(times, key=times.__getitem__)
            yield (
                f"{' '.join(name)} takes {significant(times[near])} times what memory and products alone "
                f"take at {key} {plain(near)}, and {significant(times[far])} times at {plain(far)}."
            )


def _crossovers(sweep: Sweep) -> Iterator[str]:
    """Every pair of which one is faster at some values and slower at others, by the verdict of each heat."""
    for one, other in combinations(sweep.lines(), 2):
        words: dict[str, list[str]] = {}
        for value, section in sweep.points:
            rows = {row.key: row for row in section.rows if row.comparable}
            if one in rows and other in rows and (found := section.difference(rows[one], rows[other])):
                words.setdefault(found.verdict.word, []).append(plain(value))
        if "faster" in words and "slower" in words:
            key = sweep.key.replace("_", " ")
            yield (
                f"{' '.join(one)} is faster than {' '.join(other)} at {key} {', '.join(words['faster'])} and "
                f"slower at {', '.join(words['slower'])}."
            )


def _is_alike(line: dict[Value, Row], one: Value, other: Value, figure: Figure) -> bool:
    """Whether the 95 % interval of the differences, seed by seed, holds 0."""
    theirs = {record.cell.seed: record.figures.get(figure.name) for record in line[other].records}
    differences = [
        mine - known
        for record in line[one].records
        if (mine := record.figures.get(figure.name)) is not None
        and (known := theirs.get(record.cell.seed)) is not None
    ]
    if len(differences) < 2:
        return True
    low, high = mean_interval(differences)
    return low <= 0 <= high
