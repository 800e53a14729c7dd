"""The embedded corpus: its probabilities are the truth, its English keeps its promises."""

import importlib.util
import json
import math
import random
import re
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPLITS = {"train": 20_000, "valid": 2_000, "test": 2_000}


def _load_script():
    spec = importlib.util.spec_from_file_location(
        "make_everyday", ROOT / "scripts" / "make_everyday.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


everyday = _load_script()


@pytest.fixture(scope="module")
def corpus():
    return {
        split: [
            json.loads(line)
            for line in (ROOT / "data" / "everyday" / f"{split}.jsonl").read_text().splitlines()
        ]
        for split in SPLITS
    }


@pytest.fixture(scope="module")
def rows(corpus):
    return [row for split in corpus.values() for row in split]


@pytest.fixture(scope="module")
def grammar():
    return everyday.everyday_grammar()


# ------------------------------------------------------------------ the files


def test_files_regenerate_bit_for_bit(tmp_path):
    everyday.write_corpus(tmp_path)
    for split in SPLITS:
        name = f"{split}.jsonl"
        assert (tmp_path / name).read_bytes() == (ROOT / "data/everyday" / name).read_bytes()


def test_another_seed_gives_another_corpus_and_splits_differ(tmp_path):
    sizes = {"train": 50, "test": 50}
    for seed in (1, 2):
        everyday.write_corpus(tmp_path / str(seed), seed, sizes)
    texts = {(tmp_path / s / f"{split}.jsonl").read_text() for s in "12" for split in sizes}
    assert len(texts) == 4


def test_promised_statistics(corpus, rows):
    assert {split: len(part) for split, part in corpus.items()} == SPLITS
    assert {tuple(row) for row in rows} == {("text", "topic", "sentiment", "tense", "log_prob")}
    assert all(row["text"].isascii() and row["text"] == row["text"].lower() for row in rows)
    assert all(5 <= len(row["text"].split()) <= 16 for row in rows)
    assert 800 <= len({word for row in rows for word in row["text"].split()}) <= 1500
    assert len({row["topic"] for row in rows}) >= 6
    entropy = -math.fsum(row["log_prob"] for row in corpus["test"]) / SPLITS["test"]
    assert 22 <= entropy <= 30
    size = sum((ROOT / "data/everyday" / f"{split}.jsonl").stat().st_size for split in SPLITS)
    assert size <= 4 * 2**20


def test_no_sentence_of_the_grammar_is_shorter_than_5_or_longer_than_16_words(grammar):
    def length(symbol, of):
        if symbol not in grammar.rules:
            return 1
        return of(sum(bound(s, of) for s in rule.symbols) for rule in grammar.rules[symbol])

    bound = cache(length)
    assert bound(everyday.START, min) >= 5
    assert bound(everyday.START, max) <= 16


# ----------------------------------------------------------- the probabilities


def _derivations(grammar, symbols=(everyday.START,)):
    """Every derivation of the symbols, as (probability, words)."""
    if not symbols:
        yield 1.0, ()
        return
    first, *rest = symbols
    options = [(1.0, (first,))]
    if first in grammar.rules:
        options = [
            (rule.probability * p, words)
            for rule in grammar.rules[first]
            for p, words in _derivations(grammar, rule.symbols)
        ]
    tails = list(_derivations(grammar, tuple(rest)))
    yield from ((p * q, words + tail) for p, words in options for q, tail in tails)


def _marginals(grammar):
    """text -> the probabilities of its derivations."""
    found = defaultdict(list)
    for p, words in _derivations(grammar):
        found[" ".join(words)].append(p)
    return found


def _small_scene(topic, thing):
    return everyday.Scene(
        topic,
        people="cook", places="at home | in the OLD kitchen", actions=("bake: bread/pie | a pie",),
        thing=f"{thing} | soup", made="cook", link="on the table",
        good="warm", bad="cold", outcome="the cook be~s FEELING",
    )  # fmt: skip


def test_complete_enumeration_of_a_reduced_grammar_sums_to_one():
    scenes = (_small_scene("food", "stew"), _small_scene("work", "cake"))
    template = everyday.Template
    grammar = everyday.everyday_grammar(
        scenes,
        {
            "neutral": (
                template(2, "{they} {do} {place} ."),
                template(1, "{doing} with {my} pie ."),
            ),
            "positive": (template(1, "the {thing} {link} {is} {very} {good} ."),),
            "negative": (template(1, "the {thing} {link} {is} {good} , and {cheer} ."),),
        },
    )
    marginals = _marginals(grammar)
    everything = [p for derivations in marginals.values() for p in derivations]
    assert math.fsum(everything) == pytest.approx(1, abs=1e-9)
    # "the soup ..." arises in both topics, so that the label is truly summed out
    assert any(len(derivations) > 1 for derivations in marginals.values())
    for text, derivations in marginals.items():
        expected = math.log(math.fsum(derivations))
        assert everyday.log_prob(grammar, text) == pytest.approx(expected, abs=1e-9), text


def test_ambiguous_sentence_has_the_sum_of_its_derivations():
    rule = everyday.Rule
    grammar = everyday.Grammar(
        {
            everyday.START: (rule(0.75, ("<a>", "<b>")), rule(0.25, ("<b>", "very", "<b>"))),
            "<a>": (rule(0.6, ("very",)), rule(0.4, ("very", "very"))),
            "<b>": (rule(0.3, ("very",)), rule(0.5, ("very", "very")), rule(0.2, ("good",))),
        }
    )
    # (very)(very very), (very very)(very), and the second rule's (very) very (very)
    expected = 0.75 * (0.6 * 0.5 + 0.4 * 0.3) + 0.25 * 0.3 * 0.3
    assert everyday.log_prob(grammar, "very very very") == pytest.approx(math.log(expected))
    assert everyday.log_prob(grammar, "good very") == -math.inf
    assert math.fsum(p for p, _ in _derivations(grammar)) == pytest.approx(1, abs=1e-12)


def _left_to_right_log_prob(grammar, text, first_words, all_words):
    """The probability by another algorithm: a stack of symbols read against the words.

    No spans and no chart: a state is (symbols still to come, words still to read), and
    its probability that the ones derive the others exactly.
    """
    words = text.split()

    @cache
    def probability(stack, i):
        if not stack or i == len(words):
            return float(not stack and i == len(words))
        if len(stack) > len(words) - i:
            return 0.0
        top, rest = stack[0], stack[1:]
        if top not in grammar.rules:
            return probability(rest, i + 1) if top == words[i] else 0.0
        if not rest and i == 0 and not all_words(top).issuperset(words):
            return 0.0
        return sum(
            rule.probability * probability(rule.symbols + rest, i)
            for rule in grammar.rules[top]
            if words[i] in first_words(rule.symbols[0])
        )

    return math.log(probability((everyday.START,), 0))


def test_independent_parser_finds_the_stored_log_prob(corpus, grammar):
    @cache
    def first_words(symbol):
        if symbol not in grammar.rules:
            return frozenset([symbol])
        return frozenset().union(*(first_words(r.symbols[0]) for r in grammar.rules[symbol]))

    @cache
    def all_words(symbol):
        if symbol not in grammar.rules:
            return frozenset([symbol])
        return frozenset().union(*(all_words(s) for r in grammar.rules[symbol] for s in r.symbols))

    some = corpus["train"][::100] + corpus["valid"][::25] + corpus["test"][::25]
    assert len(some) >= 300
    for row in some:
        found = _left_to_right_log_prob(grammar, row["text"], first_words, all_words)
        assert found == pytest.approx(row["log_prob"], abs=2e-6), row["text"]


def test_draws_have_the_frequencies_of_their_probabilities(grammar):
    """Sampler and scorer agree: the mean of -log_prob is the entropy of the derivations,
    less what ambiguity merges, which a second, exact recursion bounds from above."""

    @cache
    def derivation_entropy(symbol):
        return math.fsum(
            rule.probability
            * (sum(map(derivation_entropy, rule.symbols)) - math.log(rule.probability))
            for rule in grammar.rules.get(symbol, ())
        )

    costs = [-row.log_prob for row in everyday.draw_rows(grammar, random.Random(7), 2000)]
    mean = math.fsum(costs) / len(costs)
    error = math.sqrt(math.fsum((c - mean) ** 2 for c in costs)) / len(costs)
    bound = derivation_entropy(everyday.START)
    assert mean < bound + 4 * error
    assert mean > bound - 0.25 - 4 * error


# ------------------------------------------- dependences that no bigram can see

DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
SPAN = f"({DAYS}|{MONTHS}|week|month|weekend|spring|summer|winter)"
TIME = {
    "past": re.compile(rf"\b(yesterday|last {SPAN})\b"),
    "present": re.compile(rf"\b(every {SPAN}|every morning|today|this week)\b"),
    "future": re.compile(rf"\b(tomorrow|next {SPAN})\b"),
}
VERBS = {
    "past": "baked cooked wrote sang fed bought wore scored knitted solved packed drank"
    " prepared ordered visited believed thought was were",
    "present": "bakes writes sings feeds buys wears scores knits solves packs prepares"
    " believes thinks",
}


@pytest.mark.parametrize("tense", TIME)
def test_time_words_and_verbs_share_the_tense(rows, tense):
    timed = [row for row in rows if TIME[tense].search(row["text"])]
    assert len(timed) > 2000
    assert {row["tense"] for row in timed} == {tense}
    for row in rows:
        if row["tense"] == tense:
            assert ("will" in row["text"].split()) == (tense == "future"), row["text"]


@pytest.mark.parametrize("tense", VERBS)
def test_inflected_verbs_stand_in_sentences_of_their_tense(rows, tense):
    """The present may follow "if" and "while" in a future sentence; the past never may."""
    forms = set(VERBS[tense].split())
    allowed = {"past": {"past"}, "present": {"present", "future"}}[tense]
    hits = [row for row in rows if forms & set(row["text"].split())]
    assert len(hits) > 500
    for row in hits:
        assert row["tense"] in allowed, row["text"]
        if row["tense"] == "future":
            assert {"if", "while", "that"} & set(row["text"].split()), row["text"]


BE_NUMBER = {"is": "one", "was": "one", "are": "many", "were": "many"}


def test_verb_agrees_with_its_subject_across_a_phrase_or_clause(rows):
    one = {noun.strip() for scene in everyday.SCENES for noun in scene.thing.split("|")}
    many = {everyday.plural(noun) for noun in one}
    counts = Counter()
    for row in rows:
        words = row["text"].split()
        verb = next((i for i, word in enumerate(words) if word in BE_NUMBER), None)
        if words[0] == "the" and words[1] in one | many and verb is not None:
            assert (words[1] in many) == (BE_NUMBER[words[verb]] == "many"), row["text"]
            counts["distant"] += verb > 4
            misleading = words[verb - 1].endswith("s") != (words[1] in many)
            counts["attractor"] += misleading
    assert counts["distant"] > 500
    assert counts["attractor"] > 100


def test_verb_of_a_relative_clause_agrees_with_its_head(rows):
    pattern = re.compile(r"\b(\w+) who (speaks?|lives?|loves?|knows?|was|were|is|are) ")
    found = [match.groups() for row in rows for match in pattern.finditer(row["text"])]
    assert len(found) > 300
    for noun, verb in found:
        plural = noun.endswith("s") or noun == "children"
        assert plural == (verb in {"speak", "live", "love", "know", "are", "were"}), (noun, verb)


def test_pronouns_agree_with_the_name_far_before_them(rows):
    own = {
        "she her": everyday.SHARED["female"] + "/sister/mother/aunt",
        "he his": everyday.SHARED["male"] + "/brother/father/uncle",
    }
    gender = {name: key.split() for key, names in own.items() for name in names.split("/")}
    pattern = re.compile(
        r"^(?:my )?(\w+) (?!and ).* (?:with (her|his|our|their)|, \w+ (she|he|they)) "
    )
    checked = 0
    for row in rows:
        match = pattern.match(row["text"])
        if match and match[1] in gender:
            assert (match[2] or match[3]) in gender[match[1]], row["text"]
            checked += 1
    assert checked > 500


def test_place_and_object_belong_to_the_topic(rows):
    anchors = {
        "food": "soup stew bakery baker cookies",
        "travel": "suitcase hotel castle lisbon prague",
        "work": "contract lawyer budget client",
        "weather": "umbrella raincoat storm hiker",
        "family": "sofa babysitter sweater cottage",
        "sport": "goalkeeper stadium penalty tournament",
        "music": "concert waltz violinist orchestra",
        "health": "nurse clinic vaccine surgeon fever",
        "school": "essay grammar librarian classroom novel",
    }
    topic_of = {word: topic for topic, words in anchors.items() for word in words.split()}
    together = 0
    for row in rows:
        named = {topic_of[word] for word in row["text"].split() if word in topic_of}
        assert named <= {row["topic"]}, row["text"]
        together += sum(word in topic_of for word in row["text"].split()) > 1
    assert together > 200


def test_words_of_opinion_fit_the_sentiment(rows):
    words = {
        "positive": "luckily fortunately delicious wonderful fantastic cheerful gladly relieved",
        "negative": "sadly unfortunately disgusting awful horrible rude angrily annoyed",
    }
    for sentiment, opinion in words.items():
        hits = [row for row in rows if set(opinion.split()) & set(row["text"].split())]
        assert len(hits) > 500
        for row in hits:
            assert row["sentiment"] == sentiment, row["text"]


def test_articles_fit_the_next_word(rows):
    for row in rows:
        for article, word in re.findall(r"\b(an?) (\w+)", row["text"]):
            vowel = word[0] in "aeiou" and not word.startswith("use")
            assert (article == "an") == vowel, row["text"]
