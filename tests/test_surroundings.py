"""What a person's environment says, and what our programs make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UserError
from bench.surroundings import cache_folder, without_python


def unknown_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user id without an entry, in a container that was given none."""

    def unknown(_: object = None) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.setattr(Path, "expanduser", unknown)


@pytest.mark.parametrize(
    ("named", "home", "folder"),
    [
        ("/cache", "/home/me", "/cache/spikebench"),
        ("", "/home/me", "/home/me/.cache/spikebench"),
        ("relative", "/home/me", "/home/me/.cache/spikebench"),
        (None, "/", "/.cache/spikebench"),
    ],
)
def test_caches_lie_in_one_folder_wherever_a_program_runs(
    monkeypatch: pytest.MonkeyPatch, named: str | None, home: str, folder: str
) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if named is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", named)
    assert cache_folder() == Path(folder)


def test_a_home_that_is_relative_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "mine")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / "mine" / ".cache" / "spikebench"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown_home(monkeypatch)
    with pytest.raises(UserError, match=r"HOME is not set .*: set HOME or XDG_CACHE_HOME"):
        cache_folder()


def test_variables_of_python_are_left_out() -> None:
    assert without_python({"PYTHONPATH": "/junk", "PYTHONINSPECT": "1", "PATH": "/bin"}) == {"PATH": "/bin"}
