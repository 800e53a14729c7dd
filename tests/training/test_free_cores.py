"""By default a training takes the cores that other programs leave, and a resumed run as many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import TEXTS, Heard, newest_state, tiny_config

from textvae.training.cores import allowed_cores
from textvae.training.threads import (
    CHOSEN_BY_USER,
    CROWDED_SECONDS,
    CrowdedRun,
    take_cores_as_before,
    take_free_cores,
    taken_cores,
    threads_beside,
)
from textvae.training.train import train_model

CPU, UNDECIDED = torch.device("cpu"), tiny_config(threads=None).training


@pytest.mark.parametrize(
    ("loads", "taken"),
    [
        ([], 0),
        ([1.0] * 4, 1),
        ([1.4] * 4, 1),  # a program and a little of others
        ([1.6] * 4, 2),
        ([2.0, 2.0, 0.3, 2.0], 0),  # bursts
        ([2.0, 0.7, 2.0], 1),
        ([0.5] * 4, 0),  # half of the time is not most of it
        ([0.0], 0),
        ([-0.1], 0),  # the clocks of the system and of a process differ a little
    ],
)
def test_a_core_is_taken_if_it_is_busy_most_of_the_time_in_each_sample(
    loads: list[float], taken: int
) -> None:
    assert taken_cores(loads) == taken


def test_a_quiet_machine_is_sampled_once() -> None:
    quiet = iter([0.3, 0.0])
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


def test_a_run_that_is_crowded_for_long_is_told_once() -> None:
    run, half = CrowdedRun(2, [0, 1]), CROWDED_SECONDS / 2
    assert run.judge(0.9, half) is None
    assert run.judge(0.2, 1.0) is None  # the others have ended
    assert run.judge(0.9, half) is None
    said = run.judge(0.9, half)
    assert said is not None
    assert said.startswith("other programs are using 1 of 2 cores, for 60 seconds now; ")
    assert " resume it with threads=1" in said
    assert run.judge(0.9, 9 * half) is None


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
