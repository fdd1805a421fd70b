"""The first screen: who is fastest, what is tied, what stands in place of a figure, and in which words."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from bench import catalogue
from bench.records import Cell, Metric, Record
from bench.report import classify, deviations, findings, multiples, overview
from bench.report.drawing import styles
from bench.report.links import Links, repository
from bench.report.page import write_report
from bench.report.pages import page_of
from bench.report.sections import Section, sections
from bench.report.tables import Table
from tests.builders import cell, certify, control, manifest, record, save
from tests.test_report import certificate

SECONDS = {"alpha": 1.0, "beta": 1.01, "gamma": 1.3, "delta": 2.0}


def ran(of: Cell, seconds: float, seed: int, noise: float, **changes: Any) -> Record:
    rng = random.Random(f"{seed} {of.cell}")
    times = [seconds * math.exp(rng.gauss(0, noise)) for _ in range(40)]
    figures = {"epoch_seconds": 10 * seconds, "host_peak_bytes": 1e9 * seconds, "test_accuracy": 0.9}
    return record(of, times, **{"figures": figures} | changes)


def heat(task: str = "csnn", seed: int = 0, noise: float = 0.005, load: float = 1.0) -> list[Record]:
    """Everyone beside torch; ``load``: how much slower the machine is for all of them."""
    torch = cell("torch", task)
    members = [torch, control(torch), *(cell(name, task) for name in SECONDS)]
    return [ran(of, load * SECONDS.get(of.adapter, 1.0), seed, noise) for of in members]


def found(records: Sequence[Record]) -> list[Section]:
    return sections(manifest(one.cell for one in records), records)


def only(records: Sequence[Record]) -> Section:
    (section,) = found(records)
    return section


def table(records: Sequence[Record]) -> Table:
    every = found(records)
    pages = {section.cell.family: page_of(section.cell.family) for section in every}
    return overview.table(every, pages, {}, Links(Path("report"), ""))


def row(records: Sequence[Record], name: str) -> list[str]:
    (group,) = table(records).groups
    (entries,) = (entries for entries in group.rows if entries[0].text == name)
    return [f"{entry.text} {entry.note}".strip() for entry in entries]


SKIPPED = record(cell("never", variant="", table=""), status="skipped", reason="never has no adapter code")


def test_two_runs_under_different_load_say_the_same_ties_included() -> None:
    said, marks = set(), set()
    for seed, noise, load in ((1, 0.004, 1.0), (2, 0.012, 1.4), (5, 0.008, 3.0)):
        section = only(heat(seed=seed, noise=noise, load=load))
        said.add((findings.leaders(section), findings.speed(section).partition(" Times")[0]))
        marks.add(tuple((each.adapter, each.group) for each in sorted(section.rows, key=lambda r: r.key)))
    assert said == {
        (
            "alpha, beta and torch (tied)",
            "alpha, beta and torch are tied as fastest: this run cannot tell them apart.",
        )
    }
    assert len(marks) == 1


def test_who_is_slower_stands_by_group_with_its_interval() -> None:
    said = findings.speed(only(heat()))
    assert said.index("gamma 1.3") < said.index("delta 2.0")
    assert "Times as long as the quickest of them, with 95 % intervals: gamma 1.3" in said and "–" in said


def test_one_that_is_fastest_is_named_alone() -> None:
    quick = ran(cell("quick", "csnn"), 0.5, 0, 0.005)
    section = only([*heat(), quick])
    assert row([*heat(), quick], "quick")[1] == "1.00×"
    assert findings.leaders(section) == "quick"
    assert findings.speed(section).startswith(
        "quick is fastest. Times as long as quick, with 95 % intervals: alpha"
    )


def test_what_is_undecided_is_called_so_and_nobody_fastest() -> None:
    section = only([one for one in heat() if one.cell.stage != "control"])
    assert findings.leaders(section).startswith("alpha")
    said = f"{findings.leaders(section)} {findings.speed(section)}"
    assert "is fastest." not in said and "undecided" in said
    alone = only([ran(cell("a", "csnn"), 1.0, 0, 0.005), ran(cell("b", "csnn"), 2.0, 0, 0.005)])
    assert findings.leaders(alone) == "a and b (not told apart)"
    assert findings.speed(alone) == "Which of a and b is fastest, this run does not decide."


def test_where_nothing_is_compared_that_is_said() -> None:
    section = only([record(cell("torch"), status="crashed")])
    assert findings.leaders(section) == ""
    assert findings.speed(section) == "No framework's time is compared here."


def test_a_framework_has_one_place_and_a_mark_where_it_is_not_told_apart_from_the_fastest() -> None:
    records = heat()
    rows = [entries[0].text for entries in table(records).groups[0].rows]
    assert rows == ["torch", "alpha", "beta", "delta", "gamma", "fastest takes"]
    marked = {name: row(records, name)[1].startswith("= 1.0") for name in rows[:-1]}
    assert marked == {"torch": True, "alpha": True, "beta": True, "delta": False, "gamma": False}
    assert row(records, "delta")[1].startswith("2.0")
    assert row(records, "delta")[2] == "2,000"
    assert row(records, "fastest takes")[1] == "10.0 s/epoch"


def test_one_that_is_not_told_apart_from_the_fastest_is_marked_behind_a_slower_one_too() -> None:
    wild = record(cell("wild", "csnn"), [0.9 if place % 9 < 3 else 1.6 for place in range(40)])
    records = [*heat(), wild]
    section = only(records)
    order = [each.adapter for each in section.rows]
    assert order.index("gamma") < order.index("wild")
    marked = {name for name in order if row(records, name)[1].startswith("=")}
    assert marked == {"torch", "alpha", "beta", "wild"}
    assert findings.leaders(section) == "alpha, beta, torch and wild (tied)"
    assert "wild" not in findings.speed(section).partition("Times as long")[2]


@pytest.mark.parametrize(
    ("of", "changes", "words"),
    [
        (cell("x", "csnn"), {"status": "crashed"}, "failed: crashed"),
        (cell("x", "csnn"), {"status": "wrong"}, "failed: other work"),
        (cell("x", "csnn"), {"status": "out_of_memory"}, "failed: out of memory"),
        (cell("x", "csnn"), {"status": "skipped", "reason": "no pooling"}, "not possible"),
        (cell("x", "csnn", table="", variant=""), {"status": "skipped"}, "no adapter"),
        (cell("x", "csnn", division="open", table="open", compared=False), {}, "own way only"),
        (cell("x", "csnn", table="inference", learning="none", compared=False), {}, "inference only"),
        (cell("x", "csnn"), {"parity": "wrong"}, "not compared"),
    ],
)
def test_in_place_of_a_time_stands_why_there_is_none(of: Cell, changes: Any, words: str) -> None:
    elsewhere = ran(cell("x", "fc_lif"), 1.0, 0, 0.005)  # so that it has a row
    records = [*heat(), *heat("fc_lif"), elsewhere, record(of, [1.0] * 20, **changes)]
    assert row(records, "x")[1] == words


def test_the_closed_row_stands_before_the_own_way() -> None:
    own = cell("alpha", "csnn", variant="own", division="open", table="open", compared=False)
    assert row([*heat(), ran(own, 0.1, 0, 0.005)], "alpha")[1].startswith("= 1.0")


def test_an_own_way_that_ran_stands_before_the_closed_row_that_cannot() -> None:
    impossible = record(cell("x", "csnn"), status="skipped", reason="no pooling")
    own = cell("x", "csnn", variant="own", division="open", table="open", compared=False)
    assert row([*heat(), impossible, ran(own, 0.1, 0, 0.005)], "x")[1] == "own way only"


def test_what_was_not_measured_is_absent() -> None:
    bare = [one.model_copy(update={"figures": {}}) for one in heat()]
    assert row(bare, "torch")[2] == "–" and row(bare, "fastest takes")[1] == "–"


def test_tasks_stand_as_the_profile_names_them() -> None:
    records = [*heat("csnn"), *heat("fc_lif")]
    made = manifest([one.cell for one in records], profile_values={"tasks": ["fc_lif", "csnn"]})
    titles = [section.title for section in overview.in_order(made, sections(made, records))]
    assert titles == ["fc_lif", "csnn"]


def test_sizes_of_a_task_stand_as_they_are_planned() -> None:
    sizes = [cell("torch", task_values={"steps": n}, cell=str(n), heat=str(n)) for n in (50, 200, 100)]
    made = manifest(sizes)
    ordered = overview.in_order(made, sections(made, [record(each) for each in sizes]))
    assert [section.cell.task_values["steps"] for section in ordered] == [50, 200, 100]


def test_of_many_sizes_the_first_of_each_task_is_shown() -> None:
    sizes = [
        cell("torch", task, task_values={"steps": n}, cell=f"{task}{n}", heat=f"{task}{n}")
        for task in ("csnn", "fc_lif")
        for n in range(1, 5)
    ]
    every = found([ran(each, 1.0, 0, 0.005) for each in sizes])
    assert len(every) == 8
    assert [s.title for s in overview.shown(every)] == ["csnn (steps 1)", "fc_lif (steps 1)"]
    assert overview.shown(every[:6]) == every[:6]


def test_that_there_are_more_sizes_is_said(tmp_path: Path) -> None:
    sizes = [cell("torch", task_values={"steps": n}, cell=str(n), heat=str(n)) for n in range(1, 8)]
    page = write_report(save(tmp_path, [record(each) for each in sizes])).read_text(encoding="utf-8")
    assert "the first size is shown here; 6 others stand under Speed." in page


def panels(records: Sequence[Record], columns: int = 6) -> list[Axes]:
    figure = multiples.speed(found(records), styles([one.cell for one in records]), columns, 12.0)
    assert figure is not None
    return figure.axes


def test_every_task_is_a_panel_with_a_dot_or_a_word_for_every_framework() -> None:
    failed = record(cell("delta", "fc_lif"), status="timeout")
    records = [*heat("csnn"), *(one for one in heat("fc_lif") if one.cell.adapter != "delta"), failed]
    first, second = panels(records)
    names = [label.get_text() for label in first.get_yticklabels()]
    assert names == ["torch", "alpha", "beta", "delta", "gamma"]
    dots = [line for line in first.get_lines() if line.get_marker() not in ("None", "")]
    assert len(dots) == len(names) and not first.texts
    (word,) = second.texts
    assert (word.get_text(), word.get_position()[1]) == ("failed: timeout", names.index("delta"))
    assert first.get_xscale() == "log"


def test_the_title_counts_who_is_as_fast_as_the_fastest() -> None:
    assert findings.counted(found([*heat("csnn"), *heat("fc_lif")])) == (
        "Not told apart from the fastest, of 2 tasks: alpha 2, beta 2, torch 2; delta and gamma 0"
    )
    assert findings.counted(found(heat())).startswith("csnn: alpha, beta and torch are tied as fastest")


def test_without_a_comparison_there_is_no_figure() -> None:
    assert multiples.speed(found([record(cell("torch"), status="error")]), {}, 6, 12.0) is None


def test_memory_says_who_needs_least_and_most() -> None:
    assert findings.memory(found(heat())).endswith("delta most, 2,000 MB in csnn")
    assert findings.memory([]) == ""


def test_nobody_is_blamed_for_an_adapter_that_is_not_written() -> None:
    impossible = record(cell("torch", "csnn"), status="skipped", reason="certificate: no max-pooling")
    said = findings.not_run(found([SKIPPED, impossible]))
    assert said == "2 of 2: nobody has written an adapter for never (fc_lif). torch: no max-pooling (csnn)."
    assert findings.not_run(found(heat())) == "Nothing was left out."


def test_failures_are_named_with_their_reason() -> None:
    bad = record(cell("b"), status="diverged", reason="Loss became NaN")
    assert findings.failed(found([bad])) == "b plain in fc_lif (diverged: Loss became NaN)."
    assert findings.failed(found(heat())) == "None."


def test_what_was_not_measured_has_its_command() -> None:
    said = findings.elsewhere(manifest([]), [classify.PAGE], set())
    assert "a GPU: make bench DEVICE=cuda" in said and "make versus" in said
    assert findings.elsewhere(manifest([], settings={"device": "cuda"}), [], set()) == ""


@pytest.mark.parametrize(("other", "word"), [(0.902, "equal within their intervals"), (0.95, "not equal")])
def test_accuracies_are_equal_where_their_intervals_overlap(other: float, word: str) -> None:
    records = [*heat(), ran(cell("x", "csnn"), 1.0, 0, 0.005, figures={"test_accuracy": other})]
    assert word in classify.PAGE.learned(only(records))


def test_where_no_framework_is_compared_a_reference_says_what_it_learned() -> None:
    limit = cell("limit", reference=True)
    section = only([record(limit, parity="exact", figures={"test_accuracy": 0.9})])
    assert classify.PAGE.learned(section) == "limit 90.0 %"


def test_an_interval_of_a_share_is_that_of_wilson() -> None:
    low, high = classify.binomial(0.9, 1000)
    assert (low, high) == pytest.approx((0.8799, 0.9171), abs=1e-4)


def test_deviations_stand_over_their_bounds_with_failures_beyond() -> None:
    good = certificate("torch")
    bad = Metric(metric="gradient error", of={"precision": "float32"}, value=float("nan"), bound=1e-5)
    failed = certificate("b", metrics=[*good.metrics, bad], status="wrong", parity="wrong")
    look = styles([certify(cell(name, "csnn")) for name in ("torch", "b")])
    figure = deviations.draw([good], look, 6.0)
    assert figure is not None
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert [" ".join(name.split()) for name in names] == [
        "gradient error, float32",
        "gradient error, float64",
        "spike difference, float32",
    ]
    assert figure.get_suptitle() == (
        "2 checks that allow no difference: none failed. Nearest to its bound: torch's gradient error, "
        "float32, at 40 % of what is allowed"
    )
    worse = deviations.draw([good, failed], look, 6.0)
    assert worse is not None and "Out of bounds: b's gradient error, float32" in worse.get_suptitle()
    assert max(float(line.get_xdata()[0]) for line in worse.axes[0].get_lines()) > 1  # type: ignore[index, arg-type]


def test_accuracy_over_training_time_has_both_divisions_with_their_intervals() -> None:
    figures = {"test_accuracy": 0.9, "train_seconds": 12.0}
    own = cell("alpha", "csnn", variant="own", division="open", table="open", compared=False)
    records = [ran(cell("torch", "csnn"), 1.0, 0, 0.005, figures=figures)]
    records.append(ran(own, 1.0, 0, 0.005, figures=figures | {"test_accuracy": 0.95}))
    (kind,) = (kind for kind in classify.PAGE.plots if kind.name == "accuracy-time")
    figure = kind.draw(only(records), only(records).rows, styles([one.cell for one in records]))
    assert figure is not None
    (legend,) = figure.legends
    assert [words.get_text() for words in legend.get_texts()] == ["torch", "alpha (own way)"]
    bar, dot, *_ = figure.axes[0].get_lines()
    assert np.asarray(bar.get_ydata()) == pytest.approx([100 * end for end in classify.binomial(0.9, 500)])
    assert np.asarray(dot.get_ydata()) == pytest.approx([90.0])


def test_links_lead_to_the_commit_where_the_repository_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = catalogue.discover(None)["torch"]
    assert Links(tmp_path, "abc").adapter(torch) == ""  # outside of the project nothing is known
    inside = catalogue.PROJECT / "results" / "runs" / "x" / "report"
    assert Links(inside, "abc").adapter(torch) == "../../../../adapters/torch"
    monkeypatch.setattr(catalogue, "PROJECT", tmp_path)
    (tmp_path / "CITATION.cff").write_text('repository-code: "https://example.org/x/"\n')
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    assert repository() == "https://example.org/x"
    assert Links(inside, "abc").adapter(torch) == "https://example.org/x/tree/abc/adapters/torch"
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://example.org/y"\n')
    assert repository() == "https://example.org/y"


def test_text_of_records_never_becomes_markup(tmp_path: Path) -> None:
    nasty = '<script>alert("1")</script>'
    records = [*heat(), record(cell("b", "csnn"), status="error", reason=nasty)]
    page = write_report(save(tmp_path, records, run=nasty.replace("/", ""))).read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page
