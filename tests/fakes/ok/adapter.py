from __future__ import annotations

from adapters.numpy_family.classifier import NumpyClassifier, configure, versions
from tasks.spec import Classify

__all__ = ["BUILDERS", "configure", "versions"]

BUILDERS = {Classify: NumpyClassifier}
