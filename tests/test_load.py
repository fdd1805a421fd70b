from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import pytest

from bench.measure import load
from bench.measure.load import ForeignLoad, busy_seconds, group_seconds

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
        assert 0.38 <= group_seconds(process.pid) < busy_seconds(os.sched_getaffinity(0))
        process.stdin.close()
    assert group_seconds(process.pid) == 0


def test_busy_time_is_that_of_the_named_cores() -> None:
    cores = sorted(os.sched_getaffinity(0))
    assert busy_seconds(set()) == 0
    sums = [busy_seconds(set(cores[:count])) for count in range(len(cores) + 1)]
    assert all(below < above for below, above in pairwise(sums))


@pytest.mark.parametrize(
    ("busy", "own", "group", "share"),
    [
        (4.0, 0.0, 4.0, 0.0),  # all of it was the worker's
        (4.0, 1.0, 2.0, 0.05),  # 1 s of 20
        (20.0, 0.0, 0.0, 1.0),
        (3.9, 0.0, 4.0, 0.0),  # clocks differ a little
        (20.3, 0.0, 0.0, 1.0),
    ],
)
def test_the_share_leaves_out_what_is_ours(
    monkeypatch: pytest.MonkeyPatch, busy: float, own: float, group: float, share: float
) -> None:
    now = {"wall": 100.0, "busy": 50.0, "own": 7.0}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3})
    monkeypatch.setattr(load, "monotonic", lambda: now["wall"])
    monkeypatch.setattr(load, "process_time", lambda: now["own"])
    monkeypatch.setattr(load, "busy_seconds", lambda cores: now["busy"])
    monkeypatch.setattr(load, "group_seconds", lambda pid: {42: group}[pid])
    foreign = ForeignLoad()
    now = {"wall": 110.0, "busy": 50.0 + busy, "own": 7.0 + own}
    assert foreign.share(42) == pytest.approx(share)
