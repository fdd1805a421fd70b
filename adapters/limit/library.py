"""The C sources of this folder, compiled by the system's compiler at their first use and loaded by ctypes.

A library is kept for all checkouts of a user, under a name made of what decides it: sources, compiler, flags
and processor.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from tasks.classify.protocol import Array
from tasks.protocol import Settings, Unsupported

HERE = Path(__file__).parent
COMPILERS = ("cc", "gcc", "clang")
# Never -ffast-math: a sum is what it says.  Nobody reads the errno of sqrt, and setting it forbids vectors.
FLAGS = "-O3 -march=native -std=gnu11 -fno-math-errno -Wno-psabi -fopenmp -fPIC -shared".split()
CACHE_LINE = 64  # bytes


@cache
def load(part: str, *definitions: str) -> ctypes.CDLL:
    """The library of ``part``.c with these macros defined, compiled if it has not been before.

    Raises:
        Unsupported: there is no compiler, or none can compile it.
    """
    reason = "these kernels are compiled on the spot, and there is no C compiler here: install gcc"
    for name in COMPILERS:
        if compiler := shutil.which(name):
            try:
                return ctypes.CDLL(str(_compiled(compiler, part, definitions)))
            except subprocess.CalledProcessError as error:
                words = next((line for line in error.stderr.splitlines() if "error" in line), str(error))
                reason = f"{name} can't compile the kernels here ({words.strip()}): install gcc"
    raise Unsupported(reason)


def macros(settings: Settings) -> tuple[str, ...]:
    """What chooses the precision of a library.

    Raises:
        Unsupported: mixed precision is asked for.
    """
    if settings.precision == "amp":
        raise Unsupported("the kernels are written for float32 and float64, not for mixed precision")
    return ("DOUBLE",) if settings.precision == "float64" else ()


def lanes(settings: Settings) -> int:
    """How many numbers fill a register of this machine."""
    register = ctypes.c_int.in_dll(load("runtime"), "register_bytes").value
    return register // (8 if settings.precision == "float64" else 4)


def aligned(shape: tuple[int, ...], dtype: type[np.floating]) -> Array:
    """Zeros that begin with a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def _compiled(compiler: str, part: str, definitions: tuple[str, ...]) -> Path:
    """The file of a library, written whole or not at all."""
    options = [*FLAGS, *(f"-D{definition}" for definition in definitions)]
    total = hashlib.sha256()
    for words in (part, *options, _version(compiler), _processor()):
        total.update(words.encode() + b"\0")
    for path in sorted(path for path in HERE.iterdir() if path.suffix in (".c", ".h")):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    base = os.environ.get("SPIKEBENCH_CACHE") or Path.home() / ".cache" / "spikebench"
    kept = Path(base, "kernels", f"{part}-{total.hexdigest()[:32]}.so")
    if not kept.exists():
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(kept.parent, os.W_OK):  # then for this process alone
            kept = Path(tempfile.mkdtemp(), kept.name)
        with tempfile.TemporaryDirectory(prefix=".compile-", dir=kept.parent) as folder:
            made = Path(folder, kept.name)
            command = [compiler, *options, str(HERE / f"{part}.c"), "-o", str(made), "-lm"]
            subprocess.run(command, check=True, capture_output=True, text=True)
            made.replace(kept)
    return kept


def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout


def _processor() -> str:
    """What -march=native looks at, as far as Linux shows it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    telling = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU ")
    return "\n".join(sorted({line for line in lines if line.startswith(telling)}))
