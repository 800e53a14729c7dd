"""`textvae probe`, `classify` and `cluster`, from the files to what is printed."""

from __future__ import annotations

import csv
import json
import re
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import ONE_LINE_ERROR

from textvae import TextVAE
from textvae.api.probe_vectors import PROBE_LAYERS
from textvae.classification import linear
from textvae.classification.classifier import read_classifier
from textvae.cli.output import Output
from textvae.cli.probe import LAYERS
from textvae.data.opening import Row
from textvae.data.tokenizers import Tokenizer

SMALL = ("--labels", "4,all", "--seeds", 2)


@pytest.fixture(autouse=True)
def few_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little to choose the regularisation from: many small fits are what takes time here."""
    monkeypatch.setattr(linear, "FOLDS", 2)
    monkeypatch.setattr(linear, "STRENGTHS", (0.1, 10.0))


def label_of(text: str) -> str:
    return "animal" if text.startswith("the dog") else "human"


def write_labelled(path: Path, texts: list[str]) -> Path:
    lines = ["label\ttext", *(f"{label_of(text)}\t{text}" for text in texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path, sentences: list[str]) -> tuple[Path, Path]:
    """A training and a test file; 7 of the 57 test lines stand in training, one of them twice."""
    train, test = sentences[::3], sentences[1::3]
    repeated = [*train[:6], train[0]]
    return (
        write_labelled(tmp_path / "train.tsv", train),
        write_labelled(tmp_path / "test.tsv", test + repeated),
    )


@pytest.fixture
def classifier(textvae, tiny_vae: Path, files: tuple[Path, Path], tmp_path: Path) -> Path:
    """The file of a classifier of tiny_vae."""
    path = tmp_path / "classifier.safetensors"
    ran = textvae("probe", tiny_vae, files[0], "--folds", 2, "--save", path, "--quiet")
    assert (ran.code, ran.err) == (0, "")
    return path


def test_probe_reports_each_kind_of_vectors_at_each_number_of_labels(
    textvae, tiny_vae, tiny_ae, files, tmp_path
) -> None:
    out = tmp_path / "report.json"
    common = ("probe", tiny_vae, *files, "--against", tiny_ae, *SMALL, "--json")
    ran = textvae(*common, "--out", out)
    assert ran.code == 0
    (report,) = ran.rows
    assert json.loads(out.read_text()) == report
    expected = {"n_train": 50, "n_test": 57, "n_duplicates": 7, "classes": ["animal", "human"]}
    assert expected.items() <= report.items()
    assert "7 of 57 test texts also occur in training" in ran.err
    kinds = ["majority class", "TF-IDF", "word average", str(tiny_vae), str(tiny_ae)]
    results = report["results"]
    assert [(found["labels"], found["vectors"]) for found in results] == [
        (size, kind) for size in (4, "all") for kind in kinds
    ]
    for found in results:
        of_a_model = found["vectors"] in kinds[3:]
        assert found.get("layer") == ("latent" if of_a_model else None)
        assert found.get("normalize") == (False if of_a_model else None)
        accuracies = [run["accuracy"] for run in found["runs"]]
        assert found["accuracy"] == pytest.approx(np.mean(accuracies))
        if found["labels"] == "all":
            assert len(accuracies) == 1
            assert "accuracy_sd" not in found
        else:
            assert [run["seed"] for run in found["runs"]] == [0, 1]
            assert found["accuracy_sd"] == pytest.approx(np.std(accuracies, ddof=1))
    share = np.mean([label_of(line.split("\t")[1]) == "human" for line in lines_of(files[1])])
    assert results[-5]["accuracy"] == pytest.approx(share)  # of the majority class
    assert results[-4]["accuracy"] == 1  # TF-IDF sees the dog
    assert textvae(*common).out == ran.out


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[1:]


def test_duplicates_are_left_out_where_asked_for(textvae, tiny_vae, files) -> None:
    common = ("probe", tiny_vae, *files, "--labels", "all", "--json", "--without-duplicates")
    ran = textvae(*common)
    (report,) = ran.rows
    assert (report["n_test"], report["n_duplicates"]) == (50, 7)
    assert "left out" in ran.err
    nothing = textvae("probe", tiny_vae, files[0], files[0], "--without-duplicates")
    assert nothing.code == 4
    assert "nothing is left" in nothing.err


def test_probe_prints_a_table_of_each_figure(textvae, tiny_vae, files) -> None:
    ran = textvae("probe", tiny_vae, *files, "--labels", "4,9000,all", "--seeds", 2)
    assert ran.code == 0
    assert "left out: 9,000 labels; only 50 sentences to train on" in ran.err
    accuracy, f1 = ran.out.split("\n\n")
    for name, table in (("accuracy", accuracy), ("macro F1", f1)):
        heading, *rows = [re.split(r"  +", line) for line in table.splitlines()]
        assert heading == [name, "4", "all 50"]
        names = ["majority class", "TF-IDF", "word average", f"{tiny_vae}, latent"]
        assert [row[0] for row in rows] == names
        assert all(re.fullmatch(r"\d\.\d{3} ± \d\.\d{3}", row[1]) for row in rows)
        assert all(re.fullmatch(r"\d\.\d{3}", row[2]) for row in rows)
    assert textvae("probe", tiny_vae, *files, *SMALL, "--quiet").err == ""


def test_a_model_with_the_name_of_a_baseline_takes_nobodys_row(
    textvae, tiny_vae, files, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    TextVAE.from_pretrained(tiny_vae).save_pretrained("TF-IDF")
    options = ("--labels", "all", "--layer", "encoder", "--normalize")
    ran = textvae("probe", "TF-IDF", *files, *options)
    names = [re.split(r"  +", line)[0] for line in ran.out.split("\n\n")[0].splitlines()]
    expected = ["TF-IDF", "word average", "TF-IDF, encoder, length 1"]
    assert names == ["accuracy", "majority class", *expected]
    (report,) = textvae("probe", "TF-IDF", *files, *options, "--json").rows
    of_words, _, of_vectors = report["results"][1:]
    assert of_words["accuracy"] == 1  # that of the words
    assert "layer" not in of_words
    assert (of_vectors["layer"], of_vectors["normalize"]) == ("encoder", True)


def test_each_text_is_tokenized_once_for_its_vector(
    textvae, tiny_vae, files, classifier, monkeypatch
) -> None:
    counted: list[str] = []
    known = {line.split("\t")[1] for file in files for line in lines_of(file)}
    inner = Tokenizer.encode

    def encode(self: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
        counted.extend(text for text in texts if text in known)
        return inner(self, texts)

    monkeypatch.setattr(Tokenizer, "encode", encode)
    n_train, n_test = (len(lines_of(file)) for file in files)
    for expected, arguments in (
        (n_test, ("classify", tiny_vae, classifier, files[1])),
        (n_test, ("cluster", tiny_vae, files[1], "-k", 2)),
        # and once for the average of its words
        (2 * (n_train + n_test), ("probe", tiny_vae, *files, "--labels", "4")),
    ):
        counted.clear()
        assert textvae(*arguments).code == 0
        assert len(counted) == expected, arguments


def test_folds_test_each_sentence_once(textvae, tiny_vae, files) -> None:
    (report,) = textvae("probe", tiny_vae, files[0], "--folds", 5, "--json").rows
    assert (report["folds"], report["n_train"], report["n_test"]) == (5, 50, 50)
    assert "test" not in report
    for found in report["results"]:
        assert [run["split"] for run in found["runs"]] == [0, 1, 2, 3, 4]
        assert found["n_labels"] == 40


def test_layers_and_lengths_are_those_asked_for(textvae, tiny_vae, files, tmp_path) -> None:
    vae, save = TextVAE.from_pretrained(tiny_vae), tmp_path / "c.safetensors"
    options = ("--layer", "encoder", "--normalize", "--folds", 2)
    assert textvae("probe", tiny_vae, files[0], *options, "--save", save).code == 0
    sizes = {"latent": vae.vector_size(), "encoder": vae.vector_size("encoder")}
    found = read_classifier(save, vector_size=sizes)
    assert (found.layer, found.normalize) == ("encoder", True)
    texts = [line.split("\t")[1] for line in lines_of(files[0])]
    vectors = vae.encode(texts, layer="encoder", normalize=True)
    np.testing.assert_allclose(found.mean, vectors.mean(0), atol=1e-6)
    ran = textvae("classify", tiny_vae, save, "--json", stdin="\n".join(texts))
    expected = found.probabilities(vectors)
    for row, probabilities in zip(ran.rows, expected, strict=True):
        np.testing.assert_allclose(list(row["probabilities"].values()), probabilities, atol=1e-6)


def test_layers_stand_side_by_side_in_one_table(textvae, tiny_vae, files, tmp_path) -> None:
    train, test = files
    layers = ("--layer", "latent,encoder,both", "--strength", 0.1, "--labels", "all")
    ran = textvae("probe", tiny_vae, train, test, *layers)
    assert ran.code == 0
    for name in ("latent", "encoder", "latent and encoder"):
        assert f"{tiny_vae}, {name} " in ran.out
    report = textvae("probe", tiny_vae, train, test, *layers, "--json").rows[0]
    assert (report["layers"], report["strength"]) == (["latent", "encoder", "both"], 0.1)
    assert tuple(LAYERS) == PROBE_LAYERS
    for wrong, said in (
        (("--layer", "middle"), "--layer 'middle': expected latent, encoder, both"),
        (("--layer", "both", "--save", tmp_path / "c.safetensors"), "--save keeps a classifier of"),
        (("--strength", 0), "--strength 0: expected C, a number above 0"),
        (("--dimensions", 5), "--dimensions 5: the vectors of this model have 4 dimensions"),
    ):
        ran = textvae("probe", tiny_vae, train, test, *wrong)
        assert ran.code == 2
        assert said in ran.err
        assert ONE_LINE_ERROR.search(ran.err)


def test_what_has_no_classes_is_refused(textvae, tiny_vae, files, corpus, tmp_path) -> None:
    one = tmp_path / "one.tsv"
    one.write_text("label\ttext\nx\ta\nx\tb\n")
    numbers = tmp_path / "numbers.tsv"
    numbers.write_text("label\ttext\n" + "".join(f"{i / 7}\tword {i}\n" for i in range(30)))
    for code, arguments, reason in (
        (4, (corpus, "--folds", 2), "no label"),
        (4, (one, "--folds", 2), "'x'"),
        (4, (numbers, "--folds", 2), "--label-column"),
        (3, (files[0], tmp_path / "nowhere.tsv"), "nowhere"),
        (3, (files[0], files[1], "--label-column", "star"), "star"),
        (3, (files[0], files[1], "--save", tmp_path / "no" / "c.safetensors"), "--save"),
        (2, (files[0], "--folds", 51), "2 to 50"),
        (2, (*files, "--labels", "51"), "only 50"),
    ):
        ran = textvae("probe", tiny_vae, *arguments)
        assert (ran.code, ran.out) == (code, ""), arguments
        assert ONE_LINE_ERROR.match(ran.err), ran.err
        assert reason in ran.err


def test_rows_without_a_label_and_labels_of_the_test_alone_are_told(
    textvae, tiny_vae, files
) -> None:
    for file, line in zip(files, ("\tus !\n\n", "plant\ta tree\n"), strict=True):
        file.write_text(file.read_text() + line)
    ran = textvae("probe", tiny_vae, *files, "--labels", "all", "--json")
    assert "skipped 2 of 52 lines without a label" in ran.err
    assert "1 test label does not occur in" in ran.err
    assert (ran.rows[0]["n_train"], ran.rows[0]["n_test"]) == (50, 58)


# classify


INPUT = ["the dog likes rain .", "", "my sister " * 20, "the cook likes the soup ."]


def test_classify_predicts_what_the_classifier_in_memory_does(
    textvae, tiny_vae, classifier, tmp_path, monkeypatch
) -> None:
    """A row for each line, blank and over-long ones too, whatever the size of the chunks."""
    vae = TextVAE.from_pretrained(tiny_vae)
    linear = read_classifier(classifier, vector_size={"latent": vae.latent_size, "encoder": 0})
    expected = linear.probabilities(vae.encode(INPUT))
    file = tmp_path / "input.txt"
    file.write_text("\n".join(INPUT) + "\n")
    ran = textvae("classify", tiny_vae, classifier, file, "--json")
    assert [row["index"] for row in ran.rows] == [0, 1, 2, 3]
    assert [row["text"] for row in ran.rows] == [text.strip() for text in INPUT]
    assert "1 sentence exceeded 16 tokens" in ran.err
    for row, probabilities in zip(ran.rows, expected, strict=True):
        assert list(row["probabilities"]) == ["animal", "human"]
        np.testing.assert_allclose(list(row["probabilities"].values()), probabilities, atol=1e-6)
        assert sum(row["probabilities"].values()) == pytest.approx(1)
        assert row["probability"] == max(row["probabilities"].values())
        assert row["probabilities"][row["label"]] == row["probability"]
    monkeypatch.setattr("textvae.data.input_rows.CHUNK", 3)
    for suffix, lines in (
        (".jsonl", [json.dumps({"text": text}) for text in INPUT]),
        (".csv", ["label,text", *(f'animal,"{text}"' for text in INPUT)]),
        (".tsv", ["sentence", *INPUT]),
    ):
        other = file.with_suffix(suffix)
        other.write_text("\n".join(lines) + "\n")
        again = textvae("classify", tiny_vae, classifier, other, "--json")
        for row, same in zip(again.rows, ran.rows, strict=True):
            assert row["probabilities"] == pytest.approx(same["probabilities"], abs=1e-6)
    table = textvae("classify", tiny_vae, classifier, stdin=file.read_text())
    shown = [line.split("\t") for line in table.out.splitlines()]
    assert shown == [[r["label"], f"{r['probability']:.4f}", r["text"]] for r in ran.rows]


def test_classify_prints_as_it_reads_and_keeps_nothing(
    textvae, tiny_vae, classifier, monkeypatch
) -> None:
    """A chunk is printed before the next one is read, and nothing of it is held then."""
    monkeypatch.setattr("textvae.data.input_rows.CHUNK", 100)
    printed, ahead, held = 0, [], []

    def row(output: Output, record: dict[str, Any], text: str) -> None:
        nonlocal printed
        printed += 1

    def rows(*_: object, **__: object) -> Iterator[Row]:
        for number in range(3_000):
            ahead.append(number - printed)
            if number % 100 == 0:
                held.append(tracemalloc.get_traced_memory()[0])
            yield Row(f"the dog likes {number} " * 4)

    monkeypatch.setattr(Output, "row", row)
    monkeypatch.setattr("textvae.data.input_rows.prepared_rows", rows)
    tracemalloc.start()
    try:
        assert textvae("classify", tiny_vae, classifier, "-", "--quiet").code == 0
    finally:
        tracemalloc.stop()
    assert printed == 3_000
    assert max(ahead) < 100
    assert max(held[5:]) - held[4] < 100_000  # a third of what 2,500 texts alone would take


def test_a_classifier_of_another_model_is_refused(
    textvae, tiny_vae, tiny_ae, classifier, tmp_path
) -> None:
    refused = textvae("classify", tiny_ae, classifier, stdin="us !\n")
    assert (refused.code, refused.out) == (4, "")
    assert ONE_LINE_ERROR.match(refused.err)
    assert "another model" in refused.err
    copy = tmp_path / "copy"
    TextVAE.from_pretrained(tiny_vae).save_pretrained(copy)  # the same model elsewhere
    assert textvae("classify", copy, classifier, stdin="us !\n").code == 0
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(
        json.dumps(settings | {"text": {**settings["text"], "lowercase": True}})
    )
    assert textvae("classify", copy, classifier, stdin="us !\n").code == 4


def test_a_tampered_classifier_is_refused(textvae, tiny_vae, classifier) -> None:
    content = classifier.read_bytes()
    classifier.write_bytes(content.replace(b'\\"latent\\"', b'\\"\\u0000\\"'))
    ran = textvae("classify", tiny_vae, classifier, stdin="us !\n")
    assert (ran.code, ran.out) == (4, "")
    assert ONE_LINE_ERROR.match(ran.err)
    assert textvae("classify", tiny_vae, "nowhere.safetensors", stdin="us !\n").code == 3


# cluster


def test_cluster_describes_its_groups(textvae, tiny_vae, files, tmp_path) -> None:
    vae, out = TextVAE.from_pretrained(tiny_vae), tmp_path / "groups.jsonl"
    common = ("cluster", tiny_vae, files[1], "-k", 3, "--nearest", 2, "--seed", 4)
    ran = textvae(*common, "--json", "--out", out)
    assert ran.code == 0
    (report,) = ran.rows
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    texts = [line.split("\t")[1] for line in lines_of(files[1])]
    assert [row["index"] for row in rows] == list(range(57))
    assert [row["text"] for row in rows] == texts
    assert [row["label"] for row in rows] == [label_of(text) for text in texts]
    vectors = vae.encode(texts)
    for group in report["clusters"]:
        members = [row for row in rows if row["cluster"] == group["cluster"]]
        assert group["size"] == len(members)
        mean = vectors[[row["index"] for row in members]].mean(0)
        assert group["centre"] == vae.decode(mean[None])[0]
        nearest = min(members, key=lambda row: row["distance"])
        assert group["nearest"][0]["text"] == nearest["text"]
        assert len({sentence["text"] for sentence in group["nearest"]}) == 2
        share = np.mean([row["label"] == group["label"] for row in members])
        assert group["purity"] == pytest.approx(share)
        assert share >= 0.5
    weights = [group["size"] / 57 for group in report["clusters"]]
    purities = [group["purity"] for group in report["clusters"]]
    assert report["purity"] == pytest.approx(np.dot(weights, purities))
    assert weights == sorted(weights, reverse=True)
    assert textvae(*common, "--json").out == ran.out
    table = tmp_path / "groups.csv"
    textvae(*common, "--out", table)
    with table.open(newline="", encoding="utf-8") as file:
        assert [int(row["cluster"]) for row in csv.DictReader(file)] == [
            row["cluster"] for row in rows
        ]


def test_cluster_reads_lines_without_labels(textvae, tiny_ae) -> None:
    text = "us !\n\nthe dog likes rain .\nmy sister likes rain .\n"
    ran = textvae("cluster", tiny_ae, "-", "-k", 2, stdin=text)
    assert ran.code == 0
    assert "purity" not in ran.out
    assert len(re.findall(r"^cluster \d: \d$", ran.out, re.MULTILINE)) == 2
    assert ran.out.count("  centre   ") == 2
    options = ("--layer", "encoder", "--normalize", "--json")
    (report,) = textvae("cluster", tiny_ae, "-", "-k", 2, *options, stdin=text).rows
    assert sum(group["size"] for group in report["clusters"]) == 4
    assert not any("centre" in group for group in report["clusters"])
    too_many = textvae("cluster", tiny_ae, "-", "-k", 5, stdin=text)
    assert too_many.code == 4
    assert ONE_LINE_ERROR.match(too_many.err)
