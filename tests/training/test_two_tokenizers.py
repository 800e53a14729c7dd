"""An encoder and a decoder with a tokenizer each: trained, stored, resumed, read and measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textvae import TextVAE
from textvae.config import DataConfig, TokenizerConfig
from textvae.data.prepare import load_corpora
from textvae.data.rows import Row
from textvae.errors import ConfigError, ModelFormatError, NotFoundError
from textvae.evaluation.report import evaluate
from textvae.saving.identity import fingerprint

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "embedding_size": 12,
    "latent_size": 4,
    "batch_size": 16,
}
TWO: dict[str, Any] = {"tokenizer": "bpe", "vocab_size": 300, "encoder_tokenizer": "word"}


@pytest.fixture(scope="module")
def folder(sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a vae that reads words and writes pieces of bytes."""
    out = tmp_path_factory.mktemp("two") / "run"
    cache = str(out.parent / "cache")
    TextVAE.train(sentences, out=out, max_steps=20, device="cpu", cache_dir=cache, **SIZES, **TWO)
    return out


@pytest.fixture
def vae(folder: Path) -> TextVAE:
    """The model, loaded."""
    return TextVAE.from_pretrained(folder, device="cpu")


def test_each_part_has_its_own_tokenizer_and_size(vae: TextVAE, folder: Path) -> None:
    assert (vae.encoder_tokenizer.kind, vae.tokenizer.kind) == ("word", "bpe")
    assert vae.model.encoder is not None
    assert vae.model.encoder.vocabulary == vae.encoder_tokenizer.vocabulary
    assert vae.model.decoder.vocabulary == vae.tokenizer.vocabulary
    description = json.loads((folder / "config.json").read_text())
    assert description["encoder"]["tokenizer"] == "encoder_tokenizer.json"
    assert description["decoder"]["tokenizer"] == "tokenizer.json"


def test_where_they_are_the_same_they_are_one_object_and_one_file(tiny_vae: Path) -> None:
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    assert vae.encoder_tokenizer is vae.tokenizer
    assert not (tiny_vae / "encoder_tokenizer.json").exists()


def test_vectors_depend_on_the_words_alone(vae: TextVAE) -> None:
    """The decoder's tokenizer has no part in them: an unknown word is like any other."""
    one, other, third = vae.encode(["the cook likes zzz", "the cook likes qqq", "the cook likes"])
    assert (one == other).all()
    assert not np.allclose(one, third)


def test_its_figures_are_over_the_tokens_that_it_writes(vae: TextVAE, sentences: list[str]) -> None:
    texts = sentences[:8]
    report = evaluate(
        vae.model,
        vae.tokenizer,
        [Row(text) for text in texts],
        samples=50,
        encoder_tokenizer=vae.encoder_tokenizer,
    )
    own = vae.log_likelihood(texts, samples=50)
    assert report["nll_iw"] == pytest.approx(-own.mean())
    assert "bits_per_byte" in report  # bytes know no unknown word
    assert len(vae.reconstruct(texts)) == len(texts)


def test_saved_again_it_computes_the_same(vae: TextVAE, tmp_path: Path) -> None:
    vae.save_pretrained(tmp_path)
    again = TextVAE.from_pretrained(tmp_path, device="cpu")
    assert again.generate(4, seed=1) == vae.generate(4, seed=1)
    assert (again.encode(["the dog sees rain ."]) == vae.encode(["the dog sees rain ."])).all()


def test_a_model_that_shares_its_tokenizer_leaves_no_second_file(
    vae: TextVAE, tiny_vae: Path, tmp_path: Path
) -> None:
    vae.save_pretrained(tmp_path)
    TextVAE.from_pretrained(tiny_vae, device="cpu").save_pretrained(tmp_path)
    assert not (tmp_path / "encoder_tokenizer.json").exists()
    assert TextVAE.from_pretrained(tmp_path, device="cpu").tokenizer.kind == "word"


def test_a_missing_or_exchanged_tokenizer_of_the_encoder_is_said(
    vae: TextVAE, tmp_path: Path
) -> None:
    vae.save_pretrained(tmp_path)
    own = tmp_path / "encoder_tokenizer.json"
    own.write_bytes((tmp_path / "tokenizer.json").read_bytes())
    with pytest.raises(ModelFormatError, match="vocab_size of the encoder"):
        TextVAE.from_pretrained(tmp_path)
    own.unlink()
    with pytest.raises(NotFoundError, match=r"encoder_tokenizer\.json"):
        TextVAE.from_pretrained(tmp_path)


def test_vectors_and_their_identity_depend_on_the_encoders_tokenizer(vae: TextVAE) -> None:
    ours = fingerprint(vae.model, vae.encoder_tokenizer, vae.config.data)
    assert ours != fingerprint(vae.model, vae.tokenizer, vae.config.data)


def test_a_resumed_run_keeps_both_tokenizers(
    sentences: list[str], folder: Path, tmp_path: Path
) -> None:
    """Also where the text has changed, from which others would be trained."""
    shutil.copytree(folder, tmp_path / "run")
    before = TextVAE.from_pretrained(folder, device="cpu")
    others = [*sentences, *(f"{text} and more words" for text in sentences)]
    after = TextVAE.train(others, out=tmp_path / "run", resume=True, max_steps=30)
    assert after.encoder_tokenizer.fingerprint == before.encoder_tokenizer.fingerprint
    assert after.tokenizer.fingerprint == before.tokenizer.fingerprint
    assert max(json.loads(line)["step"] for line in open(tmp_path / "run/metrics.jsonl")) == 30


def test_a_resumed_run_keeps_its_only_tokenizer_if_the_encoders_is_equal(
    sentences: list[str], tmp_path: Path
) -> None:
    """Both are `word` with all words, and are stored as one file."""
    more = [*sentences, *(f"{text} and more words" for text in sentences)]
    options: dict[str, Any] = {"tokenizer": "word", "encoder_tokenizer": "word", **SIZES}
    out = tmp_path / "run"
    before = TextVAE.train(sentences, out=out, max_steps=5, device="cpu", **options)
    assert not (out / "encoder_tokenizer.json").exists()
    after = TextVAE.train(more, out=out, resume=True, max_steps=8)
    assert after.encoder_tokenizer is after.tokenizer
    assert after.tokenizer.fingerprint == before.tokenizer.fingerprint


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"encoder_tokenizer": "no/such.json"}, r"^encoder_tokenizer no/such\.json: not found"),
        ({"encoder_tokenizer": "bpe", "encoder_vocab_size": 10}, "^encoder_vocab_size 10: a bpe"),
        (
            {"encoder_tokenizer": "no/such.json", "encoder_vocab_size": 10},
            "^encoder_vocab_size 10 does not apply .* leave encoder_vocab_size out",
        ),
        ({"tokenizer": "no/such.json"}, r"^tokenizer no/such\.json: not found"),
        ({"tokenizer": "bpe", "vocab_size": 10}, "^vocab_size 10: a bpe"),
    ],
)
def test_an_error_names_the_field_of_the_tokenizer_that_is_wrong(
    sentences: list[str], options: dict[str, Any], named: str
) -> None:
    with pytest.raises((ConfigError, NotFoundError), match=named):
        TextVAE.train(sentences, device="cpu", **options)


def test_a_sentence_too_long_for_either_drops_out_of_both(tmp_path: Path) -> None:
    """12 words are 13 tokens; a long word is one word and many bytes."""
    long_word = "abcdefghijklmnopqrstuvwxyz0123456789"
    texts = ["a b c"] * 30 + [" ".join("abcdefghijkl"), long_word] + ["b c d"] * 30
    data = DataConfig(max_tokens=12, overlong="drop", cache_dir=str(tmp_path))
    two = TokenizerConfig(tokenizer="bpe", vocab_size=270, encoder_tokenizer="word")
    corpora = load_corpora(data, two, texts=texts, valid_texts=["a b c", "z" * 50])
    rows = np.arange(len(corpora.train))
    assert corpora.source.train.texts(rows) == corpora.train.texts(rows)
    assert len(corpora.train) == 60
    assert len(corpora.valid) == len(corpora.source.valid) == 1


def test_a_language_model_has_no_encoder_to_give_a_tokenizer(sentences: list[str]) -> None:
    with pytest.raises(ConfigError, match="encoder_tokenizer does not apply to model=lm"):
        TextVAE.train(sentences, model="lm", encoder_tokenizer="word")
    with pytest.raises(ConfigError, match="encoder_vocab_size 100 needs an encoder_tokenizer"):
        TextVAE.train(sentences, encoder_vocab_size=100)


def test_truncated_sentences_are_scored_alike_everywhere(vae: TextVAE) -> None:
    """The encoder reads all that its own limit allows, whatever the decoder's tokens are."""
    texts = ["the cook likes the soup . " * 30, "my sister sees rain ." * 12]
    rows = [Row(text) for text in texts]
    report = evaluate(
        vae.model, vae.tokenizer, rows, samples=20, truncate=True,
        encoder_tokenizer=vae.encoder_tokenizer,
    )  # fmt: skip
    assert report["n_truncated"] == 2
    own = vae.log_likelihood(texts, samples=20, truncate=True)
    assert report["nll_iw"] == pytest.approx(-own.mean(), rel=1e-6)


def test_an_autoencoder_whose_encoder_knows_more_tokens_trains_by_the_clock(
    sentences: list[str], tmp_path: Path
) -> None:
    ae = TextVAE.train(
        sentences, out=tmp_path / "run", model="ae", tokenizer="word", encoder_tokenizer="bpe",
        encoder_vocab_size=400, max_minutes=0.02, device="cpu", **SIZES,
    )  # fmt: skip
    assert ae.prior_is_fitted
