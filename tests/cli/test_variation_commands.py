"""`paraphrase` and `augment`: what they print and write, and how they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from running import ONE_LINE_ERROR, Ran

from textvae.data.opening import open_rows
from textvae.data.writing import letters

TEXT = "the cook likes the soup ."


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, sentences: list[str]) -> Path:
    """A file of labelled sentences whose columns have names of their own."""
    path = tmp_path_factory.mktemp("labelled") / "train.csv"
    verbs = ("likes", "finds")
    chosen = [(t, v) for t in sentences for v in verbs if v in t][::3]
    lines = [f'"{text}",{verb}' for text, verb in chosen]
    path.write_text("\n".join(["sentence,verb", *lines]) + "\n", encoding="utf-8")
    return path


def test_a_text_is_varied(textvae: Callable[..., Ran], fluent_vae: Path) -> None:
    ran = textvae("paraphrase", fluent_vae, TEXT, "-n", 3)
    assert ran.code == 0
    figures, texts = zip(*(line.split("\t") for line in ran.out.splitlines()), strict=True)
    assert len(texts) == 3
    assert letters(TEXT) not in map(letters, texts)
    assert list(map(float, figures)) == sorted(map(float, figures), reverse=True)
    rows = textvae("paraphrase", fluent_vae, TEXT, "-n", 3, "--json").rows
    assert [row["paraphrase"] for row in rows] == list(texts)
    assert rows[0]["decoding"] == {"strategy": "greedy", "no_repeat_ngram": 3}


def test_a_file_and_stdin_are_read_line_by_line(
    textvae: Callable[..., Ran], fluent_vae: Path, tmp_path: Path
) -> None:
    file = tmp_path / "two.txt"
    file.write_text(f"{TEXT}\n\nus !\n", encoding="utf-8")
    ran = textvae("paraphrase", fluent_vae, file, "-n", 2)
    assert {line.split("\t")[0] for line in ran.out.splitlines()} == {"0", "2"}
    piped = textvae("paraphrase", fluent_vae, "-n", 2, stdin=file.read_text(encoding="utf-8"))
    assert piped.out == ran.out


def test_a_missing_data_file_is_no_sentence(textvae: Callable[..., Ran], fluent_vae: Path) -> None:
    ran = textvae("paraphrase", fluent_vae, "missing.txt")
    assert (ran.code, ran.out) == (3, "")
    assert ONE_LINE_ERROR.fullmatch(ran.err)


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv"])
def test_the_sentences_then_their_variations_are_written(
    textvae: Callable[..., Ran], fluent_vae: Path, labelled: Path, tmp_path: Path, ending: str
) -> None:
    columns = {"text_column": "sentence", "label_column": "verb"}
    out, options = (
        tmp_path / f"more{ending}",
        ("--text-column", "sentence", "--label-column", "verb"),
    )
    ran = textvae("augment", fluent_vae, labelled, *options, "--copies", 1, "--out", out, "--json")
    assert ran.code == 0, ran.err
    before, after = (list(open_rows([str(file)], **columns)) for file in (labelled, out))
    n, report = len(before), json.loads(ran.out)
    assert after[:n] == before
    assert len(after) - n == report["kept"] > 0
    assert f"{report['disagreed']} by the classifier" in ran.err
    alone = textvae(
        "augment", fluent_vae, labelled, *options, "--copies", 1, "--out", out,
        "--without-originals",
    )  # fmt: skip
    assert alone.code == 0
    assert list(open_rows([str(out)], **columns)) == after[n:]


def test_a_recognized_column_keeps_its_name(
    textvae: Callable[..., Ran], fluent_vae: Path, tmp_path: Path, labelled: Path
) -> None:
    lines = labelled.read_text(encoding="utf-8").replace("sentence,verb", "sentence,label")
    file, out = tmp_path / "train.csv", tmp_path / "more.csv"
    file.write_text(lines, encoding="utf-8")
    assert textvae("augment", fluent_vae, file, "--copies", 1, "--out", out).code == 0
    assert out.read_text(encoding="utf-8").startswith("sentence,label\n")


def test_json_prints_the_variations(
    textvae: Callable[..., Ran], fluent_vae: Path, labelled: Path
) -> None:
    ran = textvae(
        "augment", fluent_vae, labelled, "--label-column", "verb", "--text-column", "sentence",
        "--copies", 1, "--how", "interpolate", "--json",
    )  # fmt: skip
    assert {row["label"] for row in ran.rows} <= {"likes", "finds"}
    assert {"index", "copy", "text", "label", "source", "decoding"} == set(ran.rows[0])


def test_how_augment_refuses(
    textvae: Callable[..., Ran], fluent_vae: Path, tiny_lm: Path, labelled: Path, corpus: Path
) -> None:
    def refused(*arguments: object) -> int:
        ran = textvae("augment", *arguments)
        assert ran.out == ""
        assert ONE_LINE_ERROR.fullmatch(ran.err), ran.err
        return ran.code

    out = labelled.parent / "more.csv"
    assert refused(fluent_vae, labelled) == 2  # no --out
    assert refused(fluent_vae, labelled, "--out", "x.txt") == 2
    assert refused(fluent_vae, labelled, "--out", labelled) == 2
    assert refused(tiny_lm, labelled, "--out", out) == 2
    assert refused(fluent_vae, "missing.csv", "--out", out) == 3
    assert refused(fluent_vae, corpus, "--out", out) == 4  # no labels
    assert not out.exists()
