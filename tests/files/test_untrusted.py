"""A stranger's model: nothing in it runs, leads elsewhere, hangs, or takes more than it weighs."""

from __future__ import annotations

import ast
import base64
import json
import os
import pickle
import shutil
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from random_models import random_word_model, word_tokenizer
from running import ONE_LINE_ERROR
from safetensors.torch import load_file, save_file
from tokenizers import decoders, models, normalizers, pre_tokenizers

import textvae
from textvae.api import TextVAE
from textvae.config import Config, DataConfig
from textvae.data.tokenizers import Tokenizer
from textvae.errors import (
    ConfigError,
    DataError,
    InvalidError,
    ModelFormatError,
    NotFoundError,
    TextVAEError,
    UsageError,
)
from textvae.files.lock import check_not_training, sole_training
from textvae.files.untrusted import MOST_BYTES, inside, parse_json, parse_toml
from textvae.files.untrusted_tokenizer import is_linear
from textvae.saving.folder import load_model, own_file, read_metrics, save_model
from textvae.training.checkpoints import damage, digest, load_checkpoint, save_checkpoint
from textvae.training.limits import Limits
from textvae.training.run_folder import check_folder
from textvae.training.schedule import Schedule
from textvae.training.state import FORMAT, TrainingState

FILES = ("config.json", "model.safetensors", "tokenizer.json")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    save_model(folder, random_word_model(), word_tokenizer(), DataConfig(max_tokens=8))
    (folder / "experiment.toml").write_text(Config().to_toml())
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    return shutil.copytree(saved, tmp_path / "model")


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# no code


class Bomb:
    """A pickle that makes a file where it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", [*FILES, "experiment.toml"])
def test_a_pickle_under_any_name_is_refused_and_not_run(
    folder: Path, tmp_path: Path, name: str
) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "run"))
    pickle.loads(bomb)
    (tmp_path / "run").unlink()  # so it works
    (folder / name).write_bytes(bomb)
    with pytest.raises(InvalidError, match=name):
        TextVAE.from_pretrained(folder)
    assert not (tmp_path / "run").exists()


def test_pickles_beside_the_model_are_not_read(folder: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "model.pt", "optimizer.pt", "vectors.npz"):
        (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "run")))
    TextVAE.from_pretrained(folder)
    assert not (tmp_path / "run").exists()


def test_code_and_other_models_that_a_folder_names_are_not_fetched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "modeling_own.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    references = {
        "auto_map": {"AutoModel": "modeling_own.OwnModel", "AutoTokenizer": "modeling_own.T"},
        "trust_remote_code": True,
        "base_model": "someone/else",
        "teacher": "../other",
        "_name_or_path": "/etc",
    }
    edit_json(folder / "config.json", **references)
    own = references | {"tokenizer_class": "modeling_own.OwnTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(own))
    (folder / "adapter_config.json").write_text(json.dumps(own))
    import textvae.api.model as api

    fetched: list[str] = []
    monkeypatch.setattr(api, "_download", lambda name: fetched.append(name))
    model = TextVAE.from_pretrained(folder)
    assert model.generate(1) == TextVAE(random_word_model(), word_tokenizer(), Config()).generate(1)
    assert not fetched
    assert not (tmp_path / "run").exists()


def test_no_module_can_unpickle_or_evaluate() -> None:
    """What a stranger's file could be run by is called nowhere."""
    modules = {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
    calls = {"eval", "exec", "compile", "__import__"}
    loads = {("torch", "load"), ("np", "load"), ("numpy", "load")}
    for path in Path(textvae.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            names: set[str] = set()
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").partition(".")[0]}
            assert not names & modules, path
            if isinstance(node, ast.keyword):
                assert node.arg not in ("trust_remote_code", "allow_pickle"), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in calls, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in loads, path


# no way out of the folder


@pytest.mark.parametrize("name", [*FILES, "experiment.toml"])
def test_a_link_out_of_the_folder_is_not_followed(saved: Path, folder: Path, name: str) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(saved / name)
    with pytest.raises(ModelFormatError, match=f"{name} is a link that leads out of the folder"):
        TextVAE.from_pretrained(folder)


@pytest.mark.parametrize("name", ["metrics.jsonl", "README.md"])
def test_nor_is_that_of_a_file_which_is_read_later(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text('{"event": "valid", "best": true, "rec": 1}\n')
    (folder / name).symlink_to(tmp_path / "secret")
    model = TextVAE.from_pretrained(folder)
    with pytest.raises(ModelFormatError, match="leads out of the folder"):
        own_file(folder, name)
    if name == "metrics.jsonl":
        with pytest.raises(ModelFormatError, match="leads out of the folder"):
            _ = model.metrics


def test_links_inside_the_folder_and_of_the_hubs_cache_are_followed(
    saved: Path, tmp_path: Path
) -> None:
    repository = tmp_path / "models--a--b"
    snapshot, blobs = repository / "snapshots" / "0123", repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, name in enumerate(FILES):
        shutil.copy(saved / name, blobs / str(number))
        (snapshot / name).symlink_to(Path("../../blobs") / str(number))
    load_model(snapshot)
    (tmp_path / "other").symlink_to(snapshot)
    load_model(tmp_path / "other")  # a link that the user names
    (blobs / "0").unlink()
    (blobs / "0").symlink_to(saved / FILES[0])
    with pytest.raises(ModelFormatError, match="leads out"):
        load_model(snapshot)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/passwd", "a/b"])
def test_what_is_no_name_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a file"):
        inside(tmp_path, name)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert not inside(tmp_path, "loop").is_file()


def test_writing_goes_over_no_link(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one in a file's place nor one under the name of an unfinished file leads it away."""
    monkeypatch.setattr("secrets.randbelow", lambda most: 7)
    vae = TextVAE.from_pretrained(folder)
    names = [*FILES, "experiment.toml"]
    for name in names:
        (tmp_path / f"mine-{name}").write_text("mine")
        (folder / name).unlink(missing_ok=True)
        for link in (name, f".{name}.7.part"):
            (folder / link).symlink_to(tmp_path / f"mine-{name}")
    vae.save_pretrained(folder)
    assert {(tmp_path / f"mine-{name}").read_text() for name in names} == {"mine"}
    load_model(folder)


def test_a_run_is_not_resumed_over_a_link(folder: Path, tmp_path: Path) -> None:
    (folder / "checkpoints").mkdir()
    (tmp_path / "mine").write_text("mine")
    (folder / "metrics.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(ModelFormatError, match="leads out"):
        check_folder(folder, resume=True, overwrite=False)


def test_a_lock_is_taken_in_the_folder_alone(folder: Path, tmp_path: Path) -> None:
    (folder / ".lock").symlink_to(tmp_path / "elsewhere")
    for use in (check_not_training, lambda out: sole_training(out).__enter__()):
        with pytest.raises(UsageError, match=r"\.lock is a link that leads out .*; remove it"):
            use(folder)
    assert not (tmp_path / "elsewhere").exists()
    (folder / ".lock").unlink()
    os.mkfifo(folder / ".lock")
    with pytest.raises(UsageError, match="is no file; remove it"):
        check_not_training(folder)


@pytest.mark.parametrize("name", ["metrics.jsonl", "experiment.toml", "config.json"])
def test_a_run_does_not_wait_for_a_pipe_in_the_place_of_a_file(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    if name == "config.json":  # a model's folder all the same, by its configuration
        check_folder(folder, resume=False, overwrite=True)
    (folder / "checkpoints").mkdir()
    with pytest.raises(UsageError, match=f"{name} is neither a file nor a folder; remove it"):
        check_folder(folder, resume=True, overwrite=False)


# JSON and TOML


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('[{"b": {"a": 1, "a": 2}}]', "'a' stands twice"),
        ("[" * 17 + "]" * 17, "nested more than 16 deep"),
        ('{"a":' * 17 + "1" + "}" * 17, "nested more than 16 deep"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "digits"),
        ("", "Expecting value"),
    ],
)
def test_json_that_readers_could_take_differently_or_not_at_all(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(text)
    nested = "[" * 16 + "]" * 16
    assert json.dumps(parse_json(nested)) == nested


def test_toml_takes_no_quadratic_time() -> None:
    """tomllib alone needs a minute for the first of these, by the square of the parts of a key."""
    started = time.process_time()
    keys = [".".join("a" * 20_000), " . ".join(['"a."'] * 20_000), ".".join(["'x'"] * 20_000)]
    for text in (*(f"{key} = 1" for key in keys), f"[{keys[0]}]", f"a = {{{keys[0]} = 1}}"):
        with pytest.raises(ValueError, match="more than 32 parts"):
            parse_toml(text)
    files = [f"/data/a.b.c/{n}.x.txt.gz" for n in range(20_000)]
    assert parse_toml(f"train = {json.dumps(files)}") == {"train": files}
    assert time.process_time() - started < 5


def test_a_configuration_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "c.toml").open("wb") as file:
        file.truncate(1 << 40)  # a hole: no disk is used
    with pytest.raises(ConfigError, match=f"longer than {MOST_BYTES:,} bytes"):
        Config.resolve(file=tmp_path / "c.toml")
    (tmp_path / "c.toml").write_text("[data]\n" + "".join(f"k{n} = 1\n" for n in range(5000)))
    with pytest.raises(ConfigError, match=r"data\.k9 is not a known key; and 4,990 more") as caught:
        Config.resolve(file=tmp_path / "c.toml")
    assert len(str(caught.value)) < 1000
    (tmp_path / "c.toml").write_text("[data]\nmax_tokens = '" + "x" * 100_000 + "'\n")
    with pytest.raises(ConfigError) as caught:
        Config.resolve(file=tmp_path / "c.toml")
    assert len(str(caught.value)) < 1000


# sizes


@pytest.mark.parametrize("value", [True, "8", 8.0, [8]])
@pytest.mark.parametrize("key", ["latent_size", "layers", "max_tokens", "pad_id", "format_version"])
def test_only_a_number_is_a_size(folder: Path, key: str, value: Any) -> None:
    path = folder / "config.json"
    if key in ("latent_size", "layers"):
        architecture = json.loads(path.read_text())["architecture"]
        edit_json(path, architecture=architecture | {key: value})
    else:
        edit_json(path, **{key: value})
    with pytest.raises(ModelFormatError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def write_header(path: Path, header: str, data: bytes) -> None:
    path.write_bytes(struct.pack("<Q", len(header.encode())) + header.encode() + data)


BIAS = "output.bias"


def test_a_header_that_claims_too_much_is_refused_before_anything_is_read(folder: Path) -> None:
    path = folder / "model.safetensors"
    header, data = header_of(path)
    claims = [
        {"shape": [10**12]},
        {"shape": [2**62, 2**62]},
        {"shape": [-1]},
        {"shape": [True]},
        {"shape": [1] * 100},
        {"shape": ["10"]},
        {"shape": 10},
        {"data_offsets": [0, 40]},  # over another tensor's
        {"data_offsets": [40, 0]},
        {"data_offsets": [0, 2**63]},
        {"dtype": "I32"},
        {"dtype": "F16"},
        {"dtype": "C64"},
        {"dtype": "pickle"},
        {"dtype": None},
    ]
    for claim in claims:
        write_header(path, json.dumps(header | {BIAS: header[BIAS] | claim}), data)
        with pytest.raises(ModelFormatError, match=r"model\.safetensors"):
            load_model(folder)
    write_header(path, json.dumps(header), data)
    load_model(folder)


def test_two_tensors_of_one_name_are_refused(folder: Path) -> None:
    """safetensors takes the second, and other readers the first."""
    path = folder / "model.safetensors"
    header, data = header_of(path)
    double = json.dumps({BIAS: header[BIAS]})[:-1] + ", " + json.dumps(header)[1:]
    write_header(path, double, data)
    load_file(path)
    with pytest.raises(ModelFormatError, match=rf"'{BIAS}' stands twice"):
        load_model(folder)


def test_a_type_of_numbers_that_is_none_is_not_quoted_at_length(folder: Path) -> None:
    path = folder / "model.safetensors"
    header, data = header_of(path)
    long = {"dtype": "x" * 100_000}
    write_header(path, json.dumps(header | {BIAS: header[BIAS] | long}), data)
    with pytest.raises(ModelFormatError) as caught:
        load_model(folder)
    assert len(str(caught.value)) < 1000


def test_a_name_that_is_too_long_for_a_file_is_not_found(textvae: Any) -> None:
    ran = textvae("info", "x" * 5000)
    assert ran.code == 3
    assert ONE_LINE_ERROR.fullmatch(ran.err)


@pytest.mark.parametrize("length", [2**64 - 1, 2**40, 100_000_000])
def test_a_huge_header_is_not_read(folder: Path, length: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    with path.open("r+b") as file:
        file.truncate(200_000_000)
    with pytest.raises(ModelFormatError, match="no header of at most"):
        load_model(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_are_refused(folder: Path, value: float) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights[BIAS] = weights[BIAS].double()
    weights[BIAS][3] = value
    save_file(weights, path)
    with pytest.raises(ModelFormatError, match=f"{BIAS} has values that are not finite"):
        load_model(folder)


def test_weights_that_lead_to_infinity_are_an_error_and_no_index_out_of_bounds(
    folder: Path,
) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    state = torch.tensor(TextVAE.from_pretrained(folder).encode(["the cat"], layer="encoder"))
    weights["encoder.head.weight"] = 3e38 * state.sign().expand(4, 8).contiguous()
    for name in ("encoder.head.bias", "narrow.weight", "embedding.weight"):
        weights[name] = torch.full_like(weights[name], 3e38)
    save_file(weights, path)
    model = TextVAE.from_pretrained(folder)
    for call in (
        lambda: model.generate(2),
        lambda: model.generate(2, greedy=True),
        lambda: model.generate(2, beams=2),
        lambda: model.generate(2, top_p=0.5),
        lambda: model.encode(["the cat"]),
        lambda: model.reconstruct(["the cat"]),
    ):
        with pytest.raises(ModelFormatError, match="not finite"):
            call()


# tokenizers


def foreign(tmp_path: Path, **parts: Any) -> Path:
    """The file of a tokenizer with such parts, or with changes of its JSON."""
    vocabulary = {"[UNK]": 0, "a": 1, "b": 2, "</s>": 3}
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    state = json.loads(backend.to_str())
    model = parts.pop("model", {})
    state["model"] |= model
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(state | parts))
    return path


def split(pattern: dict[str, str]) -> dict[str, Any]:
    return {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}


def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def normalizer(*parts: Any) -> dict[str, Any]:
    return {"normalizer": {"type": "Sequence", "normalizers": list(parts)}}


def added(n: int, **changes: Any) -> list[dict[str, Any]]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return [{"id": 4 + i, "content": f"<{i}>", **flags, **changes} for i in range(n)]


def character_map(texts: bytes, **changed: int) -> str:
    """A map of sentencepiece that makes the first of the texts of the letter a."""
    units = dict.fromkeys(range(256), 0)
    units[ord("a")] = 1 << 10 | 1 << 8 | ord("a")  # the children are one place off
    units[ord("a") ^ 1] = 1 << 31  # the value: where the text begins
    units |= {int(place[1:]): unit for place, unit in changed.items()}
    trie = struct.pack(f"<{len(units)}I", *units.values())
    return base64.b64encode(struct.pack("<I", len(trie)) + trie + texts).decode()


def precompiled(texts: bytes, **changed: int) -> dict[str, Any]:
    return normalizer(
        {"type": "Precompiled", "precompiled_charsmap": character_map(texts, **changed)}
    )


TEMPLATE = {"type": "TemplateProcessing", "pair": [], "special_tokens": {}}
SEQUENCE = {"Sequence": {"id": "A", "type_id": 0}}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"pre_tokenizer": split({"Regex": "(a+)+$"})}, r"'\(a\+\)\+\$' .* not of a form"),
        (normalizer(replace({"Regex": "(a|a)*c"}, "")), "linear time"),
        ({"decoder": replace({"Regex": "(a{1000}){1000}"}, "")}, "linear time"),
        ({"pre_tokenizer": split({"Regex": ""})}, "empty"),
        ({"pre_tokenizer": split({"String": ""})}, "empty"),
        (normalizer(*[replace({"String": "a"}, "aa")] * 5), "32 times as long"),
        (normalizer(replace({"Regex": "a"}, "b" * 17)), "17 times as long"),
        (normalizer(*[{"type": "ByteLevel"}] * 3), "3 times"),
        (normalizer(*[{"type": "StripAccents"}] * 33), "33 parts"),
        (normalizer({"type": "Prepend", "prepend": "x" * 17}), "prepends"),
        (precompiled(b"x" * 500 + b"\0"), "500 bytes of a char"),
        (precompiled(b"b\0", _97=300 << 10 | 97), "character map is damaged"),
        (precompiled(b"b\0", _0=1 << 9 | 1 << 10), "character map is damaged"),
        (precompiled(b"b\0", _96=1 << 31 | 2), "character map is damaged"),
        (precompiled("é\0".encode(), _96=1 << 31 | 1), "character map is damaged"),
        (precompiled(b"\xff\0"), "character map is damaged"),
        (normalizer({"type": "Precompiled", "precompiled_charsmap": "AAAA"}), "damaged"),
        (normalizer({"type": "Precompiled", "precompiled_charsmap": "?"}), "cannot|not a"),
        (normalizer({"type": "Magic"}), "'Magic' is not among those"),
        (normalizer({"pattern": {"Regex": "(a+)+$"}, "content": ""}), "None is not among"),
        (normalizer(None), "is missing"),
        ({"normalizer": "NFC"}, "None is not among"),
        ({"decoder": {"type": "Strip", "content": "a", "start": 1, "stop": 1}}, "strips"),
        ({"decoder": {"type": "Strip", "content": "a", "start": 2**40, "stop": 0}}, "strips"),
        ({"post_processor": {**TEMPLATE, "single": [SEQUENCE] * 9}}, "repeats the text"),
        ({"model": {"vocab": {"a": 4_000_000_000}}}, "id 4000000000"),
        ({"model": {"vocab": {"a": -1}}}, "id -1"),
        ({"model": {"vocab": None}}, "no vocabulary"),
        ({"model": {"type": "WordPiece", "max_input_chars_per_word": 10**9}}, "at most 1000"),
        ({"model": {"type": "BPE", "merges": [], "dropout": 0.5}}, "dropout"),
        (
            {
                "model": {
                    "type": "BPE",
                    "vocab": {"a": 0, "b": 1, "ab": 2},
                    "merges": ["a b"],
                    "continuing_subword_prefix": "##",
                }
            },
            "the merge 'a b' does not go on with '##'",
        ),
        ({"model": {"type": "Other"}}, "expected BPE"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0], ["b"]]}}, "pairs"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 2**40}}, "unk_id"),
        ({"added_tokens": added(1, id=2**40)}, "an added token is none"),
        ({"added_tokens": added(1, content="x" * 5_000_000)}, "more than 4,194,304"),
        ({"added_tokens": [0] * 100_001}, "at most 100,000"),
    ],
)
def test_a_tokenizer_that_could_hang_or_blow_up_is_refused(
    tmp_path: Path, parts: dict[str, Any], reason: str
) -> None:
    path = foreign(tmp_path, **parts)
    with pytest.raises(DataError, match=reason) as caught:
        Tokenizer.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tokenizer_file_that_is_too_long_or_ambiguous_is_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path)
    text = path.read_text()
    path.write_text(text.replace('"a": 1', '"a": 1, "a": 2'))
    with pytest.raises(DataError, match="'a' stands twice"):
        Tokenizer.load(path)
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="longer than"):
        Tokenizer.load(path)


LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
USED = [
    LLAMA_3,
    LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}"),  # Qwen 2
    O200K,
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",  # GPT-2
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    " {2,}",
    r"\s+",
    "[0-9][0-9][0-9]",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",  # BLOOM
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+| ?[\p{P}\p{S}]+[\r\n]*",  # DeepSeek 3
    r"[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*",  # GPT-4
]
ENDLESS = [
    "(a+)+$", "(a|aa)+$", "(.*)*x", "a*a*a*b", ".*.*=.*", r"(\w+\s?)*$", "a+a+a+b", "x?x?x?x?xxxx",
    "(?=(a+))a*b", r"(a)\1*b", "a{1000}{1000}", "(a{999}){999}", "a**", "a+b", "a++b", ".*?b",
    r"\s*[\r\n]+", r"\s+$", "a|b*", "[", "(", "a{5000}", "a{0,5}", "[[a]&&[b]]+",
]  # fmt: skip


def test_regular_expressions_that_are_used_are_known_and_endless_ones_are_not() -> None:
    assert [pattern for pattern in USED if not is_linear(pattern)] == []
    assert [pattern for pattern in ENDLESS if is_linear(pattern)] == []


@pytest.mark.parametrize("pattern", USED)
def test_they_take_time_that_grows_with_the_text(tmp_path: Path, pattern: str) -> None:
    tokenizer = Tokenizer.load(foreign(tmp_path, pre_tokenizer=split({"Regex": pattern})))
    n = 20_000  # at quadratic time, minutes
    texts = ["a" * n, "A" * n, " " * n, " \n" * n, "'" * n, "1" * n, "a " * n, ".\r" * n, "你" * n]
    started = time.process_time()
    tokenizer.encode(texts)
    assert time.process_time() - started < 5


def test_harmless_parts_of_tokenizers_are_taken(tmp_path: Path) -> None:
    backend = tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0, "▁a": 1}, unk_token="[UNK]"))
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace(tokenizers.Regex(" {2,}"), " "),
            normalizers.Replace("''", '"'),
            normalizers.Replace(" ", "▁"),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    assert tokenizer.encode(["Á"]) == [[1]]
    assert tokenizer.decode([[1]]) == [" a"]


def test_a_whole_character_map_is_taken(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(foreign(tmp_path, **precompiled("b\0é\0".encode())))
    assert tokenizer.encode(["a", "b", "c"]) == [[2], [2], [0]]


def test_what_a_tokenizer_has_no_token_for_is_a_data_error(tmp_path: Path) -> None:
    for model in ({"unk_token": "none"}, {"type": "Unigram", "vocab": [["a", 0.0]]}):
        tokenizer = Tokenizer.load(foreign(tmp_path, model=model))
        with pytest.raises(DataError, match="cannot read these texts: "):
            tokenizer.encode(["zzz"])


def test_what_the_library_quotes_of_a_file_stays_short(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Unknown tokenizer version") as caught:
        Tokenizer.load(foreign(tmp_path, version="x" * 100_000))
    assert len(str(caught.value)) < 1000


def test_ids_may_have_gaps(tmp_path: Path) -> None:
    """The embedding has a row for each id, not for each token."""
    tokenizer = Tokenizer.load(foreign(tmp_path, model={"vocab": {"[UNK]": 0, "a": 90}}))
    [[last]] = tokenizer.encode(["a"])
    assert last == 90 < tokenizer.vocab_size
    assert max(tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id) < tokenizer.vocab_size


# checkpoints


def small_run(out: Path) -> tuple[Any, torch.optim.Optimizer]:
    """A checkpoint of a model after one step of Adam."""
    model = random_word_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    sum(p.square().sum() for p in model.parameters()).backward()
    optimizer.step()
    save_checkpoint(out, model, optimizer, TrainingState(step=1), {}, keep=1)
    return model, optimizer


def resume(out: Path) -> TrainingState:
    model = random_word_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    return load_checkpoint(out, model, optimizer, lambda tensors: None, lambda text: None)


def sign(checkpoint: Path) -> None:
    """Have the digests fit what was changed, as a stranger would."""
    digests = {p.name: digest(p) for p in checkpoint.iterdir() if p.name != "sha256.json"}
    (checkpoint / "sha256.json").write_text(json.dumps(digests), encoding="utf-8")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    small_run(tmp_path / "run")
    assert resume(tmp_path / "run").step == 1
    return tmp_path / "run" / "checkpoints" / "step-000000001"


@pytest.mark.parametrize(
    "digests",
    [{"../../../secret": "0"}, {"/dev/zero": "0"}, {"sub/file": "0"}, [], {}, {"state.json": "0"}],
)
def test_digests_lead_nowhere_else_and_leave_nothing_out(
    checkpoint: Path, tmp_path: Path, digests: Any
) -> None:
    """Reading /dev/zero to its end would never end."""
    (tmp_path / "secret").write_text("x")
    path = checkpoint / "sha256.json"
    right = json.loads(path.read_text())
    complete = isinstance(digests, dict) and any("/" in name for name in digests)
    path.write_text(json.dumps(right | digests if complete else digests))
    assert damage(checkpoint) is not None
    with pytest.raises(ModelFormatError, match="no checkpoint is complete"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "optimizer.safetensors"])
def test_a_checkpoint_of_links_is_refused(checkpoint: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(checkpoint / name, tmp_path / name)
    (checkpoint / name).unlink()
    (checkpoint / name).symlink_to(tmp_path / name)
    with pytest.raises(ModelFormatError, match="no checkpoint is complete"):
        resume(tmp_path / "run")


def test_a_checkpoint_that_is_a_link_itself_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    """All its files would lie inside of what it leads to."""
    checkpoint.rename(tmp_path / "elsewhere")
    checkpoint.symlink_to(tmp_path / "elsewhere")
    assert "leads out of the folder" in str(damage(checkpoint))
    with pytest.raises(ModelFormatError, match="no checkpoint is complete"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "optimizer.safetensors"])
def test_a_checkpoint_of_pipes_is_not_waited_for(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    os.mkfifo(checkpoint / name)
    assert damage(checkpoint) == f"{name} does not match its digest"


def test_a_checkpoint_without_digests_is_none(checkpoint: Path) -> None:
    (checkpoint / "sha256.json").unlink()
    assert damage(checkpoint) == "it has no sha256.json"


@pytest.mark.parametrize(
    "change",
    [
        {"step": "1"}, {"step": -1}, {"step": True}, {"step": 1.5}, {"step": 10**30}, {"hats": 1},
        {"eval_steps": 0}, {"closing_seconds": -1}, {"best": "low"}, {"seconds": float("nan")},
        {"window": {"loss": "x"}}, {"window": {"loss": float("inf")}}, {"window": {"\x1b[": 1.0}},
        {"window": []}, {"\x1b\n": 1}, {"target_kl": ["x"]},
        {"aggressive": []}, {"rollbacks": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_state_that_cannot_be_is_refused(checkpoint: Path, change: dict[str, Any]) -> None:
    edit_json(checkpoint / "state.json", **change)
    sign(checkpoint)
    with pytest.raises(ModelFormatError, match="damaged checkpoint") as caught:
        resume(checkpoint.parent.parent)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("state", [[], 3, None, "step", {"format": FORMAT, "step": {"step": 1}}])
def test_a_state_of_another_form_is_refused(checkpoint: Path, state: Any) -> None:
    (checkpoint / "state.json").write_text(json.dumps(state))
    sign(checkpoint)
    with pytest.raises(ModelFormatError, match=r"damaged checkpoint: state\.json") as caught:
        resume(checkpoint.parent.parent)
    assert "\n" not in str(caught.value)


def test_a_state_of_another_method_is_refused() -> None:
    config = Config.resolve(options={"aggressive": True})
    one = type("One", (), {"count": 1, "is_main": True})()
    limits, cpu = Limits(100, None), torch.device("cpu")
    schedule = Schedule(config, limits, 0.1, TrainingState(), one, cpu)
    good = {"active": True, "mi": None, "updates": 3, "decoder_is_due": False, "before": 1.0}
    for change in ({"updates": "3"}, {"window": {"x": 1}}, {"mi": "x"}, {"active": 1}):
        bad = {**good, "window": {}, **change}
        with pytest.raises(ModelFormatError, match="aggressive"):
            schedule.restore(TrainingState(aggressive=bad))
    schedule.restore(TrainingState(aggressive={**good, "window": {}}))
    held = Config.resolve(options={"target_kl": 4.0})
    schedule = Schedule(held, limits, 0.1, TrainingState(), one, cpu)
    with pytest.raises(ModelFormatError, match="target_kl has 1 numbers"):
        schedule.restore(TrainingState(target_kl=[0.0]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("embedding.weight/exp_avg", torch.zeros(3)),
        ("embedding.weight/exp_avg", torch.full((10, 4), torch.nan)),
        ("embedding.weight/exp_avg_sq", torch.full((10, 4), -1.0)),
        ("embedding.weight/exp_avg", torch.zeros(10, 4, dtype=torch.float16)),
        ("embedding.weight/step", torch.tensor(-1.0)),
        ("embedding.weight/step", torch.zeros(2)),
        ("embedding.weight/other", torch.zeros(10, 4)),
        ("nothing/step", torch.tensor(1.0)),
        ("embedding.weight/step", None),
    ],
    ids=range(9),
)
def test_an_optimizer_state_that_would_spoil_the_weights_is_refused(
    checkpoint: Path, key: str, value: torch.Tensor | None
) -> None:
    path = checkpoint / "optimizer.safetensors"
    tensors = load_file(path)
    if value is None:
        del tensors[key]
    else:
        tensors[key] = value
    save_file(tensors, path)
    sign(checkpoint)
    with pytest.raises(ModelFormatError, match=r"damaged checkpoint: .*"):
        resume(checkpoint.parent.parent)


# what is told


HOSTILE = "\x1b[2J\x9b31m\x07\r\n\u202eevil\u2066\u2028\x7f"


@pytest.mark.parametrize("as_json", [False, True])
def test_info_prints_no_control_characters(folder: Path, textvae: Any, as_json: bool) -> None:
    data = {"text_column": HOSTILE, "train": (HOSTILE, "hf:someone/else"), "cache_dir": HOSTILE}
    config = Config().model_copy(update={"data": DataConfig().model_copy(update=data)})
    (folder / "experiment.toml").write_text(config.to_toml(), encoding="utf-8")
    record = {"event": "valid", "best": True, "rec": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}}
    (folder / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    ran = textvae("info", folder, *(["--json"] if as_json else []))
    assert ran.code == 0
    assert "evil" in ran.out
    unseen = {c for c in ran.out + ran.err if not c.isprintable()}
    assert unseen == {"\n"}
    if as_json:
        assert json.loads(ran.out)["metrics"] == record


def test_errors_about_a_folder_print_no_control_characters(folder: Path, textvae: Any) -> None:
    weights = load_file(folder / "model.safetensors")
    for file, change in (
        ("config.json", lambda path: edit_json(path, format_version=HOSTILE)),
        ("config.json", lambda path: edit_json(path, format_version=1, architecture={HOSTILE: 1})),
        (
            "model.safetensors",
            lambda path: save_file(weights | {HOSTILE: torch.zeros(1)}, path),
        ),
    ):
        copy = shutil.copytree(folder, folder.parent / "copy", dirs_exist_ok=True)
        change(copy / file)
        ran = textvae("info", copy)
        assert ran.code == 4
        assert ONE_LINE_ERROR.fullmatch(ran.err), ran.err
        assert {c for c in ran.err if not c.isprintable()} == {"\n"}


def test_of_all_metrics_one_record_is_kept_at_a_time(folder: Path) -> None:
    """Ten thousand records of nothing but lists would take a gigabyte, the file 70 MB."""
    record = json.dumps({"event": "train", "all": [[]] * 20_000}) + "\n"
    best = '{"event": "valid", "best": true, "step": %d}\n'
    (folder / "metrics.jsonl").write_text(best % 1 + record * 20 + best % 2 + record * 20)
    model = TextVAE.from_pretrained(folder)
    tracemalloc.start()
    try:
        assert model.metrics["step"] == 2
        assert tracemalloc.get_traced_memory()[1] < 10 << 20  # all at once, 45 MiB
    finally:
        tracemalloc.stop()


def test_a_folder_whose_name_is_not_utf_8_is_called_so(saved: Path, tmp_path: Path) -> None:
    try:
        odd = shutil.copytree(saved, tmp_path / os.fsdecode(b"mod\xff"))
    except OSError:  # a file system that has no such names
        pytest.skip("no such names here")
    with pytest.raises(ModelFormatError, match=r"mod.udcff': not valid UTF-8; rename the folder"):
        load_model(odd)


@pytest.mark.parametrize(
    "line", ["{", "[]", "3", "[" * 2000, '{"event": 1, "event": 2}', '{"a": "' + "x" * (1 << 20)]
)
def test_a_damaged_line_of_the_metrics_is_named(folder: Path, textvae: Any, line: str) -> None:
    (folder / "metrics.jsonl").write_text(f'{{"event": "train"}}\n{line}\n')
    ran = textvae("info", folder)
    assert ran.code == 4
    assert "metrics.jsonl, line 2: " in ran.err
    assert ONE_LINE_ERROR.fullmatch(ran.err)
    assert len(ran.err) < 1000


def test_a_line_that_is_being_written_is_no_record_yet(folder: Path) -> None:
    (folder / "metrics.jsonl").write_text('{"event": "valid", "best": true}\n{"event": "val')
    assert list(read_metrics(folder)) == [{"event": "valid", "best": True}]
    with pytest.raises(NotFoundError):
        load_model(folder / "nothing")


def test_a_device_in_the_place_of_a_file_is_none(folder: Path) -> None:
    (folder / "metrics.jsonl").unlink(missing_ok=True)
    os.mkfifo(folder / "metrics.jsonl")  # opening it would wait for a writer
    assert list(read_metrics(folder)) == []
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/dev/zero")
    with pytest.raises(TextVAEError):
        load_model(folder)
