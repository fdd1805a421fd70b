"""What an adapter hands over for a NEF task: ``builder(task, settings, models) -> NefSimulator``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class NefResult:
    """One run of every model.

    ``decoded`` [seeds, steps, dimensions of the output]; ``spikes`` by ensemble [seeds, steps, neurons].
    """

    decoded: Array
    spikes: Mapping[str, NDArray[np.bool_]]


class NefSimulator(Protocol):
    """The models of one ``Nef`` task, built under one ``Settings``."""

    def run(self, inputs: Array) -> NefResult:
        """Simulate every model from its initial state on the inputs [steps, inputs], any steps (timed)."""
