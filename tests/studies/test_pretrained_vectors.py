"""The study of vectors: its figures are those of scikit-learn, its vectors are computed once."""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from textvae import TextVAE

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "studies"))

import pretrained_vectors


def collection(path: Path, sentences: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    lines = ["label\ttext", *(f"{int('soup' in text)}\t{text}" for text in sentences)]
    with lzma.open(path, "wt", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")


def test_the_table_has_the_accuracies_of_scikit_learn(
    tiny_vae: Path, sentences: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = sentences[::2], sentences[1::2]
    for name in ("trec6", "yelp_short"):
        collection(tmp_path / name / "train.tsv.xz", train)
        collection(tmp_path / name / "test.tsv.xz", test)
    collection(tmp_path / "cr" / "all.tsv.xz", sentences)
    file, out = tmp_path / "table.json", tmp_path / "out"
    options = ["--corpora", tmp_path, "--out", out, "--models", tiny_vae, "--dimensions", 2]
    options += ["--collections", "cr", "trec6", "yelp_short", "--labels", 20, "--seeds", 2]
    arguments = [*map(str, options), "--table", str(file)]
    pretrained_vectors.main(arguments)
    found = json.loads(file.read_text(encoding="utf-8"))["accuracy"]
    rows = ["TF-IDF", "vae, latent", "vae, latent, first 2", "vae, encoder"]
    assert list(found) == rows
    assert all(list(row) == ["cr", "trec6", "yelp_short 20"] for row in found.values())
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    labels = ["soup" in text for text in train], ["soup" in text for text in test]
    for name, layer, width in (("latent", "latent", 4), ("latent, first 2", "latent", 2)):
        a, b = (vae.encode(texts, layer=layer)[:, :width].astype(float) for texts in (train, test))
        scaler = StandardScaler().fit(a)
        classifier = LogisticRegression(C=0.1, max_iter=1000).fit(scaler.transform(a), labels[0])
        expected = classifier.score(scaler.transform(b), labels[1])
        assert found[f"vae, {name}"]["trec6"] == pytest.approx(expected)
    kept = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert len(kept) == 4  # two layers of two sets of texts: TREC and Yelp have the same here
    pretrained_vectors.main(arguments)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == kept
    printed = capsys.readouterr().out
    assert f"| TF-IDF | {100 * found['TF-IDF']['cr']:.1f} |" in printed
    assert np.isfinite([value for row in found.values() for value in row.values()]).all()
