"""Seeded changes of files and arguments, by their structure or byte by byte; see fuzz.py."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

NUMBERS = [
    0, -1, 1, 2, 3, 5, 7, 8, 16, 64, 255, 4096, 65536, 65537, 10**6, 10**9, 10**12, 2**31 - 1,
    2**31,
    2**32, 2**53, 2**63, 2**64, 10**30, 10**5000, 0.5, -0.0, 1e-320, 1e38, 1e308, float("nan"),
    float("inf"), -float("inf"),
]  # fmt: skip
TEXTS = [
    "", "a", "8", "0x10", "true", "\x00", "\x1b[31m", "\x9b2J", "\u202eevil", "\u2028", "\ud800",
    "é" * 50, "👩‍👩‍👧", "x" * 100_000, "../../../etc/passwd", "/etc/passwd", "/dev/zero",
    "file:///etc",
    "hf:someone/else", "someone/else", "__class__", "{}", "%s%n", "gru", "lstm", "transformer",
    "vae",
    "ae", "lm", "mean", "attention", "last", "learned", "nfc", "nfkc", "model.safetensors", "<eos>",
]  # fmt: skip
CONTAINERS: list[Any] = [[], {}, [[]], {"a": {"b": [1]}}, [None], ["a", 1], {"type": "Sequence"}]
REGEXES = ["(a+)+$", "(.*)*x", "a", r"\s+", r" ?\p{L}+", "[a-z]{2,}", "(", "", "a{1000}{1000}",
           ".*",
           r"(?i:'s|'t|'re|'ve|'m|'ll|'d)", r"\s+(?!\S)|\s+", "x?x?x?x?xxxx"]  # fmt: skip


def changed(chance: random.Random, content: bytes, form: str) -> tuple[bytes, list[str]]:
    """The content after one to three changes, and what they were."""
    changes = []
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        by_structure = chance.random() < 0.8
        change = CHANGES[form] if by_structure else change_bytes
        try:
            content, what = change(chance, content)
        except (
            ValueError,
            RecursionError,
            LookupError,
            AttributeError,
            TypeError,
            OverflowError,
        ):  # an earlier change broke it
            content, what = change_bytes(chance, content)
        changes.append(what)
    return content, changes


def change_bytes(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """Flip, cut, take out, double, swap, fill or insert some bytes."""
    data = bytearray(content)
    what = chance.choice(["flip", "cut", "remove", "double", "swap", "fill", "insert", "digit"])
    a, b = sorted(chance.randint(0, len(data)) for _ in range(2))
    b = min(b, a + chance.choice([1, 4, 64, 4096]))
    if what == "flip":
        for _ in range(chance.choice([1, 1, 3, 20])):
            if data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif what == "cut":
        del data[a:]
    elif what == "remove":
        del data[a:b]
    elif what == "double":
        data[b:b] = data[a:b] * chance.choice([1, 2, 50])
    elif what == "swap":
        c = min(b + (b - a), len(data))
        data[a:c] = data[b:c] + data[a:b]
    elif what == "fill":
        data[a:b] = bytes([chance.choice([0, 255, 32, 91, 34])]) * (b - a)
    elif what == "insert":
        hostile = [b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 5000, b'"', b"\x1b[2J", b"9" * 40]
        data[a:a] = chance.choice(hostile)
    else:
        places = [place for place, value in enumerate(data) if 48 <= value < 58]
        if places:
            data[chance.choice(places)] = chance.choice(b"0123456789")
    return bytes(data), f"{what} at {a}"


def change_json(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """Change a value, a name or the order somewhere in a JSON document."""
    value, what = changed_value(chance, json.loads(content))
    text = dump_json(chance, value)
    if chance.random() < 0.03 and text.startswith("{"):
        name, double = chance.choice(list(value) or ["a"]), chance.choice(NUMBERS + TEXTS)
        text = f"{{{json.dumps(name)}: {dump_json(chance, double)}, {text[1:]}"
        what += f"; {name} twice"
    return text.encode("utf-8", "surrogatepass"), what


def dump_json(chance: random.Random, value: Any) -> str:
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(value, ensure_ascii=chance.random() < 0.7)
    finally:
        sys.set_int_max_str_digits(4300)


def changed_value(chance: random.Random, value: Any) -> tuple[Any, str]:
    """A copy of a JSON value with one change somewhere inside, and what that is."""
    if isinstance(value, dict) and value and chance.random() < 0.75:
        name = chance.choice(list(value))
        copy = dict(value)
        if chance.random() < 0.12:
            what = chance.choice(["deleted", "renamed", "added"])
            if what != "added":
                moved = copy.pop(name)
            if what == "renamed":
                copy[chance.choice([*TEXTS, name.upper(), name + "s"])] = moved
            elif what == "added":
                copy[chance.choice([*TEXTS, "auto_map", "base_model", "teacher"])] = hostile(chance)
            return copy, f"{name} {what}"
        copy[name], what = changed_value(chance, value[name])
        return copy, f"{name}: {what}"
    if isinstance(value, list) and value and chance.random() < 0.75:
        copy, place = list(value), chance.randrange(len(value))
        what = chance.choice(["deleted", "doubled", "many", *["changed"] * 5])
        if what == "deleted":
            del copy[place]
        elif what == "doubled":
            copy.insert(place, copy[place])
        elif what == "many":
            copy += [copy[place]] * 2000
        else:
            copy[place], what = changed_value(chance, copy[place])
        return copy, f"[{place}] {what}"
    if type(value) in (int, float) and chance.random() < 0.4:
        new: Any = value + chance.choice([-1, 1, 0.5]) if chance.random() < 0.6 else -value
    elif isinstance(value, str) and value and chance.random() < 0.4:
        place = chance.randrange(len(value))
        new = value[:place] + chance.choice(["", "\x1b", "a", value]) + value[place + 1 :]
    else:
        new = hostile(chance)
    return new, f"{short(value)} -> {short(new)}"


def hostile(chance: random.Random) -> Any:
    """A value that is not expected anywhere."""
    kind = chance.random()
    if kind < 0.4:
        return chance.choice(NUMBERS)
    if kind < 0.7:
        return chance.choice(TEXTS)
    if kind < 0.85:
        return chance.choice([None, True, False])
    if kind < 0.97:
        return chance.choice(CONTAINERS)
    value: Any = 0
    for _ in range(chance.choice([10, 100, 400])):
        value = [value]
    return value


def short(value: Any) -> str:
    sys.set_int_max_str_digits(0)
    text = repr(value)
    sys.set_int_max_str_digits(4300)
    return text if len(text) < 60 else f"{text[:50]}... of {len(text)}"


def change_jsonl(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """Change one line."""
    lines = content.splitlines()
    place = chance.randrange(len(lines))
    lines[place], what = change_json(chance, lines[place])
    return b"\n".join(lines) + chance.choice([b"\n", b"\n", b""]), f"line {place + 1}: {what}"


def change_tokenizer(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """Change a value, or put another part in, known or unknown."""
    if chance.random() < 0.4:
        return change_json(chance, content)
    state = json.loads(content)
    places = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers",
              "post_processor": "processors", "decoder": "decoders"}  # fmt: skip
    what = chance.choice([*places, "vocab", "model"])
    if what in places:
        parts = [part(chance) for _ in range(chance.choice([1, 1, 2, 4, 40]))]
        old = state.get(what)
        if old is not None and chance.random() < 0.5:
            parts.append(old)
        whole = {"type": "Sequence", places[what]: parts}
        state[what] = parts[0] if len(parts) == 1 else whole
        said = f"{what} {short(parts)}"
    elif what == "vocab":
        said = change_vocabulary(chance, state)
    else:
        extras = {
            "dropout": [0.1, 0, None, 1], "unk_token": ["<unk>", "no", None],
            "continuing_subword_prefix": ["##", "x" * 1000], "byte_fallback": [True],
            "end_of_word_suffix": ["</w>", "x" * 1000], "fuse_unk": [True], "unk_id": [0, 10**9, 3],
            "max_input_chars_per_word": [100, 10**12, -1], "ignore_merges": [True],
            "type": ["BPE", "Unigram", "WordPiece", "WordLevel", "Other", None],
        }  # fmt: skip
        name = chance.choice(list(extras))
        state["model"][name] = chance.choice(extras[name])
        said = f"model.{name} {short(state['model'][name])}"
    return dump_json(chance, state).encode("utf-8", "surrogatepass"), said


def change_vocabulary(chance: random.Random, state: dict[str, Any]) -> str:
    """Ids with gaps or twice, tokens of any length, added tokens."""
    vocabulary = state["model"]["vocab"]
    if chance.random() < 0.4:
        count = chance.choice([1, 1, 100, 5000])
        start = chance.choice([0, 3, len(vocabulary), 10**6, 2**22, 4_000_000_000])
        special = chance.random() < 0.5
        flags = {"special": special, "lstrip": False, "rstrip": False, "single_word": False,
                 "normalized": not special}  # fmt: skip
        for n in range(count):
            text = chance.choice(["the", "", " ", "<x>", f"<{n}>", "</s>", "[PAD]"])
            state["added_tokens"].append({"id": start + n, "content": text, **flags})
        return f"{count} added tokens from {start}"
    token = chance.choice([*TEXTS, "new", "the", "y" * 5000])
    place = chance.choice([0, 2, 10**5, 2**22, 2**32 - 1, 2**32, -1, 0.5, "1"])
    if isinstance(vocabulary, dict):
        vocabulary[token] = place
    else:
        vocabulary.append([token, place])
    return f"vocab {short(token)}: {place}"


def part(chance: random.Random) -> dict[str, Any]:
    """A part of a normalizer, pre-tokenizer, post-processor or decoder."""
    regex, text = chance.choice(REGEXES), chance.choice([" ", "a", "aa", "", "▁", "x" * 5000])
    pattern = chance.choice([{"Regex": regex}, {"String": text}])
    return chance.choice([
        {"type": "Replace", "pattern": pattern, "content": chance.choice(["", "b", "aa", "▁▁▁"])},
        {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False},
        {"type": "Prepend", "prepend": text},
        {"type": "Strip", "strip_left": True, "strip_right": True},
        {"type": "Strip", "content": " ", "start": chance.choice([0, 1, 2**40]),
         "stop": chance.choice([0, 1, 2**40])},
        {"type": "Precompiled",
         "precompiled_charsmap": chance.choice(["", "AAAA", "BAAAAAAAAABhAA==", "?"])},
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        {"type": "Metaspace", "replacement": chance.choice(["▁", "ab"]), "prepend_scheme": "always",
         "split": True},
        {"type": "TemplateProcessing",
         "single": [{"Sequence": {"id": "A", "type_id": 0}}] * chance.choice([1, 2, 500]),
         "pair": [], "special_tokens": {}},
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
         "strip_accents": None, "lowercase": True},
        {"type": "Digits", "individual_digits": True},
        {"type": "Punctuation", "behavior": "Isolated"},
        {"type": "FixedLength", "length": chance.choice([0, 1, 5])},
        {"type": "CharDelimiterSplit", "delimiter": "a"},
        {"type": "WordPiece", "prefix": "##", "cleanup": True},
        {"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": True},
        {"type": "BPEDecoder", "suffix": "</w>"},
        {"type": "Sequence", "normalizers": [], "pretokenizers": [], "processors": [],
         "decoders": []},
        *({"type": name} for name in (
            "NFC", "NFKD", "Lowercase", "Nmt", "Whitespace", "WhitespaceSplit",
            "BertPreTokenizer", "UnicodeScripts", "Fuse", "ByteFallback", "StripAccents", "Unknown",
        )),
    ])  # fmt: skip


def change_safetensors(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """Change the header as JSON, its length, or the numbers."""
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], bytearray(content[8 + length :])
    what = chance.choice(["header", "header", "header", "length", "numbers", "numbers", "more"])
    if what == "header":
        header, said = change_json(chance, header)
    elif what == "length":
        length = chance.choice([0, 1, length - 1, length + 1, 2**20, 2**32, 2**63, 2**64 - 1])
        return length.to_bytes(8, "little") + header + data, f"length {length}"
    elif what == "numbers":
        bits = chance.choice(
            [0x7FC00000, 0x7F800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7149F2CA, 0x3F800000]
        )
        first = 4 * chance.randrange(max(len(data) // 4, 1))
        last = min(first + 4 * chance.choice([1, 1, 100, 10**6]), len(data))
        data[first:last] = bits.to_bytes(4, "little") * ((last - first) // 4)
        said = f"{(last - first) // 4} numbers are {bits:x}"
    else:
        more = chance.choice([b"\x00", bytes(400), bytes(10**6)])
        data += more
        said = f"{len(more)} more bytes"
    return len(header).to_bytes(8, "little") + header + data, said


FLOATS = [0.0, -1.0, 1.0, 1e-320, 1e38, 1e39, 1e308, float("nan"), float("inf"), -float("inf")]


def change_described(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """Change the description of a file of `described_tensors`, or its numbers and their digest."""
    if chance.random() < 0.25:
        return change_safetensors(chance, content)
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), bytearray(content[8 + length :])
    described = json.loads(header["__metadata__"]["textvae"])
    if chance.random() < 0.6:
        described, said = changed_value(chance, described)
    else:
        first = 8 * chance.randrange(max(len(data) // 8, 1))
        last = min(first + 8 * chance.choice([1, 1, 4, 10**6]), len(data))
        value = chance.choice(FLOATS)
        data[first:last] = struct.pack("<d", value) * ((last - first) // 8)
        parts = (header[name]["data_offsets"] for name in sorted(header) if name[:2] != "__")
        described["sha256"] = hashlib.sha256(b"".join(data[a:b] for a, b in parts)).hexdigest()
        said = f"{(last - first) // 8} numbers are {value}"
    header["__metadata__"]["textvae"] = dump_json(chance, described)
    renewed = json.dumps(header).encode()
    return len(renewed).to_bytes(8, "little") + renewed + bytes(data), said


def change_packed(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """Change the header or the blocks of a file of `textvae compress`, all checksums renewed."""
    from textvae.errors import DataError
    from textvae.files.compressed_blocks import Block, BlockReader, BlockWriter, packed_lines

    try:
        reader = BlockReader(io.BytesIO(content), "packed")
        header, blocks, new = reader.header, list(reader.blocks()), io.BytesIO()
    except DataError as error:  # an earlier change broke the file
        raise ValueError from error
    digest, newline = reader.digest, reader.ends_with_newline
    place, said = chance.randrange(len(blocks)), "header"
    block = blocks[place]
    what = chance.choice(["header", "lines", "tokens", "tokens", "others", "blocks", "end"])
    if what == "header":
        header, said = changed_value(chance, header)
    elif what == "lines":
        n_lines = max(1, chance.choice([block.n_lines - 1, block.n_lines + 1, 1, 1024, 10**6]))
        block, said = Block(n_lines, block.tokens, block.others), f"{n_lines} lines"
    elif what == "tokens":
        tokens, said = change_bytes(chance, block.tokens)
        block = Block(block.n_lines, tokens, block.others)
    elif what == "others":
        lines = {chance.choice([0, 1, 99, 10**6]): chance.choice([b"", b"\n", b"a" * 10**6])}
        others, said = change_bytes(chance, packed_lines(lines))
        if chance.random() < 0.5:
            others, said = packed_lines(lines), f"lines {list(lines)}"
        block = Block(block.n_lines, block.tokens, others)
    elif what == "blocks":
        blocks, said = blocks * chance.choice([0, 2, 100]), "blocks"
    else:
        digest, newline, said = bytes(32), not newline, "end"
    if blocks:
        blocks[place] = block
    writer = BlockWriter(new, header if isinstance(header, dict) else {"header": header})
    for one in blocks:
        writer.add(one)
    writer.finish(ends_with_newline=newline, digest=digest)
    return new.getvalue(), f"{what}: {said}"


TOML_VALUES = [
    "1", "-1", "0", "0.5", "1e400", "nan", "inf", "true", '""', '"a"', "'/etc/passwd'", "[]", "{}",
    "[1, 'a']", "{a = 1}", "1979-05-27", "07:32:00", "9" * 30, "9" * 5000, "0x10",
    "[" * 400 + "]" * 400,
    '"\\u001b[31m"', '"hf:someone/else"', '"' + "x" * 10_000 + '"', "'''\nx\n'''", "65536", "1_000",
]  # fmt: skip


def change_toml(chance: random.Random, content: bytes) -> tuple[bytes, str]:
    """Change, double, delete or add a line."""
    lines = content.decode("utf-8").split("\n")
    place = chance.randrange(len(lines))
    what = chance.choice(["value", "value", "value", "value", "double", "delete", "key", "line"])
    key, equals, _ = lines[place].partition(" = ")
    if what == "value" and equals:
        lines[place] = f"{key} = {chance.choice(TOML_VALUES)}"
    elif what == "key" and equals:
        new = chance.choice([key + "s", key.upper(), "a.b", '"\\u001b"', "model.latent_size", '""'])
        lines[place] = lines[place].replace(key, new, 1)
    elif what == "double":
        lines.insert(place, lines[place])
    elif what == "delete":
        del lines[place]
    else:
        added = [
            "[model]",
            "[hats]",
            "[[data]]",
            "a = 1",
            "[a.b.c]",
            "x.y = 1",
            ".".join("a" * 30_000),
        ]
        lines.insert(place, chance.choice([*added, f"beta = {chance.choice(TOML_VALUES)}"]))
    return "\n".join(
        lines
    ).encode(), f"{what} in line {place + 1}: {short(lines[place : place + 1])}"


CHANGES: dict[str, Callable[[random.Random, bytes], tuple[bytes, str]]] = {
    "json": change_json, "jsonl": change_jsonl, "tokenizer": change_tokenizer, "toml": change_toml,
    "safetensors": change_safetensors, "described": change_described, "packed": change_packed,
}  # fmt: skip


class Bomb:
    """A pickle that runs a command where it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pickle-was-run",)


def replace_file(chance: random.Random, path: Path, other: Path) -> str:
    """Put nothing, a folder, a link, a pickle, or the `other` file in the place of a file."""
    what = chance.choice(["gone", "empty", "folder", "link", "loop", "device", "pickle", "other"])
    path.unlink()
    if what == "empty":
        path.touch()
    elif what == "folder":
        path.mkdir()
    elif what == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    elif what == "other":
        path.write_bytes(other.read_bytes())
    elif what != "gone":
        links = {"link": other, "loop": path, "device": "/dev/zero"}
        path.symlink_to(links[what])
    return what


# arguments

VALUES = ["", "-", "--", "-1", "0", "1", "3", "1e3", "nan", "inf", "-inf", "0x10", "２", "a", "all",
          "a\nb", "\x1b[31mred", "\u202e", "x" * 5000, "../..", "/dev/null", "/nowhere", "*",
          "[", "~",
          "hf:", "hf:a@b:c:d", "model.latent_size=", "a=b", "model.x=1", "99999999999999999999",
          "9223372036854775808", "0.5", "-0.0", "true", "None", "[]", "cuda:99", "meta", "cpu", "é",
          "1,2", "int8", "slerp", "latent", "encoder"]  # fmt: skip
FEW = ("-n", "--steps", "--samples", "--beams", "-k", "--quality", "--folds", "--bootstrap",
       "--draws", "--copies", "--pool")  # fmt: skip
OPTIONS = ["--json", "--quiet", "--seed", "-n", "--device", "--greedy", "--top-k", "--top-p",
           "--beams",
           "--temperature", "--min-tokens", "--max-tokens", "--scale", "--near", "--layer",
           "--sample",
           "--normalize", "--quantize", "--with-variance", "--limit", "--samples", "--truncate",
           "--text-column", "--label-column", "--per-sentence", "--set", "--recipe", "--config",
           "--help",
           "--version", "--beta", "--free-bits", "--hats", "-x", "--steps", "--method",
           "--strength", "--spread", "--prior", "--units", "--unit", "--by", "--how", "--overlap",
           "--pool", "--copies", "--metric", "--without-query", "--threshold", "--quantile",
           "--measure", "--reference", "--factors", "--groups", "--simple"]  # fmt: skip


def changed_arguments(chance: random.Random, command: list[str]) -> tuple[list[str], list[str]]:
    """A working command after one to three changes that ask for no long work."""
    arguments = list(command)
    changes = []
    for _ in range(chance.choice([1, 1, 2, 3])):
        what = chance.choice(
            ["value", "value", "value", "drop", "double", "swap", "option", "option"]
        )
        place = chance.randrange(1, len(arguments)) if len(arguments) > 1 else 0
        if what == "value":
            arguments[place] = chance.choice(VALUES)
        elif what == "drop":
            del arguments[place]
        elif what == "double":
            arguments.insert(place, arguments[place])
        elif what == "swap":
            other = chance.randrange(len(arguments))
            arguments[place], arguments[other] = arguments[other], arguments[place]
        else:
            option = chance.choice(OPTIONS)
            value = [chance.choice(VALUES)] if chance.random() < 0.6 else []
            arguments[place:place] = [option, *value]
        changes.append(what)
    return harmless(arguments), changes


def harmless(arguments: list[str]) -> list[str]:
    """The arguments where they neither ask for endless work nor write outside the folder."""
    kept = [argument.replace("\x00", "") for argument in arguments]
    for before, place in zip(kept, range(1, len(kept)), strict=False):
        if before in FEW and len(kept[place]) > 4:
            kept[place] = "7"
        if before == "--out" and not re.fullmatch(r"[a-z]+(\.[a-z]+)?", kept[place]):
            kept[place] = "x.csv"
    return kept if kept else ["info"]
