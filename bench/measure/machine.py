"""What machine this is, read and never set."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import psutil

from bench.measure import gpu, limits
from bench.measure.card import Card


def describe(card: Card | None = None) -> dict[str, Any]:
    """CPU, memory, the GPU of the run and a short name made from them; no host name, nothing absent."""
    cpu = _cpu_model()
    cores, limited = len(os.sched_getaffinity(0)), limits.read()
    model = card.name if card else cpu
    short = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((R|TM)\)|CPU|Processor|@.*", "", model).lower()).strip("-")
    machine: dict[str, Any] = {
        "name": f"{short or platform.machine()}-{cores}c",
        "cpu": cpu,
        "cores": cores,
        "memory_bytes": min(psutil.virtual_memory().total, limited.memory_bytes or sys.maxsize),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    if limited.cores is not None and limited.cores < cores:
        machine["cpu_quota"] = limited.cores
        machine["name"] += f"-quota-{limited.cores:.3g}"
    if limited.memory_bytes is not None and limited.memory_bytes == machine["memory_bytes"]:
        machine["memory_limit_bytes"] = limited.memory_bytes
        machine["name"] += f"-memory-{limited.memory_bytes / 1e9:.3g}gb"
    if governor := _words(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")).strip():
        machine["cpu_governor"] = governor
    if card:
        machine["gpu"] = gpu.describe(card)
    return machine


def identity(machine: dict[str, Any]) -> dict[str, Any]:
    """The part of ``describe`` that stays the same from minute to minute."""
    card = machine.get("gpu")
    named = f"{card['name']} {card['card']}" if card else None
    return {key: machine[key] for key in ("name", "cpu", "cores")} | {"gpu": named}


def _cpu_model() -> str:
    for line in _words(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _words(path: Path) -> str:
    """A file of the kernel; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
