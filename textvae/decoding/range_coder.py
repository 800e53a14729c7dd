"""A range coder: symbols with integer frequencies as bytes, and back. Martin 1979.

All arithmetic is on integers, so the bytes are the same on every machine.
"""

from __future__ import annotations

from textvae.errors import DataError

TOTAL_BITS = 24  # the frequencies of a symbol's alternatives sum to 2^24
_TOP, _BOTTOM = 1 << 56, 1 << 48  # the range stays from 2^48 to 2^56
_BYTES = 7  # of the lower end of the range


class RangeEncoder:
    """Appends symbols to bytes; n symbols of probability p take n log2(1/p) bits, and 7 bytes.

    >>> encoder = RangeEncoder()
    >>> encoder.add(0, 1 << 23)  # the first half
    >>> len(encoder.finish())
    7
    """

    def __init__(self) -> None:
        self._low, self._range = 0, _TOP
        self._out = bytearray()

    def add(self, start: int, frequency: int) -> None:
        """Append the symbol whose share of 2^24 goes from `start` to `start` + `frequency`."""
        share = self._range >> TOTAL_BITS
        self._low += share * start
        self._range = share * frequency
        if self._low >= _TOP:
            self._low -= _TOP
            self._carry()
        while self._range < _BOTTOM:
            self._out.append(self._low >> 48)
            self._low = (self._low << 8) % _TOP
            self._range <<= 8

    def finish(self) -> bytes:
        """The bytes of all symbols."""
        return bytes(self._out) + self._low.to_bytes(_BYTES, "big")

    def _carry(self) -> None:
        place = len(self._out) - 1
        while self._out[place] == 255:
            self._out[place] = 0
            place -= 1
        self._out[place] += 1


class RangeDecoder:
    """Reads the symbols of a `RangeEncoder`, in order. Bytes after the last symbol are not read."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, _BYTES
        self._code = int.from_bytes(content[:_BYTES].ljust(_BYTES, b"\0"), "big")
        self._range = _TOP

    def target(self) -> int:
        """A number below 2^24 in the share of the next symbol.

        Raises:
            DataError: no encoder writes these bytes.
        """
        found = self._code // (self._range >> TOTAL_BITS)
        if found >> TOTAL_BITS:
            raise DataError("the bytes are of no range coder")
        return found

    def take(self, start: int, frequency: int) -> None:
        """Go on to the next symbol; this one has the share from `start`."""
        share = self._range >> TOTAL_BITS
        self._code -= share * start
        self._range = share * frequency
        while self._range < _BOTTOM:
            byte = self._content[self._place] if self._place < len(self._content) else 0
            self._code = self._code << 8 | byte
            self._place += 1
            self._range <<= 8
