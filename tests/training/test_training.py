"""The loop: resumed runs equal uninterrupted ones, two processes equal one, budgets hold."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from textvae import TextVAE
from textvae.config import Config, TrainingConfig
from textvae.data.rows import Row
from textvae.errors import (
    DivergedError,
    InterruptedRun,
    NotFoundError,
    UsageError,
)
from textvae.evaluation.report import evaluate
from textvae.training.budget import Budget
from textvae.training.checkpoints import TrainingState
from textvae.training.collapse import collapse_warning
from textvae.training.course import Course
from textvae.training.processes import Processes
from textvae.training.reporting import LoggingReporter
from textvae.training.runtime import accelerator_for
from textvae.training.session import train_session

SUBJECTS = ["the cat", "a dog", "my friend", "the old man", "our teacher"]
VERBS = ["sees", "likes", "follows", "hears"]
OBJECTS = ["the red ball", "a bird", "the train in the rain", "us", "two small houses"]
TEXTS = [f"{s} {v} {o} ." for s in SUBJECTS for v in VERBS for o in OBJECTS]

TINY: dict[str, Any] = {
    "hidden_size": 16,
    "embedding_size": 12,
    "latent_size": 4,
    "vocab_size": 300,
    "batch_size": 8,
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
    "log_steps": 2,
    "eval_steps": 5,
    "max_steps": 18,
    "embedding_dropout": 0.1,
    "variational_dropout": 0.1,
    "output_dropout": 0.1,
    "word_dropout": 0.2,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "cache"))


def tiny_config(**options: Any) -> Config:
    return Config.resolve(options={**TINY, **options})


def records(out: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock."""
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key != "timing"} for line in lines
    ]


def last_checkpoint(out: Path) -> dict[str, torch.Tensor]:
    newest = sorted((out / "checkpoints").iterdir())[-1]
    weights = load_file(newest / "weights.safetensors")
    return weights | load_file(newest / "optimizer.safetensors")


class StopAt(LoggingReporter):
    """Sends SIGINT to this process when training logs a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def log(self, record: dict[str, Any]) -> None:
        if record["event"] == "train" and record["step"] == self.step:
            os.kill(os.getpid(), signal.SIGINT)


NOISE = {"noise_drop": 0.1, "noise_blank": 0.1, "noise_substitute": 0.1, "noise_shuffle": 2.0}
BOUNDED = {"posterior_batch_norm": 0.7, "committed_rate": 0.5, "skip_z": True}


@pytest.mark.parametrize(
    ("model", "options"),
    [("vae", {}), ("ae", {}), ("lm", {}), ("vae", BOUNDED | NOISE), ("ae", NOISE)],
    ids=["vae", "ae", "lm", "bounded vae", "denoising ae"],
)
@pytest.mark.parametrize("stop_at", [4, 16])
def test_a_resumed_run_is_bit_for_bit_the_run_never_interrupted(
    tmp_path: Path, model: str, options: dict[str, Any], stop_at: int
) -> None:
    config = tiny_config(model=model, **options)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_session(config, whole, texts=TEXTS)
    with pytest.raises(InterruptedRun, match="resume=True") as interrupted:
        train_session(config, torn, texts=TEXTS, reporter=StopAt(stop_at))
    assert interrupted.value.exit_code == 130
    train_session(config, torn, texts=TEXTS, resume=True)

    expected, found = last_checkpoint(whole), last_checkpoint(torn)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (whole / "model.safetensors").read_bytes() == (torn / "model.safetensors").read_bytes()
    assert records(torn) == records(whole)


def test_a_limit_on_time_that_is_not_reached_changes_nothing(tmp_path: Path) -> None:
    """Schedules follow the limit on steps from the first one, not from when the speed is known."""
    for name, minutes in (("steps", None), ("both", 60)):
        config = tiny_config(max_minutes=minutes, eval_steps=4, checkpoint_steps=4)
        train_session(config, tmp_path / name, texts=TEXTS)
    expected, found = last_checkpoint(tmp_path / "steps"), last_checkpoint(tmp_path / "both")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


METHODS: dict[str, dict[str, Any]] = {
    "target_kl": {"target_kl": 2.0},
    "importance": {"importance_samples": 3, "free_bits": 0.0},
    "bag_of_words": {"bag_of_words_weight": 0.5},
    "adversarial": {"adversarial_weight": 2.0, "bag_of_words_weight": 0.5, "beta": 0.0},
    "autoencoder": {"model": "ae", "adversarial_weight": 2.0, "mmd_weight": 5.0},
    "contrastive": {"contrastive_weight": 1.0, "noise_drop": 0.2},
    "pretraining": {"pretrain_share": 0.56, "target_kl": 2.0},  # 11 of 18 steps
    "aggressive": {"aggressive": True, "eval_steps": 9, "max_steps": 30},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop_at", [10, 12])  # where pretraining is about to end, and after it
def test_every_method_resumes_bit_for_bit(tmp_path: Path, method: str, stop_at: int) -> None:
    config = tiny_config(**{"log_steps": 1, "hidden_size": 12, **METHODS[method]})
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_session(config, whole, texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_session(config, torn, texts=TEXTS, reporter=StopAt(stop_at))
    train_session(config, torn, texts=TEXTS, resume=True)
    assert all_tensors(torn) == all_tensors(whole)
    assert records(torn) == records(whole)


def all_tensors(out: Path) -> dict[str, bytes]:
    """Every file of tensors of a run and of its last checkpoint."""
    newest = sorted((out / "checkpoints").iterdir())[-1]
    files = [out / "model.safetensors", *newest.glob("*.safetensors")]
    return {file.name: file.read_bytes() for file in files}


def test_what_the_loss_has_of_its_own_is_kept_where_there_is_any(tmp_path: Path) -> None:
    for name, terms in (("plain", {}), ("own", {"bag_of_words_weight": 0.5})):
        train_session(tiny_config(max_steps=2, **terms), tmp_path / name, texts=TEXTS)
    assert "auxiliaries.safetensors" not in all_tensors(tmp_path / "plain")
    assert "auxiliaries.safetensors" in all_tensors(tmp_path / "own")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bag_of_words_weight", 0.5),
        ("adversarial_weight", 1.0),
        ("pretrain_share", 0.5),
        ("aggressive", True),
    ],
)
def test_a_method_cannot_be_taken_up_half_way(tmp_path: Path, name: str, value: Any) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=2), out, texts=TEXTS)
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match=rf"{name} is {value}, the run in .* has"):
        train_session(tiny_config(max_steps=4, **{name: value}), out, texts=TEXTS, resume=True)
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("reset", [True, False])
def test_pretraining_leaves_the_encoder_and_renews_the_decoder(tmp_path: Path, reset: bool) -> None:
    """With a learning rate that moves nothing, what changes is what was reset."""
    weights = {}
    for name, steps in (("before", 5), ("after", 7)):
        config = tiny_config(
            pretrain_share=0.8, reset_decoder=reset, max_steps=steps, learning_rate=1e-30
        )  # 4 of 5 steps, 6 of 7
        train_session(config, tmp_path / name, texts=TEXTS)
        weights[name] = last_checkpoint(tmp_path / name)
    fresh = tiny_config(max_steps=1, learning_rate=1e-30)
    train_session(fresh, tmp_path / "fresh", texts=TEXTS)
    start, end = last_checkpoint(tmp_path / "fresh"), weights["after"]
    names = [name for name in start if not name.rpartition("/")[1]]
    moved = {name for name in names if not torch.equal(start[name], end[name])}
    assert not any(name.startswith(("encoder.", "posterior.")) for name in moved)
    assert ("decoder.embedding.weight" in moved) == reset
    steps = {name: value.item() for name, value in end.items() if name.endswith("/step")}
    assert steps["posterior.head.weight/step"] == 7
    assert steps["decoder.embedding.weight/step"] == (1 if reset else 7)
    assert torch.equal(
        weights["before"]["decoder.embedding.weight"], end["decoder.embedding.weight"]
    )


def test_the_best_model_is_one_of_after_pretraining(tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = tiny_config(
        pretrain_share=0.6, max_steps=20, eval_steps=2, log_steps=1, patience=3, kl_warmup=0.5
    )
    train_session(config, out, texts=TEXTS)
    trained = [r for r in records(out) if r["event"] == "train"]
    evaluations = [r for r in records(out) if r["event"] == "valid"]
    after = [r for r in evaluations if r["step"] > 12]
    assert after[0]["best"]
    assert [r["kl_weight"] for r in trained if r["step"] < 12] == [0.0] * 11
    assert [r["kl_weight"] for r in trained if r["step"] >= 16][:2] == [1.0, 1.0]
    rates = {r["step"]: r["learning_rate"] for r in trained}
    assert rates[13] == pytest.approx(rates[1], rel=0.1)  # it warms up anew


def test_aggressive_training_alternates_until_mi_no_longer_rises(tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = tiny_config(aggressive=True, max_steps=200, eval_steps=40, learning_rate=1e-4)
    said: list[str] = []

    class Listening(LoggingReporter):
        def message(self, text: str) -> None:
            said.append(text)

    train_session(config, out, texts=TEXTS, reporter=Listening())
    steps = {name: value.item() for name, value in last_checkpoint(out).items() if "/step" in name}
    encoder = steps["posterior.head.weight/step"]
    decoder = steps["decoder.output.bias/step"]
    mi = [r["mi"] for r in records(out) if r["event"] == "valid"]
    ended = next((i for i in range(1, len(mi)) if mi[i] <= mi[i - 1]), None)
    joint = 0 if ended is None else 200 - 40 * (ended + 1)
    assert encoder + decoder - joint == 200  # a step moves one half, or both in the end
    assert decoder - joint <= 200 / 11  # ten of the encoder at least for one of the decoder
    assert any("aggressive" in text for text in said) == (ended is not None)


def test_a_matched_autoencoder_keeps_its_standard_prior(tmp_path: Path) -> None:
    config = tiny_config(model="ae", mmd_weight=5.0, max_steps=4)
    model = TextVAE.train(TEXTS, out=tmp_path / "run", config=config).model
    assert torch.equal(model.prior.mean, torch.zeros(4))
    assert torch.equal(model.prior.factor, torch.eye(4))


def test_a_target_of_the_kl_is_met_by_a_tiny_model(tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = tiny_config(
        target_kl=3.0, max_steps=400, eval_steps=40, learning_rate=0.01, batch_size=25
    )
    train_session(config, out, texts=TEXTS)
    best = [r for r in records(out) if r.get("best")][-1]
    assert best["kl"] == pytest.approx(3.0, rel=0.05)
    assert best["step"] > 200


def test_a_run_resumed_for_another_target_has_a_best_model_of_its_own(tmp_path: Path) -> None:
    """Its scores, at other KLs, are no better and no worse than those before."""
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=40, eval_steps=20, beta=0.0), out, texts=TEXTS)
    before = (out / "model.safetensors").read_bytes()
    config = tiny_config(max_steps=80, eval_steps=20, target_kl=0.5)
    train_session(config, out, texts=TEXTS, resume=True)
    first = next(r for r in records(out) if r["event"] == "valid" and r["step"] > 40)
    assert first["best"] is True
    assert (out / "model.safetensors").read_bytes() != before


def test_no_step_is_evaluated_twice(tmp_path: Path) -> None:
    """The horizon asks for an evaluation, and `eval_steps` may ask for the same one."""
    config = tiny_config(max_steps=None, max_minutes=0.02, eval_steps=1, checkpoint_steps=1000)
    train_session(config, tmp_path / "run", texts=TEXTS)
    steps = [r["step"] for r in records(tmp_path / "run") if r["event"] == "valid"]
    assert len(steps) == len(set(steps)) > 1


def test_an_interruption_does_not_use_up_patience(tmp_path: Path) -> None:
    config = tiny_config(max_steps=60, eval_steps=10, patience=1, learning_rate=1e-9)
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train_session(config, whole, texts=TEXTS)
    with pytest.raises(InterruptedRun):
        train_session(config, torn, texts=TEXTS, reporter=StopAt(14))
    train_session(config, torn, texts=TEXTS, resume=True)
    assert records(torn) == records(whole)


@pytest.mark.parametrize(("log_steps", "eval_steps"), [(1, 1_000), (1_000, 1)])
def test_a_run_that_diverges_ends_with_its_own_error_and_saves_no_nonsense(
    tmp_path: Path, log_steps: int, eval_steps: int
) -> None:
    config = tiny_config(
        learning_rate=1e12,
        warmup_steps=0,
        gradient_clip=1e12,
        max_steps=200,
        log_steps=log_steps,
        eval_steps=eval_steps,
    )
    out = tmp_path / "run"
    with pytest.raises(DivergedError, match="lower --learning-rate") as diverged:
        train_session(config, out, texts=TEXTS)
    assert diverged.value.exit_code == 5
    assert "NaN" not in (out / "metrics.jsonl").read_text(encoding="utf-8")
    if (out / "model.safetensors").exists():
        weights = load_file(out / "model.safetensors")
        assert all(value.isfinite().all() for value in weights.values())


def test_a_mistake_leaves_the_model_that_overwrite_would_replace(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=2), out, texts=TEXTS)
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(NotFoundError):
        train_session(tiny_config(train=["typo.txt"]), out, overwrite=True)
    assert (out / "model.safetensors").read_bytes() == before


def test_a_refused_resume_leaves_the_run_resumable(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=4), out, texts=TEXTS)
    with pytest.raises(UsageError, match=r"hidden_size is 24, the run in .* has 16"):
        train_session(tiny_config(hidden_size=24), out, texts=TEXTS, resume=True)
    own = Config.resolve(file=out / "experiment.toml")
    assert own.model.hidden_size == 16
    train_session(tiny_config(max_steps=6), out, texts=TEXTS, resume=True)


def test_cut_sentences_are_counted_aloud(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(LoggingReporter):
        def warn(self, text: str) -> None:
            said.append(text)

    config = tiny_config(max_tokens=4, max_steps=2)
    train_session(config, tmp_path / "run", texts=TEXTS, reporter=Listening())
    assert any("cut to 4 tokens" in text for text in said)


def test_max_steps_hold_beside_minutes(tmp_path: Path) -> None:
    train_session(tiny_config(max_steps=7, max_minutes=60), tmp_path / "run", texts=TEXTS)
    assert max(r["step"] for r in records(tmp_path / "run")) == 7


def test_the_same_seed_gives_the_same_model_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_session(tiny_config(seed=seed, max_steps=4), tmp_path / name, texts=TEXTS)
    first, again, other = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b", "c")
    )
    assert first == again
    assert first != other


def test_global_random_states_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate()
    TextVAE.train(TEXTS, out=tmp_path / "run", config=tiny_config(max_steps=2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


@pytest.mark.parametrize(
    "method",
    [
        {"free_bits": 0.1, "free_bits_mode": "dimension"},
        {"free_bits": 0.1, "free_bits_mode": "batch"},
        {"free_bits": 0.1, "free_bits_mode": "dimension", **BOUNDED, **NOISE},
        {"target_kl": 2.0, "bag_of_words_weight": 0.5, "adversarial_weight": 1.0},
        {"pretrain_share": 0.3, "aggressive": True},
    ],
    ids=["dimension", "batch", "batch normalisation and noise", "terms", "phases"],
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


@pytest.mark.parametrize(("minutes", "seconds"), [(0.1, 0.6), (0.5, 3.0), (1.0, 4.0), (10.0, 18.0)])
def test_the_speed_is_measured_for_seconds_before_the_horizon(
    minutes: float, seconds: float
) -> None:
    budget = Budget.of(TrainingConfig(max_minutes=minutes), steps_per_epoch=100)
    assert not budget.ready_to_estimate(50, seconds * 0.99)
    assert budget.ready_to_estimate(50, seconds * 1.01)
    assert not budget.ready_to_estimate(2, seconds * 1.01)


def test_minutes_are_a_hard_stop_and_fix_a_horizon_once(tmp_path: Path) -> None:
    config = tiny_config(max_steps=None, max_minutes=0.05, eval_steps=None)
    train_session(config, tmp_path / "run", texts=TEXTS)
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    state = json.loads((newest / "state.json").read_text(encoding="utf-8"))
    assert state["horizon"] is not None
    assert state["step"] <= state["horizon"]
    assert state["seconds"] < 3.0 + 2.0  # the stop, and one last evaluation on a busy machine


@pytest.mark.parametrize(
    ("minutes", "horizon", "seconds", "left"),
    [
        (None, None, 5.0, None),
        (None, 110, 5.0, 50.0),
        (1.0, None, 5.0, 55.0),
        (1.0, 110, 5.0, 50.0),
        (1.0, 10**6, 5.0, 55.0),
        (1.0, 10**6, 70.0, 0.0),
        (1.0, 5, 5.0, 0.0),
    ],
)
def test_the_time_left_ends_with_the_minutes_where_the_steps_would_not(
    minutes: float | None, horizon: int | None, seconds: float, left: float | None
) -> None:
    """A machine that was quiet when the speed was measured promises more steps than it can do."""
    budget = Budget.of(TrainingConfig(max_minutes=minutes), steps_per_epoch=100)
    state = TrainingState(step=10, horizon=horizon)
    assert budget.seconds_left(state, seconds, step_seconds=0.5) == left


def test_max_steps_counts_from_the_first_start(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=6), out, texts=TEXTS)
    train_session(tiny_config(max_steps=9), out, texts=TEXTS, resume=True)
    assert max(r["step"] for r in records(out)) == 9


def test_patience_stops_where_validation_no_longer_improves(tmp_path: Path) -> None:
    config = tiny_config(max_steps=500, eval_steps=2, patience=2, learning_rate=1e-9)
    train_session(config, tmp_path / "run", texts=TEXTS)
    evaluations = [r for r in records(tmp_path / "run") if r["event"] == "valid"]
    assert evaluations[-1]["step"] < 500
    assert [r["best"] for r in evaluations[-2:]] == [False, False]


def test_the_saved_model_is_that_of_the_best_evaluation(tmp_path: Path) -> None:
    out = tmp_path / "run"
    model = TextVAE.train(TEXTS, valid=TEXTS[:20], out=out, config=tiny_config(max_steps=60))
    evaluations = [r for r in records(out) if r["event"] == "valid"]
    best = min(evaluations, key=lambda r: r["nll_elbo"])
    assert model.metrics["step"] == best["step"]
    rec_at_start = next(r for r in evaluations)["rec"]
    assert best["rec"] < rec_at_start  # it has learnt something


@pytest.mark.parametrize("kind", ["vae", "ae", "lm"])
def test_the_curve_ends_where_the_evaluation_of_the_model_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("textvae.training.material.MONITORED_SENTENCES", 17)
    monkeypatch.setattr("textvae.training.material.BATCH", 6)
    monkeypatch.setattr("textvae.training.material.PIECE", 10)
    config = tiny_config(model=kind, seed=3, max_steps=10)
    model = TextVAE.train(TEXTS, valid=["", *TEXTS[::4]], out=tmp_path / "run", config=config)
    rows = [Row(text) for text in TEXTS[::4]]
    report = evaluate(model.model, model.tokenizer, rows, samples=1, seed=3, limit=17)
    watched = {key: value for key, value in model.metrics.items() if key in report}
    assert len(watched) == {"vae": 6, "ae": 1, "lm": 1}[kind]
    assert {key: report[key] for key in watched} == pytest.approx(watched, rel=1e-4)


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    train_session(tiny_config(keep=2), tmp_path / "run", texts=TEXTS)
    names = sorted(folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == ["step-000000015", "step-000000018"]


def test_a_folder_that_is_in_use_is_refused_and_a_foreign_one_never_overwritten(
    tmp_path: Path,
) -> None:
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="thesis"):
            train_session(tiny_config(), foreign, texts=TEXTS, overwrite=overwrite)
    assert (foreign / "config.json").read_text(encoding="utf-8") == '{"model_type": "bert"}'


def test_overwrite_keeps_what_textvae_did_not_write(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train_session(tiny_config(max_steps=2), out, texts=TEXTS)
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    train_session(tiny_config(max_steps=3), out, texts=TEXTS, overwrite=True)
    assert (out / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert max(r["step"] for r in records(out)) == 3


def test_an_autoencoder_samples_from_the_gaussian_of_its_codes(tmp_path: Path) -> None:
    model = TextVAE.train(TEXTS, out=tmp_path / "run", config=tiny_config(model="ae"))
    codes = torch.from_numpy(model.encode(TEXTS))
    drawn = model.model.prior.sample(torch.randn(20_000, 4))
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=0.15)
    assert torch.allclose(drawn.T.cov(), codes.T.cov(), atol=0.15)


def test_a_budget_is_the_smallest_of_its_limits() -> None:
    def steps(**limits: Any) -> int | None:
        return Budget.of(TrainingConfig(**limits), steps_per_epoch=10).steps

    assert steps(max_steps=35, epochs=4) == 35
    assert steps(max_steps=45, epochs=4) == 40
    assert steps(epochs=0.25) == 3
    assert steps(max_minutes=1) is None
    assert steps() == 200  # twenty epochs


def test_the_horizon_leaves_time_for_evaluations() -> None:
    budget = Budget(None, 100.0)
    horizon = budget.horizon_from_speed(
        step=10, seconds=5.0, step_seconds=0.1, evaluation_seconds=1.0
    )
    assert 10 + (95 - 10) / 0.1 * 0.95 < horizon <= 10 + (95 - 10) / 0.1


@pytest.mark.parametrize(
    ("figures", "weight", "warns"),
    [
        ({"z_gain": 0.01, "kl": 0.1}, 1.0, True),
        ({"z_gain": 0.01, "kl": 0.1}, 0.2, False),  # still annealing
        ({"z_gain": 6.0, "kl": 8.0}, 1.0, False),
        ({"z_gain": 0.01}, 1.0, False),  # an autoencoder
        ({"nll_iw": 30.0}, 1.0, False),  # a language model
    ],
)
def test_collapse_is_said_once_the_kl_counts(
    figures: dict[str, float], weight: float, warns: bool
) -> None:
    warning = collapse_warning(figures, weight, 1.0, Config())
    assert (warning is not None) == warns


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({}, "--free-bits 0.5, --word-dropout 0.3 or a smaller --beta"),
        ({"free_bits": 2.0}, "--free-bits 4, "),  # more than there is already
        ({"importance_samples": 5, "free_bits": 0.0}, "Try --word-dropout"),  # it has no KL
        ({"target_kl": 2.0}, "a larger --target-kl"),
        ({"word_dropout": 0.3}, "--word-dropout 0.6 or"),
        ({"word_dropout": 0.8}, "--free-bits 0.5 or a smaller --beta"),
        ({"committed_rate": 8.0}, "Try --word-dropout 0.3 or a smaller --beta"),
    ],
)
def test_the_advice_against_collapse_can_be_followed(
    options: dict[str, float], advice: str
) -> None:
    figures = {"z_gain": 0.0, "kl": 0.0}
    assert advice in str(collapse_warning(figures, 1.0, 1.0, Config.resolve(options=options)))


def test_schedules_run_over_pretraining_and_again_over_the_rest() -> None:
    state = TrainingState(step=10, horizon=100, best=3.0, since_best=2)
    config = tiny_config(pretrain_share=0.2, kl_warmup=0.5)
    with accelerator_for(config.training) as accelerator:
        course = Course(config, 1e-3, state, Processes(accelerator), torch.device("cpu"))
        assert course.pretraining
        assert course.progress() == 0.5
        assert course.kl_weight() is None
        state.step = 20
        assert course.pretraining_is_over()
        course.end_pretraining()
        assert (state.best, state.since_best) == (None, 0)  # a bound of another model
        assert not course.pretraining
        assert (course.progress(), course.kl_weight()) == (0.0, 0.0)
        state.step = 40
        assert (course.progress(), course.kl_weight()) == (0.25, 0.5)


def test_trackers_get_the_figures_of_metrics_jsonl(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    train_session(tiny_config(track=["tensorboard"], max_steps=6), out, texts=TEXTS)
    events = EventAccumulator(str(out / "tracking" / "textvae")).Reload()
    found = {event.step: event.value for event in events.Scalars("train/rec")}
    expected = {r["step"]: r["rec"] for r in records(out) if r["event"] == "train"}
    assert found == pytest.approx(expected, rel=1e-6)


def test_an_unknown_or_missing_tracker_is_said_before_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"papyrus.*choose from"):
        train_session(tiny_config(track=["papyrus"]), tmp_path / "a", texts=TEXTS)
    assert not (tmp_path / "a").exists()
