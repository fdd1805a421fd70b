"""What a worker costs the others while it waits for its turn: its CPU seconds in the seconds after a turn.

    .venv/bin/python -m scripts.idle_workers MNIST [--only torch,nengodl] [--threads 2]

MNIST is a folder with its four raw files; the adapters' environments must be there.  Every worker runs as in
a heat, takes some turns and is left alone.  The seconds of its last turns are those of a heat.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from bench.process import Worker, side_by_side
from tasks.families import family_of_task
from tasks.protocol import Job, Settings

PROJECT = Path(__file__).resolve().parent.parent
IDLE_SECONDS = 5.0
TURNS = 6  # timed ones that count; as many before them warm up
TICKS = os.sysconf("SC_CLK_TCK")

# task, the table of adapter.toml whose first variant does it, and sizes with turns of 0.2 s and more
WORK: tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("fc_lif", "classify", {"steps": 50, "epochs": 2}, {"train_images": 10000, "turns": 20}),
    (
        "csnn",
        "classify",
        {"channels": 8, "hidden": 128, "batch": 32, "epochs": 2},
        {"train_images": 10000, "turns": 20},
    ),
    ("memory", "nef", {}, {"repeats": 8}),
)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def take_turn(worker: Worker) -> dict[str, Any]:
    """The worker's next turn.

    Raises:
        RuntimeError: it has ended instead; the message says why.
    """
    for _ in side_by_side([worker], 1):
        pass
    if worker.outcome is not None or worker.turn is None:
        raise RuntimeError(str((worker.outcome or {}).get("reason")))
    return worker.turn


def measure(worker: Worker) -> str:
    """One line: CPU seconds while it waits, and the seconds of its last turns."""
    timed: list[float] = []
    while len(timed) < 2 * TURNS:
        turn = take_turn(worker)
        if turn["phase"] in ("train", "simulate"):
            timed.append(turn["seconds"])
    start = cpu_seconds(worker.pid)
    time.sleep(IDLE_SECONDS)
    waiting = cpu_seconds(worker.pid) - start
    return f"idle {waiting:5.2f} CPU s in {IDLE_SECONDS:g} s   turn {statistics.median(timed[-TURNS:]):.3f} s"


def jobs(folder: Path, only: Collection[str], threads: int) -> Iterator[tuple[Path, Job]]:
    """The interpreter and the job of every adapter and task; ``only``: names of either, empty for all.

    ``folder`` holds the raw files of MNIST.
    """
    for path in sorted((PROJECT / "adapters").glob("*/adapter.toml")):
        adapter, tables = path.parent.name, tomllib.loads(path.read_text(encoding="utf-8"))
        for task, table, values, amounts in WORK:
            if table not in tables or (only and not {adapter, task} & {*only}):
                continue
            family = family_of_task(task)
            yield (
                PROJECT / ".envs" / adapter / "bin" / "python",
                Job(
                    stage="run",
                    family=family.name,
                    task=task,
                    task_values=values,
                    amounts=amounts,
                    adapter=adapter,
                    adapters=str(PROJECT / "adapters"),
                    table=table,
                    variant=next(iter(tables[table])),
                    learning=str(family.tables[table].learning),
                    data=str(folder.resolve()),
                    settings=Settings(threads=threads),
                ),
            )


def arguments(about: str) -> argparse.ArgumentParser:
    """What the scripts that run workers by hand are told."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the four raw files of MNIST")
    parser.add_argument("--only", default="", help="adapters or tasks, separated by commas")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser


def main() -> None:
    """Measure every adapter in its own environment, one after the other."""
    options = arguments(str(__doc__)).parse_args()
    only = set(filter(None, options.only.split(",")))
    for python, job in jobs(options.folder, only, options.threads):
        with tempfile.TemporaryDirectory() as logs:
            worker = Worker(python, job, log=Path(logs) / "log", seconds=600)
            try:
                line = measure(worker)
            except RuntimeError as error:
                line = str(error)
            finally:
                worker.end()
        print(f"{job.adapter:13s} {job.task:7s} {line}", flush=True)


if __name__ == "__main__":
    main()
