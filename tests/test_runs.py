"""Where a run's code comes from, as far as git says it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench import runs


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one commit, in the place of this one."""
    folder = tmp_path / "my project"
    (folder / "adapters" / "torch").mkdir(parents=True)
    (folder / "adapters" / "torch" / "adapter.py").write_text("one")
    (folder / ".gitignore").write_text("results\n")
    git(folder, "init", "--quiet")
    commit(folder)
    monkeypatch.setattr(runs, "PROJECT", folder)
    return folder


def git(folder: Path, *words: str) -> str:
    known = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | known,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")


def test_the_commit_of_the_project_is_known(project: Path) -> None:
    assert runs.git_state() == {"commit": git(project, "rev-parse", "HEAD"), "dirty": False}
    (project / "notes.txt").touch()
    (project / "results").mkdir()
    (project / "results" / "x").touch()
    assert runs.git_state()["dirty"] is False


@pytest.mark.parametrize("name", ["adapters/mine/adapter.toml", "tasks/new.py", "adapters/torch/adapter.py"])
def test_code_that_git_does_not_know_is_a_local_change(project: Path, name: str) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("two")
    assert runs.git_state()["dirty"] is True


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CEILING_DIRECTORIES"])
def test_another_repository_that_the_environment_names_is_not_asked(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = runs.git_state()
    monkeypatch.setenv(name, str(tmp_path / "other"))
    assert runs.git_state() == before


def test_a_project_inside_another_repository_has_no_commit(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PROJECT", project / "adapters")
    assert runs.git_state() == {"unknown": "the project lies in another repository and is none itself"}


def test_why_a_commit_is_unknown_is_said_without_a_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(
        f"#!/bin/sh\necho \"fatal: detected dubious ownership in repository at '{project}'\" >&2\nexit 128\n"
    )
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    said = "detected dubious ownership in repository at the project"
    assert runs.git_state() == {"unknown": said}
    (programs / "git").unlink()
    assert runs.git_state() == {"unknown": "there is no git here"}
