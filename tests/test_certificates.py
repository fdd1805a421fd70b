"""Certificates are made once and kept; which edits void them is tested with the keys, in test_plan.py."""

from __future__ import annotations

import io
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import certificates, session
from bench.progress import Progress
from bench.records import Record, save_manifest
from tests.builders import cell, certify, record
from tests.conftest import Command
from tests.harness import FAKES, interpreter
from tests.test_session import manifest, means

CELL = certify(cell("torch"))
CERTIFICATE = record(CELL, made="2026-01-01T10:00:00+00:00", machine="two-cores", turns=[])


def stored(results: Path) -> list[Path]:
    return sorted((results / "certificates").glob("*"))


@pytest.mark.parametrize("status", ["ok", "wrong"])
def test_a_verdict_is_found_again_for_the_cell_that_asks(tmp_path: Path, status: str) -> None:
    kept = CERTIFICATE.model_copy(update={"status": status})
    certificates.keep(tmp_path, kept)
    assert stored(tmp_path) == [tmp_path / "certificates" / f"{CELL.cell}.json"]
    asks = CELL.model_copy(update={"timeout_seconds": 7.0})
    assert certificates.find(tmp_path, asks) == kept.model_copy(update={"cell": asks})


@pytest.mark.parametrize("status", ["skipped", "diverged", "error", "crashed", "timeout", "out_of_memory"])
def test_what_ended_without_a_verdict_is_tried_again(tmp_path: Path, status: str) -> None:
    certificates.keep(tmp_path, CERTIFICATE.model_copy(update={"status": status}))
    assert stored(tmp_path) == []
    assert certificates.find(tmp_path, CELL) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        CERTIFICATE.model_dump_json()[:-1],
        CERTIFICATE.model_copy(update={"version": 1}).model_dump_json(),
        CERTIFICATE.model_copy(
            update={"cell": CELL.model_copy(update={"cell": "another"})}
        ).model_dump_json(),
    ],
)
def test_what_is_damaged_or_of_another_is_not_found(tmp_path: Path, text: str) -> None:
    certificates.keep(tmp_path, CERTIFICATE)
    (path,) = stored(tmp_path)
    path.write_text(text)
    assert certificates.find(tmp_path, CELL) is None


COUNT = """
made = Path(sys.argv[0]).with_name("made")
made.mkdir(exist_ok=True)
(made / str(os.getpid())).touch()
result(parity="exact")
"""


def run(
    folder: Path, results: Path, python: Path, *, only: str = "adapter=ok,noisy", anew: bool = False
) -> tuple[list[Record], str]:
    """The certificates of a new run, with what is said."""
    made = manifest(folder.name, only)
    wanted = [cell for cell in made.cells if cell.stage == "certify"]
    save_manifest(folder, made.model_copy(update={"cells": wanted}))
    text = io.StringIO()
    with Progress(Console(file=text, emoji=False, width=200), wanted, []) as show:
        records = session.go(folder, replace(means(folder, python), results=results, anew=anew), show)
    return records, text.getvalue()


def test_a_certificate_is_made_once_and_then_found_until_it_is_made_anew(tmp_path: Path) -> None:
    python = interpreter(tmp_path / "python", COUNT)
    made = tmp_path / "made"
    first, said = run(tmp_path / "a", tmp_path, python)
    assert len(list(made.iterdir())) == len(stored(tmp_path)) == 2
    assert "0 reused, 2 to make." in said and said.count("certificate of fc_lif") == 2

    again, said = run(tmp_path / "b", tmp_path, python)
    assert len(list(made.iterdir())) == 2
    assert again == first and all(each.made and each.machine == "two cores" for each in first)
    assert f"2 reused (made {first[0].made[:10]}), 0 to make." in said
    assert "certificate of" not in said and "3/4 Heats: nothing is timed." in said

    run(tmp_path / "c", tmp_path, python, only="adapter=ok,noisy,crash")
    assert len(list(made.iterdir())) == 3  # that of crash alone

    run(tmp_path / "d", tmp_path, python, anew=True)
    assert len(list(made.iterdir())) == 5
    assert len(stored(tmp_path)) == 3


def test_a_certificate_that_ended_without_a_verdict_is_made_in_the_next_run(tmp_path: Path) -> None:
    broken = interpreter(tmp_path / "broken", "result(status='error', reason='no disk')")
    (failed,), _ = run(tmp_path / "a", tmp_path, broken, only="adapter=ok")
    assert (failed.status, failed.reason) == ("error", "no disk")
    (made,), _ = run(tmp_path / "b", tmp_path, interpreter(tmp_path / "python", COUNT), only="adapter=ok")
    assert made.status == "ok"


MEET = """
place = Path(sys.argv[0]).with_name("place")
(place / job["adapter"]).mkdir(parents=True)
while len(list(place.iterdir())) < 2:
    time.sleep(0.01)
result(parity="exact")
"""


def test_several_are_made_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    records, _ = run(tmp_path / "a", tmp_path, interpreter(tmp_path / "python", MEET))
    assert [each.status for each in records] == ["ok", "ok"]


def test_an_edit_of_an_adapter_voids_its_certificate_alone(command: Command, tmp_path: Path) -> None:
    for name in ("numpy_family", "ok", "given"):
        shutil.copytree(FAKES / name, tmp_path / "mine" / name)
    words = ["parity", "--adapters", tmp_path / "mine", "--only", "adapter=ok,given task=fc_lif"]
    said = command(*words)
    assert said.code == 0, said.out + said.err
    before = {path: path.stat().st_mtime_ns for path in stored(tmp_path / "results")}
    assert len(before) == 4  # for either loss

    said = command(*words)
    assert "is complete already" in said.out and len(said.runs) == 1

    with (tmp_path / "mine" / "ok" / "adapter.py").open("a") as file:
        file.write("# edited\n")
    said = command(*words)
    assert said.code == 0, said.out + said.err
    assert len(said.runs) == 2
    after = {path: path.stat().st_mtime_ns for path in stored(tmp_path / "results")}
    assert after.items() > before.items()
    new = after.keys() - before.keys()
    assert len(new) == 2 and all(path.name.startswith("certify-fc_lif-ok-") for path in new)

    assert command(*words, "--fresh").code == 0
    anew = {path: path.stat().st_mtime_ns for path in stored(tmp_path / "results")}
    assert anew.keys() == after.keys()
    assert len(anew.items() - after.items()) == 4  # all, in the places of their last ones
