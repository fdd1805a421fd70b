from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import process
from bench.process import run_worker

SETTINGS = {"threads": 3, "deterministic": False, "device": "cpu"}


def run(folder: Path, source: str) -> dict[str, Any]:
    """Run a job with a program of this source in the place of an environment's interpreter."""
    python = folder / "python"
    python.write_text(f"#!{sys.executable}\nimport os, sys, time\n{source}\n")
    python.chmod(0o755)
    return run_worker(
        python,
        {"settings": SETTINGS},
        log=folder / "logs" / "cell.log",
        timeout_seconds=60,
        on_epoch=lambda _: None,
        on_measured=lambda: None,
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("sys.exit(3)", "exit code 3 without a result"),
        ("sys.exit()", "exit code 0 without a result"),
        ("sys.exit('first\\nlast\\n')", "exit code 1 without a result; its last words: last"),
        ("os.kill(os.getpid(), 9)", "ended by SIGKILL (often the kernel's, out of memory)"),
        ("os.write(1, b'half a line'); os.abort()", "ended by SIGABRT"),
    ],
)
def test_a_worker_that_ends_without_a_result(tmp_path: Path, source: str, reason: str) -> None:
    assert run(tmp_path, source) == {"status": "crashed", "reason": reason}


def test_a_worker_that_ends_before_its_job_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_and_dump(job: object) -> str:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        return "{}"

    monkeypatch.setattr(json, "dumps", wait_and_dump)
    assert run(tmp_path, "sys.exit(3)")["reason"] == "exit code 3 without a result"


def test_a_worker_starts_from_known_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONDEVMODE", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("KEPT", "yes")
    show = "print(json.dumps({'event': 'result', 'status': dict(os.environ)}), flush=True)"
    found = run(tmp_path, f"import json\n{show}\ntime.sleep(60)")["status"]
    assert {key: value for key, value in found.items() if key.startswith("PYTHON")} == {
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
    }
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"], found["KEPT"]) == ("3", "3", "yes")
    assert found["CUDA_VISIBLE_DEVICES"] == ""


def test_a_second_interruption_still_ends_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    worker = subprocess.Popen(
        [sys.executable, "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True
    )
    assert worker.stdout
    worker.stdout.readline()

    def interrupted(timeout: float | None = None) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process._end_group(worker)
    monkeypatch.undo()
    assert worker.wait() == -9
