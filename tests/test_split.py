"""The parts of a training step: how they are measured, kept and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.records import Metric
from bench.report.drawing import styles
from bench.report.sections import sections
from bench.report.split import SPLIT
from tasks.classify import split
from tasks.measuring import Wrong
from tasks.protocol import Turn, Unsupported
from tests.builders import cell, manifest, record

MODULE = SimpleNamespace(sync=lambda: None)
ORDER = np.arange(8).reshape(4, 2)


class Learner:
    """A classifier whose only weight is the number of its trainings."""

    def __init__(self, parts: Mapping[str, float] | None) -> None:
        self.parts, self.trained = parts, 3

    def state(self) -> bytes:
        return bytes([self.trained])

    def restore(self, state: bytes) -> None:
        self.trained = state[0]

    def train_epoch(self, order: NDArray[np.integer]) -> None:
        self.trained += 1

    def split(self, order: NDArray[np.integer]) -> Mapping[str, float]:
        self.trained += 1
        if self.parts is None:
            raise Unsupported("one piece")
        return self.parts


def measured(learner: Any) -> tuple[list[Turn], list[dict[str, Any]]]:
    turns, work = [], split.measure(MODULE, learner, ORDER)
    while True:
        try:
            turns.append(next(work))
        except StopIteration as end:
            return turns, end.value


def test_parts_are_seconds_a_step_beside_the_untouched_one() -> None:
    turns, found = measured(Learner({"encoder": 4.0, "loss": 2.0}))
    values = {metric["of"]["part"]: metric["value"] for metric in found}
    assert values.pop("whole") > 0
    assert values == {"encoder": 1.0, "loss": 0.5}
    assert [turn.phase for turn in turns] == ["step", "split"] * (split.REPEATS + 1) + ["restore"]
    assert [turn.free for turn in turns[:-1]] == [False] * 2 * (split.REPEATS + 1) and turns[-1].free
    assert not any(turn.compared for turn in turns)


@pytest.mark.parametrize("parts", [{"encoder": 1.0}, None])
def test_who_was_looked_at_is_what_it_was(parts: Mapping[str, float] | None) -> None:
    learner = Learner(parts)
    measured(learner)
    assert learner.trained == 3


def test_what_cannot_be_told_apart_has_no_parts() -> None:
    assert measured(Learner(None))[1] == []


def test_a_part_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Wrong, match="a training step has no part 'coffee'"):
        measured(Learner({"coffee": 1.0}))


def drawn(of: Mapping[str, Mapping[str, float]]) -> Any:
    records = [
        record(
            cell(name),
            metrics=[
                Metric(metric="step_seconds", of={"part": part}, value=value) for part, value in parts.items()
            ],
        )
        for name, parts in of.items()
    ]
    made = manifest([each.cell for each in records])
    (section,) = sections(made, records)
    return SPLIT.draw(section, section.rows, styles([each.cell for each in records]))


def test_the_picture_says_what_neurons_take_and_where_parts_do_not_add_up() -> None:
    parts = {"encoder": 0.5, "neurons forward": 0.2, "neurons backward": 0.3}
    figure = drawn({"torch": {"whole": 1.0, **parts}, "other": {"whole": 2.0, **parts}})
    assert "neurons take 50 to 50 % of a training step" in figure.get_suptitle()
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert sorted(labels) == ["other\n(parts are off by -50 %)", "torch"]


def test_without_parts_there_is_no_picture() -> None:
    assert drawn({"torch": {}}) is None
