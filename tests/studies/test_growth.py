"""The arithmetic of the growth table."""

from __future__ import annotations

from growth import Sizes, doubled, exponent


def test_one_size_doubles_and_the_others_stay() -> None:
    found = list(doubled(Sizes(), "latent", 2))
    assert [size.latent for size in found] == [32, 64, 128]
    assert {(size.sentences, size.length, size.vocabulary) for size in found} == {(64, 20, 4000)}


def test_the_exponent_is_the_power_of_the_growth() -> None:
    assert exponent([1.0, 2.0, 4.0]) == 1
    assert exponent([1.0, 4.0, 16.0]) == 2
    assert exponent([5.0, 5.0]) == 0
