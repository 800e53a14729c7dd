"""Which columns of a table hold the text, the label and the log probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textvae.errors import DataError, NotFoundError, option, shown
from textvae.progress import Remarks

TEXT, LABEL, LOG_PROB = "text", "label", "log_prob"
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "TABs", "|": "vertical bars"}
_LISTED, _LONG_NAME = 9, 50  # columns listed in a message; characters of a name shown unquoted


@dataclass(frozen=True)
class Columns:
    """The names of the columns to read."""

    text: str
    label: str | None
    log_prob: str | None


@dataclass(frozen=True)
class Choice:
    """The columns that the user asked for; None: the default names.

    A name counts as written, or else without regard to case and outer white space.

    Args:
        needs_label: a table without the column that `label` names is an error.
    """

    text: str | None = None
    label: str | None = None
    needs_label: bool = True

    def among(
        self,
        names: Sequence[str],
        textual: Sequence[str],
        where: str,
        *,
        plain: Sequence[str] | None = None,
        hint: str = "",
    ) -> Columns:
        """The columns to read of a file with columns `names`.

        Args:
            names: all columns.
            textual: the columns that may hold the text.
            where: file (and line) for messages.
            plain: the columns of strings and numbers, which may hold a label; None: all.
            hint: what else to try if the text column is unclear.

        Raises:
            NotFoundError: a column does not exist, or the text column is unclear; the message
                lists the columns.
            DataError: a column that is read occurs twice.
        """
        listing = _listing(names)
        for wanted in (self.text, self.label if self.needs_label else None):
            if wanted is not None and found(wanted, names, names) is None:
                raise NotFoundError(f"{where}: no column {shown(wanted)}; {listing}")
        text = found(self.text or TEXT, names, names if self.text else textual)
        label = found(self.label or LABEL, names, names if self.label or plain is None else plain)
        if self.label is None and label == text:
            label = None
        log_prob = found(LOG_PROB, names, [name for name in names if name.strip() == LOG_PROB])
        if text is None:
            candidates = [name for name in textual if name not in (label, log_prob)]
            if len(candidates) > 1:
                candidates = [name for name in candidates if name.strip()]
            if len(candidates) != 1:
                raise NotFoundError(
                    f"{where}: no column 'text'; {listing}; choose one with "
                    f"{option('text_column')}{hint}"
                )
            text = candidates[0]
            _check_is_one(text, where)
        columns = Columns(text, label, None if log_prob in (text, label) else log_prob)
        for name in (columns.text, columns.label, columns.log_prob):
            if name is not None and names.count(name) > 1:
                raise DataError(f"{where}: duplicate column {shown(name)}; {listing}")
        return columns

    def has_text(self, names: Sequence[str]) -> bool:
        """True if the text column is among `names`."""
        return found(self.text or TEXT, names, names) is not None

    def tell(self, columns: Columns, remarks: Remarks, name: str, *more: str) -> None:
        """Name the columns that nobody asked for in so many letters, and `more` of the table."""
        remarks.columns[name] = columns.text, columns.label
        said = list(more)
        if columns.text != (self.text or TEXT):
            said.append(f"the text is in column {shown(columns.text)}")
        if columns.label not in (None, self.label or LABEL):
            said.append(f"the labels are in column {shown(columns.label)}")
        if columns.log_prob not in (None, LOG_PROB):
            said.append(f"the log probabilities are in column {shown(columns.log_prob)}")
        if said:
            remarks.note(name, "; ".join(said))


def _check_is_one(name: str, where: str) -> None:
    """Raise DataError if a name that nobody asked for looks like those of several columns."""
    for separator in SEPARATORS:
        parts = [part.strip(' "').casefold() for part in name.split(separator)]
        if len(parts) > 1 and (TEXT in parts or LABEL in parts):
            raise DataError(
                f"{where}: the column {shown(name)} looks like several, separated by "
                f"{SEPARATORS[separator]}; read the table with this separator, or choose the "
                f"column with {option('text_column')}"
            )


def found(wanted: str, names: Sequence[str], similar: Sequence[str]) -> str | None:
    """`wanted` if it is among `names`; else the one of `similar` that differs only in case or outer
    white space; None if there is none, or several."""
    if wanted in names:
        return wanted
    alike = [name for name in similar if name.strip().casefold() == wanted.strip().casefold()]
    return alike[0] if len(alike) == 1 else None


def value_of(record: Mapping[str, Any], name: str | None) -> Any:
    """The value of an optional column of a record; None if `name` is None or missing."""
    return None if name is None else record.get(name)


def _listing(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    first = [name if len(name) < _LONG_NAME else shown(name) for name in names[:_LISTED]]
    return f"its columns are {', '.join(first) or 'none'}{more}"
