from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from bench.measure import gpu
from bench.measure.card import Card
from bench.measure.gpu import OnCard, Reading
from bench.report.figures import FIGURES
from tests.cards import MIG, A, B, FakeCard, install

CARD = Card(uuid=B, name="Fast GPU", place="")
ME = os.getpid()
TURN = OnCard(seconds=6.0, joules=600.0, sm_clock_mhz=1500, celsius=50, throttled=[], used_bytes=9, others=0)


def test_a_reading_is_of_the_one_card(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = install(monkeypatch, FakeCard(A), FakeCard(B, joules=7.5, reasons=0x4 | 0x1, processes={5: 6}))
    found = gpu.read(CARD)
    assert fake.asked == {B} and fake.opened == 0
    assert found == Reading(
        time=found.time,
        joules=7.5,
        sm_clock_mhz=1500,
        celsius=50,
        throttled=["power cap"],
        used_bytes={5: 6},
    )


QUESTIONS = {
    "TotalEnergyConsumption": "joules",
    "ClockInfo": "sm_clock_mhz",
    "Temperature": "celsius",
    "CurrentClocksThrottleReasons": "throttled",
    "ComputeRunningProcesses": "used_bytes",
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_refused_is_not_there_and_all_else_is(monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    install(monkeypatch, FakeCard(B, processes={5: 6}, refuses={question}))
    found = gpu.read(CARD)
    known = {name: getattr(found, name) for name in QUESTIONS.values()}
    assert [name for name, value in known.items() if value is None] == [QUESTIONS[question]]
    assert gpu.describe(CARD)["name"] == "Fast GPU"


@pytest.mark.parametrize("what", ["lost", "gone", "absent"])
def test_without_the_card_nothing_is_measured_and_nothing_is_raised(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    card = FakeCard(B, processes={ME: 5}, refuses={"all"} if what == "lost" else set())
    install(monkeypatch, *([] if what == "absent" else [card])).gone = what == "gone"
    found = gpu.read(CARD)
    assert found == Reading(time=found.time)
    turn = gpu.during(found, found, ME, [])
    assert turn == OnCard(seconds=0.0)
    assert gpu.figures([turn, replace(turn, seconds=20.0)]) == {}
    assert gpu.held_back([turn]) is None
    assert gpu.describe(CARD)["name"] == "Fast GPU"
    monkeypatch.setattr(gpu, "sleep", lambda _: None)
    assert gpu.idle_watts(CARD) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -5, 1e40, None, "many"])
def test_what_cannot_be_is_no_measurement(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    card = FakeCard(B, clock=value, celsius=value, processes={ME: value})
    install(monkeypatch, card)
    found = gpu.read(CARD)
    assert (found.sm_clock_mhz, found.celsius, found.used_bytes) == (None, None, {ME: None})
    if isinstance(value, float | int):
        card.joules = value
        assert gpu.read(CARD).joules is None
    assert gpu.figures([gpu.during(found, found, ME, [os.getpgrp()])]) == {"device_others": 0}


@pytest.mark.parametrize("name", ["clock", "processes"])
def test_a_zero_is_no_clock_and_no_memory(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    install(monkeypatch, FakeCard(B, clock=0, processes={ME: 0}))
    found = gpu.read(CARD)
    assert found.sm_clock_mhz is None and gpu.used_bytes(found, ME) is None


def test_a_mig_instance_has_what_its_driver_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    refuses = {"TotalEnergyConsumption", "ClockInfo", "Temperature", "CurrentClocksThrottleReasons"}
    part = FakeCard(MIG, processes={ME: 5}, refuses={*refuses, "EnforcedPowerLimit", "MigMode"})
    install(monkeypatch, FakeCard(A, divided=True, instances=[part]))
    card = replace(CARD, uuid=MIG)
    now = gpu.read(card)
    assert gpu.figures([gpu.during(now, now, ME, [os.getpgrp()])]) == {
        "device_used_bytes": 5,
        "device_others": 0,
    }
    assert {"power_limit_watts", "sm_clock_mhz", "mig"}.isdisjoint(gpu.describe(card))


def test_a_turn_has_the_energy_between_and_all_else_at_its_end() -> None:
    start = Reading(time=10.0, joules=100.0, sm_clock_mhz=300, celsius=30, throttled=["power cap"])
    stop = Reading(time=12.0, joules=700.0, sm_clock_mhz=1500, celsius=60, throttled=[], used_bytes={ME: 9})
    assert gpu.during(start, stop, ME, [os.getpgrp()]) == OnCard(
        seconds=2.0, joules=600.0, sm_clock_mhz=1500, celsius=60, throttled=[], used_bytes=9, others=0
    )
    again = replace(stop, joules=50.0)  # the driver was loaded anew
    assert gpu.during(start, again, ME, []).joules is None


def test_processes_of_others_are_counted_where_the_worker_is_seen() -> None:
    other = 2**22 + 1  # no process id of this machine
    seen = Reading(time=1.0, used_bytes={ME: 9, other: 5, other + 1: 5})
    assert gpu.during(seen, seen, ME, [os.getpgrp()]).others == 2
    hidden = Reading(time=1.0, used_bytes={other: 5})  # as in a container, whose numbers are others
    assert gpu.during(hidden, hidden, ME, [os.getpgrp()]).others is None


def test_the_figures_of_a_cell() -> None:
    turns = [
        TURN,
        replace(TURN, sm_clock_mhz=900, celsius=70, throttled=["power cap"], used_bytes=5),
        replace(TURN, sm_clock_mhz=1400, throttled=["power cap", "sync boost"], used_bytes=None),
    ]
    found = gpu.figures(turns)
    assert found == {
        "device_used_bytes": 9,
        "energy_joules": 1800.0,
        "sm_clock_mhz": 1400,
        "lowest_sm_clock_mhz": 900,
        "device_celsius": 70,
        "device_others": 0,
    }
    for name, value in found.items():
        FIGURES[name].check(value)
    assert gpu.held_back(turns) == "power cap, sync boost"
    assert gpu.held_back([TURN]) == "none"


@pytest.mark.parametrize(
    ("turns", "joules"),
    [
        ([TURN], None),  # six seconds
        ([TURN, replace(TURN, seconds=3.9)], None),
        ([TURN, replace(TURN, seconds=4.0)], 1200.0),
        ([TURN, TURN, replace(TURN, joules=None)], None),  # one is unknown
        ([TURN, TURN, OnCard(used_bytes=5)], 1200.0),  # beside others, and so of no energy of its own
        ([TURN, TURN, replace(TURN, others=1)], None),  # with somebody else
        ([TURN, replace(TURN, others=None)], 1200.0),
        ([TURN, replace(TURN, joules=1e6)], None),  # more than any card can take
        ([], None),
    ],
)
def test_energy_is_told_of_long_enough_windows_that_are_the_cells_own(
    turns: list[OnCard], joules: float | None
) -> None:
    assert gpu.figures(turns).get("energy_joules") == joules


def test_power_at_rest_is_energy_over_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([Reading(time=5.0, joules=100.0), Reading(time=7.0, joules=220.0)])
    monkeypatch.setattr(gpu, "read", lambda card: next(readings))
    monkeypatch.setattr(gpu, "sleep", lambda _: None)
    assert gpu.idle_watts(CARD) == 60.0
