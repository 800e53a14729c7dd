"""The training loop: batches -> loss -> update -> log, evaluate, save, to the end of the budget."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from textvae.config import Config
from textvae.data.batches import Batch, BatchPlan
from textvae.data.prepare import Corpora
from textvae.errors import DataError, InterruptedRun
from textvae.evaluation.monitor import monitor
from textvae.models.build import build_model
from textvae.models.prior import CodeGaussian
from textvae.models.sentence import SentenceModel
from textvae.randomness import purposes
from textvae.randomness.noise import StepNoise
from textvae.randomness.seeds import derived_seed
from textvae.saving.folder import WEIGHTS_FILE, save_model, write_atomically
from textvae.training.budget import Budget
from textvae.training.checkpoints import (
    ANEW,
    TrainingState,
    copy_weights,
    load_checkpoint,
    save_checkpoint,
)
from textvae.training.clock import Clock
from textvae.training.collapse import collapse_warning, remedy
from textvae.training.course import Course
from textvae.training.divergence import MOST_ROLLBACKS, Divergence, learning_rate_factor
from textvae.training.journal import Journal
from textvae.training.material import monitored_chunks, resident, training_codes
from textvae.training.processes import Processes
from textvae.training.reporting import Reporter
from textvae.training.runtime import StopSignal, synchronize
from textvae.training.updates import Updates, default_learning_rate
from textvae.training.window import Window

EVALUATIONS_TO_WARN = 3  # in a row at which the latent looked collapsed
# What a run that goes back keeps of its state: what it is given, which a resumed one may change.
PLAN = ("horizon", "planned_seconds", "planned_steps", "eval_steps", "corpus", "learning_rate")
BEST = ("best", "best_step", "best_kl")  # of the model that is saved


def train(
    config: Config,
    corpora: Corpora,
    out: Path,
    accelerator: Accelerator,
    *,
    reporter: Reporter,
    resume: bool = False,
) -> TrainingState:
    """Train a model into the folder `out`, which then holds the best one by validation.

    Raises:
        InterruptedRun: a signal came; the run is saved and can be resumed.
        DivergedError: loss or gradient are no longer finite, and going back did not help.
        NotFoundError: there is no checkpoint to resume from.
    """
    with StopSignal().listening() as stop:
        run = TrainingRun(config, corpora, out, accelerator, reporter)
        try:
            run.begin(resume=resume)
            if run.spent():
                how_on = run.budget.how_on(run.state)
                reporter.message(f"this run is complete at step {run.state.step}; {how_on}")
            while not run.finished(stop):
                for batch in run.rest_of_epoch():
                    run.update(batch)
                    run.plan_horizon()
                    run.log_if_due()
                    run.evaluate_if_due()
                    if run.went_back() or run.finished(stop):
                        break
            # A signal may have come to the main process alone, or to others a moment later.
            interrupted = run.processes.from_main(stop.number is not None) and not run.spent()
            run.end(interrupted=interrupted)
            if stop.number is not None and interrupted:
                raise InterruptedRun(
                    f"stopped at step {run.state.step}; go on with: {how_to_resume(config, out)}",
                    stop.number,
                )
        except OSError as error:
            if run.saved_step is not None and run.is_in_place():
                error.add_note(
                    f"step {run.saved_step} is saved; when the trouble is mended, go on with: "
                    f"{how_to_resume(config, out)}"
                )
            raise
        finally:
            run.close()
    return run.state


def how_to_resume(config: Config, out: Path) -> str:
    """What goes on with the run in a folder: a command; for sentences in memory, Python."""
    if not config.data.train:
        return f"TextVAE.train(THE_SAME_TEXT, out={str(out)!r}, resume=True)"
    piped = "-" in (*config.data.train, *config.data.valid)
    again = " < THE_SAME_TEXT" if piped else ""
    return f"textvae train --resume --out {shlex.quote(str(out))}{again}"


class TrainingRun:
    """One run: the model, its optimizer, and where it stands."""

    def __init__(
        self,
        config: Config,
        corpora: Corpora,
        out: Path,
        accelerator: Accelerator,
        reporter: Reporter,
    ) -> None:
        self.config, self.corpora, self.out = config, corpora, out
        self.accelerator, self.reporter = accelerator, reporter
        self.device: torch.device = accelerator.device
        self.processes = Processes(accelerator)
        training = config.training
        self.model = self._fresh_model(purposes.WEIGHTS).to(self.device)
        self.peak_learning_rate = training.learning_rate or default_learning_rate(config.model)
        self.updates = Updates(
            self.model,
            config,
            accelerator,
            self.processes,
            self.peak_learning_rate,
            ordinary_ids=corpora.source.tokenizer.ordinary_ids,
        )
        self.plan = BatchPlan(
            corpora.train.lengths,
            training.batch_size,
            training.seed,
            rank=self.processes.rank,
            world_size=self.processes.count,
        )
        self.budget = Budget.of(training, self.plan.steps_per_epoch)
        self.source = resident(corpora.source.train, self.device)
        self.target = None  # the same sentences for a decoder with its own tokenizer
        if corpora.source.train is not corpora.train:
            self.target = resident(corpora.train, self.device)
        self.valid = monitored_chunks(corpora, self.device)
        self.state = TrainingState(
            corpus=corpora.fingerprint, tokenizer=corpora.tokenizer_fingerprint
        )
        self.course = Course(
            config, self.peak_learning_rate, self.state, self.processes, self.device
        )
        self.window = Window(self.device, self.processes)
        self.divergence = Divergence(self.device)
        self.journal: Journal | None = None  # of the main process
        self.saved_step: int | None = None  # of the newest checkpoint that this process wrote
        self.collapsed = 0  # evaluations in a row that looked so
        self.judged_step: int | None = None  # up to which skipped steps have been looked for

    # the story

    def begin(self, *, resume: bool) -> None:
        """Start afresh, or where the newest checkpoint stands."""
        if resume:
            corpus, tokenizer = self.state.corpus, self.state.tokenizer  # at hand
            self.load_checkpoint()
            self.reporter.message(f"going on from step {self.state.step}")
            if self.state.tokenizer != tokenizer:
                raise DataError(
                    f"{self.out}: its tokenizer is not the one that this run began with; restore "
                    f"its tokenizer.json or the text, or {ANEW}"
                )
            if self.state.corpus != corpus:
                self.reporter.warn(
                    "the text differs from what this run began with; the resumed run goes on "
                    "with the new text and its own tokenizer, and its course is no longer that of "
                    "one run"
                )
                self.state.corpus = corpus
            if self.state.learning_rate not in (None, self.peak_learning_rate):
                self.state.rollbacks = 0  # what was too high then is no longer what is halved
        self.state.learning_rate = self.peak_learning_rate
        if self.processes.is_main:
            # First what tells that the folder is ours, should the program end meanwhile.
            write_atomically(self.out / "experiment.toml", self.config.to_toml())
            self.journal = Journal(self.out, self.config, self.reporter, self.state.metrics_bytes)
        self.budget.begin(self.state)
        self.clock = Clock(self.state.step, self.state.seconds)
        if not resume:
            self.save_checkpoint()  # so that there is something to go back to
        self.reporter.start(self._facts())

    def rest_of_epoch(self) -> Iterator[Batch]:
        """The batches of the epoch that are still to come."""
        epoch, done = divmod(self.state.step, self.plan.steps_per_epoch)
        return self.plan.batches(self.source, epoch, done, target=self.target)

    def update(self, batch: Batch) -> None:
        """One step on a batch, of what the course of the run has it train."""
        if self.course.pretraining_is_over():
            self.end_pretraining()
        if batch.target.ids.device != self.device:
            batch = batch.to(self.device)
        seed, step = self.config.training.seed, self.state.step
        noise = StepNoise(
            seed,
            step,
            self._places(batch),
            batch.total,
            batch.longest,
            self.device,
            self.processes.sum,
        )
        sums = self.updates.step(
            batch,
            noise,
            kl_weight=self.course.kl_weight(),
            learning_rate=self.course.learning_rate(),
            part=self.course.part,
        )
        self.course.observe(sums, batch.total, batch.target.lengths.sum())
        kept = sums["skipped"] == 0
        sentences, steps = torch.where(kept, len(batch.target), 0), 1 / self.processes.count
        self.window.add({**sums, "sentences": sentences, "steps": steps})
        self.divergence.observe(kept)
        self.state.step += 1

    def end_pretraining(self) -> None:
        """Turn the autoencoder that was trained so far into the beginning of a VAE."""
        self.course.end_pretraining()
        if self.config.objective.reset_decoder:
            self.updates.reset_decoder(self._fresh_model(purposes.DECODER))
        self.reporter.message(f"pretraining as an autoencoder ends at step {self.state.step}")

    def plan_horizon(self) -> None:
        """Once the speed is known, fix the number of steps that fit into the minutes."""
        step = self.state.step
        self.clock.settle_if_due(step)
        if self.state.horizon is not None:
            return
        ready = self.budget.ready_to_estimate(self.clock.steps(step), self.clock.seconds())
        if not self.processes.agree(ready, step):
            return
        synchronize(self.device)
        step_seconds = self.clock.step_seconds(step)
        before = self.clock.seconds()
        self.evaluate()
        horizon = self.budget.horizon_from_speed(
            step=step,
            seconds=self.clock.seconds(),
            step_seconds=step_seconds,
            evaluation_seconds=self.clock.seconds() - before,
        )
        horizon = self.processes.from_main(horizon)
        self.budget.plan(horizon, self.state)
        epochs = horizon / self.plan.steps_per_epoch
        self.reporter.message(f"horizon: {horizon} steps, {epochs:.1f} epochs")

    def log_if_due(self) -> None:
        """Report the means since the last report."""
        if self.state.step % self.config.training.log_steps:
            return
        sums = self.window.total()
        self.window.clear()
        seconds, training_seconds = self.clock.seconds(), self.clock.since_report()
        sentences, steps = sums.pop("sentences"), round(sums.pop("steps"))
        skipped = round(sums.pop("skipped"))
        self._judge_skipped(skipped, steps)
        self.state.skipped += skipped
        if skipped == steps:
            return
        record = {
            "event": "train",
            "step": self.state.step,
            "epoch": round(self.state.step / self.plan.steps_per_epoch, 4),
            "loss": sums.pop("loss") / sentences,
            "gradient_norm": sums.pop("gradient_norm") / (steps - skipped),
            **{key: value / sentences for key, value in sums.items()},
            "kl_weight": self.kl_weight(),
            "learning_rate": self.course.learning_rate(),
            **({"skipped": skipped} if skipped else {}),
            "timing": {
                "sentences_per_second": sentences / training_seconds,
                "seconds": seconds,
                "seconds_left": self.budget.seconds_left(
                    self.state, seconds, self.clock.step_seconds(self.state.step)
                ),
            },
        }
        if self.journal is not None:
            self.journal.write(record)

    def evaluate_if_due(self) -> None:
        """Evaluate and save at the steps that are set for it; evaluate at the last one, too."""
        step, every = self.state.step, self.config.training.checkpoint_steps
        last = self.spent()
        if last:
            self._judge_rest()
        if self.divergence.trouble is not None:
            return
        due = self.state.eval_steps is not None and step % self.state.eval_steps == 0
        # The horizon may just have asked for it.
        if (due or last) and self.state.evaluated_step != step:
            self.evaluate()
        if due and every is None:
            self.save_good_checkpoint()
        if every is not None and step % every == 0:
            self.save_good_checkpoint()

    def evaluate(self) -> None:
        """The figures of the validation slice; the model is saved where they are the best."""
        before = self.clock.seconds()
        figures: dict[str, float] = {}
        if self.processes.is_main:
            figures = monitor(self.model, self.valid, self.config.training.seed)
        figures = self.processes.from_main(figures)
        score = self.course.score(figures)
        self.divergence.judge_figures({"bound": score, **figures})
        if self.divergence.trouble is not None:
            return
        if self.journal is not None:
            best = self._keep_if_best(score, figures.get("kl"))
            self.journal.write(
                {
                    "event": "valid",
                    "step": self.state.step,
                    "epoch": round(self.state.step / self.plan.steps_per_epoch, 4),
                    **figures,
                    "kl_weight": self.kl_weight(),
                    "best": best,
                    "timing": {"seconds": self.clock.seconds()},
                }
            )
            self._warn_of_collapse(figures)
        self.state.since_best = self.processes.from_main(self.state.since_best)
        news = self.course.judge(figures)
        if news is not None:
            self.reporter.message(f"{news} at step {self.state.step}")
        self.state.evaluated_step = self.state.step
        self.clock.leave_out(self.clock.seconds() - before)

    def _keep_if_best(self, score: float, kl: float | None) -> bool:
        """Save the model if none before had so low a score."""
        state = self.state
        best = state.best is None or score < state.best
        if best:
            state.best, state.best_step, state.best_kl = score, state.step, kl
            self.save_best()
        state.since_best = 0 if best or self.course.pretraining else state.since_best + 1
        return best

    def _warn_of_collapse(self, figures: dict[str, float]) -> None:
        full_weight = self.course.full_weight
        warning = collapse_warning(figures, self.kl_weight(), full_weight, self.config)
        self.collapsed = self.collapsed + 1 if warning is not None else 0
        if warning is not None and self.collapsed == EVALUATIONS_TO_WARN:
            self.reporter.warn(warning)

    def finished(self, stop: StopSignal) -> bool:
        """Whether the run is over: by budget, patience or signal."""
        asked = stop.number is not None or self.budget.out_of_time(self.clock.seconds())
        return self.processes.agree(asked, self.state.step) or self.spent()

    def spent(self) -> bool:
        """Whether the run is over by its budget or its patience."""
        return self.budget.spent(self.state)

    def end(self, *, interrupted: bool) -> None:
        """A last evaluation and checkpoint; of an interrupted run the checkpoint alone.

        An evaluation more than in the run never interrupted could change which weights are
        the best, and when patience ends.
        """
        if not interrupted:
            self._judge_rest()
            if self.divergence.trouble is None and self.state.evaluated_step != self.state.step:
                self.evaluate()
            if self.divergence.trouble is not None:
                raise self.divergence.error(self.state, self.peak_learning_rate)
        elif self.processes.is_main and not (self.out / WEIGHTS_FILE).is_file():
            self.save_best()  # so that there is a model at all
        self.save_checkpoint()
        missed = self.course.missed_target()
        if missed is not None and self.processes.is_main and not interrupted:
            self.reporter.warn(missed)
        if self.collapsed and not interrupted:
            advice = remedy(self.config)
            self.reporter.warn(
                "the latent has collapsed: the decoder of this model ignores it. Train longer, or "
                f"try {advice}"
            )
        fitted = isinstance(self.model.prior, CodeGaussian)
        refits = fitted and not self.config.objective.matches_prior
        if refits and self.processes.is_main:
            self.fit_prior_of_best()

    def is_in_place(self) -> bool:
        """Whether the folder is still there by its name."""
        return self.journal is None or self.journal.is_in_place()

    def close(self) -> None:
        """Close what is open."""
        try:
            if self.journal is not None:
                self.journal.close()
        finally:
            self.reporter.close()

    # saving

    def save_best(self) -> None:
        """Write the model as it stands."""
        if self.journal is not None:
            self.journal.check_place()
        save_model(
            self.out,
            self.model,
            self.corpora.tokenizer,
            self.config.data,
            encoder_tokenizer=self.corpora.source.tokenizer,
        )

    def fit_prior_of_best(self) -> None:
        """Give the saved autoencoder the Gaussian of its codes; too slow for each evaluation."""
        copy_weights(self.out / WEIGHTS_FILE, self.model)
        assert isinstance(self.model.prior, CodeGaussian)
        self.model.prior.fit(training_codes(self.model, self.corpora.source.train))
        self.save_best()

    def load_checkpoint(self, *, sound: bool = False) -> None:
        """Stand where the newest whole checkpoint does; the newest `sound` one, to go back to."""
        self.state = load_checkpoint(
            self.out,
            self.model,
            self.updates.optimizer,
            self.updates.restore_auxiliaries,
            self.reporter.warn,
            sound=sound,
        )
        self.saved_step = self.state.step
        self.course.resume(self.state)
        own = self.state.window if self.processes.is_main else None
        self.window = Window(self.device, self.processes, own)
        self.judged_step = self.state.step
        self.divergence = Divergence(self.device, self.state.skipped_in_a_row)
        self.processes.wait()  # the main one may write in its place what others still read

    def save_good_checkpoint(self) -> None:
        """Write a checkpoint, unless the last steps are skipped ones: one goes back behind them."""
        if self.divergence.trouble is None and not self.divergence.skipped_in_a_row:
            self.save_checkpoint()

    def save_checkpoint(self) -> None:
        """Write all that --resume needs."""
        self.state.window = self.window.total()
        self.state.skipped_in_a_row = self.divergence.skipped_in_a_row
        self.state.seconds = self.clock.seconds()
        self.course.record()
        if self.journal is not None:
            self.journal.check_place()
            # A checkpoint must not outlive the lines that it counts.
            self.state.metrics_bytes = self.journal.flushed_bytes()
            save_checkpoint(
                self.out,
                self.model,
                self.updates.optimizer,
                self.state,
                self.updates.auxiliary_tensors(),
                keep=self.config.training.keep,
            )
            self.saved_step = self.state.step
        self.processes.wait()

    # steps that are not finite

    def _judge_rest(self) -> None:
        """Judge the steps that no log line will see, as the run ends; they stay in the window."""
        sums = self.window.total()
        if sums and self.judged_step != self.state.step:
            self._judge_skipped(round(sums["skipped"]), round(sums["steps"]))
        self.divergence.judge_run(self.state.step)

    def _judge_skipped(self, skipped: int, steps: int) -> None:
        """Say how many of the last steps were skipped, and when it is too many."""
        self.judged_step = self.state.step
        if not skipped:
            return
        self.divergence.judge_steps(skipped, steps)
        if self.divergence.trouble is not None:
            return
        self.reporter.warn(
            f"{skipped} of the last {steps} steps were skipped: their loss or gradient was not "
            f"finite ({self.state.skipped + skipped} in all, at step {self.state.step})"
        )

    def went_back(self) -> bool:
        """Where the run cannot go on: whether it stands at its newest good checkpoint again.

        Raises:
            DivergedError: it has gone back too often.
        """
        trouble, state = self.divergence.trouble, self.state
        if trouble is None:
            return False
        if state.rollbacks == MOST_ROLLBACKS:
            raise self.divergence.error(state, self.peak_learning_rate)
        step, seconds = state.step, self.clock.seconds()
        skipped = state.skipped + round(self.window.total().get("skipped", 0))
        self.load_checkpoint(sound=True)
        self.state.rollbacks, self.state.skipped = state.rollbacks + 1, skipped
        for name in PLAN:
            setattr(self.state, name, getattr(state, name))
        self.divergence = Divergence(self.device)
        self.clock = Clock(self.state.step, seconds)
        rate = learning_rate_factor(self.state.rollbacks)
        if self.journal is not None:
            places = {"step": self.state.step, "from_step": step}
            event = {"event": "rollback", **places, "learning_rate_factor": rate}
            if self.journal.go_back(self.state.metrics_bytes, event):
                for name in BEST:
                    setattr(self.state, name, getattr(state, name))
        self.reporter.warn(
            f"{trouble} at step {step}; going back to step {self.state.step} with {rate:g} of the "
            "learning rate"
        )
        self.save_checkpoint()  # a resumed run keeps the lower learning rate
        return True

    # weights

    def kl_weight(self) -> float:
        """Weight of the KL at this step, for the eye: where a device holds it, the host waits."""
        weight = self.course.kl_weight()
        return 0.0 if weight is None else float(weight)

    def _fresh_model(self, name: str) -> SentenceModel:
        """A model with random weights, by the seed of the run and `name`."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derived_seed(self.config.training.seed, name))
            return build_model(
                self.config.model,
                self.corpora.tokenizer.vocabulary,
                self.config.data.max_tokens,
                encoder_vocabulary=self.corpora.source.tokenizer.vocabulary,
            )

    def _places(self, batch: Batch) -> Tensor:
        """Place of each local sentence in the global batch, made where it is needed."""
        if self.processes.count == 1:
            return batch.places
        rank, count = self.processes.rank, self.processes.count
        return torch.arange(rank, batch.total, count, device=self.device)

    # saying

    def _facts(self) -> dict[str, Any]:
        corpora = self.corpora
        return {
            "model": self.model.kind,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "sentences": len(corpora.train),
            "validation_sentences": len(corpora.valid),
            "tokens": int(corpora.train.lengths.sum(dtype=np.int64)),
            "vocab_size": corpora.tokenizer.vocab_size,
            "padding": self.plan.padding,
            "steps_per_epoch": self.plan.steps_per_epoch,
            "learning_rate": self.peak_learning_rate,
            "horizon": self.state.horizon,
            "step": self.state.step,
            "device": str(self.device),
            "precision": "bf16" if self.accelerator.mixed_precision == "bf16" else "float32",
            "threads": torch.get_num_threads(),
            "processes": self.processes.count,
        }
