from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import clean, runs, session
from bench.catalogue import PROJECT, discover
from bench.measure import gpu, load
from bench.measure.card import Card
from bench.plan import make_cells, parse_only, plan_digest
from bench.profile import Profile
from bench.progress import Progress
from bench.records import Manifest, Record, load_manifest, load_records, save_manifest
from tests.harness import FAKES, PROFILE, interpreter

ADAPTERS = discover(FAKES)
SETTINGS = {
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
    "tf32": False,
    "cudnn_benchmark": False,
    "deterministic": False,
    "environment": "locked",
}


def manifest(run: str, only: str = "adapter=ok") -> Manifest:
    profile = Profile(**PROFILE)
    cells = make_cells(profile, ADAPTERS, parse_only(only), settings=SETTINGS, machine={}, unavailable={})
    return Manifest(
        run=run,
        digest=plan_digest(cells),
        profile="tiny",
        profile_values={},
        settings=SETTINGS,
        machine={"name": "two cores"},
        git={},
        order_seed=1,
        cells=cells,
        created="",
    )


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (f"{PROJECT}/bench/x.py is gone", "./bench/x.py is gone"),
        (f"in {FAKES}/ok/adapter.py", "in ./tests/fakes/ok/adapter.py"),
        (f"{Path.home()}/.cache: no space", "~/.cache: no space"),
        (f"no '{Path.home()}'", "no '~'"),
        ('File "/usr/lib/python3.11/json/decoder.py", line 3', 'File "decoder.py", line 3'),
        ("libs=/opt/a/b.so:/opt/c/d.so", "libs=b.so:d.so"),
        ("spikes/step, 3 / 4 and https://example.org/a/b", "spikes/step, 3 / 4 and https://example.org/a/b"),
        ("\x1b[1;31mred\x1b[0m\r\n two\tlines \udc80", "red two lines"),
        ("no file:///home/some/one/x.so", "no x.so"),
        ("in '/opt/some where/lib.so'", "in 'lib.so'"),
        ("on GPU-12345678-abcd-ef01-2345-6789abcdef01", "on a card"),
        ("\x1b]0;title\x07x\x1b[2J\x1b[1;1Hy", "xy"),
        ("x" * 1000, "x" * clean.REASON_LENGTH),
        ("", ""),
    ],
)
def test_a_reason_is_one_line_without_folders(reason: str, line: str) -> None:
    assert clean.reason_line(reason, ADAPTERS["ok"]) == line


def test_a_job_runs_on_its_cells_device_and_certificates_on_one_thread(tmp_path: Path) -> None:
    asked = SETTINGS | {"device": "cuda"}
    for cell in manifest("a", "adapter=ok").cells:  # it has no CUDA: its cells are the CPU's
        three = cell.model_copy(update={"work": cell.work | {"threads": 3}})
        settings = session.job(three, asked, means(tmp_path, Path())).settings
        assert settings.device == "cpu"
        assert settings.threads == (1 if cell.stage == "certify" else 3)
        assert settings.seed == (0 if cell.stage == "certify" else 1)


def test_a_job_has_the_precision_of_its_cell(tmp_path: Path) -> None:
    for cell in manifest("a", "adapter=ok").cells:
        half = cell.model_copy(update={"precision": "amp"})
        assert session.job(half, SETTINGS, means(tmp_path, Path())).settings.precision == "amp"


Outcome = dict[str, Any]
CERTIFIED: Outcome = {"status": "ok", "parity": "exact", "metrics": []}
MEASURED: Outcome = {"status": "ok", "figures": {"test_accuracy": 0.5}, "metrics": []}
ANSWER = """
if job["stage"] == "run":
    turn("prepare")
    turn("train")
answers = json.loads(Path(sys.argv[0]).with_name("answers.json").read_text())
result(**answers[job["stage"] + " " + job["adapter"]])
"""


SEES = """
if job["stage"] == "run":
    turn("prepare")
    turn("train")
result(parity="exact", versions={"seen": os.environ["CUDA_VISIBLE_DEVICES"]})
"""


def means(folder: Path, python: Path) -> session.Means:
    return session.Means(
        adapters=ADAPTERS,
        pythons=dict.fromkeys(ADAPTERS, python),
        data={"MNIST": folder},
        results=folder / "results",
    )


def go(
    folder: Path, outcome: Callable[[str, str], Outcome], *, terminal: bool = False
) -> tuple[list[Record], str]:
    """Run a folder's cells by workers that end with these outcomes, by stage and adapter."""
    python = interpreter(folder / "python", ANSWER)
    cells = load_manifest(folder).cells
    done = load_records(folder)
    answers = {
        f"{stage} {cell.adapter}": outcome(stage, cell.adapter)
        for stage in ("certify", "run")
        for cell in cells
    }
    (folder / "answers.json").write_text(json.dumps(answers))
    text = io.StringIO()
    console = Console(file=text, emoji=False, force_terminal=terminal, width=200)
    with Progress(console, cells, done) as show:
        records = session.go(folder, means(folder, python), show)
    assert records == load_records(folder)
    return records, text.getvalue()


def test_cells_on_cuda_see_the_card_of_the_run_and_are_measured_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, read = Card(uuid="GPU-b", name="Some GPU", place=""), set[Card]()

    def reading(of: Card) -> gpu.Reading:
        read.add(of)
        return gpu.Reading(time=0.0)

    monkeypatch.setattr(gpu, "read", reading)
    ok = ADAPTERS["ok"].model_copy(update={"devices": ["cpu", "cuda"]})
    asked = SETTINGS | {"device": "cuda"}
    only = parse_only("adapter=ok")
    planned = make_cells(Profile(**PROFILE), {"ok": ok}, only, settings=asked, machine={}, unavailable={})
    save_manifest(tmp_path, manifest("a").model_copy(update={"cells": planned, "settings": asked}))
    python = interpreter(tmp_path / "python", SEES)
    with Progress(Console(file=io.StringIO()), planned, []) as show:
        records = session.go(tmp_path, replace(means(tmp_path, python), card=card), show)
    assert {record.cell.stage for record in records} == {"certify", "run"}
    assert all(record.versions == {"seen": "GPU-b"} for record in records)
    assert read == {card}


@pytest.mark.parametrize(
    ("malformed", "reason"),
    [
        (
            {"figures": {"test_accuracy": 0.5, "device_allocated_bytes": "3 MB"}},
            "figures.device_allocated_bytes",
        ),
        ({"versions": {"numpy": None}}, "versions.numpy"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_malformed_result_is_an_error_of_its_cell_alone(
    tmp_path: Path, malformed: Outcome, reason: str
) -> None:
    save_manifest(tmp_path, manifest("a", "adapter=ok,noisy"))

    def outcome(stage: str, adapter: str) -> Outcome:
        if stage == "certify":
            return CERTIFIED
        return MEASURED | (malformed if adapter == "ok" else {})

    records, _ = go(tmp_path, outcome)
    ended = {r.cell.adapter: r for r in records if r.cell.stage == "run"}
    assert ended["ok"].status == "error"
    assert ended["ok"].reason.startswith(f"malformed result: {reason}: ")
    assert ended["ok"].figures == {}
    assert ended["noisy"].status == "ok"
    assert ended["noisy"].parity == "exact"


def test_the_load_by_others_is_kept_with_what_was_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_manifest(tmp_path, manifest("a"))
    found = load.Shares(foreign=0.25, throttled=0.5)
    monkeypatch.setattr(load, "shares", lambda start, stop, threads: found)
    (certificate, timed), _ = go(tmp_path, lambda stage, _: CERTIFIED if stage == "certify" else MEASURED)
    assert certificate.turns == []
    assert [(turn.foreign, turn.throttled) for turn in timed.turns] == [(0.25, 0.5)]


def test_what_a_cell_says_is_printed_as_it_is(tmp_path: Path) -> None:
    save_manifest(tmp_path, manifest("a"))
    reason = "[bold]no[/] :boom: [1/2] [link=x]"
    _, out = go(tmp_path, lambda *_: {"status": "error", "reason": reason})
    lines = [" ".join(line.split()) for line in out.splitlines() if line.startswith("[")]
    assert [re.sub(r" \d+\.\d s$", "", line) for line in lines] == [
        f"[1/1] certificate of fc_lif ok plain error {reason}",
        f"[1/1] fc_lif ok plain error certificate: {reason}",
    ]


def test_homes_of_workers_that_a_killed_harness_left_are_removed(tmp_path: Path) -> None:
    save_manifest(tmp_path, manifest("a"))
    (tmp_path / "logs" / "home-left" / "deep").mkdir(parents=True)
    go(tmp_path, lambda stage, _: CERTIFIED if stage == "certify" else MEASURED)
    assert not list((tmp_path / "logs").glob("home-*")) and list((tmp_path / "logs").glob("*.log"))


def test_a_terminal_shows_the_turn_under_way(tmp_path: Path) -> None:
    save_manifest(tmp_path, manifest("a"))
    _, out = go(tmp_path, lambda stage, _: CERTIFIED if stage == "certify" else MEASURED, terminal=True)
    # what stands there last
    assert re.search(r"now     fc_lif ok plain: train, round 0.*\n.*in all  0 s so far", out)


def test_a_cell_says_by_which_certificate_it_was_allowed(tmp_path: Path) -> None:
    save_manifest(tmp_path, manifest("a", "adapter=ok,noisy"))
    records, out = go(tmp_path, lambda stage, _: CERTIFIED if stage == "certify" else MEASURED)
    certificates = {record.cell.cell: record for record in records if record.cell.stage == "certify"}
    timed = [record for record in records if record.cell.stage != "certify"]
    assert [len(certificates), len(timed)] == [2, 3]
    for record in timed:
        certificate = certificates[str(record.cell.certificate)]
        assert certificate.made and certificate.machine == "two cores"
        assert (record.made, record.machine, record.parity) == (certificate.made, "two cores", "exact")
    (line,) = (line for line in out.splitlines() if line.startswith("2/4 "))
    assert line.startswith("2/4 Certificates: is it the same work?") and line.endswith("0 reused, 2 to make.")
    (line,) = (line for line in out.splitlines() if line.startswith("3/4 "))
    assert line.startswith("3/4 Heats: ") and line.endswith("2 of 2 cells to run, 0 to skip.")
    (line,) = (line for line in out.splitlines() if line.endswith("take turns"))
    assert line.endswith("(control) take turns")


def test_the_newest_run_of_a_plan_is_found(tmp_path: Path) -> None:
    made = manifest("x")
    for name, digest in (("2026-01", "a"), ("2026-02", "a"), ("2026-02.2", "a"), ("2026-03", "b")):
        save_manifest(tmp_path / name, made.model_copy(update={"run": name, "digest": digest}))
        runs.point_latest(tmp_path / name)
    (tmp_path / "2026-04").mkdir()
    (tmp_path / "2026-05").mkdir()
    (tmp_path / "2026-05" / "manifest.json").write_text('{"run": "2026-05", "digest": "a"}')
    said: list[str] = []
    assert runs.find(tmp_path, "a", said.append) == tmp_path / "2026-02.2"
    assert len(said) == 1 and said[0].startswith("Run 2026-05 is left alone: ")
    assert runs.find(tmp_path, "b", said.append) == tmp_path / "2026-03"
    assert runs.find(tmp_path, "c", said.append) is None
    assert len(said) == 1  # it is of another plan
    assert (tmp_path / "latest").resolve() == tmp_path / "2026-03"


def test_a_run_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        name = runs.name_now("a.b", tmp_path)
        assert "-a.b" in name
        (tmp_path / name).mkdir()
        names.add(name)
    assert len(names) == 3
