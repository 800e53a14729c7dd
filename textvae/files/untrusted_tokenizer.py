"""Checks on an untrusted tokenizer.json: only parts with bounded time and memory are allowed.

An untrusted file can hold regular expressions that never terminate, replacements that double a text
again and again, and ids that need gigabytes. A time limit would not help: the work happens inside
the tokenizers library, which signals do not interrupt and which aborts the process when memory runs
out. So the file is checked before that library reads it, against a list of allowed parts.
"""

from __future__ import annotations

import base64
import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from textvae.errors import shown

MOST_BYTES = 128 << 20  # of the file; Gemma's has 33 MB, one of ours with a million merges 65 MB
MOST_IDS = 1 << 22
MOST_ADDED = 100_000  # added tokens; the library builds an automaton of them
MOST_ADDED_CHARACTERS = 1 << 22
LONGEST_TOKEN = 1 << 24  # characters; our word tokenizer makes a token of any word
# Characters of a Unigram piece. The library searches all pieces at each character and frees their
# tree by recursion: a piece of a million characters crashes the process. Real pieces have 16.
LONGEST_PIECE = 256
MOST_UNUSED_IDS = 10_000  # ids without a token: each costs the model an unused embedding
LONGEST_AFFIX = 64  # characters of a subword prefix or suffix
MOST_WORD = 1000  # characters of a word that WordPiece searches, in quadratic time
MOST_PARTS = 32  # of a normalizer, of a pre-tokenizer, ...
MOST_GROWTH = 16  # factor by which all replacements together may lengthen a text
LONGEST_PRECOMPILED = 64  # bytes that replace one character; Unicode's own maps need 33

# The allowed parts of each component. All take linear time.
NORMALIZERS = (
    "BertNormalizer", "ByteLevel", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled",
    "Prepend", "Replace", "Strip", "StripAccents",
)  # fmt: skip
PRE_TOKENIZERS = (
    "BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "Metaspace", "Punctuation",
    "Split", "UnicodeScripts", "Whitespace", "WhitespaceSplit",
)  # fmt: skip
POST_PROCESSORS = ("BertProcessing", "ByteLevel", "RobertaProcessing", "TemplateProcessing")
DECODERS = (
    "BPEDecoder", "ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Strip", "WordPiece",
)  # fmt: skip
KINDS = {  # key in the file -> (allowed parts, the key of the parts of a sequence)
    "normalizer": (NORMALIZERS, "normalizers"),
    "pre_tokenizer": (PRE_TOKENIZERS, "pretokenizers"),
    "post_processor": (POST_PROCESSORS, "processors"),
    "decoder": (DECODERS, "decoders"),
}
MODELS = ("BPE", "Unigram", "WordLevel", "WordPiece")
# Each of these lengthens a text by a small factor; at most two of a kind are allowed.
GROWING = ("BertNormalizer", "ByteLevel", "Lowercase", "Metaspace", "NFC", "NFD", "NFKC", "NFKD",
           "Precompiled", "Prepend")  # fmt: skip

# Regular expressions of linear time: alternatives, each a few characters or classes of which only
# the last is repeated. Such an alternative fails at its start or not at all: no backtracking.
_CLASS = r"\[\^?+(?:\\.|[^\\\[\]&]|&(?!&))++\]"
_ATOM = (
    rf"(?:\\[^a-zA-Z0-9]|\\[nrtsSdDwW]|\\[pP]\{{\^?\w{{1,32}}\}}|{_CLASS}|[^\\\[\](){{}}|*+?^$])"
)
_SIMPLE = (
    rf"(?:{_ATOM}\?\+?)?+(?:{_ATOM}(?![?*+{{])){{0,32}}"
    rf"{_ATOM}(?:\+\+?|\{{[1-9]\d{{0,2}}(?:,\d{{0,3}})?\}})?+(?:{_ATOM}\*\+?)?+"
)
# Further patterns of the tokenizers of GPT-2, Llama 3, Qwen, GPT-4o and others. Each is followed by
# an alternative that matches the characters that it scanned without a match.
_LETTERS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
)
_SHORT_FORMS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_KNOWN = (
    r"\s*[\r\n]+|\s+(?!\S)|\s+",
    r"\s*[\r\n]|\s+(?!\S)|\s+",
    r"\s+(?!\S)|\s+",
    "|".join(f"{letters}{_SHORT_FORMS}?" for letters in _LETTERS),
    "|".join(_LETTERS),
    _SHORT_FORMS,
    r"'(?i:[sdmt]|ll|ve|re)",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
)
_ALTERNATIVE = f"(?:{'|'.join(map(re.escape, _KNOWN))}|{_SIMPLE})"
_LINEAR = re.compile(rf"{_ALTERNATIVE}(?:\|{_ALTERNATIVE})*", re.DOTALL)
_LONGEST_PATTERN = 1000
MOST_LOOKED_AT = 2000  # characters that all patterns together may scan per character of text
_REPETITION = re.compile(r"\{[\d,]+\}")


def check(state: Any) -> None:
    """Raise ValueError if a parsed tokenizer.json has a part whose cost may be unbounded."""
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise ValueError("the model is missing")
    _check_model(state["model"])
    _check_added(state.get("added_tokens") or [])
    looked_at = 0
    for kind in KINDS:
        parts = list(_parts(state.get(kind), kind))
        if len(parts) > MOST_PARTS:
            raise ValueError(f"the {kind} has {len(parts)} parts: expected at most {MOST_PARTS}")
        _check_growth(parts, kind)
        for part in parts:
            _check_part(part, kind)
            looked_at += _looked_at(part)
    if looked_at > MOST_LOOKED_AT:
        raise ValueError(
            f"the patterns scan up to {looked_at:,} characters for each character of text: "
            f"expected at most {MOST_LOOKED_AT:,}"
        )


def is_linear(pattern: str) -> bool:
    """True if a regular expression has a form that matches any text in linear time.

    >>> is_linear(r" ?\\p{L}+|\\s+(?!\\S)|\\s+"), is_linear("(a+)+b"), is_linear("a*a*b")
    (True, False, False)
    """
    return len(pattern) <= _LONGEST_PATTERN and _LINEAR.fullmatch(pattern) is not None


def _parts(found: Any, kind: str, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The parts of a normalizer, pre-tokenizer, ..., with sequences flattened."""
    known, inner = KINDS[kind]
    if found is None:
        return
    name = found.get("type") if isinstance(found, dict) else None
    if name == "Sequence" and depth < 4 and isinstance(found.get(inner), list):
        for part in found[inner]:
            if part is None:
                raise ValueError(f"a part of the {kind} is missing")
            yield from _parts(part, kind, depth + 1)
    elif name in known:
        yield found
    else:
        raise ValueError(f"{kind} {shown(name)} is not allowed: expected {', '.join(known)}")


def _check_growth(parts: list[Mapping[str, Any]], kind: str) -> None:
    """Raise ValueError if a normalizer, decoder, ... could lengthen a text too much."""
    for name, count in Counter(part["type"] for part in parts).items():
        if name in GROWING and count > 2:
            raise ValueError(f"{name} occurs {count} times in the {kind}: expected at most 2")
    growth = 1.0
    for part in parts:
        if part["type"] == "Replace":
            growth *= _replacement_growth(part)
    if growth > MOST_GROWTH:
        raise ValueError(
            f"the {kind} makes a text up to {growth:.3g} times as long: expected at most "
            f"{MOST_GROWTH}"
        )


def _replacement_growth(part: Mapping[str, Any]) -> float:
    pattern, content = part.get("pattern"), part.get("content")
    text = pattern.get("String") if isinstance(pattern, dict) else None
    least = len(text.encode(errors="replace")) if isinstance(text, str) and text else 1
    written = len(content.encode(errors="replace")) if isinstance(content, str) else 0
    return max(1.0, written / least)


def _check_part(part: Mapping[str, Any], kind: str) -> None:
    name = part["type"]
    if name in ("Replace", "Split"):
        _check_pattern(part.get("pattern"), kind)
    elif name == "Prepend":
        _check_text(part.get("prepend"), f"the Prepend text of the {kind}", MOST_GROWTH)
        if not part["prepend"]:  # the library then fails on texts that an earlier part shortened
            raise ValueError(f"the Prepend text of the {kind} is empty")
    elif name == "Precompiled":
        _check_precompiled(part.get("precompiled_charsmap"))
    elif name == "Strip" and kind == "decoder":
        # The library fails on a token that is too short to be stripped at both ends.
        if part.get("stop") != 0 or not _is_count(part.get("start"), LONGEST_AFFIX):
            raise ValueError(
                "the Strip decoder may only strip at the start, and at most "
                f"{LONGEST_AFFIX} characters"
            )
    elif name == "TemplateProcessing":
        single = part.get("single")
        pieces = single if isinstance(single, list) else []
        if sum(isinstance(piece, dict) and "Sequence" in piece for piece in pieces) > 1:
            raise ValueError(f"the {kind} repeats the text")


def _check_pattern(pattern: Any, kind: str) -> None:
    if not isinstance(pattern, dict) or len(pattern) != 1:
        raise ValueError(f"a pattern of the {kind} is neither a string nor a regular expression")
    ((form, text),) = pattern.items()
    _check_text(text, f"a pattern of the {kind}", _LONGEST_PATTERN)
    if not text:
        raise ValueError(f"a pattern of the {kind} is empty")
    if form != "String" and not is_linear(text):
        raise ValueError(
            f"the regular expression {shown(text)} of the {kind} is not allowed: it may not run "
            "in linear time on every text"
        )


def _looked_at(part: Mapping[str, Any]) -> int:
    """The most characters that the pattern of a part scans without a match at one position."""
    pattern = part.get("pattern")
    texts = pattern.values() if isinstance(pattern, dict) else ()
    return sum(
        len(text) + sum(int(n) for r in _REPETITION.findall(text) for n in re.findall(r"\d+", r))
        for text in texts
        if isinstance(text, str)
    )


def _check_precompiled(found: Any) -> None:
    """Raise ValueError if a sentencepiece character map is damaged or has long replacements.

    Format: the trie's size in bytes, the trie, the replacement texts, each ended by NUL.
    """
    if found is None:
        return
    if not isinstance(found, str):
        raise ValueError("the precompiled character map is not a string")
    content = base64.b64decode(found, validate=True)  # raises a ValueError
    size = int.from_bytes(content[:4], "little")
    trie, texts = content[4 : 4 + size], content[4 + size :]
    if size % 1024 or not 0 < size == len(trie) or not _is_whole(trie, texts):
        raise ValueError("the precompiled character map is damaged")
    longest = max(map(len, texts.split(b"\0")))
    if longest > LONGEST_PRECOMPILED:
        raise ValueError(
            f"the precompiled character map replaces a character by {longest} bytes: expected at "
            f"most {LONGEST_PRECOMPILED}"
        )


def _is_whole(trie: bytes, texts: bytes) -> bool:
    """True if every walk through a double-array trie stays inside, and every value in the texts.

    Yoshinaga's darts-clone: blocks of 256 units of 32 bits. A unit holds the label that leads to
    it, a flag for a value, and the offset to its children.
    """
    units = struct.unpack(f"<{len(trie) // 4}I", trie)
    try:
        texts.decode("utf-8")
    except UnicodeDecodeError:
        return False
    for place, unit in enumerate(units):
        if unit >> 31:  # a value; no label leads to it
            continue
        children = place ^ (unit >> 10 << ((unit & 1 << 9) >> 6))
        if children | 255 >= len(units):
            return False
        if unit >> 8 & 1:
            value = units[children] & 0x7FFFFFFF
            if value >= len(texts) or texts[value] & 0xC0 == 0x80:  # in the middle of a character
                return False
    return True


def _check_model(model: Mapping[str, Any]) -> None:
    # Old files of GPT-2's tokenizer have no type.
    if model.get("type", "BPE") not in MODELS:
        raise ValueError(f"model {shown(model['type'])}: expected {', '.join(MODELS)}")
    if model.get("dropout"):
        raise ValueError("the model has dropout, so the tokens of a text would vary at random")
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name) is not None:
            _check_text(model[name], name, LONGEST_AFFIX)
    if not _is_count(model.get("max_input_chars_per_word", 0), MOST_WORD):
        raise ValueError(
            f"max_input_chars_per_word {shown(model['max_input_chars_per_word'])}: "
            f"expected at most {MOST_WORD}"
        )
    _check_merges(model)
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, dict):
        tokens = list(vocabulary)
        _check_ids(vocabulary)
    elif isinstance(vocabulary, list):
        pairs = [pair for pair in vocabulary if isinstance(pair, list) and len(pair) == 2]
        tokens = [token for token, _ in pairs if isinstance(token, str)]
        if not len(tokens) == len(vocabulary) <= MOST_IDS:
            raise ValueError("the vocabulary is not a list of pairs of a token and a score")
        if not _is_count(model.get("unk_id") or 0, MOST_IDS - 1):
            raise ValueError(f"unk_id {shown(model['unk_id'])} is not an id of the vocabulary")
    else:
        raise ValueError("the model has no vocabulary")
    longest = LONGEST_PIECE if model.get("type") == "Unigram" else LONGEST_TOKEN
    for token in tokens:
        if len(token) > longest:
            _check_text(token, "a token", longest)


def _check_ids(vocabulary: Mapping[str, Any]) -> None:
    """Raise ValueError if two tokens share an id, or if too many ids have no token.

    The text of a shared id would be ambiguous; a model has an embedding for each id, used or not.
    """
    owners: dict[int, str] = {}
    for token, place in vocabulary.items():
        if not _is_count(place, MOST_IDS - 1):
            raise ValueError(f"id {shown(place)} in the vocabulary: expected 0 to {MOST_IDS - 1:,}")
        if (other := owners.setdefault(place, token)) is not token:
            raise ValueError(f"{shown(other)} and {shown(token)} have the same id {place}")
    most = 2 * len(owners) + MOST_UNUSED_IDS
    if max(owners, default=0) >= most:
        raise ValueError(
            f"id {max(owners):,} in a vocabulary of {len(owners):,} tokens: expected below {most:,}"
        )


def _check_merges(model: Mapping[str, Any]) -> None:
    """Raise ValueError if the second part of a merge lacks the prefix, where the library fails."""
    prefix = model.get("continuing_subword_prefix")
    if not isinstance(prefix, str) or not prefix:
        return
    for merge in model.get("merges") or []:
        parts = merge.split(" ") if isinstance(merge, str) else merge
        last = parts[-1] if isinstance(parts, list) and parts else None
        if not isinstance(last, str) or not last.startswith(prefix):
            raise ValueError(
                f"the second part of the merge {shown(merge)} does not start with {shown(prefix)}"
            )


def _check_added(added: Any) -> None:
    if not isinstance(added, list) or len(added) > MOST_ADDED:
        raise ValueError(f"added_tokens: expected a list of at most {MOST_ADDED:,} tokens")
    characters = 0
    for token in added:
        if not isinstance(token, dict) or not _is_count(token.get("id"), MOST_IDS - 1):
            raise ValueError(f"not a valid added token: {shown(token)}")
        _check_text(token.get("content"), "an added token", LONGEST_TOKEN)
        characters += len(token["content"])
    if characters > MOST_ADDED_CHARACTERS:
        raise ValueError(f"the added tokens exceed {MOST_ADDED_CHARACTERS:,} characters in total")


def _check_text(value: Any, what: str, most: int) -> None:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(
            f"{what} is {shown(value)}: expected a string of at most {most} characters"
        )


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most
