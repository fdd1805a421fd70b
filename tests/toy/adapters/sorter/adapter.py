from __future__ import annotations

import platform
from dataclasses import asdict

import numpy as np

from tasks.protocol import Settings
from tasks.toy import Float, Sorting


class Whole:
    def __init__(self, task: Sorting, settings: Settings) -> None:
        pass

    def sort(self, numbers: Float) -> Float:
        return np.sort(numbers)


class Halves(Whole):
    def sort(self, numbers: Float) -> Float:
        middle = len(numbers) // 2
        return np.sort(np.concatenate([np.sort(numbers[:middle]), np.sort(numbers[middle:])]), kind="stable")


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "numpy": np.__version__}


def configure(settings: Settings) -> dict[str, object]:
    return asdict(settings)


def sync() -> None:
    pass


def device_memory() -> None:
    return None


VARIANTS = {"whole": Whole, "halves": Halves}
