"""An untrusted tokenizer.json: only parts with bounded time and memory are loaded."""

from __future__ import annotations

import base64
import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from textvae.data.tokenizers import Tokenizer
from textvae.errors import DataError
from textvae.files.untrusted_tokenizer import is_linear


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
        ({"pre_tokenizer": split({"Regex": "(a+)+$"})}, r"'\(a\+\)\+\$' .* is not allowed"),
        (normalizer(replace({"Regex": "(a|a)*c"}, "")), "linear time"),
        ({"decoder": replace({"Regex": "(a{1000}){1000}"}, "")}, "linear time"),
        ({"pre_tokenizer": split({"Regex": ""})}, "empty"),
        ({"pre_tokenizer": split({"String": ""})}, "empty"),
        (normalizer(*[replace({"String": "a"}, "aa")] * 5), "32 times as long"),
        (normalizer(replace({"Regex": "a"}, "b" * 17)), "17 times as long"),
        (normalizer(*[{"type": "ByteLevel"}] * 3), "3 times"),
        (normalizer(*[{"type": "StripAccents"}] * 33), "33 parts"),
        (normalizer({"type": "Prepend", "prepend": "x" * 17}), "Prepend text"),
        (precompiled(b"x" * 500 + b"\0"), "a character by 500 bytes"),
        (precompiled(b"b\0", _97=300 << 10 | 97), "character map is damaged"),
        (precompiled(b"b\0", _0=1 << 9 | 1 << 10), "character map is damaged"),
        (precompiled(b"b\0", _96=1 << 31 | 2), "character map is damaged"),
        (precompiled("é\0".encode(), _96=1 << 31 | 1), "character map is damaged"),
        (precompiled(b"\xff\0"), "character map is damaged"),
        (normalizer({"type": "Precompiled", "precompiled_charsmap": "AAAA"}), "damaged"),
        (normalizer({"type": "Precompiled", "precompiled_charsmap": "?"}), "cannot|not a"),
        (normalizer({"type": "Magic"}), "'Magic' is not allowed"),
        (normalizer({"pattern": {"Regex": "(a+)+$"}, "content": ""}), "None is not allowed"),
        (normalizer(None), "is missing"),
        ({"normalizer": "NFC"}, "None is not allowed"),
        ({"decoder": {"type": "Strip", "content": "a", "start": 1, "stop": 1}}, "only strip"),
        ({"decoder": {"type": "Strip", "content": "a", "start": 2**40, "stop": 0}}, "only strip"),
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
            "the merge 'a b' does not start with '##'",
        ),
        ({"model": {"type": "Other"}}, "expected BPE"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0], ["b"]]}}, "pairs"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 2**40}}, "unk_id"),
        ({"added_tokens": added(1, id=2**40)}, "not a valid added token"),
        ({"added_tokens": added(1, content="x" * 5_000_000)}, "exceed 4,194,304"),
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
    with pytest.raises(DataError, match="duplicate name 'a'"):
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
        with pytest.raises(DataError, match="cannot encode these texts: "):
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
