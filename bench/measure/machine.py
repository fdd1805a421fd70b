"""What machine this is, read and never set."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil


def describe() -> dict[str, Any]:
    """CPU, memory, GPU and a short name made from them; no host name, nothing that is absent."""
    cpu = _cpu_model()
    cores = len(os.sched_getaffinity(0))
    gpu = gpu_state()
    model = gpu["name"] if gpu else cpu
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
    if gpu:
        machine["gpu"] = gpu
    return machine


def identity(machine: dict[str, Any]) -> dict[str, Any]:
    """The part of ``describe`` that stays the same from minute to minute."""
    gpu = machine.get("gpu")
    return {key: machine[key] for key in ("name", "cpu", "cores")} | {"gpu": gpu["name"] if gpu else None}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def gpu_state() -> dict[str, Any] | None:
    """What NVML says of the first GPU: identity, clocks, power limit, temperature; None without one."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        readings: dict[str, Callable[[], Any]] = {
            "name": lambda: _text(pynvml.nvmlDeviceGetName(handle)),
            "uuid": lambda: _text(pynvml.nvmlDeviceGetUUID(handle)),
            "driver": lambda: _text(pynvml.nvmlSystemGetDriverVersion()),
            "memory_bytes": lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            "used_bytes": lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).used),
            "sm_clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
            "memory_clock_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
            "power_limit_watts": lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000,
            "temperature_c": lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
            "throttle_reasons": lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
            "mig": lambda: bool(pynvml.nvmlDeviceGetMigMode(handle)[0]),
            "processes": lambda: len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle)),
        }
        state = {}
        for key, read in readings.items():
            try:
                state[key] = read()
            except pynvml.NVMLError:
                continue  # not every GPU answers every question
        return state if "name" in state else None
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
