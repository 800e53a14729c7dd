"""Write data/everyday: English sentences whose exact probability is known.

    python scripts/make_everyday.py --out data/everyday

A weighted grammar draws a topic, a sentiment and a tense, then a template, then words from
the scene of the topic, a small world in which any action suits any place. Few words and
equal weights make the corpus learnable from 20,000 sentences. Every text carries
`log_prob`, the log of its probability summed over all the ways in which the grammar can
derive it, so -log_prob averages to the entropy: no model can do better.

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
    """Log of the probability of the text over all its derivations, in nats; -inf if none."""
    probability = inside(grammar, text, START)
    return math.log(probability) if probability > 0 else -math.inf


def attributes(grammar: Grammar, text: str) -> tuple[str, str, str] | None:
    """The most probable (topic, sentiment, tense) of a text; None if the grammar cannot derive it.

    Ties: the attributes that the grammar names first.
    """
    roots = {rule.symbols[0]: rule.probability for rule in grammar.rules[START]}
    joint = {root: p * inside(grammar, text, root) for root, p in roots.items()}
    best = max(joint, key=joint.__getitem__)
    topic, sentiment, tense = best.strip("<>").split("/")
    return (topic, sentiment, tense) if joint[best] > 0 else None


def inside(grammar: Grammar, text: str, symbol: str) -> float:
    """Probability that a symbol derives the whole text, over all derivations.

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
        """Near the root, where rules have one symbol, a symbol that lacks a word is skipped."""
        if not present <= grammar.words.get(symbol, frozenset([symbol])):
            return 0.0
        rules = grammar.rules.get(symbol, ())
        if rules and all(len(rule.symbols) == 1 for rule in rules):
            return math.fsum(rule.probability * whole(rule.symbols[0]) for rule in rules)
        return ends(symbol, 0).get(len(words), 0.0)

    return whole(symbol)


# ------------------------------------------------ from tables of words to a grammar


@dataclass(frozen=True)
class Template:
    """A sentence with {slots}; `SLOTS` says which symbol each slot stands for."""

    weight: float
    text: str
    tenses: str = "past present future"


@dataclass(frozen=True)
class Scene:
    """A small world. Alternatives are separated by `|` and equally likely.

    Any person may do any action at any place; any thing, one or many, is `made` by any
    person, is found at any `link`, and is `good` or `bad`. In an outcome `verb~s` and `verb~p` are
    inflected for a singular or plural subject and the tense of the sentence, and FEELING
    and QUALITY are words of its sentiment. `red/blue`
    is a choice of one word, before which a or an is corrected, and so is a name of
    `GROUPS`, in capitals.
    """

    topic: str
    people: str
    places: str
    actions: tuple[str, ...]  # "verb: object | object"
    thing: str
    made: str
    link: str
    good: str
    bad: str
    outcome: str


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
    for scene, sentiment, tense in product(scenes, templates, TENSES):
        root = f"<{scene.topic}/{sentiment}/{tense}>"
        table[START].append((SENTIMENTS[sentiment] * TENSES[tense], root))
        table[root] = plan_rules(scene, sentiment, tense, templates[sentiment])
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
                scene=scene.topic, sentiment=sentiment, tense=tense, person=person, number=number
            )
            rules.append((template.weight * p * q, text))
    return rules


def scene_rules(scene: Scene) -> dict[str, Alternatives]:
    """The symbols whose words belong to one scene."""
    name = scene.topic
    rules = {
        f"<people/{name}/s>": equal(split(scene.people)),
        f"<people/{name}/p>": equal(map(plural, split(scene.people))),
        f"<crowd/{name}/s>": [(1.0, f"<people/{name}/s>"), (1.0, f"<kind_of> <people/{name}/s>")],
        f"<crowd/{name}/p>": [(1.0, f"<people/{name}/p>"), (1.0, f"<kind_of> <people/{name}/p>")],
        f"<place/{name}>": equal(split(scene.places)),
        f"<thing/{name}/s>": equal(split(scene.thing)),
        f"<thing/{name}/p>": equal(map(plural, split(scene.thing))),
        f"<link/{name}>": equal(split(scene.link)),
    }
    for person in PERSONS:
        rules[f"<subject/{name}/{person}>"] = [
            (2.0, f"<someone/{person}>"),
            (2.0, f"<relative/{person}>"),
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
        rules[f"<object/{name}/{k}>"] = equal(split(objects))
        do.append(f"{verb} <object/{name}/{k}>")
    rules |= verb_rules(f"do/{name}", do)
    rules |= verb_rules(f"made/{name}", split(scene.made))
    for sentiment, adjectives in (("positive", scene.good), ("negative", scene.bad)):
        adjectives += " | " + GENERAL_ADJECTIVES[sentiment]
        rules[f"<quality/{name}/{sentiment}>"] = equal(split(adjectives))
        rules[f"<a_quality/{name}/{sentiment}>"] = equal(map(with_article, split(adjectives)))
        outcome = scene.outcome.replace("FEELING", f"<feeling/{sentiment}>")
        outcome = outcome.replace("QUALITY", GENERAL_ADJECTIVES[sentiment].replace(" | ", "/"))
        for tense in TENSES:
            rules[f"<reaction/{name}/{sentiment}/{tense}>"] = equal(
                conjugated(reaction, tense) for reaction in split(outcome + REACTIONS[sentiment])
            )
    return rules


def shared_rules() -> dict[str, Alternatives]:
    """The symbols that all scenes share."""
    rules = {
        f"<{name}>": equal(conjugated(text, "present") for text in split(words))
        for name, words in SHARED.items()
    }
    for name, verbs in SHARED_VERBS.items():
        rules |= verb_rules(name, split(verbs))
    for tense, times in TIMES.items():
        rules[f"<time/{tense}>"] = equal(split(times))
    return rules


def verb_rules(name: str, verbs: list[str]) -> dict[str, Alternatives]:
    """Verb phrases in all forms: `<name/past/she>` and so on, `<name/base>`, `<name/ing>`."""
    rules = {
        f"<{name}/{tense}/{person}>": equal(conjugate(verb, tense, person) for verb in verbs)
        for tense, person in product(TENSES, AGREEMENT)
    }
    rules[f"<{name}/base>"] = equal(verbs)
    rules[f"<{name}/ing>"] = equal(inflect(verb, "ing") for verb in verbs)
    return rules


def split(words: str) -> list[str]:
    """The alternatives of a table entry."""
    return [item.strip() for item in words.split("|")]


def equal(texts: Iterable[str]) -> Alternatives:
    """All alternatives, equally likely."""
    return [(1.0, text) for text in texts]


def with_choices(table: dict[str, Alternatives]) -> dict[str, Alternatives]:
    """The same table in which each `red/blue` is a symbol, with the fitting article before it."""
    choices: dict[str, Alternatives] = {}

    def symbol(match: re.Match[str]) -> str:
        words = match["words"].split("/")
        if match["article"]:
            words = [with_article(word) for word in words]
        name = f"<{match['article'] and 'a:'}{match['words']}>"
        choices[name] = equal(words)
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
    """The plural of a noun."""
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
    drink:drank eat:ate fall:fell feed:fed feel:felt find:found fly:flew forget:forgot get:got
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
    "time": "<time/{tense}>",
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
    Template(9, "{subject} {do} {place} {time} ."),
    Template(8, "{time} {subject} {do} {place} ."),
    Template(4, "{subject} {do} with {my} {company} {time} ."),
    Template(3, "{subject} {do} {place} with {my} {company} .", "past present"),
    Template(3, "the {crowd} {who} {does} {place} .", "past present"),
    Template(3, "the {crowd} {who} {does} {time} ."),
    Template(3, "{did_you} {to_do} {place} {time} ?"),
    Template(5, "{name} {plan} to {to_do} {place} {time} .", "past present"),
    Template(6, "{name} {am} {doing} {place} when {interruption} .", "past"),
    Template(4, "{subject} {am} {doing} with {my} {company} {now} .", "present"),
    Template(4, "{subject} {am} {doing} {time} .", "future"),
    Template(4, "{time} {subject} {do} and then {errand} .", "past present"),
    Template(5, "after {doing} , {subject} {errand} {time} .", "past present"),
    Template(5, "{subject} {do} while the {crowd} {does} .", "past present"),
    Template(4, "{subject} {do} while the {people} {does_now} .", "future"),
)
OPINIONS = (
    Template(1, "the {thing} {link} {is} {good} , and {cheer} .", "past present"),
    Template(1, "{time} the {thing} {is} {good} , and {cheer} .", "future"),
    Template(5, "the {thing} that {subject} {made} {time} {is} {very} {good} ."),
    Template(4, "{time} {name} {do} , {and} {cheer} .", "past present"),
    Template(3, "{name} {do} , {and} {cheer} .", "future"),
    Template(3, "when {name} {do} {time} , {cheer} .", "past present"),
    Template(3, "if {subject} {do_now} , {cheer} .", "future"),
    Template(4, "{subject} {am} {glad} because the {thing} {link} {is} {good} .", "past present"),
    Template(2, "{name} {am} {glad} if the {thing} {link} {is_now} {good} .", "future"),
    Template(5, "{name} {do} {place} , {and} {they} {am} {glad} .", "past present"),
    Template(3, "{luckily} , {subject} {made} {a_good} {one} {place} .", "past"),
    Template(1, "{luckily} , the {thing} {link} {is} {very} {good} {time} ."),
    Template(6, "{subject} {love} the {good} {thing} {link} {time} ."),
    Template(6, "{subject} {say} that the {thing} {link} {is} {very} {good} .", "past present"),
    Template(4, "{subject} {say} that the {thing} {link} {is_now} {good} .", "future"),
    Template(3, "the {crowd} who {does} {place} {is} {very} {kind} .", "past present"),
    Template(7, "{subject} {gladly} {do} {place} {time} .", "past present"),
    Template(4, "{subject} {am} {ready} {to_do} {time} ."),
    Template(6, "{subject} {made} {a_good} {one} {place} {time} ."),
    Template(6, "{time} {subject} {made} {good} {many} {place} ."),
    Template(5, "{subject} {made} {good} {many} with {my} {company} {time} ."),
)
TEMPLATES = {"neutral": EVENTS, "positive": OPINIONS, "negative": OPINIONS}


# ----------------------------------------------------------- words of all scenes


GROUPS = {  # named choices, written in capitals in the tables
    "COUNT": "two/three/four/five/some/many",
    "COLOR": "red/blue/white/black/green/yellow/brown/gray",
    "OLD": "old/new/small/big/quiet/busy",
    "CITY": "paris/rome/london/lisbon/prague/vienna",
    "KINS": "parents/friends/neighbors/cousins",
    "KIN": "older/younger sister/brother/cousin",
    "LANGUAGE": "french/english/german/spanish",
}
WEEKDAY = "monday/tuesday/wednesday/thursday/friday/saturday/sunday"
MONTH = "january/february/march/april/may/june/july/august/september/october/november/december"
SPAN = "week/month/weekend/spring/summer/winter"
HOUR = "morning/afternoon/evening"
TIMES = {
    "past": f"last {WEEKDAY} | last {WEEKDAY} {HOUR} | last {MONTH} | last {SPAN}"
    f" | yesterday {HOUR}",
    "present": f"every {WEEKDAY} | every {WEEKDAY} {HOUR} | every {MONTH} | every {SPAN}"
    f" | every {HOUR}",
    "future": f"next {WEEKDAY} | next {WEEKDAY} {HOUR} | next {MONTH} | next {SPAN}"
    f" | tomorrow {HOUR}",
}
GENERAL_ADJECTIVES = {
    "positive": "good/great/nice/lovely | wonderful/excellent/fantastic/amazing",
    "negative": "bad/poor/terrible/awful | horrible/disappointing/dreadful/strange",
}
REACTIONS = {
    "positive": " | everyone smile/laugh~s",
    "negative": " | nobody smile/laugh~s | everyone complain~s",
}
MODIFIER = (
    "from our street/village/town | who live~ next door | with the COLOR dog/car/house"
    " | who speak~ LANGUAGE | who love~ music/books/cats/dogs | with COUNT children/cats/dogs"
    " | who know~ my parents/friends/neighbors/cousins"
)
SHARED = {
    "someone/she": "<female> | my sister/mother/daughter/aunt/wife/niece",
    "someone/he": "<male> | my brother/father/son/uncle/husband/nephew",
    "someone/they": "my parents/friends/cousins/neighbors/sisters/brothers/children",
    "someone/we": "we",
    "someone/i": "i",
    "relative/she": "my friend/neighbor/cousin <female>"
    " | my older/younger/favorite sister/cousin/aunt/niece",
    "relative/he": "my friend/neighbor/cousin <male>"
    " | my older/younger/favorite brother/cousin/uncle/nephew",
    "relative/they": "<male> and <female> | <female> and <male>"
    " | my older/younger/favorite cousins/brothers/sisters",
    "relative/we": "<male> and i | <female> and i",
    "relative/i": "i",
    "female": "anna/maria/emma/lucy/sarah/julia/nina/clara/alice/laura/sophie/helen/kate"
    "/rosa/linda/paula/susan/diana/ella/grace/mary/ruth/jane/eva/lisa",
    "male": "tom/paul/david/james/ben/oliver/max/peter/leo/daniel/simon/martin/adam"
    "/felix/henry/oscar/robert/victor/jack/george/john/mark/frank/philip/sam",
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
    "kind_of": "young | old | new | tall | friendly | quiet",
    "company": "friends/family/cousins/neighbors/parents/children"
    " | sister/brother/mother/father/uncle/aunt",
    "now": "right now | this morning/afternoon/week/month | today",
    "interruption": "the phone rang | a friend/neighbor called",
    "modifier/s": MODIFIER.replace("~", "~s"),
    "modifier/p": MODIFIER.replace("~", "~p"),
    "question/past": "did <female> | did <male> | did your KIN | did your KINS | did you/they",
    "question/present": "does <female> | does <male> | does your KIN | do your KINS | do you/they",
    "question/future": "will <female> | will <male> | will your KIN | will your KINS"
    " | will you/they",
    "degree/positive": "really | so | truly",
    "degree/negative": "really | so | rather",
    "feeling/positive": "happy | glad | pleased | relieved | excited",
    "feeling/negative": "sad | unhappy | annoyed | angry | worried",
    "trait/positive": "friendly | helpful | cheerful | polite",
    "trait/negative": "rude | tired | careless | lazy",
    "manner/positive": "happily | gladly | proudly | cheerfully",
    "manner/negative": "sadly | nervously | angrily | unwillingly",
    "ready/positive": "happy to | glad to | ready to | excited to",
    "ready/negative": "too tired to | too busy to | too lazy to | afraid to",
    "opener/positive": "luckily | fortunately",
    "opener/negative": "sadly | unfortunately",
    "and/positive": "and",
    "and/negative": "but",
}
SHARED_VERBS = {
    "be": "be",
    "love/positive": "love | like | enjoy",
    "love/negative": "hate | dislike | criticize",
    "say": "say | think | believe | feel",
    "plan": "plan | want | decide",
    "errand": "go home | take a break/nap | call a friend/neighbor | drink tea/coffee",
}


# ---------------------------------------------------------------------- scenes


SCENES = (
    Scene(
        "food",
        people="cook | baker | chef | waiter",
        places="in the OLD kitchen/bakery/restaurant | in the OLD cafe | at home",
        actions=(
            "bake: a chocolate/lemon/apple/cherry cake/pie"
            " | COUNT chocolate/lemon/apple/cherry cookies/cakes",
            "cook: a chicken/fish/tomato/potato soup/stew | rice with chicken/fish/tomatoes",
            "prepare: a cold/light/simple/late lunch/dinner | a chicken/fish/tomato/potato salad",
            "serve: COUNT cold/hot drinks/soups | the soup/cake/salad/dinner",
        ),
        thing="soup | cake | stew | salad | pie | pizza",
        made="make | prepare",
        link="on the table/counter | in the COLOR bowl/dish | from the OLD bakery/cafe",
        good="delicious | tasty | fresh",
        bad="disgusting | cold | salty",
        outcome="the guests be~p FEELING | the food be~s QUALITY",
    ),
    Scene(
        "travel",
        people="tourist | traveler | guide | pilot",
        places="near the OLD station/harbor/bridge/market | in CITY",
        actions=(
            "book: a cheap/quiet/small/big room/cabin | a cheap/early/late flight/tour",
            "pack: the COLOR suitcase/backpack/bag | COUNT COLOR bags/shirts",
            "buy: a train/bus/boat ticket | COUNT postcards/maps/tickets",
            "photograph: the OLD castle/tower/bridge/market | COUNT ships/towers/boats",
        ),
        thing="hotel | cabin | castle | museum | market",
        made="find | photograph",
        link="near the station/harbor/bridge | in CITY | by the sea/river/lake",
        good="charming | beautiful | peaceful",
        bad="noisy | crowded | ugly",
        outcome="the guide be~s FEELING | the weather be~s QUALITY",
    ),
    Scene(
        "work",
        people="manager | secretary | engineer | lawyer",
        places="in the OLD office/factory/bank | on the second/third/top floor",
        actions=(
            "write: a long/short/clear report/letter/email | COUNT long/short letters/emails",
            "check: the sales/travel/staff budget/plan/report | COUNT reports/plans/contracts",
            "sign: the OLD contract/letter | COUNT contracts/papers/letters",
            "organize: a staff/sales/team meeting/lunch | the staff/sales/team trip/party",
        ),
        thing="report | meeting | plan | contract | project",
        made="prepare | describe",
        link="for the OLD client/bank/factory | about the new/secret product/budget"
        " | from the sales/london team/office",
        good="clear | useful | impressive",
        bad="confusing | boring | useless",
        outcome="the boss be~s FEELING | the results be~p QUALITY",
    ),
    Scene(
        "weather",
        people="hiker | cyclist | gardener | farmer",
        places="near the OLD lake/bridge/house | in the OLD park/garden/village",
        actions=(
            "wear: a COLOR/warm raincoat/hat/coat | COLOR/warm boots/gloves",
            "open: a COLOR/big/broken umbrella | COUNT umbrellas/windows/tents",
            "watch: the dark/gray/heavy clouds | the storm/rain/lightning/river",
            "clean: the wet/muddy/COLOR boots/car/tent | the muddy/wet windows/gloves",
        ),
        thing="storm | wind | shower | cloud",
        made="watch | photograph",
        link="over the hills/lake/forest/town/river/coast",
        good="gentle | mild | refreshing",
        bad="violent | dangerous | cold",
        outcome="the farmers be~p FEELING | the weather be~s QUALITY",
    ),
    Scene(
        "family",
        people="guest | neighbor | child | babysitter",
        places="in the OLD house/apartment/garden | in the OLD cottage | at home",
        actions=(
            "clean: the kitchen/bathroom/bedroom/floor | COUNT windows/rooms/carpets",
            "wash: the dishes/windows/floor/dog | COUNT COLOR shirts/plates",
            "feed: the baby/cat/dog/rabbit | COUNT cats/rabbits/birds",
            "knit: a COLOR/warm sweater/hat/blanket | COUNT COLOR hats/sweaters/blankets",
        ),
        thing="sofa | armchair | bed | carpet | blanket",
        made="buy | repair",
        link="in the bedroom/kitchen | by the window/door | in the guest/COLOR room"
        " | from my mother/aunt/uncle",
        good="soft | cozy | warm",
        bad="dusty | dirty | ugly",
        outcome="the guests be~p FEELING | the house be~s QUALITY",
    ),
    Scene(
        "sport",
        people="goalkeeper | player | coach | fan",
        places="at the OLD stadium/gym | on the OLD field | in the OLD park",
        actions=(
            "play: football/tennis | a long/short/friendly match/game | COUNT games/matches",
            "watch: the final/coach/captain/goalkeeper | COUNT games/matches/players",
            "kick: the COLOR ball | a late/early/long penalty",
            "score: a late/early/lucky goal | COUNT goals/points",
        ),
        thing="match | game | final | tournament | race",
        made="watch | describe",
        link="for the fans/coach | at the OLD stadium/gym | in the OLD park | on the radio",
        good="exciting | fast | fair",
        bad="boring | slow | unfair",
        outcome="the fans be~p FEELING | the game be~s QUALITY",
    ),
    Scene(
        "music",
        people="musician | singer | drummer | violinist",
        places="at the OLD theater/club | on the OLD stage | at the summer/jazz/folk festival",
        actions=(
            "sing: a love/folk/sad/LANGUAGE song | COUNT love/folk/sad/LANGUAGE songs",
            "play: the violin/piano/guitar/drums | a slow/fast/short waltz/dance",
            "tune: the violin/piano/guitar | COUNT guitars/violins",
            "listen: to the band/orchestra/choir/singer | to COUNT bands/songs/singers",
        ),
        thing="concert | song | waltz | show | dance",
        made="hear | perform",
        link="by the young/new/LANGUAGE band/singer/choir | at the OLD club/theater"
        " | on the radio/stage",
        good="beautiful | moving | lively",
        bad="loud | noisy | boring",
        outcome="the singer be~s FEELING | the sound be~s QUALITY",
    ),
    Scene(
        "health",
        people="nurse | doctor | surgeon | patient",
        places="at the OLD hospital/clinic | in the waiting/emergency room"
        " | on the second/third/top floor",
        actions=(
            "check: the pulse/temperature/heart/eyes | COUNT results/tests/patients",
            "bandage: the sore/broken knee/arm/foot/hand",
            "order: COUNT tests/pills/bandages | a blood/heart/eye test",
            "visit: a sick/young/old friend/child/patient | COUNT patients/friends/doctors",
        ),
        thing="treatment | injection | vaccine | pill | medicine",
        made="order | describe",
        link="at the OLD clinic/hospital | for the sick/young/old patient/child"
        " | against the flu/fever/pain",
        good="successful | painless | safe",
        bad="painful | dangerous | expensive",
        outcome="the patient be~s FEELING | the results be~p QUALITY",
    ),
    Scene(
        "school",
        people="student | teacher | pupil | librarian",
        places="in the OLD classroom/library | in the math/music/LANGUAGE class | at school",
        actions=(
            "read: a short/long/love/LANGUAGE story/novel | COUNT stories/novels/poems",
            "write: a short/long/love/LANGUAGE essay/poem | COUNT pages/poems/essays",
            "learn: COUNT LANGUAGE words/songs/poems | LANGUAGE grammar",
            "solve: a hard/simple/math problem/puzzle | COUNT hard/simple problems/puzzles",
        ),
        thing="essay | novel | story | poem",
        made="read | describe",
        link="about love/dragons | for the young/new/older students"
        " | from the OLD library | from the young/new teacher",
        good="easy | interesting | exciting",
        bad="hard | confusing | boring",
        outcome="the teacher be~s FEELING | the grades be~p QUALITY",
    ),
)


if __name__ == "__main__":
    main()
