from __future__ import annotations

import os
import signal

from adapters.numpy_family.classifier import Float, NumpyClassifier, configure, device_memory, sync, versions

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]


class Crash(NumpyClassifier):
    def train_batch(self, inputs: Float, codes: Float) -> Float:
        if self.settings.seed:  # a certificate's seed is 0
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().train_batch(inputs, codes)


VARIANTS = {"plain": Crash}
