"""Vector files as their readers find them, and runs that are interrupted."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet
from safetensors import safe_open

from textvae.data.opening import Row
from textvae.export import formats
from textvae.export.job import Job
from textvae.export.table import Block

FORMATS = tuple(formats.WRITERS)
BLOCK = 7  # rows of a part in these tests


@dataclass(frozen=True)
class Found:
    """What a file holds; None where its format has no place for it."""

    vectors: np.ndarray
    variances: np.ndarray | None = None
    texts: list[str] | None = None
    labels: list[str] | None = None  # "" where there is none


def read_file(path: Path) -> Found:
    """What a reader of each format finds."""
    match path.suffix:
        case ".npy":
            return Found(np.load(path, allow_pickle=False))
        case ".npz":
            with np.load(path, allow_pickle=False) as found:
                labels = found["labels"].tolist() if "labels" in found else None
                return Found(
                    found["vectors"], found.get("variances"), found["texts"].tolist(), labels
                )
        case ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            columns = {letter: columns_of(rows, letter) for letter in "zvb"}
            values = columns["z"] if columns["z"] is not None else columns["b"]
            texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
            return Found(values, columns["v"], texts, labels)
        case ".jsonl":
            return of_records([json.loads(line) for line in path.open(encoding="utf-8")])
        case ".parquet":
            return of_records(parquet.read_table(path).to_pylist())
        case _:
            with safe_open(path, "numpy") as file:
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                classes = [*json.loads(file.metadata()["textvae"]).get("classes", []), ""]
            labels = [classes[place] for place in found["labels"]] if "labels" in found else None
            return Found(found["vectors"], found.get("variances"), labels=labels)


def columns_of(rows: list[dict[str, str]], letter: str) -> np.ndarray | None:
    names = [name for name in rows[0] if name[1:].isdigit() and name[0] == letter]
    found = [[np.float32(row[name]) for name in names] for row in rows]
    return np.array(found, dtype=np.float32) if names else None


def of_records(records: list[dict[str, Any]]) -> Found:
    assert [record["index"] for record in records] == list(range(len(records)))
    values = np.array([record["vector"] for record in records], dtype=np.float32)
    variances = None
    if "variance" in records[0]:
        variances = np.array([record["variance"] for record in records], dtype=np.float32)
    texts = [record["text"] for record in records]
    return Found(values, variances, texts, [record["label"] or "" for record in records])


def stopping_after(
    count: int,
    monkeypatch: pytest.MonkeyPatch,
    stop: type[BaseException] | BaseException = KeyboardInterrupt,
) -> list[int]:
    """Let the work be interrupted when it begins part `count`; the parts that were computed."""
    computed: list[int] = []
    inner = Job.block

    def block(job: Job, start: int, rows: list[Row]) -> tuple[Block, int]:
        if rows and len(computed) == count:
            raise stop
        if rows:
            computed.append(start // BLOCK)
        return inner(job, start, rows)

    monkeypatch.setattr(Job, "block", block)
    return computed
