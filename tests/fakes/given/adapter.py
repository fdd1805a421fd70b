from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adapters.numpy_family.classifier import NumpyClassifier, configure, device_memory, sync, versions
from tasks.classify.protocol import Array, Trace
from tasks.protocol import Unsupported

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]


class Given(NumpyClassifier):
    """Cannot learn."""

    def train_epoch(self, order: NDArray[np.integer]) -> Array:
        raise Unsupported("it has no gradients")

    def trace(self, inputs: Array, codes: Array, *, training: bool) -> Trace:
        if training:
            raise Unsupported("it has no gradients")
        return super().trace(inputs, codes, training=False)


VARIANTS = {"plain": Given}
