from __future__ import annotations

from adapters.numpy_family.classifier import NumpyClassifier, configure, device_memory, sync, versions

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]

VARIANTS = {"plain": NumpyClassifier}
