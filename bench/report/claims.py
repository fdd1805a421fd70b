"""The page of the claims: published figures and ours, in HTML and Markdown, and a sentence for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.claims import Claim, Judged
from bench.records import write_atomically
from bench.report.figures import FIGURES
from bench.report.page import templates
from bench.report.tables import Entry, Group, Heading, Table
from bench.report.text import ABSENT, significant

HEADINGS = (
    Heading("claim"),
    Heading("figure"),
    Heading("published", numeric=True),
    Heading("ours", numeric=True, note="mean over seeds"),
    Heading("95 % interval", numeric=True),
    Heading("seeds", numeric=True),
    Heading("verdict"),
    Heading("ours was run at"),
    Heading("run"),
    Heading("reason", below=True),
)
MEANINGS = (
    ("reproduced", "Ours is as near to the published figure as the claim allows, or the trend shows."),
    ("better", "Ours is better than the published figure."),
    ("not reproduced", "Ours is another, at the published settings."),
    (
        "holds at a smaller size",
        "The trend shows over seeds, at the size named; the full size was not run.",
    ),
    ("does not hold at a smaller size", "The contrary shows there."),
    ("undecided", "The interval over seeds does not tell: it holds the figure, or both signs of a trend."),
    ("smaller size only", "Ours is of less work than was published, and cannot be held against the figure."),
    (
        "not run here",
        "There is no record, or others used the machine too much for its time to count. The line names what "
        "would make one.",
    ),
)


def summary(judged: Sequence[Judged]) -> str:
    """How many claims got which verdict."""
    counts = Counter(each.word for each in judged)
    measured = sum(each.found is not None for each in judged)
    said = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    return f"{len(judged)} published figures and trends, {measured} measured here: {said}."


def sentence(each: Judged) -> str:
    """A claim and its verdict on a line."""
    claim = each.claim
    line = f"{each.word}: {each.study.name}: {claim.name}: published {_published(claim)}"
    if each.found is not None:
        line += f", ours {_spell(claim, each.found.value)} ({_interval(each)}, seeds: {each.found.seeds})"
    return f"{line}; {each.reason}" if each.reason else line


def write(folder: Path, judged: Sequence[Judged]) -> list[Path]:
    """Write claims.html, which needs no other file, and claims.md into a folder; both paths."""
    content = {
        "summary": summary(judged),
        "studies": [
            (study, _table([each for each in judged if each.study is study]))
            for study in {id(each.study): each.study for each in judged}.values()
        ],
        "meanings": MEANINGS,
    }
    paths = []
    for name in ("claims.html", "claims.md"):
        paths.append(folder / name)
        write_atomically(paths[-1], templates().get_template(f"{name}.j2").render(content))
    return paths


def _table(judged: Sequence[Judged]) -> Table:
    return Table(headings=[*HEADINGS], groups=[Group(rows=[_row(each) for each in judged])])


def _row(each: Judged) -> list[Entry]:
    claim, found = each.claim, each.found
    return [
        Entry(claim.name),
        Entry(_heading(claim)),
        Entry(_published(claim)),
        Entry(_spell(claim, found.value) if found else ABSENT),
        Entry(_interval(each)),
        Entry(str(found.seeds) if found else ABSENT),
        Entry(each.word),
        Entry(_size(each)),
        Entry(found.run if found else ABSENT),
        Entry(each.reason),
    ]


def _size(each: Judged) -> str:
    """The amounts and values of what was run, and beside what."""
    if each.trial is None:
        return ABSENT
    said = _words({**each.trial.amounts, **each.trial.values}) or "the task's own values"
    if each.trial.beside is not None:
        changed = {k: v for k, v in each.trial.beside.items() if each.trial.values.get(k) != v}
        said += f"; beside {_words(changed)}"
    return said if each.trial.is_full else f"smaller: {said}"


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _heading(claim: Claim) -> str:
    name = claim.figure.replace("_", " ")
    if claim.figure in FIGURES:
        name = FIGURES[claim.figure].heading
    name = f"best {name}" if claim.best else name
    return name if claim.beside is None else f"{name}, {claim.compare}"


def _published(claim: Claim) -> str:
    return claim.published if isinstance(claim.published, str) else _spell(claim, claim.published)


def _spell(claim: Claim, value: float) -> str:
    if claim.figure not in FIGURES or (claim.beside is not None and claim.compare == "ratio"):
        return significant(value)
    text = FIGURES[claim.figure].spell(value)
    return f"+{text}" if claim.beside is not None and value > 0 else text


def _interval(each: Judged) -> str:
    found = each.found
    if found is None or found.low is None or found.high is None:
        return ABSENT
    return f"{_spell(each.claim, found.low)} to {_spell(each.claim, found.high)}"
