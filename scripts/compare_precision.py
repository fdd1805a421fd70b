"""What automatic mixed precision (amp) does to fc_lif: workers in amp and in float32, in shuffled rounds.

    .venv/bin/python -m scripts.compare_precision MNIST [--only torch] [--steps 50,100] [--seeds 0,1,2]

Two epochs of 10,000 training images in batches of 128.  On a CPU amp is bfloat16.  A line says, of an adapter
and a T, amp over float32, and a second float32 worker over the first, which shows what noise does: the ratio
of times is the mean over the seeds of the logarithms of their medians over rounds, with Student's 95 %
interval.  Then the peak of each process's resident memory and its accuracy on 10,000 test images,
means and range.
"""

from __future__ import annotations

import math
import random
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.process import Worker, side_by_side
from bench.report.statistics import mean_interval
from bench.report.text import megabytes, percent, span
from scripts.idle_workers import arguments, jobs
from tasks.protocol import Job, Precision

WORKERS: dict[str, Precision] = {"float32": "float32", "again": "float32", "amp": "amp"}
VALUES = {"batch": 128, "epochs": 2}
AMOUNTS = {"train_images": 10000, "test_images": 10000, "curve_images": 500, "turns": 10}


def train(python: Path, job: Job) -> tuple[dict[str, list[float]], dict[str, dict[str, Any]]]:
    """Seconds of the compared turns and the figures of each worker, by its name.

    Raises:
        RuntimeError: a worker did not end well; the message says why.
    """
    times: dict[str, list[float]] = {name: [] for name in WORKERS}
    with tempfile.TemporaryDirectory() as logs, ExitStack() as stack:
        workers = {}
        for name, precision in WORKERS.items():
            own = replace(job, settings=replace(job.settings, precision=precision))
            workers[name] = Worker(python, own, log=Path(logs) / name, seconds=600)
            stack.callback(workers[name].end)
        while alive := sorted(name for name, worker in workers.items() if worker.outcome is None):
            for name in random.sample(alive, k=len(alive)):
                for _ in side_by_side([workers[name]], 1):
                    pass
                turn = workers[name].turn
                if workers[name].outcome is None and turn and turn["compared"]:
                    times[name].append(turn["seconds"])
    outcomes = {name: worker.outcome or {} for name, worker in workers.items()}
    for name, outcome in outcomes.items():
        if outcome.get("status") != "ok":
            raise RuntimeError(f"{name}: {outcome.get('reason')}")
    return times, {name: outcome["figures"] for name, outcome in outcomes.items()}


def ratio(of: Sequence[Sequence[float]], to: Sequence[Sequence[float]]) -> str:
    """Time over time, of lists of seconds by round, one a seed; the interval is that over seeds."""
    logs = [
        math.log(statistics.median(a / b for a, b in zip(mine, theirs, strict=True)))
        for mine, theirs in zip(of, to, strict=True)
    ]
    middle = f"{math.exp(statistics.mean(logs)):.2f}"
    if len(logs) < 2:
        return f"{middle} (n = 1)"
    low, high = map(math.exp, mean_interval(logs))
    return f"{middle} ({low:.2f}–{high:.2f}, n = {len(logs)})"


def compare(python: Path, job: Job, seeds: Sequence[int]) -> list[str]:
    """The lines of one adapter and T."""
    found = [train(python, replace(job, settings=replace(job.settings, seed=seed))) for seed in seeds]
    times = {name: [seconds[name] for seconds, _ in found] for name in WORKERS}
    figures = {name: [known[name] for _, known in found] for name in WORKERS}
    lines = [f"time {name} / float32: {ratio(times[name], times['float32'])}" for name in ("amp", "again")]
    for name in ("float32", "amp"):
        memory = [known["host_peak_bytes"] for known in figures[name]]
        accuracy = [known["test_accuracy"] for known in figures[name]]
        lines.append(
            f"{name}: host peak {megabytes(statistics.mean(memory))} MB ({span(memory, megabytes)}), "
            f"accuracy {percent(statistics.mean(accuracy))} % ({span(accuracy, percent)})"
        )
    return lines


def main() -> None:
    """Compare the precisions of every adapter, one T after the other."""
    parser = arguments(str(__doc__))
    parser.add_argument("--steps", default="50,100", help="time steps T, separated by commas")
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas")
    options = parser.parse_args()
    seeds = [int(word) for word in options.seeds.split(",")]
    only = set(filter(None, options.only.split(",")))
    for python, job in jobs(options.folder, only, options.threads):
        if job.task != "fc_lif":
            continue
        for steps in map(int, options.steps.split(",")):
            own = replace(job, task_values=VALUES | {"steps": steps}, amounts=AMOUNTS)
            try:
                lines = compare(python, own, seeds)
            except RuntimeError as error:
                lines = [str(error)]
            for line in lines:
                print(f"{job.adapter:13s} T = {steps:<4d} {line}", flush=True)


if __name__ == "__main__":
    main()
