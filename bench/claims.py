"""Published figures beside ours: claim, settings, verdict.

A claim is data, in claims.toml: the figure of one setting of a task, or the difference between two settings.
Ours is the baseline adapter's, from the records of one run; every seed is one value.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.profile import task_names
from bench.records import Record, load_manifest, load_records, write_atomically
from bench.report.figures import FIGURES
from bench.report.statistics import mean_interval
from bench.report.tables import Entry, Group, Heading, Table, as_markdown
from bench.report.text import ABSENT

FILE = Path(__file__).parent / "claims.toml"
PRECISION = "float32"  # in which what is claimed was computed

Word = Literal["reproduced", "better", "not reproduced", "not run here"]


class Claim(BaseModel):
    """One published figure of a task with these values and amounts.

    With ``beside``, values too, it is by how much the figure at ``values`` exceeds that at ``beside``, seed
    by seed.  ``near``: how far from ``published`` is still the same.  ``profile``: the one that runs it.
    ``reason``: why ours is another, once that is known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    source: str
    task: str
    values: dict[str, Any]
    beside: dict[str, Any] | None = None
    amounts: dict[str, int]
    figure: str
    published: float
    near: Annotated[float, Field(ge=0)]
    profile: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Our value over ``seeds`` seeds of a run; its 95 % interval (Student's), None of one seed."""

    value: float
    low: float | None
    high: float | None
    seeds: int
    run: str


def load() -> list[Claim]:
    """Every claim of claims.toml."""
    return [Claim.model_validate(each) for each in tomllib.loads(FILE.read_text(encoding="utf-8"))["claim"]]


def records_of(results: Path) -> dict[str, list[Record]]:
    """The timed records of the baseline adapter in every run of a results folder, by the run's name."""
    found: dict[str, list[Record]] = {}
    for pattern in ("published/*/*/manifest.json", "runs/2*/manifest.json"):
        for path in sorted(results.glob(pattern)):
            try:
                run, records = load_manifest(path.parent).run, load_records(path.parent)
            except ValueError:
                continue  # of another version of this project
            found[run] = [r for r in records if r.cell.baseline and r.status == "ok"]
    return dict(sorted(found.items()))


def ours(claim: Claim, runs: Mapping[str, Iterable[Record]]) -> Ours | None:
    """What the run with the most seeds says, the newest of those; None where none has run it."""
    best: Ours | None = None
    for run, records in runs.items():
        known = list(records)
        values = _by_seed(claim, claim.values, known)
        if claim.beside is not None:
            other = _by_seed(claim, claim.beside, known)
            values = {seed: value - other[seed] for seed, value in values.items() if seed in other}
        if values and (best is None or len(values) >= best.seeds):
            best = _over_seeds(list(values.values()), run)
    return best


def verdict(claim: Claim, found: Ours | None) -> Word:
    """``reproduced`` where ours is near the published figure or its interval holds it."""
    if found is None:
        return "not run here"
    held = found.low is not None and found.high is not None and found.low <= claim.published <= found.high
    if held or abs(found.value - claim.published) <= claim.near:
        return "reproduced"
    upwards = FIGURES[claim.figure].better == "higher"
    if claim.beside is None and (found.value > claim.published) == upwards:
        return "better"
    return "not reproduced"


def lines(results: Path) -> list[dict[str, str]]:
    """Every claim as the line of a table."""
    runs = records_of(results)
    found = []
    for claim in load():
        said = ours(claim, runs)
        word = verdict(claim, said)
        reason = claim.reason if word == "not reproduced" else ""
        if word == "not run here":
            reason = f"make bench PROFILE={claim.profile}"
        found.append(
            {
                "claim": claim.name,
                "figure": FIGURES[claim.figure].heading,
                "source": claim.source,
                "published": _spell(claim, claim.published),
                "ours": _spell(claim, said.value) if said else ABSENT,
                "95 % interval": _interval(claim, said),
                "seeds": str(said.seeds) if said else ABSENT,
                "verdict": word,
                "reason, or what would run it": reason,
                "run": said.run if said else ABSENT,
            }
        )
    return found


def sentence(line: Mapping[str, str]) -> str:
    """A line of the table in words."""
    found = f"ours {line['ours']} ({line['95 % interval']}, seeds: {line['seeds']})"
    if line["ours"] == ABSENT:
        found = line["reason, or what would run it"]
    return f"{line['verdict']}: {line['claim']}, {line['figure']}: published {line['published']}, {found}"


def write(path: Path, lines: Sequence[Mapping[str, str]]) -> None:
    """The table as Markdown."""
    rows = [[Entry(value) for value in line.values()] for line in lines]
    table = Table(headings=[Heading(name) for name in lines[0]], groups=[Group(rows=rows)])
    write_atomically(path, f"# Published figures and ours\n\n{as_markdown(table)}\n")


def _by_seed(claim: Claim, values: Mapping[str, Any], records: Iterable[Record]) -> dict[int, float]:
    """The figure of the records with these values: those of the claim where a task does not say its own."""
    defaults = {name: p.default for name, p in signature(_factory(claim.task)).parameters.items()}
    by_rest: dict[str, dict[int, float]] = defaultdict(dict)
    for record in records:
        cell = record.cell
        if (cell.task, cell.precision) != (claim.task, PRECISION) or claim.figure not in record.figures:
            continue
        full = defaults | cell.task_values
        if values.items() <= full.items() and claim.amounts.items() <= cell.amounts.items():
            rest = repr(sorted((key, value) for key, value in full.items() if key not in values))
            by_rest[rest][cell.seed] = record.figures[claim.figure]
    # what a claim leaves open is the same in all seeds
    return max(by_rest.values(), key=len, default={})


def _factory(task: str) -> Any:
    return task_names()[task].tasks[task]


def _over_seeds(values: list[float], run: str) -> Ours:
    low, high = mean_interval(values) if len(values) > 1 else (None, None)
    return Ours(value=mean(values), low=low, high=high, seeds=len(values), run=run)


def _spell(claim: Claim, value: float) -> str:
    text = FIGURES[claim.figure].spell(value)
    return f"+{text}" if claim.beside is not None and value > 0 else text


def _interval(claim: Claim, said: Ours | None) -> str:
    if said is None or said.low is None or said.high is None:
        return ABSENT
    return f"{_spell(claim, said.low)} to {_spell(claim, said.high)}"
