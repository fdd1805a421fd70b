from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bench.measure import load
from bench.measure.load import Reading, busy_seconds, foreign_share, group_seconds

WORK = "import time\nwhile time.process_time() < 0.2: pass\n"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {WORK!r}], check=True)
{WORK}
print(flush=True)
sys.stdin.read()
"""


def test_a_group_has_the_time_of_its_members_and_their_children() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        assert 0.38 <= group_seconds(process.pid) < (busy_seconds(os.sched_getaffinity(0)) or 0)
        process.stdin.close()
    assert group_seconds(process.pid) == 0


def test_busy_time_is_that_of_the_named_cores() -> None:
    cores = sorted(os.sched_getaffinity(0))
    assert busy_seconds(set()) == 0
    sums = [busy_seconds(set(cores[:count])) or 0 for count in range(len(cores) + 1)]
    assert all(below < above for below, above in pairwise(sums))


def test_cores_that_the_kernel_does_not_list_have_no_known_load() -> None:
    assert busy_seconds({10**6}) is None
    quiet = Reading(0.0, None, 0.0)
    assert foreign_share(quiet, Reading(1.0, None, 0.5), 1) is None


@pytest.mark.parametrize(
    ("busy", "own", "threads", "share"),
    [
        (4.0, 4.0, 2, 0.0),  # all of it was the worker's
        (4.0, 3.0, 2, 0.05),  # 1 s of 20
        (20.0, 0.0, 2, 1.0),
        (20.0, 0.0, 5, 1.0),  # more threads than cores
        (3.9, 4.0, 2, 0.0),  # clocks differ a little
        (20.3, 0.0, 2, 1.0),
        (20.0, 10.0, 1, 0.0),  # the other core was free
        (20.0, 9.0, 1, 0.1),
    ],
)
def test_the_share_leaves_out_what_is_ours_and_what_nobody_needs(
    monkeypatch: pytest.MonkeyPatch, busy: float, own: float, threads: int, share: float
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3})
    start, stop = Reading(100.0, 50.0, 7.0), Reading(110.0, 50.0 + busy, 7.0 + own)
    assert foreign_share(start, stop, threads) == pytest.approx(share)


def test_a_busy_neighbour_shows_and_the_own_group_does_not() -> None:
    def spin(seconds: float) -> subprocess.Popen[bytes]:
        code = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
        return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)

    with spin(1.0) as mine:
        start = load.read(mine.pid)
        with spin(0.6):
            pass
        cores = len(os.sched_getaffinity(0))
        beside = foreign_share(start, load.read(mine.pid), cores)
    assert beside is not None and beside * cores > 0.3
    assert Path("/proc/stat").exists()
