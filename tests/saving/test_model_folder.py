"""A model folder gives back its model, and a damaged one says what is wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import WORDS, random_word_model, word_tokenizer
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from textvae.config import DataConfig, ModelConfig
from textvae.data.batches import collate
from textvae.data.tokenizers import Tokenizer
from textvae.errors import InvalidError, ModelFormatError, NotFoundError
from textvae.models.build import build_model
from textvae.randomness.noise import StepNoise
from textvae.saving.folder import (
    CONFIG_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    load_model,
    save_model,
)

FILES = (CONFIG_FILE, WEIGHTS_FILE, TOKENIZER_FILE)
TEXTS = ["the cat sees the dog", "soup .", ""]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model, which tests copy."""
    folder = tmp_path_factory.mktemp("saved")
    save_model(folder, random_word_model(), word_tokenizer(), DataConfig(max_tokens=8))
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(saved, tmp_path / "model")


def edit(folder: Path, **changes: Any) -> None:
    """Change config.json; a table is merged into the one that is there."""
    path = folder / CONFIG_FILE
    description = json.loads(path.read_text())
    for key, value in changes.items():
        merged = isinstance(value, dict) and isinstance(description.get(key), dict)
        description[key] = description[key] | value if merged else value
    path.write_text(json.dumps(description))


# there and back


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("vae", {}),
        ("vae", {"tie_weights": False, "encoder": "transformer", "decoder": "lstm"}),
        ("vae", {"tie_weights": False, "tie_embeddings": True}),
        ("ae", {"tie_embeddings": True, "encoder": "lstm"}),
        ("vae", {"posterior_batch_norm": 0.7, "committed_rate": 1.0, "skip_z": True}),
        ("ae", {"decoder": "transformer", "positions": "learned", "layers": 2}),
        ("lm", {"decoder": "transformer"}),
    ],
)
def test_a_model_comes_back_as_it_was(kind: str, sizes: dict[str, Any], tmp_path: Path) -> None:
    tokenizer = word_tokenizer()
    model = random_word_model(kind, max_tokens=9, **sizes)
    if kind == "ae":
        model.prior.fit(torch.randn(50, 2) * 3 + 1)
    if model.config.posterior_batch_norm:  # statistics of its own
        noise = StepNoise(0, 0, torch.arange(2), 2, 3, torch.device("cpu"))
        model.infer(collate([[4, 5], [6]], tokenizer.eos_id, tokenizer.pad_id), noise)
    data = DataConfig(lowercase=True, normalization="nfkc", max_tokens=9)
    save_model(tmp_path / "a", model, tokenizer, data)
    loaded = load_model(tmp_path / "a")

    assert loaded.data == data
    assert loaded.model.config == model.config
    assert loaded.tokenizer.fingerprint == tokenizer.fingerprint
    assert not loaded.model.training
    assert (
        loaded.model.decoder.output.weight is loaded.model.decoder.embedding.weight
    ) == model.config.tie_weights
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())
    tokens = collate(tokenizer.encode(TEXTS), tokenizer.eos_id, tokenizer.pad_id)
    z = model.prior.sample(torch.ones(3, 2)) if kind != "lm" else None
    again = loaded.model.prior.sample(torch.ones(3, 2)) if kind != "lm" else None
    assert torch.equal(
        loaded.model.decoder.log_likelihood(tokens, again), model.decoder.log_likelihood(tokens, z)
    )
    if kind != "lm":
        assert torch.equal(loaded.model.code(tokens), model.code(tokens))
        assert (
            loaded.model.encoder.embedding.weight is loaded.model.decoder.embedding.weight
        ) == model.config.tie_embeddings
        with safe_open(tmp_path / "a" / WEIGHTS_FILE, framework="pt") as file:
            assert ("encoder.embedding.weight" in file.keys()) != model.config.tie_embeddings  # noqa: SIM118

    save_model(tmp_path / "b", loaded.model, loaded.tokenizer, loaded.data)
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@torch.no_grad()
def test_a_folder_from_before_tied_embeddings_has_two(tmp_path: Path) -> None:
    tokenizer, model = word_tokenizer(), random_word_model("vae", tie_embeddings=False)
    save_model(tmp_path, model, tokenizer, DataConfig())
    path = tmp_path / CONFIG_FILE
    description = json.loads(path.read_text())
    del description["architecture"]["tie_embeddings"]
    path.write_text(json.dumps(description))
    loaded = load_model(tmp_path).model
    tokens = collate(tokenizer.encode(TEXTS), tokenizer.eos_id, tokenizer.pad_id)
    assert torch.equal(loaded.code(tokens), model.code(tokens))
    assert not torch.equal(loaded.encoder.embedding.weight, loaded.decoder.embedding.weight)


@torch.no_grad()
def test_two_tokenizers_have_two_embeddings(tmp_path: Path) -> None:
    tokenizer = word_tokenizer()
    vocabulary = tokenizer.vocabulary  # equal sizes do not make one tokenizer of two
    model = build_model(ModelConfig(hidden_size=8), vocabulary, 9, encoder_vocabulary=vocabulary)
    assert model.encoder.embedding is not model.decoder.embedding


def test_a_folder_from_before_an_option_has_it_off(folder: Path) -> None:
    path = folder / CONFIG_FILE
    description = json.loads(path.read_text())
    for name in ("posterior_batch_norm", "committed_rate", "skip_z"):
        del description["architecture"][name]
    path.write_text(json.dumps(description))
    model = load_model(folder).model
    assert model.config == random_word_model().config
    tokens = collate([[4, 5], [6]], 2, 0)
    assert torch.equal(model.code(tokens), random_word_model().code(tokens))


def test_saving_over_a_model_replaces_it(folder: Path) -> None:
    model = random_word_model(seed=1)
    save_model(folder, model, word_tokenizer(), DataConfig(max_tokens=8))
    assert torch.equal(
        load_model(folder).model.decoder.embedding.weight, model.decoder.embedding.weight
    )


def test_weights_of_half_precision_are_read_as_float32(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    save_file({name: value.half() for name, value in weights.items()}, folder / WEIGHTS_FILE)
    model = load_model(folder).model
    assert model.decoder.embedding.weight.dtype == torch.float32
    torch.testing.assert_close(
        model.decoder.embedding.weight, weights["decoder.embedding.weight"], rtol=1e-3, atol=1e-3
    )


# what is missing


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(NotFoundError, match=f"it has no {name}"):
        load_model(folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        load_model(tmp_path / "nowhere")


# what is damaged

NOT_JSON = [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000]
NO_CONFIGURATION = [b"[]", b"null", b"3", b"{}", b'{"model_type": "bert"}']


@pytest.mark.parametrize("content", NOT_JSON + NO_CONFIGURATION, ids=range(10))
def test_a_configuration_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / CONFIG_FILE).write_bytes(content)
    with pytest.raises(ModelFormatError, match=CONFIG_FILE):
        load_model(folder)


@pytest.mark.parametrize("version", [3, 99, 0, -1, None, "1", 1.5, [1]])
def test_another_format_is_refused(folder: Path, version: Any) -> None:
    edit(folder, format_version=version)
    with pytest.raises(ModelFormatError, match="format"):
        load_model(folder)


@pytest.mark.parametrize(
    "path",
    ["architecture", "decoder", "encoder", "text", "decoder.vocab_size", "encoder.pad_id",
     "decoder.max_tokens", "text.lowercase"],
)  # fmt: skip
def test_a_missing_key_is_named(folder: Path, path: str) -> None:
    description = json.loads((folder / CONFIG_FILE).read_text())
    *tables, key = path.split(".")
    del (description[tables[0]] if tables else description)[key]
    (folder / CONFIG_FILE).write_text(json.dumps(description))
    with pytest.raises(ModelFormatError, match=f"{path} is missing"):
        load_model(folder)


UNUSABLE = [float("nan"), float("inf"), -1, 0, 2.5, 10**12, 10**30, None, "many", [8]]


@pytest.mark.parametrize("value", UNUSABLE, ids=str)
@pytest.mark.parametrize(
    "key", ["vocab_size", "bos_id", "max_tokens", "hidden_size", "embedding_size", "latent_size"]
)
def test_a_size_that_cannot_be_is_refused_before_anything_is_made(
    folder: Path, key: str, value: Any
) -> None:
    """Weights of 10**12 would fail otherwise than by our error, or take the machine with them."""
    if key in ("vocab_size", "bos_id", "max_tokens"):
        edit(folder, encoder={key: value}, decoder={key: value})
    else:
        edit(folder, architecture={key: value})
    with pytest.raises(ModelFormatError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "architecture",
    [
        [],
        None,
        {"layers": 10**9},
        {"layers": 10**5, "model": "lm"},
        {"memory_tokens": 10**12, "decoder": "transformer"},
        {"hidden_size": 4 * 10**9, "decoder": "transformer"},
        {"hidden_size": 65536, "embedding_size": 65536, "layers": 200},
        {"encoder": "transformer"},
        {"model": "ae"},
        {"model": "lm"},
        {"layers": 2},
        {"bidirectional": True},
        {"pooling": "attention"},
        {"tie_weights": False},
        {"latent_size": 3},
        {"skip_z": True},
        {"posterior_batch_norm": 0.7},
        {"encoder": "rnn"},
        {"hats": 3},
    ],
    ids=str,
)
def test_an_architecture_that_does_not_fit_the_weights_is_refused(
    folder: Path, architecture: Any
) -> None:
    edit(folder, architecture=architecture)
    with pytest.raises(ModelFormatError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_refused(folder: Path, name: str, share: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(InvalidError, match=name):
        load_model(folder)


Weights = dict[str, torch.Tensor]
BIAS = "decoder.output.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("decoder.embedding.weight"), "weights lack decoder.embedding"),
        (lambda w: w.update(more=torch.zeros(2)), "weights hold more"),
        (
            lambda w: w.update({"decoder.output.bias": torch.zeros(3)}),
            r"output.bias has shape \[3\]",
        ),
        (
            lambda w: w.update({"decoder.output.bias": torch.zeros(10).long()}),
            "expected a floating-point dtype",
        ),
        (lambda w: w.clear(), "weights lack"),
    ],
)
def test_weights_of_other_names_shapes_or_types_are_refused(
    folder: Path, change: Callable[[Weights], Any], message: str
) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    change(weights)
    save_file(weights, folder / WEIGHTS_FILE)
    with pytest.raises(ModelFormatError, match=message):
        load_model(folder)


def test_the_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    Tokenizer.train(WORDS[:2], kind="word", vocab_size=6).save(folder / TOKENIZER_FILE)
    with pytest.raises(ModelFormatError, match=r"of the decoder is 10 .* 6 .* different models"):
        load_model(folder)


def test_special_tokens_that_the_tokenizer_does_not_have_are_refused(folder: Path) -> None:
    for name, value in (("pad_id", 1_000_000), ("bos_id", 3), ("eos_id", 5)):
        for part in ("encoder", "decoder"):
            edit(folder, **{part: {name: value}})
            told = f"{name} of the {part} is {value} .* different models"
            with pytest.raises(ModelFormatError, match=told):
                load_model(folder)
            edit(folder, **{part: {"pad_id": 0, "bos_id": 1, "eos_id": 2}})
    load_model(folder)


def test_a_training_that_has_saved_no_model_yet_is_told_from_a_strange_folder(
    tmp_path: Path,
) -> None:
    with pytest.raises(NotFoundError, match=r"it has no config\.json$"):
        load_model(tmp_path)
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(NotFoundError, match="has not saved a model yet"):
        load_model(tmp_path)
