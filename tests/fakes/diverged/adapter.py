from __future__ import annotations

from adapters.numpy_family.classifier import (
    NumpyClassifier,
    Weights,
    configure,
    device_memory,
    sync,
    versions,
)

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]


class Diverged(NumpyClassifier):
    def update(self, gradients: Weights) -> None:
        if self.settings.seed:  # a certificate's seed is 0
            gradients = {name: gradient * float("nan") for name, gradient in gradients.items()}
        super().update(gradients)


VARIANTS = {"plain": Diverged}
