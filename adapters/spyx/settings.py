"""The harness's settings put into JAX and read back from it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import jax

from tasks.protocol import Settings, Unsupported


def configure(settings: Settings) -> dict[str, object]:
    """Set the precision and, before JAX's first use, its threads.

    There is no TF32, no cuDNN, no chance in the order of sums and no global seed on JAX's CPU, so that what
    was asked of those holds.

    Raises:
        Unsupported: another device than the CPU is asked for, or mixed precision.
    """
    if settings.device != "cpu":
        raise Unsupported("the environment of spyx holds JAX for the CPU alone")
    if settings.precision == "amp":
        raise Unsupported("JAX and spyx have no automatic mixed precision")
    os.environ["NPROC"] = str(settings.threads)  # how many XLA starts
    jax.config.update("jax_enable_x64", settings.precision == "float64")
    # numbers that do not depend on how arrays are spread over devices take six times as long to draw
    jax.config.update("jax_threefry_partitionable", False)
    # steps of one process in three took a third longer, all its life, while another thread handed programs on
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    unused = ("tf32", "cudnn_benchmark", "deterministic", "seed")
    asked = {name: getattr(settings, name) for name in unused}
    device = jax.default_backend()  # starts XLA's pool of threads for computing
    threads = [path.read_text(encoding="ascii").strip() for path in Path("/proc/self/task").glob("*/comm")]
    return asked | {"device": device, "threads": threads.count("tf_XLAEigen")}


def versions() -> dict[str, str]:
    """Versions of Python, spyx and the packages that compute."""
    names = ("spyx", "jax", "jaxlib", "optax", "numpy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def sync() -> None:
    """Nothing is pending: every call hands over NumPy arrays."""


def device_memory() -> None:
    """There is no device with an allocator of its own."""
