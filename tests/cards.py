"""NVIDIA's library of a machine that has the cards which a test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from bench.measure import card, gpu, nvml

A = "GPU-aaaaaaaa-0000-0000-0000-000000000000"
B = "GPU-bbbbbbbb-0000-0000-0000-000000000000"
MIG = "MIG-cccccccc-0000-0000-0000-000000000000"


class NVMLError(Exception):
    """A refusal, in the driver's words."""


@dataclass
class FakeCard:
    """What a card answers; ``refuses`` names questions, "all" is a card that is lost."""

    uuid: str
    name: str = "Some GPU"
    joules: Any = 100.0
    clock: Any = 1500
    celsius: Any = 50
    reasons: int = 0
    processes: dict[int, Any] = field(default_factory=dict)
    divided: bool = False
    instances: list[FakeCard] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)


class FakeNVML:
    """``pynvml`` with these cards, in the order of the bus; ``gone``: the driver is not there any more."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self, *cards: FakeCard) -> None:
        self.cards, self.gone, self.opened, self.asked = list(cards), False, 0, set[str]()

    def nvmlInit(self) -> None:
        if self.gone:
            raise NVMLError("Driver Not Loaded")
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1
        if self.gone:
            raise NVMLError("Driver Not Loaded")

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"550.1"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, place: int) -> FakeCard:
        return self._answer(self.cards[place], "HandleByIndex")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeCard:
        every = [*self.cards, *(part for one in self.cards for part in one.instances)]
        found = [one for one in every if one.uuid == uuid]
        if not found:
            raise NVMLError("Not Found")
        return self._answer(found[0], "HandleByUUID")

    def nvmlDeviceGetMaxMigDeviceCount(self, of: FakeCard) -> int:
        self._answer(of, "MaxMigDeviceCount")
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, of: FakeCard, place: int) -> FakeCard:
        if place >= len(of.instances):
            raise NVMLError("Not Found")
        return of.instances[place]

    def _answer(self, of: FakeCard | None, question: str) -> FakeCard:
        assert self.opened > 0, "the library is closed"
        if of is None or {question, "all"} & of.refuses:
            raise NVMLError("Not Supported")
        self.asked.add(of.uuid)
        return of

    def __getattr__(self, name: str) -> Callable[..., Any]:
        question = name.removeprefix("nvmlDeviceGet")
        answers: dict[str, Callable[[FakeCard], Any]] = {
            "UUID": lambda of: of.uuid,
            "Name": lambda of: of.name,
            "MigMode": lambda of: [int(of.divided), int(of.divided)],
            "MemoryInfo": lambda of: SimpleNamespace(total=80 * 10**9, used=10**9),
            "EnforcedPowerLimit": lambda of: 700_000,
            "CudaComputeCapability": lambda of: (9, 0),
            "TotalEnergyConsumption": lambda of: of.joules * 1000,
            "ClockInfo": lambda of: of.clock,
            "Temperature": lambda of: of.celsius,
            "CurrentClocksThrottleReasons": lambda of: of.reasons,
            "ComputeRunningProcesses": lambda of: [
                SimpleNamespace(pid=pid, usedGpuMemory=held) for pid, held in of.processes.items()
            ],
        }
        return lambda of, *_: answers[question](self._answer(of, question))


def install(monkeypatch: pytest.MonkeyPatch, *cards: FakeCard) -> FakeNVML:
    """Put these cards in the place of the machine's."""
    fake = FakeNVML(*cards)
    for module in (card, gpu, nvml):
        monkeypatch.setattr(module, "pynvml", fake)
    return fake
