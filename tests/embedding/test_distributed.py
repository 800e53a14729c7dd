"""SentenceEmbedder inside Ray Data and Spark has the vectors of one process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textvae import TextVAE
from textvae.embedding import SentenceEmbedder


class Embed:
    """A worker of Ray Data, as docs/processes-and-gpus.md has it."""

    def __init__(self, model: str) -> None:
        self.embedder = SentenceEmbedder(TextVAE.from_pretrained(model))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"text": batch["text"], "vector": self.embedder.transform(batch["text"])}


def test_ray_data(tiny_vae: Path, corpus: Path, sentences: list[str]) -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        rows = ray.data.read_text(str(corpus)).map_batches(
            Embed, fn_constructor_args=[str(tiny_vae)], batch_size=40, concurrency=1
        )
        found = {row["text"]: row["vector"] for row in rows.take_all()}
    finally:
        ray.shutdown()
    expected = TextVAE.from_pretrained(tiny_vae).encode(sentences)
    np.testing.assert_allclose(np.stack([found[text] for text in sentences]), expected, atol=1e-5)


def test_spark(tiny_vae: Path, sentences: list[str]) -> None:
    sql = pytest.importorskip("pyspark.sql")
    import pandas as pd
    from pyspark.sql.functions import pandas_udf

    model = str(tiny_vae)

    @pandas_udf("array<float>")
    def embed(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        embedder = SentenceEmbedder(TextVAE.from_pretrained(model))
        for texts in batches:
            yield pd.Series(list(embedder.transform(texts)))

    spark = sql.SparkSession.builder.master("local[1]").getOrCreate()
    try:
        table = spark.createDataFrame([(text,) for text in sentences], ["text"])
        rows = table.withColumn("vector", embed("text")).collect()
    finally:
        spark.stop()
    expected = TextVAE.from_pretrained(tiny_vae).encode(sentences)
    found = {row["text"]: row["vector"] for row in rows}
    np.testing.assert_allclose([found[text] for text in sentences], expected, atol=1e-5)
