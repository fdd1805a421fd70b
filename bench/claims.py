"""Published figures beside ours: what was claimed, at which settings, and a verdict.

Claims are data, in claims.toml, by study.  A claim is the figure of one setting of a task, or the difference
or ratio between two.  Ours is the baseline adapter's, of a framework, unless a claim names another, from the
records of one run; every seed is one value.  What two CPU cores cannot run at its full size may be run at a
smaller one, which tests a trend there, and says nothing about a published figure.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.errors import UserError
from bench.profile import task_names
from bench.records import Record, load_manifest, load_records
from bench.report.figures import FIGURES
from bench.report.statistics import mean_interval, was_disturbed

FILE = Path(__file__).parent / "claims.toml"

Trend = Literal["higher", "lower", "same"]
Word = Literal[
    "reproduced",
    "better",
    "not reproduced",
    "undecided",
    "holds at a smaller size",
    "does not hold at a smaller size",
    "undecided at a smaller size",
    "smaller size only",
    "not run here",
]
AT_SMALLER: dict[Word, Word] = {
    "reproduced": "holds at a smaller size",
    "not reproduced": "does not hold at a smaller size",
    "undecided": "undecided at a smaller size",
}
# of times it is known turn by turn whether the machine did something else
TIMES = ("epoch_seconds", "images_per_second")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Place(_Model):
    """Where a claim can be measured: the ``profile``, its amounts, and values of the task."""

    profile: str
    amounts: dict[str, int] = {}
    values: dict[str, Any] = {}


class Claim(_Model):
    """One published figure, as claims.toml has it.

    ``values`` are added to those of the study; with ``beside``, values too, it is what the figure is there in
    comparison.  ``smaller`` and ``smaller_beside`` stand for them at the study's smaller size, where they
    differ.  ``published`` is a number, or a trend in comparison.  ``near``: how far from it is the same.
    ``of``: the figure is a metric, and this is which.  ``best``: it is that of the best epoch.  ``adapter``:
    whose, if it is not the baseline's.  ``device`` and ``precision``: on which and in which;
    ``beside_precision``: in which it is there in comparison.  ``missing``:
    what the suite lacks to run it at its full size.  ``reason``: why ours is another, once that is known.
    """

    name: str
    figure: str
    published: float | Trend
    near: Annotated[float, Field(ge=0)] = 0.0
    values: dict[str, Any] = {}
    beside: dict[str, Any] | None = None
    smaller: dict[str, Any] | None = None
    smaller_beside: dict[str, Any] | None = None
    compare: Literal["difference", "ratio"] = "difference"
    of: dict[str, str] = {}
    best: bool = False
    adapter: str = ""
    device: Literal["cpu", "cuda"] = "cpu"
    precision: str = "float32"
    beside_precision: str = ""
    missing: str = ""
    reason: str = ""


class Study(_Model):
    """Claims of one source about one task; ``full`` as published, ``smaller`` as two CPU cores can run it."""

    name: str
    source: str
    task: str
    full: Place
    smaller: Place | None = None
    claim: list[Claim]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A claim at one size, its values complete."""

    claim: Claim
    task: str
    profile: str
    amounts: dict[str, int]
    values: dict[str, Any]
    beside: dict[str, Any] | None
    is_full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Our value over ``seeds`` seeds of a run; its 95 % interval (Student's), None of one seed."""

    value: float
    low: float | None
    high: float | None
    seeds: int
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A claim with what was found: in ``trial`` where it was run, else None; ``reason`` in words."""

    study: Study
    claim: Claim
    trial: Trial | None
    found: Ours | None
    word: Word
    reason: str


def load() -> list[Study]:
    """Every study of claims.toml."""
    return [Study.model_validate(each) for each in tomllib.loads(FILE.read_text(encoding="utf-8"))["study"]]


def trials(study: Study, claim: Claim) -> list[Trial]:
    """The sizes at which a claim can be measured, the published one first."""
    found = []
    if not claim.missing:
        found.append(_trial(study.task, claim, study.full, claim.values, claim.beside, is_full=True))
    if study.smaller is not None:
        values = claim.values if claim.smaller is None else claim.smaller
        beside = claim.beside if claim.smaller_beside is None else claim.smaller_beside
        found.append(_trial(study.task, claim, study.smaller, values, beside, is_full=False))
    return found


def records_of(results: Path) -> dict[str, list[Record]]:
    """The timed records of every run in a results folder, by the run's name."""
    found: dict[str, list[Record]] = {}
    for pattern in ("published/*/*/manifest.json", "runs/2*/manifest.json"):
        for path in sorted(results.glob(pattern)):
            try:
                run, records = load_manifest(path.parent).run, load_records(path.parent)
            except (OSError, UserError):
                continue  # damaged, or of another version of this project
            found[run] = [r for r in records if r.cell.stage == "run" and r.status == "ok"]
    return dict(sorted(found.items()))


def judge(results: Path) -> list[Judged]:
    """Every claim with its verdict, from the runs of a results folder."""
    runs = records_of(results)
    return [_judged(study, claim, runs) for study in load() for claim in study.claim]


def ours(trial: Trial, runs: Mapping[str, Iterable[Record]]) -> Ours | None:
    """What the run with the most seeds says, the newest of those; None where none has run it."""
    best: Ours | None = None
    for run, records in runs.items():
        known = list(records)
        claim = trial.claim
        values = _by_seed(trial, trial.values, claim.precision, known)
        if trial.beside is not None:
            other = _by_seed(trial, trial.beside, claim.beside_precision or claim.precision, known)
            values = {
                seed: value / other[seed] if claim.compare == "ratio" else value - other[seed]
                for seed, value in values.items()
                if seed in other
            }
        if values and (best is None or len(values) >= best.seeds):
            best = _over_seeds(list(values.values()), run)
    return best


def verdict(trial: Trial, found: Ours) -> Word:
    """What the value found says about the claim."""
    claim, published = trial.claim, trial.claim.published
    if trial.beside is not None and (isinstance(published, str) or not trial.is_full):
        word = _trend(found, _direction(claim), _neutral(claim), claim.near)
        return word if trial.is_full else AT_SMALLER[word]
    if isinstance(published, str) or not trial.is_full:
        return "smaller size only"
    if abs(found.value - published) <= claim.near:
        return "reproduced"
    if found.low is not None and found.high is not None and found.low <= published <= found.high:
        return "undecided"
    upwards = claim.figure in FIGURES and FIGURES[claim.figure].better == "higher"
    if claim.beside is None and (found.value > published) == upwards:
        return "better"
    return "not reproduced"


def _judged(study: Study, claim: Claim, runs: Mapping[str, Iterable[Record]]) -> Judged:
    sizes = trials(study, claim)
    for trial in sizes:
        found = ours(trial, runs)
        if found is not None:
            word = verdict(trial, found)
            reason = claim.reason if word in ("not reproduced", "does not hold at a smaller size") else ""
            if not trial.is_full:
                reason = "; ".join(filter(None, (reason, f"at full size: {_command(study, claim)}")))
            return Judged(study=study, claim=claim, trial=trial, found=found, word=word, reason=reason)
    reason = _command(study, claim)
    return Judged(study=study, claim=claim, trial=None, found=None, word="not run here", reason=reason)


def _command(study: Study, claim: Claim) -> str:
    """What would run a claim at its full size, or what is missing for that."""
    needs = " DEVICE=cuda" if claim.device == "cuda" else ""
    if claim.precision != "float32" and not claim.beside_precision:  # else the profile has both
        needs += f" PRECISION={claim.precision}"
    return claim.missing or f"make bench PROFILE={study.full.profile}{needs}"


def _trial(
    task: str,
    claim: Claim,
    place: Place,
    values: Mapping[str, Any],
    beside: Mapping[str, Any] | None,
    *,
    is_full: bool,
) -> Trial:
    return Trial(
        claim=claim,
        task=task,
        profile=place.profile,
        amounts=place.amounts,
        values={**place.values, **values},
        beside=None if beside is None else {**place.values, **beside},
        is_full=is_full,
    )


def _direction(claim: Claim) -> Trend:
    if isinstance(claim.published, str):
        return claim.published
    away = claim.published - _neutral(claim)
    return "same" if abs(away) <= claim.near else "higher" if away > 0 else "lower"


def _neutral(claim: Claim) -> float:
    """What a comparison gives where both are alike."""
    return 1.0 if claim.compare == "ratio" else 0.0


def _trend(found: Ours, trend: Trend, neutral: float, near: float) -> Word:
    """A trend counts where the interval over seeds carries it: of one seed nothing is decided."""
    if found.low is None or found.high is None:
        return "undecided"
    low, high = found.low - neutral, found.high - neutral
    if trend == "same":
        holds, fails = -near <= low and high <= near, high < -near or near < low
    elif trend == "higher":
        holds, fails = low > 0, high <= 0
    else:
        holds, fails = high < 0, low >= 0
    return "reproduced" if holds else "not reproduced" if fails else "undecided"


def _by_seed(
    trial: Trial, values: Mapping[str, Any], precision: str, records: Iterable[Record]
) -> dict[int, float]:
    """The figure of the records with these values: those of the trial where a task does not say its own."""
    claim = trial.claim
    defaults = {name: p.default for name, p in signature(_factory(trial.task)).parameters.items()}
    by_rest: dict[str, dict[int, float]] = defaultdict(dict)
    for record in records:
        cell = record.cell
        who = cell.adapter == claim.adapter if claim.adapter else cell.baseline and not cell.reference
        if not who or (cell.task, cell.device, cell.precision) != (trial.task, claim.device, precision):
            continue
        full = defaults | cell.task_values
        if not (values.items() <= full.items() and trial.amounts.items() <= cell.amounts.items()):
            continue
        value = _value(claim, record)
        if value is not None:
            rest = repr(sorted((key, value) for key, value in full.items() if key not in values))
            by_rest[rest][cell.seed] = value
    # what a claim leaves open is the same in all seeds
    return max(by_rest.values(), key=len, default={})


def _value(claim: Claim, record: Record) -> float | None:
    if claim.figure in TIMES and was_disturbed(record):
        return None
    if claim.best:
        points = [getattr(point, claim.figure) for point in record.curve]
        return max((value for value in points if value is not None), default=None)
    if claim.of:
        return next(
            (
                metric.value
                for metric in record.metrics
                if metric.metric == claim.figure and claim.of.items() <= metric.of.items()
            ),
            None,
        )
    return record.figures.get(claim.figure)


def _factory(task: str) -> Any:
    return task_names()[task].tasks[task]


def _over_seeds(values: list[float], run: str) -> Ours:
    low, high = mean_interval(values) if len(values) > 1 else (None, None)
    return Ours(value=mean(values), low=low, high=high, seeds=len(values), run=run)
