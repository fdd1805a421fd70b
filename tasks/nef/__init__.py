"""Simulation of networks of the Neural Engineering Framework: the family's tasks, certified and run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tasks.measuring import Deviation
from tasks.nef import certificate, run
from tasks.nef.examples import TASKS
from tasks.nef.run import Amounts
from tasks.nef.spec import Nef
from tasks.protocol import Build, Family, Job, Result, Settings, Table, Turn


class _Nef:
    """See ``Family`` in tasks/protocol.py."""

    name = "nef"
    noun = "Nengo examples"
    tasks: Mapping[str, Callable[..., Any]] = TASKS
    tables: Mapping[str, Table] = {
        "nef": Table(about="simulated with the neurons that the harness gives", learning="least-squares")
    }
    amounts: type = Amounts

    def work(self, task: Nef, amounts: Amounts, learning: str) -> dict[str, Any]:
        """See the protocol."""
        return {"networks": task.seeds, "steps": task.steps}

    def dataset(self, task: Nef) -> None:
        """See the protocol."""

    def certified(self, task: Nef) -> Nef:
        """See the protocol: the certificate draws its own models, so that their number is no matter."""
        return replace(task, seeds=1)

    def certify(self, build: Build, task: Nef, settings: Settings, learning: str) -> Iterator[Deviation]:
        """See the protocol."""
        return certificate.certify(build, task, settings)

    def run(self, module: Any, task: Nef, job: Job) -> Generator[Turn, None, Result]:
        """See the protocol."""
        return run.run(module, task, job)


FAMILY: Family = _Nef()
