"""Image classification with spiking networks: the family's tasks and how they are certified and run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from tasks.classify import certificate, images, run
from tasks.classify.networks import TASKS
from tasks.classify.probes import shrink
from tasks.classify.run import Amounts, epochs_of
from tasks.classify.spec import Classify
from tasks.measuring import Deviation
from tasks.protocol import Build, Dataset, Family, Job, Result, Settings, Table, Turn


class _Classification:
    """See ``Family`` in tasks/protocol.py."""

    name = "classify"
    noun = "image classification"
    tasks: Mapping[str, Callable[..., Any]] = TASKS
    tables: Mapping[str, Table] = {
        "classify": Table(about="trained through time as the task says", learning="bptt"),
        "inference": Table(about="inference only; weights were given", learning="none", compared=False),
        "example": Table(
            about="the framework's own example at the task's sizes",
            learning="bptt",
            division="open",
            own_example=True,
        ),
        "open": Table(
            about="in the framework's own way, without a certificate",
            learning=None,
            division="open",
            compared=False,
        ),
    }
    amounts: type = Amounts

    def work(self, task: Classify, amounts: Amounts, learning: str) -> dict[str, Any]:
        """See the protocol.

        Raises:
            ValueError: the training images make no batch.
        """
        shared = {"test_images": amounts.test_images, "steps": task.steps, "batch": task.batch}
        if learning == "none":
            return shared
        if task.batch > amounts.train_images:
            raise ValueError(
                f"{amounts.train_images} training images make no batch of {task.batch}: "
                f"raise train_images to at least {task.batch}, or lower batch of {task.name}"
            )
        shared |= {
            "train_images": amounts.train_images,
            "curve_images": amounts.curve_images,
            "epochs": epochs_of(task, learning),
        }
        # other ways of learning have a loss of their own
        return shared | {"loss": task.loss} if learning == "bptt" else shared

    def dataset(self, task: Classify) -> Dataset:
        """See the protocol."""
        return images.MNIST

    def certified(self, task: Classify) -> Classify:
        """See the protocol."""
        return shrink(task)

    def certify(self, build: Build, task: Classify, settings: Settings, learning: str) -> Iterator[Deviation]:
        """See the protocol."""
        return certificate.certify(build, shrink(task), settings, learns=learning != "none")

    def run(self, module: Any, task: Classify, job: Job) -> Generator[Turn, None, Result]:
        """See the protocol."""
        return run.run(module, task, job)


FAMILY: Family = _Classification()
