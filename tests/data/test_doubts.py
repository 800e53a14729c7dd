"""What is likely to be a mistake in the text or the labels is told, once, by each command."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from textvae.config import DataConfig, TokenizerConfig
from textvae.data.doubts import missing_labels
from textvae.data.opening import open_rows
from textvae.data.prepare import load_corpora
from textvae.progress import Watcher

MODEL = ("--hidden-size", 8, "--embedding-size", 8, "--latent-size", 2, "--max-steps", 2)

# missing labels


def labelled(folder: Path, suffix: str, labels: list[str | None]) -> Path:
    """A file of sentences with these labels, of which None is a gap."""
    path, texts = folder / f"a{suffix}", [f"the soup is {n}" for n in range(len(labels))]
    rows = list(zip(texts, labels, strict=True))
    if suffix == ".parquet":
        sink = io.BytesIO()
        pq.write_table(pa.table({"text": texts, "label": labels}), sink)
        path.write_bytes(sink.getvalue())
    elif suffix == ".jsonl":
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
        path.write_text("\n".join(lines))
    elif suffix == ".json":
        path.write_text(json.dumps([{"text": text, "label": label} for text, label in rows]))
    else:
        separator = "," if suffix == ".csv" else "\t"
        lines = [separator.join(row) for row in [("text", "label")]]
        lines += [f"{text}{separator}{label or ''}" for text, label in rows]
        path.write_text("\n".join(lines) + "\n")
    return path


SUFFIXES = [".csv", ".tsv", ".json", ".jsonl", ".parquet"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_spelling_of_a_missing_label_is_a_label_in_every_format(
    tmp_path: Path, suffix: str
) -> None:
    given = ["NaN", "None", "null", "N/A", "NA", "nan", "<NA>", "good", None]
    path = labelled(tmp_path, suffix, given)
    assert [row.label for row in open_rows([str(path)])] == given


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_probe_tells_which_labels_may_be_missing_ones(
    textvae, tiny_vae, tmp_path: Path, suffix: str
) -> None:
    path = labelled(tmp_path, suffix, ["good", "bad", "NaN", None] * 6)
    ran = textvae("probe", tiny_vae, path, "--folds", 2, "--json")
    assert ran.rows[0]["classes"] == ["NaN", "bad", "good"]
    assert ran.err.count("'NaN' (6) is a class like any other label") == 1
    assert "empty these cells, which leaves the rows out" in ran.err
    assert "skipped 6 of 24 lines without a label" in ran.err
    ran = textvae("cluster", tiny_vae, path, "-k", 2)
    assert ran.err.count("'NaN' (6) is a class like any other label") == 1


def test_labels_that_only_look_so_are_not_told() -> None:
    assert missing_labels(["good", "nano", "Nantes", "no", "0", "-", "unknown", None]) is None
    found = missing_labels(["NA", "NA", "n/a", "Null", "none", "good"])
    assert found is not None
    assert found.startswith("'NA' (2), 'n/a' (1), 'Null' (1) and 1 more are classes like any")


# text without spaces


def corpora(folder: Path, texts: list[str], warnings: list[str], **tokenizers: str) -> None:
    data = DataConfig(cache_dir=str(folder / "cache"), valid_fraction=0.3)
    chosen = TokenizerConfig(**tokenizers)  # type: ignore[arg-type]
    load_corpora(data, chosen, texts=texts, watcher=Watcher(warn=warnings.append))


def test_unspaced_text_under_the_word_tokenizer_is_told(tmp_path: Path) -> None:
    unspaced = [f"汤是冷的{'好' * n}。天气很好" for n in range(40)]
    spaced = [f"the soup was {'very ' * n}cold" for n in range(40)]
    warnings: list[str] = []
    for _ in range(2):  # the second time from the cache
        corpora(tmp_path, unspaced, warnings, tokenizer="word")
        assert len(warnings) == 1
        assert "texts: there are hardly any spaces between words" in warnings[0]
        assert "try tokenizer='bpe' or unigram" in warnings.pop()
    corpora(tmp_path, unspaced, warnings, tokenizer="bpe", encoder_tokenizer="word")
    assert len(warnings) == 1
    assert "try encoder_tokenizer='bpe' or unigram" in warnings[0]
    corpora(tmp_path, unspaced, warnings, tokenizer="bpe")
    corpora(tmp_path, spaced, warnings, tokenizer="word")
    assert len(warnings) == 1


def test_control_characters_in_training_text_are_told_each_run(tmp_path: Path) -> None:
    texts = [f"it\x92s day {n}" if n % 2 else f"day {n}, déjà vu" for n in range(40)]
    for _ in range(2):
        warnings: list[str] = []
        corpora(tmp_path, texts, warnings)
        assert len(warnings) == 1
        assert "texts: 20 texts hold control characters" in warnings[0]


def test_texts_that_are_given_twice_are_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("it\x92s day\nd\xe9j\xe0 vu\nwe\x92re here\n", encoding="utf-8")
    warnings: list[str] = []
    data = DataConfig(train=(str(path),), valid=(str(path),), cache_dir=str(tmp_path / "cache"))
    load_corpora(data, TokenizerConfig(vocab_size=300), watcher=Watcher(warn=warnings.append))
    assert [warning for warning in warnings if "2 texts hold control characters" in warning]
    assert len(warnings) == 1


# the commands


@pytest.fixture
def semicolons(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    who = ["the cook", "my sister", "a tall man"]
    lines = [f"{who[n % 3]} sees the soup, no {n};{'ab'[n % 2]}" for n in range(40)]
    path.write_text("\n".join(["Sentence;label", *lines]) + "\n")
    return path


TOLD = "a.csv: its columns are separated by semicolons; the text is in column 'Sentence'"


def test_training_tells_what_it_takes_for_the_text(textvae, tmp_path, semicolons) -> None:
    cache = ("--set", f"data.cache_dir={tmp_path}/cache")
    for name in ("one", "two"):  # the second from the cache
        ran = textvae("train", semicolons, "--out", tmp_path / name, *MODEL, *cache)
        assert ran.code == 0, ran.err
        assert ran.err.count(TOLD) == 1
    assert textvae("train", semicolons, "--dry-run", *MODEL, *cache).err.count(TOLD) == 1
    asked = textvae(
        "train", semicolons, "--out", tmp_path / "three", *MODEL, *cache, "--text-column",
        "Sentence", "--set", "tokenizer.tokenizer=word",
    )  # fmt: skip
    assert "the text is in" not in asked.err
    quiet = textvae("-q", "train", semicolons, "--out", tmp_path / "four", *MODEL, *cache)
    assert quiet.err == ""


def test_each_command_tells_it_once(textvae, tiny_vae, tmp_path, semicolons) -> None:
    saved = tmp_path / "c.safetensors"
    for arguments in (
        ("probe", tiny_vae, semicolons, "--folds", 2, "--save", saved),
        ("classify", tiny_vae, saved, semicolons),
        ("cluster", tiny_vae, semicolons, "-k", 2),
        ("embed", tiny_vae, semicolons, "--out", tmp_path / "v.npy"),
        ("embed", tiny_vae, semicolons, "--json"),
        ("reconstruct", tiny_vae, semicolons),
        ("evaluate", tiny_vae, semicolons, "--samples", 2, "--truncate"),
        ("compare", tiny_vae, "--on", semicolons, "--samples", 2, "--truncate"),
    ):
        ran = textvae(*arguments)
        assert ran.code == 0, ran.err
        assert ran.err.count(TOLD) == 1, arguments[0]
    assert len(textvae("reconstruct", tiny_vae, semicolons).out.splitlines()) == 40


def test_parts_of_one_data_set_are_told_once(textvae, tiny_vae, tmp_path, semicolons) -> None:
    for number in range(3):
        (tmp_path / f"part-{number}.csv").write_bytes(semicolons.read_bytes())
    ran = textvae("reconstruct", tiny_vae, tmp_path / "part-*.csv")
    assert len(ran.out.splitlines()) == 120
    assert ran.err.count("separated by semicolons") == 1
    assert "part-0.csv: its columns" in ran.err
