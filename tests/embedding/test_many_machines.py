"""The examples for Ray and Spark write the vectors of `TextVAE.encode`, in order."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from textvae import TextVAE

ROOT = Path(__file__).parents[2]
NEEDS = {"ray": [], "pyspark": ["java"]}  # packages, and the programs that each needs
SCRIPTS = {"ray": "embed_ray.py", "pyspark": "embed_spark.py"}


@pytest.mark.slow
@pytest.mark.parametrize("package", NEEDS)
@pytest.mark.parametrize("ending", [".txt", ".jsonl"])
def test_vectors_are_those_of_encode(
    package: str, ending: str, tiny_vae: Path, sentences: list[str], tmp_path: Path
) -> None:
    if importlib.util.find_spec(package) is None or not all(map(shutil.which, NEEDS[package])):
        pytest.skip(f"needs {' and '.join([package, *NEEDS[package]])}")
    texts = [*sentences, "", *sentences[::-1]]  # a blank line is the empty sentence
    file, out = tmp_path / f"texts{ending}", tmp_path / "vectors"
    lines = texts if ending == ".txt" else [json.dumps({"text": text}) for text in texts]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    script = ROOT / "scripts" / "examples" / SCRIPTS[package]
    command = [sys.executable, str(script), str(tiny_vae), str(file), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tables = [pyarrow.parquet.read_table(part) for part in sorted(out.glob("*.parquet"))]
    found = pyarrow.concat_tables(tables)
    assert found["text"].to_pylist() == texts
    expected = TextVAE.from_pretrained(tiny_vae, device="cpu").encode(texts)
    np.testing.assert_allclose(np.array(found["vector"].to_pylist()), expected, atol=1e-5)
