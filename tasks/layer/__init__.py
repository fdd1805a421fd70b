"""One layer by itself: neurons alone, or neurons behind a matrix of weights; forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from tasks.layer import certificate, run
from tasks.layer.run import Amounts
from tasks.layer.spec import TASKS, Layer
from tasks.measuring import Deviation
from tasks.protocol import Build, Family, Job, Result, Settings, Table, Turn


class _Layer:
    """See ``Family`` in tasks/protocol.py."""

    name = "layer"
    noun = "single layers"
    tasks: Mapping[str, Callable[..., Any]] = TASKS
    tables: Mapping[str, Table] = {
        "layer": Table(about="one layer forward and backward, nothing is learned", learning="none")
    }
    amounts: type = Amounts

    def work(self, task: Layer, amounts: Amounts, learning: str) -> dict[str, Any]:
        """See the protocol."""
        return {
            "neurons": task.neurons,
            "steps": task.steps,
            "batch": task.batch,
            "passes": task.passes,
            "repeats": amounts.repeats,
        }

    def dataset(self, task: Layer) -> None:
        """See the protocol."""

    def certified(self, task: Layer) -> Layer:
        """See the protocol."""
        return certificate.shrink(task)

    def certify(self, build: Build, task: Layer, settings: Settings, learning: str) -> Iterator[Deviation]:
        """See the protocol."""
        return certificate.certify(build, task, settings)

    def run(self, module: Any, task: Layer, job: Job) -> Generator[Turn, None, Result]:
        """See the protocol."""
        return run.run(module, task, job)


FAMILY: Family = _Layer()
