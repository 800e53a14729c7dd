"""Several processes train as one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import BOUNDED, NOISE, TEXTS, StopAt, last_checkpoint, poison, records, tiny_config

from textvae.training import run
from textvae.training.processes import Processes
from textvae.training.train import train_model


@pytest.mark.parametrize(
    "method",
    [
        pytest.param({"free_bits": 0.1, "free_bits_mode": "batch"}, id="batch"),
        pytest.param(
            {"free_bits": 0.1, "free_bits_mode": "dimension", **BOUNDED, **NOISE},
            id="batch normalisation and noise",
        ),
        pytest.param(
            {"free_bits": 0.1, "free_bits_mode": "dimension"},
            id="dimension",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"target_kl": 2.0, "bag_of_words_weight": 0.5, "adversarial_weight": 1.0},
            id="terms",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"pretrain_share": 0.3, "aggressive": True}, id="phases", marks=pytest.mark.slow
        ),
    ],
)
def test_two_processes_have_the_losses_of_one(tmp_path: Path, method: dict[str, Any]) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS), encoding="utf-8")
    options = [
        f"--set={section}.{key}={json.dumps(value)}"
        for section, values in tiny_config(**method, batch_size=9, max_steps=12)
        .model_dump(mode="json", exclude_defaults=True)
        .items()
        for key, value in values.items()
    ]
    arguments = ["-m", "textvae", "train", str(text), *options, "--quiet"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for name, command in (("one", []), ("two", launcher)):
        done = subprocess.run(
            [sys.executable, *command, *arguments, "--out", str(tmp_path / name)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    assert [(r["event"], r["step"]) for r in one] == [(r["event"], r["step"]) for r in two]
    for expected, found in zip(one, two, strict=True):
        for key in {
            "loss",
            "rec",
            "kl",
            "nll_elbo",
            "gradient_norm",
            "kl_weight",
        } & expected.keys():
            assert found[key] == pytest.approx(expected[key], abs=1e-5, rel=1e-6), key
    once, twice = (last_checkpoint(tmp_path / name) for name in ("one", "two"))
    for name in once.keys() & {"encoder.normalised.running_mean", "encoder.normalised.shift"}:
        torch.testing.assert_close(twice[name], once[name], rtol=1e-4, atol=1e-6)


def test_no_process_writes_where_another_still_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that finds a checkpoint replaced under it would go on from another one, unseen."""
    done: list[str] = []

    def noting(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def noted(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            done.append(name)
            return result

        monkeypatch.setattr(owner, name, noted)

    train_model(tiny_config(max_steps=5), tmp_path / "run", texts=TEXTS)
    poison(monkeypatch, lambda state: state.step >= 5 and not state.rollbacks)
    for owner, name in ((run, "load_checkpoint"), (run, "save_checkpoint"), (Processes, "wait")):
        noting(owner, name)
    train_model(tiny_config(max_steps=18), tmp_path / "run", texts=TEXTS, resume=True)
    read = [place for place, name in enumerate(done) if name == "load_checkpoint"]
    assert [done[place + 1] for place in read] == ["wait", "wait"]  # resumed, and gone back


def test_a_run_is_interrupted_where_the_main_process_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends as the others do, or they would wait for each other."""

    def of_main(processes: Processes, value: Any) -> Any:
        return False if isinstance(value, bool) else value  # no signal has come there

    monkeypatch.setattr(Processes, "from_main", of_main)
    train_model(tiny_config(), tmp_path / "run", texts=TEXTS, reporter=StopAt(12))
    last = records(tmp_path / "run")[-1]
    assert (last["event"], last["step"]) == ("valid", 12)
