"""What `spikebench doctor` says of machines that lack something."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench import doctor, environments
from bench.errors import UserError
from bench.measure import limits, load
from tests.cards import A, B, FakeCard, install
from tests.conftest import Command


def said(what: str, root: Path = Path()) -> doctor.Finding:
    (found,) = (finding for finding in doctor.examine(root) if finding.what == what)
    return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LISTEN_SECONDS", 0.01)


def not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "is_ready", lambda *_, **__: False)


def test_every_line_has_a_state_a_thing_and_what_is_said(command: Command) -> None:
    done = command("doctor")
    lines = done.out.splitlines()
    assert [line.split()[0] in ("ok", "note", "missing") for line in lines] == [True] * len(doctor.CHECKS)
    assert [line[9:22].strip() for line in lines] == list(doctor.CHECKS)
    assert all(line[23:] for line in lines)
    assert done.err == "" and str(Path.home()) not in done.out
    assert done.code == (2 if any(line.startswith("missing") for line in lines) else 0)


def test_what_lets_no_run_succeed_is_exit_code_2(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    not_ready(monkeypatch)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
    done = command("doctor")
    assert done.code == 2
    (line,) = (line for line in done.out.splitlines() if line.startswith("missing  disk"))
    assert "1.0 GB free" in line and "8.5 GB" in line and "make room" in line


def test_room_that_is_used_already_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "is_ready", lambda *_, **__: True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e9))
    assert said("disk").state == "ok"


def no(*_: object, **__: object) -> Any:
    raise UserError("there is none")


def test_a_missing_uv_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "find_uv", no)
    assert said("uv").state == "missing" and "make bench" in said("uv").says


def test_a_cache_on_another_filesystem_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "foreign_cache", lambda *_: Path("/elsewhere/uv"))
    found = said("uv's cache")
    assert found.state == "note" and "/elsewhere/uv" in found.says and "UV_CACHE_DIR" in found.says


def test_nothing_on_path_costs_npm_and_compiled_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert said("npm").state == said("C compiler").state == said("images").state == "note"
    assert "DATA=FOLDER" in said("npm").says and "install gcc" in said("C compiler").says
    (tmp_path / "cc").write_text("#!/bin/sh\nexit 1\n")  # as one without OpenMP
    (tmp_path / "cc").chmod(0o755)
    assert said("C compiler").state == "note"
    (tmp_path / "cc").write_text("#!/bin/sh\nexit 0\n")
    assert said("C compiler").state == "ok"


def test_images_that_are_here_need_no_npm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mnist: Path
) -> None:
    shutil.copytree(mnist, tmp_path / "spikebench" / "mnist")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert (said("images").state, said("npm").state) == ("ok", "ok")


def test_a_quota_below_the_cores_says_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(limits, "read", lambda: limits.Limits(cores=2.5))
    found = said("CPU")
    assert found.state == "note" and "16 cores" in found.says and "THREADS=2" in found.says
    monkeypatch.setattr(limits, "read", lambda: limits.Limits(cores=16))
    assert said("CPU").state == "ok"


@pytest.mark.parametrize(("limit", "state"), [(1e9, "missing"), (5e9, "note"), (None, "ok"), (1e12, "ok")])
def test_a_limit_of_memory(monkeypatch: pytest.MonkeyPatch, limit: int | None, state: str) -> None:
    memory = SimpleNamespace(total=16e9, available=12e9)
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    monkeypatch.setattr(limits, "read", lambda: limits.Limits(memory_bytes=limit))
    assert said("memory").state == state


@pytest.mark.parametrize(("share", "state"), [(0.0, "ok"), (0.5, "note"), (None, "note")])
def test_what_others_do_now(monkeypatch: pytest.MonkeyPatch, share: float | None, state: str) -> None:
    monkeypatch.setattr(load, "shares", lambda *_: load.Shares(foreign=share))
    assert said("load").state == state


def test_a_gpu_is_named_with_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    install(monkeypatch, FakeCard(A), FakeCard(B))
    assert said("GPU") == doctor.Finding("GPU", "ok", "Some GPU, GPU 1 in bus order, driver 550.1")
    install(monkeypatch, FakeCard(A))
    assert said("GPU").state == "note" and "CUDA_VISIBLE_DEVICES=1 names none" in said("GPU").says


@pytest.mark.parametrize("what", doctor.CHECKS)
def test_an_odd_machine_is_a_note_and_no_traceback(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(root: Path) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setitem(doctor.CHECKS, what, odd)
    found = said(what)
    assert found.state == "note" and "OSError" in found.says


def test_an_adapter_without_its_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "unavailable", lambda adapter: f"{adapter.name} needs CPython 3.4")
    assert said("Python").state == "note" and "needs CPython 3.4" in said("Python").says
