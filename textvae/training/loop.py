"""The training loop: batches -> loss -> update -> log, evaluate, save, until a limit is reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from textvae.data.batches import Batch
from textvae.errors import InterruptedRun
from textvae.evaluation.monitor import monitor
from textvae.files.names import WEIGHTS_FILE
from textvae.models.device import float32_products
from textvae.randomness.noise import StepNoise
from textvae.training.accelerator import StopSignal
from textvae.training.metrics_log import MetricsLog
from textvae.training.resume_checks import how_to_resume
from textvae.training.run import TrainingRun
from textvae.training.state import TrainingState
from textvae.training.text_size import overfitting


def training_loop(run: TrainingRun, *, resume: bool = False) -> TrainingState:
    """Train a model into the folder of the run, which then holds the best one by validation.

    Raises:
        InterruptedRun: a signal came; the run is saved and can be resumed.
        DivergedError: loss or gradient are no longer finite, and going back did not help.
        NotFoundError: there is no checkpoint to resume from.
    """
    with (
        StopSignal().listening() as stop,
        closed_at_the_end(run),
        float32_products(run.device, tf32=True),
    ):
        run.begin(resume=resume)
        while not run.is_over(stop):
            for batch in run.rest_of_epoch():
                if run.schedule.pretraining_is_over():
                    run.end_pretraining()
                train_step(
                    run,
                    batch,
                    kl_weight=run.schedule.kl_weight(),
                    learning_rate=run.schedule.learning_rate(),
                )
                log_if_due(run)
                evaluate_if_due(run)
                if run.has_diverged():
                    run.recover()
                    break
                if run.is_over(stop):
                    break
        # A signal may have come to the main process alone, or to others a moment later.
        asked = run.processes.from_main(stop.number is not None)
        interrupted = asked and not run.is_complete()
        finish(run, interrupted=interrupted)
        if stop.number is not None and interrupted:
            hint = how_to_resume(run.config, run.out, run.in_memory)
            raise InterruptedRun(
                f"stopped at step {run.state.step}; resume with: {hint}", stop.number
            )
    return run.state


@contextmanager
def closed_at_the_end(run: TrainingRun) -> Iterator[None]:
    """Close the run, however it ends; an OSError gets a note on how to resume the run."""
    try:
        yield
    except OSError as error:
        if run.saved_step is not None and run.is_in_place():
            error.add_note(
                f"step {run.saved_step} is saved; once the cause is fixed, resume with: "
                f"{how_to_resume(run.config, run.out, run.in_memory)}"
            )
        raise
    finally:
        run.close()


def train_step(
    run: TrainingRun, batch: Batch, *, kl_weight: float | Tensor | None, learning_rate: float
) -> None:
    """One optimizer step on a batch, counted in the log, the schedule and the state."""
    noise = StepNoise(
        run.config.training.seed,
        run.state.step,
        places(run, batch),
        batch.total,
        batch.longest,
        run.device,
        run.processes.sum,
    )
    sums = run.optimizer.step(
        batch,
        noise,
        kl_weight=kl_weight,
        learning_rate=learning_rate,
        part=run.schedule.part,
    )
    run.schedule.observe(sums, batch.total, batch.target.lengths.sum())
    kept = sums["skipped"] == 0
    sentences, steps = torch.where(kept, len(batch.target), 0), 1 / run.processes.count
    run.window.add({**sums, "sentences": sentences, "steps": steps})
    run.divergence.observe(kept)
    run.clock.count(batch.total)
    run.state.step_done(run.clock.seconds_at(run.state.step + 1))


def log_if_due(run: TrainingRun) -> None:
    """Log the means since the last log line."""
    state = run.state
    if state.step % run.config.training.log_steps:
        return
    sums = run.window.total()
    run.window.clear()
    speed = run.clock.speed_since_log()
    sentences, steps = sums.pop("sentences"), round(sums.pop("steps"))
    skipped = round(sums.pop("skipped"))
    run.judge_skipped(skipped, steps)
    state.logged(skipped)
    if run.crowd is not None and (advice := run.crowd.look()) is not None:
        run.reporter.message(advice)
    if skipped == steps or run.log is None:
        return
    seconds_left = run.limits.seconds_left(state.place, run.clock.step_seconds(state.step))
    run.log.write(
        {
            "event": "train",
            **run.step_and_epoch(),
            "loss": sums.pop("loss") / sentences,
            "gradient_norm": sums.pop("gradient_norm") / (steps - skipped),
            **{key: value / sentences for key, value in sums.items()},
            "kl_weight": run.kl_weight(),
            "learning_rate": run.schedule.learning_rate(),
            **({"skipped": skipped} if skipped else {}),
            "timing": {
                "sentences_per_second": speed,
                "seconds": run.clock.seconds(),
                "seconds_left": seconds_left,
            },
        }
    )


def evaluate_if_due(run: TrainingRun) -> None:
    """Evaluate and save a checkpoint where they are due, and evaluate at the last step."""
    state, every = run.state, run.config.training.checkpoint_steps
    last = run.is_complete()
    if last:
        run.judge_rest()
    if run.has_diverged():
        return
    due = run.limits.evaluation_is_due(state.place, state.last_evaluation, state.closing_seconds)
    if due or last:
        evaluate(run)
    if not last and (due if every is None else state.step % every == 0):
        run.save_good_checkpoint()  # the one of the last step is still to come


def evaluate(run: TrainingRun) -> None:
    """Evaluate the validation slice, and save the model if it is the best so far."""
    before = run.clock.seconds()
    figures: dict[str, float] = {}
    if run.processes.is_main:
        figures = monitor(run.model, run.valid, run.config.training.seed, run.valid_labels)
    figures = run.processes.from_main(figures)
    score = run.schedule.score(figures)
    run.divergence.judge_figures({"bound": score, **figures})
    if run.has_diverged():
        return
    if run.log is not None:
        keep_and_log(run, run.log, score, figures)
    news = run.schedule.judge(figures)
    if news is not None:
        run.reporter.message(f"{news} at step {run.state.step}")
    closing = run.closing_seconds(run.clock.seconds() - before)
    closing, since_best = run.processes.from_main((closing, run.state.since_best))
    seconds = run.clock.agreed_seconds()
    run.state.evaluated(seconds=seconds, closing_seconds=closing, since_best=since_best)
    run.clock.leave_out(run.clock.seconds() - before)


def keep_and_log(
    run: TrainingRun, log: MetricsLog, score: float, figures: dict[str, float]
) -> None:
    """Save the model if its score is the best so far, log its figures, and warn of collapse."""
    counts = not run.schedule.pretraining
    best = run.state.scored(score, figures.get("kl"), counts=counts)
    if best:
        run.save_best()
    log.write(
        {
            "event": "valid",
            **run.step_and_epoch(),
            **figures,
            "kl_weight": run.kl_weight(),
            "best": best,
            "timing": {"seconds": run.clock.seconds()},
        }
    )
    warning = run.collapse.judge(figures, run.kl_weight(), run.schedule.full_weight)
    if warning is not None:
        run.reporter.warn(warning)


def finish(run: TrainingRun, *, interrupted: bool) -> None:
    """A last evaluation and checkpoint; for an interrupted run, the checkpoint alone.

    An evaluation that the run without interruption does not have could change which weights are
    the best, and when patience ends.
    """
    main = run.processes.is_main
    if not interrupted:
        run.judge_rest()
        if not run.has_diverged() and run.state.evaluated_step != run.state.step:
            evaluate(run)
        if run.has_diverged():
            raise run.divergence.error(run.state, run.schedule.peak)
    elif main and not (run.out / WEIGHTS_FILE).is_file():
        run.save_best()  # so that there is a model at all
    run.save_checkpoint()
    if not main:
        return
    if not interrupted:
        verdicts = (
            run.schedule.missed_target(),
            run.collapse.verdict(),
            overfitting(run.state, run.config.model),
        )
        for warning in verdicts:
            if warning is not None:
                run.reporter.warn(warning)
    if run.refits_prior():
        run.fit_prior_of_best()


def places(run: TrainingRun, batch: Batch) -> Tensor:
    """Place of each local sentence in the global batch, made where it is needed."""
    if run.processes.count == 1:
        return batch.places
    rank, count = run.processes.rank, run.processes.count
    return torch.arange(rank, batch.total, count, device=run.device)
