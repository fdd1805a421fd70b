"""What a person's environment has that programs of ours would take for their own, and where caches lie."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from bench.errors import UserError

# Of what sets up uv this alone is handed on: how a network is reached.  The Makefile has the same list.
REACH = re.compile(
    "UV_(CACHE_DIR|CONFIG_FILE|DEFAULT_INDEX|EXTRA_INDEX_URL|FIND_LINKS|HTTP_TIMEOUT|INDEX|INDEX_.*|"
    "INSECURE_HOST|LINK_MODE|NATIVE_TLS|NO_INDEX|OFFLINE|SYSTEM_CERTS)"
)


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


def for_uv(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which uv installs what it is told, where it is told, whatever else is set up."""
    return {
        name: value
        for name, value in without_python(environment).items()
        if not name.startswith(("UV_", "GIT_")) or REACH.fullmatch(name)
    }


def packages_at_hand() -> dict[str, str]:
    """Where the interpreter at hand finds packages besides its own folders, for a process of any folder."""
    found = {"PYTHONUSERBASE": os.environ.get("PYTHONUSERBASE") or os.path.expanduser("~/.local")}
    if folders := os.environ.get("PYTHONPATH"):
        found["PYTHONPATH"] = absolute(folders)
    return {name: value for name, value in found.items() if os.path.isabs(value)}


def named(path: Path) -> Path:
    """A path that a person names, from the root and with ~ written out: what uses it may run elsewhere.

    Raises:
        UserError: it begins with a ~ that leads nowhere.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise UserError(f"{path}: nobody says where that home folder lies: write the path out") from None
