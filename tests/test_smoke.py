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
