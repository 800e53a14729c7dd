"""The writing style of a text, which decides what a word is and how BLEU tokenizes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Writing = Literal["tokenized", "plain", "unspaced"]

# Han, kana, bopomofo, Thai, Lao, Burmese, Khmer: scripts that put no spaces between words.
_UNSPACED_SCRIPT = re.compile(
    "[\u2e80-\u2fdf\u3005-\u312f\u31a0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)
_MARK = re.compile(r"[.,!?;:]")
WORD = r"\w+|[^\w\s]"  # a run of letters and digits, or one punctuation mark


def writing_of(texts: Sequence[str]) -> Writing:
    """The writing style of the texts.

    - `unspaced`: less than 5 % of the characters inside the texts are white space, or less than
      20 % if most characters belong to a script without spaces between words.
    - `tokenized`: a punctuation mark (. , ! ? ; :) is a word of its own at least as often as it
      ends a word; text without punctuation counts as tokenized.
    - `plain`: everything else.
    """
    words = [word for text in texts for word in text.split()]
    visible = sum(map(len, words))
    spaces = sum(max(len(text.split()) - 1, 0) for text in texts)
    unspaced_script = sum(len(_UNSPACED_SCRIPT.findall(word)) for word in words)
    limit = 0.2 if 2 * unspaced_script > visible else 0.05
    if spaces < limit * (visible + spaces):
        return "unspaced"
    alone = sum(_MARK.fullmatch(word) is not None for word in words)
    attached = sum(len(word) > 1 and _MARK.match(word[-1]) is not None for word in words)
    return "tokenized" if alone >= attached else "plain"


def units(text: str, writing: Writing) -> list[str]:
    """The words of a text, split on white space; its characters if the writing is unspaced."""
    words = text.split()
    return list("".join(words)) if writing == "unspaced" else words


def letters(text: str) -> str:
    """What texts share that differ only in case, spacing and punctuation; never empty for a text.

    >>> letters("It's late."), letters("?!")
    ('itslate', '?!')
    """
    return "".join(filter(str.isalnum, text.casefold())) or "".join(text.split())


def words(text: str, writing: Writing) -> list[str]:
    """The words and punctuation marks of a text in lower case; its characters if unspaced.

    >>> words("The dog's home.", "plain")
    ['the', 'dog', "'", 's', 'home', '.']
    """
    return units(text.lower(), writing) if writing == "unspaced" else re.findall(WORD, text.lower())
