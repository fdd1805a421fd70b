from __future__ import annotations

import functools
import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.catalogue import PROJECT, SHIPPED, Adapter, discover
from bench.environments import prepare
from bench.process import worker_environment
from tasks.protocol import Device, Settings
from tests.conformance.judge import Outcome, certifies_nothing, complaint, unknown_deviations
from tests.conformance.place import Nowhere, card_of
from tests.conformance.suite import CHECKS

pytestmark = pytest.mark.frameworks
TIMEOUT_SECONDS = 600


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Device:
    asked: Device = request.config.getoption("--device", default="cpu")
    return asked


@functools.cache
def outcomes(
    name: str, folder: Path, table: str, variant: str, device: Device, checks: tuple[str, ...] = ()
) -> dict[str, Outcome]:
    """Run the suite, or some checks of it, once for an adapter's variant, in its environment.

    What a crash cuts off has failed.
    """
    adapter = discover(None if folder == SHIPPED else folder)[name]
    settings = Settings(device=device, threads=1)  # the networks are tiny
    job = {
        "adapter": name,
        "adapters": str(folder),
        "table": table,
        "variant": variant,
        "declared": adapter.names(),
        "checks": checks,
        "settings": asdict(settings),
    }
    try:
        card = card_of(adapter, device)
    except Nowhere as error:
        pytest.skip(str(error))
    python = prepare(adapter, device=device, root=PROJECT, say=print)
    # some checks ask for determinism, for which CUDA needs a variable before it starts
    with tempfile.TemporaryDirectory() as home:
        environment = worker_environment(replace(settings, deterministic=True), card=card, home=Path(home))
        done = subprocess.run(
            [python, "-m", "tests.conformance.suite"],
            input=json.dumps(job) + "\n",
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    found = {}
    for line in done.stdout.splitlines():
        event = json.loads(line)
        found[event["check"]] = Outcome(event["outcome"], event["reason"], event["seconds"])
    last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
    lost = Outcome(
        "failed", f"the process ended with code {done.returncode} before this check; it said: {last}"
    )
    return {check: found.get(check, lost) for check in CHECKS[table]}


@pytest.fixture
def checks(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return tuple(request.config.getoption("--check", default=[]))


def test_conformance(
    adapter: Adapter,
    table: str,
    variant: str,
    check: str,
    device: Device,
    checks: tuple[str, ...],
    record_property: Callable[[str, object], None],
) -> None:
    found = outcomes(adapter.name, adapter.folder.parent, table, variant, device, checks)[check]
    record_property("seconds", found.seconds)
    problem = complaint(check, variant, found, adapter.deviations)
    assert not problem, problem
    if found.outcome == "skipped":
        pytest.skip(found.reason)


def test_something_is_certified(
    adapter: Adapter, table: str, variant: str, device: Device, checks: tuple[str, ...]
) -> None:
    if checks:
        pytest.skip("some checks alone")
    found = outcomes(adapter.name, adapter.folder.parent, table, variant, device)
    assert not certifies_nothing(found), "no certificate has passed: a variant cannot skip everything"


def test_deviations_name_checks(adapter: Adapter) -> None:
    known = {check for checks in CHECKS.values() for check in checks}
    unknown = unknown_deviations(adapter.deviations, adapter.names(), known)
    assert not unknown, f"adapter.toml declares deviations for unknown checks: {', '.join(unknown)}"
