from __future__ import annotations

from adapters.numpy_family.classifier import configure, device_memory, sync, versions
from adapters.numpy_family.layer import NumpyPass

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]

VARIANTS = {"plain": NumpyPass}
