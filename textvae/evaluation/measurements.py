"""Metrics under their JSON keys, with standard errors, and the values of each sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def mean_and_error(values: Tensor) -> tuple[float, float | None]:
    """(mean, standard error) of N independent values; the error is None for one value."""
    values = values.double()
    n = len(values)
    return values.mean().item(), (values.std().item() / n**0.5 if n > 1 else None)


class Figures:
    """A report under construction: metrics in order of insertion, and values per sentence.

    >>> import torch
    >>> figures = Figures()
    >>> figures.mean("rec", torch.tensor([1.0, 3.0]), column=True)
    >>> figures.report
    {'rec': 2.0, 'rec_se': 1.0}
    >>> figures.sentences
    [{'rec': 1.0}, {'rec': 3.0}]
    """

    def __init__(self) -> None:
        self.report: dict[str, Any] = {}
        self._columns: dict[str, Sequence[Any]] = {}

    def value(self, key: str, value: Any, error: float | None = None) -> None:
        """Set `key`, and `key_se` if an error is given; a value of None is left out."""
        if value is not None:
            self.report[key] = value
        if error is not None:
            self.report[f"{key}_se"] = error

    def mean(self, key: str, values: Tensor, *, column: bool = False) -> None:
        """Set `key` and `key_se` from independent values; with `column`, keep the values too."""
        self.value(key, *mean_and_error(values))
        if column:
            self.column(key, values.tolist())

    def column(self, key: str, values: Sequence[Any]) -> None:
        """Set the values of a metric for all sentences."""
        self._columns[key] = values

    def update(self, others: Figures) -> None:
        """Add the metrics and columns of `others`."""
        self.report.update(others.report)
        self._columns.update(others._columns)

    @property
    def sentences(self) -> list[dict[str, Any]]:
        """One dict per sentence, with the columns in order of insertion."""
        rows = zip(*self._columns.values(), strict=True)
        return [dict(zip(self._columns, row, strict=True)) for row in rows]
