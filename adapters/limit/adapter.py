"""How near the machine's limit this work can run: kernels written by hand, and no framework."""

from __future__ import annotations

import ctypes
import platform

import numpy as np

from adapters.limit.fc_lif import FullyConnected
from adapters.limit.library import load
from adapters.limit.nef import Networks
from tasks.classify.protocol import Classifier
from tasks.classify.spec import Classify, Conv
from tasks.protocol import Build, Settings, Unsupported


def configure(settings: Settings) -> dict[str, object]:
    """Set the threads of the kernels; of TF32 and cuDNN there is nothing in them, so what was asked holds.

    So does determinism: the order of every sum depends on the number of threads alone.

    Raises:
        Unsupported: another device than the CPU is asked for, or nothing can be compiled here.
    """
    if settings.device != "cpu":
        raise Unsupported("the kernels are written for the CPU alone")
    return {
        "device": "cpu",
        "threads": load("runtime").set_threads(settings.threads),
        "tf32": settings.tf32,
        "cudnn_benchmark": settings.cudnn_benchmark,
        "deterministic": settings.deterministic,
        "seed": settings.seed,
    }


def versions() -> dict[str, str]:
    """Versions of Python and NumPy, and what has compiled the kernels for which instructions."""
    compiler = ctypes.c_char_p.in_dll(load("runtime"), "compiler").value or b""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiler": compiler.decode(),
    }


def sync() -> None:
    """Nothing is ever pending on the CPU."""


def device_memory() -> None:
    """There is no device."""


def classifier(task: Classify, settings: Settings) -> Classifier:
    """Variant ``fused``.

    Raises:
        Unsupported: another loss than the mean squared error is asked for; and see the two classes.
    """
    if task.loss != "mse":
        raise Unsupported(f"no kernel is written for the loss {task.loss}")
    if any(isinstance(layer, Conv) for layer in task.layers):
        # torch, which takes some hundred MB and which nothing else here needs
        from adapters.limit.csnn import Convolutional

        return Convolutional(task, settings)
    return FullyConnected(task, settings)


VARIANTS: dict[str, Build] = {"fused": classifier, "networks": Networks}
