"""The one exception for input that a person can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import ValidationError


class UserError(Exception):
    """One line that names what was wrong and what to do; the command ends with exit code 2."""


def first_problem(error: ValidationError) -> str:
    """The first of pydantic's complaints as one line: where, what, and what stands there."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] != "value_error" and isinstance(problem["input"], str | int | float):
        message += f", got {problem['input']!r}"
    return f"{where}: {message}" if where else message


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """An error for a name that is not among the known ones, with the nearest of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UserError(f"unknown {kind} {name!r}: {hint}choose from {', '.join(known)}")
