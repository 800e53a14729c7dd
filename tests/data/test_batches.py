"""Each epoch is a partition of the corpus, the same for any number of processes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textvae.data.batches import BatchPlan, Tokens, by_length, collate
from textvae.errors import UsageError


class PlainCorpus:
    """Sentences of one repeated token each, the token being the sentence's row plus 3."""

    def __init__(self, lengths: np.ndarray) -> None:
        self.lengths = lengths

    def tokens(self, indices: np.ndarray) -> Tokens:
        return collate([[row + 3] * (self.lengths[row] - 1) for row in indices], 2, 0)


def lengths_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 30, count).astype(np.int32)


plans = st.tuples(st.integers(8, 400), st.integers(8, 40), st.integers(0, 2**63 - 1))


@settings(deadline=None, max_examples=60)
@given(plans, st.integers(0, 50))
def test_an_epoch_covers_every_sentence_once_in_batches_of_even_size(
    plan: tuple[int, int, int], epoch: int
) -> None:
    count, size, seed = plan
    batches = BatchPlan(lengths_of(count), size, seed).epoch(epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    sizes = {len(batch) for batch in batches}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert len(batches) == -(-count // size)


@settings(deadline=None, max_examples=40)
@given(plans, st.integers(2, 4))
def test_processes_share_the_batches_of_one_process(plan: tuple[int, int, int], world: int) -> None:
    count, size, seed = plan
    lengths = lengths_of(count)
    corpus = PlainCorpus(lengths)
    whole = list(BatchPlan(lengths, size, seed).batches(corpus, 1))
    ranks = [
        list(BatchPlan(lengths, size, seed, rank=r, world_size=world).batches(corpus, 1))
        for r in range(world)
    ]
    for alone, *shares in zip(whole, *ranks, strict=True):
        joined = np.full(alone.total, -1)
        for share in shares:
            joined[share.places.numpy()] = share.indices
            assert (share.total, share.longest) == (alone.total, alone.longest)
            assert (share.target.ids[:, 0] < 3).sum() == (lengths[share.indices] == 1).sum()
        assert (joined == alone.indices).all()
        assert alone.longest == alone.target.ids.shape[1]


def test_order_is_a_function_of_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        plan = BatchPlan(lengths_of(300), 16, seed)
        plan.epoch(7)  # leaves nothing behind
        return np.concatenate(plan.epoch(epoch)).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_a_resumed_epoch_goes_on_where_it_stopped() -> None:
    lengths = lengths_of(100)
    plan = BatchPlan(lengths, 8, 3)
    whole = [batch.indices.tolist() for batch in plan.batches(PlainCorpus(lengths), 2)]
    rest = [batch.indices.tolist() for batch in plan.batches(PlainCorpus(lengths), 2, start=5)]
    assert rest == whole[5:]


def test_batches_hold_similar_lengths_but_come_in_random_order() -> None:
    lengths = np.random.default_rng(0).geometric(0.1, 20_000).clip(max=100).astype(np.int32)
    plan = BatchPlan(lengths, 32, 0)
    assert plan.padding < 0.1
    random_order = np.random.default_rng(1).permutation(len(lengths)).reshape(-1, 32)
    unsorted = 1 - lengths.sum() / (32 * lengths[random_order].max(axis=1).sum())
    assert unsorted > 0.5
    means = np.array([lengths[batch].mean() for batch in plan.epoch(0)])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.15


def test_padding_is_the_share_of_positions_without_a_token() -> None:
    assert BatchPlan(np.array([1, 4, 2, 3]), 4, 0).padding == pytest.approx(1 - 10 / 16)


def test_a_process_without_a_sentence_is_refused() -> None:
    with pytest.raises(UsageError, match="larger batch_size or fewer processes"):
        BatchPlan(lengths_of(9), 8, 0, world_size=5)
    with pytest.raises(UsageError):
        BatchPlan(lengths_of(0), 8, 0)


def test_two_tokenizations_of_a_batch_are_of_the_same_sentences() -> None:
    source, target = lengths_of(40), lengths_of(40, seed=1)
    for batch in BatchPlan(source, 8, 0).batches(
        PlainCorpus(source), 0, target=PlainCorpus(target)
    ):
        assert batch.source.lengths.tolist() == source[batch.indices].tolist()
        assert batch.target.lengths.tolist() == target[batch.indices].tolist()
        assert batch.longest == max(batch.source.ids.shape[1], batch.target.ids.shape[1])


@given(st.lists(st.integers(1, 30)), st.integers(1, 7))
def test_batches_by_length_hold_every_sentence_once_the_short_ones_first(
    lengths: list[int], batch_size: int
) -> None:
    batches = by_length(lengths, batch_size)
    places = [int(place) for batch in batches for place in batch]
    assert places == sorted(range(len(lengths)), key=lambda place: lengths[place])
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert all(0 < len(batch) <= batch_size for batch in batches)


def test_collate_ends_and_pads_each_sentence() -> None:
    tokens = collate([[7, 8], [], [9]], eos_id=2, pad_id=0)
    assert tokens.ids.tolist() == [[7, 8, 2], [2, 0, 0], [9, 2, 0]]
    assert tokens.lengths.tolist() == [3, 1, 2]
    assert tokens.ids.dtype == torch.int64
    assert tokens.mask.tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    some = tokens.rows(torch.tensor([2, 0]))
    assert some.ids.tolist() == [[9, 2, 0], [7, 8, 2]]
    assert len(some) == 2


def test_stored_vectors_go_with_their_sentences() -> None:
    tokens = replace(collate([[5, 6], [7], []], 2, 0), vectors=torch.arange(6.0).view(3, 2))
    assert torch.equal(tokens.rows(torch.tensor([2, 0])).vectors, tokens.vectors[[2, 0]])
    assert torch.equal(tokens.repeat(2).vectors, torch.cat([tokens.vectors, tokens.vectors]))
    assert torch.equal(tokens.to("cpu").vectors, tokens.vectors)
    assert collate([[5]], 2, 0).repeat(2).vectors is None
