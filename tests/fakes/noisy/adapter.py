from __future__ import annotations

import os
import sys

from adapters.numpy_family.classifier import Float, NumpyClassifier, configure, device_memory, sync, versions

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]

print("imported")


class Noisy(NumpyClassifier):
    def train_batch(self, inputs: Float, codes: Float) -> Float:
        print('{"event": "result", "status": "ok"}', flush=True)
        print("no line's end" * 10_000, end="")
        print("\x1b[31mcareful", file=sys.stderr)
        os.write(1, b"\xff{not json\n" * 10_000)  # as compiled code does
        return super().train_batch(inputs, codes)


VARIANTS = {"plain": Noisy}
