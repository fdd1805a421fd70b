"""What an adapter says, made fit to be kept, printed and published: plain text of bounded length.

A record goes into terminals, pages, tables and repositories, whoever wrote the adapter.  So no string in it
has a control character, a folder of this machine, its user or its name, or the identity of a card.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from bench.catalogue import PROJECT, Adapter

REASON_LENGTH = 300
TEXT_LENGTH = 2000  # of any other text, but packed pictures
NAME_LENGTH = 100
MOST_VALUES = 2_000_000  # in one result, all lists together
DEEPEST = 12
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_QUOTED = re.compile(r"""(?<=['"])/[^'"]*/(?=[^'"/]*['"])""")
_FOLDERS = re.compile(r"(?<![\w.~/])(?:file:/*)?/(?:[^\s/'\":,]+/)+")
_CARDS = re.compile(r"\b(?:GPU|MIG)-[0-9a-fA-F]{4,}(?:-[0-9a-fA-F]+)*(?:/\d+/\d+)?")
_PACKED = re.compile(r"[A-Za-z0-9+/_=-]{64,}")  # pictures in base64, of which no slash begins a folder


def printable(text: str) -> str:
    """One line without a sign that a terminal obeys or a file cannot hold."""
    text = _ESCAPES.sub("", text)
    return "".join(sign if sign.isprintable() else " " for sign in text)


def reason_line(text: str, adapter: Adapter) -> str:
    """A reason: one printable line of bounded length in which nothing tells whose machine it was."""
    return _anonymous(text, adapter, REASON_LENGTH)


def cleaned(outcome: Mapping[str, Any], adapter: Adapter) -> dict[str, Any]:
    """The fields of a record as a worker hands them over, every text in them cleaned.

    Raises:
        ValueError: there is more in it than any honest result has.
    """
    left, places = [MOST_VALUES], _places(adapter.folder.parent)

    def clean(value: object, depth: int, *, shown: bool) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError(f"more than {MOST_VALUES:,} values")
        if depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")
        if isinstance(value, str):
            if shown and _PACKED.fullmatch(value) and not any(place in value for place, _ in places):
                return value
            return _anonymous(value, adapter, TEXT_LENGTH)
        if isinstance(value, int) and abs(value) > 2**63:
            raise ValueError("a whole number of more than 64 bits")
        if isinstance(value, Mapping):
            return {
                _anonymous(str(key), adapter, NAME_LENGTH): clean(item, depth + 1, shown=shown)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [clean(item, depth + 1, shown=shown) for item in value]
        return value

    fields = {
        str(name): clean(value, 0, shown=name == "shows")
        for name, value in outcome.items()
        if name != "reason"
    }
    return fields | {"reason": reason_line(str(outcome.get("reason", "")), adapter)}


def _anonymous(text: str, adapter: Adapter, most: int) -> str:
    for folder, word in _places(adapter.folder.parent):
        text = text.replace(folder, word)
    text = _CARDS.sub("a card", _FOLDERS.sub("", _QUOTED.sub("", _ESCAPES.sub("", text))))
    if (names := _names()) is not None:
        text = names.sub("…", text)
    return " ".join(printable(text).split())[:most]


def _places(adapters: Path) -> list[tuple[str, str]]:
    known = {str(PROJECT): ".", str(adapters): ".", os.path.expanduser("~"): "~"}
    return [(folder, word) for folder, word in known.items() if folder != "/"]


@cache
def _names() -> re.Pattern[str] | None:
    """The names of the machine and of its user, as whole words; such as mean nothing stay."""
    names = {platform.node(), platform.node().partition(".")[0]}
    with suppress(OSError, KeyError):  # a user without a name
        names.add(getpass.getuser())
    told = sorted(name for name in names if len(name) > 3 and name not in ("root", "localhost", "user"))
    if not told:
        return None
    return re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in told))
