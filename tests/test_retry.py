"""Cells that failed are run again alone; what is finished stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bench import session
from bench.heat import run_heat
from bench.records import load_manifest, load_records, record_path
from bench.report.sections import sections
from tests.conftest import Command
from tests.harness import FAKES, contents, write_profile

FLAKY = """
from pathlib import Path
from adapters.numpy_family.classifier import NumpyClassifier, configure, device_memory, sync, versions

__all__ = ["VARIANTS", "configure", "device_memory", "sync", "versions"]

class Flaky(NumpyClassifier):
    def train_batch(self, inputs, codes):
        if self.settings.seed:
            with Path({log!r}).open("a") as file:
                file.write("{name}\\n")
            if "{name}" == "flaky" and not Path({mended!r}).exists():
                raise RuntimeError("no luck")
        return super().train_batch(inputs, codes)

VARIANTS = {{"plain": Flaky}}
"""


@pytest.fixture
def words(tmp_path: Path, mnist: Path) -> list[Any]:
    """A run of an adapter that works, one that cannot do it, and one that fails until a file is there."""
    mine = tmp_path / "mine"
    shutil.copytree(FAKES / "numpy_family", mine / "numpy_family")
    shutil.copytree(FAKES / "skip", mine / "skip")
    for name in ("fine", "flaky"):
        shutil.copytree(FAKES / "ok", mine / name)
        source = FLAKY.format(name=name, log=str(tmp_path / "log"), mended=str(tmp_path / "mended"))
        (mine / name / "adapter.py").write_text(source)
    profile = write_profile(tmp_path / "tiny.toml")
    only = "adapter=fine,flaky,skip"
    return ["--adapters", mine, "--only", only, "--profile", profile, "--data", mnist]


def statuses(run: Path) -> dict[str, str]:
    return {r.cell.adapter: r.status for r in load_records(run) if r.cell.stage == "run"}


def test_what_failed_is_run_again_alone(command: Command, tmp_path: Path, words: list[Any]) -> None:
    first = command("run", *words)
    assert first.code == 1, first.out + first.err
    (run,) = first.runs
    assert statuses(run) == {"fine": "ok", "flaky": "error", "skip": "skipped"}
    before = {r.cell.cell: r for r in load_records(run) if r.status != "error"}
    (tmp_path / "log").write_text("")
    certificates = contents(tmp_path / "results" / "certificates")

    again = command("run", *words, "--retry")  # it fails again
    assert (again.code, again.runs) == (1, [run])
    assert statuses(run)["flaky"] == "error"

    (tmp_path / "mended").touch()
    assert command("run", *words).code == 1  # nothing is tried that nobody asked for
    assert "no luck" in next(r.reason for r in load_records(run) if r.status == "error")
    mended = command("run", *words, "--retry")
    assert (mended.code, mended.runs) == (0, [run]), mended.out + mended.err
    assert statuses(run) == {"fine": "ok", "flaky": "ok", "skip": "skipped"}
    assert set((tmp_path / "log").read_text().split()) == {"flaky"}
    after = {r.cell.cell: r for r in load_records(run)}
    assert {key: after[key] for key in before} == before
    assert contents(tmp_path / "results" / "certificates") == certificates
    # rounds in which nobody else took a turn compare nobody
    rounds = {t.round for r in after.values() if r.cell.adapter == "flaky" for t in r.turns}
    assert not rounds & {t.round for r in before.values() for t in r.turns}
    (section,) = sections(load_manifest(run), load_records(run))
    assert section is not None

    done = command("run", *words, "--retry")
    assert done.code == 0 and "is complete, and nothing in it failed" in done.out


def test_an_old_record_stays_until_the_new_try_has_its_own(
    command: Command, tmp_path: Path, words: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = command("run", *words).runs
    path = record_path(run, load_manifest(run).cells[-1])
    before = path.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(session, "run_heat", interrupted)
        assert command("run", *words, "--retry").code == 130
    assert path.read_bytes() == before
    (tmp_path / "mended").touch()
    assert command("run", *words, "--retry").code == 0


def test_a_new_run_and_another_try_exclude_one_another(command: Command, words: list[Any]) -> None:
    said = command("run", *words, "--retry", "--fresh")
    assert said.code == 2 and "leave one out" in said.err and said.err.count("\n") == 1


def test_code_that_is_edited_while_a_run_is_under_way_is_an_error_of_its_cells(
    command: Command, tmp_path: Path, words: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine" / "fine" / "adapter.py"

    def edited(*given: Any) -> Any:
        path.write_text(path.read_text() + "\n# edited\n")
        return run_heat(*given)

    monkeypatch.setattr("bench.session.run_heat", edited)
    (tmp_path / "mended").touch()
    (run,) = command("run", *words).runs
    assert statuses(run) == {"fine": "error", "flaky": "ok", "skip": "skipped"}
    assert {r.reason for r in load_records(run) if r.status == "error"} == {
        "its code was edited while the run was under way: run again"
    }
