"""CPU quota and memory limit, of cgroup files as kernels write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.measure.limits import Limits, killed_for_memory, read

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


def test_kills_for_memory_are_counted_by_both_versions(tmp_path: Path) -> None:
    events = {"sys/job/memory.events": "low 0\noom 9\noom_kill 2", "sys/memory.events": "oom_kill 5"}
    assert killed_for_memory(process(tmp_path / "2", groups="0::/job\n", mounts=V2, files=events)) == 5
    control = {"memory/job/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3"}
    assert killed_for_memory(process(tmp_path / "1", groups=V1_GROUPS, mounts=V1, files=control)) == 3
    assert killed_for_memory(tmp_path / "nowhere") == 0
