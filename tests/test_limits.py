"""CPU quota and memory limit, of cgroup files as kernels write them."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import heat, run
from bench.measure import limits, machine
from bench.measure.limits import Limits, killed_for_memory, read, throttled_seconds
from bench.run import Asked

LARGEST = "9223372036854771712"  # where version 1 has no limit


def process(folder: Path, *, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """What /proc says of a process whose cgroups are mounted in ``folder``."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")
    (folder / "cgroup").write_text(groups)
    (folder / "mountinfo").write_text(mounts.replace("MOUNTED", str(folder)))
    return folder


V2 = "25 30 0:22 / MOUNTED/sys rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / MOUNTED rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / MOUNTED/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / MOUNTED/memory rw,relatime - cgroup cgroup rw,memory\n"
)
V1_GROUPS = "4:memory:/job/a\n2:cpu,cpuacct:/job/a\n0::/\n"


def test_version_2_and_the_smallest_limit_of_all_groups_above(tmp_path: Path) -> None:
    files = {
        "sys/job/a/cpu.max": "max 100000",
        "sys/job/cpu.max": "150000 100000",
        "sys/cpu.max": "400000 100000",
        "sys/job/a/memory.max": "8000000000",
        "sys/job/memory.max": "6000000000",
    }
    found = read(process(tmp_path, groups="0::/job/a\n", mounts=V2, files=files))
    assert found == Limits(cores=1.5, memory_bytes=6_000_000_000)


def test_version_1(tmp_path: Path) -> None:
    files = {
        "cpu/job/a/cpu.cfs_quota_us": "-1",
        "cpu/job/a/cpu.cfs_period_us": "100000",
        "cpu/job/cpu.cfs_quota_us": "50000",
        "cpu/job/cpu.cfs_period_us": "100000",
        "memory/job/a/memory.limit_in_bytes": LARGEST,
        "memory/job/memory.limit_in_bytes": "4000000000",
    }
    found = read(process(tmp_path, groups=V1_GROUPS, mounts=V1, files=files))
    assert found == Limits(cores=0.5, memory_bytes=4_000_000_000)


def test_version_1_without_limits(tmp_path: Path) -> None:
    files = {"memory/job/a/memory.limit_in_bytes": LARGEST, "cpu/job/a/cpu.cfs_quota_us": "-1"}
    assert read(process(tmp_path, groups=V1_GROUPS, mounts=V1, files=files)) == Limits()


def test_a_container_mounts_its_own_group(tmp_path: Path) -> None:
    mounts = V2.replace(" / MOUNTED", " /docker/abc MOUNTED")
    files = {"sys/cpu.max": "200000 100000", "sys/inner/cpu.max": "150000 100000"}
    assert read(process(tmp_path, groups="0::/docker/abc\n", mounts=mounts, files=files)).cores == 2
    assert read(process(tmp_path, groups="0::/docker/abc/inner\n", mounts=mounts, files=files)).cores == 1.5


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"sys/job/a/cpu.max": "max 100000", "sys/job/a/memory.max": "max"},
        {"sys/job/a/cpu.max": "", "sys/job/a/memory.max": "a lot"},
        {"sys/job/a/cpu.max": "0 0"},
    ],
)
def test_where_nothing_is_limited(tmp_path: Path, files: dict[str, str]) -> None:
    assert read(process(tmp_path, groups="0::/job/a\n", mounts=V2, files=files)) == Limits()


def test_no_proc_is_no_limit(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere") == Limits()


def test_this_machine_can_be_asked() -> None:
    found = read()
    assert found.cores is None or found.cores > 0
    assert found.memory_bytes is None or found.memory_bytes > 0


def test_what_a_group_may_still_take_is_its_limit_without_what_it_holds(tmp_path: Path) -> None:
    files = {
        "sys/job/a/memory.max": "8000000000",
        "sys/job/a/memory.current": "3000000000",
        "sys/job/a/memory.stat": "anon 1\ninactive_file 1000000000\n",
        "sys/job/memory.high": "9000000000",
        "sys/job/memory.current": "8500000000",
        "sys/job/memory.stat": "inactive_file 0",
    }
    found = read(process(tmp_path, groups="0::/job/a\n", mounts=V2, files=files))
    assert found == Limits(memory_bytes=8_000_000_000, left_bytes=500_000_000)


def test_what_version_1_has_left(tmp_path: Path) -> None:
    files = {
        "memory/job/a/memory.limit_in_bytes": "4000000000",
        "memory/job/a/memory.usage_in_bytes": "3000000000",
        "memory/job/a/memory.stat": "inactive_file 5\ntotal_inactive_file 500000000\n",
    }
    found = read(process(tmp_path, groups=V1_GROUPS, mounts=V1, files=files))
    assert found == Limits(memory_bytes=4_000_000_000, left_bytes=1_500_000_000)


def test_a_folder_is_found_under_the_name_that_mountinfo_writes_in_octal(tmp_path: Path) -> None:
    mounts = V2.replace("MOUNTED/sys", "MOUNTED/my\\040sys")
    files = {"my sys/job/cpu.max": "150000 100000"}
    assert read(process(tmp_path, groups="0::/job\n", mounts=mounts, files=files)).cores == 1.5


def test_time_held_back_is_that_of_every_group_with_a_quota(tmp_path: Path) -> None:
    files = {
        "sys/job/a/cpu.max": "50000 100000",
        "sys/job/a/cpu.stat": "usage_usec 9\nnr_throttled 4\nthrottled_usec 1500000\n",
        "sys/job/cpu.max": "max 100000",
        "sys/job/cpu.stat": "throttled_usec 7000000\n",
        "sys/cpu.max": "100000 100000",
        "sys/cpu.stat": "throttled_usec 250000\n",
    }
    assert throttled_seconds(process(tmp_path, groups="0::/job/a\n", mounts=V2, files=files)) == 1.75


def test_version_1_counts_the_time_held_back_once(tmp_path: Path) -> None:
    files = {
        "cpu/job/a/cpu.cfs_quota_us": "50000",
        "cpu/job/a/cpu.cfs_period_us": "100000",
        "cpu/job/a/cpu.stat": "nr_periods 7\nnr_throttled 4\nthrottled_time 2500000000\n",
    }
    assert throttled_seconds(process(tmp_path, groups=V1_GROUPS, mounts=V1, files=files)) == 2.5


@pytest.mark.parametrize("stat", [None, "", "throttled_usec", "throttled_usec many"])
def test_time_held_back_is_unknown_without_a_quota_or_a_count(tmp_path: Path, stat: str | None) -> None:
    files = {"sys/job/cpu.max": "50000 100000"} | ({} if stat is None else {"sys/job/cpu.stat": stat})
    assert throttled_seconds(process(tmp_path, groups="0::/job\n", mounts=V2, files=files)) is None
    files = {"sys/b/cpu.max": "max 100000", "sys/b/cpu.stat": "throttled_usec 5"}
    assert throttled_seconds(process(tmp_path, groups="0::/b\n", mounts=V2, files=files)) is None


@pytest.mark.parametrize(("quota", "threads"), [(None, 8), (0.5, 1), (1.0, 1), (2.9, 2), (16.0, 8)])
def test_a_quota_limits_the_threads_that_a_run_takes_by_itself(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(limits, "read", lambda: Limits(cores=quota))
    assert run._settings(Asked())["threads"] == limits.usable_cores() == threads
    assert run._settings(Asked(threads=5))["threads"] == 5


def test_limits_stand_in_the_manifest_and_in_the_name_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=16 * 10**9))
    monkeypatch.setattr(limits, "read", lambda: Limits(cores=8.0, memory_bytes=10**12))
    plain = machine.describe()
    assert plain["name"].endswith("-8c") and plain["memory_bytes"] == 16 * 10**9
    assert not plain.keys() & {"cpu_quota", "memory_limit_bytes"}
    monkeypatch.setattr(limits, "read", lambda: Limits(cores=1.5, memory_bytes=4 * 10**9))
    found = machine.describe()
    assert found["name"] == f"{plain['name']}-quota-1.5-memory-4gb"
    assert (found["cores"], found["cpu_quota"]) == (8, 1.5)
    assert found["memory_bytes"] == found["memory_limit_bytes"] == 4 * 10**9
    assert machine.identity(found) != machine.identity(plain)


@pytest.mark.parametrize(
    ("limited", "available"),
    [
        (Limits(), 9_000),
        (Limits(memory_bytes=12_000, left_bytes=3_000), 3_000),
        (Limits(memory_bytes=10_000), 9_000),
    ],
)
def test_what_limits_leave_of_the_memory_is_what_a_heat_may_take(
    monkeypatch: pytest.MonkeyPatch, limited: Limits, available: int
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=16_000, available=9_000))
    monkeypatch.setattr(limits, "read", lambda: limited)
    assert heat._available() == available


def test_a_machine_whose_files_cannot_be_read_is_described_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(self: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refused)
    found = machine.describe()
    assert found["cpu"] and found["name"] and "cpu_governor" not in found


def test_kills_for_memory_are_counted_by_both_versions(tmp_path: Path) -> None:
    events = {"sys/job/memory.events": "low 0\noom 9\noom_kill 2", "sys/memory.events": "oom_kill 5"}
    assert killed_for_memory(process(tmp_path / "2", groups="0::/job\n", mounts=V2, files=events)) == 5
    control = {"memory/job/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3"}
    assert killed_for_memory(process(tmp_path / "1", groups=V1_GROUPS, mounts=V1, files=control)) == 3
    assert killed_for_memory(tmp_path / "nowhere") == 0
