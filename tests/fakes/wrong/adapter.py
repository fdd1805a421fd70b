from __future__ import annotations

import numpy as np

from adapters.numpy_family.classifier import Float, NumpyClassifier, configure, versions
from tasks.spec import Classify, Neuron

__all__ = ["BUILDERS", "configure", "versions"]


class Wrong(NumpyClassifier):
    def fire(self, membrane: Float, neuron: Neuron) -> Float:
        return (membrane > neuron.threshold).astype(np.float64)


BUILDERS = {Classify: Wrong}
