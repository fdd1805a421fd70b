"""The harness's settings put into TensorFlow and read back from it."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import tensorflow as tf

# tf.config can switch determinism on, but neither off nor ask for it
from tensorflow.python.framework import config

from adapters.nengodl.capability import obstacle
from tasks.protocol import Settings, Unsupported

AUTOTUNE = "TF_CUDNN_USE_AUTOTUNE"


def configure(settings: Settings) -> dict[str, object]:
    """Set threads, TF32, cuDNN and determinism flags and the seed; return what TensorFlow then reports.

    Raises:
        Unsupported: CUDA is asked for and TensorFlow sees none, or has no code for what it sees.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if settings.device == "cuda" and not gpus:
        raise Unsupported("TensorFlow sees no CUDA device here; for its libraries see requirements-cuda.in")
    if settings.device == "cuda":
        built_for = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", ())
        found = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability")
        if reason := obstacle(tf.__version__, built_for, found):
            raise Unsupported(reason)
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    # one operation at a time, so that no more threads than these compute
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_tensor_float_32_execution(settings.tf32)
    os.environ[AUTOTUNE] = str(int(settings.cudnn_benchmark))
    tf.random.set_seed(settings.seed)
    if settings.deterministic:
        config.enable_op_determinism()
    else:
        config.disable_op_determinism()
    if settings.device == "cuda":
        # CUDA makes its context at the first use, which is to be no part of the time to build
        with tf.device("GPU:0"):
            tf.zeros(1)
        sync()
    return {
        "device": "cuda" if tf.config.list_logical_devices("GPU") else "cpu",
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
        "cudnn_benchmark": os.environ[AUTOTUNE] == "1",
        "deterministic": config.is_op_determinism_enabled(),
        "seed": tf.compat.v1.get_seed(0)[0],
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute."""
    names = ("nengo", "nengo-dl", "tensorflow", "keras", "numpy")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def sync() -> None:
    """Wait for the GPU, where there is one."""
    if tf.config.list_logical_devices("GPU"):
        tf.test.experimental.sync_devices()


def device_memory() -> int | None:
    """Peak of TensorFlow's allocator on the first GPU in bytes; None where there is none."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
