from __future__ import annotations

import numpy as np

from adapters.numpy_family.classifier import Float, NumpyClassifier, configure, device_memory, sync, versions
from tasks.classify.spec import Neuron

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]


class Wrong(NumpyClassifier):
    def fire(self, membrane: Float, neuron: Neuron) -> Float:
        return (membrane > neuron.threshold).astype(np.float64)


VARIANTS = {"plain": Wrong}
