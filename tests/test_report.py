from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest
from matplotlib.figure import Figure

from bench.records import (
    Cell,
    CurvePoint,
    Manifest,
    Metric,
    Parity,
    Record,
    Status,
    save_manifest,
    save_record,
)
from bench.report import classify_plots, write_report
from bench.report.text import ABSENT, first_line, flatten, markdown, significant

NASTY = '\n<script>alert("1")</script> a|b `c` & [d](e) *f*\nsecond line\n'
NETWORKS = {"fc_lif": "Flatten - Linear 10 - LIF(tau 2)", "csnn": "Conv 8 3x3 - BatchNorm - IF"}
PROFILE = {
    "seeds": [0, 1, 2],
    "note": "a | <b>",
    "tasks": {"fc_lif": {"steps": 37}, "csnn": {"channels": 9}},
    "sweep": [{"batch": 41}, {"batch": 43}],
    "limit": None,
}


def cell(
    adapter: str,
    task: str = "csnn",
    *,
    variant: str = "default",
    seed: int = 0,
    kind: Literal["certify", "classify"] = "classify",
    device: str = "cpu",
    steps: int = 4,
) -> Cell:
    return Cell(
        cell=f"{kind}-{task}-{adapter}-{variant}-{seed}-{steps}",
        kind=kind,
        adapter=adapter,
        variant=variant,
        learning="bptt",
        task=task,
        network=NETWORKS[task],
        device=device,
        precision="float32",
        seed=seed,
        train_images=1000,
        test_images=500,
        curve_images=200,
        steps=steps,
        batch=32,
        epochs=2,
        task_values={"epochs": 2},
        certificate=None,
        timeout_seconds=60.0,
    )


def done(
    of: Cell,
    status: Status = "ok",
    *,
    parity: Parity | None = "exact",
    reason: str = "",
    **figures: float,
) -> Record:
    curve = [
        CurvePoint(
            epoch=epoch,
            loss=0.1 / epoch,
            train_accuracy=0.5,
            test_accuracy=0.4 + 0.1 * epoch,
            seconds=1.0,
            train_seconds=float(epoch),
        )
        for epoch in (1, 2)
    ]
    return Record(
        cell=of,
        status=status,
        reason=reason,
        parity=parity,
        figures=figures,
        curve=curve if figures else [],
        settings={"threads": 3, "seed": of.seed},
        versions={"numpy": "1.2.3", of.adapter: "4.5.6"},
        started="2026-01-01T10:00:00Z",
        seconds=1.0,
    )


def manifest(cells: Iterable[Cell], **changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "run": "a-run",
        "digest": "d",
        "profile": "quick",
        "profile_values": PROFILE,
        "settings": {"device": "cpu", "tf32": False},
        "machine": {
            "name": "four-cores",
            "cpu": "Some CPU",
            "cores": 4,
            "memory_bytes": 8_000_000_000,
            "gpu": None,
        },
        "git": {"commit": "abc123", "dirty": True},
        "order_seed": 5,
        "cells": list(cells),
        "created": "2026-01-01T10:00:00Z",
    }
    return Manifest(**(values | changes))


def report(
    folder: Path, records: Iterable[Record], pending: Iterable[Cell] = (), **changes: Any
) -> tuple[str, str]:
    """HTML and Markdown of a run with these records, and with these cells still to run."""
    records = list(records)
    save_manifest(folder, manifest([*(r.cell for r in records), *pending], **changes))
    for record in records:
        save_record(folder, record)
    page = write_report(folder)
    assert page == folder / "report" / "index.html"
    return page.read_text(encoding="utf-8"), (folder / "report" / "report.md").read_text(encoding="utf-8")


def table(text: str, heading: str) -> list[dict[str, str]]:
    """Rows of the first Markdown table under a heading, by column."""
    lines = text[text.index(f"{heading}\n") :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]])
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def row_of(text: str, heading: str, adapter: str) -> dict[str, str]:
    (row,) = (row for row in table(text, heading) if row["adapter"] == adapter)
    return row


class Elements(HTMLParser):
    """Every start tag with its attributes, and all text outside of style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def mixed() -> list[Record]:
    records = []
    for task in ("fc_lif", "csnn"):
        for adapter, seconds in (("slow", 30.0), ("fast", 10.0), ("middle", 20.0)):
            records.append(
                done(
                    cell(adapter, task),
                    parity="within" if adapter == "middle" else "exact",
                    epoch_seconds=seconds,
                    cold_epoch_seconds=seconds + 1,
                    test_accuracy=0.9385,
                    host_peak_bytes=1.5e9,
                    images_per_second=1234.4,
                )
            )
    records.append(done(cell("liar"), "wrong", parity="wrong", reason="other spikes", epoch_seconds=0.001))
    records.append(done(cell("faller"), "crashed", reason=NASTY))
    records.append(done(cell("absentee"), "skipped", parity=None, reason="needs Python 3.11"))
    return records


@dataclass(frozen=True)
class Written:
    folder: Path
    page: str
    text: str


@pytest.fixture(scope="module")
def mixed_run(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("run")
    return Written(folder, *report(folder, mixed()))


def test_ranked_by_seconds_per_epoch_and_failures_after(mixed_run: Written) -> None:
    text = mixed_run.text
    rows = table(text, "## csnn")
    assert [(r["rank"], r["adapter"], r["status"]) for r in rows] == [
        ("1", "fast", "ok"),
        ("2", "middle", "ok"),
        ("3", "slow", "ok"),
        ("", "absentee", "skipped"),
        ("", "faller", "crashed"),
        ("", "liar", "wrong"),
    ]
    assert [r["× fastest"] for r in rows] == ["1.00", "2.00", "3.00", "", "", ""]
    assert rows[1]["parity"] == "within"
    assert rows[-1]["reason"] == "other spikes"
    assert [r["adapter"] for r in table(text, "## fc_lif")] == ["fast", "middle", "slow"]


def test_figures_and_their_units(mixed_run: Written) -> None:
    row = row_of(mixed_run.text, "## csnn", "fast")
    assert row["test accuracy (%)"] == "93.85"
    assert row["s/epoch"] == "10.0"
    assert row["cold epoch (s)"] == "11.0"
    assert row["host peak (MB)"] == "1,500"
    assert row["images/s"] == "1,234"


def test_absent_is_a_dash_and_zero_is_a_zero(tmp_path: Path) -> None:
    page, text = report(tmp_path, [done(cell("a"), epoch_seconds=1.0, spike_rate=0.0)])
    row = row_of(text, "## csnn", "a")
    assert row["test accuracy (%)"] == row["host peak (MB)"] == row["evaluation (s)"] == ABSENT
    assert row["spike rate"] == "0.0000"
    assert (
        page.count("stands for what was not measured") == text.count("stands for what was not measured") == 1
    )


def test_a_reason_is_escaped_and_one_line(mixed_run: Written) -> None:
    page, text = mixed_run.page, mixed_run.text
    elements = Elements(page)
    assert "script" not in {tag for tag, _ in elements.tags}
    assert 'crashed: <script>alert("1")</script> a|b `c` & [d](e) *f*' in elements.text
    assert "second line" not in page + text
    assert "<script" not in text
    reason = row_of(text, "## csnn", "faller")["reason"]
    assert reason == r'&lt;script&gt;alert("1")&lt;/script&gt; a\|b \`c\` &amp; \[d\](e) \*f\*'


def test_names_are_escaped_everywhere(tmp_path: Path) -> None:
    cells = [cell("a", variant=variant) for variant in ("-->", "$x_$")]
    records = [done(c, epoch_seconds=1.0, test_accuracy=0.5, host_peak_bytes=1.0) for c in cells]
    page, text = report(tmp_path, records, run="<img src=x>")
    assert "img" not in {tag for tag, _ in Elements(page).tags}
    assert "<img" not in text
    assert Elements(page).text.count("-->") == 2  # in the comparison and with the packages


def test_reduced_precision_is_ranked_apart(tmp_path: Path) -> None:
    _, text = report(
        tmp_path,
        [
            done(cell("a"), epoch_seconds=4.0),
            done(cell("b"), epoch_seconds=1.0, parity="reduced precision"),
            done(cell("c"), epoch_seconds=2.0, parity="reduced precision"),
        ],
    )
    rows = table(text, "## csnn")
    assert [(r["rank"], r["adapter"], r["× fastest"]) for r in rows] == [
        ("1", "a", "1.00"),
        ("R1", "b", "1.00"),
        ("R2", "c", "2.00"),
    ]


def busy(of: Cell, *shares: float) -> Record:
    metrics = [Metric(metric="foreign_cpu_share", key="machine", value=share) for share in shares]
    return done(of, epoch_seconds=1.0).model_copy(update={"metrics": metrics})


def test_rows_measured_on_a_busy_machine_are_named(tmp_path: Path) -> None:
    records = [
        busy(cell("a", seed=0), 0.01),
        busy(cell("a", seed=1), 0.372),
        busy(cell("b"), 0.05),
        busy(cell("c", variant="fast"), 0.06),
        busy(cell("d")),
        busy(cell("a", "fc_lif"), 0.0),
    ]
    page, text = report(tmp_path, records)
    line = (
        "Measured while other processes used the CPU, so that the times are too long: "
        "a default (37%), c fast (6%)."
    )
    assert Elements(page).text.count(line) == text.count(f"\n\n**{line}**\n\n") == 1
    assert text.index("## csnn") < text.index(line) < text.index("## fc_lif")
    assert page.count('class="warning"') == 1


@pytest.mark.parametrize(
    ("parity", "figures", "obstacle"),
    [
        (None, {"epoch_seconds": 1.0}, "not ranked: no parity certificate"),
        ("wrong", {"epoch_seconds": 1.0}, "not ranked: parity wrong"),
        ("exact", {"test_accuracy": 0.5}, "not ranked: no epoch was timed after the cold one"),
    ],
)
def test_what_keeps_an_ok_row_from_a_rank_is_said(
    tmp_path: Path, parity: Parity | None, figures: dict[str, Any], obstacle: str
) -> None:
    _, text = report(tmp_path, [done(cell("a"), parity=parity, **figures)])
    row = row_of(text, "## csnn", "a")
    assert (row["rank"], row["× fastest"], row["reason"]) == ("", "", obstacle)


def test_the_open_division_stands_apart(tmp_path: Path) -> None:
    own = cell("b", variant="own").model_copy(update={"division": "open"})
    once = done(own, parity=None, test_accuracy=0.9, train_seconds=1.5)
    page, text = report(tmp_path, [once, done(cell("a"), epoch_seconds=2.0), done(cell("c"), "error")])
    rows = table(text, "## csnn")
    assert [row["adapter"] for row in rows] == ["a", "b", "c"]
    assert (rows[1]["rank"], rows[1]["training (s)"], rows[1]["reason"]) == ("", "1.50", "")
    assert "Open division: the same images" in page
    assert "Not in the plots: b own (open division), c default (error)." in text


def test_several_seeds_are_median_and_range(tmp_path: Path) -> None:
    figures: list[dict[str, Any]] = [
        {"epoch_seconds": 9.0, "host_peak_bytes": 3e6},
        {"epoch_seconds": 2.0},
        {"epoch_seconds": 3.0, "host_peak_bytes": 5e6},
    ]
    page, text = report(tmp_path, [done(cell("a", seed=seed), **f) for seed, f in enumerate(figures)])
    row = row_of(text, "## csnn", "a")
    assert row["s/epoch"] == "3.00 (2.00–9.00)"
    assert row["host peak (MB)"] == "4 (3–5, n = 2)"
    assert row["seeds"] == "3"
    assert "- Seeds per cell: 3 (indicative)" in text
    assert "<dd>3 (indicative)</dd>" in page


@pytest.mark.parametrize(("seeds", "words"), [(1, "1 (single run)"), (4, "4 (indicative)"), (5, "5")])
def test_the_number_of_seeds_is_named(tmp_path: Path, seeds: int, words: str) -> None:
    _, text = report(tmp_path, [], [cell("a", seed=seed) for seed in range(seeds)])
    assert f"- Seeds per cell: {words}\n" in text


def test_a_seed_that_failed_keeps_the_others_from_a_rank(tmp_path: Path) -> None:
    _, text = report(
        tmp_path,
        [
            done(cell("a", seed=0), epoch_seconds=1.0),
            done(cell("a", seed=1), "timeout", reason="60 s"),
            done(cell("b", seed=0), epoch_seconds=2.0),
        ],
        [cell("b", seed=1)],
    )
    rows = [(r["rank"], r["adapter"], r["seeds"], r["status"], r["reason"]) for r in table(text, "## csnn")]
    assert rows == [
        ("1", "b", "1 of 2", "ok", ""),
        ("", "a", "1 of 2", "ok", "not ranked: timeout in 1 of 2 seeds"),
        ("", "a", "1 of 2", "timeout", "60 s"),
        ("", "b", "1 of 2", "pending", ""),
    ]


def test_a_partial_run_has_no_holes(tmp_path: Path) -> None:
    finished = [done(cell("a"), epoch_seconds=1.0)]
    page, text = report(tmp_path, finished, [cell("b"), cell("c", kind="certify")])
    assert row_of(text, "## csnn", "b")["status"] == "pending"
    assert row_of(text, "## Certificates", "c")["status"] == "pending"
    for form in (page, text):
        assert "Partial run: 1 of 3 cells are finished (1 ok)." in form


def test_nothing_to_plot_is_said_in_words(tmp_path: Path) -> None:
    page, text = report(tmp_path, [done(cell("a"), "crashed"), done(cell("b"), "skipped")])
    for form in (page, text):
        assert "There is no plot: no row of this task has figures" in form
        assert "Not in the plots: a default (crashed), b default (skipped)." in form
    assert "<svg" not in page
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"index.html", "report.md"}


def test_a_plot_that_lacks_data_is_named(tmp_path: Path) -> None:
    page, _ = report(tmp_path, [done(cell("a"), epoch_seconds=1.0)])
    assert (
        "Not plotted, because no cell measured it: test accuracy against time per epoch; peak memory." in page
    )
    assert page.count("<svg") == 3


def test_a_run_of_nothing(tmp_path: Path) -> None:
    page, text = report(tmp_path, [], profile_values={}, settings={}, machine={}, git={})
    for form in (page, text):
        assert "This run has no timed cells." in form
        assert "This run has no certificates." in form


def test_figures_that_are_not_finite_are_printed_as_they_are(tmp_path: Path) -> None:
    from bench.report.ranking import sections
    from bench.report.tables import comparison

    record = done(cell("a"), test_accuracy=float("nan"), epoch_seconds=float("inf"), host_peak_bytes=1.0)
    (section,) = sections(manifest([record.cell]), [record])
    (group,) = comparison(section).groups
    texts = [entry.text for entry in group.rows[0]]
    assert texts[3:5] == ["nan", "inf"]


def test_plots_show_valid_work_only(mixed_run: Written) -> None:
    page, text = mixed_run.page, mixed_run.text
    left_out = "Not in the plots: absentee default (skipped), faller default (crashed), liar default (wrong)."
    assert left_out in page
    assert left_out in text
    drawn = (mixed_run.folder / "report" / "csnn-epoch-seconds.svg").read_text(encoding="utf-8")
    assert "<!-- fast -->" in drawn
    assert "<!-- seconds per epoch -->" in drawn
    assert "<!-- csnn on cpu: time per epoch -->" in drawn
    assert "liar" not in drawn


def test_every_plot_is_a_file_and_in_both_reports(mixed_run: Written) -> None:
    page, text = mixed_run.page, mixed_run.text
    folder = mixed_run.folder / "report"
    kinds = ("accuracy-speed", "epoch-seconds", "accuracy-epochs", "accuracy-time", "memory")
    names = {f"{task}-{kind}" for task in ("fc-lif", "csnn") for kind in kinds}
    assert {path.stem for path in folder.glob("*.svg")} == names
    assert {path.stem for path in folder.glob("*.png")} == names
    assert set(re.findall(r"\]\((.*)\.svg\)", text)) == names
    assert page.count("<svg") == len(names)


def test_an_adapter_has_one_colour_and_its_variants_differ() -> None:
    from bench.report.drawing import styles

    cells = [cell(f"adapter {number}", variant=variant) for number in range(12) for variant in ("x", "y")]
    for many in (20, 24):
        look = styles(cells[:many])
        colours = {adapter: {s.colour for (a, _), s in look.items() if a == adapter} for adapter, _ in look}
        assert all(len(found) == 1 for found in colours.values())
        assert len(set.union(*colours.values())) == many // 2
        x, y = look["adapter 3", "x"], look["adapter 3", "y"]
        assert x.marker != y.marker
        assert x.dash != y.dash
        assert x.hatch != y.hatch


def test_device_memory_where_there_is_a_device(tmp_path: Path, mixed_run: Written) -> None:
    cells = [cell("a", device="cuda"), cell("b", device="cuda")]
    records = [
        done(cells[0], epoch_seconds=1.0, device_allocated_bytes=2e6),
        done(cells[1], epoch_seconds=2.0),
    ]
    machine = {"gpu": {"name": "Some GPU"}}
    _, text = report(tmp_path, records, machine=machine, settings={"device": "cuda"})
    assert [r["device allocated (MB)"] for r in table(text, "## csnn")] == ["2", ABSENT]
    assert [r["device used (MB)"] for r in table(text, "## csnn")] == [ABSENT, ABSENT]
    assert "- Machine: Some GPU\n" in text
    drawn = (tmp_path / "report" / "csnn-memory.svg").read_text(encoding="utf-8")
    assert f"<!-- {ABSENT} not measured -->" in drawn
    assert not any("device" in column for column in table(mixed_run.text, "## csnn")[0])


def test_sizes_of_one_task_are_not_compared_with_each_other(tmp_path: Path) -> None:
    records = [done(cell("a", steps=steps), epoch_seconds=float(steps)) for steps in (2, 8)]
    _, text = report(tmp_path, records)
    for steps in (2, 8):
        (row,) = table(text, f"## csnn (steps {steps})")
        assert (row["rank"], row["× fastest"]) == ("1", "1.00")
    assert (tmp_path / "report" / "csnn-2-epoch-seconds.svg").exists()


def test_what_was_run_is_printed(mixed_run: Written) -> None:
    page, text = mixed_run.page, mixed_run.text
    body = Elements(page).text
    for key, value in flatten(PROFILE):
        assert f"| {markdown(key)} | {markdown(value)} |" in text
        assert re.search(rf"{re.escape(key)}\s+{re.escape(value)}\s", body)
    for line in (
        "| tf32 | false |",
        "| machine.cores | 4 |",
        "| order_seed | 5 |",
        "| fast | default | fast 4.5.6, numpy 1.2.3 |",
        "| fast | 0 | 3 |",
        "- Machine: four-cores, Some CPU, 4 cores, 8.0 GB memory",
        "- Commit: abc123 with local changes",
    ):
        assert line in text
    for network in NETWORKS.values():
        assert network in body


def test_flatten_leaves_nothing_out() -> None:
    assert flatten(PROFILE) == [
        ("seeds", "0, 1, 2"),
        ("note", "a | <b>"),
        ("tasks.fc_lif.steps", "37"),
        ("tasks.csnn.channels", "9"),
        ("sweep.0.batch", "41"),
        ("sweep.1.batch", "43"),
        ("limit", "none"),
    ]
    assert flatten({"a": {}, "b": [], "c": [[1, 2]]}) == [("a", "{}"), ("b", "[]"), ("c", "[[1,2]]")]


def test_certificates(tmp_path: Path) -> None:
    metrics = [
        Metric(metric="spike_difference_share", key="", value=0.0),
        Metric(metric="gradient_error", key="1.weight", value=2.5e-7),
        Metric(metric="gradient_error", key="4.weight", value=1e-7),
    ]
    passed = done(cell("a", kind="certify")).model_copy(update={"metrics": metrics})
    failed = done(cell("b", kind="certify"), "wrong", parity="wrong", reason="differs")
    _, text = report(tmp_path, [passed, failed])
    row = row_of(text, "## Certificates", "a")
    assert (row["task"], row["parity"], row["spike difference share"]) == ("csnn", "exact", "0")
    assert row["gradient error"] == "2.5e-07 (1.weight, largest of 2)"
    row = row_of(text, "## Certificates", "b")
    assert (row["parity"], row["status"], row["reason"]) == ("wrong", "wrong", "differs")
    assert row["gradient error"] == ABSENT


def test_the_same_records_give_the_same_bytes(tmp_path: Path, mixed_run: Written) -> None:
    def everything(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "report").iterdir()}

    report(tmp_path, mixed())
    assert len(everything(tmp_path)) == 22
    assert everything(tmp_path) == everything(mixed_run.folder)


def test_the_page_needs_no_other_file(mixed_run: Written) -> None:
    page = mixed_run.page
    elements = Elements(page)
    assert not {"script", "link", "img", "iframe", "object", "image"} & {tag for tag, _ in elements.tags}
    references = [
        value
        for _, attributes in elements.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "data", "poster")
    ]
    assert references
    assert all(value and value.startswith("#") for value in references)
    assert not re.search(r"https?:|@import|url\((?!#)", page)


def test_the_navigation_leads_somewhere(mixed_run: Written) -> None:
    page = mixed_run.page
    elements = Elements(page)
    ids = [attributes["id"] for tag, attributes in elements.tags if tag == "section"]
    links = [(attributes["href"] or "").removeprefix("#") for tag, attributes in elements.tags if tag == "a"]
    assert ids == links
    assert len(set(ids)) == 5


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.01234, "0.0123"), (7.406, "7.41"), (83.25, "83.2"), (1204.4, "1,204"), (-2.0, "-2.00")],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_the_first_line_says_something() -> None:
    assert first_line("\n  \n  first \nsecond") == "first"
    assert first_line("") == ""


def test_a_tenth_of_a_point_does_not_fill_the_plot() -> None:
    axes = Figure().subplots()
    axes.plot([0, 1], [93.58, 93.75])
    classify_plots._widen(axes)
    low, high = axes.get_ylim()
    assert high - low == pytest.approx(classify_plots.ACCURACY_SPAN) and low < 93.58 < 93.75 < high
