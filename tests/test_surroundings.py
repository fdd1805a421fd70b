"""What a person's environment says, and what our programs make of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import doctor, run, runs
from bench.catalogue import PROJECT
from bench.environments import prepare
from bench.errors import UserError
from bench.records import load_manifest, load_records
from bench.surroundings import cache_folder, without_python
from tests.conftest import Command
from tests.harness import FAKES, table, write_profile


def unknown_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user id without an entry, in a container that was given none."""

    def unknown(path: Path | None = None) -> Path:
        if path is not None and not str(path).startswith("~"):
            return path
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


@pytest.mark.parametrize("words", [["--adapters", "~nobody-at-all/x  y"], ["--data", "~nobody-at-all/x  y"]])
def test_a_home_that_leads_nowhere_is_one_line(command: Command, words: list[str]) -> None:
    said = command("run", *words)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        "spikebench: ~nobody-at-all/x  y: nobody says where that home folder lies: write the path out\n"
    )


def test_a_user_without_a_home_runs_with_images_of_their_own(
    command: Command, mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown_home(monkeypatch)
    words = ["--adapters", FAKES, "--only", "adapter=ok", "--profile", write_profile(tmp_path / "tiny.toml")]
    said = command("run", *words, "--data", mnist)
    assert said.code == 0, said.out + said.err
    assert all(finding.says.find("RuntimeError") < 0 for finding in doctor.examine(tmp_path))
    (said.runs[0] / "records").rename(said.runs[0] / "gone")
    said = command("run", *words)
    assert said.code == 2 and "set HOME or XDG_CACHE_HOME" in said.err and said.err.count("\n") == 1


def test_a_folder_is_shown_by_its_home_and_the_root_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for home, shown in (("/home/me", "~/x"), ("/", "/home/me/x"), ("/home/m", "/home/me/x")):
        monkeypatch.setenv("HOME", home)
        assert doctor._short(Path("/home/me/x")) == shown


def spikebench(*words: object, code: str = "", **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nfrom bench.cli import main; main()", *map(str, words)],
        cwd=PROJECT,
        env=os.environ | variables,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_a_letter_gets_another(encoding: str) -> None:
    code = "from bench import cli; cli.catalogue.discover = lambda *_: print('\\u4e00 \\u2013') or {}"
    done = spikebench("list", code=code, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    expected = "\u4e00 \u2013".encode(encoding, errors="replace")
    assert done.stdout.splitlines()[0] == expected and done.stderr == b""


def test_an_output_that_nobody_reads_any_more_is_one_line(tmp_path: Path) -> None:
    """As in `make bench | head`: once a run ended there without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "bench", "list"],
        cwd=PROJECT,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 2
    assert done.stderr == (
        "spikebench: what read the output has gone: what is finished is kept, the same command goes on from "
        "there\n"
    )


def test_junk_on_pythons_path_does_not_reach_a_harness_that_make_starts(tmp_path: Path) -> None:
    for name in ("typer", "pydantic", "bench", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('junk')")
    done = subprocess.run(
        [sys.executable, "-E", "-m", "bench", "list"],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONINSPECT": "1", "PYTHONSAFEPATH": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "") and "adapter  torch" in done.stdout


def test_an_adapter_that_cannot_be_installed_is_its_own_row_until_it_can(
    command: Command, mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"noisy"}

    def prepare_or_not(adapter: Any, **words: Any) -> Path:
        if adapter.name in broken:
            raise UserError(f"{adapter.name}: uv could not prepare its environment (no network): connect")
        return prepare(adapter, **words)

    monkeypatch.setattr(run, "prepare", prepare_or_not)
    profile = write_profile(tmp_path / "tiny.toml", seeds=[1, 2])
    words = ["--adapters", FAKES, "--profile", profile, "--data", mnist, "--only", "adapter=ok,noisy"]

    first = command("run", *words)
    assert "What a failed cell has printed: " in first.out
    assert first.code == 1 and "(no network)" in first.out and first.err == ""
    (folder,) = first.runs
    rows = table(folder / "results.csv")
    assert {row["adapter"]: row["status"] for row in rows} == {"ok": "ok", "noisy": "error"}
    assert {row["reason"] for row in rows if row["adapter"] == "noisy"} == {
        "noisy: uv could not prepare its environment (no network): connect"
    }

    kept = load_records(folder)
    again = command("run", *words)
    assert again.code == 1 and "is complete but for noisy" in again.out
    assert load_records(folder) == kept

    broken.clear()
    mended = command("run", *words)
    assert mended.code == 0, mended.out + mended.err
    assert mended.runs == [folder] and all(record.status == "ok" for record in load_records(folder))
    certificates = [record for record in kept if record.cell.stage == "certify" and record.status == "ok"]
    assert all(record in load_records(folder) for record in certificates)

    broken.update(("ok", "noisy"))
    none = command("run", *words, "--fresh")
    assert none.code == 2 and none.err.count("\n") == 1 and "no network" in none.err
    assert none.runs == [folder]


def test_other_libraries_are_another_run_and_their_folders_are_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    plain = run._settings(run.Asked())
    found = []
    for folders in ("/opt/mine/lib", "/opt/other/lib"):
        monkeypatch.setenv("LD_LIBRARY_PATH", folders)
        found.append(run._settings(run.Asked()))
    assert "libraries" not in plain and found[0] != found[1] and "/opt" not in str(found)
    for settings in found:
        assert plain == {name: value for name, value in settings.items() if name != "libraries"}


def test_an_adapter_of_a_persons_own_is_a_local_change(
    command: Command, mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "git_state", lambda: {"commit": "abc", "dirty": False})
    words = ["--profile", write_profile(tmp_path / "tiny.toml"), "--data", mnist, "--adapters", FAKES]
    said = command("run", *words, "--only", "adapter=skip")
    assert load_manifest(said.runs[0]).git == {"commit": "abc", "dirty": True}
