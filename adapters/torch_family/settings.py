"""The harness's settings put into torch and read back from it."""

from __future__ import annotations

import importlib.metadata
import platform

import torch

from adapters.torch_family.driver import why_no_device
from tasks.protocol import Settings, Unsupported


def configure(settings: Settings) -> dict[str, object]:
    """Set threads, TF32, cuDNN and determinism flags and the seed; return what torch then reports.

    Raises:
        Unsupported: CUDA is asked for and torch sees none.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise Unsupported(why_no_device(torch.__version__, torch.version.cuda))
    torch.set_num_threads(settings.threads)
    torch.backends.cuda.matmul.allow_tf32 = settings.tf32
    torch.backends.cudnn.allow_tf32 = settings.tf32
    torch.backends.cudnn.benchmark = settings.cudnn_benchmark
    torch.use_deterministic_algorithms(settings.deterministic)
    torch.manual_seed(settings.seed)
    if settings.device == "cuda":
        # CUDA makes its context at the first use, which is to be no part of the time to build
        torch.zeros(1, device="cuda")
        torch.cuda.synchronize()
    tf32 = {torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32}
    return {
        "device": "cuda" if settings.device == "cuda" and torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "tf32": tf32.pop() if len(tf32) == 1 else "matmul and cuDNN differ",
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "seed": torch.initial_seed(),
    }


def sync() -> None:
    """Wait for the GPU, where one is in use."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def device_memory() -> int | None:
    """Peak of torch's allocator in bytes (``max_memory_allocated``); None where no GPU is in use."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, torch, NumPy and the named distributions."""
    found = {name: importlib.metadata.version(name) for name in ("torch", "numpy", *packages)}
    return {"python": platform.python_version()} | found
