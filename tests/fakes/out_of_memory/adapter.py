from __future__ import annotations

from adapters.numpy_family.classifier import Float, NumpyClassifier, configure, versions
from tasks.spec import Classify

__all__ = ["BUILDERS", "configure", "versions"]


class OutOfMemory(NumpyClassifier):
    def train_batch(self, inputs: Float, codes: Float) -> Float:
        if self.settings.seed:  # a certificate's seed is 0
            raise MemoryError
        return super().train_batch(inputs, codes)


BUILDERS = {Classify: OutOfMemory}
