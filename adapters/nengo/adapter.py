"""Nengo core, on the CPU by NumPy."""

from __future__ import annotations

import importlib.metadata
import platform

from threadpoolctl import threadpool_info, threadpool_limits

from adapters.nengo.classify import LeastSquaresClassifier
from adapters.protocol import Settings, Unsupported
from tasks.spec import Classify


def configure(settings: Settings) -> dict[str, object]:
    """Set NumPy's threads; there is no TF32, cuDNN or chance in it, so that what was asked of those holds.

    Raises:
        Unsupported: another device than the CPU is asked for.
    """
    if settings.device != "cpu":
        raise Unsupported("Nengo core runs on the CPU alone")
    threadpool_limits(settings.threads)
    threads = {pool["num_threads"] for pool in threadpool_info()}
    return {
        "device": "cpu",
        "threads": threads.pop() if len(threads) == 1 else sorted(threads),
        "tf32": settings.tf32,
        "cudnn_benchmark": settings.cudnn_benchmark,
        "deterministic": settings.deterministic,
        "seed": settings.seed,
    }


def versions() -> dict[str, str]:
    """Versions of Python, Nengo and the libraries that do its work."""
    found = {name: importlib.metadata.version(name) for name in ("nengo", "numpy", "scipy")}
    return {"python": platform.python_version()} | found


BUILDERS = {Classify: LeastSquaresClassifier}
