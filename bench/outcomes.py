"""How a cell may end other than by its figures; known to the worker and to all that runs inside it."""

from __future__ import annotations


class Wrong(Exception):
    """The adapter did something other than what was asked; the message says what."""


class Diverged(Exception):
    """The work left the finite numbers."""
