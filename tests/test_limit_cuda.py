"""The kernels that are written for a GPU, run on the CPU by Triton's interpreter."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from bench.catalogue import PROJECT, discover
from bench.environments import prepare

pytestmark = pytest.mark.frameworks


@pytest.mark.parametrize("task", ["fc_lif", "memory"])
def test_kernels_for_a_gpu_do_the_same_work(task: str) -> None:
    python = prepare(discover(None)["limit"], device="cpu", root=PROJECT, say=print)
    done = subprocess.run(
        [python, "-m", "tests.interpreted", task],
        cwd=PROJECT,
        env=os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {each["precision"] for each in found} == {"float32"}
    assert [each for each in found if each["failed"]] == []
