"""One environment per adapter, made by uv from its hashed lock, and the interpreter for ``--env current``."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.catalogue import PROJECT, Adapter
from bench.errors import UserError

LOCK = "requirements.txt"
CUDA_LOCK = "requirements-cuda.txt"
_STAMP = "lock.sha256"


def lock(adapter: Adapter, device: str) -> Path | None:
    """The adapter's lock for a device: one for CUDA if it has that, else its only one; None without any."""
    wanted = (CUDA_LOCK, LOCK) if device == "cuda" and device in adapter.devices else (LOCK,)
    return next((adapter.folder / name for name in wanted if (adapter.folder / name).exists()), None)


def prepare(adapter: Adapter, *, device: str, root: Path, say: Callable[[str], None]) -> Path:
    """Make the adapter's environment match its lock; milliseconds when it does already.

    Args:
        adapter: without a lock it runs in the harness's own environment.
        device: decides between its locks.
        root: the environment is ``root/.envs/<adapter>``, and another one for a CUDA lock.
        say: takes one line when there is something to wait for.

    Returns:
        The python executable of the environment.

    Raises:
        UserError: its CPython is missing, or uv is, or uv could not install the lock.
    """
    chosen, root = lock(adapter, device), root.absolute()
    if chosen is None:
        return Path(sys.executable)
    base = _base(adapter)
    if base is None:
        raise UserError(f"{unavailable(adapter)}: install it, or leave {adapter.name} out")
    environment = _environment(adapter, chosen, root)
    name, python = environment.name, environment / "bin" / "python"
    if is_ready(adapter, device=device, root=root):
        return python
    environment.parent.mkdir(parents=True, exist_ok=True)
    with _alone(environment.with_name(f".{name}.lock")):
        if is_ready(adapter, device=device, root=root):
            return python
        uv = find_uv(root)
        say(f"{name}: preparing its environment, which may download some GB{_copies(uv, environment.parent)}")
        # From nothing each time: an interrupted installation can't be told from a whole one.
        _run(name, [uv, "venv", "--quiet", "--clear", "--python", base, environment])
        _run(name, [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, chosen])
        (environment / _STAMP).write_text(_digest(chosen))
    return python


def is_ready(adapter: Adapter, *, device: str, root: Path) -> bool:
    """Whether the adapter's environment matches its lock; without a lock it needs none."""
    chosen = lock(adapter, device)
    if chosen is None:
        return True
    environment = _environment(adapter, chosen, root.absolute())
    stamp = environment / _STAMP
    return (
        (environment / "bin" / "python").exists() and stamp.exists() and stamp.read_text() == _digest(chosen)
    )


def _environment(adapter: Adapter, chosen: Path, root: Path) -> Path:
    return root / ".envs" / (adapter.name + ("-cuda" if chosen.name == CUDA_LOCK else ""))


def _digest(chosen: Path) -> str:
    return hashlib.sha256(chosen.read_bytes()).hexdigest()


def unavailable(adapter: Adapter) -> str:
    """Why no environment of the adapter can be made on this machine; empty if one can."""
    if not adapter.python or _base(adapter):
        return ""
    return f"{adapter.name} needs CPython {adapter.python}, and no python{adapter.python} on PATH is one"


def unavailable_at_hand(adapter: Adapter, interpreter: str) -> str:
    """Why the adapter cannot run in the interpreter that ``identify`` has described; empty if it can."""
    if not adapter.python or interpreter.startswith(f"Python {adapter.python}."):
        return ""
    return f"{adapter.name} needs CPython {adapter.python}, and the interpreter at hand is {interpreter}"


def _base(adapter: Adapter) -> str | None:
    """The interpreter that the adapter's environment is made from."""
    if adapter.python in ("", "{}.{}".format(*sys.version_info[:2])):
        return sys.executable
    found = shutil.which(f"python{adapter.python}")
    if found is None:
        return None
    # what a version manager puts on PATH need not lead to an interpreter
    say = "import sys; print('{}.{}'.format(*sys.version_info[:2]))"
    done = subprocess.run([found, "-c", say], capture_output=True, text=True, check=False)
    return found if done.stdout.strip() == adapter.python else None


def find_uv(root: Path) -> Path:
    """The uv that ``make`` installed below ``root``, or else the one on PATH.

    Raises:
        UserError: there is neither.
    """
    found = shutil.which("uv", path=root / ".uv" / "bin") or shutil.which("uv")
    if found is None:
        raise UserError("uv is missing: start by `make bench`, which installs it, or choose --env current")
    return Path(found)


def interpreter_at_hand() -> Path:
    """The interpreter of ``--env current``: $PYTHON, else the ``python3`` that the user has outside of .venv.

    Raises:
        UserError: $PYTHON names no program.
    """
    named = os.environ.get("PYTHON")
    if named:
        found = shutil.which(named)
        if found is None:
            raise UserError(f"PYTHON={named} is no program: name the interpreter that has the frameworks")
        return Path(found)
    if Path(sys.prefix).resolve() == (PROJECT / ".venv").resolve():
        own = Path(sys.prefix, "bin").resolve()
        folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
        outside = os.pathsep.join(folder for folder in folders if Path(folder).resolve() != own)
        found = shutil.which("python3", path=outside)
        if found is not None:
            return Path(found)
    return Path(sys.executable)


# Printed by the interpreter at hand: what a run's figures depend on, without any folder of the machine.
_IDENTITY = """
import hashlib, importlib.metadata, json, platform, sys
import numpy
packages = sorted(f"{d.name} {d.version}" for d in importlib.metadata.distributions())
digest = hashlib.sha256("\\n".join(packages).encode()).hexdigest()
print(json.dumps({"version": sys.version_info[:3], "packages": digest}))
"""


def identify(python: Path) -> str:
    """Version and a digest of the installed packages of an interpreter that is to run adapters.

    Raises:
        UserError: it is no Python, too old, or has no NumPy.
    """
    done = subprocess.run([python, "-c", _IDENTITY], capture_output=True, text=True, check=False)
    way_out = "name another by PYTHON=..., or leave --env current out"
    if done.returncode or not done.stdout.startswith("{"):
        last = (done.stderr.strip().splitlines() or ["it is no Python interpreter"])[-1]
        raise UserError(f"--env current: {python} cannot run adapters ({last}): {way_out}")
    found = json.loads(done.stdout)
    version = ".".join(map(str, found["version"]))
    if found["version"] < [3, 11]:
        raise UserError(f"--env current: {python} is Python {version}, 3.11 or newer is needed: {way_out}")
    return f"Python {version}, packages {found['packages'][:12]}"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two runs don't build one environment at once."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def foreign_cache(uv: Path, folder: Path) -> Path | None:
    """uv's cache, where it lies on another filesystem than the folder, so that nothing can be hard-linked."""
    done = _uv([uv, "cache", "dir"])
    cache = existing = Path(done.stdout.strip())
    while not existing.exists():
        existing = existing.parent
    return None if existing.stat().st_dev == folder.stat().st_dev else cache


def _copies(uv: Path, folder: Path) -> str:
    """What to add to the announcement where uv can't hard-link from its cache."""
    cache = foreign_cache(uv, folder)
    if cache is None:
        return ""
    return f"; uv's cache lies on another filesystem ({cache}), so it takes up to 5.6 GB: see UV_CACHE_DIR"


def _run(adapter: str, command: list[str | Path]) -> None:
    done = _uv(command)
    if done.returncode == 0:
        return
    # uv writes "error: ...", then "cause: ..." down to the root, then perhaps hints
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(("error:", "cause:"))] or lines
    cause = causes[-1] if causes else f"exit status {done.returncode}"
    cause = cause.removeprefix("error: ").removeprefix("cause: ")
    raise UserError(
        f"{adapter}: uv could not prepare its environment ({cause}): connect to a network and run again, "
        "or use the interpreter at hand with --env current"
    )


def _uv(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run uv where it finds its settings, in pyproject.toml."""
    surroundings = os.environ | {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=PROJECT, env=surroundings, capture_output=True, text=True, check=False)
