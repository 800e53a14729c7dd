"""Tokenizers from elsewhere: those of well-known models are read; no mixture of parts fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import ByteLevel, RobertaProcessing, TemplateProcessing
from tokenizers.trainers import BpeTrainer, WordPieceTrainer

from textvae.data.tokenizers import Tokenizer
from textvae.errors import DataError, TextVAEError
from textvae.files.untrusted_tokenizer import LONGEST_PIECE

TEXTS = [f"The cook {number} sees the soup, doesn't he?" for number in range(30)]
TEXTS += ["a dog likes rain .", "an old man's boat and café"] * 9
MASK = AddedToken("[MASK]", lstrip=True, special=True, normalized=False)
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def pieces(*specials: str) -> models.Unigram:
    """A Unigram model of each letter and a few words, as sentencepiece writes them."""
    letters = sorted(set("".join(TEXTS)) - {" "} | {"▁", "'", '"'})
    words = ["▁the", "▁The", "▁cook", "▁sees", "▁soup", "▁dog"]
    vocabulary = [*((token, 0.0) for token in specials), *((word, -3.0) for word in words)]
    vocabulary += [(letter, -9.0 - place / 100) for place, letter in enumerate(letters)]
    return models.Unigram(vocabulary, unk_id=specials.index("<unk>"))


def of_bpe(alphabet: list[str], *specials: str, **options: Any) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE(**options))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=400,
        special_tokens=list(specials),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    return backend


def t5() -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(pieces("<pad>", "</s>", "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    backend.decoder = decoders.Metaspace()
    extra = [f"<extra_id_{number}>" for number in range(99, -1, -1)]
    backend.add_special_tokens(["<pad>", "</s>", "<unk>", *extra])
    backend.post_processor = TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return backend


def xlm_roberta() -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(pieces("<s>", "<pad>", "</s>", "<unk>"))
    backend.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", MASK])
    ends = [("<s>", 0), ("</s>", 2)]
    backend.post_processor = TemplateProcessing("<s> $A </s>", special_tokens=ends)
    return backend


def albert() -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(pieces("<pad>", "<unk>", "[CLS]", "[SEP]"))
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens(["<pad>", "<unk>", "[CLS]", "[SEP]", MASK])
    return backend


def bert() -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = WordPieceTrainer(vocab_size=200, special_tokens=specials, show_progress=False)
    backend.train_from_iterator(TEXTS, trainer)
    return backend


def gpt2() -> tokenizers.Tokenizer:
    backend = of_bpe(pre_tokenizers.ByteLevel.alphabet(), "<|endoftext|>")
    backend.post_processor = ByteLevel(trim_offsets=False)
    return backend


def phi() -> tokenizers.Tokenizer:
    """Blanks of each length are added tokens, looked for in the text as it becomes."""
    backend = gpt2()
    backend.add_tokens([AddedToken(" " * n, normalized=True) for n in range(31, 1, -1)])
    return backend


def roberta() -> tokenizers.Tokenizer:
    specials = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    backend = of_bpe(pre_tokenizers.ByteLevel.alphabet(), *specials)
    backend.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    return backend


def llama_2() -> tokenizers.Tokenizer:
    letters = sorted(set("".join(TEXTS)) - {" "} | {"▁"})
    tokens = ["<unk>", "<s>", "</s>", *BYTES, *letters, "▁T", "he", "▁The"]
    merges = [("▁", "T"), ("h", "e"), ("▁T", "he")]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return backend


def llama_3() -> tokenizers.Tokenizer:
    backend = of_bpe(pre_tokenizers.ByteLevel.alphabet())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])
    return backend


@pytest.mark.parametrize(
    ("make", "end", "read", "unknown"),
    [
        (t5, "</s>", "The cook 3 sees the soup.", 1),
        (xlm_roberta, "</s>", "The cook 3 sees the soup.", 1),
        (albert, "[SEP]", "the cook 3 sees the soup.", 1),
        (bert, "[SEP]", "the cook 3 sees the soup.", 1),
        (gpt2, "<|endoftext|>", "The cook 3 sees the  soup.", 0),
        (phi, "<|endoftext|>", "The cook 3 sees the  soup.", 0),
        (roberta, "</s>", "The cook 3 sees the  soup.", 0),
        (llama_2, "</s>", "The cook 3 sees the  soup.", 0),
        (llama_3, "<|end_of_text|>", "The cook 3 sees the  soup.", 0),
    ],
)
def test_the_tokenizers_of_well_known_models_are_read(
    tmp_path: Path, make: Callable[[], tokenizers.Tokenizer], end: str, read: str, unknown: int
) -> None:
    make().save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path / "tokenizer.json")
    ids = tokenizer.encode(["The cook 3 sees the  soup."])
    assert tokenizer.decode(ids) == [read]
    assert tokenizer._backend.id_to_token(tokenizer.eos_id) == end
    assert len({tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id}) == 3
    assert tokenizer.unknown_count(["😀"]) == unknown


# what no part of which is forbidden


TEXT = st.text("abc# .1é\n▁Ġ😀天\u0301\x01\u200d\ufb01İ", max_size=4)
SOME = TEXT.filter(bool)
PATTERN = st.one_of(
    st.builds(lambda text: {"String": text}, SOME),
    st.sampled_from([r"\s+", " {2,}", "a+", "[^a]+", ".", LLAMA_3]).map(
        lambda text: {"Regex": text}
    ),
)
TRUTH = st.booleans()


def part(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


def parts(name: str, *known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Up to three of the known parts, one after the other; or none."""
    several = st.lists(st.one_of(*known), max_size=3)
    return several.map(lambda found: {"type": "Sequence", name: found} if found else None)


NORMALIZERS = parts(
    "normalizers",
    st.sampled_from(["NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "StripAccents"]).map(
        lambda kind: {"type": kind}
    ),
    part("Strip", strip_left=TRUTH, strip_right=TRUTH),
    part("Replace", pattern=PATTERN, content=TEXT),
    part("Prepend", prepend=TEXT),
    part(
        "BertNormalizer",
        **dict.fromkeys(
            ("clean_text", "handle_chinese_chars", "lowercase", "strip_accents"), TRUTH
        ),
    ),
)
PRE_TOKENIZERS = parts(
    "pretokenizers",
    st.sampled_from(["Whitespace", "WhitespaceSplit", "BertPreTokenizer", "UnicodeScripts"]).map(
        lambda kind: {"type": kind}
    ),
    part("Digits", individual_digits=TRUTH),
    part("ByteLevel", add_prefix_space=TRUTH, trim_offsets=TRUTH, use_regex=TRUTH),
    part(
        "Metaspace",
        replacement=st.sampled_from("▁a"),
        prepend_scheme=st.sampled_from(["always", "never", "first"]),
        split=TRUTH,
    ),
    part(
        "Split",
        pattern=PATTERN,
        behavior=st.sampled_from(["Removed", "Isolated", "MergedWithNext", "Contiguous"]),
        invert=TRUTH,
    ),
)
DECODERS = parts(
    "decoders",
    st.sampled_from(["ByteFallback", "Fuse"]).map(lambda kind: {"type": kind}),
    part("ByteLevel", add_prefix_space=TRUTH, trim_offsets=TRUTH, use_regex=TRUTH),
    part("Replace", pattern=PATTERN, content=TEXT),
    part("Strip", content=st.sampled_from(" a😀"), start=st.integers(0, 64), stop=st.just(0)),
    part("WordPiece", prefix=TEXT, cleanup=TRUTH),
    part("BPEDecoder", suffix=TEXT),
)
ADDED = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 9),
            "content": TEXT,
            **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), TRUTH),
        }
    ),
    max_size=3,
)


@st.composite
def model(draw: st.DrawFn) -> dict[str, Any]:
    tokens = [*draw(st.lists(TEXT, unique=True, max_size=4)), "a", "b", "ab", "<unk>"]
    tokens = list(dict.fromkeys(tokens))
    vocabulary = {token: place for place, token in enumerate(tokens)}
    unknown = {"vocab": vocabulary, "unk_token": draw(st.sampled_from(tokens))}
    prefix = draw(st.sampled_from(["", "##", "a", "😀"]))
    merges = [["a", "b"]] if prefix == "" else []
    return draw(
        st.sampled_from(
            [
                {"type": "WordLevel", **unknown},
                {
                    "type": "WordPiece",
                    "continuing_subword_prefix": prefix,
                    "max_input_chars_per_word": 9,
                    **unknown,
                },
                {
                    "type": "BPE",
                    "merges": merges,
                    "continuing_subword_prefix": prefix or None,
                    "end_of_word_suffix": draw(st.sampled_from([None, "", "</w>", "a"])),
                    "byte_fallback": draw(TRUTH),
                    "fuse_unk": draw(TRUTH),
                    **unknown,
                },
                {
                    "type": "Unigram",
                    "unk_id": tokens.index("<unk>"),
                    "vocab": [[token, -1.0] for token in tokens],
                    "byte_fallback": draw(TRUTH),
                },
            ]
        )
    )


SAMPLES = ["", "abc aé z", "a b  c\n", "  ab ", "e\u0301\u0301 ﬁ İ", "天 😀\u200d x", "<s>a1."]


@settings(max_examples=150, deadline=None)
@given(
    state=st.fixed_dictionaries(
        {
            "version": st.just("1.0"),
            "added_tokens": ADDED,
            "normalizer": NORMALIZERS,
            "pre_tokenizer": PRE_TOKENIZERS,
            "decoder": DECODERS,
            "model": model(),
        }
    ),
    text=TEXT,
)
def test_no_mixture_of_parts_makes_the_library_fail(
    tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any], text: str
) -> None:
    """A failure of its own would print a stack trace, and could be the end of the process."""
    path = tmp_path_factory.getbasetemp() / "tokenizer.json"
    path.write_text(json.dumps(state))
    try:
        tokenizer = Tokenizer.load(path)
        ids = tokenizer.encode([*SAMPLES, text])
    except TextVAEError as error:
        if type(error.__context__).__name__ == "PanicException":
            raise
        return
    assert all(0 <= token < tokenizer.vocab_size for row in ids for token in row)
    tokenizer.decode([*ids, list(range(tokenizer.vocab_size))])


def of_json(path: Path, **changes: Any) -> Path:
    """A tokenizer of three words, with changes."""
    vocabulary = {"[UNK]": 0, "a": 1, "b": 2}
    state = json.loads(
        tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]")).to_str()
    )
    state["model"] |= changes.pop("model", {})
    path.write_text(json.dumps(state | changes))
    return path


def added(content: str, **flags: bool) -> dict[str, Any]:
    no = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"id": 3, "content": content, **no, **flags}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": {"vocab": {"[UNK]": 0, "a": 1, "b": 1}}}, "'a' and 'b' have the same id 1"),
        (
            {"model": {"vocab": {"[UNK]": 0, "a": 4_000_000}}},
            "id 4,000,000 in a vocabulary of 2 tokens: expected below 10,004",
        ),
        ({"normalizer": {"type": "Prepend", "prepend": ""}}, "the Prepend text .* is empty"),
        (
            {
                "normalizer": {"type": "Replace", "pattern": {"String": "x"}, "content": ""},
                "added_tokens": [added("x", normalized=True)],
            },
            "makes the added token 'x' empty",
        ),
        (
            {
                "model": {
                    "type": "Unigram",
                    "unk_id": 0,
                    "vocab": [["<unk>", 0.0], ["a" * (LONGEST_PIECE + 1), -1.0]],
                }
            },
            f"a string of at most {LONGEST_PIECE} characters",
        ),
    ],
)
def test_what_the_library_fails_on_or_reads_by_luck_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    path = of_json(tmp_path / "tokenizer.json", **changes)
    with pytest.raises(DataError, match=reason) as caught:
        Tokenizer.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("form", ["Regex", "String"])
def test_patterns_are_not_tried_in_vain_at_each_character(tmp_path: Path, form: str) -> None:
    """Each is linear, and all that a file could hold would take seconds for one sentence."""
    counts = "|".join(f"a{{{n}}}" for n in range(999, 960, -1))
    pattern = {form: counts if form == "Regex" else "b" + "a" * 998}
    replace = {"type": "Replace", "pattern": pattern, "content": "a"}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    path = of_json(
        tmp_path / "tokenizer.json",
        normalizer={"type": "Sequence", "normalizers": [replace] * 16},
        pre_tokenizer={"type": "Sequence", "pretokenizers": [split] * 16},
    )
    with pytest.raises(DataError, match=r"scan up to .* at most 2,000"):
        Tokenizer.load(path)
    two = [{**split, "pattern": {"Regex": text}} for text in (LLAMA_3, r"[0-9]{1,3}| {2,31}")]
    several = {"type": "Sequence", "pretokenizers": two}
    assert Tokenizer.load(of_json(path, pre_tokenizer=several)).encode(["a"]) == [[1]]


def test_an_added_token_may_vanish_where_it_is_looked_for_in_the_text_as_it_stands(
    tmp_path: Path,
) -> None:
    nothing = {"type": "Replace", "pattern": {"String": "x"}, "content": ""}
    path = of_json(tmp_path / "tokenizer.json", normalizer=nothing, added_tokens=[added("x")])
    assert Tokenizer.load(path).encode(["axb"]) == [[1, 3, 2]]


def test_an_unknown_word_does_not_end_a_sentence(tmp_path: Path) -> None:
    """Where a tokenizer has one token for both, a word that it does not know is an error."""
    vocabulary = {"</s>": 0, "a": 1}
    path = of_json(
        tmp_path / "tokenizer.json",
        model={"vocab": vocabulary, "unk_token": "</s>"},
        added_tokens=[added("</s>", special=True) | {"id": 0}],
    )
    tokenizer = Tokenizer.load(path)
    assert (tokenizer.eos_id, tokenizer.unk_id) == (0, None)
    assert tokenizer.encode(["a"]) == [[1]]
    with pytest.raises(DataError, match="reads '</s>' in a text as its own special token"):
        tokenizer.encode(["b"])
