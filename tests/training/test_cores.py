"""The cores of a process, and what other programs use of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from textvae.training.cores import OtherPrograms, allowed_cores, busy_seconds, cgroup_cores
from textvae.training.threads import taken_cores

LOOP = "import os, sys; os.sched_setaffinity(0, [int(sys.argv[1])]); print(flush=True)\nwhile 1: 0"


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),  # in a container of version 2
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "900000 100000\n", "a/b/cpu.max": "300000 100000\n"}, 3),
        (
            "4:memory:/x\n3:cpu,cpuacct:/docker/1f\n0::/\n",  # version 1, whose name is of outside
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
                "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ("2:cpuset:/\n", {"cpuset/cpu.max": "100000 100000\n"}, None),  # not that controller
        ("0::/elsewhere\n", {}, None),
    ],
)
def test_control_groups_limit_the_cores(
    tmp_path: Path, own: str, files: dict[str, str], cores: int | None
) -> None:
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "own").write_text(own, encoding="utf-8")
    assert cgroup_cores(tmp_path / "cgroup", tmp_path / "own") == cores


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert cgroup_cores(tmp_path, tmp_path / "none") is None


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or not psutil.cpu_times().user,
    reason="the system does not say how busy its cores are",
)
def test_a_core_on_which_a_program_loops_is_taken() -> None:
    core = min(os.sched_getaffinity(0))
    with subprocess.Popen([sys.executable, "-c", LOOP, str(core)], stdout=subprocess.PIPE) as loop:
        try:
            assert loop.stdout is not None
            loop.stdout.readline()
            assert taken_cores(OtherPrograms([core]).samples()) == 1
        finally:
            loop.kill()


def test_the_own_work_of_a_process_is_no_load() -> None:
    core = allowed_cores()[:1]
    others, begun = OtherPrograms(core), time.process_time()
    while time.process_time() < begun + 0.2:
        pass
    worked = time.process_time() - begun
    load, seconds = others.load()
    assert load <= len(core) - worked / seconds + 0.2


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="for Linux")
def test_cores_are_read_by_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nice, system, interrupts and stolen time count; idle, iowait and guests do not."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    text = "cpu 0 0 0 0 0 0 0 0 0 0\n"
    text += "cpu0 100 200 300 9000 9000 400 500 600 50 50\n"
    text += "cpu1 700 0 0 9000 0 0 0 0 700 0\n"
    (tmp_path / "stat").write_text(text, encoding="utf-8")
    tick = os.sysconf("SC_CLK_TCK")
    assert busy_seconds([0]) == pytest.approx(2100 / tick)
    assert busy_seconds([1]) == pytest.approx(700 / tick)
    assert busy_seconds([0, 1]) == busy_seconds([4, 5]) == pytest.approx(2800 / tick)
    (tmp_path / "stat").unlink()
    assert busy_seconds([0]) == 0.0
