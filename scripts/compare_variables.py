"""What variables of the environment do to times: workers with and without them, in shuffled rounds.

    .venv/bin/python -m scripts.compare_variables MNIST MALLOC_TRIM_THRESHOLD_=-1 [--only torch,csnn]

One line per adapter and task: the time with the variables over that without them and without what the harness
sets for its allocator, and the same for a second worker without, which shows what noise does.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from bench import process
from bench.process import Worker
from scripts.idle_workers import arguments, jobs, take_turn
from tasks.protocol import Job

ROUNDS = 20


def compare(python: Path, job: Job, variables: dict[str, str]) -> str:
    """Median and quartiles of the ratios of the rounds: with / without, and without / without."""
    times: dict[str, list[float]] = {"with": [], "without": [], "again": []}
    with tempfile.TemporaryDirectory() as logs, ExitStack() as stack:
        workers = {name: Worker(python, job, log=Path(logs) / name, seconds=600) for name in times}
        for name, worker in workers.items():
            stack.callback(worker.end)
            with patch.dict(process.ALLOCATOR, variables if name == "with" else {}, clear=True):
                take_turn(worker)
        while len(times["with"]) < ROUNDS:
            for name in random.sample(sorted(workers), k=len(workers)):
                turn = take_turn(workers[name])
                if turn["compared"]:
                    times[name].append(turn["seconds"])
    return "   ".join(
        f"{name} / without: {_quartiles([a / b for a, b in zip(times[name], times['without'], strict=True)])}"
        for name in ("with", "again")
    )


def _quartiles(ratios: list[float]) -> str:
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def main() -> None:
    """Compare every adapter's work with itself, one after the other."""
    parser = arguments(str(__doc__))
    parser.add_argument("variables", nargs="+", help="NAME=VALUE")
    options = parser.parse_args()
    variables = dict(word.split("=", 1) for word in options.variables)
    for python, job in jobs(options.folder, set(filter(None, options.only.split(","))), options.threads):
        try:
            line = compare(python, job, variables)
        except RuntimeError as error:
            line = str(error)
        print(f"{job.adapter:13s} {job.task:7s} {line}", flush=True)


if __name__ == "__main__":
    main()
