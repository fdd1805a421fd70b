"""Clock, memory and verdict: what decides a figure, the same for every family and framework."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Result = TypeVar("Result")
# what is measured, not judged, beside a certificate in float64 and float32: of ``Settings.arithmetic``
REDUCED = ("amp", "tf32")
_STATUS = Path("/proc/self/status")


class Wrong(Exception):
    """The adapter did something other than what was asked; the message says what."""


class Diverged(Exception):
    """A number of the work became NaN or infinite."""


def timed(work: Callable[[], Result], sync: Callable[[], None]) -> tuple[Result, float]:
    """Run ``work`` and return its result and its seconds, device work included."""
    sync()
    start = perf_counter_ns()
    result = work()
    sync()
    return result, (perf_counter_ns() - start) / 1e9


def host_peak_bytes() -> int | None:
    """Peak resident set (VmHWM) of this process, imports included; None where the kernel does not say it.

    ``ru_maxrss`` would not do: over fork it starts from the parent's peak.
    """
    try:
        said = _STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in said.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def is_real(value: Any) -> bool:
    """Whether these are real numbers, finite or not: complex ones, objects and words are none."""
    return np.asarray(value).dtype.kind in "biuf"


def finite(value: Any) -> NDArray[np.float64] | None:
    """What an adapter hands over, as float64; None where it is complex, no number, nan or infinite."""
    if not is_real(value):
        return None
    array = np.asarray(value, np.float64)
    return array if np.isfinite(array).all() else None


@dataclass(frozen=True, slots=True)
class Deviation:
    """One comparison of a certificate; ``bound`` None means measured, not judged."""

    metric: str
    probe: str
    precision: str
    value: float
    bound: float | None

    @property
    def failed(self) -> bool:
        """Whether the bound is broken; what is not a finite number from 0 on breaks any, and none too."""
        if not (math.isfinite(self.value) and self.value >= 0):
            return True
        return self.bound is not None and self.value > self.bound


def verdict(deviations: Iterable[Deviation], arithmetic: str) -> tuple[str, str]:
    """Parity class of the arithmetic asked for and, where it is ``wrong``, the reason in one line."""
    found = list(deviations)
    failed = [d for d in found if d.failed]
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        bound = "is no finite number" if first.bound is None else f"exceeds {first.bound:.3g}"
        if first.bound is not None and not math.isfinite(first.value):
            bound = f"is no number within {first.bound:.3g}"
        return "wrong", f"{first.metric} {first.value:.3g} {bound} in {first.probe}, {first.precision}{more}"
    if arithmetic in REDUCED:
        return "reduced precision", ""
    if any(d.metric == "spike difference" and d.value > 0 for d in found):
        return "within", ""
    return "exact", ""
