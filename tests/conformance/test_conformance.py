from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

import pytest

from bench.adapters import PROJECT, SHIPPED, Adapter, discover
from bench.environments import prepare, unavailable
from bench.process import worker_environment
from tests.conformance.judge import Outcome, certifies_nothing, complaint, unknown_deviations
from tests.conformance.suite import CHECKS, Kind

SETTINGS = {
    "device": "cpu",
    "precision": "float32",
    "tf32": False,
    "cudnn_benchmark": False,
    "deterministic": False,
    "threads": 1,  # the networks are tiny
    "seed": 0,
}
TIMEOUT_SECONDS = 600


@functools.cache
def outcomes(name: str, folder: Path, kind: Kind, variant: str) -> dict[str, Outcome]:
    """Run the suite once for an adapter's variant, in its environment; what a crash cuts off has failed."""
    settings = SETTINGS | {"variant": variant}
    job = {"adapter": name, "adapters": str(folder), "kind": kind, "settings": settings}
    adapter = discover(None if folder == SHIPPED else folder)[name]
    if reason := unavailable(adapter):
        pytest.skip(reason)
    python = prepare(adapter, device="cpu", root=PROJECT, say=print)
    done = subprocess.run(
        [python, "-m", "tests.conformance.suite"],
        input=json.dumps(job) + "\n",
        cwd=PROJECT,
        env=worker_environment(settings),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    found = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        found[event["check"]] = Outcome(event["outcome"], event["reason"])
    last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
    lost = Outcome(
        "failed", f"the process ended with code {done.returncode} before this check; it said: {last}"
    )
    return {check: found.get(check, lost) for check in CHECKS[kind]}


def test_conformance(adapter: Adapter, kind: Kind, variant: str, check: str) -> None:
    found = outcomes(adapter.name, adapter.folder.parent, kind, variant)[check]
    problem = complaint(check, variant, found, adapter.deviations)
    assert not problem, problem
    if found.outcome == "skipped":
        pytest.skip(found.reason)


def test_something_is_certified(adapter: Adapter, kind: Kind, variant: str) -> None:
    found = outcomes(adapter.name, adapter.folder.parent, kind, variant)
    assert not certifies_nothing(found), "no certificate has passed: a variant cannot skip everything"


def test_deviations_name_checks(adapter: Adapter) -> None:
    known = {check for checks in CHECKS.values() for check in checks}
    unknown = unknown_deviations(adapter.deviations, adapter.names(), known)
    assert not unknown, f"adapter.toml declares deviations for unknown checks: {', '.join(unknown)}"
