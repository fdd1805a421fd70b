"""Every family of tasks: each package beside this file that has a ``FAMILY``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

import tasks
from tasks.protocol import Family


@cache
def families() -> dict[str, Family]:
    """All families by name, in alphabetical order."""
    found: dict[str, Family] = {}
    for entry in pkgutil.iter_modules(tasks.__path__):
        if entry.ispkg:
            family = family_of(entry.name)
            found[family.name] = family
    return found


def family_of(package: str) -> Family:
    """The family of one package, without importing the others."""
    module: Any = importlib.import_module(f"tasks.{package}")
    family: Family = module.FAMILY
    return family


def family_of_task(task: str) -> Family:
    """The family that has the task.

    Raises:
        KeyError: none has.
    """
    for family in families().values():
        if task in family.tasks:
            return family
    raise KeyError(task)
