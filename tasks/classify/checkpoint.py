"""What a training goes on from where it was interrupted: one file an epoch, the last two are kept."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.classify.values import Float

KEPT = 2  # a heat is kept when the last of its workers has finished an epoch, the others having saved it


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A training after an epoch: the classifier's ``state``, the ``curve`` so far, one point an epoch.

    ``cold``: the epochs with which a process began, in which things are compiled and cached.
    ``first_rates`` [batch, outputs] are those of the very first batch, which is looked at when all is done.
    ``host_peak``: the largest resident memory of any process so far, in bytes.
    """

    state: bytes
    curve: list[dict[str, Any]]
    cold: list[int]
    first_rates: Float
    host_peak: int


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write it as ``<epoch>.npz``, whole or not at all, and remove those of earlier epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    epoch = len(checkpoint.curve)
    temporary = folder / "new"
    with temporary.open("wb") as file:
        np.savez(
            file,
            state=np.frombuffer(checkpoint.state, np.uint8),
            curve=np.array(json.dumps(checkpoint.curve)),
            cold=checkpoint.cold,
            first_rates=checkpoint.first_rates,
            host_peak=checkpoint.host_peak,
        )
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / f"{epoch}.npz")
    (folder / f"{epoch - KEPT}.npz").unlink(missing_ok=True)


def load(folder: Path, epoch: int) -> Checkpoint:
    """The one after that epoch.

    Raises:
        OSError: there is none.
    """
    with np.load(folder / f"{epoch}.npz") as archive:
        return Checkpoint(
            state=archive["state"].tobytes(),
            curve=json.loads(str(archive["curve"])),
            cold=archive["cold"].tolist(),
            first_rates=archive["first_rates"],
            host_peak=int(archive["host_peak"]),
        )
