from __future__ import annotations

from adapters.numpy_family.classifier import Float, NumpyClassifier, configure, device_memory, sync, versions

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]


class OutOfMemory(NumpyClassifier):
    def train_batch(self, inputs: Float, codes: Float) -> Float:
        if self.settings.seed:  # a certificate's seed is 0
            raise MemoryError
        return super().train_batch(inputs, codes)


VARIANTS = {"plain": OutOfMemory}
