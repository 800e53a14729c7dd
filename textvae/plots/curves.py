"""Training curves from metrics.jsonl: one run, or several compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from textvae.api.loading import check_distinct
from textvae.errors import DataError, NotFoundError, UsageError, shown
from textvae.files.home import home_path
from textvae.files.names import METRICS_FILE
from textvae.number_format import counted
from textvae.plots.files import Picture
from textvae.plots.panels import Panel, Series, panels
from textvae.plots.style import INK, MUTED
from textvae.saving.folder import own_file, read_metrics

Progress: TypeAlias = Literal["step", "epoch", "minutes"]
Points: TypeAlias = list[tuple[float, float]]  # (progress, figure)
_X_LABELS = {"step": "training steps", "epoch": "epochs", "minutes": "time (minutes)"}

# Label of a panel -> the key in the records. What a model does not define gets no panel.
_FIGURES = {
    "reconstruction (nats per sentence)": "rec",
    "KL (nats per sentence)": "kl",
    "bound, rec + KL (nats per sentence)": "nll_elbo",
    "exact NLL (nats per sentence)": "nll_iw",
    "z_gain (nats per sentence)": "z_gain",
    "KL weight (no unit)": "kl_weight",
    "learning rate (no unit)": "learning_rate",
}
_SCHEDULES = ("kl_weight", "learning_rate")
_FROM_ZERO = ("kl", "z_gain", *_SCHEDULES)
_SETTLED = 0.1  # share of a run; the steps before do not decide how high an axis reaches


@dataclass(frozen=True)
class Run:
    """The records of a training: those of steps and those of evaluations."""

    name: str
    train: Sequence[Mapping[str, Any]]
    valid: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, name: str, records: Iterable[Mapping[str, Any]]) -> Run:
        """The run with these records of metrics.jsonl.

        Raises:
            DataError: there are none.
        """
        kinds: dict[Any, list[Mapping[str, Any]]] = {"train": [], "valid": []}
        for record in records:
            if record.get("event") in kinds and _number(record.get("step")) is not None:
                kinds[record["event"]].append(record)
        if not any(kinds.values()):
            raise DataError(f"{name}: {METRICS_FILE} has no figures yet; wait for the first steps")
        if any("nll_iw" in record and "rec" not in record for record in kinds["valid"]):
            # The loss of a language model is its exact likelihood.
            kinds["train"] = [
                {"nll_iw" if key == "rec" else key: value for key, value in record.items()}
                for record in kinds["train"]
            ]
        return cls(name, kinds["train"], kinds["valid"])


def training_curves(
    runs: Sequence[str | Path] | Mapping[str, Iterable[Mapping[str, Any]]],
    *,
    by: Progress = "step",
) -> Picture:
    """The curves of one or several runs: loss terms, bound, z_gain, KL weight and learning rate.

    Thin lines are means over training steps, markers are evaluations of the validation text; a ring
    is the evaluation of the model that was saved. A run that goes on can be drawn, too.

    >>> training_curves(["runs/a", "runs/b"]).save("curves.svg")  # doctest: +SKIP

    Args:
        runs: folders; or the records of each run by its name.
        by: the horizontal axis: steps, epochs or minutes.

    Raises:
        NotFoundError: a folder is not there, or is not that of a run.
        DataError, ModelFormatError: its metrics.jsonl has no records or is damaged.
    """
    if by not in get_args(Progress):
        raise UsageError(f"by {shown(by)} is unknown; try {', '.join(get_args(Progress))}")
    if isinstance(runs, Mapping):
        read = [Run.of(name, records) for name, records in runs.items()]
    else:
        read = [read_run(folder) for folder in _folders(runs)]
    drawn = [
        panel for label, key in _FIGURES.items() if (panel := _panel(label, key, read, by)).series
    ]
    name = read[0].name if len(read) == 1 else counted(len(read), "run")
    return panels(f"Training of {name}", _X_LABELS[by], drawn, keys=_keys(read))


def read_run(folder: str | Path) -> Run:
    """The run in a folder.

    Raises:
        NotFoundError: there is no such folder, or no metrics.jsonl in the folder.
        DataError, ModelFormatError: as in `training_curves`.
    """
    place = home_path(folder)
    if not place.is_dir():
        raise NotFoundError(f"{folder}: no such folder; curves need the folder of a training run")
    if not own_file(place, METRICS_FILE).is_file():
        raise NotFoundError(
            f"{folder} has no {METRICS_FILE}; name the folder that the training wrote"
        )
    return Run.of(str(folder), read_metrics(place))


def _folders(runs: Sequence[str | Path]) -> list[str | Path]:
    given: list[str | Path] = [runs] if isinstance(runs, str | Path) else list(runs)
    if not given:
        raise UsageError("no runs to draw; name one folder at least")
    check_distinct([str(folder) for folder in given])
    return given


def _panel(label: str, key: str, runs: Sequence[Run], by: Progress) -> Panel:
    series: list[Series] = []
    drawn: list[Points] = []
    for run in runs:
        train, valid = _points(run.train, key, by), _points(run.valid, key, by)
        if key in _SCHEDULES:  # a short run may have no records of steps
            train, valid = train or valid, []
        if train:
            look: Literal["plain", "thin"] = "plain" if key in _SCHEDULES else "thin"
            series.append(Series(run.name, *_columns(train), look=look))
        if valid:
            best = [place for place, record in enumerate(run.valid) if record.get("best")]
            ring = best[-1] if best and len(valid) == len(run.valid) else None
            series.append(Series(run.name, *_columns(valid), ring=ring))
        drawn += [points for points in (train, valid) if points]
    highest = None if key in _SCHEDULES else _settled(drawn)
    return Panel(label, series, 0 if key in _FROM_ZERO else None, highest)


def _settled(drawn: Sequence[Points]) -> float | None:
    """The highest figure after the first tenth, in which the loss falls from a height."""
    start = _SETTLED * max((x for points in drawn for x, _ in points), default=0)
    settled = [y for points in drawn for x, y in points if x >= start]
    return max([*settled, *(points[-1][1] for points in drawn)], default=None)


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _keys(runs: Sequence[Run]) -> list[tuple[str, dict[str, Any]]]:
    """Entries of the legend for the kinds of lines."""
    keys: list[tuple[str, dict[str, Any]]] = []
    if any(run.train for run in runs) and any(run.valid for run in runs):
        keys.append(("training, means over steps", {"color": MUTED, "linewidth": 0.8}))
        keys.append(("validation", {"color": MUTED, "marker": "o", "markersize": 4.5}))
    if any(record.get("best") for run in runs for record in run.valid):
        ring = {"markersize": 9, "markerfacecolor": "none", "markeredgecolor": INK}
        keys.append(("the saved model", {"linestyle": "", "marker": "o", **ring}))
    return keys


def _points(records: Iterable[Mapping[str, Any]], key: str, by: Progress) -> Points:
    """(progress, figure) of the records that have both."""
    found = ((_progress(record, by), _figure(record, key)) for record in records)
    return [(x, y) for x, y in found if x is not None and y is not None]


def _figure(record: Mapping[str, Any], key: str) -> float | None:
    """A figure of a record; None if the record or its model has none."""
    if key == "kl_weight" and "kl" not in record:
        return None  # it weighs nothing
    value = _number(record.get(key))
    if value is None and key == "nll_elbo":
        rec, kl = _number(record.get("rec")), _number(record.get("kl"))
        return None if rec is None or kl is None else rec + kl
    return value


def _progress(record: Mapping[str, Any], by: Progress) -> float | None:
    if by != "minutes":
        return _number(record.get(by))
    timing = record.get("timing")
    seconds = _number(timing.get("seconds")) if isinstance(timing, Mapping) else None
    return None if seconds is None else seconds / 60


def _number(value: object) -> float | None:
    """The value if it is a finite number; a file may hold anything."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
