from __future__ import annotations

import importlib
import logging
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.measure.gpu import OnCard
from bench.records import Cell, CurvePoint, Metric, Parity, Record, Status, load_records
from bench.report import classify, drawing, pages, plots, rounds, sentences
from bench.report.drawing import styles
from bench.report.figures import FIGURES
from bench.report.page import write_report
from bench.report.pages import page_of
from bench.report.sections import Section, sections
from bench.report.tables import comparison
from bench.report.text import ABSENT, first_line, flatten, gap, markdown, rate, significant, span
from tests.builders import WORK, cell, certify, control, manifest, record, save, turns

NASTY = '\n<script>alert("1")</script> a|b `c` & [d](e) *f*\nsecond line\n'
PROFILE = {
    "seeds": [0, 1, 2],
    "note": "a | <b>",
    "tasks": {"fc_lif": {"steps": 37}, "csnn": {"channels": 9}},
    "sweep": [{"batch": 41}, {"batch": 43}],
    "limit": None,
}
WAVER = (0.97, 1.0, 1.03, 0.99, 1.01)  # what a round does to a time


def times(seconds: float, count: int = 30) -> list[float]:
    """Turns of about so many seconds; none of two lists of different seconds waver together."""
    return [seconds * WAVER[(place + round(7 * seconds)) % len(WAVER)] for place in range(count)]


def done(of: Cell, seconds: float | None = None, status: Status = "ok", **changes: Any) -> Record:
    """A cell that ended; with turns of about ``seconds``, a curve and figures, where it has any."""
    values: dict[str, Any] = {
        "status": status,
        "settings": {"threads": 3, "seed": of.seed},
        "versions": {"numpy": "1.2.3", of.adapter: "4.5.6"},
    }
    if status != "ok":
        values["parity"] = None
    if seconds is not None:
        figures = {"epoch_seconds": 10 * seconds, "test_accuracy": 0.9385}
        values["figures"] = figures | {"host_peak_bytes": 1.5e9, "images_per_second": 1234.4}
        values["curve"] = [
            CurvePoint(
                epoch=epoch,
                loss=0.5 / epoch,
                test_loss=0.25 / epoch,
                train_accuracy=0.3 + 0.1 * epoch,
                test_accuracy=0.4 + 0.1 * epoch,
                seconds=1.0,
                train_seconds=float(epoch),
            )
            for epoch in (1, 2)
        ]
    return record(of, times(seconds) if seconds is not None else (), **values | changes)


def report(folder: Path, records: Sequence[Record], **changes: Any) -> tuple[str, str]:
    """HTML and Markdown of a run with these records."""
    page = write_report(save(folder, records, **changes))
    assert page == folder / "report" / "index.html"
    return page.read_text(encoding="utf-8"), (folder / "report" / "report.md").read_text(encoding="utf-8")


def unplotted(folder: Path, records: Sequence[Record], **changes: Any) -> tuple[str, str]:
    """As ``report``, with empty plots: to write them takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "_svg", lambda figure: "<svg></svg>")
        return report(folder, records, **changes)


def table(text: str, heading: str) -> list[dict[str, str]]:
    """Rows of the first Markdown table under a heading, by column; titles within the table are left out."""
    lines = text[text.index(f"{heading}\n") :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]])
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:] if not row[0].startswith("**")]


def row_of(text: str, heading: str, adapter: str) -> dict[str, str]:
    (row,) = (row for row in table(text, heading) if row["adapter"].split()[0] == adapter)
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


def heat(task: str = "csnn", **seconds: float) -> list[Record]:
    """A heat of torch, its control and others, by the seconds of their turns."""
    torch = cell("torch", task)
    others = [done(cell(adapter, task), value) for adapter, value in seconds.items()]
    return [done(torch, 1.0), done(control(torch), 1.01), *others]


def mixed() -> list[Record]:
    failed = [
        done(cell("liar", "csnn"), 0.001, "wrong", parity="wrong", reason="other spikes"),
        done(cell("faller", "csnn"), status="crashed", reason=NASTY),
        done(cell("absentee", "csnn"), status="skipped", reason="needs Python 3.11"),
    ]
    return [*heat("fc_lif", slow=3.0, fast=0.5), *heat("csnn", slow=3.0, fast=0.5, same=1.02), *failed]


@dataclass(frozen=True)
class Written:
    folder: Path
    page: str
    text: str


@pytest.fixture(scope="module")
def mixed_run(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("run")
    return Written(folder, *report(folder, mixed(), profile_values=PROFILE))


def test_rows_stand_by_ratio_and_failures_after(mixed_run: Written) -> None:
    rows = table(mixed_run.text, "## csnn")
    assert [(row["adapter"], row["status"]) for row in rows] == [
        ("fast (plain)", "ok"),
        ("torch (plain)", "ok"),
        ("same (plain)", "ok"),
        ("slow (plain)", "ok"),
        ("absentee (plain)", "skipped"),
        ("faller (plain)", "crashed"),
        ("liar (plain)", "wrong"),
    ]
    ratios = [row["time / baseline"] for row in rows]
    assert ratios[1] == "1 (baseline)" and ratios[4:] == [ABSENT] * 3
    assert all(re.fullmatch(r"\d\.\d\d \(\d\.\d\d–\d\.\d\d, 30 of 30 rounds\)", ratios[n]) for n in (0, 2, 3))
    assert float(ratios[0][:4]) == pytest.approx(0.5, rel=0.05)
    assert float(ratios[3][:4]) == pytest.approx(3.0, rel=0.05)
    assert rows[-1]["reason"].startswith("other spikes")
    assert not any("rank" in heading or "fastest" in heading for heading in rows[0])


def test_ties_share_a_letter(mixed_run: Written) -> None:
    groups = [row["tie group"] for row in table(mixed_run.text, "## csnn")]
    assert groups == ["= a", "= b", "= b", "= c", "", "", ""]


def test_figures_stand_under_the_headings_of_the_registry(mixed_run: Written) -> None:
    row = row_of(mixed_run.text, "## csnn", "fast")
    assert row["test accuracy (%) (500 images)"] == "93.85"
    assert row["s/epoch (1 epoch)"] == "5.00"
    assert row["host peak (MB)"] == "1,500"
    assert row["images/s"] == "1,234"
    for name in ("epoch_seconds", "host_peak_bytes"):
        assert FIGURES[name].meaning in Elements(mixed_run.page).text


def test_what_a_figure_is_made_of_stands_with_it_where_rows_differ(tmp_path: Path) -> None:
    records = heat(other=2.0)
    point = CurvePoint(epoch=3, seconds=1.0, train_seconds=3.0)
    records[2] = records[2].model_copy(update={"curve": [*records[2].curve, point]})
    _, text = unplotted(tmp_path, records)
    assert row_of(text, "## csnn", "torch")["s/epoch"] == "10.0 (1 epoch)"
    assert row_of(text, "## csnn", "other")["s/epoch"] == "20.0 (2 epochs)"


def test_a_run_without_a_gpu_says_so_and_what_would_measure_one(tmp_path: Path) -> None:
    said = "No GPU was measured: make bench DEVICE=cuda would do that (docs/gpu.md)."
    on_gpu = [done(cell("torch", device="cuda", baseline=True), 1.0), done(cell("norse"), 1.0)]
    for form in unplotted(tmp_path / "cpu", [done(cell("torch", baseline=True), 1.0)]):
        assert said in form
    for form in unplotted(tmp_path / "cuda", on_gpu):
        assert said not in form


def test_absent_is_a_dash_and_zero_is_a_zero(tmp_path: Path) -> None:
    page, text = unplotted(tmp_path, [done(cell("torch", "csnn"), figures={"spike_rate": 0.0})])
    row = row_of(text, "## csnn", "torch")
    assert row["test accuracy (%)"] == row["s/epoch"] == ABSENT
    assert row["spike rate"] == "0.0000"
    assert "host peak (MB)" not in row  # which nobody measured
    for form in (page, text):
        assert form.count("stands for what was not measured") == 1


def test_a_reason_is_escaped_and_one_line(mixed_run: Written) -> None:
    page, text = mixed_run.page, mixed_run.text
    elements = Elements(page)
    assert "script" not in {tag for tag, _ in elements.tags}
    assert 'reason: <script>alert("1")</script> a|b `c` & [d](e) *f*' in elements.text
    assert "second line" not in page + text
    assert "<script" not in text
    reason = row_of(text, "## csnn", "faller")["reason"]
    assert reason == r'&lt;script&gt;alert("1")&lt;/script&gt; a\|b \`c\` &amp; \[d\](e) \*f\*'


def test_names_are_escaped_everywhere(tmp_path: Path) -> None:
    cells = [
        cell("torch", "csnn", variant=variant, cell=f"c{n}") for n, variant in enumerate(("-->", "$x_$"))
    ]
    page, text = report(tmp_path, [done(c, 1.0) for c in cells], run="<img src=x>")
    assert "img" not in {tag for tag, _ in Elements(page).tags}
    assert "<img" not in text
    assert "-->" in Elements(page).text


def test_reduced_precision_stands_apart(tmp_path: Path) -> None:
    reduced = [
        one.model_copy(update={"parity": "reduced precision"}) if one.cell.adapter in ("b", "c") else one
        for one in heat(b=0.5, c=2.0)
    ]
    page, text = unplotted(tmp_path, reduced)
    assert [row["adapter"].split()[0] for row in table(text, "## csnn")] == ["torch", "b", "c"]
    assert "Reduced precision, compared apart" in page and "**Reduced precision, compared apart**" in text


def test_the_noise_floor_stands_at_the_top(mixed_run: Written) -> None:
    for form in (Elements(mixed_run.page).text, mixed_run.text):
        top = form[: form.index("Conv")]
        assert re.search(
            r"The control \(torch beside itself\) moves fc_lif [\d.]+ %, csnn [\d.]+ %: "
            r"smaller differences, and any below 5 %, do not count\.",
            markdown_free(top),
        )
        assert re.search(r"Control \(torch plain once more\) / baseline: 1\.\d\d \(.*30 of 30 rounds\)", form)


def markdown_free(text: str) -> str:
    return text.replace("\\", "")


def test_disturbed_turns_are_counted_and_left_out(tmp_path: Path) -> None:
    records = heat(other=2.0)
    shares = (0.5, 0.07, 0.06)
    records[2] = records[2].model_copy(update={"turns": turns(times(2.0), shares)})
    page, text = unplotted(tmp_path, records)
    said = "Left out, because others took more than 6 % of the cores in use: 2 of 90 turns."
    assert said in page and said in markdown_free(text)
    assert row_of(text, "## csnn", "other")["time / baseline"].endswith("28 of 30 rounds)")


def test_turns_that_a_quota_held_back_are_counted_and_left_out_as_well(tmp_path: Path) -> None:
    records = heat(other=2.0)
    held = [
        turn.model_copy(update={"throttled": 0.5 if place < 4 else 0.0})
        for place, turn in enumerate(records[2].turns)
    ]
    records[2] = records[2].model_copy(update={"turns": held})
    page, text = report(tmp_path, records)
    said = "Left out, because others or a quota took more than 6 % of the cores in use: 3 of 90 turns."
    assert said in page and said in markdown_free(text)
    assert "In 3 turns a quota of CPU time (cgroup) held the threads back as much" in page
    assert row_of(text, "## csnn", "other")["time / baseline"].endswith("27 of 30 rounds)")


def test_an_unknown_load_is_said(tmp_path: Path) -> None:
    records = heat()
    records[1] = records[1].model_copy(update={"turns": turns(times(1.01), (None, None, 0.0))})
    page, _ = unplotted(tmp_path, records)
    assert "In 2 turns the load of others is unknown." in page


def test_without_a_control_no_difference_counts(tmp_path: Path) -> None:
    records = [one for one in heat(other=2.0) if one.cell.stage != "control"]
    page, _ = unplotted(tmp_path, records)
    assert "There is no control with enough rounds, so that no difference of times counts." in page


def certificate(adapter: str, task: str = "csnn", **changes: Any) -> Record:
    """A certificate with a deviation of each kind."""
    metrics = [
        deviation("shape mismatches", "float64", 0.0, 0.0),
        deviation("spike difference", "float64", 0.0, 0.0),
        deviation("gradient error", "float64", 3e-14, 1e-12),
        deviation("spike difference", "float32", 0.0, 1e-6),
        deviation("gradient error", "float32", 4e-6, 1e-5),
        deviation("gradient error", "float32", 1e-6, 1e-5),
        deviation("firing rate", "float32", 0.2, None),
    ]
    made = {"made": "2026-01-02T03:04:05+00:00", "machine": "two-cores"}
    return record(certify(cell(adapter, task)), **{"metrics": metrics} | made | changes)


def deviation(metric: str, precision: str, value: float, bound: float | None) -> Metric:
    return Metric(
        metric=metric, of={"probe": "network, train", "precision": precision}, value=value, bound=bound
    )


def test_the_same_work_is_said_in_a_sentence(tmp_path: Path) -> None:
    records = [certificate("torch"), certificate("b"), *heat(b=2.0)]
    page, text = unplotted(tmp_path, records)
    said = (
        "2 of 2 certificates passed; float64: 0 spikes differ; "
        "float32: worst gradient error 4e-06 of 1e-05 allowed."
    )
    assert said in page and said in text


def test_certificates_that_did_not_pass_are_counted(tmp_path: Path) -> None:
    failed = certificate("b", status="wrong", parity="wrong", reason="differs")
    planned = [certify(cell(name, "csnn")) for name in ("torch", "b", "c")]
    page, text = unplotted(tmp_path, [certificate("torch"), failed], cells=planned)
    assert "1 of 3 certificates passed (1 wrong, 1 pending)" in page
    row = row_of(text, "## Certificates", "b")
    assert (row["parity"], row["status"], row["reason"]) == ("wrong", "wrong", "differs")
    assert row_of(text, "## Certificates", "c")["status"] == "pending"


def test_what_a_framework_cannot_do_is_no_other_work(tmp_path: Path) -> None:
    cannot = certificate("b", status="skipped", parity=None, metrics=[], reason="no pooling")
    page, _ = unplotted(tmp_path, [certificate("torch"), cannot])
    assert "Yes: 1 of 1 certificates passed" in page


def test_certificates_show_each_kind_of_deviation_beside_its_bound(tmp_path: Path) -> None:
    page, text = unplotted(tmp_path, [certificate("torch")])
    row = row_of(text, "## Certificates", "torch")
    assert row["gradient error (found / allowed)"] == "4e-06 / 1e-05 (float64: 3e-14 / 1e-12)"
    assert row["spike difference (found / allowed)"] == "0 / 1e-06 (float64: 0 / 0)"
    assert row["checks passed"] == "6 of 6"
    assert row["made"] == "2026-01-02 03:04 on two-cores"
    assert 'title="network, train"' in page
    assert "shape mismatches" not in page and "firing rate" not in page  # yes or no, and not judged


def test_a_deviation_that_is_no_number_is_the_worst(tmp_path: Path) -> None:
    metrics = [deviation("gradient error", "float32", value, 1e-5) for value in (float("nan"), 1e-6)]
    _, text = unplotted(tmp_path, [certificate("torch", metrics=metrics, status="wrong", parity="wrong")])
    row = row_of(text, "## Certificates", "torch")
    assert row["gradient error (found / allowed)"] == "nan / 1e-05"
    assert row["checks passed"] == "1 of 2"


def test_a_row_says_when_and_where_it_was_certified(tmp_path: Path) -> None:
    one = done(cell("torch", "csnn"), 1.0, made="2026-01-02T03:04:05+00:00", machine="two-cores")
    page, _ = unplotted(tmp_path, [one])
    assert 'title="certified 2026-01-02 03:04 on two-cores">exact' in page


@pytest.mark.parametrize("parity", [None, "wrong"])
def test_what_keeps_an_ok_row_from_a_comparison_is_said(tmp_path: Path, parity: Parity | None) -> None:
    records = heat(other=2.0)
    records[2] = records[2].model_copy(update={"parity": parity})
    _, text = unplotted(tmp_path, records)
    row = row_of(text, "## csnn", "other")
    assert (row["time / baseline"], row["tie group"]) == (ABSENT, "")
    assert row["reason"]


def test_the_open_division_stands_apart_with_its_own_network(tmp_path: Path) -> None:
    own = cell("b", "csnn", variant="own", division="open", table="open", compared=False)
    once = done(own, 0.4, network="1,000 LIF neurons")
    page, text = unplotted(tmp_path, [once, *heat(), done(cell("c", "csnn"), status="error")])
    rows = table(text, "## csnn")
    assert [row["adapter"].split()[0] for row in rows] == ["torch", "b", "c"]
    assert (rows[1]["time / baseline"], rows[1]["reason"]) == (ABSENT, "")
    assert [row["ran another network"] for row in rows] == ["", "1,000 LIF neurons", ""]
    assert "ran another network: 1,000 LIF neurons" in Elements(page).text
    assert "Open division: the same data" in page
    assert "Not in the plots: b own (open division), c plain (error)." in text


def test_several_seeds_are_median_and_range(tmp_path: Path) -> None:
    figures: list[dict[str, float]] = [
        {"epoch_seconds": 9.0, "host_peak_bytes": 3e6},
        {"epoch_seconds": 2.0},
        {"epoch_seconds": 3.0, "host_peak_bytes": 5e6},
    ]
    records = [done(cell("torch", "csnn", seed=n), 1.0, figures=f, curve=[]) for n, f in enumerate(figures)]
    page, text = unplotted(tmp_path, records)
    row = row_of(text, "## csnn", "torch")
    assert row["s/epoch (0 epochs)"] == "3.00 (2.00–9.00)"
    assert row["host peak (MB)"] == "4 (3–5, n = 2)"
    assert row["seeds"] == "3"
    assert "- Seeds per cell: 3 (indicative)" in text
    assert "<dd>3 (indicative)</dd>" in page


@pytest.mark.parametrize(("seeds", "words"), [(1, "1 (single run)"), (4, "4 (indicative)"), (5, "5")])
def test_the_number_of_seeds_is_named(tmp_path: Path, seeds: int, words: str) -> None:
    _, text = report(tmp_path, [], cells=[cell("torch", seed=seed) for seed in range(seeds)])
    assert f"- Seeds per cell: {words}\n" in text


def test_a_partial_run_has_no_holes(tmp_path: Path) -> None:
    records = heat()
    page, text = unplotted(tmp_path, records, cells=[*(one.cell for one in records), cell("b", "csnn")])
    assert row_of(text, "## csnn", "b")["status"] == "pending"
    for form in (page, text):
        assert "Partial run: 1 of 2 cells are finished (1 ok)." in form


def test_nothing_to_plot_is_said_in_unplotted(tmp_path: Path) -> None:
    records = [done(cell(name, "csnn"), status=status) for name, status in _ENDINGS]
    page, text = report(tmp_path, records)
    for form in (page, text):
        assert "There is no plot: no row of this task has figures" in form
        assert "Not in the plots: a plain (crashed), b plain (skipped)." in form
    assert "<svg" not in page
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"index.html", "report.md"}


_ENDINGS: tuple[tuple[str, Status], ...] = (("a", "crashed"), ("b", "skipped"))


def test_a_plot_that_lacks_data_is_named(tmp_path: Path) -> None:
    page, _ = report(tmp_path, [done(cell("torch", "csnn"), 1.0, figures={"epoch_seconds": 1.0})])
    assert (
        "Not plotted, because no cell measured it: every round beside the baseline's (it takes rounds of two "
        "frameworks or of a control); test accuracy over training time, both divisions; each framework "
        "beside its own example (make versus); where the time of a training step goes (make bench "
        "PROFILE=split); peak memory; what ten test images are taken for; where an image first becomes "
        "spikes; output spikes."
    ) in Elements(page).text
    drawn = {path.stem for path in (tmp_path / "report").glob("*.svg")}
    assert drawn == {
        *(f"csnn-{kind}" for kind in ("epoch-seconds", "accuracy-epochs", "loss-epochs")),
        *("all-speed", "all-speed-narrow"),
    }


def test_a_plot_that_fails_is_a_line_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no font\nand more")

    monkeypatch.setattr(Figure, "savefig", broken)
    with caplog.at_level(logging.WARNING):
        page, text = report(tmp_path, heat(other=2.0))
    assert row_of(text, "## csnn", "other")["status"] == "ok"
    assert (
        "Could not be drawn: every round beside the baseline's; time per epoch; accuracy over epochs"
        in Elements(page).text
    )
    assert "plot csnn-rounds could not be drawn: no font" in caplog.messages
    assert "<svg" not in page


def test_a_persons_matplotlib_changes_and_breaks_nothing(tmp_path: Path) -> None:
    report(tmp_path / "run", heat(other=2.0))
    expected = (tmp_path / "run" / "report" / "index.html").read_bytes()
    for name in ("matplotlibrc", "named"):
        (tmp_path / name).write_bytes(b"font.size: 99\nlines.linewidth: x\n\xff")
    program = (
        "import sys; from pathlib import Path; from bench.report.page import write_report;"
        "write_report(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "run"],
        cwd=tmp_path,
        env=os.environ
        | {"MPLBACKEND": "module://of_a_notebook", "PYTHONPATH": str(Path(__file__).parent.parent)}
        | {"MATPLOTLIBRC": str(tmp_path / "named")},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run" / "report" / "index.html").read_bytes() == expected


def test_pictures_of_an_earlier_report_go(tmp_path: Path) -> None:
    old = [tmp_path / "report" / name for name in ("csnn-old.svg", "csnn-rounds.png")]
    old[0].parent.mkdir()
    for path in old:
        path.touch()
    unplotted(tmp_path, heat(other=2.0))
    assert not any(path.exists() for path in old)


def test_a_run_of_nothing(tmp_path: Path) -> None:
    page, text = report(tmp_path, [], profile_values={}, settings={}, machine={}, git={})
    for form in (page, text):
        assert "This run has no timed cells." in form
        assert "This run has no certificates." in form


def test_plots_show_valid_work_only(mixed_run: Written) -> None:
    page, text = mixed_run.page, mixed_run.text
    left_out = "Not in the plots: absentee plain (skipped), faller plain (crashed), liar plain (wrong)."
    assert left_out in page
    assert left_out in text
    drawn = (mixed_run.folder / "report" / "csnn-epoch-seconds.svg").read_text(encoding="utf-8")
    assert ">fast</text>" in drawn
    assert ">s/epoch</text>" in drawn
    assert ">csnn on cpu: time per epoch; fastest: fast</text>" in drawn
    assert "liar" not in drawn


def test_every_plot_is_a_file_and_in_both_reports(mixed_run: Written) -> None:
    page, text = mixed_run.page, mixed_run.text
    folder = mixed_run.folder / "report"
    kinds = ["rounds", "epoch-seconds", "accuracy-epochs", "loss-epochs", "memory"]
    names = {f"{task}-{kind}" for task in ("fc-lif", "csnn") for kind in kinds} | {"all-speed", "all-memory"}
    narrow = {"all-speed-narrow", "all-memory-narrow"}  # of the page alone
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        "report.md",
        *(f"{name}.svg" for name in names | narrow),
    }
    assert all(path.read_text().count("font-family") == 1 for path in folder.glob("*.svg"))  # and not a word
    assert set(re.findall(r"\]\((.*)\.svg\)", text)) == names
    assert page.count("<svg") == len(names | narrow)


def section_of(records: Sequence[Record]) -> Section:
    (section,) = sections(manifest(one.cell for one in records), records)
    return section


def rounds_of(records: Sequence[Record]) -> Figure:
    section = section_of(records)
    look = styles([one.cell for one in records])
    figure = rounds.draw(section, [row for row in section.rows if row.comparable], look)
    assert figure is not None
    return figure


def points(line: Line2D) -> list[float]:
    """Where the points of a line are on the axis of ratios."""
    return [float(x) for x in np.asarray(line.get_xdata(), float)]


def dots(axes: Axes, face: str | None = None) -> int:
    """How many markers there are, all or those of a face colour."""
    marked = [line for line in axes.get_lines() if line.get_marker() not in ("None", "")]
    return sum(len(points(line)) for line in marked if face in (None, line.get_markerfacecolor()))


def test_every_round_is_a_dot_and_disturbed_ones_are_hollow() -> None:
    records = heat(other=2.0)
    records[2] = records[2].model_copy(update={"turns": turns(times(2.0), (0.5, 0.07, 0.06))})
    (axes,) = rounds_of(records).axes
    assert dots(axes) == 60
    assert dots(axes, drawing.PAPER) == 2
    assert axes.get_xscale() == "log"
    names = [label.get_text().splitlines()[0] for label in axes.get_yticklabels()]
    assert names == ["control: torch plain", "other"]


def test_no_word_of_the_rounds_is_cut_off() -> None:
    figure = rounds_of(heat(other=2.0))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    width, height = figure.get_size_inches() * figure.dpi
    for text in (*figure.texts, axes.xaxis.label, *axes.get_yticklabels()):
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= width, text.get_text()
        assert box.y0 >= 0 and box.y1 <= height, text.get_text()


def test_the_title_of_the_rounds_is_what_they_say() -> None:
    assert rounds_of(heat(other=2.0)).get_suptitle() == "csnn on cpu: only gaps above 5 % count in this run"
    noisy = heat(other=2.0)
    noisy[1] = done(noisy[1].cell, 1.2)
    found = re.fullmatch(
        r"csnn on cpu: only gaps above (\d+) % count in this run", rounds_of(noisy).get_suptitle()
    )
    assert found and 20 <= int(found[1]) <= 27
    alone = [one for one in heat(other=2.0) if one.cell.stage != "control"]
    assert rounds_of(alone).get_suptitle() == "csnn on cpu: no gap counts, for want of a control in this run"


def test_median_and_interval_of_the_rounds_are_those_of_the_table() -> None:
    records = heat(other=2.0)
    (axes,) = rounds_of(records).axes
    (row,) = (row for row in section_of(records).rows if row.adapter == "other")
    assert row.ratio
    spans = [points(line) for line in axes.get_lines()]
    assert [row.ratio.low, row.ratio.high] in spans
    assert [row.ratio.ratio] * 2 in spans


def test_an_adapter_has_one_colour_and_its_variants_differ() -> None:
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


def test_a_precision_has_a_row_and_bars_of_its_own(tmp_path: Path) -> None:
    half = cell("torch", "csnn", precision="amp", baseline=False, cell="amp")
    row = done(half, 2.0).model_copy(update={"parity": "reduced precision"})
    _, text = report(tmp_path, [*heat(), row])
    rows = table(text, "## csnn")
    assert [(each["adapter"], each["parity"]) for each in rows] == [
        ("torch (plain)", "exact"),
        ("torch (plain amp)", "reduced precision"),
    ]
    assert float(rows[1]["time / baseline"][:4]) == pytest.approx(2.0, rel=0.05)
    drawn = (tmp_path / "report" / "csnn-memory.svg").read_text(encoding="utf-8")
    assert ">torch · plain</text>" in drawn and ">torch · plain amp</text>" in drawn


def test_certificates_of_two_points_are_told_apart(tmp_path: Path) -> None:
    points = [cell("torch", certificate=f"c{n}", cell=f"c{n}") for n in range(2)]
    points[1] = points[1].model_copy(update={"task_values": {"loss": "cross_entropy"}})
    _, text = unplotted(tmp_path, [record(certify(point)) for point in points])
    rows = table(text, "### Certificates: image classification")
    assert [row["task"] for row in rows] == ["fc_lif", "fc_lif (loss cross_entropy)"]


def test_device_memory_where_somebody_measured_it(tmp_path: Path, mixed_run: Written) -> None:
    cells = [cell(name, "csnn", device="cuda") for name in ("torch", "b")]
    figures = {"epoch_seconds": 1.0, "device_allocated_bytes": 2e6}
    records = [done(cells[0], 1.0, figures=figures), done(cells[1], 2.0, figures={"epoch_seconds": 2.0})]
    machine = {"gpu": {"name": "Some GPU"}}
    _, text = report(tmp_path, records, machine=machine, settings={"device": "cuda"})
    assert [row["device allocated (MB)"] for row in table(text, "## csnn")] == ["2", ABSENT]
    assert "- Machine: Some GPU\n" in text
    drawn = (tmp_path / "report" / "csnn-memory.svg").read_text(encoding="utf-8")
    assert f">{ABSENT} not measured</text>" in drawn
    assert not any("device" in column for column in table(mixed_run.text, "## csnn")[0])


def test_what_the_card_did_while_a_cell_ran(tmp_path: Path) -> None:
    cells = [cell(name, "csnn", device="cuda") for name in ("torch", "b")]
    records = [done(cells[0], 1.0, figures={"sm_clock_mhz": 1500.0}), done(cells[1], 2.0)]
    held = [turn.model_copy(update={"gpu": OnCard(throttled=["power cap"])}) for turn in records[1].turns]
    records[1] = records[1].model_copy(update={"turns": held})
    _, text = unplotted(tmp_path, records, settings={"device": "cuda"})
    first, second = table(text, "## csnn")
    assert (first["SM clock (MHz)"], second["SM clock (MHz)"]) == ("1,500", ABSENT)
    column = "the device's clocks were held back by"
    assert (first[column], second[column]) == ("", "power cap")
    assert "energy (J)" not in first


def test_what_was_run_is_printed(mixed_run: Written) -> None:
    page, text = mixed_run.page, mixed_run.text
    body = Elements(page).text
    for key, value in flatten(PROFILE):
        assert f"| {markdown(key)} | {markdown(value)} |" in text
        assert re.search(rf"{re.escape(key)}\s+{re.escape(value)}\s", body)
    for line in (
        "| precision | float32 |",
        "| machine.cores | 2 |",
        "| order_seed | 5 |",
        "| fast | plain | fast 4.5.6, numpy 1.2.3 |",
        "| fast | 0 | 3 |",
        "- Machine: two-cores, Some CPU, 2 cores, 8.0 GB memory",
        "- Commit: abc123",
        "1,000 training images, T = 4, batch 32, 2 epochs, 500 test images",
    ):
        assert line in text
    assert "Flatten - Linear 10 - LIF" in body


@pytest.mark.parametrize(("loss", "said"), [("mse", ""), ("cross_entropy", ", cross-entropy loss")])
def test_another_loss_than_the_usual_one_is_said(tmp_path: Path, loss: str, said: str) -> None:
    _, text = unplotted(tmp_path, [done(cell("torch", work={**WORK, "loss": loss}), 1.0)])
    assert f"2 epochs{said}, 500 test images\n" in text


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


def test_the_same_records_give_the_same_bytes(tmp_path: Path, mixed_run: Written) -> None:
    def everything(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (folder / "report").iterdir()}

    report(tmp_path, mixed(), profile_values=PROFILE)
    assert everything(tmp_path) == everything(mixed_run.folder)


def test_the_page_needs_no_other_file(mixed_run: Written) -> None:
    page = mixed_run.page
    elements = Elements(page)
    assert not {"script", "link", "img", "iframe", "object", "image"} & {tag for tag, _ in elements.tags}
    references = [
        (tag, str(value))
        for tag, attributes in elements.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "data", "poster")
    ]
    assert references
    links = [value for tag, value in references if tag == "a" and not value.startswith("#")]
    assert all(value.startswith("#") for tag, value in references if tag != "a")
    # what a reader may follow: the plots as files, and the run's own
    assert all((mixed_run.folder / "report" / link).exists() for link in links)
    assert not re.search(r"https?:|@import|url\((?!#)", page)


def test_the_navigation_leads_somewhere(mixed_run: Written) -> None:
    elements = Elements(mixed_run.page)
    sections = [attributes["id"] for tag, attributes in elements.tags if tag == "section"]
    links = [str(attributes["href"]) for tag, attributes in elements.tags if tag == "a"]
    inside = [link.removeprefix("#") for link in links if link.startswith("#")]
    assert inside[: len(sections)] == sections and len(sections) == 9
    ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(set(ids)) == len(ids) and set(inside) <= set(ids)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path)


def test_a_page_is_found_by_the_familys_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert page_of("classify") is classify.PAGE
    (tmp_path / "toys.py").write_text(
        "from bench.report.pages import Page\nPAGE = Page(quality='rmse', pace='sim_speed')\n"
    )
    package = importlib.import_module("bench.report")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    assert page_of("toys").pace == "sim_speed"
    monkeypatch.delitem(sys.modules, "bench.report.toys")
    pages.page_of.cache_clear()


def test_a_family_without_a_page_shows_all_its_figures() -> None:
    records = heat(other=2.0)
    shown = comparison(section_of(records), page_of("of_nobody"))
    headings = [heading.text for heading in shown.headings]
    measured = {name for one in records for name in one.figures}
    assert headings[3 : 3 + len(measured)] == [f.heading for name, f in FIGURES.items() if name in measured]


def test_a_page_that_cannot_be_imported_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("import of_no_package\n")
    package = importlib.import_module("bench.report")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="of_no_package"):
        page_of("broken")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.01234, "0.0123"), (7.406, "7.41"), (83.25, "83.2"), (1204.4, "1,204"), (-2.0, "-2.00")],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


def test_a_range_below_zero_is_readable() -> None:
    assert span([-2.0, 1.0], significant) == "-2.00 to 1.00"
    assert span([0.25, 0.5], rate) == "0.2500–0.5000"


def test_the_first_line_says_something() -> None:
    assert first_line("\n  \n  first \nsecond") == "first"
    assert first_line("") == ""


def curves_of(name: str, records: Sequence[Record]) -> Figure:
    """The plot of that kind."""
    section = section_of(records)
    (kind,) = (kind for kind in classify.PAGE.plots if kind.name == name)
    figure = kind.draw(section, section.rows, styles([one.cell for one in records]))
    assert figure is not None
    return figure


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "loss-epochs",
            {"train loss, 1,000 images": [0.5, 0.25], "test loss, 200 images": [0.25, 0.125]},
        ),
        (
            "accuracy-epochs",
            {"train accuracy (%), 1,000 images": [40, 50], "test accuracy (%), 200 images": [50, 60]},
        ),
    ],
)
def test_curves_of_training_and_test_stand_side_by_side(name: str, expected: dict[str, list[float]]) -> None:
    figure = curves_of(name, heat(other=2.0))
    drawn = {
        axes.get_ylabel().replace("\n", " "): [
            [float(y) for y in np.asarray(line.get_ydata())] for line in axes.get_lines()
        ]
        for axes in figure.axes
    }
    assert drawn == {label: [pytest.approx(values)] for label, values in expected.items()}
    assert all(axes.yaxis.label.get_visible() for axes in figure.axes)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    ends = [
        f"{label.partition(',')[0]} goes from {significant(first)} to {significant(last)}"
        for label, (first, last) in expected.items()
    ]
    assert figure.get_suptitle() == f"csnn on cpu: over epochs, {'; '.join(ends)}"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["other, torch"]


def test_curves_that_differ_have_a_line_each() -> None:
    records = heat(other=2.0)
    worse = [point.model_copy(update={"loss": 2.0}) for point in records[2].curve]
    records[2] = records[2].model_copy(update={"curve": worse})
    train, test = curves_of("loss-epochs", records).axes
    assert (len(train.get_lines()), len(test.get_lines())) == (2, 1)


def test_records_from_before_there_was_a_test_loss_are_still_drawn(tmp_path: Path) -> None:
    save(tmp_path, heat(other=2.0))
    for path in (tmp_path / "records").iterdir():
        text, found = re.subn(r'"test_loss":[^,]*,', "", path.read_text(encoding="utf-8"))
        assert found
        path.write_text(text, encoding="utf-8")
    loaded = load_records(tmp_path)
    assert loaded[0].curve[0].loss == 0.5 and loaded[0].curve[0].test_loss is None
    (axes,) = curves_of("loss-epochs", loaded).axes
    assert axes.get_ylabel() == "train loss,\n1,000 images"
    assert "over epochs, train loss goes from" in write_report(tmp_path).read_text(encoding="utf-8")


def test_a_tenth_of_a_point_does_not_fill_the_plot() -> None:
    axes = Figure().subplots()
    axes.plot([0, 1], [93.58, 93.75])
    classify._widen(axes, classify.ACCURACY_SPAN)
    low, high = axes.get_ylim()
    assert high - low == pytest.approx(classify.ACCURACY_SPAN) and low < 93.58 < 93.75 < high


def test_a_run_of_certificates_alone_counts_them() -> None:
    certificates = [certify(cell(name)) for name in ("torch", "other")]
    said = sentences.progress(manifest(certificates), [record(certificates[0])])
    assert said.startswith("Partial run: 1 of 2 certificates are finished (1 ok).")


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1.0, "0 %"),
        (1.005, "0.5 %"),
        (1.05, "5 %"),
        (1.128, "13 %"),
        (1.99, "99 %"),
        (1.997, "100 %"),
        (2.5, "150 %"),
    ],
)
def test_a_gap_is_whole_percent_from_ten_on(ratio: float, words: str) -> None:
    assert gap(ratio) == words
