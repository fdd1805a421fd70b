from __future__ import annotations

import json
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from bench.catalogue import PROJECT
from bench.records import CurvePoint, load_manifest, load_records, record_path
from bench.report.figures import FIGURES
from bench.report.sentences import progress
from tests.harness import (
    CLASSIFY,
    PATIENCE_SECONDS,
    Bench,
    contents,
    is_gone,
    is_idle,
    table,
    wait_until,
    write_profile,
)

NAMES = (
    "ok",
    "wrong",
    "crash",
    "error",
    "out_of_memory",
    "skip",
    "diverged",
    "misread",
    "noisy",
    "old",
    "given",
)


@dataclass(frozen=True)
class Finished:
    folder: Path
    code: int
    out: str
    err: str
    compared: str

    def row(self, adapter: str) -> dict[str, str]:
        (row,) = (row for row in table(self.folder / "results.csv") if row["adapter"] == adapter)
        return row

    def log(self, adapter: str) -> Path:
        return self.folder / "logs" / f"{self.row(adapter)['cell']}.log"


@pytest.fixture(scope="module")
def every_ending(tmp_path_factory: pytest.TempPathFactory, mnist: Path) -> Finished:
    """One run in which cells end in every way but a timeout."""
    with Bench(tmp_path_factory.mktemp("endings"), mnist, report=True) as bench:
        profile = write_profile(bench.root / "tiny.toml")
        done = bench.run("run", "--profile", profile, "--only", f"adapter={','.join(NAMES)}")
        compared = bench.run("compare", "crash", "error").stdout
        return Finished(bench.folder(), done.returncode, done.stdout, done.stderr, compared)


@pytest.mark.parametrize(
    ("adapter", "status", "reason"),
    [
        ("ok", "ok", ""),
        ("noisy", "ok", ""),
        ("given", "ok", ""),
        ("wrong", "wrong", "certificate: spike.*"),
        ("misread", "wrong", "certificate: setting threads: asked for 1, reads back as 2"),
        ("skip", "skipped", "certificate: fc_lif needs a leap year"),
        ("old", "skipped", r"old needs CPython 3\.4, and no python3\.4 on PATH is one"),
        ("crash", "crashed", "ended by SIGSEGV"),
        ("out_of_memory", "out_of_memory", "MemoryError"),
        ("diverged", "diverged", r"weights? \S+ .*finite"),
        (
            "error",
            "error",
            r"RuntimeError: \[red\]no\[/\] kernel \| in \S*error/adapter\.py or 'lib\.so'",
        ),
    ],
)
def test_how_a_cell_ended_is_a_row_with_a_reason(
    every_ending: Finished, adapter: str, status: str, reason: str
) -> None:
    row = every_ending.row(adapter)
    assert row["status"] == status
    assert re.fullmatch(reason, row["reason"])


def test_only_what_ended_well_has_figures(every_ending: Finished) -> None:
    for name in NAMES:
        row = every_ending.row(name)
        measured = {column for column in FIGURES if row[column]}
        if row["status"] != "ok":
            assert not measured
            continue
        if row["learning"] == "none":
            continue  # has a test of its own
        assert row["parity"] == "exact"
        never = {
            "rmse",
            "sim_speed",
            "first_run_seconds",
            "device_allocated_bytes",
            "device_used_bytes",
            "device_context_bytes",
            "device_others",
            "device_celsius",
            "sm_clock_mhz",
            "lowest_sm_clock_mhz",
            "energy_joules",
            "active_neurons",
            "pass_seconds",
            "forward_seconds",
            "backward_seconds",
            "element_nanoseconds",
        }
        assert FIGURES.keys() - measured == never | {
            "best_test_accuracy",
            "bitwise_accuracy",
        }
        assert 0 <= float(row["test_accuracy"]) <= 1
        assert float(row["epoch_seconds"]) > 0


def test_what_learns_nothing_has_no_figures_of_training(bench: Bench) -> None:
    whole = CLASSIFY | {"curve_images": 20}  # the whole test set
    profile = write_profile(bench.root / "all.toml", classify=whole)
    done = bench.run("run", "--profile", profile, "--only", "adapter=given")
    assert done.returncode == 0, done.stdout
    (row,) = table(bench.folder() / "results.csv")
    assert (row["status"], row["learning"], row["parity"]) == ("ok", "none", "exact")
    trained = ("train_images", "epochs", "train_accuracy", "best_test_accuracy", "cold_epoch_seconds")
    assert not any(row[column] for column in (*trained, "train_seconds", "epoch_seconds"))
    assert row["test_accuracy"] and row["eval_seconds"] and row["spike_rate"]


def test_a_heat_may_hold_two_precisions(bench: Bench) -> None:
    profile = write_profile(bench.root / "two.toml", also_precisions=["amp"])
    done = bench.run("run", "--profile", profile, "--only", "adapter=ok")
    assert done.returncode == 0, done.stdout
    rows = {row["precision"]: row for row in table(bench.folder() / "results.csv")}
    assert {name: row["parity"] for name, row in rows.items()} == {
        "float32": "exact",
        "amp": "reduced precision",
    }
    records = load_records(bench.folder())
    assert len({record.cell.heat for record in records if record.cell.stage != "certify"}) == 1
    assert all(record.settings["precision"] == record.cell.precision for record in records)
    assert "  fc_lif ok plain amp" in done.stdout or "fc_lif ok plain amp  ok" in done.stdout
    assert "seed" not in done.stdout  # there is one


def test_without_a_certificate_a_cell_is_not_run(every_ending: Finished) -> None:
    assert every_ending.row("wrong")["parity"] == "wrong"
    for name in ("wrong", "misread", "skip"):
        assert not every_ending.log(name).exists()
    assert every_ending.log("crash").exists()


def test_what_a_framework_prints_goes_to_the_log(every_ending: Finished) -> None:
    log = every_ending.log("noisy").read_bytes()
    for noise in (b"imported\n", b"no line's end" * 10_000, b"\xff{not json\n" * 10_000, b"careful\n"):
        assert noise in log
    assert "not json" not in every_ending.out


def test_a_failed_run_says_so(every_ending: Finished) -> None:
    assert every_ending.code == 1
    assert every_ending.err == ""
    lines = every_ending.out.splitlines()
    counted = progress(load_manifest(every_ending.folder), load_records(every_ending.folder))
    assert "1 crashed" in counted and "2 skipped" in counted and "3 ok" in counted
    assert f"4/4 Report: run {every_ending.folder.name} is complete. {counted}" in lines
    assert counted in (every_ending.folder / "report" / "report.md").read_text()  # on the page as well
    (line,) = (line for line in lines if "] fc_lif error plain" in line)
    assert "  error  RuntimeError: [red]no[/] kernel | in " in line
    assert "\x1b" not in every_ending.out


def test_a_run_goes_through_four_phases_and_ends_with_its_result(every_ending: Finished) -> None:
    lines = every_ending.out.splitlines()
    phases = [line.split(":")[0] for line in lines if re.match(r"\d/4 ", line)]
    assert phases == ["1/4 Environments", "2/4 Certificates", "3/4 Heats", "4/4 Report"]
    answer, noise, report = lines[-3:]
    assert answer.startswith("Answer: ") and noise.startswith("Noise:  ")
    assert report.endswith(f"/{every_ending.folder.name}/report/index.html") and report.startswith("Report: ")
    cells = [line for line in lines if re.match(r"\[\d+/\d+\] (?!certificate of)", line)]
    assert len(cells) == len(NAMES)


def test_the_machines_peaks_are_measured_before_anything_runs(every_ending: Finished) -> None:
    assert "Measuring what the machine can do at most ..." in every_ending.out
    assert load_manifest(every_ending.folder).peaks["bytes_per_second"] > 1e7


def test_every_cell_is_in_the_reports(every_ending: Finished) -> None:
    report = (every_ending.folder / "report" / "report.md").read_text()
    page = (every_ending.folder / "report" / "index.html").read_text()
    for name in NAMES:
        assert f"| {name} (plain) |" in report
        assert name in page


def test_no_record_holds_a_path_of_this_machine(every_ending: Finished) -> None:
    files = [p for p in every_ending.folder.rglob("*") if p.is_file() and p.parent.name != "logs"]
    assert len(files) > 2 * len(NAMES)
    for path in files:
        content = path.read_bytes()
        for folder in (PROJECT, every_ending.folder.parent, Path.home()):
            assert str(folder).encode() not in content, path
    for path in (every_ending.folder / "records").iterdir():
        assert not re.search(r"(?<![\w.])/\w", path.read_text()), path


def test_records_and_tables_agree(every_ending: Finished) -> None:
    manifest, records = load_manifest(every_ending.folder), load_records(every_ending.folder)
    assert [record.cell for record in records] == manifest.cells
    assert [record.cell.stage for record in records].count("control") == 1
    assert len(records) == 2 * len(NAMES) + 1
    curves = table(every_ending.folder / "curves.csv")
    cell = every_ending.row("ok")["cell"]
    assert [point["epoch"] for point in curves if point["cell"] == cell] == ["1", "2"]


def test_each_timed_turn_tells_how_busy_the_machine_was(every_ending: Finished) -> None:
    turns = [row for row in table(every_ending.folder / "turns.csv") if row["seconds"]]
    cells = {row["cell"] for row in turns}
    assert cells >= {every_ending.row(name)["cell"] for name in ("ok", "noisy", "given")}
    assert all(0 <= float(row["foreign"]) <= 1 for row in turns)


def test_a_failure_in_a_heat_leaves_the_others_going(every_ending: Finished) -> None:
    manifest = load_manifest(every_ending.folder)
    heat = {cell.heat for cell in manifest.cells if cell.adapter in ("crash", "error", "ok", "noisy")} - {""}
    assert len(heat) == 1
    phases = {
        name: [
            (row["round"], row["phase"])
            for row in table(every_ending.folder / "turns.csv")
            if row["cell"] == every_ending.row(name)["cell"]
        ]
        for name in ("crash", "error", "ok", "noisy")
    }
    assert phases["crash"] == phases["error"] == [("0", "build")]
    work = "build train train curve train train curve evaluate".split()
    assert phases["ok"] == phases["noisy"] == [(str(number), phase) for number, phase in enumerate(work)]


def test_frameworks_of_a_run_are_compared_in_a_sentence(every_ending: Finished) -> None:
    why = "crash and error are not compared in fc_lif: crash: crashed, ended by SIGSEGV; error: error, "
    assert every_ending.compared.startswith(why)


def test_a_hanging_cell_ends_alone_with_all_its_processes(bench: Bench) -> None:
    profile = write_profile(bench.root / "tiny.toml", seeds=[2], timeout_minutes=4 / 60)
    done = bench.run("run", "--profile", profile, "--only", "adapter=hang,ok")
    ended = {(r.cell.adapter, r.cell.stage): (r.status, r.reason) for r in load_records(bench.folder())}
    assert ended[("hang", "run")] == ("timeout", "no result within 4 s of work")
    assert ended[("hang", "control")] == ended[("ok", "run")] == ("ok", "")
    assert done.returncode == 1
    assert all(is_gone(pid) for pid in bench.hanging())


def started(bench: Bench, *words: str) -> list[str | Path]:
    """A run whose second and last heat hangs until the gate is open."""
    profile = write_profile(bench.root / "tiny.toml", seeds=[1, 2])
    return ["run", "--profile", profile, "--only", "adapter=ok,hang", *words]


def workers(harness: subprocess.Popen[str]) -> list[int]:
    """The workers that a run has now: in its second heat the one that hangs, and two that wait."""
    found = [child.pid for child in psutil.Process(harness.pid).children()]
    assert len(found) == 3
    return found


def assert_all_is_done(bench: Bench) -> None:
    rows = table(bench.folder() / "results.csv")
    assert sorted((row["adapter"], row["seed"], row["status"]) for row in rows) == [
        ("hang", "1", "ok"),
        ("hang", "2", "ok"),
        ("ok", "1", "ok"),
        ("ok", "2", "ok"),
    ]


def test_after_kill_9_the_same_command_goes_on(bench: Bench) -> None:
    words = started(bench)
    process = bench.start(*words)
    hanging = bench.hanging()
    waiting = set(workers(process)) - set(hanging)
    assert len(waiting) == 2
    wait_until(lambda: all(is_idle(pid) for pid in waiting))
    pids = [*hanging, *waiting]
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    wait_until(lambda: all(is_gone(pid) for pid in pids))
    records = bench.folder() / "records"
    before = contents(records)
    assert len(before) == 3  # two certificates and a heat
    path = record_path(bench.folder(), load_manifest(bench.folder()).cells[-1])
    assert path.name not in before
    half = path.with_name(f".{path.name}.1.tmp")
    half.write_text('{"cell": {')

    bench.open_gate()
    done = bench.run(*words)
    assert done.returncode == 0, done.stderr
    assert f"Going on with run {bench.folder().name}: 2 of 4 cells are done." in done.stdout
    after = contents(records)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {path.name, half.name}
    assert_all_is_done(bench)


def test_a_training_goes_on_at_its_last_epoch_and_ends_with_the_same_bits(bench: Bench) -> None:
    long = CLASSIFY | {"fc_lif": {"steps": 8, "batch": 8, "epochs": 24}}
    profile = write_profile(bench.root / "long.toml", classify=long)
    words = ["run", "--profile", str(profile), "--only", "adapter=ok,hang"]
    process = bench.start(*words)
    states = bench.runs / "latest" / "states"
    wait_until(lambda: any(int(path.stem) >= 4 for path in states.glob("*/*/*.npz")))
    pids = workers(process)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    wait_until(lambda: all(is_gone(pid) for pid in pids))
    (kept,) = states.glob("*/kept.json")
    assert json.loads(kept.read_bytes())["epoch"] >= 3

    assert bench.run(*words).returncode == 0
    assert not any(states.iterdir())
    resumed = load_records(bench.folder())
    assert bench.run(*words, "--fresh").returncode == 0
    at_once = load_records(bench.folders()[-1])
    for one, other in zip(resumed, at_once, strict=True):
        assert one.status == other.status
        assert one.shows == other.shows
        assert [_learned(point) for point in one.curve] == [_learned(point) for point in other.curve]
        assert one.figures.get("test_accuracy") == other.figures.get("test_accuracy")
        trained = [turn.epoch for turn in one.turns if turn.phase == "train"]
        assert trained == [turn.epoch for turn in other.turns if turn.phase == "train"]
    timed = [record for record in resumed if record.cell.stage != "certify"]
    assert timed and all(len(record.curve) == 24 and record.shows["weights"] for record in timed)


def _learned(point: CurvePoint) -> dict[str, float]:
    return point.model_dump(exclude={"seconds", "train_seconds"})


@pytest.mark.parametrize(
    ("number", "more", "hint"),
    [
        (signal.SIGINT, (), "the same command goes on from there"),
        (signal.SIGTERM, ("--fresh",), "the same command without FRESH=1 (--fresh) goes on from there"),
    ],
)
def test_an_interrupted_run_keeps_what_it_has(
    bench: Bench, number: signal.Signals, more: tuple[str, ...], hint: str
) -> None:
    process = bench.start(*started(bench, *more))
    pids = bench.hanging() + workers(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert all(is_gone(pid) for pid in pids)
    kept = load_records(bench.folder())
    assert len(kept) == 5
    assert all(record.status == "ok" for record in kept)
    assert out.splitlines()[-1] == f"Interrupted: what is finished is kept; {hint}."
    assert err == ""


def test_a_second_run_at_once_is_refused(bench: Bench) -> None:
    words = started(bench)
    first = bench.start(*words)
    bench.hanging()
    second = bench.run(*words)
    assert second.returncode == 2
    assert second.stdout == ""
    assert second.stderr.count("\n") == 1
    assert "another run is under way" in second.stderr
    bench.open_gate()
    _, err = first.communicate(timeout=PATIENCE_SECONDS)
    assert (first.returncode, err) == (0, "")
    assert_all_is_done(bench)


def test_a_run_under_nohup_outlives_its_terminal(bench: Bench) -> None:
    profile = write_profile(bench.root / "tiny.toml", seeds=[2])
    ignore = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = bench.start("run", "--profile", profile, "--only", "adapter=hang")
    finally:
        signal.signal(signal.SIGHUP, ignore)
    bench.hanging()
    process.send_signal(signal.SIGHUP)
    bench.open_gate()
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0


def test_a_finished_run_is_complete_until_a_fresh_one_is_asked_for(bench: Bench) -> None:
    profile = str(write_profile(bench.root / "tiny.toml"))
    words = ["run", "--profile", profile, "--only", "adapter=ok"]
    assert bench.run(*words).returncode == 0
    folder = bench.folder()
    before = contents(folder / "records"), contents(folder / "logs")
    again = bench.run(*words)
    assert again.returncode == 0
    said = f"4/4 Report: run {folder.name} is complete already (FRESH=1 starts a new one). "
    assert f"{said}The only cell is finished (1 ok)." in again.stdout
    assert bench.folder() == folder
    assert (contents(folder / "records"), contents(folder / "logs")) == before

    assert bench.run(*words, "--fresh").returncode == 0
    assert len(bench.folders()) == 2
    assert (contents(folder / "records"), contents(folder / "logs")) == before
    newest = bench.folders()[-1]
    assert (bench.runs / "latest").resolve() == newest
    assert not list((newest / "logs").glob("certify-*"))  # the certificate is the one of the first run
