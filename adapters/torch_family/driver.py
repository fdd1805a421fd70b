"""Why torch sees no GPU; without torch, so that it can be tested where there is none."""

from __future__ import annotations

import re
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")


def why_no_device(torch: str, built_for: str | None, driver: Path = DRIVER) -> str:
    """The reason and the way out in one line, from torch's version and the CUDA version it is built for."""
    if built_for is None:
        return f"torch {torch} is built without CUDA: install one with it, and run with --env current"
    found = re.search(r"\s(\d{3,}(?:\.\d+)+)\s", driver.read_text()) if driver.exists() else None
    if found is None:
        return "torch sees no CUDA device here"
    return (
        f"torch {torch} is built for CUDA {built_for} and sees no device through the NVIDIA driver "
        f"{found[1]}: update the driver, or run with --env current and a torch built for an older CUDA"
    )
