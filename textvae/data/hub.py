"""Data sets by name (`hf:NAME[@REVISION][:CONFIG[:SPLIT]]`), read with `datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textvae.data.columns import Choice, value_of
from textvae.data.rows import Row, checked_row
from textvae.errors import DataError, NotFoundError, UsageError
from textvae.progress import Remarks


def read_hub_rows(spec: str, choice: Choice, remarks: Remarks) -> Iterator[Row]:
    """The rows of a data set on the hub or in a local folder; the default split is `train`.

    Raises:
        NotFoundError: the data set, revision, configuration, split or column does not exist.
        DataError: the package `datasets` is missing, or a row has no text.
    """
    dataset = _load(spec)
    textual = [name for name, feature in dataset.features.items() if _holds_text(feature)]
    plain = [name for name, feature in dataset.features.items() if hasattr(feature, "dtype")]
    columns = choice.among(dataset.column_names, textual, spec, plain=plain)
    choice.tell(columns, remarks, spec)
    wanted = [n for n in (columns.text, columns.label, columns.log_prob) if n is not None]
    names = getattr(dataset.features.get(columns.label), "names", None)  # of a ClassLabel
    number = 0
    for batch in dataset.select_columns(wanted).iter(batch_size=4096):
        for values in zip(*(batch[name] for name in wanted), strict=True):
            number += 1
            record = dict(zip(wanted, values, strict=True))
            label = value_of(record, columns.label)
            if names and isinstance(label, int) and label < len(names):
                label = names[label] if label >= 0 else None  # -1: as test sets say "missing"
            where = f"{spec}: row {number}"
            log_prob = value_of(record, columns.log_prob)
            yield checked_row(where, record[columns.text], label, log_prob)


def parse_spec(spec: str) -> tuple[str, str | None, str | None, str]:
    """(name, revision, configuration, split) of `hf:NAME[@REVISION][:CONFIG[:SPLIT]]`.

    Raises:
        UsageError: `spec` has another form.

    >>> parse_spec("hf:ag_news@main::test")
    ('ag_news', 'main', None, 'test')
    """
    name, *rest = spec.removeprefix("hf:").split(":")
    if len(rest) > 2 or not name:
        raise UsageError(f"{spec}: expected hf:NAME[@REVISION][:CONFIG[:SPLIT]]")
    configuration, split = [*rest, "", ""][:2]
    name, _, revision = name.partition("@")
    return name, revision or None, configuration or None, split or "train"


def _load(spec: str) -> Any:
    name, revision, configuration, split = parse_spec(spec)
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"{spec}: needs the package datasets; install it with `pip install datasets`"
        ) from None
    try:
        return datasets.load_dataset(name, configuration, split=split, revision=revision)
    except Exception as error:  # any type: from datasets, the network or the file system
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise NotFoundError(f"{spec}: the data set cannot be loaded: {reason}") from error


def _holds_text(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in ("string", "large_string")
