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
from bench.surroundings import for_uv, packages_at_hand, without_python

INSTALLED = PROJECT / "bench" / "installed.py"
_PATIENCE = 300  # seconds
LOCK = "requirements.txt"
CUDA_LOCK = "requirements-cuda.txt"
_STAMP = "lock.sha256"
_OURS = "{}.{}".format(*sys.version_info[:2])


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
        UserError: what it needs has not been locked, its CPython is missing, or uv is, or uv could not
            install the lock.
    """
    chosen, root = lock(adapter, device), root.absolute()
    if chosen is None:
        if reason := unlocked(adapter):
            raise UserError(reason)
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
        sync: list[str | Path] = [uv, "pip", "sync", "--quiet", "--require-hashes"]
        sync += ["--python", python, chosen]
        # what uv has in its cache needs no network
        if _uv([*sync, "--offline"]).returncode:
            _run(name, sync)
        _run(name, [python, "-I", "-c", "import sys; sys.exit(sys.version_info < (3, 11))"])
        (environment / _STAMP).write_text(_digest(chosen))
    return python


def is_ready(adapter: Adapter, *, device: str, root: Path) -> bool:
    """Whether the adapter's environment matches its lock and its CPython; without a lock it needs none.

    An environment runs wherever it lies, as its programs are started by its own interpreter alone.
    """
    chosen = lock(adapter, device)
    if chosen is None:
        return True
    environment = _environment(adapter, chosen, root.absolute())
    stamp, made = environment / _STAMP, environment / "pyvenv.cfg"
    if not all(path.exists() for path in (environment / "bin" / "python", stamp, made)):
        return False
    version = f"version_info = {adapter.python or _OURS}."
    of_python = any(line.startswith(version) for line in made.read_text(encoding="utf-8").splitlines())
    return of_python and stamp.read_text(encoding="utf-8") == _digest(chosen)


def _environment(adapter: Adapter, chosen: Path, root: Path) -> Path:
    return root / ".envs" / (adapter.name + ("-cuda" if chosen.name == CUDA_LOCK else ""))


def _digest(chosen: Path) -> str:
    return hashlib.sha256(chosen.read_bytes()).hexdigest()


def unlocked(adapter: Adapter) -> str:
    """Why nothing of what the adapter needs can be installed; empty if it can, or it needs nothing."""
    if not (adapter.folder / "requirements.in").exists() or (adapter.folder / LOCK).exists():
        return ""
    return f"{adapter.name} has a requirements.in and no {LOCK} yet: make lock NAME={adapter.name}"


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
    if adapter.python in ("", _OURS):
        return sys.executable
    found = shutil.which(f"python{adapter.python}")
    if found is None:
        return None
    # what a version manager puts on PATH need not lead to an interpreter
    say = "import sys; print('{}.{}'.format(*sys.version_info[:2]))"
    done = subprocess.run([found, "-I", "-c", say], capture_output=True, text=True, check=False)
    return os.path.abspath(found) if done.stdout.strip() == adapter.python else None


def find_uv(root: Path) -> Path:
    """The uv that ``make`` installed below ``root``, or else the one on PATH.

    Raises:
        UserError: there is neither.
    """
    found = shutil.which("uv", path=root / ".uv" / "bin") or shutil.which("uv")
    if found is None:
        raise UserError("uv is missing: start by `make bench`, which installs it, or choose --env current")
    return Path(found).absolute()


def interpreter_at_hand() -> Path:
    """The interpreter of ``--env current``: $PYTHON, else the ``python3`` that the user has outside of .venv.

    Its own path, from the root: what a version manager puts on PATH finds it by the person's home folder,
    which workers have not.

    Raises:
        UserError: $PYTHON names no program.
    """
    named = os.environ.get("PYTHON")
    if named:
        found = shutil.which(os.path.expanduser(named))
        if found is None:
            raise UserError(f"PYTHON={named} is no program: name the interpreter that has the frameworks")
        return _itself(found)
    if Path(sys.prefix).resolve() == (PROJECT / ".venv").resolve():
        own = Path(sys.prefix, "bin").resolve()
        folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
        outside = os.pathsep.join(folder for folder in folders if Path(folder).resolve() != own)
        found = shutil.which("python3", path=outside)
        if found is not None:
            return _itself(found)
    return Path(sys.executable)


def _itself(program: str) -> Path:
    done = subprocess.run(
        [program, "-I", "-c", "import sys; print(sys.executable)"],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    own = Path(done.stdout.strip())
    return own if own.is_absolute() and own.is_file() else Path(program).absolute()


def identify(python: Path) -> str:
    """Version and a digest of all code that an interpreter which is to run adapters can import.

    Raises:
        UserError: it is no Python, too old, or has no NumPy.
    """
    way_out = "name another by PYTHON=..., or leave --env current out"
    try:
        done = subprocess.run(
            [python, INSTALLED, PROJECT],
            env=without_python(os.environ) | packages_at_hand() | {"PYTHONSAFEPATH": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except OSError as error:
        raise UserError(f"--env current: {python} cannot be started ({error.strerror}): {way_out}") from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"--env current: reading the code that {python} finds took over {_PATIENCE} s: take large "
            "folders that are no code out of PYTHONPATH"
        ) from None
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
    """Run uv, or what it has made, where it finds its settings, in pyproject.toml."""
    chosen = for_uv(os.environ) | {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=PROJECT, env=chosen, capture_output=True, text=True, errors="replace", check=False
    )
