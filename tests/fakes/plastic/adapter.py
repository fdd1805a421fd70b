from __future__ import annotations

from adapters.numpy_family.classifier import configure, device_memory, sync, versions
from adapters.numpy_family.plasticity import NumpyPlastic

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]

VARIANTS = {"plain": NumpyPlastic}
