"""What a person sees while a run goes on, and how long it says that a run takes."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from bench import progress as shown
from bench.durations import Durations, earlier
from bench.progress import Progress
from bench.records import Cell, Record, Status
from tests.builders import cell, certify, control, record, save

TORCH = cell("torch")
SKIPPED = cell("lacking", skip="it has no such thing")


def took(of: Cell, seconds: float, status: Status = "ok") -> Record:
    return record(of, status=status).model_copy(update={"seconds": seconds})


def told(
    cells: Sequence[Cell], done: Sequence[Record] = (), known: Sequence[Record] = ()
) -> tuple[Progress, io.StringIO]:
    text = io.StringIO()
    return Progress(Console(file=text, width=200), cells, done, Durations(known)), text


def test_certificates_are_told_in_one_line_and_only_what_is_made_has_its_own() -> None:
    made, kept, lacking = (certify(cell(name)) for name in ("made", "kept", "lacking"))
    lacking = lacking.model_copy(update={"skip": "it has no such thing"})
    show, text = told([made, kept, lacking])
    old = record(kept, made="2026-01-01T10:00:00+00:00")
    show.certificates([old], 1)
    show.finish(old, kept=True)
    show.finish(record(lacking, status="skipped", reason="it has no such thing"))
    show.finish(record(made))
    first, second = text.getvalue().splitlines()
    assert first.startswith("2/4 Certificates: is it the same work?")
    assert first.endswith("1 reused (made 2026-01-01), 1 to make.")
    assert second == "[1/1] certificate of fc_lif made plain  ok  exact  1.0 s"


def test_a_kept_certificate_that_failed_is_told() -> None:
    show, text = told([certify(TORCH)])
    show.finish(record(certify(TORCH), status="wrong", reason="spikes differ", made="2026-01-01"), kept=True)
    assert text.getvalue() == ("certificate of fc_lif torch plain  wrong  spikes differ  made 2026-01-01\n")


def test_cells_are_counted_as_in_the_report_controls_with_nobody() -> None:
    show, text = told([certify(TORCH), TORCH, SKIPPED, control(TORCH)])
    show.begin_heats()
    for each in (TORCH, control(TORCH)):
        show.finish(record(each))
    skipped = record(SKIPPED, status="skipped", reason="it has no such thing")
    show.finish(skipped.model_copy(update={"seconds": 0.0}))
    assert text.getvalue().splitlines() == [
        "3/4 Heats: who does the same work takes turns, with the baseline once more as a control. "
        "1 of 2 cells to run, 1 to skip.",
        "[1/2] fc_lif torch plain  ok  1.0 s",
        "fc_lif torch plain (control)  ok  1.0 s",
        "[2/2] fc_lif lacking plain  skipped  it has no such thing",
    ]


def test_a_seed_is_named_only_where_there_are_several() -> None:
    one, other = cell("torch"), cell("torch", seed=1)
    show, text = told([one])
    show.heat([one])
    assert text.getvalue() == "heat 1/1  fc_lif: torch plain runs\n"
    show, text = told([one, other])
    show.heat([other])
    assert text.getvalue() == "heat 2/2  fc_lif: torch plain seed 1 runs\n"


def test_the_time_left_is_that_of_earlier_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(shown, "monotonic", lambda: now[0])
    cells = [TORCH, cell("slow"), SKIPPED, control(TORCH), cell("torch", "csnn")]
    known = [took(each, seconds) for each, seconds in zip(cells, (10, 20, 0, 10, 40), strict=True)]
    show, text = told(cells, known=known)
    show.begin_heats()
    show.heat(cells[:2])
    now[0] = 15.0
    show.heat(cells[:2])
    now[0] = 30.0
    assert str(show._ticking()).splitlines() == [
        "now     fc_lif: torch plain, slow plain",
        "in all  30 s so far, about 65 s left",
    ]
    lines = text.getvalue().splitlines()
    assert lines[0].endswith("to skip.  about 80 s left") and lines[2].endswith("  about 80 s left")


def test_certificates_are_made_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    cells = [certify(cell(name)) for name in ("torch", "a", "b", "c")]
    show, _ = told(cells, known=[took(each, 20.0) for each in cells])
    assert str(show._ticking()).endswith("about 20 s left")


def test_nothing_is_said_of_the_time_left_while_a_part_is_unknown() -> None:
    show, _ = told([TORCH, cell("torch", "csnn")], known=[took(TORCH, 10.0)])
    assert "left" not in str(show._ticking())


def test_one_that_never_ran_is_taken_for_one_with_its_work() -> None:
    show, _ = told([cell("new")], known=[took(TORCH, 7.0)])
    assert str(show._ticking()).endswith("about 7 s left")
    show, _ = told([cell("new", amounts={"turns": 99})], known=[took(TORCH, 7.0)])
    assert "left" not in str(show._ticking())


def test_durations_are_those_of_the_last_run_that_can_be_read(tmp_path: Path) -> None:
    save(tmp_path / "2026-01-01T10-00-00-quick", [took(TORCH, 5.0)])
    save(tmp_path / "2026-01-02T10-00-00-quick", [took(TORCH, 6.0)])
    (tmp_path / "2026-01-03T10-00-00-quick").mkdir()
    (tmp_path / "2026-01-03T10-00-00-quick" / "manifest.json").write_text("{}")
    (tmp_path / "latest").symlink_to("2026-01-01T10-00-00-quick")
    assert Durations(earlier(tmp_path)).of(TORCH) == 6.0
    assert Durations(earlier(tmp_path / "nowhere")).of(TORCH) is None
    failed = took(TORCH, 1.0, "crashed")
    assert Durations([failed]).of(TORCH) is None
