from __future__ import annotations

from adapters.numpy_family.classifier import configure, versions
from adapters.protocol import Settings, Unsupported
from tasks.spec import Classify

__all__ = ["BUILDERS", "configure", "versions"]


def build(task: Classify, settings: Settings) -> None:
    raise Unsupported(f"{task.name} needs a leap year")


BUILDERS = {Classify: build}
