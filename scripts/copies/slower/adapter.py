"""The adapter torch, which takes a tenth longer to train."""

from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.torch.adapter import Cell, configure, device_memory, sync, versions
from adapters.torch_family.classifier import TorchClassifier
from adapters.torch_family.network import from_cells

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]

LONGER = 0.1


class Slower(TorchClassifier):
    """Works on for a tenth of the time that the training took."""

    def train_epoch(self, order: NDArray[np.integer]) -> NDArray[Any]:
        """See the protocol."""
        start = perf_counter()
        rates = super().train_epoch(order)
        end = perf_counter() + LONGER * (perf_counter() - start)
        while perf_counter() < end:
            pass
        return rates


def classifier(task: Any, settings: Any, *, stepwise: bool) -> Slower:
    """Variant ``folded``."""
    return Slower(task, settings, from_cells(task, Cell, stepwise=stepwise))


VARIANTS = {"folded": partial(classifier, stepwise=False)}
