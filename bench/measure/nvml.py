"""The driver's library, asked so that no refusal ends a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pynvml


@contextmanager
def session() -> Iterator[None]:
    """The library, opened and closed again.

    Raises:
        NVMLError: there is no driver, or it does not answer.
    """
    pynvml.nvmlInit()
    try:
        yield
    finally:
        with suppress(pynvml.NVMLError):  # a driver may go meanwhile
            pynvml.nvmlShutdown()


def ask(question: Callable[..., Any], *of: Any) -> Any:
    """The answer; None where the driver refuses it: no permission, MIG, a lost card, none of this model's."""
    try:
        return question(*of)
    except pynvml.NVMLError:
        return None


def number(value: object, most: float) -> float | None:
    """A finite number from 0 to ``most``, as it is; None for all else, which is no measurement."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if 0 <= value <= most else None


def words(value: str | bytes | None) -> str:
    """A name, which older versions of the library give as bytes; empty where it was refused."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
