"""What the machine can do at most: how fast it copies memory, and how fast it multiplies matrices.

As a program, ``python -m bench.measure.peaks THREADS`` measures in a process of its own, because a library
of linear algebra takes its number of threads once, when it is loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from bench.catalogue import PROJECT
from bench.process import worker_environment
from tasks.protocol import Settings

_COPIED = 256 * 2**20  # bytes, more than any cache holds
_SIZE = 1536  # of the square matrices
_PATIENCE = 120  # seconds
_TRIES = 7  # neighbours slow some of them down; the best is what the machine can do


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """``bytes_per_second``: read and written by a copy; ``operations_per_second``: of a product in float32.

    A multiplication and an addition are two operations.
    """

    bytes_per_second: float
    operations_per_second: float


def measure(threads: int) -> Peaks | None:
    """The best of several tries on so many threads, in a few seconds; None where that fails."""
    command = [sys.executable, "-m", "bench.measure.peaks", str(threads)]
    try:
        # from here, so that no folder of a person's is taken for this package, and as workers see the machine
        with TemporaryDirectory() as home:
            done = subprocess.run(
                command,
                env=worker_environment(Settings(threads=threads), home=Path(home)),
                cwd=PROJECT,
                capture_output=True,
                text=True,
                check=True,
                timeout=_PATIENCE,
            )
        return Peaks(**json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None  # a floor is worth no run


def _here(threads: int) -> Peaks:
    source = np.ones((threads, _COPIED // 4 // threads), np.float32)
    target = np.zeros_like(source)
    matrix = np.ones((_SIZE, _SIZE), np.float32)
    with ThreadPoolExecutor(threads) as pool:

        def copy() -> None:
            for _ in pool.map(np.copyto, target, source):
                pass

        copying = _best(copy)
    return Peaks(
        bytes_per_second=2 * source.nbytes / copying,
        operations_per_second=2 * _SIZE**3 / _best(lambda: matrix @ matrix),
    )


def _best(work: Callable[[], object]) -> float:
    """The seconds of the fastest try."""
    work()
    found = []
    for _ in range(_TRIES):
        start = perf_counter()
        work()
        found.append(perf_counter() - start)
    return min(found)


if __name__ == "__main__":
    print(json.dumps(asdict(_here(int(sys.argv[1])))))
