from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bench.measure import load
from bench.measure.load import Reading, Shares, busy_seconds, group_seconds, shares

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
    assert shares(quiet, Reading(1.0, None, 0.5), 1) == Shares()


@pytest.mark.parametrize(
    "lines",
    ["", "cpu0 what\n", "cpu0 1 2 3 4\n", "cpu 1 2 3 4 5 6 7 8 9 10\n\nintr 5\n", "cpux 1 2 3 4 5 6 7 8\n"],
)
def test_counters_that_cannot_be_read_are_an_unknown_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str
) -> None:
    monkeypatch.setattr(load, "_STAT", tmp_path / "stat")
    assert busy_seconds({0}) is None
    (tmp_path / "stat").write_text(lines)
    assert busy_seconds({0}) is None


def test_a_file_mounted_over_the_counters_is_an_unknown_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == "/proc/stat")
    assert busy_seconds(os.sched_getaffinity(0)) is None


def test_counters_that_stand_still_while_we_work_are_an_unknown_load() -> None:
    assert shares(Reading(0.0, 0.0, 0.0), Reading(10.0, 0.0, 9.0), 1).foreign is None
    assert shares(Reading(0.0, 0.0, 0.0), Reading(10.0, 0.0, 0.05), 1).foreign == 0.0


@pytest.mark.parametrize(
    ("held", "threads", "share"), [(0.0, 2, 0.0), (5.0, 2, 0.25), (5.0, 1, 0.5), (90.0, 2, 1.0)]
)
def test_the_time_for_which_a_quota_held_threads_back_is_a_share_of_their_cores(
    monkeypatch: pytest.MonkeyPatch, held: float, threads: int, share: float
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    start, stop = Reading(0.0, 0.0, 0.0, 3.0), Reading(10.0, 4.0, 4.0, 3.0 + held)
    found = shares(start, stop, threads)
    assert found.foreign == 0.0 and found.throttled == pytest.approx(share)
    assert shares(start, Reading(10.0, 4.0, 4.0), threads).throttled is None


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
    found = shares(start, stop, threads)
    assert found.foreign == pytest.approx(share) and found.throttled is None


def test_a_busy_neighbour_shows_and_the_own_group_does_not() -> None:
    def spin(seconds: float) -> subprocess.Popen[bytes]:
        code = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
        return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)

    with spin(1.0) as mine:
        start = load.read(mine.pid)
        with spin(0.6):
            pass
        cores = len(os.sched_getaffinity(0))
        beside = shares(start, load.read(mine.pid), cores).foreign
    assert beside is not None and beside * cores > 0.3
    assert Path("/proc/stat").exists()
