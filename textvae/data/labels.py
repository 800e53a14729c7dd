"""The labels of an encoded corpus: their counts, and their places among the classes of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from textvae.data.batches import NO_LABEL, UNKNOWN_CLASS
from textvae.data.corpus import EncodedCorpus


def label_counts(corpus: EncodedCorpus) -> Counter[str]:
    """How many sentences have each label; sentences without a label are left out."""
    counts: Counter[str] = Counter()
    for column in corpus.columns("label"):
        for found in pc.value_counts(column.drop_null()).to_pylist():
            counts[found["values"]] += found["counts"]
    return counts


def label_codes(corpus: EncodedCorpus, classes: Sequence[str]) -> NDArray[np.int64]:
    """The place of each sentence's label in `classes`, (N,).

    NO_LABEL for a sentence without a label, UNKNOWN_CLASS for a label that is not in `classes`.
    """
    known = pa.array(list(classes), type=pa.string())
    parts = [np.empty(0, np.int64)]
    for column in corpus.columns("label"):
        places = pc.index_in(column, value_set=known).fill_null(UNKNOWN_CLASS)
        codes = places.to_numpy(zero_copy_only=False).astype(np.int64)
        parts.append(np.where(column.is_null().to_numpy(zero_copy_only=False), NO_LABEL, codes))
    return np.concatenate(parts)
