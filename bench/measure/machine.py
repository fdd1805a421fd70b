"""What machine this is, read and never set."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import psutil

from bench.measure import gpu
from bench.measure.card import Card


def describe(card: Card | None = None) -> dict[str, Any]:
    """CPU, memory, the GPU of the run and a short name made from them; no host name, nothing absent."""
    cpu = _cpu_model()
    cores = len(os.sched_getaffinity(0))
    model = card.name if card else cpu
    short = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((R|TM)\)|CPU|Processor|@.*", "", model).lower()).strip("-")
    machine: dict[str, Any] = {
        "name": f"{short}-{cores}c",
        "cpu": cpu,
        "cores": cores,
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor.exists():
        machine["cpu_governor"] = governor.read_text().strip()
    if card:
        machine["gpu"] = gpu.describe(card)
    return machine


def identity(machine: dict[str, Any]) -> dict[str, Any]:
    """The part of ``describe`` that stays the same from minute to minute."""
    card = machine.get("gpu")
    named = f"{card['name']} {card['card']}" if card else None
    return {key: machine[key] for key in ("name", "cpu", "cores")} | {"gpu": named}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
