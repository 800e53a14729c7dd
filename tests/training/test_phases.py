"""Methods with phases or controllers: pretraining, aggressive training, target KL, priors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_runs import TEXTS, last_checkpoint, records, tiny_config

from textvae import TextVAE
from textvae.config import ModelConfig
from textvae.schedules import PeakRate
from textvae.training.accelerator import accelerator_for
from textvae.training.limits import Limits
from textvae.training.optimizer import default_peak
from textvae.training.processes import Processes
from textvae.training.reporting import LoggingReporter
from textvae.training.schedule import Schedule
from textvae.training.state import TrainingState
from textvae.training.train import train_model


@pytest.mark.parametrize("limits", [Limits(100, None), Limits(None, 100.0)], ids=str)
def test_schedules_run_over_pretraining_and_again_over_the_rest(limits: Limits) -> None:
    state = TrainingState(step=10, seconds=10.0, best=3.0, since_best=2)
    config = tiny_config(pretrain_share=0.2, kl_warmup=0.5)
    with accelerator_for(config.training) as accelerator:
        processes, cpu = Processes(accelerator), torch.device("cpu")
        schedule = Schedule(config, limits, PeakRate(1e-3), state, processes, cpu)
        assert schedule.pretraining
        assert schedule.progress() == 0.5
        assert schedule.kl_weight() is None
        advance(state, 10)
        assert schedule.pretraining_is_over()
        state.pretraining_ended()
        assert (state.best, state.since_best) == (None, 0)  # a bound of another model
        assert not schedule.pretraining
        assert (schedule.progress(), schedule.kl_weight()) == (0.0, 0.0)
        advance(state, 20)
        assert (schedule.progress(), schedule.kl_weight()) == (0.25, 0.5)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_peak_follows_from_the_steps_of_the_whole_run(share: float) -> None:
    config = tiny_config(
        pretrain_share=share, learning_rate_schedule="constant", warmup_steps=0, learning_rate=None
    )
    with accelerator_for(config.training) as accelerator:
        processes, cpu = Processes(accelerator), torch.device("cpu")

        def schedule(limits: Limits, state: TrainingState) -> Schedule:
            return Schedule(config, limits, PeakRate(0.01, steps=2000), state, processes, cpu)

        for step in (0, 1, 7999):
            by_steps = schedule(Limits(8000, None), TrainingState(step=step))
            assert by_steps.peak == by_steps.learning_rate() == 0.005
        failed = TrainingState(step=1000, seconds=100.0)  # of 8,000 steps in 800 seconds
        timed = schedule(Limits(None, 800.0), failed)
        assert timed.peak == timed.learning_rate() == pytest.approx(0.005)
        again = TrainingState(step=200, seconds=20.0)
        again.rolled_back(failed, seconds=100.0, skipped=0)
        assert again.steps_undone == 800
        timed = schedule(Limits(None, 800.0), again)
        assert timed.peak == timed.learning_rate() == pytest.approx(0.0025)  # half


def test_the_default_peak_is_for_short_runs_of_recurrent_models() -> None:
    assert default_peak(ModelConfig()) == PeakRate(0.01, steps=2000)
    assert default_peak(ModelConfig(hidden_size=512)).rate == pytest.approx(0.01 * 0.5**0.75)
    assert default_peak(ModelConfig(decoder="transformer")) == PeakRate(0.001)
    frozen = ModelConfig(encoder="some/reference")
    assert default_peak(frozen) == PeakRate(0.01, steps=2000)
    trained = ModelConfig(encoder="some/reference", encoder_training="lora")
    assert default_peak(trained) == PeakRate(0.01)  # of which the rate of the reference is a share


def advance(state: TrainingState, steps: int) -> None:
    """Let the run do so many steps, of a second each."""
    for _ in range(steps):
        state.step_done(state.seconds + 1.0)


@pytest.mark.parametrize(("reset", "tied"), [(True, False), (True, True), (False, False)])
def test_pretraining_leaves_the_encoder_and_renews_the_decoder(
    tmp_path: Path, reset: bool, tied: bool
) -> None:
    """With a learning rate that moves nothing, what changes is what was reset.

    Embeddings that the encoder reads are kept.
    """
    embedding_is_reset = reset and not tied
    weights = {}
    for name, steps in (("before", 5), ("after", 7)):
        config = tiny_config(
            pretrain_share=0.8,  # 4 of 5 steps, 6 of 7
            reset_decoder=reset,
            tie_embeddings=tied,
            max_steps=steps,
            learning_rate=1e-30,
        )
        train_model(config, tmp_path / name, texts=TEXTS)
        weights[name] = last_checkpoint(tmp_path / name)
    fresh = tiny_config(max_steps=1, learning_rate=1e-30, tie_embeddings=tied)
    train_model(fresh, tmp_path / "fresh", texts=TEXTS)
    start, end = last_checkpoint(tmp_path / "fresh"), weights["after"]
    names = [name for name in start if not name.rpartition("/")[1]]
    moved = {name for name in names if not torch.equal(start[name], end[name])}
    assert not any(name.startswith(("encoder.", "posterior.")) for name in moved)
    assert ("decoder.embedding.weight" in moved) == embedding_is_reset
    assert ("decoder.network.rnn.weight_ih_l0" in moved) == reset
    steps = {name: value.item() for name, value in end.items() if name.endswith("/step")}
    assert steps["posterior.head.weight/step"] == 7
    embedding = f"{'encoder' if tied else 'decoder'}.embedding.weight"
    assert steps[f"{embedding}/step"] == (1 if embedding_is_reset else 7)
    assert torch.equal(
        weights["before"]["decoder.embedding.weight"], end["decoder.embedding.weight"]
    )


def test_the_best_model_is_one_of_after_pretraining(tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = tiny_config(
        pretrain_share=0.6, max_steps=20, eval_steps=2, log_steps=1, patience=3, kl_warmup=0.5
    )
    train_model(config, out, texts=TEXTS)
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

    train_model(config, out, texts=TEXTS, reporter=Listening())
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


def test_an_autoencoder_samples_from_the_gaussian_of_its_codes(tmp_path: Path) -> None:
    model = TextVAE.train(TEXTS, out=tmp_path / "run", config=tiny_config(model="ae"))
    codes = torch.from_numpy(model.encode(TEXTS))
    drawn = model.model.prior.sample(torch.randn(20_000, 4))
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=0.15)
    assert torch.allclose(drawn.T.cov(), codes.T.cov(), atol=0.15)


def test_a_target_of_the_kl_is_met_by_a_tiny_model(tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = tiny_config(
        target_kl=3.0, max_steps=400, eval_steps=40, learning_rate=0.01, batch_size=25
    )
    train_model(config, out, texts=TEXTS)
    best = [r for r in records(out) if r.get("best")][-1]
    assert best["kl"] == pytest.approx(3.0, rel=0.05)
    assert best["step"] > 200


def test_a_run_resumed_for_another_target_has_a_best_model_of_its_own(tmp_path: Path) -> None:
    """Its scores, at other KLs, are no better and no worse than those before."""
    out = tmp_path / "run"
    train_model(tiny_config(max_steps=40, eval_steps=20, beta=0.0), out, texts=TEXTS)
    before = (out / "model.safetensors").read_bytes()
    config = tiny_config(max_steps=80, eval_steps=20, target_kl=0.5)
    train_model(config, out, texts=TEXTS, resume=True)
    first = next(r for r in records(out) if r["event"] == "valid" and r["step"] > 40)
    assert first["best"] is True
    assert (out / "model.safetensors").read_bytes() != before
