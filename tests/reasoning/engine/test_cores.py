from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from reasoning.engine.cores import cores_among, quota_of, usable_cores, usual_threads
from reasoning.options import EngineOptions

if TYPE_CHECKING:
    from pathlib import Path


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def paired(root: Path, cores: int) -> None:
    """A machine of cores with two threads each: processors n and n + cores."""
    for core in range(cores):
        for one in (core, core + cores):
            put(root, f"sys/devices/system/cpu/cpu{one}/topology/thread_siblings_list", f"{core},{core + cores}\n")


def test_two_threads_of_a_core_are_one(tmp_path: Path) -> None:
    paired(tmp_path, 4)
    assert cores_among(range(8), None, tmp_path) == 4
    assert cores_among([0, 4], None, tmp_path) == 1
    assert cores_among([0, 5], None, tmp_path) == 2


def test_a_machine_that_tells_nothing_of_its_cores_has_one_for_each_processor(tmp_path: Path) -> None:
    assert cores_among(range(3), None, tmp_path) == 3


@pytest.mark.parametrize(("quota", "cores"), [(0.5, 1), (1.0, 1), (1.5, 1), (2.9, 2), (64.0, 4)])
def test_a_quota_bounds_the_cores(tmp_path: Path, quota: float, cores: int) -> None:
    paired(tmp_path, 4)
    assert cores_among(range(8), quota, tmp_path) == cores


def test_the_tightest_group_around_a_process_counts(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/user/pod/box\n")
    assert quota_of(tmp_path) is None
    put(tmp_path, "sys/fs/cgroup/user/pod/box/cpu.max", "max 100000\n")
    assert quota_of(tmp_path) is None
    put(tmp_path, "sys/fs/cgroup/user/pod/cpu.max", "150000 100000\n")
    put(tmp_path, "sys/fs/cgroup/user/cpu.max", "400000 100000\n")
    assert quota_of(tmp_path) == 1.5


def test_groups_of_the_older_kind_are_read(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "5:memory:/box\n4:cpu,cpuacct:/box\n")
    put(tmp_path, "sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n")
    put(tmp_path, "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n")
    assert quota_of(tmp_path) is None
    put(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n")
    put(tmp_path, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert quota_of(tmp_path) == 1.0


@pytest.mark.parametrize("told", ["", "nonsense", "100000", "100000 0", "x y"])
def test_a_file_that_says_nothing_bounds_nothing(tmp_path: Path, told: str) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/\n")
    put(tmp_path, "sys/fs/cgroup/cpu.max", told)
    assert quota_of(tmp_path) is None


def test_this_machine_has_cores() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    assert usual_threads() == EngineOptions().threads == min(8, usable_cores())
