"""Label codes: what firing rates the outputs ought to have, and the class that rates stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.classify.spec import Classify


def code_table(task: Classify) -> NDArray[np.float64]:
    """Codeword of each class, [classes, outputs]."""
    return np.eye(task.classes)


def decode(task: Classify, rates: NDArray[np.floating]) -> NDArray[np.intp]:
    """Class [n] whose codeword lies nearest to the rates [n, outputs]; the lowest class wins a tie."""
    # |r - c|^2 without the |r|^2 that all classes share
    codes = code_table(task)
    distance = (codes**2).sum(1) - 2 * np.asarray(rates, np.float64) @ codes.T
    nearest: NDArray[np.intp] = distance.argmin(1)
    return nearest
