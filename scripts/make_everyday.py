"""Write data/everyday: English sentences whose exact probability is known.

    python scripts/make_everyday.py --out data/everyday

A weighted grammar draws a topic, a sentiment and a tense, then a scene of the topic (a
small world in which any action suits any place), then a template, then its words. Every
text carries `log_prob`, the log of its probability summed over all the ways in which the
grammar can derive it, so -log_prob averages to the entropy: no model can do better.

The file reads from the draw to the words: corpus, probability, grammar, templates,
shared words, scenes.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

SIZES = {"train": 20_000, "valid": 2_000, "test": 2_000}
SEED = 20_240_501


# ---------------------------------------------------------------- the corpus


@dataclass(frozen=True)
class Row:
    """One sentence, the attributes that were drawn for it, and its marginal log probability."""

    text: str
    topic: str
    sentiment: str
    tense: str
    log_prob: float


def main() -> None:
    """Write the three splits into the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/everyday"), help="folder to fill")
    parser.add_argument("--seed", type=int, default=SEED, help=f"default {SEED}")
    options = parser.parse_args()
    write_corpus(options.out, options.seed)


def write_corpus(out: Path, seed: int = SEED, sizes: Mapping[str, int] = SIZES) -> None:
    """Write one jsonl file per split; the splits are independent draws, duplicates kept."""
    grammar = everyday_grammar()
    out.mkdir(parents=True, exist_ok=True)
    for k, (split, size) in enumerate(sizes.items()):
        # Of `random`, only the stream of random() is promised to stay the same for ever.
        rows = draw_rows(grammar, random.Random(len(sizes) * seed + k), size)
        lines = [json.dumps(asdict(row)) + "\n" for row in rows]
        (out / f"{split}.jsonl").write_text("".join(lines), encoding="ascii", newline="\n")


def draw_rows(grammar: Grammar, rng: random.Random, size: int) -> Iterator[Row]:
    """Independent draws of sentence and attributes."""
    for _ in range(size):
        attributes = draw(grammar.rules[START], rng).symbols[0]
        topic, sentiment, tense = attributes.strip("<>").split("/")
        text = " ".join(expand(grammar, attributes, rng))
        yield Row(text, topic, sentiment, tense, round(log_prob(grammar, text), 6))


# --------------------------------------------------- a grammar and its probability


START = "<start>"


@dataclass(frozen=True)
class Rule:
    """One way to rewrite a symbol: `symbols` are words, or other symbols as `<name>`."""

    probability: float
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Grammar:
    """A weighted context-free grammar without recursion and without empty rules."""

    rules: Mapping[str, tuple[Rule, ...]]

    @cached_property
    def words(self) -> dict[str, frozenset[str]]:
        """All words that can occur below each symbol."""
        below: dict[str, frozenset[str]] = {}

        def visit(symbol: str) -> frozenset[str]:
            if symbol not in self.rules:
                return frozenset([symbol])
            if symbol not in below:
                symbols = {s for rule in self.rules[symbol] for s in rule.symbols}
                below[symbol] = frozenset().union(*(visit(s) for s in symbols))
            return below[symbol]

        visit(START)
        return below

    @cached_property
    def rules_starting_with(self) -> dict[str, dict[str, list[Rule]]]:
        """symbol -> first word -> the rules of the symbol that can begin with that word."""
        table: dict[str, dict[str, list[Rule]]] = {}

        def first_words(symbol: str) -> Iterable[str]:
            if symbol not in self.rules:
                return (symbol,)
            if symbol not in table:
                by_word: dict[str, list[Rule]] = {}
                for rule in self.rules[symbol]:
                    for word in first_words(rule.symbols[0]):
                        by_word.setdefault(word, []).append(rule)
                table[symbol] = by_word
                for rule in self.rules[symbol]:
                    for other in rule.symbols[1:]:
                        first_words(other)
            return table[symbol]

        first_words(START)
        return table


def draw(rules: tuple[Rule, ...], rng: random.Random) -> Rule:
    """One of the rules, by probability, from one call of `rng.random()`."""
    u = rng.random()
    for rule in rules:
        u -= rule.probability
        if u < 0:
            return rule
    return rules[-1]  # the probabilities sum to one only up to rounding


def expand(grammar: Grammar, symbol: str, rng: random.Random) -> list[str]:
    """The words of one random derivation of the symbol."""
    if symbol not in grammar.rules:
        return [symbol]
    rule = draw(grammar.rules[symbol], rng)
    return [word for part in rule.symbols for word in expand(grammar, part, rng)]


def log_prob(grammar: Grammar, text: str) -> float:
    """Log of the probability of the text over all its derivations, in nats; -inf if none.

    The inside algorithm (Baker 1979), run from the top: `ends(symbol, i)` holds, for each
    j, the total probability that `symbol` derives words i to j. Nothing is assumed about
    ambiguity: whatever derives the text in several ways is summed.
    """
    words = text.split()
    present = frozenset(words)
    starting = grammar.rules_starting_with
    known: dict[tuple[str, int], dict[int, float]] = {}

    def ends(symbol: str, i: int) -> dict[int, float]:
        if symbol not in starting:
            return {i + 1: 1.0} if i < len(words) and words[i] == symbol else {}
        if (symbol, i) not in known:
            total: dict[int, float] = {}
            word = words[i] if i < len(words) else ""
            for rule in starting[symbol].get(word, ()):
                for j, p in sequence_ends(rule.symbols, i).items():
                    total[j] = total.get(j, 0.0) + rule.probability * p
            known[symbol, i] = total
        return known[symbol, i]

    def sequence_ends(symbols: tuple[str, ...], i: int) -> dict[int, float]:
        reached = {i: 1.0}
        for symbol in symbols:
            further: dict[int, float] = {}
            for j, p in reached.items():
                for k, q in ends(symbol, j).items():
                    further[k] = further.get(k, 0.0) + p * q
            if not further:
                return further
            reached = further
        return reached

    def whole(symbol: str) -> float:
        """Probability that the symbol derives the whole text.

        Near the root, where rules have one symbol, a symbol that lacks a word is skipped.
        """
        if not present <= grammar.words.get(symbol, frozenset([symbol])):
            return 0.0
        rules = grammar.rules.get(symbol, ())
        if rules and all(len(rule.symbols) == 1 for rule in rules):
            return math.fsum(rule.probability * whole(rule.symbols[0]) for rule in rules)
        return ends(symbol, 0).get(len(words), 0.0)

    probability = whole(START)
    return math.log(probability) if probability > 0 else -math.inf


# ------------------------------------------------ from tables of words to a grammar


@dataclass(frozen=True)
class Template:
    """A sentence with {slots}; `SLOTS` says which symbol each slot stands for."""

    weight: float
    text: str
    tenses: str = "past present future"


@dataclass(frozen=True)
class Scene:
    """A small world. Alternatives are separated by `|`, the likelier first.

    Any person may do any action at any place; any thing is `made` by any person, is
    found at any `link`, and is `good` or `bad`. In a reaction `verb~s` and `verb~p` are
    inflected for a singular or plural subject and the tense of the sentence. `red/blue`
    is a choice of one word, before which a or an is corrected, and so is a name of
    `GROUPS`, in capitals.
    """

    topic: str
    name: str
    people: str
    places: str
    actions: tuple[str, ...]  # "verb: object | object"
    thing: str
    things: str
    made: str
    link: str
    good: str
    bad: str
    cheers: str
    groans: str
    hour: str = "day"  # the part of the day that suits: "day" or "evening"


Alternatives = list[tuple[float, str]]


def everyday_grammar(
    scenes: tuple[Scene, ...] | None = None,
    templates: Mapping[str, tuple[Template, ...]] | None = None,
) -> Grammar:
    """The grammar of the corpus, or of some scenes and of some templates per sentiment."""
    scenes = SCENES if scenes is None else scenes
    templates = TEMPLATES if templates is None else templates
    table: dict[str, Alternatives] = {START: [], **shared_rules()}
    for scene in scenes:
        table.update(scene_rules(scene))
    topics = list(dict.fromkeys(scene.topic for scene in scenes))
    for topic, sentiment, tense in product(topics, templates, TENSES):
        root = f"<{topic}/{sentiment}/{tense}>"
        members = [scene for scene in scenes if scene.topic == topic]
        table[START].append((len(members) * SENTIMENTS[sentiment] * TENSES[tense], root))
        table[root] = []
        for scene in members:
            plan = f"<{scene.name}/{sentiment}/{tense}>"
            table[root].append((1.0, plan))
            table[plan] = plan_rules(scene, sentiment, tense, templates[sentiment])
    table = with_choices(table)
    return Grammar(reachable({symbol: normalised(rules) for symbol, rules in table.items()}))


def plan_rules(
    scene: Scene, sentiment: str, tense: str, templates: tuple[Template, ...]
) -> Alternatives:
    """Each template, once for each person and number that it mentions."""
    rules: Alternatives = []
    for template in templates:
        if tense not in template.tenses.split():
            continue
        pattern = re.sub(r"{(\w+)}", lambda slot: SLOTS[slot[1]], template.text)
        persons = PERSONS if "{person}" in pattern else {"": 1.0}
        numbers = NUMBERS if "{number}" in pattern else {"": 1.0}
        for (person, p), (number, q) in product(persons.items(), numbers.items()):
            text = pattern.format(
                scene=scene.name, hour=scene.hour, sentiment=sentiment, tense=tense,
                person=person, number=number,
            )  # fmt: skip
            rules.append((template.weight * p * q, text))
    return rules


def scene_rules(scene: Scene) -> dict[str, Alternatives]:
    """The symbols whose words belong to one scene."""
    name = scene.name
    rules = {
        f"<people/{name}/s>": ranked(split(scene.people)),
        f"<people/{name}/p>": ranked(map(plural, split(scene.people))),
        f"<crowd/{name}/s>": [(1.0, f"<people/{name}/s>"), (1.0, f"<kind_of> <people/{name}/s>")],
        f"<crowd/{name}/p>": [(1.0, f"<people/{name}/p>"), (1.0, f"<kind_of> <people/{name}/p>")],
        f"<place/{name}>": ranked(split(scene.places)),
        f"<thing/{name}/s>": ranked(split(scene.thing)),
        f"<thing/{name}/p>": ranked(split(scene.things)),
        f"<link/{name}>": ranked(split(scene.link)),
    }
    for person in PERSONS:
        rules[f"<subject/{name}/{person}>"] = [
            (2.0, f"<someone/{person}>"),
            (1.5, f"<relative/{person}>"),
        ]
        if person in ("she", "he", "they"):
            people = f"<people/{name}/{AGREEMENT[person]}>"
            rules[f"<subject/{name}/{person}>"] += [
                (0.7, f"the {people}"),
                (0.9, f"the <kind_of> {people}"),
            ]
    do = []
    for k, action in enumerate(scene.actions):
        verb, objects = action.split(": ")
        rules[f"<object/{name}/{k}>"] = ranked(split(objects))
        do.append(f"{verb} <object/{name}/{k}>")
    rules |= verb_rules(f"do/{name}", do)
    rules |= verb_rules(f"made/{name}", split(scene.made))
    for sentiment, adjectives, reactions in (
        ("positive", scene.good, scene.cheers),
        ("negative", scene.bad, scene.groans),
    ):
        adjectives += " | " + GENERAL_ADJECTIVES[sentiment]
        rules[f"<quality/{name}/{sentiment}>"] = ranked(split(adjectives))
        rules[f"<a_quality/{name}/{sentiment}>"] = ranked(map(with_article, split(adjectives)))
        for tense in TENSES:
            rules[f"<reaction/{name}/{sentiment}/{tense}>"] = ranked(
                conjugated(reaction, tense) for reaction in split(reactions)
            )
    return rules


def shared_rules() -> dict[str, Alternatives]:
    """The symbols that all scenes share."""
    rules = {
        f"<{name}>": ranked(conjugated(text, "present") for text in split(words))
        for name, words in SHARED.items()
    }
    for name, verbs in SHARED_VERBS.items():
        rules |= verb_rules(name, split(verbs))
    for tense, hour in product(TENSES, HOURS):
        time = f"<time/{hour}/{tense}>"
        rules[time] = ranked(split(TIMES[tense] + " | " + HOURS[hour][tense]))
        rules[f"<date/{hour}/{tense}>"] = [(1.0, time), (1.0, f"{DATES[tense]} {PARTS[hour]}")]
    return rules


def verb_rules(name: str, verbs: list[str]) -> dict[str, Alternatives]:
    """Verb phrases in all forms: `<name/past/she>` and so on, `<name/base>`, `<name/ing>`."""
    rules = {
        f"<{name}/{tense}/{person}>": ranked(conjugate(verb, tense, person) for verb in verbs)
        for tense, person in product(TENSES, AGREEMENT)
    }
    rules[f"<{name}/base>"] = ranked(verbs)
    rules[f"<{name}/ing>"] = ranked(inflect(verb, "ing") for verb in verbs)
    return rules


def split(words: str) -> list[str]:
    """The alternatives of a table entry."""
    return [item.strip() for item in words.split("|")]


def ranked(texts: Iterable[str]) -> Alternatives:
    """The first is the likeliest: weight 1 / (rank + 3), Zipf's law with a flattened head."""
    return [(1 / (rank + 3), text) for rank, text in enumerate(texts, start=1)]


def with_choices(table: dict[str, Alternatives]) -> dict[str, Alternatives]:
    """The same table in which each `red/blue` is a symbol, with the fitting article before it."""
    choices: dict[str, Alternatives] = {}

    def symbol(match: re.Match[str]) -> str:
        words = match["words"].split("/")
        if match["article"]:
            words = [with_article(word) for word in words]
        name = f"<{match['article'] and 'a:'}{match['words']}>"
        choices[name] = ranked(words)
        return name

    pattern = re.compile(r"(?<!\S)(?P<article>(?:an? )?)(?P<words>[^\s</]+(?:/[^\s</]+)+)")
    resolved = {
        name: [(weight, pattern.sub(symbol, spelled_out(text))) for weight, text in alternatives]
        for name, alternatives in table.items()
    }
    return resolved | choices


def spelled_out(text: str) -> str:
    """The text with each named group as its words."""
    return re.sub("|".join(GROUPS), lambda group: GROUPS[group[0]], text)


def normalised(alternatives: Alternatives) -> tuple[Rule, ...]:
    """Rules whose probabilities sum to one."""
    total = math.fsum(weight for weight, _ in alternatives)
    return tuple(Rule(weight / total, tuple(text.split())) for weight, text in alternatives)


def reachable(rules: dict[str, tuple[Rule, ...]]) -> dict[str, tuple[Rule, ...]]:
    """The rules of the symbols that a sentence can meet."""
    kept: dict[str, tuple[Rule, ...]] = {}
    waiting = [START]
    while waiting:
        symbol = waiting.pop()
        if symbol.startswith("<") and symbol not in kept:
            kept[symbol] = rules[symbol]
            waiting.extend(part for rule in rules[symbol] for part in rule.symbols)
    return kept


# ---------------------------------------------------------------- English forms


def conjugate(verb: str, tense: str, person: str) -> str:
    """The finite form: ("bake a cake", "present", "she") gives "bakes a cake"."""
    if tense == "future":
        return f"will {verb}"
    if verb == "be":
        return BE[tense][person]
    if tense == "past":
        return inflect(verb, "past")
    return inflect(verb, "third") if AGREEMENT[person] == "s" else verb


def conjugated(clause: str, tense: str) -> str:
    """A clause in which `verb~s` or `verb~p` marks the verb and the number of its subject."""

    def finite(match: re.Match[str]) -> str:
        verbs = [conjugate(verb, tense, match[2]) for verb in match[1].split("/")]
        return "/".join(verbs).replace("/will ", "/")

    return re.sub(r"([\w/]+)~([sp])", finite, clause)


def inflect(phrase: str, form: str) -> str:
    """The phrase with its first word, a verb, in the form "past", "third" or "ing"."""
    verb, _, rest = phrase.partition(" ")
    stem = verb + verb[-1] if verb in DOUBLING or (form == "ing" and verb in DOUBLING_ING) else verb
    consonant_y = re.search(r"[^aeiou]y$", verb) is not None
    if form == "third":
        inflected = sibilant_s(verb)
    elif form == "ing":
        inflected = re.sub(r"(?<=[^e])e$", "", stem) + "ing"
    elif verb in PAST:
        inflected = PAST[verb]
    elif consonant_y:
        inflected = verb[:-1] + "ied"
    else:
        inflected = stem + ("d" if stem.endswith("e") else "ed")
    return f"{inflected} {rest}".strip()


def plural(noun: str) -> str:
    """The plural of a noun for people."""
    return "children" if noun == "child" else sibilant_s(noun)


def sibilant_s(word: str) -> str:
    """The word with the ending -s, -es or -ies."""
    if word == "have":
        return "has"
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if re.search(r"(s|x|z|ch|sh|o)$", word) else "s")


def with_article(adjective: str) -> str:
    """The adjective after "a" or "an"."""
    spoken_as_consonant = re.match(r"use|uni", adjective) is not None
    return f"{'an' if adjective[0] in 'aeiou' and not spoken_as_consonant else 'a'} {adjective}"


BE = {
    "past": {"i": "was", "she": "was", "he": "was", "s": "was"}
    | {"we": "were", "they": "were", "p": "were"},
    "present": {"i": "am", "she": "is", "he": "is", "s": "is"}
    | {"we": "are", "they": "are", "p": "are"},
}
IRREGULAR = """
    blow:blew break:broke bring:brought burst:burst buy:bought choose:chose come:came draw:drew
    drink:drank eat:ate fall:fell feed:fed feel:felt fight:fought fly:flew forget:forgot get:got
    go:went grow:grew hang:hung have:had hear:heard know:knew learn:learned leave:left lose:lost
    make:made meet:met pay:paid read:read ring:rang say:said sell:sold shine:shone sing:sang
    sit:sat speak:spoke take:took tell:told think:thought understand:understood wear:wore win:won
    write:wrote
"""
PAST = dict(pair.split(":") for pair in IRREGULAR.split())
# verbs that double their last letter before -ed and -ing, or before -ing alone
DOUBLING = {"plan", "wrap", "clap", "knit"}
DOUBLING_ING = {"get", "sit", "win"}


# ------------------------------------------------------------ templates and slots


SENTIMENTS = {"neutral": 0.4, "positive": 0.3, "negative": 0.3}
TENSES = {"past": 0.4, "present": 0.33, "future": 0.27}
PERSONS = {"she": 0.28, "he": 0.28, "they": 0.28, "we": 0.08, "i": 0.08}
NUMBERS = {"s": 0.6, "p": 0.4}
AGREEMENT = {"she": "s", "he": "s", "i": "p", "we": "p", "they": "p", "s": "s", "p": "p"}

SLOTS = {
    # the one who acts, in agreement with {do}, {am}, {my}, {they} ...
    "subject": "<subject/{scene}/{person}>",
    "name": "<someone/{person}>",
    "they": "<pronoun/{person}>",
    "my": "<possessive/{person}>",
    "do": "<do/{scene}/{tense}/{person}>",
    "do_now": "<do/{scene}/present/{person}>",
    "to_do": "<do/{scene}/base>",
    "doing": "<do/{scene}/ing>",
    "am": "<be/{tense}/{person}>",
    "made": "<made/{scene}/{tense}/{person}>",
    "love": "<love/{sentiment}/{tense}/{person}>",
    "say": "<say/{tense}/{person}>",
    "plan": "<plan/{tense}/{person}>",
    "errand": "<errand/{tense}/{person}>",
    # people or things in the number of {is}
    "people": "<people/{scene}/{number}>",
    "crowd": "<crowd/{scene}/{number}>",
    "who": "<modifier/{number}>",
    "does": "<do/{scene}/{tense}/{number}>",
    "does_now": "<do/{scene}/present/{number}>",
    "thing": "<thing/{scene}/{number}>",
    "is": "<be/{tense}/{number}>",
    "is_now": "<be/present/{number}>",
    # the world around them
    "one": "<thing/{scene}/s>",
    "many": "<thing/{scene}/p>",
    "place": "<place/{scene}>",
    "link": "<link/{scene}>",
    "time": "<time/{hour}/{tense}>",
    "date": "<date/{hour}/{tense}>",
    "day": "<day/{tense}>",
    "when": "<when/{tense}>",
    "did_you": "<question/{tense}>",
    "company": "<company>",
    "now": "<now>",
    "interruption": "<interruption>",
    # what they think of it
    "good": "<quality/{scene}/{sentiment}>",
    "a_good": "<a_quality/{scene}/{sentiment}>",
    "very": "<degree/{sentiment}>",
    "glad": "<feeling/{sentiment}>",
    "kind": "<trait/{sentiment}>",
    "gladly": "<manner/{sentiment}>",
    "ready": "<ready/{sentiment}>",
    "luckily": "<opener/{sentiment}>",
    "and": "<and/{sentiment}>",
    "cheer": "<reaction/{scene}/{sentiment}/{tense}>",
}

EVENTS = (
    Template(10, "{subject} {do} {place} {date} ."),
    Template(8, "{time} {subject} {do} {place} ."),
    Template(4, "{subject} {do} with {my} {company} {date} ."),
    Template(3, "{subject} {do} {place} with {my} {company} .", "past present"),
    Template(3, "the {crowd} {who} {does} {place} .", "past present"),
    Template(3, "the {crowd} {who} {does} {date} ."),
    Template(3, "{did_you} {to_do} {place} {date} ?"),
    Template(4, "{name} {plan} to {to_do} {place} {time} .", "past present"),
    Template(2, "{name} {am} {doing} {place} when {interruption} .", "past"),
    Template(2, "{subject} {am} {doing} with {my} {company} {now} .", "present"),
    Template(2, "{subject} {am} {doing} {place} {time} .", "future"),
    Template(2, "{time} {subject} {do} and then {errand} .", "past present"),
    Template(3, "after {doing} , {subject} {errand} {time} ."),
    Template(5, "{subject} {do} while the {crowd} {does} .", "past present"),
    Template(4, "{subject} {do} while the {people} {does_now} .", "future"),
)
OPINIONS = (
    Template(1, "the {thing} {link} {is} {good} , and {cheer} .", "past present"),
    Template(1, "{day} the {thing} {is} {very} {good} , and {cheer} .", "future"),
    Template(5, "the {thing} that {subject} {made} {time} {is} {very} {good} ."),
    Template(3, "{time} {name} {do} , {and} {cheer} .", "past present"),
    Template(1, "{day} {they} {do} , {and} {cheer} .", "future"),
    Template(2, "when {name} {do} {time} , {cheer} .", "past present"),
    Template(1, "if {subject} {do_now} , {cheer} .", "future"),
    Template(4, "{subject} {am} {glad} because the {thing} {link} {is} {good} .", "past present"),
    Template(2, "{name} {am} {glad} if the {thing} {link} {is_now} {good} .", "future"),
    Template(5, "{name} {do} {place} , {and} {they} {am} {glad} .", "past present"),
    Template(3, "{luckily} , {subject} {made} {a_good} {one} {place} .", "past"),
    Template(1, "{luckily} , the {thing} {link} {is} {very} {good} {when} ."),
    Template(4, "{subject} {love} the {good} {thing} {link} {when} ."),
    Template(6, "{subject} {say} that the {thing} {link} {is} {very} {good} .", "past present"),
    Template(4, "{subject} {say} that the {thing} {link} {is_now} {good} .", "future"),
    Template(3, "the {crowd} who {does} {place} {is} {very} {kind} .", "past present"),
    Template(7, "{subject} {gladly} {do} {place} {time} .", "past present"),
    Template(4, "{subject} {am} {ready} {to_do} {date} ."),
    Template(6, "{subject} {made} {a_good} {one} {place} {time} ."),
    Template(6, "{time} {subject} {made} {good} {many} {place} ."),
    Template(5, "{subject} {made} {good} {many} with {my} {company} {date} ."),
)
TEMPLATES = {"neutral": EVENTS, "positive": OPINIONS, "negative": OPINIONS}


# ----------------------------------------------------------- words of all scenes


GROUPS = {  # named choices, written in capitals in the tables
    "COUNT": "two/three/some/four/several/five/many/six",
    "COLOR": "red/blue/white/black/green/yellow/brown/gray",
    "LOCAL": "local/nearby/old/new/small/big/famous",
    "OLD": "old/new/small/big/quiet/empty/busy",
}
WEEKDAY = "monday/tuesday/wednesday/thursday/friday/saturday/sunday"
MONTH = "january/february/march/april/may/june/july/august/september/october/november/december"
TIMES = {
    "past": f"last {WEEKDAY} | last {MONTH} | yesterday | last week/month/weekend/spring/winter",
    "present": f"every {WEEKDAY} | every {MONTH} | most days"
    " | every week/month/weekend/spring/winter",
    "future": f"next {WEEKDAY} | next {MONTH} | tomorrow | next week/month/weekend/spring/winter",
}
DATES = {
    "past": f"last {WEEKDAY}",
    "present": f"every {WEEKDAY}",
    "future": f"next {WEEKDAY}",
}
PARTS = {"day": "morning/afternoon", "evening": "evening/night"}
HOURS = {
    "day": {
        "past": "yesterday morning/afternoon",
        "present": "every morning/afternoon",
        "future": "tomorrow morning/afternoon",
    },
    "evening": {
        "past": "last night | yesterday evening",
        "present": "every evening/night",
        "future": "tonight | tomorrow evening",
    },
}
GENERAL_ADJECTIVES = {
    "positive": "great/wonderful/excellent/fantastic",
    "negative": "terrible/awful/horrible/disappointing",
}
SHARED = {
    "someone/she": "<female> | my sister/mother/daughter/aunt/wife/niece | she",
    "someone/he": "<male> | my brother/father/son/uncle/husband/nephew | he",
    "someone/they": "my parents/friends/cousins/sisters/children | the neighbors/twins/girls/boys"
    " | they",
    "someone/we": "we",
    "someone/i": "i",
    "relative/she": "my friend/neighbor/cousin/colleague/sister/teacher <female>"
    " | my older/younger/favorite/funny sister/cousin/aunt/niece",
    "relative/he": "my friend/neighbor/cousin/colleague/brother/teacher <male>"
    " | my older/younger/favorite/funny brother/cousin/uncle/nephew",
    "relative/they": "<female> and <male> | <male> and <female>"
    " | my older/younger/favorite/funny cousins/brothers/sisters/friends",
    "relative/we": "<male> and i | <female> and i",
    "relative/i": "i",
    "female": "anna/maria/emma/lucy/sarah/julia/nina/clara/alice/laura/sophie/helen/kate",
    "male": "tom/paul/david/james/ben/oliver/max/peter/leo/daniel/simon/martin/adam",
    "pronoun/she": "she",
    "pronoun/he": "he",
    "pronoun/they": "they",
    "pronoun/we": "we",
    "pronoun/i": "i",
    "possessive/she": "her",
    "possessive/he": "his",
    "possessive/they": "their",
    "possessive/we": "our",
    "possessive/i": "my",
    "kind_of": "young | friendly | new | tall | busy | quiet | other | old",
    "company": "friends/family/cousins/neighbors/colleagues/classmates/grandparents"
    " | sister/brother/mother/father/uncle/aunt/cousin",
    "now": "right now | this morning/afternoon/week/month | today",
    "interruption": "the phone/doorbell rang | someone knocked/called | the guests arrived"
    " | it got dark | the rain started | the lights failed",
    "modifier/s": "from our street/village/town | who live~s next door | in the COLOR coat/hat"
    " | who speak~s french/english/german/spanish | that my parents/friends/cousins/sisters know"
    " | with the COLOR dog/bag | who love~s music/football/books/cats"
    " | who know~s my uncle/aunt/father/mother | with COUNT children/cats/dogs",
    "modifier/p": "from our street/village/town | who live~p next door | in the COLOR coats/hats"
    " | who speak~p french/english/german/spanish | that my father/aunt/brother/wife knows"
    " | with the COLOR dog/bag | who love~p music/football/books/cats"
    " | who know~p my uncle/aunt/father/mother | with COUNT children/cats/dogs",
    "day/future": "tomorrow | soon | tonight",
    "when/past": "yesterday | last week | last time | last month | last weekend",
    "when/present": "today | this week | these days | this time | this month",
    "when/future": "tomorrow | next week | next time | next month | next weekend",
    "question/past": "did <female> | did <male> | did your older/younger sister/brother/cousin"
    " | did your parents/friends/neighbors | did you/they",
    "question/present": "does <female> | does <male>"
    " | does your older/younger sister/brother/cousin"
    " | do your parents/friends/neighbors | do you/they",
    "question/future": "will <female> | will <male> | will your older/younger sister/brother/cousin"
    " | will your parents/friends/neighbors | will you/they",
    "degree/positive": "really | so | quite | truly | very",
    "degree/negative": "really | so | quite | rather | very",
    "feeling/positive": "happy | glad | pleased | delighted | relieved | grateful | excited"
    " | proud",
    "feeling/negative": "sad | unhappy | annoyed | upset | angry | worried | nervous | tired",
    "trait/positive": "friendly | helpful | cheerful | polite | patient | generous",
    "trait/negative": "rude | tired | careless | impatient | lonely",
    "manner/positive": "happily | gladly | proudly | calmly | cheerfully",
    "manner/negative": "sadly | nervously | angrily | unwillingly",
    "ready/positive": "happy to | glad to | ready to | proud to | excited to",
    "ready/negative": "too tired to | too busy to | too lazy to | too sick to | afraid to",
    "opener/positive": "luckily | fortunately | thankfully",
    "opener/negative": "sadly | unfortunately",
    "and/positive": "and",
    "and/negative": "but",
}
SHARED_VERBS = {
    "be": "be",
    "love/positive": "love | like | enjoy | praise",
    "love/negative": "hate | dislike | criticize | avoid",
    "say": "say | think | believe | feel",
    "plan": "plan | want | decide | hope | promise",
    "errand": "go home | take a break | call a friend | sit down | drink some tea"
    " | take a nap | have a snack | watch the news",
}


# ---------------------------------------------------------------------- scenes


SCENES = (
    Scene(
        "food", "kitchen",
        people="cook | baker | chef",
        places="in the OLD kitchen | at home | in the LOCAL bakery"
        " | at the cooking class/school/contest",
        actions=(
            "bake: a chocolate/lemon/birthday/carrot/cherry/cheese cake"
            " | fresh/white/dark/sweet bread | an apple/orange pie"
            " | COUNT chocolate/apple/lemon cookies",
            "cook: rice and beans | a vegetable/chicken/fish/tomato/bean stew"
            " | a simple/light/late/hot dinner",
            "prepare: a simple/quick/cold/light/late lunch"
            " | a green/fruit/potato/tomato/chicken salad | COUNT hot/cold/sweet snacks",
            "fry: COUNT eggs/onions/potatoes/mushrooms | the fish/chicken/bacon/beans",
        ),
        thing="soup | cake | stew | salad | omelet | pie | pudding | sauce",
        things="pancakes | noodles | potatoes | cookies | muffins | meatballs",
        made="cook | make | serve | prepare | taste",
        link="on the table/stove/plate/counter | in the COLOR bowl/dish"
        " | from the oven/bakery | in the OLD kitchen",
        good="delicious | tasty | warm | perfect | sweet",
        bad="salty | cold | burnt | bland",
        cheers="everyone ask~s for more | the house/kitchen smell~s wonderful"
        " | the guests/children be~p delighted | the plates be~p empty soon",
        groans="nobody be~s hungry | smoke fill~s the kitchen/room | the food taste~s awful"
        " | the guests/children leave~p early",
    ),
    Scene(
        "food", "restaurant", hour="evening",
        people="guest | customer | waiter | tourist",
        places="at the LOCAL restaurant | at the LOCAL pizzeria"
        " | in the corner/station/museum/hotel/garden cafe | in the hotel/station/sports bar",
        actions=(
            "order: a large/small/spicy/cheese/mushroom pizza"
            " | grilled/fried/fresh fish | COUNT coffees/beers/burgers/salads"
            " | the daily/lunch/weekend special",
            "eat: a cheese/chicken/ham/fish/tomato/egg sandwich | fried/roast/spicy/cold chicken"
            " | COUNT tacos/oysters/pancakes | a light/quick/spicy/small meal",
            "drink: red/white/sweet/dry wine | iced/green/black/mint tea"
            " | COUNT cold/small/large beers | orange/apple/lemon/tomato juice",
            "share: a big/cheap/cold/sweet/chocolate dessert"
            " | COUNT starters/desserts/sandwiches/tacos",
            "pay: the bill/waiter/cook | in cash | for COUNT drinks/meals/coffees",
        ),
        thing="steak | pizza | burger | meal | sandwich | dessert | fish",
        things="desserts | drinks | sandwiches | tacos | vegetables",
        made="order | try | recommend | choose | share",
        link="at the LOCAL cafe/pizzeria/bar | on the lunch/dinner/new menu"
        " | from the grill/kitchen/bar",
        good="tasty | cheap | amazing | fresh | superb",
        bad="expensive | tasteless | cold | disgusting | dry | tiny",
        cheers="the waiter/cook smile~s | everyone enjoy~s the meal/evening | the bill be~s small"
        " | dessert be~s free",
        groans="the service be~s slow | the waiter forget~s the drinks/bread | the bill be~s huge"
        " | the music/room be~s too loud",
    ),
    Scene(
        "travel", "train",
        people="passenger | conductor | tourist | student",
        places="at the train/bus/central/LOCAL station | on the OLD platform"
        " | at the ticket counter/machine"
        " | near the harbor/bridge/border",
        actions=(
            "buy: COUNT tickets/maps/newspapers/sandwiches | a return/cheap/day/night ticket"
            " | a travel/city/picture guide | a city/train/bus map",
            "wait: for the bus/train/tram/ferry | for a/another taxi"
            " | for COUNT hours/friends/minutes",
            "meet: an old friend/teacher/neighbor | a tour/school/student group"
            " | COUNT travelers/tourists/students/sailors",
            "carry: a heavy/COLOR/small suitcase | a heavy/wet/COLOR backpack"
            " | COUNT heavy/big/small bags",
            "read: the timetable/newspaper/map | a travel/long/funny/good/city guide"
            " | COUNT magazines/newspapers/letters",
        ),
        thing="train | bus | ferry | tram | taxi | journey",
        things="trains | buses | ferries | trams | journeys",
        made="take | choose | recommend",
        link="to the coast/airport/mountains/village | from the capital/north/harbor/island"
        " | to paris/rome/berlin/london/vienna | across the border/river/bridge",
        good="fast | cheap | comfortable | punctual | modern | quiet",
        bad="late | crowded | slow | dirty | noisy | uncomfortable",
        cheers="the train/bus arrive~s on time | the trip be~s pleasant/short"
        " | the view be~s beautiful"
        " | the seats be~p comfortable",
        groans="the train/bus be~s late | the bags/tickets get~p lost | the seats be~p taken"
        " | the heating fail~s",
    ),
    Scene(
        "travel", "sights",
        people="tourist | guide | visitor | traveler",
        places="in lisbon/rome/prague/paris/vienna | on the small/big/quiet/empty island"
        " | in the OLD town"
        " | in southern/northern spain/france/italy",
        actions=(
            "visit: a famous/ruined/royal/small/lonely castle"
            " | the old/modern/city/art/train museum"
            " | COUNT old/royal/famous churches/museums/gardens/castles",
            "explore: the narrow/old/quiet/busy/empty streets"
            " | the market/park/palace/gardens | COUNT parks/streets/markets/shops",
            "photograph: the church/bridge/harbor/square"
            " | a white/lonely/distant/famous/COLOR cathedral"
            " | COUNT boats/statues/towers/fountains",
            "book: a double/single/cheap/quiet/clean room | a guided/short/private/city/boat tour"
            " | COUNT rooms/tours/nights",
            "climb: the bell/church/old/clock/city tower | a steep/small/green/rocky hill"
            " | COUNT hills/towers/stairs",
        ),
        thing="hotel | palace | museum | castle | garden | market",
        things="hotels | palaces | gardens | castles | streets",
        made="visit | photograph | recommend | describe",
        link="near the LOCAL market/station/church | in the OLD town/village/city"
        " | by the river/sea/lake/bridge | on the small/quiet/busy/old island/square",
        good="charming | beautiful | peaceful | famous | clean",
        bad="dirty | crowded | dull | shabby | noisy | ugly",
        cheers="the sun shine~s all day | the guide tell~s funny/good stories"
        " | the people be~p welcoming"
        " | the view be~s beautiful",
        groans="mosquitoes be~p everywhere | the map/guide be~s wrong"
        " | the museum/castle be~s closed"
        " | it rain~s all day",
    ),
    Scene(
        "work", "office",
        people="secretary | manager | accountant | lawyer | assistant",
        places="at the LOCAL office/bank | in the meeting/copy/conference room"
        " | at the front/help/information desk"
        " | on the second/third/fourth/top floor",
        actions=(
            "write: a short/long/monthly/secret/new report | COUNT emails/letters/reports"
            " | a friendly/formal/short/long letter",
            "answer: the phone/email/door/letter | COUNT letters/emails/questions/calls"
            " | a difficult/strange/simple/long question",
            "print: the contract/report/letter/plan/photos"
            " | COUNT documents/letters/pages/reports",
            "organize: a staff/team/budget/sales/board meeting | the files/documents/desks/trip"
            " | an office/summer/birthday party",
            "sign: the contract/letter/agreement/card | COUNT papers/letters/contracts/cards",
        ),
        thing="report | meeting | presentation | contract | plan | budget | offer",
        things="reports | slides | plans | documents | meetings | letters",
        made="prepare | discuss | check | read",
        link="for the new/old/big/local/foreign client | about the new/old/foreign/secret product"
        " | from the sales/finance/london/paris team | for the boss/board/bank",
        good="clear | impressive | useful | brilliant | short",
        bad="confusing | boring | long | messy | wrong | useless",
        cheers="the boss/client be~s pleased | the client accept~s the offer/plan"
        " | the team celebrate~s"
        " | the work go~s smoothly",
        groans="the printer/computer break~s | the boss/client complain~s"
        " | the meeting take~s forever"
        " | nobody listen~s",
    ),
    Scene(
        "weather", "rain",
        people="hiker | cyclist | gardener | farmer",
        places="near the big/small/quiet/nearby lake/river/bridge/station"
        " | in the LOCAL park/garden/forest"
        " | under the old/big/apple tree | at the bus/train/tram stop",
        actions=(
            "wear: a COLOR/long/short/warm raincoat | COLOR rubber/leather/winter boots"
            " | a wool/warm/wet/COLOR hat",
            "open: a big/broken/COLOR umbrella | the small/COLOR/old tent"
            " | COUNT umbrellas/windows/tents",
            "watch: the dark/gray/heavy/fast clouds | the lightning/storm/rain/river/rainbow"
            " | COUNT ducks/boats/birds/frogs",
            "listen: to the rain/thunder/wind/storm/river | to COUNT birds/frogs/ducks",
            "clean: the wet/muddy/rubber/old/COLOR boots | the car/tent/bicycle/windows/dog",
        ),
        thing="storm | wind | rain | shower | thunderstorm | fog",
        things="clouds | storms | winds | showers | breezes",
        made="watch | notice | photograph | expect",
        link="over the hills/town/lake/forest/valley | from the west/north/sea/mountains/east"
        " | along the coast/river/road/border | in the valley/village/town",
        good="gentle | mild | refreshing | harmless | beautiful",
        bad="violent | cold | endless | nasty | heavy | dangerous",
        cheers="the sun come~s out | a rainbow appear~s | the sky clear~s up/slowly"
        " | the flowers/plants grow~p fast",
        groans="everyone get~s wet/cold | the river/cellar flood~s | the wind blow~s harder"
        " | the road/path turn~s muddy",
    ),
    Scene(
        "family", "home",
        people="babysitter | roommate | housekeeper | neighbor",
        places="at home | in the OLD apartment | in the OLD house | in the OLD cottage",
        actions=(
            "clean: the kitchen/bathroom/garden/COLOR windows | the floor/oven/carpet/stove/sink"
            " | COUNT windows/rooms/chairs/carpets",
            "wash: the dishes/windows/dog/curtains/floor | some dirty/COLOR/warm/wool clothes"
            " | COUNT shirts/plates/sweaters/cups",
            "feed: the baby/cat/dog/fish/rabbit | the hungry/young/sleepy/noisy twins"
            " | COUNT cats/rabbits/birds",
            "water: the roses/plants/tomatoes/flowers/trees | the dry/small/big/green plants",
            "knit: a COLOR/warm/wool/thick sweater | COUNT warm/COLOR/tiny socks"
            " | a COLOR scarf/hat/blanket",
        ),
        thing="sofa | carpet | blanket | armchair | lamp | bed",
        things="curtains | cushions | towels | chairs | carpets | beds",
        made="buy | choose | clean | sell",
        link="in the bedroom/hallway/kitchen/attic | by the fireplace/window/door/stairs"
        " | in the living/guest/dining/COLOR room | from my grandmother/aunt/neighbor/uncle",
        good="soft | cozy | clean | comfortable | beautiful",
        bad="dusty | dirty | old | ugly | worn",
        cheers="the house/room look~s tidy | the baby/cat fall~s asleep | everyone help~s"
        " | grandmother be~s proud",
        groans="the baby cry~s loudly | the washing machine break/leak~s"
        " | the cat scratch~s the sofa/carpet"
        " | nobody help~s",
    ),
    Scene(
        "family", "party",
        people="guest | child | neighbor | toddler",
        places="in the OLD garden/backyard | at the birthday/family/summer/garden/school party"
        " | in the dining/living/guest room | at the OLD farm/cottage/house",
        actions=(
            "tell: COUNT funny/old/family/ghost/long stories | a fairy/funny/long/sad/ghost tale"
            " | COUNT bad/good/funny/old jokes",
            "play: a board/card/party/word/ball game | hide and seek"
            " | COUNT old/funny/card/party games",
            "wrap: the presents/books/toys/box/flowers | a big/small/heavy/COLOR box"
            " | COUNT books/toys/presents/boxes",
            "hang: COUNT balloons/lanterns/pictures/lights"
            " | COLOR/paper/colorful balloons/lanterns/flowers/stars",
            "take: COUNT funny/family/group/color photos | a group/family/funny/good picture",
            "sing: a birthday/folk/love song | COUNT old/folk/love/funny songs",
        ),
        thing="present | card | surprise | toy | game | photo",
        things="presents | balloons | flowers | games | photos | toys",
        made="bring | choose | make | show",
        link="for the twins/baby/neighbors/children | from my aunt/uncle/cousin/grandmother"
        " | on the table/wall/sofa/shelf | in the COLOR box/bag",
        good="lovely | funny | cute | colorful | beautiful",
        bad="silly | boring | cheap | ugly | strange",
        cheers="everyone dance/laugh~s | grandma/grandpa smile~s"
        " | the children laugh~p loudly/happily"
        " | the music/food be~s great",
        groans="the twins/cousins fight~p | a child start~s crying | the balloons burst~p"
        " | the guests/cousins leave~p early",
    ),
    Scene(
        "sport", "football",
        people="goalkeeper | player | coach | captain | fan",
        places="at the LOCAL stadium | on the OLD field | in the city/school/village park"
        " | behind the school/church/house",
        actions=(
            "score: a late/early/beautiful/quick/lucky goal | COUNT goals/points"
            " | in COUNT games/matches",
            "play: football | a friendly/hard/long/short/quick match | COUNT games/matches"
            " | for COUNT hours",
            "kick: the ball | a late/quick/long/good penalty | COUNT balls/penalties",
            "watch: the final/goalkeeper/coach/game/captain | a short/slow/long/late replay"
            " | COUNT games/matches/players",
            "pass: the ball | to the captain/striker/goalkeeper",
            "cheer: for the team/captain/goalkeeper/players | for COUNT hours/players/minutes",
        ),
        thing="match | game | final | tournament",
        things="matches | games | finals | tournaments",
        made="watch | film | describe | play",
        link="against the champions/germans/italians/students | at the LOCAL stadium"
        " | in the capital/north/city/village | on the radio/beach/island",
        good="exciting | great | fair | fast | memorable",
        bad="boring | weak | unfair | slow",
        cheers="the crowd/coach cheer~s | the fans/players sing~p | the team win~s the cup/match"
        " | the goalkeeper/captain be~s proud",
        groans="the team lose~s again | the fans/players complain~p | the referee be~s unfair"
        " | the captain/goalkeeper get~s hurt",
    ),
    Scene(
        "music", "concert", hour="evening",
        people="musician | singer | drummer | violinist",
        places="at the concert/city/town hall | on the big/small/open/main stage"
        " | at the summer/jazz/school/folk/rock festival | in the jazz/music/dance club",
        actions=(
            "sing: a love/folk/sad/happy/french song | an old ballad/song/opera"
            " | COUNT love/folk/french/sad songs",
            "play: the violin/piano/drums/guitar/flute | a slow/fast/sad/short/german waltz"
            " | COUNT dances/tunes/songs/ballads",
            "tune: the guitar/violin/piano/harp/drums | COUNT guitars/violins/harps",
            "perform: a new/short/modern/long/famous symphony | COUNT folk/slow/fast/short dances",
            "listen: to the band/orchestra/choir/singer | to COUNT songs/bands/choirs/singers",
        ),
        thing="concert | song | solo | show | waltz | opera",
        things="songs | concerts | melodies | ballads | dances",
        made="hear | record | describe",
        link="by the local/young/famous/french/new band | at the LOCAL festival/club/hall"
        " | with the new/famous/young singer | on the radio/stage",
        good="beautiful | moving | great | lively | famous",
        bad="loud | dull | noisy | long | boring",
        cheers="the crowd go~s wild | the audience/crowd applaud~s | everyone sing/dance~s along"
        " | the tickets sell~p out",
        groans="the microphone/guitar fail~s | the audience/crowd leave~s"
        " | the sound be~s terrible/bad"
        " | nobody clap/dance~s",
    ),
    Scene(
        "health", "hospital",
        people="nurse | doctor | surgeon | patient",
        places="at the LOCAL hospital/clinic | in the emergency/waiting/operating room"
        " | in the heart/eye/baby ward | on the second/third/fourth/top floor",
        actions=(
            "check: the pulse/temperature/heart/eyes | COUNT results/tests/patients/wounds",
            "bandage: the wound/knee/arm/foot/hand"
            " | a broken/sore/bad ankle/knee/arm/foot",
            "read: the x-ray/report/results/chart | a health/travel/music/film magazine"
            " | COUNT reports/letters/charts",
            "visit: a sick friend/child/neighbor/teacher | the patients/doctors/nurses/baby"
            " | COUNT patients/friends/children/doctors",
            "order: COUNT tests/pills/bandages | a blood/heart/skin/eye test"
            " | new/strong/cheap medicine",
        ),
        thing="treatment | medicine | injection | vaccine | massage",
        things="treatments | pills | vaccines | bandages | injections",
        made="get | describe | recommend | discuss",
        link="at the LOCAL clinic/hospital | for the old/young/new/sick/tired patient"
        " | against the flu/fever/cough/pain | for the heart/skin/eyes/back",
        good="successful | painless | safe | useful | quick",
        bad="painful | dangerous | expensive | unpleasant | slow",
        cheers="the fever/pain go~s away | the results/doctors be~p great"
        " | the patient/child feel~s better"
        " | the wound heal~s quickly/fast",
        groans="the fever/pain return~s | the wait be~s endless/long | the results be~p bad/wrong"
        " | the patient/child feel~s worse",
    ),
    Scene(
        "school", "classroom",
        people="student | teacher | pupil | girl | boy",
        places="at school | in the OLD classroom/library"
        " | in the history/math/french/art/music class"
        " | on the second/third/top/first floor",
        actions=(
            "solve: a math/hard/simple/physics/word problem"
            " | COUNT equations/puzzles/problems/riddles",
            "write: a long/short/funny/boring/french essay | a sad/short/love/funny/spring poem"
            " | COUNT sentences/letters/pages/poems",
            "learn: COUNT french/new/long/difficult/german words"
            " | french/spanish/english/german/latin grammar | COUNT poems/rules/songs/dates",
            "study: history/geography/biology/physics/music"
            " | the roman/russian/french empire | for COUNT hours/exams/tests",
            "draw: a COLOR/big/simple map/triangle/circle | COUNT maps/circles/triangles/trees"
            " | a big/small/COLOR house/bird/horse",
            "answer: every/one/another/each question | COUNT questions/letters/riddles"
            " | in english/french/german/spanish",
        ),
        thing="lesson | exam | essay | exercise | quiz",
        things="lessons | exercises | exams | questions | essays",
        made="prepare | finish | discuss | describe",
        link="about ancient rome/egypt/greece/china | for the young/older/new students"
        " | on page two/six/ten/five/four | from the new/old/french/math teacher",
        good="easy | interesting | clear | useful | fun",
        bad="hard | confusing | boring | difficult | long",
        cheers="the grades/students improve~p | the teacher praise~s the class/poem"
        " | the bell ring~s early"
        " | the teacher/class be~s happy",
        groans="the grades be~p bad/terrible | nobody understand~s | the class fall~s asleep"
        " | the teacher complain/shout~s",
    ),
    Scene(
        "school", "library",
        people="librarian | reader | writer | student",
        places="in the city/school/LOCAL library | at the book/summer fair/shop/market"
        " | in the reading/map room | on the second/third/top/first floor",
        actions=(
            "read: a thick/short/good/french/russian novel"
            " | a detective/love/ghost/war/horse story | COUNT old/short/love/french poems",
            "borrow: COUNT books/novels/magazines/maps | an old atlas/book/novel"
            " | a film/music/travel/health/sports magazine",
            "return: the atlas/novel/book/magazine/map | COUNT magazines/books/novels/films",
            "search: the shelves/catalog/archive/drawers | for COUNT books/poems/novels/maps"
            " | for a map/poem/novel/letter",
            "study: old/rare/city/french/ancient maps | a rare/strange/french/latin/heavy book"
            " | COUNT letters/maps/stories/poems",
        ),
        thing="novel | story | book | poem | play | magazine",
        things="novels | poems | stories | comics | books",
        made="read | recommend | finish | borrow",
        link="about pirates/dragons/love/war/horses | by the young/french/famous/german/new author"
        " | on the top/first/last/COLOR shelf | from the LOCAL library/archive/shop",
        good="exciting | funny | interesting | brilliant | moving",
        bad="dull | long | predictable | silly | sad",
        cheers="the hours fly~p by | the librarian/author smile~s | the plot/ending be~s great"
        " | the children/readers listen~p",
        groans="the last/first page be~s missing | the library/shop close~s early"
        " | the plot/ending be~s weak"
        " | the lamp/light break~s",
    ),
)


if __name__ == "__main__":
    main()
