from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import doctor
from bench.catalogue import discover
from bench.profile import task_names
from scripts import readme
from scripts.readme import PROJECT, TEXTS, answer, renewed, tables
from tests.builders import cell, control, save
from tests.test_report import done, row_of

DOCUMENTS = (
    *TEXTS,
    *sorted((PROJECT / "docs").glob("*.md")),
    PROJECT / "CONTRIBUTING.md",
    PROJECT / "CHANGELOG.md",
)


@pytest.mark.parametrize("path", TEXTS, ids=[str(path.relative_to(PROJECT)) for path in TEXTS])
def test_its_figures_are_those_of_the_published_runs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert renewed(text) == text, "run: python -m scripts.readme"


def test_some_figures_of_published_runs_are_shown() -> None:
    texts = [path.read_text(encoding="utf-8") for path in TEXTS]
    assert any("<!-- results: results/published/" in text for text in texts)


@pytest.mark.parametrize("path", DOCUMENTS, ids=[str(path.relative_to(PROJECT)) for path in DOCUMENTS])
def test_its_links_lead_to_files_and_headings(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    lost = []
    for link in links:
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in headings(target)):
            lost.append(link)
    assert lost == []


def headings(path: Path) -> set[str]:
    """The anchors of a document's headings, as they are made from them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_it_is_read_in_minutes_and_has_one_picture() -> None:
    assert README.count("\n") <= 125
    assert README.count("![") == 1


def test_it_names_every_task_and_every_variant_of_every_adapter() -> None:
    assert [task for task in task_names() if f"`{task}`" not in README] == []
    for name, adapter in discover(None).items():
        (row,) = (line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
        assert [variant for variant in adapter.names() if f"`{variant}`" not in row] == []


def test_the_room_that_it_asks_for_is_what_doctor_asks_for() -> None:
    assert f"{doctor.ROOM_BYTES / 1e9:.1f} GB of disk" in README


def test_what_it_tells_to_type_is_there() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    typed = {word for path in DOCUMENTS for word in re.findall(r"`make (\w+)", path.read_text("utf-8"))}
    assert typed and [word for word in typed if f"\n{word}:" not in makefile] == []
    options = re.findall(r"\b([A-Z]{2,})=", README)
    known = re.search(r"^OPTIONS = (.*)$", makefile, re.MULTILINE)
    assert known and [name for name in options if name not in known[1].split()] == []


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


def standing(text: str, framework: str) -> str:
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {framework} "))
    return row.split("|")[2].strip()


def test_the_answer_has_three_sentences_a_picture_and_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readme, "PROJECT", tmp_path)
    folder = a_run(tmp_path / "results" / "published" / "run")
    text = answer(folder)
    assert text.startswith("`make bench PROFILE=quick` on Some CPU, cpu, 2 threads, 2026-01-01: 30 rounds a ")
    assert "1 seed (single run); it took 0 minutes" in text
    assert "- **Which is fastest?** csnn: torch, others 1.98 times as long." in text
    assert "![" not in text
    (folder / readme.PICTURE[0]).touch()
    assert f"](results/published/run/{readme.PICTURE[0]})" in answer(folder)
    rows = {name: standing(text, name) for name in ("torch", "slow", "nengo")}
    assert rows["torch"] == "1.00×" and re.fullmatch(r"(1\.9|2\.0)\d×", rows["slow"])
    assert rows["nengo"] == "own way only"
    assert "| fastest takes | 10.0 (s/epoch) |" in text


def test_a_block_takes_the_newest_run_of_its_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readme, "PROJECT", tmp_path)
    for name in ("z/2026-01-01-quick", "m/2026-01-03-other", "a/2026-01-02-quick"):
        a_run(tmp_path / "published" / name)
    (tmp_path / "published" / "a" / "2026-01-02-quick" / readme.PICTURE[0]).touch()
    text = renewed("<!-- answer: published/*/*-quick -->\nold\n<!-- end of answer -->\n")
    assert "published/a/2026-01-02-quick/" in text and "old" not in text
    assert renewed(text) == text


def test_times_are_over_the_fastest_whoever_that_is(tmp_path: Path) -> None:
    torch = cell("torch", "csnn")
    quick, limit = cell("quick", "csnn"), cell("limit", "csnn", reference=True)
    records = [done(torch, 1.0), done(control(torch), 1.01), done(quick, 0.5), done(limit, 0.05)]
    text = answer(save(tmp_path, records))
    assert standing(text, "quick") == "1.00×"
    assert re.fullmatch(r"(1\.9|2\.0)\d×", standing(text, "torch"))
    assert re.fullmatch(r"0\.(09|1)\d*×", standing(text, "limit (no framework)"))
