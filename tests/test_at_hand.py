"""``--env current``: an interpreter with a carried folder, and no network."""

from __future__ import annotations

import os
import shutil
import socket
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.harness import FAKES, table, write_profile


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """An interpreter as scripts/gpu/setup.sh makes it: it finds NumPy and a carried folder by a .pth file."""
    venv.create(tmp_path / "env", symlinks=True)
    (own,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    carried = tmp_path / "carried"
    (carried / "framework").mkdir(parents=True)
    (carried / "framework" / "__init__.py").write_text("")
    (own / "carried.pth").write_text(f"{sysconfig.get_path('purelib')}\n{carried}\n")
    return tmp_path / "env" / "bin" / "python"


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is asked of the network, and no program is called that would ask it."""
    asked: list[str] = []

    def refuse(*words: Any, **_: Any) -> None:
        asked.append(str(words))
        raise OSError("there is no network")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("uv", "npm", "pip", "curl"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $@" >> {programs}/called\nexit 1\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("UV_OFFLINE", "1")
    (programs / "called").touch()
    yield
    asked += (programs / "called").read_text().splitlines()
    assert asked == []


@pytest.mark.usefixtures("no_network")
def test_a_run_by_the_interpreter_at_hand_needs_no_network(
    command: Command, interpreter: Path, tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON", str(interpreter))
    adapters = tmp_path / "adapters"
    for name, package in (("carried", "framework"), ("missing", "no_such_framework")):
        shutil.copytree(FAKES / "ok", adapters / name)
        source = (adapters / name / "adapter.py").read_text()
        (adapters / name / "adapter.py").write_text(source + f"\nimport {package}\n")
        (adapters / name / "requirements.txt").write_text("what no index has\n")
    shutil.copytree(FAKES / "numpy_family", adapters / "numpy_family")
    profile = write_profile(tmp_path / "p.toml")
    words = ("--profile", profile, "--env", "current", "--adapters", adapters, "--threads", "1")
    said = command("run", *words, "--data", mnist, "--only", "adapter=carried,missing,torch,nengodl")
    assert said.code == 0, said.out + said.err
    rows = {row["adapter"]: row for row in table(said.runs[0] / "results.csv")}
    assert (rows["carried"]["status"], rows["carried"]["reason"]) == ("ok", "")
    reason = "the interpreter at hand has no {}".format
    assert rows["missing"]["status"] == rows["torch"]["status"] == rows["nengodl"]["status"] == "skipped"
    assert rows["missing"]["reason"].endswith(reason("no_such_framework"))
    assert rows["torch"]["reason"].endswith(reason("torch"))
    assert rows["nengodl"]["reason"]
