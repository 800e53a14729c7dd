"""By default a training takes the cores that other programs leave, and a resumed run as many."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from small_runs import TEXTS, Heard, newest_state, tiny_config

from textvae.training.cores import (
    CHOSEN_BY_USER,
    allowed_cores,
    cgroup_cores,
    core_loads,
    take_cores_as_before,
    take_free_cores,
    taken_cores,
    threads_beside,
)
from textvae.training.train import train_model

CPU, UNDECIDED = torch.device("cpu"), tiny_config(threads=None).training
LOOP = "import os, sys; os.sched_setaffinity(0, [int(sys.argv[1])]); print(flush=True)\nwhile 1: 0"


@pytest.mark.parametrize(
    ("samples", "taken"),
    [
        ([], 0),  # the system does not say
        ([[1.0, 0.0]] * 4, 1),
        ([[1.0, 0.4]] * 4, 1),  # a program and a little of others
        ([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], 1),  # one program on changing cores
        ([[1.0, 1.0], [1.0, 1.0], [0.2, 0.1]], 0),  # a burst
        ([[0.5, 0.0]] * 4, 0),  # half of the time is not most of it
        ([[0.3, 0.3, 0.3, 0.0]], 1),  # small loads add up
        ([[1.0] * 7 + [0.2]] * 4, 7),
        ([[0.0, 0.0]], 0),
    ],
)
def test_a_core_is_taken_if_it_is_busy_most_of_the_time_in_each_sample(
    samples: list[list[float]], taken: int
) -> None:
    assert taken_cores(samples) == taken


def test_a_quiet_machine_is_sampled_once() -> None:
    quiet = iter([[0.1, 0.2], [0.0, 0.0]])
    taken_cores(quiet)
    assert len(list(quiet)) == 1


@pytest.mark.parametrize(
    ("most", "taken", "cores", "limit", "threads"),
    [
        (2, 0, 2, None, 2),
        (2, 1, 2, None, 1),
        (2, 2, 2, None, 1),  # never none
        (4, 3, 8, None, 4),  # two hyper-threads in each core: five are left for four threads
        (4, 6, 8, None, 2),
        (8, 0, 8, 3, 3),
        (8, 6, 8, 3, 2),
        (8, 0, 8, 16, 8),
    ],
)
def test_threads_are_the_smallest_of_the_default_the_free_cores_and_the_limit(
    most: int, taken: int, cores: int, limit: int | None, threads: int
) -> None:
    found, reason = threads_beside(most, taken=taken, cores=cores, limit=limit)
    assert found == threads
    assert bool(reason) == (threads < most)


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
            assert taken_cores(core_loads([core])) == 1
        finally:
            loop.kill()


@pytest.fixture
def undecided(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment does not say how many threads torch has."""
    for name in (*CHOSEN_BY_USER, "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Starts(Heard):
    """Keeps the number of threads, too."""

    def start(self, info: dict[str, Any]) -> None:
        self.threads = info["threads"]


@pytest.mark.usefixtures("undecided")
def test_a_resumed_run_has_as_many_threads_as_before(tmp_path: Path) -> None:
    heard = Starts()

    torch.set_num_threads(1)
    train_model(tiny_config(threads=None, max_steps=2), tmp_path, texts=TEXTS, reporter=heard)
    assert heard.threads == newest_state(tmp_path).threads == 1
    assert ", 1 CPU thread)" in (tmp_path / "README.md").read_text(encoding="utf-8")
    torch.set_num_threads(2)
    config = tiny_config(threads=None, max_steps=4)
    train_model(config, tmp_path, texts=TEXTS, reporter=heard, resume=True)
    assert heard.threads == newest_state(tmp_path).threads == 1
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("undecided")
def test_a_run_from_a_larger_machine_keeps_its_threads_and_says_so() -> None:
    torch.set_num_threads(1)
    heard = Heard()
    take_cores_as_before(UNDECIDED, CPU, 2, heard.message)
    assert torch.get_num_threads() == 2
    assert heard.messages == [
        "2 threads, as this run had before; this machine has only 1 core, and threads=1 may be "
        "faster"
    ]
    take_cores_as_before(UNDECIDED, CPU, None, heard.message)  # of an earlier version
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("undecided")
@pytest.mark.parametrize("name", [*CHOSEN_BY_USER, "LOCAL_RANK", None])
def test_a_number_that_the_user_or_a_launcher_chose_stays(
    monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    torch.set_num_threads(3)
    training = tiny_config(threads=3).training if name is None else UNDECIDED
    if name is not None:
        monkeypatch.setenv(name, "3")
    heard = Heard()
    take_cores_as_before(training, CPU, 2, heard.message)
    take_free_cores(training, CPU, heard.message)
    assert (torch.get_num_threads(), heard.messages) == (3, [])


@pytest.mark.usefixtures("undecided")
def test_fewer_threads_than_the_default_are_told() -> None:
    most = len(allowed_cores()) + 1  # one core is missing, whatever else the machine does
    torch.set_num_threads(most)
    heard = Heard()
    take_free_cores(UNDECIDED, CPU, heard.message)
    assert 1 <= torch.get_num_threads() < most
    [told] = heard.messages
    assert told.startswith(f"{torch.get_num_threads()} of {most} threads: ")
    assert told.endswith(f"; threads={most} overrides")
