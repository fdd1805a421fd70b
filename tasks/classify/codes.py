"""Label codes: what firing rates the outputs ought to have, and the class that rates stand for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.classify.spec import Classify, LabelCode

CODES_OF_BITS: tuple[LabelCode, ...] = ("binary", "gray")


def codewords(code: LabelCode, classes: int) -> NDArray[np.float64]:
    """The codeword of each class, [classes, outputs].

    ``onehot``: its own output alone at 1; ``inverse``: its own output alone at 0; ``binary``: the number of
    the class in bits, the highest first; ``gray``: the same in the reflected binary code, in which neighbours
    differ in one bit.
    """
    numbers = np.arange(classes)
    match code:
        case "onehot":
            return np.eye(classes)
        case "inverse":
            return 1 - np.eye(classes)
        case "binary":
            return _bits(numbers)
        case "gray":
            return _bits(numbers ^ (numbers >> 1))


def code_table(task: Classify) -> NDArray[np.float64]:
    """The codeword of each class of a task, [classes, outputs]."""
    return codewords(task.label_code, task.classes)


def decode(task: Classify, rates: NDArray[np.floating]) -> NDArray[np.intp]:
    """Class [n] whose codeword lies nearest to the rates [n, outputs]; the lowest class wins a tie."""
    # |r - c|^2 without the |r|^2 that all classes share
    codes = code_table(task)
    distance = (codes**2).sum(1) - 2 * np.asarray(rates, np.float64) @ codes.T
    nearest: NDArray[np.intp] = distance.argmin(1)
    return nearest


def decode_bitwise(task: Classify, rates: NDArray[np.floating]) -> NDArray[np.intp]:
    """Class [n] of the word that rates [n, outputs] spell, above one half a 1; -1 for a word of no class."""
    same = ((np.asarray(rates) > 0.5)[:, None] == (code_table(task) == 1)).all(axis=2)
    found: NDArray[np.intp] = np.where(same.any(axis=1), same.argmax(axis=1), -1)
    return found


def _bits(numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """[n] to [n, bits], as many as the largest needs, the highest first."""
    places = np.arange(int(numbers.max()).bit_length())[::-1]
    return ((numbers[:, None] >> places) & 1).astype(np.float64)
