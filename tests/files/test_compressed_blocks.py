"""The frame of a compressed text: lines come back, and wrong bytes are refused at once."""

from __future__ import annotations

import zlib

import pytest

from textvae.files.compressed_blocks import packed_lines, unpacked_lines

LINES = {0: b"", 3: b"\xff\x00", 200: b"x" * 300}


def test_lines_come_back_with_their_places() -> None:
    assert unpacked_lines(packed_lines(LINES), 201) == LINES
    assert unpacked_lines(packed_lines({}), 5) == {}


@pytest.mark.parametrize(
    "plain",
    [
        b"\x00\x00" * 2,  # a place twice
        b"\x05\x00",  # a place after the last line
        b"\x00\x02a",  # a line that is too short
        b"\x00",
        b"\xff" * 100_000,  # a number without an end
    ],
)
def test_other_bytes_are_refused(plain: bytes) -> None:
    with pytest.raises(ValueError, match=r"line|incomplete"):
        unpacked_lines(zlib.compress(plain), 5)


def test_a_number_without_an_end_is_not_computed() -> None:
    # 2^23 groups of 7 bits would take minutes: the time would grow with their square.
    with pytest.raises(ValueError, match="incomplete"):
        unpacked_lines(zlib.compress(b"\xff" * 2**23), 5)
