from __future__ import annotations

from dataclasses import replace

from adapters.numpy_family import classifier
from adapters.numpy_family.classifier import NumpyClassifier, device_memory, sync, versions
from tasks.protocol import Settings

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]


def configure(settings: Settings) -> dict[str, object]:
    return classifier.configure(replace(settings, threads=settings.threads + 1))


VARIANTS = {"plain": NumpyClassifier}
