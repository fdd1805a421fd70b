from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

import pytest

from bench.adapters import PROJECT, Adapter
from bench.environments import prepare
from bench.process import worker_environment
from tests.conformance.judge import Outcome, certifies_nothing, complaint, unknown_deviations
from tests.conformance.suite import CHECKS

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
def outcomes(
    name: str, variant: str, folder: str, families: tuple[str, ...] = ("classify",)
) -> dict[str, Outcome]:
    """Run the suite once for an adapter's variant, in its environment; what a crash cuts off has failed."""
    adapter_folder = Path(folder)
    settings = SETTINGS | {"variant": variant}
    job = {"adapter": name, "adapters": str(adapter_folder.parent), "settings": settings}
    job["families"] = families
    done = subprocess.run(
        [prepare(adapter_folder, root=PROJECT, say=print), "-m", "tests.conformance.suite"],
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
    return {check: found.get(check, lost) for check in CHECKS}


def test_conformance(adapter: Adapter, variant: str, check: str) -> None:
    found = outcomes(adapter.name, variant, str(adapter.folder), tuple(adapter.families))[check]
    problem = complaint(check, variant, found, adapter.deviations)
    assert not problem, problem
    if found.outcome == "skipped":
        pytest.skip(found.reason)


def test_something_is_certified(adapter: Adapter, variant: str) -> None:
    found = outcomes(adapter.name, variant, str(adapter.folder), tuple(adapter.families))
    assert not certifies_nothing(found), "no certificate has passed: a variant cannot skip everything"


def test_deviations_name_checks(adapter: Adapter, variant: str) -> None:
    unknown = unknown_deviations(adapter.deviations, adapter.variants, CHECKS)
    assert not unknown, f"adapter.toml declares deviations for unknown checks: {', '.join(unknown)}"
