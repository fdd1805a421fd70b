from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.catalogue import PROJECT
from bench.process import Worker, side_by_side
from tasks import measuring, worker
from tasks.classify import run as classify
from tasks.classify.networks import TASKS
from tasks.measuring import Diverged, Wrong
from tasks.protocol import Job, Unsupported
from tests.harness import CLASSIFY, FAKES, PATIENCE_SECONDS, is_gone, is_idle, wait_until

JOB = Job(
    stage="run",
    family="classify",
    task="fc_lif",
    task_values=CLASSIFY["fc_lif"],
    amounts={key: value for key, value in CLASSIFY.items() if key != "fc_lif"},
    adapter="ok",
    adapters=str(FAKES),
    table="classify",
    variant="plain",
    learning="bptt",
)


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (Unsupported("no kernel\nfor it"), "skipped", "no kernel"),
        (Wrong("other work"), "wrong", "other work"),
        (Diverged("not finite"), "diverged", "not finite"),
        (MemoryError(), "out_of_memory", "MemoryError"),
        (
            RuntimeError("CUDA out of memory. Tried to"),
            "out_of_memory",
            "RuntimeError: CUDA out of memory. Tried to",
        ),
        (
            RuntimeError("[enforce] can't allocate memory"),
            "out_of_memory",
            "RuntimeError: [enforce] can't allocate memory",
        ),
        (ValueError("\n first\nsecond"), "error", "ValueError: first"),
        (KeyError("x"), "error", "KeyError: 'x'"),
        (
            RuntimeError("Exception encountered when calling layer 'x' (type Y).\n\nno kernel\n\nArguments"),
            "error",
            "RuntimeError: no kernel",
        ),
        (
            ValueError(
                'in user code:\n\n    File "x.py", line 3, in f  *\n        y\n\n    ValueError: no axis\n'
            ),
            "error",
            "ValueError: no axis",
        ),
        (raised_from(RuntimeError("failed"), KeyError("x")), "error", "RuntimeError: failed (KeyError: 'x')"),
        (raised_from(RuntimeError("no x"), ValueError("no x")), "error", "RuntimeError: no x"),
    ],
)
def test_an_exception_is_a_status_and_one_line(error: Exception, status: str, reason: str) -> None:
    assert (worker._status(error), worker._reason(error)) == (status, reason)


@pytest.mark.parametrize(
    ("rates", "error", "words"),
    [
        (np.full((4, 9), 0.5), Wrong, r"shape \(4, 9\), expected \(4, 10\)"),
        (np.full((3, 10), 0.5), Wrong, r"shape \(3, 10\), expected \(4, 10\)"),
        (np.full((4, 10), np.nan), Diverged, "became NaN or infinite"),
        (np.full((4, 10), np.inf), Diverged, "became NaN or infinite"),
        (np.full((4, 10), 1.1), Wrong, "from 1.1 to 1.1, outside 0 to 1"),
        (np.full((4, 10), -0.1), Wrong, "outside 0 to 1"),
        (np.full((4, 10), 0.5j), Wrong, "of type complex128, expected real numbers"),
    ],
)
def test_rates_that_are_none(rates: np.ndarray, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        classify._checked(TASKS["fc_lif"](), rates, 4)


SLEEPER = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
new = pathlib.Path(__file__).with_name("new")
new.write_text(str(child.pid))
new.rename(new.with_name("pid"))
time.sleep(600)
"""


def test_a_worker_whose_harness_is_gone_ends_with_its_children(tmp_path: Path) -> None:
    adapter = tmp_path / "sleeper"
    adapter.mkdir()
    (adapter / "adapter.py").write_text(SLEEPER)
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.worker"],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(replace(JOB, adapter="sleeper", adapters=str(tmp_path)).dumps() + "\n")
    process.stdin.flush()
    wait_until((adapter / "pid").exists)
    child = int((adapter / "pid").read_text())
    assert not is_gone(child)
    process.stdin.close()
    assert process.wait() != 0
    wait_until(lambda: is_gone(child))


STUCK = """
import os, pathlib, re, signal, subprocess, sys
child = subprocess.Popen(["sleep", "600"])
new = pathlib.Path(__file__).with_name("new")
new.write_text(f"{os.getpid()} {child.pid}")
new.rename(new.with_name("pid"))
"""
HARNESS = """
import subprocess, sys, time
command = [sys.executable, "-m", "tasks.worker"]
worker = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
worker.stdin.write(sys.argv[1].encode() + b"\\n")
worker.stdin.flush()
time.sleep(600)
"""


@pytest.mark.parametrize(
    "stuck", ["os.kill(os.getpid(), signal.SIGSTOP)", "re.match('(a+)+$', 'a' * 60 + 'b')  # holds the lock"]
)
def test_a_worker_that_cannot_listen_ends_with_its_harness_too(tmp_path: Path, stuck: str) -> None:
    adapter = tmp_path / "stuck"
    adapter.mkdir()
    (adapter / "adapter.py").write_text(STUCK + stuck)
    job = replace(JOB, adapter="stuck", adapters=str(tmp_path)).dumps()
    harness = subprocess.Popen([sys.executable, "-c", HARNESS, job], cwd=PROJECT)
    wait_until((adapter / "pid").exists)
    pids = [int(pid) for pid in (adapter / "pid").read_text().split()]
    assert not any(is_gone(pid) for pid in pids)
    harness.kill()
    harness.wait()
    wait_until(lambda: all(is_gone(pid) for pid in pids))


def test_an_interpreter_at_hand_may_lack_a_framework(tmp_path: Path) -> None:
    """A locked environment may not: there it is an error of the lock."""
    (tmp_path / "lacking").mkdir()
    (tmp_path / "lacking" / "adapter.py").write_text("import no_such_framework.part\n")
    job = replace(JOB, adapter="lacking", adapters=str(tmp_path))
    with pytest.raises(Unsupported, match="the interpreter at hand has no no_such_framework"):
        worker.run(replace(job, environment="current"), say=list[Any]().append, may_go_on=lambda: None)
    with pytest.raises(ModuleNotFoundError):
        worker.run(job, say=list[Any]().append, may_go_on=lambda: None)


def test_an_adapter_without_the_variant_that_its_toml_names_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"adapter\.toml names a variant .* no builder for: other"):
        worker.run(replace(JOB, variant="other"), say=list[Any]().append, may_go_on=lambda: None)


def test_a_worker_takes_a_turn_each_time_that_it_is_told_to(mnist: Path) -> None:
    told: list[str] = []

    def say(event: dict[str, Any]) -> None:
        assert event.pop("event") == "turn"
        told.append(f"{event['phase']} {event['epoch']}")

    result = worker.run(replace(JOB, data=str(mnist)), say, lambda: told.append("go"))
    assert result["status"] == "ok"
    epochs = [f"{phase} {epoch}" for epoch in (1, 2) for phase in ("train", "train", "curve")]
    turns = ["prepare 0", "build 0", *epochs, "evaluate 0"]
    assert told == [word for turn in turns for word in (turn, "go")]
    stages = [result["figures"][name] for name in ("imported_bytes", "built_bytes", "host_peak_bytes")]
    assert 1e6 < stages[0] <= stages[1] <= stages[2]
    assert next(iter(result["figures"])) == "test_accuracy"  # which the terminal shows


def test_a_kernel_that_does_not_say_the_peak_of_memory_costs_that_figure_alone(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (None, "Name: x\n"):
        if content:
            (tmp_path / "status").write_text(content)
        monkeypatch.setattr(measuring, "_STATUS", tmp_path / "status")
        result = worker.run(replace(JOB, data=str(mnist)), list[Any]().append, lambda: None)
        assert result["status"] == "ok" and result["figures"]["test_accuracy"] >= 0
        assert not {"imported_bytes", "built_bytes", "host_peak_bytes"} & result["figures"].keys()


def test_a_worker_that_waits_for_its_turn_does_nothing_at_all(tmp_path: Path, mnist: Path) -> None:
    one = Worker(
        Path(sys.executable), replace(JOB, data=str(mnist)), log=tmp_path / "log", seconds=PATIENCE_SECONDS
    )
    try:
        while one.turn is None or one.turn["phase"] != "train":
            list(side_by_side([one], 1))
            assert one.outcome is None, one.outcome
        wait_until(lambda: is_idle(one.pid))
    finally:
        one.end()
