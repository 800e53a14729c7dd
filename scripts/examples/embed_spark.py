"""Sentence vectors on a Spark cluster, or on all cores of one machine.

    pip install "textvae[spark]"     # needs Java
    python scripts/examples/embed_spark.py runs/mine sentences/*.jsonl --out vectors

Each Python worker loads the model once and then takes batch after batch. The folder gets Parquet
files with the columns of the input and `vector`. The rows of a file keep their order. On a cluster,
start the script with `spark-submit`. MODEL, the input and the folder must be places that every
machine can read: a shared folder, `s3a://`, or a hub id.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from functools import cache

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, pandas_udf

from textvae.embedding import SentenceEmbedder

BATCH = 4096  # sentences that a worker gets at once


@cache
def embedder_of(model: str) -> SentenceEmbedder:
    """The embedder of a model, loaded once in each process."""
    return SentenceEmbedder(model).fit([])


def vectors(model: str, batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
    """The vectors of each batch of sentences, D of float32."""
    embedder = embedder_of(model)
    for sentences in batches:
        yield pd.Series(list(embedder.transform(sentences)))


def main(arguments: list[str]) -> None:
    """Write the vectors of all sentences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a model folder, or the id of a hub repository")
    parser.add_argument("files", nargs="+", help=".txt, .jsonl or .parquet, all of one kind")
    parser.add_argument("--out", required=True, help="a folder for Parquet files")
    parser.add_argument("--column", default="text", help="of the sentences")
    chosen = parser.parse_args(arguments)
    model = os.path.abspath(chosen.model) if os.path.isdir(chosen.model) else chosen.model
    embedder_of(model)  # before a cluster starts: is there such a model?

    os.environ.setdefault(
        "PYSPARK_PYTHON", sys.executable
    )  # of the workers; the default is python3
    spark = SparkSession.builder.appName("textvae").getOrCreate()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH)
    spark.sparkContext.addPyFile(__file__)  # the workers import this module, see below

    @pandas_udf("array<float>")
    def vector(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        from embed_spark import vectors

        return vectors(model, batches)

    found = rows(spark, chosen.files).withColumn("vector", vector(col(chosen.column)))
    found.write.parquet(chosen.out)
    spark.stop()


def rows(spark: SparkSession, files: list[str]) -> DataFrame:
    """The rows of files of one kind; a line of a `.txt` file is a row with the column `text`."""
    if files[0].endswith(".txt"):
        return spark.read.text(files).withColumnRenamed("value", "text")
    return (spark.read.parquet if files[0].endswith(".parquet") else spark.read.json)(files)


if __name__ == "__main__":
    main(sys.argv[1:])
