"""From responses to classes: which digit a neuron stands for is found out on training images alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.plasticity.spec import Float

CLASSES = 10
NO_LABEL = -1

Labels = NDArray[np.integer]


def neuron_labels(responses: Float, labels: Labels) -> NDArray[np.int64]:
    """The class of each neuron, [neurons]: that of its highest mean response [n, neurons] to labels [n].

    A neuron that never fires has none.
    """
    means = np.stack([_mean(responses[labels == digit], axis=0) for digit in range(CLASSES)])
    found: NDArray[np.int64] = np.where(means.max(axis=0) > 0, means.argmax(axis=0), NO_LABEL)
    return found


def classify(responses: Float, own: Labels) -> NDArray[np.int64]:
    """Classes [n] of images by the responses [n, neurons]: whose neurons, on average, have fired most.

    Of equals the lowest, so that an image to which nobody responds is a 0.
    """
    means = np.stack([_mean(responses[:, own == digit], axis=1) for digit in range(CLASSES)])
    found: NDArray[np.int64] = means.argmax(axis=0)
    return found


def confusion(labels: Labels, found: Labels) -> NDArray[np.int64]:
    """How many images of each class, a row each, were taken for each class, a column each."""
    counts = np.zeros((CLASSES, CLASSES), np.int64)
    np.add.at(counts, (labels, found), 1)
    return counts


def _mean(responses: Float, axis: int) -> Float:
    """The mean along an axis; 0 where there is nothing."""
    mean: Float = responses.sum(axis=axis) / max(1, responses.shape[axis])
    return mean
