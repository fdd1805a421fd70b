"""FC-LIF as the adapters trained it at an earlier commit, in turns with how they train it now.

    .venv/bin/python -m scripts.compare_commit OLD MNIST RECORD [--only torch,norse]

OLD is a checkout of commit 49f478b, MNIST a folder with its four raw files.  Each adapter has a process that
runs the code of OLD, without what the harness sets for allocators now, one that runs the present code, and
one more of that as the control; all take turns of some batches at T = 100, batch 128, in shuffled rounds.
Both sides run in the present environments.  The ratios are written to RECORD as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import tempfile
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import machine
from bench.process import worker_environment
from bench.report.statistics import CONFIDENCE, median_interval
from bench.report.text import significant, times
from tasks.protocol import Settings

PROJECT = Path(__file__).resolve().parent.parent
ADAPTERS = ("torch", "spikingjelly", "snntorch", "norse", "sinabs")
STEPS, BATCH, BATCHES = 100, 128, 10
ROUNDS = 25

# both ask for MNIST's folder and threads, and train a turn for every line on stdin
_NOW = """
import sys
from pathlib import Path
import numpy as np
from time import perf_counter
sys.path.insert(0, sys.argv[4])
from importlib import import_module
from tasks.classify.images import MNIST, load
from tasks.classify.networks import fc_lif
from tasks.classify.weights import epoch_order, initial_weights
from tasks.protocol import Settings
adapter = import_module(f"adapters.{sys.argv[1]}.adapter")
settings = Settings(threads=int(sys.argv[3]))
adapter.configure(settings)
task = fc_lif(steps=int(sys.argv[6]), batch=int(sys.argv[7]))
classifier = next(iter(adapter.VARIANTS.values()))(task, settings)
data = load(MNIST, Path(sys.argv[2]))
"""
_THEN = """
import sys
from pathlib import Path
import numpy as np
from time import perf_counter
sys.path.insert(0, sys.argv[4])
from importlib import import_module
from adapters.protocol import Settings
from tasks.classify import TASKS, epoch_order, initial_weights
from tasks.images import load_mnist
from tasks.spec import Classify
adapter = import_module(f"adapters.{sys.argv[1]}.adapter")
variant = {"spikingjelly": "multistep"}.get(sys.argv[1], "folded")
settings = Settings(device="cpu", precision="float32", tf32=False, cudnn_benchmark=False,
                    deterministic=False, threads=int(sys.argv[3]), seed=0, variant=variant)
adapter.configure(settings)
task = TASKS["fc_lif"](steps=int(sys.argv[6]), batch=int(sys.argv[7]))
classifier = adapter.BUILDERS[Classify](task, settings)
data = load_mnist(Path(sys.argv[2]))
"""
_TURNS = """
classifier.load_weights(initial_weights(task, 0))
classifier.load(data.train_images, np.asarray(data.train_labels))
order = epoch_order(images=60_000, batch=task.batch, seed=0, epoch=0)
for line in sys.stdin:
    first = int(line)
    begin = perf_counter()
    classifier.train_epoch(order[first : first + int(sys.argv[5])])
    print(perf_counter() - begin, flush=True)
"""


class Side:
    """A process that trains a turn when it is asked to."""

    def __init__(self, name: str, checkout: Path, options: argparse.Namespace, *, now: bool) -> None:
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        environment = worker_environment(Settings(threads=options.threads), home=Path(self.home.name))
        if not now:
            environment = {key: v for key, v in environment.items() if not key.startswith("MALLOC_")}
        python = PROJECT / ".envs" / name / "bin" / "python"
        words = [
            name,
            str(options.mnist),
            str(options.threads),
            str(checkout),
            str(BATCHES),
            str(STEPS),
            str(BATCH),
        ]
        self.process = subprocess.Popen(
            [python, "-W", "ignore", "-c", (_NOW if now else _THEN) + _TURNS, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
            env=environment | {"PYTHONPATH": str(checkout)},
        )

    def turn(self, number: int) -> float:
        """Seconds of the turn with that number."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{number * BATCHES % 400}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def rounds(name: str, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of the turns of then, now and the control, but for the first two rounds."""
    sides = {
        "then": Side(name, options.old.resolve(), options, now=False),
        "now": Side(name, PROJECT, options, now=True),
        "control": Side(name, PROJECT, options, now=True),
    }
    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(ROUNDS + 2):
        for side in random.sample(sorted(sides), k=len(sides)):
            seconds = sides[side].turn(number)
            if number >= 2:
                found[side].append(seconds)
    for ended in sides.values():
        ended.process.communicate()
    return found


def ratio(of: list[float], to: list[float]) -> dict[str, float]:
    """The median ratio of the rounds with its 95 % interval by order statistics."""
    logs = [log(a / b) for a, b in zip(of, to, strict=True)]
    interval = median_interval(logs, CONFIDENCE)
    assert interval is not None, "too few rounds"
    return {
        "ratio": exp(median(logs)),
        "low": exp(interval[0]),
        "high": exp(interval[1]),
        "rounds": len(logs),
    }


def main() -> None:
    """Compare every adapter with what it was, one after the other, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("record", type=Path)
    parser.add_argument("--only", default=",".join(ADAPTERS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for name in options.only.split(","):
        taken = rounds(name, options)
        found[name] = {
            "then / now": ratio(taken["then"], taken["now"]),
            "control / now": ratio(taken["control"], taken["now"]),
            "seconds a step now": median(taken["now"]) / BATCHES,
        }
        print(name, json.dumps(found[name]), flush=True)
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "then": commit(options.old),
        "now": commit(PROJECT),
        "work": f"fc_lif, T = {STEPS}, batch {BATCH}, turns of {BATCHES} batches",
        "adapters": found,
    }
    options.record.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def table(record: Path) -> str:
    """A record in Markdown."""
    said = json.loads(record.read_text(encoding="utf-8"))
    lines = [
        f"{said['work']}; {said['machine']['cpu']}, {said['date'][:10]}; then: commit {said['then'][:7]}, "
        f"now: {said['now'][:7]}.",
        "",
        "| adapter | then / now | control / now | ms a step now |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, found in said["adapters"].items():
        cells = [_spelled(found["then / now"]), _spelled(found["control / now"])]
        cells.append(significant(1e3 * found["seconds a step now"]))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _spelled(ratio: dict[str, float]) -> str:
    between = f"{times(ratio['low'])}–{times(ratio['high'])}"
    return f"{times(ratio['ratio'])} ({between}, {ratio['rounds']} rounds)"


def commit(checkout: Path) -> str:
    """The commit of a checkout, with a note where files have been changed since."""
    named = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.check_output(named, cwd=checkout, text=True).strip()


if __name__ == "__main__":
    main()
