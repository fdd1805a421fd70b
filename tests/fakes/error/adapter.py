from __future__ import annotations

from pathlib import Path

from adapters.numpy_family.classifier import Float, NumpyClassifier, configure, device_memory, sync, versions

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]


class Error(NumpyClassifier):
    def train_batch(self, inputs: Float, codes: Float) -> Float:
        if self.settings.seed:  # a certificate's seed is 0
            first = f"[red]no[/] kernel | in {Path(__file__)} or '/opt/some where/lib.so' \x1b[1m\udc80"
            raise RuntimeError(f"{first}\nsecond line")
        return super().train_batch(inputs, codes)


VARIANTS = {"plain": Error}
