from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from adapters.numpy_family.classifier import Float, NumpyClassifier, configure, device_memory, sync, versions

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
)


class Hang(NumpyClassifier):
    def train_batch(self, inputs: Float, codes: Float) -> Float:
        gate = Path(os.environ["FAKES_GATE"])
        if self.settings.seed == 2 and not (gate / "waiting").exists():
            child = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
            assert child.stdout
            child.stdout.readline()
            (gate / "new").write_text(f"{os.getpid()} {child.pid}")
            (gate / "new").rename(gate / "waiting")
            while not (gate / "open").exists():
                time.sleep(0.02)
            child.kill()
            child.wait()
        return super().train_batch(inputs, codes)


VARIANTS = {"plain": Hang}
