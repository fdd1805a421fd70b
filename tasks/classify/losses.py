"""The losses that a task may have, said once: for the reference's gradients and for the curves of a run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.classify.spec import Loss

Float = NDArray[np.float64]


def loss_of(rates: Float, codes: Float, loss: Loss) -> tuple[float, Float]:
    """The loss of firing rates against the codes of labels, and its gradient, all of shape [n, outputs].

    ``mse``: the mean over batch and outputs of (rate - code)^2.  ``cross_entropy``: of softmax(rates) against
    one-hot codes, -log of the class's share, mean over the batch.
    """
    match loss:
        case "mse":
            error = rates - codes
            return float((error**2).mean()), 2 * error / error.size
        case "cross_entropy":
            logits = rates - rates.max(axis=1, keepdims=True)
            log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            value = -float((codes * log_shares).sum(axis=1).mean())
            return value, (np.exp(log_shares) - codes) / len(rates)
