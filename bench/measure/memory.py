"""Host memory of the calling process."""

from __future__ import annotations

from pathlib import Path


def host_peak_bytes() -> int:
    """Peak resident set (VmHWM) of this process, imports included.

    ``ru_maxrss`` would not do: over fork it starts from the parent's peak.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM line")
