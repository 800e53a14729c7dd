"""What a REF may hold: nothing of it runs, and nothing of it is believed before it is checked."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pretrained_folders import (
    BERT_SPECIALS,
    write_encoder,
    write_modules,
    write_table,
    write_tokenizer,
)
from safetensors.numpy import load_file, save_file

from textvae.config import ModelConfig
from textvae.data.tokenizers import Tokenizer
from textvae.errors import DataError, ModelFormatError, NotFoundError, TextVAEError
from textvae.models.build import build_encoder, load_backbones
from textvae.models.pretrained.reference import find_reference
from textvae.models.pretrained.word_vectors import read_vectors


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "bert")


def load(folder: Path) -> None:
    """Everything that a training does with a REF before its first step."""
    reference = find_reference(str(folder))
    vocabulary = Tokenizer.load(reference.tokenizer).vocabulary
    backbones = load_backbones({"encoder": reference})
    build_encoder(ModelConfig(encoder=str(folder)), vocabulary, 16, backbones)


def edit(path: Path, **values: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"num_hidden_layers": 10**9},
            "num_hidden_layers is 1,000,000,000: expected at most 1,024",
        ),
        ({"vocab_size": 10**12}, "vocab_size is 1,000,000,000,000: expected at most"),
        ({"hidden_size": 8192, "num_attention_heads": 2}, "describes .* numbers, but the weights"),
        (
            {"intermediate_size": 25},
            r"encoder.layer.0.intermediate.dense.bias is \[24\] in the weights, but config.json "
            r"describes \[25\]",
        ),
        (
            {"vocab_size": 9},
            r"word_embeddings.weight is \[\d+, 16\] in the .* \[9, 16\]",
        ),
        ({"hidden_size": "wide"}, "field 'hidden_size': .*expected int, got str"),
        ({"hidden_size": 15}, "hidden size .15. is not a multiple of the number of attention"),
        ({"hidden_act": "swoosh"}, "cannot build the network: hidden_act 'swoosh' is unknown"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0: expected 1 or more"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1: expected 0 or more"),
        ({"model_type": "nobody-knows"}, "model_type 'nobody-knows' is not an architecture"),
        ({"quantization_config": {"bits": 4}}, "the weights are quantized"),
        ({"num_hidden_layers": 3}, "the weights lack "),
    ],
)
def test_a_configuration_that_does_not_fit_the_weights_is_refused(
    settings: dict[str, Any], message: str, bert: Path
) -> None:
    edit(bert / "config.json", **settings)
    with pytest.raises(ModelFormatError, match=message) as caught:
        load(bert)
    assert "\n" not in str(caught.value)


def test_no_code_of_a_model_runs(bert: Path) -> None:
    marker = bert / "ran"
    (bert / "code.py").write_text(f"open({str(marker)!r}, 'w')")
    edit(
        bert / "config.json",
        auto_map={"AutoConfig": "code.Config", "AutoModel": "code.Model"},
        attn_implementation="someone/kernels",
    )
    load(bert)
    assert not marker.exists()


def test_pickles_are_never_opened(bert: Path) -> None:
    (bert / "model.safetensors").rename(bert / "pytorch_model.bin")
    with pytest.raises(
        ModelFormatError, match=r"pytorch_model.bin is a pickle, which textvae never"
    ):
        load(bert)


def test_adapters_links_and_damaged_weights_are_refused(bert: Path, tmp_path: Path) -> None:
    (bert / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelFormatError, match="an adapter, not a whole model"):
        load(bert)
    (bert / "adapter_config.json").unlink()
    weights = bert / "model.safetensors"
    size = struct.unpack("<Q", weights.read_bytes()[:8])[0]
    weights.write_bytes(weights.read_bytes()[: size + 100])
    with pytest.raises(ModelFormatError, match="the header claims more than the file holds"):
        load(bert)
    weights.unlink()
    os.symlink(write_encoder(tmp_path / "other") / "model.safetensors", weights)
    with pytest.raises(ModelFormatError, match="is a link that leads out of the folder"):
        load(bert)


def test_a_tokenizer_of_another_model_is_refused(bert: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((bert / "tokenizer.json").read_text())
    tokenizer["post_processor"]["special_tokens"]["[SEP]"]["ids"] = [10**6]
    (bert / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelFormatError, match="its template names tokens that the network"):
        load(bert)
    write_tokenizer(bert, BERT_SPECIALS, "$A", more_words=3)
    with pytest.raises(ModelFormatError, match="the tokenizer has 3 tokens more than the network"):
        load(bert)
    (bert / "tokenizer.json").unlink()
    with pytest.raises(ModelFormatError, match=r"no tokenizer.json, the tokenizer of a pretrained"):
        load(bert)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (("LSTM", {"a": 1}), "textvae does not know its module LSTM"),
        (("Pooling", {"pooling_mode": "median"}), "pooling_mode 'median': expected cls, max"),
        (
            ("Dense", {"activation_function": "os.system"}),
            "a Dense module with activation 'system'",
        ),
    ],
)
def test_unknown_modules_are_refused(module: tuple[str, Any], message: str, bert: Path) -> None:
    write_modules(bert, module)
    with pytest.raises(ModelFormatError, match=message):
        load(bert)


def test_modules_stay_inside_the_folder(bert: Path) -> None:
    entry = {"type": "sentence_transformers.models.Pooling", "path": "../elsewhere"}
    first = {"type": "sentence_transformers.models.Transformer", "path": ""}
    (bert / "modules.json").write_text(json.dumps([first, entry]))
    with pytest.raises(ModelFormatError, match="not a plain file name"):
        load(bert)
    (bert / "modules.json").write_text(json.dumps([first, entry | {"path": "pooling"}]))
    with pytest.raises(ModelFormatError, match="'pooling': expected a name such as 1_Pooling"):
        load(bert)


def test_weights_outside_the_digest_are_refused(bert: Path) -> None:
    (bert / "model.safetensors").rename(bert / "model-00001-of-00001.safetensors")
    index = bert / "model.safetensors.index.json"
    names = list(load_file(bert / "model-00001-of-00001.safetensors"))
    index.write_text(
        json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, "../elsewhere.safetensors")})
    )
    with pytest.raises(ModelFormatError, match=r"names ../elsewhere.safetensors, which is no"):
        load(bert)
    whole = dict.fromkeys(names, "model-00001-of-00001.safetensors")
    index.write_text(json.dumps({"metadata": {}, "weight_map": whole}))
    load(bert)
    assert index in find_reference(str(bert)).files()  # transformers needs it to find the weights


def test_weights_that_are_not_finite_are_refused(bert: Path) -> None:
    tensors = load_file(bert / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"][0, 0] = np.nan
    save_file(tensors, bert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFormatError, match=r"word_embeddings.weight has numbers that are not"):
        load(bert)


def test_a_table_that_is_no_table_is_refused(tmp_path: Path) -> None:
    folder = write_table(tmp_path / "table")
    table = load_file(folder / "model.safetensors")["embeddings"]
    for tensors, message in (
        ({"embeddings": table, "more": table}, "expected one tensor"),
        ({"embeddings": table[0]}, "no table of finite vectors"),
        ({"embeddings": np.full_like(table, np.nan)}, "no table of finite vectors"),
    ):
        save_file(tensors, folder / "model.safetensors")
        with pytest.raises(ModelFormatError, match=message):
            load(folder)


def test_a_digest_depends_on_the_files_and_not_on_their_place(bert: Path, tmp_path: Path) -> None:
    (bert / "README.md").write_text("has no say")
    digest = find_reference(str(bert)).digest
    copied = shutil.copytree(bert, tmp_path / "copy")
    assert find_reference(str(copied)).digest == digest
    edit(copied / "config.json", layer_norm_eps=1e-3)
    assert find_reference(str(copied)).digest != digest


def test_word_vectors_of_glove_and_word2vec_give_one_table(tmp_path: Path) -> None:
    words = ["the", "cat", ".", "a_b"]
    vectors = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    lines = [" ".join([w, *(f"{x:.9g}" for x in v)]) for w, v in zip(words, vectors, strict=True)]
    (tmp_path / "glove.txt").write_text("\n".join(lines))
    (tmp_path / "w2v.vec").write_text("\n".join(["4 5", *lines]))
    pairs = [w.encode() + b" " + v.tobytes() + b"\n" for w, v in zip(words, vectors, strict=True)]
    (tmp_path / "w2v.bin").write_bytes(b"4 5\n" + b"".join(pairs))
    found = [find_reference(str(tmp_path / name)) for name in ("glove.txt", "w2v.vec", "w2v.bin")]
    assert len({reference.digest for reference in found}) == 1
    reference = found[0]
    tokenizer = Tokenizer.load(reference.tokenizer)
    ids = tokenizer.encode(["The cat."])[0]
    table = load_file(reference.folder / "model.safetensors")["embeddings"]
    np.testing.assert_array_equal(table[ids], vectors[:3])
    assert find_reference(str(tmp_path / "glove.txt")).folder == reference.folder
    (tmp_path / "spaces.txt").write_text("cat 1 2\n. . . 3 4\n")  # as some lines of GloVe 840B
    assert read_vectors(tmp_path / "spaces.txt")[0] == ["cat", ". . ."]


@pytest.mark.parametrize("content", ["", "cat 1.0 2.0\ndog 1.0\n", "cat 1.0 nan\n", "cat\n"])
def test_a_file_of_no_word_vectors_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text(content)
    with pytest.raises(DataError, match=r"glove.txt"):
        find_reference(str(tmp_path / "glove.txt"))


def test_a_name_that_leads_nowhere_says_what_to_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match=r"no such folder; name a local folder, a hub id or a"):
        find_reference(str(tmp_path / "nothing"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TextVAEError, match=r"owner/none at revision v1: .*download it") as caught:
        find_reference("owner/none@v1")
    assert "\n" not in str(caught.value)
