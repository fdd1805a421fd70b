"""The tables of docs/gray-code.md, from the trainings of scripts/gray_code.py: no figure is typed by hand.

python -m scripts.gray_page      rewrites the block between "figures" and "end of figures"
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from scripts.study_tables import PROJECT, spell, table, with_figures

FOUND = PROJECT / "results" / "published" / "gray-code" / "trainings.json"
TEXT = PROJECT / "docs" / "gray-code.md"
CODES = ("binary", "gray")
EPOCHS = (3, 8)  # at which the source says its accuracies

Training = dict[str, Any]


def tables(found: dict[str, Any]) -> str:
    """What was trained, then a table for each explanation."""
    trainings = found["trainings"]
    own = [each for each in trainings if each["deal"] == 0]
    first = EPOCHS[0]
    silent = sum(after(each, first)["silent outputs"] > 0 for each in trainings)
    parts = [
        f"{found['network']}; {found['training images']:,} training and {found['test images']:,} test "
        f"images, {found['device']}, torch {found['torch']}, {found['date']}. Test accuracy in %: the mean "
        "over seeds and its 95 % interval.",
        "**The codes as published, read by the nearest codeword**",
        table(
            ["code", *(f"epoch {epoch}" for epoch in EPOCHS), "seeds"],
            [
                [code, *(spell(_values(own, code, epoch, "nearest")) for epoch in EPOCHS), _count(own, code)]
                for code in CODES
            ],
        ),
        f"**The same trainings, read in other ways, after epoch {first}**",
        table(
            ["read", *CODES],
            [
                [name, *(spell(_values(own, code, first, name)) for code in CODES)]
                for name in after(own[0], first)["accuracy"]
            ],
        ),
        f"**The words of a code dealt out to the digits at random, after epoch {first}**",
        table(["words of", "assignment", "test accuracy", "seeds"], _deals(trainings)),
        f"**Bits read rightly, after epoch {first}**",
        table(
            ["code", "bit 3 (highest)", "bit 2", "bit 1", "bit 0"],
            [
                [code, *map(spell, zip(*(after(t, first)["by bit"] for t in _of(own, code)), strict=True))]
                for code in CODES
            ],
        ),
        f"Trainings with an output that never spikes on any test image after epoch {first}: {silent} of "
        f"{len(trainings)}. Most that can be right where one digit is always wrong: "
        f"{1 - min(found['digit shares']):.2%}.",
    ]
    return "\n\n".join(parts) + "\n"


def after(training: Training, epoch: int) -> dict[str, Any]:
    """What was found after an epoch, counted from 1."""
    found: dict[str, Any] = training["curve"][epoch - 1]
    return found


def _of(trainings: Iterable[Training], code: str) -> list[Training]:
    return [each for each in trainings if each["code"] == code]


def _values(trainings: Iterable[Training], code: str, epoch: int, decoding: str) -> list[float]:
    return [after(each, epoch)["accuracy"][decoding] for each in _of(trainings, code)]


def _count(trainings: Iterable[Training], code: str) -> str:
    return str(len(_of(trainings, code)))


def _deals(trainings: Sequence[Training]) -> list[list[str]]:
    rows = []
    for code in CODES:
        for deal in sorted({each["deal"] for each in trainings}):
            same = [each for each in trainings if each["deal"] == deal]
            words = "as published" if deal == 0 else f"random {deal}"
            rows.append([code, words, spell(_values(same, code, EPOCHS[0], "nearest")), _count(same, code)])
    return rows


def renewed(text: str) -> str:
    """The text with its block made again from what is kept."""
    return with_figures(text, tables(json.loads(FOUND.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    TEXT.write_text(renewed(TEXT.read_text(encoding="utf-8")), encoding="utf-8")
