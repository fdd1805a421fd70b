from __future__ import annotations

import io
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import session
from bench.adapters import PROJECT, discover
from bench.plan import make_cells, parse_only, plan_digest
from bench.profile import Profile
from bench.progress import Progress
from bench.records import Manifest, Record, load_records, save_manifest
from tests.harness import FAKES, PROFILE

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
        machine={},
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
        ("x" * 1000, "x" * session.REASON_LENGTH),
        ("", ""),
    ],
)
def test_a_reason_is_one_line_without_folders(reason: str, line: str) -> None:
    assert session._publishable(reason, ADAPTERS["ok"]) == line


def test_a_job_runs_on_its_cells_device_and_certificates_on_one_thread() -> None:
    asked = SETTINGS | {"device": "cuda", "threads": 4}
    for cell in manifest("a", "adapter=ok").cells:  # it has no CUDA: its cells are the CPU's
        settings = session._job(cell, asked, ADAPTERS["ok"], None)["settings"]
        assert settings["device"] == "cpu"
        assert settings["threads"] == (1 if cell.kind == "certify" else 4)


Outcome = dict[str, Any]
CERTIFIED: Outcome = {"status": "ok", "parity": "exact", "metrics": []}
MEASURED: Outcome = {"status": "ok", "figures": {"test_accuracy": 0.5}, "curve": [], "metrics": []}


def go(
    folder: Path, monkeypatch: pytest.MonkeyPatch, outcome: Callable[[str, str], Outcome]
) -> tuple[list[Record], str]:
    """Run a folder's cells with these outcomes, by kind and adapter, in place of workers."""

    def run_worker(python: Path, job: dict[str, Any], **_: Any) -> Outcome:
        return {"foreign_cpu_share": 0.25, **deepcopy(outcome(job["kind"], job["adapter"]))}

    monkeypatch.setattr(session, "run_worker", run_worker)
    text = io.StringIO()
    records = session.go(
        folder,
        adapters=ADAPTERS,
        pythons=dict.fromkeys(ADAPTERS, Path("python")),
        data=folder,
        progress=lambda cells, done: Progress(Console(file=text, emoji=False), cells, done),
    )
    assert records == load_records(folder)
    return records, text.getvalue()


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, malformed: Outcome, reason: str
) -> None:
    save_manifest(tmp_path, manifest("a", "adapter=ok,noisy"))

    def outcome(kind: str, adapter: str) -> Outcome:
        if kind == "certify":
            return CERTIFIED
        return MEASURED | (malformed if adapter == "ok" else {})

    records, _ = go(tmp_path, monkeypatch, outcome)
    ended = {r.cell.adapter: r for r in records if r.cell.kind == "classify"}
    assert ended["ok"].status == "error"
    assert ended["ok"].reason.startswith(f"malformed result: {reason}: ")
    assert ended["ok"].figures == {}
    assert ended["noisy"].status == "ok"
    assert ended["noisy"].parity == "exact"


def test_the_load_by_others_is_kept_with_what_was_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_manifest(tmp_path, manifest("a"))
    (certificate, timed), _ = go(
        tmp_path, monkeypatch, lambda kind, _: CERTIFIED if kind == "certify" else MEASURED
    )
    assert certificate.metrics == []
    (metric,) = timed.metrics
    assert (metric.metric, metric.key, metric.value) == ("foreign_cpu_share", "machine", 0.25)


def test_what_a_cell_says_is_printed_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_manifest(tmp_path, manifest("a"))
    reason = "[bold]no[/] :boom: [1/2] [link=x]"
    _, out = go(tmp_path, monkeypatch, lambda *_: {"status": "error", "reason": reason})
    assert [" ".join(line.split()[:-2]) for line in out.splitlines()] == [
        f"[1/2] certificate of fc_lif ok plain seed 0 error {reason}",
        f"[2/2] fc_lif ok plain seed 1 error certificate: {reason}",
    ]


def test_the_newest_run_of_a_plan_is_found(tmp_path: Path) -> None:
    made = manifest("x")
    for name, digest in (("2026-01", "a"), ("2026-02", "a"), ("2026-02.2", "a"), ("2026-03", "b")):
        session.create(tmp_path, made.model_copy(update={"run": name, "digest": digest}))
    (tmp_path / "2026-04").mkdir()
    (tmp_path / "2026-05").mkdir()
    (tmp_path / "2026-05" / "manifest.json").write_text('{"run": "2026-05", "digest": "a"}')
    assert session.find(tmp_path, "a") == tmp_path / "2026-02.2"
    assert session.find(tmp_path, "b") == tmp_path / "2026-03"
    assert session.find(tmp_path, "c") is None
    assert (tmp_path / "latest").resolve() == tmp_path / "2026-03"


def test_a_run_has_a_name_of_its_own(tmp_path: Path) -> None:
    names = set()
    for _ in range(3):
        name = session.name_now("a.b", tmp_path)
        assert "-a.b" in name
        (tmp_path / name).mkdir()
        names.add(name)
    assert len(names) == 3
