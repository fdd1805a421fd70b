"""The one clock: wall time between two moments at which the device is idle."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TypeVar

Result = TypeVar("Result")


def timed(work: Callable[[], Result], sync: Callable[[], None]) -> tuple[Result, float]:
    """Run ``work`` and return its result and its seconds, device work included."""
    sync()
    start = perf_counter_ns()
    result = work()
    sync()
    return result, (perf_counter_ns() - start) / 1e9
