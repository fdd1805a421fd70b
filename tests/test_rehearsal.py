"""What runs on a GPU, rehearsed without one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.catalogue import PROJECT, SHIPPED, discover
from bench.environments import prepare
from bench.process import worker_environment
from tasks.protocol import Settings

pytestmark = pytest.mark.frameworks
TORCH_BASED = [a.name for a in discover(None).values() if "cuda" in a.devices and "torch_family" in a.uses]
# Of each step of a neuron layer: the forward method that snnTorch ships asks a tensor twice how to reset.
ASKING = {("snntorch", "stock"): 2, ("snntorch", "stock_loop"): 2}

PLANTED = """\
import torch
from adapters.torch.adapter import Cell, TorchClassifier, from_cells

class OnTheHost(Cell):
    def forward(self, x, v):
        spikes, v = super().forward(x, v)
        return spikes + torch.zeros(x.shape), v

class Curious(Cell):
    def forward(self, x, v):
        spikes, v = super().forward(x, v)
        return spikes, v if spikes.any() else v * 1

class Keeping(Cell):
    def forward(self, x, v):
        spikes, v = super().forward(x, v)
        self.kept = spikes.cpu()
        return spikes, v

VARIANTS = {
    cell.__name__: lambda task, settings, cell=cell: TorchClassifier(
        task, settings, from_cells(task, cell, stepwise=False)
    )
    for cell in (OnTheHost, Curious, Keeping)
}
"""


def rehearse(name: str, folder: Path, environment: str, cache: Path) -> list[dict[str, Any]]:
    """The lines of an adapter's rehearsal in the environment of an adapter."""
    python = prepare(discover(None)[environment], device="cpu", root=PROJECT, say=print)
    done = subprocess.run(
        [python, "-m", "tests.rehearsal", name, folder],
        cwd=PROJECT,
        env=worker_environment(Settings(threads=1), home=cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", TORCH_BASED)
def test_on_a_gpu_no_tensor_is_left_behind_and_training_waits_only_where_it_is_known(
    name: str, tmp_path: Path
) -> None:
    lines = rehearse(name, SHIPPED, name, tmp_path)
    assert [line for line in lines if "failed" in line] == []
    ran = [line for line in lines if "waits" in line]
    variants = discover(None)[name].tables
    expected = {variant for table in ("classify", "nef", "layer") for variant in variants.get(table, {})}
    assert expected <= {line["variant"] for line in ran}
    for line in ran:
        # float16 needs its loss scaled, for which torch looks once a batch whether a gradient is infinite
        known = ASKING.get((name, line["variant"]), 0) * line["steps"] + (line["precision"] == "amp")
        assert line["waits"] == known, line


def test_rehearsal_finds_a_tensor_left_on_the_host_and_counts_waits(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "adapter.py").write_text(PLANTED)
    (planted / "adapter.toml").write_text('[classify]\nOnTheHost = ""\nCurious = ""\nKeeping = ""\n')
    for line in rehearse("planted", tmp_path, "torch", tmp_path):
        if line["variant"] == "OnTheHost":
            assert "at least two devices, cuda:0 and cpu" in line["failed"]
        else:
            assert line["waits"] == line["steps"] + (line["precision"] == "amp")
