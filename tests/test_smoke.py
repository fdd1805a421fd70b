"""The real adapters in their environments, on the real MNIST."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.catalogue import discover
from bench.environments import unavailable
from tasks.families import family_of_task
from tests.harness import Bench, table

pytestmark = pytest.mark.frameworks
CORE = ("fc_lif", "csnn", "memory", "add", "multiply", "calculate")


def test_every_adapter_does_the_core_tasks(tmp_path: Path) -> None:
    with Bench(tmp_path, mnist=None, report=True) as bench:
        given = ["--data", os.environ["DATA"]] if os.environ.get("DATA") else []  # as make test was told
        done = bench.run("run", "--profile", "smoke", *given, seconds=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = table(bench.folder() / "results.csv")
    adapters = discover(None)
    assert {(row["adapter"], row["task"]) for row in rows} == {
        (adapter, task) for adapter in adapters for task in CORE
    }
    for row in rows:
        adapter = adapters[row["adapter"]]
        if reason := unavailable(adapter):
            assert (row["status"], row["reason"]) == ("skipped", reason)
        elif row["division"] == "open":
            assert (row["status"], row["reason"], row["parity"]) == ("ok", "", "")
            assert row["test_accuracy"]
        elif not row["variant"]:
            family = family_of_task(row["task"])
            reason = f"{adapter.name} has no adapter code for {family.noun}"
            assert (row["status"], row["reason"]) == ("skipped", reason)
            assert not adapter.tables.keys() & family.tables.keys()
        elif row["learning"] == "none" and row["task"] == "csnn":
            assert row["status"] == "skipped" and "max-pooling" in row["reason"]
        else:
            assert (row["status"], row["reason"]) == ("ok", "")
            assert row["parity"] in ("exact", "within")
            assert row["test_accuracy"] or row["rmse"]
            if row["learning"] == "none":  # trained before, not in two tiny epochs
                assert float(row["test_accuracy"]) > 0.6
    assert (bench.folder() / "report" / "index.html").exists()


def test_examples_of_the_frameworks_run_beside_their_adapters(tmp_path: Path) -> None:
    profile = tmp_path / "beside.toml"
    profile.write_text(
        'about = "a"\ntasks = ["fc_lif", "csnn", "lenet"]\nseeds = [0]\ntimeout_minutes = 5\n'
        "[classify]\ntrain_images = 256\ntest_images = 200\ncurve_images = 0\nturns = 2\n"
        "[classify.fc_lif]\nsteps = 8\nbatch = 64\nepochs = 2\nalso = [{ hidden = 20 }]\n"
        "[classify.csnn]\nchannels = 4\nhidden = 64\nbatch = 64\nepochs = 2\n"
        "[classify.lenet]\nfirst = 4\nsecond = 4\nsteps = 4\nbatch = 64\nepochs = 2\n"
        "also = [{ first = 32, second = 64, hidden = 1024, pool_first = false }]\n"
    )
    with Bench(tmp_path, mnist=None) as bench:
        given = ["--data", os.environ["DATA"]] if os.environ.get("DATA") else []
        only = "adapter=spikingjelly,snntorch,norse variant=shipped,tutorial"
        done = bench.run("run", "--profile", str(profile), "--only", only, *given, seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = table(bench.folder() / "results.csv")
    ok = [(row["task"], row["adapter"]) for row in rows if row["status"] == "ok"]
    assert sorted(ok) == [
        ("csnn", "spikingjelly"),
        ("fc_lif", "snntorch"),
        ("fc_lif", "spikingjelly"),
        ("lenet", "norse"),
        ("lenet", "snntorch"),
    ]
    assert all(row["test_accuracy"] and row["epoch_seconds"] for row in rows if row["status"] == "ok")
    reasons = {row["reason"] for row in rows if row["status"] == "skipped"}
    assert "SpikingJelly ships no example of lenet" in reasons and len(reasons) == 4
