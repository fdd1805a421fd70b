"""Where the time of a training step goes: its parts, beside the step that nobody looks into."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.classify.protocol import Splitting
from tasks.measuring import Wrong, timed
from tasks.protocol import Turn, Unsupported

# "stateless layers" are all but the neurons; "other" is picking the batch and what lies between the parts
PARTS = (
    "encoder",
    "stateless layers forward",
    "neurons forward",
    "loss",
    "neurons backward",
    "stateless layers backward",
    "optimiser",
    "other",
)
WHOLE = "whole"
REPEATS = 7  # after the first, which warms up


def measure(
    module: Any, classifier: Splitting, order: NDArray[np.integer]
) -> Generator[Turn, None, list[dict[str, Any]]]:
    """Train on these batches, untouched and with a watch in turns; the classifier is afterwards what it was.

    Returns:
        The median seconds of a step and of its parts as metrics ``step_seconds``; none where the parts cannot
        be told apart.

    Raises:
        Wrong: a part has a name that nobody knows.
    """
    before = classifier.state()
    found: dict[str, list[float]] = {}
    for repeat in range(REPEATS + 1):
        _, seconds = timed(partial(classifier.train_epoch, order), module.sync)
        yield Turn(phase="step", seconds=seconds)
        try:
            parts = classifier.split(order)
        except Unsupported:
            break
        if unknown := sorted(set(parts) - set(PARTS)):
            raise Wrong(f"a training step has no part {unknown[0]!r}")
        if repeat:
            for name, value in {WHOLE: seconds, **parts}.items():
                found.setdefault(name, []).append(value / len(order))
        yield Turn(phase="split", seconds=sum(parts.values()))
    classifier.restore(before)
    yield Turn(phase="restore", free=True)
    return [
        {"metric": "step_seconds", "of": {"part": name}, "value": float(np.median(values))}
        for name in (WHOLE, *PARTS)
        if (values := found.get(name))
    ]
