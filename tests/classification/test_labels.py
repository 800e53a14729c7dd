"""Labels: what is one class, whatever the file; and the odd sets of them that people have."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import ONE_LINE_ERROR

from textvae.classification import linear, probes
from textvae.data.opening import open_rows
from textvae.errors import ModelFormatError


@pytest.fixture(autouse=True)
def few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little to choose the regularisation from: many small fits are what takes time here."""
    monkeypatch.setattr(linear, "FOLDS", 2)
    monkeypatch.setattr(linear, "STRENGTHS", (0.1, 10.0))


def labels_of(path: Path, content: bytes) -> list[str | None]:
    path.write_bytes(content)
    return [row.label for row in open_rows([str(path)])]


# one class


def test_white_space_makes_no_class_in_any_format(tmp_path: Path) -> None:
    given = ["pos", " pos", "pos ", "pos\u00a0", " ", "", "ne g"]
    expected = ["pos"] * 4 + [None, None, "ne g"]
    lines = "".join(f"{label}\tx\n" for label in given)
    assert labels_of(tmp_path / "a.tsv", f"label\ttext\n{lines}".encode()) == expected
    lines = "".join(f"{label},x\r\n" for label in given)
    assert labels_of(tmp_path / "a.csv", f"label,text\r\n{lines}".encode()) == expected
    rows = [{"label": label, "text": "x"} for label in given]
    assert labels_of(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)).encode()) == expected
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    assert labels_of(tmp_path / "a.parquet", sink.getvalue()) == expected


def test_numbers_are_the_same_classes_beside_a_gap_and_without_one(tmp_path: Path) -> None:
    """A column of whole numbers becomes one of floats where some are missing."""
    table = pa.table({"label": pa.array([1.0, None, float("nan"), 2.5, -0.0]), "text": ["x"] * 5})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    expected = ["1", None, None, "2.5", "0"]
    assert labels_of(tmp_path / "a.parquet", sink.getvalue()) == expected
    lines = (f'{{"text": "x", "label": {label}}}\n' for label in ("1.0", "null", "NaN", "2.5", "0"))
    assert labels_of(tmp_path / "a.jsonl", "".join(lines).encode()) == expected
    lines = (f'{{"text": "x", "label": {label}}}\n' for label in (1, 2**60, "1e300"))
    assert labels_of(tmp_path / "b.jsonl", "".join(lines).encode()) == ["1", str(2**60), "1e+300"]


def test_labels_that_look_like_one_are_found() -> None:
    accents = ["caf\u00e9", "cafe\u0301"]
    found = probes.alike(["a", "A", "b", "1", "01", "1.0", "x y", "x  y", "z", "z\u200b", *accents])
    assert sorted(found) == sorted(
        [["A", "a"], ["01", "1", "1.0"], ["x  y", "x y"], ["z", "z\u200b"], sorted(accents)]
    )
    assert probes.alike(["1", "10", "pos", "positive", "a_b", "ab"]) == []


# the commands


def write(path: Path, labels: list[str], texts: list[str]) -> Path:
    lines = ["label\ttext", *map("\t".join, zip(labels, texts, strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_labels_that_look_like_one_are_told(textvae, tiny_vae, tmp_path, sentences) -> None:
    names = [("pos", "Pos", "neg")[i % 3] for i in range(30)]
    train = write(tmp_path / "train.tsv", names, sentences[:30])
    test = write(tmp_path / "test.tsv", ["NEG", *names[1:]], sentences[30:60])
    warning = "count as different classes: 'NEG' and 'neg', 'Pos' and 'pos'; make them equal"
    ran = textvae("probe", tiny_vae, train, test, "--labels", "all", "--json")
    assert ran.rows[0]["classes"] == ["NEG", "Pos", "neg", "pos"]
    assert warning in ran.err
    assert "'Pos' and 'pos'; make them" in textvae("cluster", tiny_vae, train, "-k", 2).err
    plain = write(tmp_path / "plain.tsv", [name.lower() for name in names], sentences[:30])
    assert "different classes" not in textvae("cluster", tiny_vae, plain, "-k", 2).err
    many = [f"{'aA'[i % 2]}{i // 2}" for i in range(12)]
    ran = textvae("probe", tiny_vae, write(plain, many * 2, sentences[:24]), "--folds", 2)
    assert "'A2' and 'a2', 3 more such groups; make" in ran.err


def test_a_training_set_of_one_example_a_class(textvae, tiny_vae, tmp_path, sentences) -> None:
    names = [f"class {i}" for i in range(10)]
    train = write(tmp_path / "train.tsv", names, sentences[:10])
    test = write(tmp_path / "test.tsv", names, sentences[:10])
    saved = tmp_path / "c.safetensors"
    ran = textvae("probe", tiny_vae, train, test, "--labels", "1,10,all", "--json", "--save", saved)
    assert ran.code == 0
    one = [found for found in ran.rows[0]["results"] if found["labels"] == 1]
    assert {found["accuracy"] for found in one} == {0.1}  # the one class that is known
    whole = {
        found["vectors"]: found for found in ran.rows[0]["results"] if found["labels"] == "all"
    }
    assert whole["TF-IDF"]["accuracy"] == 1
    text = "\n".join(sentences[:10])
    labels = {
        row["label"] for row in textvae("classify", tiny_vae, saved, "--json", stdin=text).rows
    }
    assert labels <= set(names)


def test_a_class_that_only_its_own_fold_has_is_told(textvae, tiny_vae, tmp_path, sentences) -> None:
    file = write(tmp_path / "a.tsv", ["a", "b"] * 9 + ["c"], sentences[:19])
    ran = textvae("probe", tiny_vae, file, "--folds", 3, "--json")
    assert "1 sentence of " in ran.err
    assert "has a label that occurs in no other fold; it counts as an error" in ran.err
    for found in ran.rows[0]["results"]:
        assert min(run["accuracy"] for run in found["runs"]) < 1
    with_pairs = write(tmp_path / "b.tsv", ["a", "b"] * 9, sentences[:18])
    assert "no other fold" not in textvae("probe", tiny_vae, with_pairs, "--folds", 3).err


def test_classes_of_one_file_alone(textvae, tiny_vae, tmp_path, sentences) -> None:
    """One that the test lacks costs nothing; ones that the training lacks are errors, and told."""
    train = write(tmp_path / "train.tsv", ["a", "b", "c"] * 6, sentences[:18])
    for labels, told in ((["a", "b"], ""), (["a", "x"], "1 test label does not occur in ")):
        test = write(tmp_path / "test.tsv", labels, [sentences[0], sentences[1]])
        ran = textvae("probe", tiny_vae, train, test, "--labels", "all", "--json")
        tfidf = next(found for found in ran.rows[0]["results"] if found["vectors"] == "TF-IDF")
        assert tfidf["accuracy"] == (0.5 if told else 1)
        assert tfidf["macro_f1"] == pytest.approx(0.5 if told else 1)
        assert told in ran.err
        assert ("it counts as an error" in ran.err) == bool(told)
    test = write(tmp_path / "test.tsv", ["x", "y"], sentences[:2])
    ran = textvae("probe", tiny_vae, train, test, "--labels", "all", "--json")
    assert "2 test labels do not occur in" in ran.err
    assert "each counts as an error" in ran.err
    assert {found["accuracy"] for found in ran.rows[0]["results"]} == {0}


def test_measurements_are_no_classes_but_grades_are(textvae, tiny_vae, tmp_path, sentences) -> None:
    scores = [f"{i / 50:.2f}" for i in range(50)] * 3
    ran = textvae("probe", tiny_vae, write(tmp_path / "a.tsv", scores, sentences), "--folds", 2)
    assert ran.code == 4
    assert ONE_LINE_ERROR.match(ran.err)
    said = "column 'label' has 50 distinct fractional numbers in 150 rows; is it a class column?"
    assert said in ran.err
    codes = [f"{250 + i % 25}.1" for i in range(500)]  # as of diseases, with many sentences each
    file = write(tmp_path / "c.tsv", codes, sentences[:50] * 10)
    assert textvae("probe", tiny_vae, file, "--folds", 2).code == 0
    halves = [f"{i % 4 / 2}" for i in range(40)]
    file = write(tmp_path / "b.tsv", halves, sentences[:40])
    ran = textvae("probe", tiny_vae, file, "--folds", 2, "--json")
    assert ran.rows[0]["classes"] == ["0.0", "0.5", "1.0", "1.5"]


@pytest.mark.parametrize("labels", ["", "0", "-1", "1.5", "nan", "10,,20", "٣", "9" * 5000, "All"])
def test_numbers_of_labels_that_are_none_are_refused(
    textvae, tiny_vae, tmp_path, labels: str
) -> None:
    ran = textvae("probe", "no-model", "train.tsv", "test.tsv", f"--labels={labels}")
    assert ran.code == 2
    assert ONE_LINE_ERROR.match(ran.err)
    assert "expected numbers above 0 and `all`" in ran.err


def test_a_file_without_a_sentence_says_so(textvae, tiny_vae, tmp_path, sentences) -> None:
    header = tmp_path / "header.tsv"
    header.write_text("label\ttext\n")
    whole = write(tmp_path / "whole.tsv", ["a", "b"] * 9, sentences[:18])
    for arguments in (
        ("probe", tiny_vae, header, "--folds", 2),
        ("probe", tiny_vae, whole, header),
        ("cluster", tiny_vae, header, "-k", 2),
    ):
        ran = textvae(*arguments)
        assert (ran.code, ran.out) == (4, "")
        assert ONE_LINE_ERROR.match(ran.err)
        assert f"{header}: no sentences in it" in ran.err
    unlabelled = tmp_path / "one.tsv"
    unlabelled.write_text("label\ttext\n\tus !\n")
    ran = textvae("probe", tiny_vae, unlabelled, "--folds", 2)
    assert f"{unlabelled}: no label in 1 line;" in ran.err


def test_one_is_not_many(textvae, tiny_vae, tmp_path, sentences) -> None:
    """No message has the plural of one thing, nor the singular of several."""
    train = write(tmp_path / "train.tsv", ["a", "b", ""], [*sentences[:2], "us !"])
    test = write(tmp_path / "test.tsv", ["c"], [sentences[0]])
    ran = textvae("probe", tiny_vae, train, test, "--labels", "1,9", "--json")
    assert "skipped 1 of 3 lines" in ran.err
    assert "1 test label does not" in ran.err
    assert "1 of 1 test text also occurs" in ran.err
    assert "only 2 sentences to" in ran.err
    assert not re.search(r"\b1 \w+s\b", ran.err.replace("test text also occurs", ""))


def test_vectors_that_are_not_finite_are_an_error(textvae, tiny_vae, tmp_path, sentences) -> None:
    from textvae import TextVAE

    file = write(tmp_path / "a.tsv", ["a", "b"] * 9, sentences[:18])
    saved = tmp_path / "c.safetensors"
    broken = tmp_path / "broken"
    vae = TextVAE.from_pretrained(tiny_vae)
    vae.save_pretrained(broken)
    assert textvae("probe", broken, file, "--folds", 2, "--save", saved).code == 0
    vae.model.posterior.head.weight.data.fill_(3e38)  # finite, but no sum of them is
    vae.save_pretrained(broken)
    for arguments in (("probe", broken, file, "--folds", 2), ("cluster", broken, file, "-k", 2)):
        ran = textvae(*arguments)
        assert (ran.code, ran.out) == (4, "")
        assert ONE_LINE_ERROR.match(ran.err)
        assert "not finite" in ran.err
    with pytest.raises(ModelFormatError, match="not finite"):
        vae.encode(sentences[:18])
