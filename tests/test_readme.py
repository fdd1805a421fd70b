from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.readme import PROJECT, TEXTS, renewed, tables
from tests.builders import cell, control, save
from tests.test_report import done, row_of


@pytest.mark.parametrize("path", TEXTS, ids=[str(path.relative_to(PROJECT)) for path in TEXTS])
def test_its_figures_are_those_of_the_published_runs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert renewed(text) == text, "run: python -m scripts.readme"


def test_some_figures_of_published_runs_are_shown() -> None:
    texts = [path.read_text(encoding="utf-8") for path in TEXTS]
    assert any("<!-- results: results/published/" in text for text in texts)


@pytest.mark.parametrize("path", TEXTS, ids=[str(path.relative_to(PROJECT)) for path in TEXTS])
def test_its_links_lead_to_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
    assert [link for link in targets if not (path.parent / link).exists()] == []


def a_run(folder: Path) -> Path:
    torch = cell("torch", "csnn")
    own = cell("nengo", "csnn", variant="own", division="open", table="open", compared=False)
    return save(
        folder,
        [
            done(torch, 1.0),
            done(control(torch), 1.01),
            done(cell("slow", "csnn"), 2.0),
            done(cell("lacking", "csnn"), status="skipped", reason="no max-pooling"),
            done(own, 0.5, network="1,000 LIF neurons"),
        ],
    )


def test_rows_have_ratio_and_interval_and_no_rank(tmp_path: Path) -> None:
    text = tables(a_run(tmp_path))
    row = row_of(f"##\n{text}", "##", "slow")
    assert re.fullmatch(r"\d\.\d\d \(\d\.\d\d–\d\.\d\d, 30 of 30 rounds\)", row["time / baseline"])
    assert (row["tie group"], row["test accuracy (%) (500 images)"]) == ("= b", "93.85")
    assert not any("rank" in heading or "status" in heading for heading in row)
    assert "**csnn**, Conv" in text and "2 epochs" in text and "Some CPU, 2 threads, 2026-01-01." in text
    assert "only gaps above 5 % count" in text


def test_only_rows_with_figures_are_shown(tmp_path: Path) -> None:
    assert "lacking" not in tables(a_run(tmp_path))


def test_a_row_that_stands_apart_says_so_and_what_it_ran(tmp_path: Path) -> None:
    text = tables(a_run(tmp_path))
    assert (
        text.index("**Compared, by time / baseline**")
        < text.index("**Open division:")
        < text.index("| nengo")
    )
    assert row_of(f"##\n{text}", "##", "nengo")["ran another network"] == "1,000 LIF neurons"


def test_a_block_is_made_again_and_nothing_else_is_touched(tmp_path: Path) -> None:
    folder = a_run(tmp_path)
    old = f"before\n<!-- results: {folder} -->\n| torch | typed by hand |\n<!-- end of results -->\nafter\n"
    new = renewed(old)
    assert "typed by hand" not in new and "| torch (plain) |" in new
    assert new.startswith(f"before\n<!-- results: {folder} -->\n") and new.endswith(
        "<!-- end of results -->\nafter\n"
    )
    assert renewed(new) == new
