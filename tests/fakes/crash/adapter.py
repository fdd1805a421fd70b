from __future__ import annotations

import os
import signal

from adapters.numpy_family.classifier import Float, NumpyClassifier, configure, versions
from tasks.spec import Classify

__all__ = ["BUILDERS", "configure", "versions"]


class Crash(NumpyClassifier):
    def train_batch(self, inputs: Float, codes: Float) -> Float:
        if self.settings.seed:  # a certificate's seed is 0
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().train_batch(inputs, codes)


BUILDERS = {Classify: Crash}
