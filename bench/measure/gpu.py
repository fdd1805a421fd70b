"""What the driver says of the one card of a run: before a run, and before and after every turn of a cell.

Workers of a heat work one at a time, so what the card does during a turn is that worker's.  Nothing polls:
energy is the difference of a counter, all else is read when a turn has just ended, before the card rests.
What the driver refuses, and what cannot be, is None.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from time import monotonic, sleep
from typing import Any

import pynvml

from bench.measure.card import Card
from bench.measure.nvml import ask, number, session, words

# no card has more
_MOST_BYTES, _MOST_MHZ, _MOST_CELSIUS, _MOST_WATTS = 1e13, 1e4, 150.0, 5e3
_MOST_JOULES = 1e12  # of the counter, which starts with the driver
SHORTEST_WINDOW = 10.0  # seconds of turns, less of which the counter does not resolve
_IDLE_SECONDS = 2.0
# bits of clocks_event_reasons, but for 0x1: a card that rests between two turns is no card that is held back
_REASONS = {
    0x2: "application clocks",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x100: "display clocks",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One moment: ``joules`` since the driver was loaded, ``used_bytes`` by process id."""

    time: float
    joules: float | None = None
    sm_clock_mhz: float | None = None
    celsius: float | None = None
    throttled: list[str] | None = None
    used_bytes: dict[int, float | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCard:
    """What the card did in one turn.

    ``seconds`` and ``joules`` are those between the readings before and after it; the others are of its
    end.  ``throttled``: what held the clocks back, in words.  ``used_bytes``: what the worker's process
    holds.  ``others``: processes on the card that are none of this heat's.
    """

    seconds: float | None = None
    joules: float | None = None
    sm_clock_mhz: float | None = None
    celsius: float | None = None
    throttled: list[str] | None = None
    used_bytes: float | None = None
    others: int | None = None


def describe(card: Card) -> dict[str, Any]:
    """What a manifest says of the card; neither its UUID nor what the driver refuses."""
    known: dict[str, Any] = {"name": card.name, "card": card.key}
    try:
        with session():
            handle = ask(pynvml.nvmlDeviceGetHandleByUUID, card.uuid)
            memory = ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
            limit = number(ask(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle), _MOST_WATTS * 1000)
            mode = ask(pynvml.nvmlDeviceGetMigMode, handle)
            capability = ask(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
            running = ask(pynvml.nvmlDeviceGetComputeRunningProcesses, handle)
            found = {
                "driver": words(ask(pynvml.nvmlSystemGetDriverVersion)) or None,
                "capability": ".".join(map(str, capability)) if capability else None,
                "memory_bytes": number(memory.total, _MOST_BYTES) if memory else None,
                "used_bytes": number(memory.used, _MOST_BYTES) if memory else None,
                "sm_clock_mhz": _clock(handle, pynvml.NVML_CLOCK_SM),
                "memory_clock_mhz": _clock(handle, pynvml.NVML_CLOCK_MEM),
                "power_limit_watts": None if limit is None else limit / 1000,
                "temperature_c": _celsius(handle),
                "throttle_reasons": _throttled(handle),
                "mig": bool(mode[0]) if mode else None,
                "processes": None if running is None else len(running),
            }
    except pynvml.NVMLError:
        return known
    return known | {name: value for name, value in found.items() if value is not None}


def idle_watts(card: Card) -> float | None:
    """The card's power while nothing of ours runs, over two seconds; None where its energy is not counted."""
    start = read(card)
    sleep(_IDLE_SECONDS)
    stop = read(card)
    joules = _joules_between(start, stop)
    return None if joules is None else number(joules / (stop.time - start.time), _MOST_WATTS)


def read(card: Card) -> Reading:
    """Now."""
    try:
        with session():
            handle = ask(pynvml.nvmlDeviceGetHandleByUUID, card.uuid)
            if handle is None:
                return Reading(time=monotonic())
            counted = number(ask(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle), _MOST_JOULES * 1000)
            running = ask(pynvml.nvmlDeviceGetComputeRunningProcesses, handle)
            return Reading(
                time=monotonic(),
                joules=None if counted is None else counted / 1000,
                sm_clock_mhz=_clock(handle, pynvml.NVML_CLOCK_SM),
                celsius=_celsius(handle),
                throttled=_throttled(handle),
                used_bytes=None if running is None else _used_bytes(running),
            )
    except pynvml.NVMLError:
        return Reading(time=monotonic())


def during(start: Reading, stop: Reading, pid: int, ours: Collection[int]) -> OnCard:
    """What the card did for the worker ``pid`` between two readings; ``ours`` are this heat's workers."""
    return OnCard(
        seconds=stop.time - start.time,
        joules=_joules_between(start, stop),
        sm_clock_mhz=stop.sm_clock_mhz,
        celsius=stop.celsius,
        throttled=stop.throttled,
        used_bytes=used_bytes(stop, pid),
        others=_others(stop, pid, ours),
    )


def used_bytes(reading: Reading, pid: int) -> float | None:
    """What a process holds on the card."""
    return (reading.used_bytes or {}).get(pid)


def figures(turns: Iterable[OnCard]) -> dict[str, float]:
    """A cell's figures, of all its turns; what not one of them has measured is absent."""
    every = list(turns)
    clocks = [turn.sm_clock_mhz for turn in every if turn.sm_clock_mhz is not None]
    degrees = [turn.celsius for turn in every if turn.celsius is not None]
    held = [turn.used_bytes for turn in every if turn.used_bytes is not None]
    others = [turn.others for turn in every if turn.others is not None]
    found = {
        "device_used_bytes": max(held, default=None),
        "energy_joules": _energy(every),
        "sm_clock_mhz": median(clocks) if clocks else None,
        "lowest_sm_clock_mhz": min(clocks, default=None),
        "device_celsius": max(degrees, default=None),
        "device_others": max(others, default=None),
    }
    return {name: value for name, value in found.items() if value is not None}


def held_back(turns: Iterable[OnCard]) -> str | None:
    """What held the clocks back at the end of any turn, in words; None where no turn says."""
    known = [turn.throttled for turn in turns if turn.throttled is not None]
    reasons = dict.fromkeys(reason for each in known for reason in each)
    return ", ".join(reasons) or "none" if known else None


def _energy(turns: Sequence[OnCard]) -> float | None:
    """Joules of the turns that the cell had to itself; None if one is unknown, or if others were there."""
    alone = [turn for turn in turns if turn.seconds is not None]
    joules = [turn.joules for turn in alone if turn.joules is not None]
    if len(joules) < len(alone) or any(turn.others for turn in turns):
        return None
    seconds = sum(turn.seconds or 0.0 for turn in alone)
    return number(sum(joules), _MOST_WATTS * seconds) if seconds >= SHORTEST_WINDOW else None


def _joules_between(start: Reading, stop: Reading) -> float | None:
    if start.joules is None or stop.joules is None:
        return None
    # a driver that was loaded anew counts from 0; power is judged later, as short turns see whole ticks
    return number(stop.joules - start.joules, _MOST_JOULES)


def _clock(handle: Any, kind: int) -> float | None:
    return number(ask(pynvml.nvmlDeviceGetClockInfo, handle, kind), _MOST_MHZ) or None


def _celsius(handle: Any) -> float | None:
    return number(ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU), _MOST_CELSIUS)


def _throttled(handle: Any) -> list[str] | None:
    bits = ask(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    return None if bits is None else [word for bit, word in _REASONS.items() if bits & bit]


def _used_bytes(running: Iterable[Any]) -> dict[int, float | None]:
    # 0 is no answer: a process with a context holds some memory
    return {process.pid: number(process.usedGpuMemory, _MOST_BYTES) or None for process in running}


def _others(reading: Reading, pid: int, ours: Collection[int]) -> int | None:
    """How many processes are none of ours; None where the worker itself is not seen, as in containers."""
    seen = reading.used_bytes or {}
    if pid not in seen:
        return None
    return sum(_group(process) not in ours for process in seen)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return pid
