"""Untrusted texts as words in a picture: printable, and of a limited width."""

from __future__ import annotations

import re
import unicodedata

from textvae.progress.bars import printable

MARK = "…"  # stands for what is left out
_NO_BREAK = "\u00a0"
_LONE_MARK = re.compile(r" (?=[^\w\s](?: |$))")


def width(text: str) -> int:
    """The columns that a text takes: 2 for a wide character of East Asia, 0 for a combining one.

    >>> width("abc"), width("你好")
    (3, 4)
    """
    return sum(map(_columns, text))


def shortened(text: str, most: int) -> str:
    """`text` on one line, printable, its end replaced by a mark beyond `most` columns.

    >>> shortened("the soup was cold", 9)
    'the soup…'
    """
    return _cut(printable(" ".join(text.split())), most)


def wrapped(text: str, columns: int, lines: int) -> list[str]:
    """`text` in at most so many lines, broken at spaces where there are some.

    >>> wrapped("the soup was cold", 9, 2), wrapped("the soup was cold", 9, 1)
    (['the soup', 'was cold'], ['the soup…'])
    """
    # A lone mark, such as the full stop of tokenized text, stays with the word before.
    rest = _LONE_MARK.sub(_NO_BREAK, printable(" ".join(text.split())))
    found: list[str] = []
    while len(found) < lines - 1 and width(rest) > columns:
        part = _first(rest, columns)
        space = part.rfind(" ")
        if rest[len(part)] != " " and 2 * space > len(part):  # else a script without spaces
            part = part[:space]
        found.append(part.rstrip())
        rest = rest[len(part) :].lstrip(" ")
    return [line.replace(_NO_BREAK, " ") for line in (*found, _cut(rest, columns))]


def _cut(text: str, most: int) -> str:
    return text if width(text) <= most else f"{_first(text, most - 1).rstrip()}{MARK}"


def _first(text: str, most: int) -> str:
    """The longest beginning of `text` within `most` columns; at least one character."""
    used = 0
    for place, character in enumerate(text):
        used += _columns(character)
        if used > most:
            return text[: max(place, 1)]
    return text


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
