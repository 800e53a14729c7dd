"""Files that say which cluster each sentence belongs to."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from textvae.errors import UsageError, option
from textvae.files.atomic import replacing
from textvae.files.destination import check_folder
from textvae.files.home import home_path

if TYPE_CHECKING:
    from textvae.api.clustering import Clustering

ASSIGNMENT_FORMATS = (".csv", ".jsonl")
COLUMNS = ("index", "text", "label", "cluster", "distance")


def check_assignments(path: Path, *inputs: str) -> None:
    """Raise before the work if the file cannot be written.

    Raises:
        UsageError: the ending of the name is not that of a known format, or the file is one of the
            `inputs`.
        NotFoundError: the folder does not exist.
    """
    if path.suffix.lower() not in ASSIGNMENT_FORMATS:
        raise UsageError(
            f"{option('out', path)}: the name must end in {' or '.join(ASSIGNMENT_FORMATS)}"
        )
    check_folder(path, *inputs)


def write_assignments(path: str | Path, clustering: Clustering) -> None:
    """Write a row for each sentence: its cluster and its distance to the centre.

    >>> found = vae.cluster("sentences.txt", k=8)  # doctest: +SKIP
    >>> write_assignments("clusters.csv", found)  # doctest: +SKIP

    Args:
        path: its name ends in .csv or .jsonl.
    """
    path = home_path(path)
    check_assignments(path)
    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        if path.suffix.lower() == ".csv":
            writer = csv.writer(text)
            writer.writerow(COLUMNS)
            writer.writerows(vars(row).values() for row in clustering.assignments())
        else:
            for row in clustering.assignments():
                text.write(json.dumps(vars(row), ensure_ascii=False) + "\n")
        text.detach()
