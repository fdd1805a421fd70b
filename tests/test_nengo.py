"""The NEF reference and the ideal against Nengo core, in Nengo's own environment."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from bench.catalogue import PROJECT, discover
from bench.environments import prepare
from bench.process import worker_environment
from tasks.nef.examples import TASKS
from tasks.protocol import Settings

pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    python = prepare(discover(None)["nengo"], device="cpu", root=PROJECT, say=print)
    done = subprocess.run(
        [python, "-m", "tests.nengo_core"],
        cwd=PROJECT,
        env=worker_environment(Settings(), home=tmp_path_factory.mktemp("home")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("task", TASKS)
def test_the_reference_equals_nengo_core_spike_by_spike(core: dict[str, Any], task: str) -> None:
    found = core["simulators"][task]
    assert found["spikes"] > 50_000
    assert found["different"] == 0
    assert found["error"] < 1e-13  # measured: 2e-15
    assert found["planted"] > 0  # one initial voltage is enough to be seen


def test_integrate_and_fire_equals_the_reference(core: dict[str, Any]) -> None:
    assert core["if"]["spikes"] > 1000
    assert core["if"]["different"] == 0


@pytest.mark.parametrize("task", TASKS)
def test_the_ideal_equals_direct_mode(core: dict[str, Any], task: str) -> None:
    assert core["ideals"][task] < 1e-12


@pytest.mark.parametrize("part", ["gain", "bias", "rates", "decoders"])
def test_the_model_is_built_by_nengos_equations(core: dict[str, Any], part: str) -> None:
    assert core["parts"][part] < 1e-10


def test_least_squares_refuse_another_loss(core: dict[str, Any]) -> None:
    assert core["refusal"] == "least squares lower the mean squared error, not cross_entropy"
