"""The arithmetic of the growth table."""

from __future__ import annotations

from growth import Sizes, doubled, growth, of_whole_pieces


def test_one_size_doubles_and_the_others_stay() -> None:
    found = list(doubled(Sizes(), "latent", 2))
    assert [size.latent for size in found] == [32, 64, 128]
    assert {(size.sentences, size.length, size.vocabulary) for size in found} == {(64, 20, 4000)}


def test_growth_does_not_count_the_part_that_stays() -> None:
    assert growth([7 + 3 * n for n in (1, 2, 4, 8)]) == 2
    assert growth([7 + 3 * n**2 for n in (1, 2, 4, 8)]) == 4
    assert growth([5.0, 5.01, 5.0, 5.02]) is None
    assert growth([5.0, 5.0, 5.0, 9.0]) == 100


def test_only_whole_pieces_of_work_are_timed() -> None:
    """The last batch of an epoch is smaller and would be the quickest."""
    warm, whole, last = (20, 9.0), (20, 2.0), (3, 0.5)
    assert of_whole_pieces([warm, whole, last, whole]) is None
    assert of_whole_pieces([warm, whole, last, whole, (20, 2.5)]) == 2
