"""What to do with bytes that are not UTF-8: which encoding they are likely to be in."""

from __future__ import annotations

from collections.abc import Iterable

from textvae.errors import shown

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SEARCHED = 32 << 20  # bytes looked at after the first that are not UTF-8
_LISTED = 5  # lines named
_CONTEXT = 20  # bytes shown on each side of the first that is not UTF-8
_ASCII = bytes(range(0x80))
_C1 = frozenset(range(0x80, 0xA0))  # control characters in LATIN1, letters and quotes in CP1252
_NOT_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
# Western text has fewer bytes beyond ASCII than this share; other scripts have more.
_WESTERN = 0.4
_OTHER_SCRIPTS = (
    "CP1251 or KOI8-R for Cyrillic, CP1253 for Greek, GB18030 or BIG5 for Chinese, SHIFT_JIS for "
    "Japanese, EUC-KR for Korean"
)


def advice(number: int, raw: bytes, n_good: int, more: Iterable[bytes]) -> str:
    """What to do with a text that is not UTF-8.

    Args:
        number: of the first line that is not UTF-8.
        raw: this line.
        n_good: how many lines before it are UTF-8 with characters beyond ASCII.
        more: the lines after it.
    """
    if number == 1 and raw.startswith(_UTF16):
        return "convert the file, for example with `iconv -f UTF-16 -t UTF-8`"
    numbers, bad, searched = [number], [raw], 0
    for place, line in enumerate(more, start=number + 1):
        searched += len(line)
        if not line.isascii():
            if is_utf8(line):
                n_good += 1
            else:
                numbers.append(place)
                bad.append(line)
        if searched > _SEARCHED:
            break
    if any(0 in line for line in bad):
        return "it contains NUL bytes as well, so is it text at all?"
    encoding = _encoding(bad)
    if n_good >= len(bad):
        return _advice_for_lines(numbers, raw, encoding, n_good)
    if encoding is None:
        return (
            "the file is in another encoding, which these bytes do not tell (it may be "
            f"{_OTHER_SCRIPTS}, CP1250, CP850 or MACINTOSH for Latin letters); convert it with "
            "`iconv -f ENCODING -t UTF-8` and look at the result"
        )
    return (
        f"convert the file, for example with `iconv -f {encoding} -t UTF-8`, by which this line "
        f"has {_read_as(encoding, raw)}"
    )


def _advice_for_lines(numbers: list[int], raw: bytes, encoding: str | None, n_good: int) -> str:
    first = ", ".join(map(str, numbers[:_LISTED]))
    more = f" and {len(numbers) - _LISTED:,} more" if len(numbers) > _LISTED else ""
    lines = f"line {first}" if len(numbers) == 1 else f"lines {first}{more}"
    beyond = "1 line" if n_good == 1 else f"{n_good:,} lines"
    reads = "" if encoding is None else f" (in {encoding} it is {_read_as(encoding, raw)})"
    return (
        f"{beyond} with accents or other scripts are UTF-8, so do not convert the whole file: "
        f"write {lines} anew in UTF-8{reads}"
    )


def _encoding(lines: list[bytes]) -> str | None:
    """The name of the encoding of Western text in `lines`, for iconv; None if it is unclear."""
    text = b"".join(lines)
    high = text.translate(None, _ASCII)
    visible = len(b"".join(text.split()))
    if len(high) > _WESTERN * visible:
        return None
    found = frozenset(high)
    if not found & _C1:
        return "LATIN1"
    if all(line.endswith(b"\r") for line in lines):  # as on a Mac before 2001
        return "MACINTOSH"
    return None if found & _NOT_IN_CP1252 else "CP1252"


def _read_as(encoding: str, raw: bytes) -> str:
    """The surroundings of the first bytes that are not UTF-8, decoded and quoted."""
    codec = {"MACINTOSH": "mac-roman"}.get(encoding, encoding)
    try:
        raw.decode()
        start = 0
    except UnicodeDecodeError as error:
        start = error.start
    around = raw[max(start - _CONTEXT, 0) : start + _CONTEXT]
    return shown(around.decode(codec, errors="replace").strip())


def is_utf8(raw: bytes) -> bool:
    """True if `raw` decodes as UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
