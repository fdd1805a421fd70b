"""Which GPUs TensorFlow brings code for; without TensorFlow, so that it can be tested where there is none."""

from __future__ import annotations

import re
from collections.abc import Iterable


def obstacle(version: str, built_for: Iterable[str], capability: tuple[int, int] | None) -> str:
    """Why a GPU of this compute capability is not tried, in one line; empty if it can be, or is unknown.

    Args:
        version: of TensorFlow.
        built_for: names of architectures, like ``sm_75`` and ``compute_80``.
        capability: major and minor number of the GPU's.
    """
    numbers = [re.match(r"(?:sm|compute)_(\d+)", name) for name in built_for]
    newest = max((int(found[1]) for found in numbers if found), default=0)
    # within a major number, code for an older card runs on a newer one
    if not newest or capability is None or capability[0] <= newest // 10:
        return ""
    return (
        f"TensorFlow {version} has code for GPUs of compute capability {newest // 10}.x at most, and this "
        f"one has {capability[0]}.{capability[1]}: to compile for it could take half an hour"
    )
