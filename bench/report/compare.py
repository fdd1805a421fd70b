"""What one run says of two frameworks, in sentences."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from statistics import geometric_mean

from bench.errors import UserError, unknown
from bench.records import load_manifest, load_records
from bench.report.sections import RANKED, Difference, Row, Section, sections
from bench.report.statistics import Ratio, inverse, reach, sureness
from bench.report.text import gap

_SAME_WORK = "What is compared is the same work: each has a certificate that passed."
_OWN_EXAMPLE = "A framework's own example has no certificate: it does not do the same work as the variants."


def compare(folder: Path, one: str, other: str) -> list[str]:
    """A sentence for every task and pair of variants; names are ADAPTER or ADAPTER/VARIANT.

    Raises:
        UserError: a name that the run has not, or no task that both were asked for.
        FileNotFoundError: the folder is no run.
    """
    manifest = load_manifest(folder)
    found = sections(manifest, load_records(folder))
    rows = [row for section in found for row in section.rows]
    known = {row.adapter for row in rows} | {"/".join(row.key) for row in rows if row.variant}
    for name in (one, other):
        if name not in known:
            raise unknown("adapter or variant in this run", name, known)
    lines: list[str] = []
    ratios: list[tuple[str, Ratio]] = []
    same_work = True
    for section in found:
        for mine, theirs in product(_rows(section, one), _rows(section, other)):
            if mine.key != theirs.key:
                difference = section.difference(mine, theirs)
                lines.append(_sentence(section, mine, theirs, difference, manifest.run))
                if difference and difference.ratio:
                    ratios.append((section.title, difference.ratio))
                    same_work = same_work and mine.tier == theirs.tier
    if not lines:
        raise UserError(f"run {manifest.run} has no task with {one} beside {other}: name two that differ")
    if ratios:
        lines.append(_SAME_WORK if same_work else _OWN_EXAMPLE)
    tasks = {title for title, _ in ratios}
    if 1 < len(tasks) == len(ratios):  # of several variants no mean says what anyone would run
        overall = geometric_mean(ratio.ratio for _, ratio in ratios)
        lines.append(
            f"Over {len(tasks)} tasks: {one} takes {overall:.2f}x the time of {other} (geometric mean)."
        )
    return lines


def _rows(section: Section, name: str) -> list[Row]:
    """The rows of that name, one a variant: of several endings the one that stands first."""
    found: dict[tuple[str, str], Row] = {}
    for row in section.rows:
        if name in (row.adapter, "/".join(row.key)):
            found.setdefault(row.key, row)
    return list(found.values())


def _sentence(section: Section, mine: Row, theirs: Row, known: Difference | None, run: str) -> str:
    one, other, task = _name(section, mine), _name(section, theirs), section.title
    if known is None or known.ratio is None:
        return f"{one} and {other} are not compared in {task}: {_obstacle(section, mine, theirs)}."
    word, ratio = known.verdict.word, known.ratio
    if word in ("tie", "undecided"):
        how = f"{one} and {other} are tied in {task}"
        if word == "undecided":
            how = f"Whether {one} or {other} is faster in {task} is undecided"
        control = section.control and reach(section.control)
        moves = f"; the control moves {gap(control)}" if control else ""
        return (
            f"{how}: {one} takes {ratio.ratio:.2f}x the time of {other} "
            f"({_evidence(section, ratio, run)}); {known.verdict.reason}{moves}."
        )
    times = ratio if word == "slower" else inverse(ratio)
    return f"{one} is {times.ratio:.2f}x {word} than {other} in {task} ({_evidence(section, times, run)})."


def _name(section: Section, row: Row) -> str:
    """The adapter, with its variant where the section has several of it."""
    variants = {other.variant for other in section.rows if other.adapter == row.adapter}
    return row.adapter if len(variants) == 1 else "/".join(row.key)


def _obstacle(section: Section, *rows: Row) -> str:
    apart = [row for row in rows if row.tier not in RANKED]
    if apart:
        return "; ".join(f"{_name(section, row)}: {_why(row)}" for row in apart)
    if len({row.tier for row in rows}) > 1:
        return "only one of them computes in reduced precision"
    return "no undisturbed round in common"


def _why(row: Row) -> str:
    if row.tier == "reference":
        return "it is no framework, and ranked with none"
    if row.tier == "own example":
        return "it does not do the same work, and is compared with its own framework alone"
    if row.status == "ok":
        return row.apart or row.reason.removeprefix("not compared: ")
    return ", ".join(filter(None, (row.status.replace("_", " "), row.reason)))


def _evidence(section: Section, ratio: Ratio, run: str) -> str:
    between = "no interval"
    if ratio.low is not None and ratio.high is not None:
        between = f"95 % interval {ratio.low:.2f}-{ratio.high:.2f}"
    processes = "1 process each" if ratio.seeds == 1 else f"{ratio.seeds} processes each"
    parts = (
        between,
        f"{ratio.rounds} rounds of {ratio.rounds + ratio.left_out}",
        processes,
        sureness(ratio.seeds),
        section.cell.device,
        f"run {run}",
    )
    return ", ".join(filter(None, parts))
