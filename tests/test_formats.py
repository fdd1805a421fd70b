"""What `spikebench report --format` prints."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.report.files import write_tables
from bench.report.formats import escaped, printed
from bench.report.sentences import sureness_of, threads
from tests.builders import cell, manifest, save
from tests.conftest import Command
from tests.test_report import NASTY, mixed, row_of

SIGNS = r"\ ~ ^ < > | [x] {y} & % $ # _ * – × ² ö 你"


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((1, 1), " (single run)"),
        ((1, 3), " (single run to indicative)"),
        ((3, 3), " (indicative)"),
        ((5, 9), ""),
    ],
)
def test_what_so_few_seeds_are_is_said_of_the_fewest_and_the_most(
    counts: tuple[int, int], words: str
) -> None:
    assert sureness_of(counts) == words


def test_threads_are_those_of_the_work_and_of_older_records_those_of_the_run() -> None:
    one, two = (cell("torch", work={"threads": count}) for count in (1, 2))
    older = cell("torch", work={})
    run = manifest([], settings={"threads": 4})
    assert threads([one], run) == "1 thread"
    assert threads([two, one, two], run) == "1 or 2 threads"
    assert threads([older], run) == threads([], run) == "4 threads"
    assert threads([older], manifest([], settings={})) == "unknown threads"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save(tmp_path / "results" / "runs" / "2026-01-01T10-00-00-quick", mixed())


def test_csv_is_results_csv(run: Path) -> None:
    write_tables(run)
    assert printed(run, "csv") == (run / "results.csv").read_text()
    assert len(list(csv.DictReader(io.StringIO(printed(run, "csv"))))) == len(mixed()) - 2  # two controls


def test_markdown_has_every_row_of_every_task_and_what_it_is_of(run: Path) -> None:
    text = printed(run, "md")
    assert [line.split("**")[1] for line in text.splitlines() if line.startswith("**")] == ["csnn", "fc_lif"]
    assert row_of(f"##\n{text}", "##", "absentee")["reason"] == "needs Python 3.11"
    assert "Some CPU, 2 threads, 2026-01-01." in text


def test_latex_has_every_row_and_what_is_wrong_with_it_below(run: Path) -> None:
    text = printed(run, "latex")
    assert text.count("\\begin{tabular}") == text.count("\\end{tabular}") == 2
    assert re.findall(r"\\label\{tab:(\S+)\}", text) == ["csnn", "fc-lif"]
    for block in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL):
        kinds = re.match(r"\\begin\{tabular\}\{([lr]+)\}", block)
        assert kinds
        rows = [line for line in block.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert {line.count(" & ") + 1 for line in rows} == {len(kinds[1])}
    assert r"\quad reason: needs Python 3.11" in text
    assert "crashed" in text and NASTY.split()[0] not in text


def test_nothing_in_a_text_is_a_command_of_latex() -> None:
    plain = escaped(SIGNS)
    assert plain.isascii() and "\\&" in plain and "\\_" in plain and "\\textbackslash{}" in plain
    assert "$\\times$" in plain and plain.endswith("? ?")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles_and_fits_on_a_page(run: Path, tmp_path: Path) -> None:
    body = printed(run, "latex") + escaped(SIGNS)
    (tmp_path / "page.tex").write_text(
        f"\\documentclass{{article}}\\begin{{document}}{body}\\end{{document}}"
    )
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "page.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "page.pdf").exists()


def test_a_format_goes_to_standard_output_and_changes_no_file(command: Command, run: Path) -> None:
    done = command("report", run, "--format", "csv")
    assert (done.code, done.err, done.out) == (0, "", printed(run, "csv"))
    assert not (run / "report").exists() and not (run / "results.csv").exists()


def test_an_unknown_format_is_one_line(command: Command, run: Path) -> None:
    done = command("report", run, "--format", "ltex")
    assert done.code == 2 and done.err.count("\n") == 1
    assert "unknown format 'ltex': did you mean 'latex'? choose from csv, latex, md" in done.err
