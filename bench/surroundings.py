"""What a person's environment has that programs of ours would take for their own, and where caches lie."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bench.errors import UserError


def cache_folder() -> Path:
    """Where files are kept for all checkouts of a user: $XDG_CACHE_HOME/spikebench, or else below ~/.cache.

    Raises:
        UserError: nobody says where the user's files lie.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):  # others are to be ignored, says the specification
        return Path(named, "spikebench")
    try:
        return Path.home().absolute() / ".cache" / "spikebench"
    except RuntimeError:
        raise UserError(
            "HOME is not set and this user has no entry: set HOME or XDG_CACHE_HOME to a folder for files"
        ) from None


def without_python(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without Python's own variables, by which another program's modules would be loaded."""
    return {name: value for name, value in environment.items() if not name.startswith("PYTHON")}


def absolute(folders: str) -> str:
    """A list of folders as of PYTHONPATH, seen from where the person is; an empty entry is that folder."""
    return os.pathsep.join(map(os.path.abspath, folders.split(os.pathsep)))
