"""Learning from spikes alone, by spike-timing-dependent plasticity: the family's tasks, certified and run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from tasks import images
from tasks.measuring import Deviation
from tasks.plasticity import certificate, run
from tasks.plasticity.examples import TASKS
from tasks.plasticity.run import Amounts
from tasks.plasticity.spec import Task
from tasks.protocol import Build, Dataset, Family, Job, Result, Settings, Table, Turn


class _Plasticity:
    """See ``Family`` in tasks/protocol.py."""

    name = "plasticity"
    noun = "learning from spike times"
    tasks: Mapping[str, Callable[..., Any]] = TASKS
    tables: Mapping[str, Table] = {
        "plasticity": Table(about="by the rule that the task says", learning="stdp"),
        "plasticity_open": Table(
            about="by the framework's own rule, without a certificate",
            learning="stdp",
            division="open",
            compared=False,
        ),
    }
    amounts: type = Amounts

    def work(self, task: Task, amounts: Amounts, learning: str) -> dict[str, Any]:
        """See the protocol.

        Raises:
            ValueError: the training images make no batch.
        """
        if task.batch > amounts.train_images:
            raise ValueError(
                f"{amounts.train_images} training images make no batch of {task.batch}: "
                f"raise train_images to at least {task.batch}, or lower batch of {task.name}"
            )
        return {
            "train_images": amounts.train_images,
            "label_images": amounts.label_images,
            "test_images": amounts.test_images,
            "neurons": task.neurons,
            "steps": task.steps,
            "batch": task.batch,
            "epochs": task.epochs,
        }

    def dataset(self, task: Task) -> Dataset:
        """See the protocol."""
        return images.MNIST

    def certified(self, task: Task) -> Task:
        """See the protocol."""
        return certificate.shrink(task)

    def certify(self, build: Build, task: Task, settings: Settings, learning: str) -> Iterator[Deviation]:
        """See the protocol."""
        return certificate.certify(build, task, settings)

    def run(self, module: Any, task: Task, job: Job) -> Generator[Turn, None, Result]:
        """See the protocol."""
        return run.run(module, task, job)


FAMILY: Family = _Plasticity()
