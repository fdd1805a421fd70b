"""Do heats find differences that are there, and none that aren't?

    .venv/bin/python -m scripts.check_heats FOLDER [--heats 20] [--quiet]

Runs the adapter torch beside a copy of itself and a copy that is made 10 % slower, csnn in the size of the
profile quick, one heat a seed, while a process of another kind loads one core in random bursts (--quiet:
while none does).  Every heat is judged by itself.  Results lie in FOLDER; called again, it goes on there.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing import Event, Process
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from time import perf_counter

from bench.records import load_manifest, load_records
from bench.report.sections import sections
from bench.report.sentences import control, interval

PROJECT = Path(__file__).resolve().parent.parent
COPIES = ("twin", "slower")
BURST_SECONDS = (0.2, 4.0)
PAUSE_SECONDS = (0.5, 12.0)


@contextmanager
def bursts() -> Iterator[None]:
    """Meanwhile a process works on one core for a while, rests for a while, and again."""
    over = Event()
    process = Process(target=_burst, args=[over], daemon=True)
    process.start()
    try:
        yield
    finally:
        over.set()
        process.join()


def _burst(over: Flag) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    chance = random.Random(1)
    while not over.wait(chance.uniform(*PAUSE_SECONDS)):
        end = perf_counter() + chance.uniform(*BURST_SECONDS)
        while perf_counter() < end:
            sum(range(100_000))


def profile(folder: Path, heats: int) -> Path:
    """The profile quick with csnn alone and one seed a heat."""
    quick = tomllib.loads((PROJECT / "bench" / "profiles" / "quick.toml").read_text(encoding="utf-8"))
    classify, csnn = quick["classify"], quick["classify"]["csnn"]
    amounts = {name: value for name, value in classify.items() if not isinstance(value, dict)}
    lines = ['about = "torch beside its copies"', 'tasks = ["csnn"]', f"seeds = {[*range(heats)]}"]
    lines += ["timeout_minutes = 30", "[classify]", *(f"{name} = {value}" for name, value in amounts.items())]
    lines += ["[classify.csnn]", *(f"{name} = {value}" for name, value in csnn.items())]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "heats.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def judge(run: Path) -> None:
    """Print a line a heat and copy, and how often each was declared what."""
    manifest, records = load_manifest(run), load_records(run)
    said: dict[str, Counter[str]] = {name: Counter() for name in COPIES}
    for seed in dict.fromkeys(cell.seed for cell in manifest.cells):
        cells = [cell for cell in manifest.cells if cell.stage == "certify" or cell.seed == seed]
        keys = {cell.cell for cell in cells}
        own = [record for record in records if record.cell.cell in keys]
        (section,) = sections(manifest.model_copy(update={"cells": cells}), own)
        rows = {row.adapter: row for row in section.rows}
        print(f"seed {seed:2d}  {control(section)}")
        for name in COPIES:
            difference = section.difference(rows[name], rows["torch"])
            word = difference.verdict.word if difference else "not compared"
            said[name][word] += 1
            if difference and difference.ratio:
                reason = f": {difference.verdict.reason}" if difference.verdict.reason else ""
                shown = f"{difference.ratio.ratio:.2f} ({interval(difference.ratio)})"
                print(f"         {name:7s} {shown}  {word}{reason}")
    for name, words in said.items():
        print(f"{name}: {', '.join(f'{count} {word}' for word, count in words.items())}")


def main() -> None:
    """Run what is missing, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--heats", type=int, default=20)
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args()
    words = ["--profile", profile(options.folder, options.heats), "--only", "adapter=torch,twin,slower"]
    words += ["--adapters", PROJECT / "scripts" / "copies", "--results", options.folder, "--env", "current"]
    with nullcontext() if options.quiet else bursts():
        done = subprocess.run(
            [sys.executable, "-m", "bench", "run", *map(str, words)],
            cwd=PROJECT,
            env=os.environ | {"PYTHON": str(PROJECT / ".envs" / "torch" / "bin" / "python")},
        )
    if done.returncode:
        sys.exit(done.returncode)
    judge(options.folder / "runs" / "latest")


if __name__ == "__main__":
    main()
