"""Does a training that was killed go on with the same bits?  Real trainings, by real frameworks.

    .venv/bin/python -m scripts.check_resume FOLDER [--only torch,nengodl]

Trains small networks for six epochs without interruption; then once more, and kills the harness and all its
workers with SIGKILL at a random moment of every heat, after some epoch has been kept and before the last has.
The same command then goes on.  Losses and accuracies of every epoch and the SHA-256 of the final weights must
be the same.  Results lie in FOLDER; exit code 1 where something differs.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from bench.records import Record, load_manifest, load_records
from bench.session import KEPT

PROJECT = Path(__file__).resolve().parent.parent
ADAPTERS = "torch,spikingjelly,snntorch,norse,sinabs,nengodl"
EPOCHS = 6
PROFILE = f"""
about = "six epochs of small networks"
tasks = ["fc_lif", "csnn"]
seeds = [0]
timeout_minutes = 30

[classify]
train_images = 1000
test_images = 500
curve_images = 500
turns = 2
epochs = {EPOCHS}

[classify.fc_lif]
steps = 20
batch = 64

[classify.csnn]
channels = 4
hidden = 32
batch = 32
"""
LOOK_SECONDS = 0.02


def command(folder: Path, only: str) -> list[str]:
    """What a person would type."""
    profile = folder / "six.toml"
    profile.write_text(PROFILE, encoding="utf-8")
    words = [
        "run",
        "--profile",
        str(profile),
        "--only",
        f"adapter={only}",
        "--results",
        str(folder),
        "--threads",
        "1",
    ]
    return [sys.executable, "-m", "bench", *words]


def kill_once_each_heat(folder: Path, words: list[str], chance: random.Random) -> int:
    """Make a new run to the end, killed in every heat; how often."""
    killed: set[str] = set()
    fresh = ["--fresh"]
    while True:
        harness = psutil.Popen(words + fresh, cwd=PROJECT, stdout=subprocess.DEVNULL)
        fresh, after = [], chance.randint(1, EPOCHS - 2)
        heat, wait = "", 0.0
        while harness.poll() is None and not heat:
            for kept in folder.glob(f"runs/2*/states/*/{KEPT}"):
                if kept.parent.name not in killed and epoch_of(kept) >= after:
                    heat, wait = kept.parent.name, chance.uniform(0, 0.3)
            time.sleep(LOOK_SECONDS)
        time.sleep(wait)
        if harness.poll() is not None and not heat:
            return len(killed)
        for process in [harness, *harness.children(recursive=True)]:
            if process.is_running():
                process.kill()
        harness.wait()
        killed.add(heat)


def epoch_of(kept: Path) -> int:
    """The epoch that a heat could go on from."""
    try:
        return int(json.loads(kept.read_bytes())["epoch"])
    except (OSError, ValueError):  # it has just ended
        return 0


def bits(record: Record) -> dict[str, Any]:
    """What must be the same: every epoch's losses and accuracies, and the final weights."""
    points = [(p.epoch, p.loss, p.test_loss, p.train_accuracy, p.test_accuracy) for p in record.curve]
    return {"curve": points, "weights": record.shows.get("weights")}


def trainings(folder: Path) -> dict[tuple[str, str], Record]:
    """The finished trainings of the latest run, by task and adapter."""
    run = folder / "runs" / "latest"
    order = [cell.cell for cell in load_manifest(run).cells if cell.stage == "run"]
    by_key = {record.cell.cell: record for record in load_records(run)}
    found = [by_key[key] for key in order]
    return {(r.cell.task, r.cell.adapter): r for r in found if r.cell.table == "classify"}


def main() -> None:
    """Train, train and kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default=ADAPTERS)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    words = command(folder, options.only)
    subprocess.run([*words, "--fresh"], cwd=PROJECT, check=False)
    whole = trainings(folder)
    kills = kill_once_each_heat(folder, words, random.Random(options.seed))
    killed = trainings(folder)
    print(f"{kills} kills")
    differ = False
    for (task, adapter), record in sorted(whole.items()):
        other = killed[task, adapter]
        if record.status != "ok" or other.status != "ok":
            word, differ = f"{record.status}, {other.status}: {record.reason or other.reason}", True
        elif bits(record) == bits(other) and len(record.curve) == EPOCHS and "weights" in record.shows:
            word = f"the same, {EPOCHS} epochs, weights {str(record.shows['weights'])[:12]}"
        else:
            word, differ = "DIFFERS", True
        print(f"{task:7s} {adapter:13s} {word}", flush=True)
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
