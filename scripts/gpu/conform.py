"""The conformance suite of every torch-based adapter by this interpreter, on a device.

    python -m scripts.gpu.conform DEVICE

Prints what does not pass, and a line of counts for every variant.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import cast

from bench.catalogue import PROJECT, SHIPPED, discover
from bench.process import worker_environment
from tasks.families import families
from tasks.protocol import Device, Settings


def main(device: str) -> None:
    """Run the suite of one variant after the other."""
    settings = Settings(device=cast(Device, device), threads=1)
    closed = [n for f in families().values() for n, table in f.tables.items() if table.division == "closed"]
    for adapter in discover(None).values():
        if "torch_family" not in adapter.uses or device not in adapter.devices:
            continue
        for table in [name for name in adapter.tables if name in closed and name != "example"]:
            for variant in adapter.variants(table):
                job = {
                    "adapter": adapter.name,
                    "adapters": str(SHIPPED),
                    "table": table,
                    "variant": variant,
                    "declared": adapter.names(),
                    "settings": asdict(settings),
                }
                with tempfile.TemporaryDirectory() as home:
                    done = subprocess.run(
                        [sys.executable, "-m", "tests.conformance.suite"],
                        input=json.dumps(job) + "\n",
                        cwd=PROJECT,
                        env=worker_environment(settings, "current", home=Path(home)),
                        capture_output=True,
                        text=True,
                        check=False,
                    )
                found = [json.loads(line) for line in done.stdout.splitlines()]
                counts = Counter(each["outcome"] for each in found)
                said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
                print(f"{adapter.name} {variant}: {said or done.stderr[-300:]}", flush=True)
                for each in found:
                    if each["outcome"] == "failed":
                        print(f"  {each['check']}: {each['reason'][:200]}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
