"""GPU memory of a worker as the driver counts it."""

from __future__ import annotations

import pynvml


def used_bytes(pid: int) -> int | None:
    """Memory that the process holds on all GPUs, now; None where the driver does not say."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        total = None
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
                if process.pid == pid and process.usedGpuMemory is not None:
                    total = (total or 0) + int(process.usedGpuMemory)
        return total
    except pynvml.NVMLError:
        return None  # an optional measurement never ends a run
    finally:
        pynvml.nvmlShutdown()
