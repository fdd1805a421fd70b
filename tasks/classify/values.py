"""What an adapter hands over, as finite real numbers or not at all: no comparison sees anything else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.measuring import finite

Float = NDArray[np.float64]


def rates(value: Any) -> Float | None:
    """Firing rates as float64; None where one is no number from 0 to 1."""
    array = finite(value)
    if array is None or (array < 0).any() or (array > 1).any():
        return None
    return array


def spikes(value: Any) -> Float | None:
    """Spikes as float64; None where one is neither 0 nor 1."""
    array = finite(value)
    if array is None or not ((array == 0) | (array == 1)).all():
        return None
    return array


def differs(seen: Float, expected: Float, steps: int) -> NDArray[np.bool_]:
    """Where two rates over ``steps`` steps differ by more than rounding: half a spike, at most 5e-4."""
    different: NDArray[np.bool_] = np.abs(seen - expected) > min(0.5 / steps, 5e-4)
    return different
