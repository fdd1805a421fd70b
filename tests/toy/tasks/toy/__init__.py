"""A family of tasks as small as one can be: sorting numbers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.measuring import Deviation, host_peak_bytes, timed
from tasks.protocol import Build, Family, Job, Result, Settings, Table, Turn

Float = NDArray[np.float64]


class Sorter(Protocol):
    """What a builder of an adapter returns."""

    def sort(self, numbers: Float) -> Float:
        """The numbers in order."""


@dataclass(frozen=True)
class Sorting:
    """Random numbers to put in order."""

    name: str
    numbers: int

    @property
    def network(self) -> str:
        return f"no neurons, {self.numbers} numbers"


def sorting(numbers: int = 1000) -> Sorting:
    return Sorting("sorting", numbers)


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """How often the numbers are sorted."""

    repeats: int = 3


def draw(task: Sorting, seed: int) -> Float:
    return np.random.default_rng(seed).random(task.numbers)


class _Toy:
    name = "toy"
    noun = "sorting numbers"
    tasks: Mapping[str, Callable[..., Any]] = {"sorting": sorting}
    tables: Mapping[str, Table] = {"toy": Table(about="ways to sort", learning="none")}
    amounts: type = Amounts

    def work(self, task: Sorting, amounts: Amounts, learning: str) -> dict[str, Any]:
        return {"numbers": task.numbers}

    def dataset(self, task: Sorting) -> None:
        return None

    def certified(self, task: Sorting) -> Sorting:
        return sorting(50)

    def certify(self, build: Build, task: Sorting, settings: Settings, learning: str) -> Iterator[Deviation]:
        numbers = draw(self.certified(task), 0)
        wrong = np.count_nonzero(build(task, settings).sort(numbers) != np.sort(numbers))
        yield Deviation("wrong places", "random", settings.precision, float(wrong), 0.0)

    def run(self, module: Any, task: Sorting, job: Job) -> Generator[Turn, None, Result]:
        repeats = Amounts(**job.amounts).repeats
        numbers = draw(task, job.settings.seed)
        yield Turn(phase="prepare")
        sorter, build_seconds = timed(partial(module.VARIANTS[job.variant], task, job.settings), module.sync)
        yield Turn(phase="build", seconds=build_seconds)
        times = []
        for epoch in range(1, repeats + 1):
            found, seconds = timed(partial(sorter.sort, numbers), module.sync)
            times.append(seconds)
            yield Turn(phase="sort", seconds=seconds, epoch=epoch, compared=True, free=epoch == repeats)
        error = float(np.sqrt(np.mean((found - np.sort(numbers)) ** 2)))
        figures = {"rmse": error, "build_seconds": build_seconds, "epoch_seconds": median(times)}
        return {"figures": figures | {"host_peak_bytes": host_peak_bytes()}}


FAMILY: Family = _Toy()
