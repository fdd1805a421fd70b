from __future__ import annotations

from adapters.numpy_family.classifier import configure, device_memory, sync, versions
from tasks.classify.spec import Classify
from tasks.protocol import Settings, Unsupported

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]


def build(task: Classify, settings: Settings) -> None:
    raise Unsupported(f"{task.name} needs a leap year")


VARIANTS = {"plain": build}
