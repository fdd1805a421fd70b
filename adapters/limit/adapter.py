"""How near the machine's limit this work can run: kernels written by hand, and no framework."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Sequence

import numpy as np

from adapters.limit.fc_lif import FullyConnected
from adapters.limit.library import load
from adapters.limit.nef import Networks
from tasks.classify.protocol import Classifier
from tasks.classify.spec import Classify, Conv
from tasks.nef.model import Model
from tasks.nef.protocol import NefSimulator
from tasks.nef.spec import Nef
from tasks.protocol import Build, Settings, Unsupported


def configure(settings: Settings) -> dict[str, object]:
    """Set the threads of the kernels; of TF32 and cuDNN there is nothing in them, so what was asked holds.

    So does determinism: the order of every sum depends on the number of threads alone.

    Raises:
        Unsupported: nothing can be compiled here, or there is no GPU where one is asked for.
    """
    if settings.device == "cuda":
        from adapters.torch_family import settings as family

        return family.configure(settings)
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
    if _is_on_gpu():
        from adapters.torch_family import settings as family

        return family.versions("triton")
    compiler = ctypes.c_char_p.in_dll(load("runtime"), "compiler").value or b""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiler": compiler.decode(),
    }


def _is_on_gpu() -> bool:
    """Whether torch is in use with CUDA; without importing it, which costs some hundred MB."""
    torch = sys.modules.get("torch")
    return bool(torch and torch.cuda.is_initialized())


def sync() -> None:
    """Wait for the GPU; nothing is ever pending on the CPU."""
    if _is_on_gpu():
        from adapters.torch_family import settings as family

        family.sync()


def device_memory() -> int | None:
    """Peak of torch's allocator in bytes; None on the CPU."""
    if not _is_on_gpu():
        return None
    from adapters.torch_family import settings as family

    return family.device_memory()


def classifier(task: Classify, settings: Settings) -> Classifier:
    """Variant ``fused``.

    Raises:
        Unsupported: another loss than the mean squared error is asked for; and see the two classes.
    """
    if task.loss != "mse":
        raise Unsupported(f"no kernel is written for the loss {task.loss}")
    if settings.device == "cuda":
        import torch

        from adapters.limit import fc_lif_cuda

        return fc_lif_cuda.FullyConnected(task, settings, torch.device("cuda"))
    if any(isinstance(layer, Conv) for layer in task.layers):
        # torch, which takes some hundred MB and which nothing else here needs
        from adapters.limit.csnn import Convolutional

        return Convolutional(task, settings)
    return FullyConnected(task, settings)


def networks(task: Nef, settings: Settings, models: Sequence[Model]) -> NefSimulator:
    """Variant ``networks``."""
    if settings.device == "cuda":
        import torch

        from adapters.limit import nef_cuda

        return nef_cuda.Networks(task, settings, models, torch.device("cuda"))
    return Networks(task, settings, models)


VARIANTS: dict[str, Build] = {"fused": classifier, "networks": networks}
