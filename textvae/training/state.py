"""The state of a run: what a checkpoint keeps beside the weights, and what --resume reads.

All changes of a `TrainingState` are methods here, named after what happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from textvae.errors import ModelFormatError, shown, worded
from textvae.files.untrusted import parse_json, read_text, shown_name
from textvae.training.limits import Place

FORMAT = 2  # of state.json

Count = Annotated[int, Field(ge=0, le=2**53)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]


@dataclass
class TrainingState:
    """How far a run is, and what it has learnt about itself.

    Attributes:
        step: steps done; epoch and place in the epoch follow from it.
        seconds: time since the first start, over all resumptions, as every process saw it last.
        evaluated_step, evaluated_seconds: the last evaluation; step -1 before the first.
        closing_seconds: time to keep for the last evaluation and for saving, as measured.
        best: lowest validation bound so far, in nats a sentence; with target_kl, the bound there.
        best_step, best_kl: step of the best model, and its KL in nats, if it has one.
        scored_for: the target_kl that `best` is a score for; None: without one.
        since_best: evaluations since the best one.
        window: sums since the last log line: rec, kl, loss, sentences, ...
        metrics_bytes: length of metrics.jsonl.
        corpus: fingerprints of the text; a resumed run warns if they differ.
        tokenizer: fingerprint of the tokenizer; a resumed run stops if it differs.
        pretrained_step, pretrained_seconds: the end of pretraining; step None before, or without.
        target_kl: state of the controller of the KL, if there is one.
        aggressive: state of the aggressive training of the encoder, if there is one.
        skipped: steps of the whole run whose loss or gradient was not finite; those since the
            last log line are counted in `window`.
        skipped_in_a_row: how many of the last steps were skipped without one between them that
            was not.
        rollbacks: how often the run went back to a checkpoint; each halves the learning rate.
        steps_undone: how many steps the rollbacks undid.
        learning_rate: the peak learning rate before any halving; None before the first step.
        threads: CPU threads, on which the rounding of sums depends; None: on a GPU, or not known.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    format: int = FORMAT
    step: Count = 0
    seconds: Seconds = 0.0
    evaluated_step: Annotated[int, Field(ge=-1)] = -1
    evaluated_seconds: Seconds = 0.0
    closing_seconds: Seconds = 0.0
    best: Real | None = None
    best_step: Count = 0
    best_kl: Real | None = None
    scored_for: Real | None = None
    since_best: Count = 0
    window: dict[Name, Real] = field(default_factory=dict)
    metrics_bytes: Count = 0
    corpus: str = ""
    tokenizer: str = ""
    pretrained_step: Count | None = None
    pretrained_seconds: Seconds = 0.0
    target_kl: list[float] = field(default_factory=list)
    aggressive: dict[str, Any] = field(default_factory=dict)
    skipped: Count = 0
    skipped_in_a_row: Count = 0
    rollbacks: Count = 0
    steps_undone: Count = 0
    learning_rate: Real | None = None
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None

    @property
    def place(self) -> Place:
        """Where the run is."""
        return Place(self.step, self.seconds)

    @property
    def last_evaluation(self) -> Place | None:
        """Where the last evaluation was."""
        evaluated = Place(self.evaluated_step, self.evaluated_seconds)
        return evaluated if evaluated.step >= 0 else None

    @property
    def main_phase(self) -> Place:
        """Where the phase after pretraining began; without pretraining, the start."""
        return Place(self.pretrained_step or 0, self.pretrained_seconds)

    # what happens to a run, in the order in which it may happen

    def started(
        self, *, corpus: str, learning_rate: float, target_kl: float | None, threads: int | None
    ) -> None:
        """A run starts or is resumed with this text and these settings."""
        if self.learning_rate not in (None, learning_rate):
            self.rollbacks = 0  # the rate that was too high is no longer the one that is halved
        if self.scored_for != target_kl:  # the scores so far are of another scale
            self.best, self.since_best = None, 0
        self.corpus, self.learning_rate, self.scored_for = corpus, learning_rate, target_kl
        self.threads = threads

    def step_done(self, seconds: float) -> None:
        """A step has ended."""
        self.step += 1
        self.seconds = seconds

    def pretraining_ended(self) -> None:
        """The main phase begins; a bound of an autoencoder is no longer the best."""
        self.pretrained_step, self.pretrained_seconds = self.place
        self.best, self.since_best = None, 0

    def logged(self, skipped: int) -> None:
        """A log line was due; `skipped` of its steps were not finite."""
        self.skipped += skipped

    def scored(self, score: float, kl: float | None, *, counts: bool) -> bool:
        """An evaluation gave this score; True if it is the best. `counts` towards patience."""
        best = self.best is None or score < self.best
        if best:
            self.best, self.best_step, self.best_kl = score, self.step, kl
        self.since_best = self.since_best + 1 if counts and not best else 0
        return best

    def evaluated(self, *, seconds: float, closing_seconds: float, since_best: int) -> None:
        """An evaluation has ended; the last one and saving will take `closing_seconds`."""
        self.seconds = seconds
        self.evaluated_step, self.evaluated_seconds = self.place
        self.closing_seconds = max(self.closing_seconds, closing_seconds)
        self.since_best = since_best

    def saved(
        self,
        *,
        seconds: float,
        window: dict[str, float],
        skipped_in_a_row: int,
        target_kl: list[float],
        aggressive: dict[str, Any],
    ) -> None:
        """A checkpoint is about to be written; what other parts of the run know goes into it."""
        self.seconds = seconds
        self.window, self.skipped_in_a_row = window, skipped_in_a_row
        self.target_kl, self.aggressive = target_kl, aggressive

    def metrics_flushed(self, length: int) -> None:
        """All of metrics.jsonl, `length` bytes, is on the disk."""
        self.metrics_bytes = length

    def rolled_back(self, failed: TrainingState, *, seconds: float, skipped: int) -> None:
        """This state of a checkpoint replaces one that failed after `skipped` bad steps.

        The steps are those of the checkpoint; time, text and settings go on.
        """
        if self.scored_for != failed.scored_for:
            self.best, self.since_best = None, 0
        self.rollbacks, self.skipped = failed.rollbacks + 1, failed.skipped + skipped
        self.steps_undone = failed.steps_undone + failed.step - self.step
        self.seconds, self.evaluated_seconds = seconds, failed.evaluated_seconds
        self.closing_seconds = failed.closing_seconds
        self.corpus, self.learning_rate = failed.corpus, failed.learning_rate
        self.scored_for, self.threads = failed.scored_for, failed.threads

    def best_kept(self, failed: TrainingState) -> None:
        """The saved model is still the one that was the best before a rollback."""
        self.best, self.best_step, self.best_kl = failed.best, failed.best_step, failed.best_kl


def read_state(path: Path) -> TrainingState:
    """The state of a checkpoint, with every field of its type and in its range.

    Raises:
        OSError, ValueError: the file cannot be read, or does not hold a state.
        ModelFormatError: the state is of another format.
    """
    text = read_text(path)
    found = parse_json(text)  # which refuses more than pydantic does
    if isinstance(found, dict) and found.get("format") != FORMAT:
        raise ModelFormatError(
            f"{path}: a state of format {shown(found.get('format', 1))}, this program resumes runs "
            f"of format {FORMAT}; resume it with the textvae that began it, or {start_again()}"
        )
    try:
        return TypeAdapter(TrainingState).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, message = ".".join(map(str, first["loc"])), first["msg"]
        raise ValueError(
            f"{path.name}: {shown_name(where)} is {shown(first['input'])}: "
            f"{message[:1].lower()}{message[1:]}"
        ) from None


def start_again() -> str:
    """What to do where a run cannot be resumed."""
    return worded(
        "start over: the first command with --overwrite and without --resume",
        "start over: the first call with overwrite=True and without resume=True",
    )
