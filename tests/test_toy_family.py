"""A third family of tasks: one folder and one page, from profile to report with no other file changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import PATIENCE_SECONDS, table
from tests.test_walls import PROJECT, adapter_names

TOY = PROJECT / "tests" / "toy"
pytestmark = pytest.mark.long  # a whole run, in a copy of the project


@dataclass(frozen=True)
class Finished:
    """A run of the toy profile: the copy of the project that it ran in, and its folder."""

    copy: Path
    results: Path

    @property
    def run(self) -> Path:
        return self.results / "runs" / "latest"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    copy = tmp_path_factory.mktemp("project")
    for folder in ("bench", "tasks", "adapters"):
        shutil.copytree(PROJECT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", copy)
    shutil.copytree(TOY / "tasks", copy / "tasks", dirs_exist_ok=True)
    shutil.copytree(TOY / "bench", copy / "bench", dirs_exist_ok=True)
    results = tmp_path_factory.mktemp("results")
    options = {"--profile": TOY / "toy.toml", "--results": results, "--adapters": TOY / "adapters"}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", *(word for option in options.items() for word in option)],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Finished(copy, results)


def test_the_copy_is_what_ran(finished: Finished) -> None:
    where = "import bench, tasks; print(bench.__file__, tasks.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", where], cwd=finished.copy, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(finished.copy / name / "__init__.py") for name in ("bench", "tasks")]


def test_no_file_of_the_project_is_replaced() -> None:
    files = [path.relative_to(TOY) for folder in ("tasks", "bench") for path in (TOY / folder).rglob("*.py")]
    assert files
    assert [file for file in files if (PROJECT / file).exists()] == []


def test_its_rows_have_their_figures_and_work(finished: Finished) -> None:
    rows = [row for row in table(finished.run / "results.csv") if row["adapter"] == "sorter"]
    assert sorted(row["variant"] for row in rows) == ["halves", "whole"]
    for row in rows:
        assert (row["family"], row["task"], row["status"], row["parity"]) == ("toy", "sorting", "ok", "exact")
        assert row["numbers"] == "2000"
        assert float(row["rmse"]) == 0.0 and float(row["epoch_seconds"]) > 0.0
        assert row["test_accuracy"] == row["epochs"] == ""


def test_adapters_without_it_have_a_row_that_says_so(finished: Finished) -> None:
    rows = {row["adapter"]: row for row in table(finished.run / "results.csv") if row["adapter"] != "sorter"}
    assert sorted(rows) == adapter_names(PROJECT)
    for name, row in rows.items():
        assert row["status"] == "skipped"
        assert row["reason"] == f"{name} has no adapter code for sorting numbers"


def test_it_is_certified_and_the_certificates_are_kept(finished: Finished) -> None:
    found = [row for row in table(finished.run / "parity.csv") if row["adapter"] == "sorter"]
    assert {(row["metric"], row["precision"], float(row["value"])) for row in found} == {
        ("wrong places", precision, 0.0) for precision in ("float64", "float32")
    }
    assert len(list((finished.results / "certificates").glob("*.json"))) == 2


def test_it_ran_in_a_heat_with_a_control(finished: Finished) -> None:
    (heat,) = table(finished.run / "heats.csv")
    assert (heat["task"], heat["baseline"], heat["turns"]) == ("sorting", "sorter/halves", "9")
    turns = [row for row in table(finished.run / "turns.csv") if row["phase"] == "sort"]
    cells = {row["cell"] for row in turns}
    assert len(turns) == 9 and len(cells) == 3  # two variants, and the control
    assert {(row["round"], row["epoch"]) for row in turns} == {(n, n) for n in "123"}


def test_the_report_has_its_section(finished: Finished) -> None:
    page = (finished.run / "report" / "index.html").read_text(encoding="utf-8")
    for text in ("sorting", "no neurons, 2000 numbers", "sorter", "wrong places", "halves"):
        assert text in page
