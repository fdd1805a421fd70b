"""The real adapters in their environments, on the real MNIST."""

from __future__ import annotations

import os
from pathlib import Path

from bench.adapters import KINDS, Family, discover
from bench.environments import unavailable
from tests.harness import Bench, table

CORE: dict[str, Family] = {
    "fc_lif": "classify",
    "csnn": "classify",
    "memory": "nef",
    "add": "nef",
    "multiply": "nef",
    "calculate": "nef",
}


def test_every_adapter_does_the_core_tasks(tmp_path: Path) -> None:
    with Bench(tmp_path, mnist=None) as bench:
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
            assert row["status"] == "skipped" and "declares no" in row["reason"]
            assert not any(adapter.variants(kind) for kind in KINDS[CORE[row["task"]]])
        elif row["learning"] == "none" and row["task"] == "csnn":
            assert row["status"] == "skipped" and "max-pooling" in row["reason"]
        else:
            assert (row["status"], row["reason"]) == ("ok", "")
            assert row["parity"] in ("exact", "within")
            assert row["test_accuracy"] or row["rmse"]
            if row["learning"] == "none":  # trained before, not in two tiny epochs
                assert float(row["test_accuracy"]) > 0.6
    assert (bench.folder() / "report" / "index.html").exists()
