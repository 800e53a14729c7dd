"""Sentence vectors on a Ray cluster, or on all cores of one machine.

    pip install "textvae[ray]"
    python scripts/examples/embed_ray.py runs/mine sentences/*.jsonl --out vectors

Each actor loads the model once and then takes batch after batch. The folder gets Parquet files with
the columns of the input and `vector`, in the order of the input. On a cluster, MODEL, the input and
the folder must be places that every machine can read: a shared folder, `s3://`, or a hub id.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import pyarrow
import ray

from textvae.embedding import SentenceEmbedder

if TYPE_CHECKING:
    from ray.data import Dataset

BATCH = 4096  # sentences that an actor gets at once


class Vectors:
    """An actor's work. Its model comes by name and is loaded when the actor starts.

    Args:
        embedder: fitted, so that another model in the same place is an error.
        column: the column of the sentences.
    """

    def __init__(self, embedder: SentenceEmbedder, column: str) -> None:
        self.embedder, self.column = embedder, column

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        """The rows with their vectors, D of float32."""
        vectors = self.embedder.transform(batch[self.column].to_pylist())
        flat = pyarrow.array(vectors.ravel())
        lists = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
        return batch.append_column("vector", lists)


def main(arguments: list[str]) -> None:
    """Write the vectors of all sentences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a model folder, or the id of a hub repository")
    parser.add_argument("files", nargs="+", help=".txt, .jsonl or .parquet, all of one kind")
    parser.add_argument("--out", required=True, help="a folder for Parquet files")
    parser.add_argument("--column", default="text", help="of the sentences")
    parser.add_argument("--actors", type=int, default=1, help="with a model each, at most")
    parser.add_argument("--gpus", type=float, default=0, help="of each actor")
    chosen = parser.parse_args(arguments)
    embedder = SentenceEmbedder(chosen.model).fit([])
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    rows(chosen.files).map_batches(
        Vectors,
        fn_constructor_args=(embedder, chosen.column),
        batch_format="pyarrow",
        batch_size=BATCH,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=chosen.actors),
        num_gpus=chosen.gpus,
    ).write_parquet(chosen.out)


def rows(files: list[str]) -> Dataset:
    """The rows of files of one kind; a line of a `.txt` file is a row with the column `text`."""
    if files[0].endswith(".txt"):
        return ray.data.read_text(files, drop_empty_lines=False)
    return (ray.data.read_parquet if files[0].endswith(".parquet") else ray.data.read_json)(files)


if __name__ == "__main__":
    main(sys.argv[1:])
