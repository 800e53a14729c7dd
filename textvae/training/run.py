"""One training run: its model, optimizer, schedule and state, its checkpoints and recovery."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from textvae.config import Config
from textvae.data.batches import NO_LABEL, Batch, BatchPlan
from textvae.data.corpus import DeviceCorpus, EncodedCorpus, fits_on_device
from textvae.data.prepare import Corpora
from textvae.files.names import EXPERIMENT_FILE, WEIGHTS_FILE
from textvae.models.build import build_model, find_references, load_backbones
from textvae.models.pretrained.reference import Reference
from textvae.models.principal import principal_code
from textvae.models.prior import CodeGaussian
from textvae.models.sentence import SentenceModel
from textvae.randomness import purposes
from textvae.randomness.seeds import derived_seed
from textvae.saving.folder import save_model, write_atomically
from textvae.schedules import PeakRate
from textvae.training.accelerator import StopSignal
from textvae.training.checkpoints import copy_weights, load_checkpoint, save_checkpoint
from textvae.training.cuda_graphs import rounded
from textvae.training.labels import read_labels
from textvae.training.limits import Clock, Limits
from textvae.training.metrics_log import MetricsLog
from textvae.training.optimizer import ModelOptimizer, default_peak
from textvae.training.processes import Processes, RunningSums
from textvae.training.recovery import MOST_ROLLBACKS, Divergence, learning_rate_factor
from textvae.training.reporting import Reporter
from textvae.training.resume_checks import check_text
from textvae.training.schedule import Schedule
from textvae.training.state import TrainingState
from textvae.training.stored_vectors import with_stored_vectors, without_vectors_yet
from textvae.training.threads import CrowdedRun, take_cores_as_before, watch_for_crowds
from textvae.training.validation import (
    CollapseWatch,
    monitored_chunks,
    monitored_rows,
    prior_fit_seconds,
    training_codes,
    training_vectors,
)


class TrainingRun:
    """One run: the model, its optimizer, schedule, state, log and checkpoints."""

    def __init__(
        self,
        config: Config,
        corpora: Corpora,
        out: Path,
        accelerator: Accelerator,
        reporter: Reporter,
        *,
        in_memory: Collection[str] = (),
        references: Mapping[str, Reference] | None = None,
        is_rehearsal: bool = False,
        own_classes: Sequence[str] | None = None,
    ) -> None:
        self.config, self.corpora, self.out = config, corpora, out
        self.in_memory = in_memory  # fields of `config.data` that sentences in memory replace
        self.accelerator, self.reporter = accelerator, reporter
        self.device: torch.device = accelerator.device
        self.processes = Processes(accelerator)
        training = config.training
        self.labels = read_labels(config, corpora, reporter, own_classes)
        self.references = find_references(config.model) if references is None else references
        self.model = self._fresh_model(purposes.WEIGHTS).to(self.device)
        if training.gradient_checkpointing:
            for _, part in self.model.parts():
                part.recompute_layers()
        if is_rehearsal:
            self.corpora = corpora = without_vectors_yet(corpora, self.model, config)
        else:
            with self.processes.main_first():  # the others find the vectors in the cache
                corpora = with_stored_vectors(corpora, self.model, config, reporter)
            self.corpora = corpora
        rate = training.learning_rate
        self.peak = default_peak(config.model) if rate is None else PeakRate(rate)
        self.peak_learning_rate = self.peak.rate
        self.optimizer = ModelOptimizer(
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
        self.source = resident(corpora.source.train, self.device)
        self.target = None  # the same sentences for a decoder with its own tokenizer
        if corpora.source.train is not corpora.train:
            self.target = resident(corpora.train, self.device)
        self.train_labels = self.valid_labels = None
        rows = monitored_rows(corpora)
        self.valid = monitored_chunks(corpora, rows, self.device)
        if self.labels is not None:
            known = self.labels.train.clamp(min=NO_LABEL)  # a label of no class trains nothing
            self.train_labels = known.to(self.device)
            self.valid_labels = self.labels.valid[rows]
        self.limits = Limits.of(training, self.plan.steps_per_epoch)
        self.state = TrainingState(tokenizer=corpora.tokenizer_fingerprint)
        self.clock = self._clock()
        self.schedule = Schedule(
            config, self.limits, self.peak, self.state, self.processes, self.device
        )
        self.window = RunningSums(self.device, self.processes)  # since the last log line
        self.divergence = Divergence(self.device)
        self.collapse = CollapseWatch(config)
        self.crowd: CrowdedRun | None = None
        self.log: MetricsLog | None = None  # of the main process
        self.saved_step: int | None = None  # of the newest checkpoint that this process wrote
        self.checkpoint_seconds = 0.0  # that the last one took
        self.prior_seconds: float | None = None  # that fitting the prior will take

    # the course of the run

    def begin(self, *, resume: bool) -> None:
        """Start from scratch, or continue from the newest checkpoint."""
        if resume:
            tokenizer = self.state.tokenizer
            self.load_checkpoint()
            take_cores_as_before(
                self.config.training, self.device, self.state.threads, self.reporter.message
            )
            self.reporter.message(f"resuming at step {self.state.step}")
            check_text(
                self.out, self.state, self.corpora.fingerprint, tokenizer, self.reporter.warn
            )
        self.state.started(
            corpus=self.corpora.fingerprint,
            learning_rate=self.peak_learning_rate,
            target_kl=self.config.objective.target_kl,
            threads=torch.get_num_threads() if self.device.type == "cpu" else None,
        )
        if self.processes.is_main:
            # This file first: it marks the folder as ours, should the program end meanwhile.
            write_atomically(self.out / EXPERIMENT_FILE, self.config.to_toml())
            self.log = MetricsLog(self.out, self.config, self.reporter, self.state.metrics_bytes)
        self.clock = self._clock()
        if not resume:
            self._start_from_vectors()
            self.save_checkpoint()  # so that there is one to go back to
        self.crowd = watch_for_crowds(self.config.training, self.device)
        self.reporter.start(self._facts())
        if resume and self.is_complete():
            hint = self.limits.how_to_continue(self.state.since_best)
            self.reporter.message(f"this run is complete at step {self.state.step}; {hint}")

    def _start_from_vectors(self) -> None:
        """Let what needs the encoder's vectors of the training sentences start from them."""
        semantic, nats = self.optimizer.semantic, self.config.objective.principal_start
        if semantic is None and not nats:
            return
        vectors = training_vectors(self.model, self.corpora.source.train)
        if semantic is not None:
            semantic.standardise(vectors)
        if nats:
            assert self.model.posterior is not None  # the configuration has checked the model
            code = principal_code(vectors, self.model.latent_size, nats)
            self.model.posterior.start_from(code)
            if semantic is not None:
                semantic.start_from(code)

    def rest_of_epoch(self) -> Iterator[Batch]:
        """The batches of the epoch that are still to come."""
        epoch, done = divmod(self.state.step, self.plan.steps_per_epoch)
        for batch in self.plan.batches(
            self.source, epoch, done, target=self.target, labels=self.train_labels
        ):
            local = batch if batch.target.ids.device == self.device else batch.to(self.device)
            yield local if self.device.type != "cuda" else self._rounded(local)

    def _rounded(self, batch: Batch) -> Batch:
        """The batch with rounded lengths, also for eager steps, so that both draw one noise."""
        read = self.corpora.source.tokenizer.pad_id
        return rounded(batch, read, self.corpora.tokenizer.pad_id)

    def end_pretraining(self) -> None:
        """Turn the autoencoder that was trained so far into the beginning of a VAE."""
        self.state.pretraining_ended()
        if self.config.objective.reset_decoder:
            self.optimizer.reset_decoder(self._fresh_model(purposes.DECODER))
        self.reporter.message(f"pretraining as an autoencoder ends at step {self.state.step}")

    def is_over(self, stop: StopSignal) -> bool:
        """True if the run is complete, or a signal has come."""
        asked = self.processes.agree(stop.number is not None, self.state.step)
        return asked or self.is_complete()

    def is_complete(self) -> bool:
        """True if the run has reached one of its limits."""
        state = self.state
        return self.limits.reached(state.place, state.since_best, state.closing_seconds)

    def is_in_place(self) -> bool:
        """True if the folder still exists under its name."""
        return self.log is None or self.log.is_in_place()

    def close(self) -> None:
        """Close the log and the reporter."""
        try:
            if self.log is not None:
                self.log.close()
        finally:
            self.reporter.close()

    # divergence

    def has_diverged(self) -> bool:
        """True if too many steps, or figures of an evaluation, were not finite."""
        return self.divergence.trouble is not None

    def recover(self) -> None:
        """Go back to the newest good checkpoint, and continue with half the learning rate.

        Raises:
            DivergedError: the run has gone back too often.
        """
        trouble, failed = self.divergence.trouble, self.state
        if failed.rollbacks == MOST_ROLLBACKS:
            raise self.divergence.error(failed, self.schedule.peak)
        skipped = round(self.window.total().get("skipped", 0))
        seconds = self.clock.agreed_seconds()
        self.load_checkpoint(sound=True)
        self.state.rolled_back(failed, seconds=seconds, skipped=skipped)
        self.divergence = Divergence(self.device)
        self.clock = self._clock()
        rate = learning_rate_factor(self.state.rollbacks)
        if self.log is not None:
            steps = {"step": self.state.step, "from_step": failed.step}
            event = {"event": "rollback", **steps, "learning_rate_factor": rate}
            if self.log.go_back(self.state.metrics_bytes, event):
                self.state.best_kept(failed)
        self.reporter.warn(
            f"{trouble} at step {failed.step}; going back to step {self.state.step} with {rate:g} "
            "of the learning rate"
        )
        self.save_checkpoint()  # a resumed run keeps the lower learning rate

    def judge_rest(self) -> None:
        """Judge the steps that no log line will see, as the run ends; they stay in the window."""
        sums = self.window.total()
        if sums and self.divergence.judged_step != self.state.step:
            self.judge_skipped(round(sums["skipped"]), round(sums["steps"]))
        self.divergence.judge_run(self.state.step)

    def judge_skipped(self, skipped: int, steps: int) -> None:
        """Warn about skipped steps, unless they are too many to continue."""
        self.divergence.judge_steps(skipped, steps, self.state.step)
        if skipped and not self.has_diverged():
            self.reporter.warn(
                f"{skipped} of the last {steps} steps were skipped: their loss or gradient was not "
                f"finite ({self.state.skipped + skipped} in all, at step {self.state.step})"
            )

    # saving

    def save_best(self) -> None:
        """Write the current model into the folder."""
        if self.log is not None:
            self.log.check_place()
        save_model(
            self.out,
            self.model,
            self.corpora.tokenizer,
            self.config.data,
            encoder_tokenizer=self.corpora.source.tokenizer,
            with_backbones=self.config.training.embed_backbones,
        )

    def fit_prior_of_best(self) -> None:
        """Fit the prior of the saved autoencoder to its codes; too slow for each evaluation."""
        copy_weights(self.out / WEIGHTS_FILE, self.model)
        assert isinstance(self.model.prior, CodeGaussian)
        self.model.prior.fit(training_codes(self.model, self.corpora.source.train))
        self.save_best()

    def refits_prior(self) -> bool:
        """True if the saved model is an autoencoder whose prior no term of the loss fits."""
        fitted = isinstance(self.model.prior, CodeGaussian)
        return fitted and not self.config.objective.matches_prior

    def load_checkpoint(self, *, sound: bool = False) -> None:
        """Continue from the newest complete checkpoint; from a `sound` one, to go back to it."""
        self.state = load_checkpoint(
            self.out,
            self.model,
            self.optimizer.adam,
            self.optimizer.restore_auxiliaries,
            self.reporter.warn,
            sound=sound,
        )
        self.optimizer.forget_graphs()
        self.saved_step = self.state.step
        self.schedule.restore(self.state)
        own = self.state.window if self.processes.is_main else None
        self.window = RunningSums(self.device, self.processes, own)
        self.divergence = Divergence(
            self.device, self.state.skipped_in_a_row, judged_step=self.state.step
        )
        self.processes.wait()  # the main one may replace files that others still read

    def save_good_checkpoint(self) -> None:
        """Write a checkpoint, unless the last step was skipped: one goes back to before it."""
        if not self.has_diverged() and not self.divergence.skipped_in_a_row:
            self.save_checkpoint()

    def save_checkpoint(self) -> None:
        """Write all that --resume needs."""
        before = self.clock.seconds()
        self.state.saved(
            seconds=self.clock.agreed_seconds(),
            window=self.window.total(),
            skipped_in_a_row=self.divergence.skipped_in_a_row,
            **self.schedule.learnt(),
        )
        if self.log is not None:
            self.log.check_place()
            # A checkpoint must not outlive the lines that it counts.
            self.state.metrics_flushed(self.log.flushed_bytes())
            save_checkpoint(
                self.out,
                self.model,
                self.optimizer.adam,
                self.state,
                self.optimizer.auxiliary_tensors(),
                keep=self.config.training.keep,
            )
            self.saved_step = self.state.step
        self.processes.wait()
        self.checkpoint_seconds = self.clock.seconds() - before

    def _fresh_model(self, name: str) -> SentenceModel:
        """A model with random weights, by the seed of the run and `name`, and pretrained ones."""
        config, corpora, own = self.config, self.corpora, self.corpora.of_encoder
        backbones = load_backbones(self.references)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derived_seed(config.training.seed, name))
            return build_model(
                config.model,
                corpora.tokenizer.vocabulary,
                config.data.max_tokens,
                encoder_vocabulary=own and own.tokenizer.vocabulary,
                backbones=backbones,
                classes=() if self.labels is None else self.labels.classes,
            )

    # time, and facts for the log

    def _clock(self) -> Clock:
        decides = self.limits.seconds is not None
        return Clock(self.processes, self.state.place, decides=decides)

    def closing_seconds(self, evaluation_seconds: float) -> float:
        """Time that the end of the run will take, after an evaluation that took so long."""
        if self.prior_seconds is None:
            needed = self.limits.seconds is not None and self.refits_prior()
            self.prior_seconds = (
                prior_fit_seconds(self.model, self.corpora.source.train)
                if needed and self.processes.is_main
                else 0.0
            )
        return evaluation_seconds + self.checkpoint_seconds + self.prior_seconds

    def kl_weight(self) -> float:
        """Weight of the KL for the log; the host waits for the device that holds it."""
        weight = self.schedule.kl_weight()
        return 0.0 if weight is None else float(weight)

    def step_and_epoch(self) -> dict[str, float]:
        """How far the run is, for the log."""
        step = self.state.step
        return {"step": step, "epoch": round(step / self.plan.steps_per_epoch, 4)}

    def _facts(self) -> dict[str, Any]:
        corpora, limits = self.corpora, self.limits
        return {
            "model": self.model.kind,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "trained": sum(parameter.numel() for _, parameter in self.model.trained()),
            "sentences": len(corpora.train),
            "validation_sentences": len(corpora.valid),
            "tokens": int(corpora.train.lengths.sum(dtype=np.int64)),
            "vocab_size": corpora.tokenizer.vocab_size,
            "padding": self.plan.padding,
            "steps_per_epoch": self.plan.steps_per_epoch,
            "learning_rate": self.schedule.peak,
            "horizon": limits.steps if limits.seconds is None else None,
            "step": self.state.step,
            "device": str(self.device),
            "precision": "bf16" if self.accelerator.mixed_precision == "bf16" else "float32",
            "threads": torch.get_num_threads(),
            "processes": self.processes.count,
        }


def resident(corpus: EncodedCorpus, device: torch.device) -> EncodedCorpus | DeviceCorpus:
    """The corpus on the device if that is a GPU with room for it, else as it is on disk."""
    if device.type != "cpu" and fits_on_device(corpus, device):
        return corpus.on_device(device)
    return corpus
