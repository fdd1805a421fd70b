from __future__ import annotations

from dataclasses import replace

from adapters.numpy_family import classifier
from adapters.numpy_family.classifier import NumpyClassifier, versions
from adapters.protocol import Settings
from tasks.spec import Classify

__all__ = ["BUILDERS", "configure", "versions"]


def configure(settings: Settings) -> dict[str, object]:
    return classifier.configure(replace(settings, threads=settings.threads + 1))


BUILDERS = {Classify: NumpyClassifier}
