"""Streams against numpy's own Philox, and what (seed, index) promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textvae.errors import UsageError
from textvae.randomness.streams import SampleStreams, philox

LARGE = 2**64 - 1


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 5, LARGE])
def test_blocks_are_those_of_numpy(seed: int) -> None:
    indices = np.array([0, 1, 12345, LARGE], dtype=np.uint64)
    blocks = np.arange(1, 8, dtype=np.uint64)
    ours = philox(seed, indices[:, None], blocks, 3)  # (4, 7, 4)
    for index, row in zip(indices, ours, strict=True):
        key = np.array([seed, index], dtype=np.uint64)
        theirs = np.random.Philox(key=key, counter=[0, 0, 3, 0]).random_raw(28)
        assert (row.ravel() == theirs).all()


def test_uniforms_are_those_of_numpys_generator_at_every_step() -> None:
    streams = SampleStreams(5, [0, 7])
    expected = np.stack(
        [
            np.random.Generator(np.random.Philox(key=[5, i], counter=[0, 0, 1, 0])).random(40)
            for i in (0, 7)
        ]
    )
    for step in (0, 1, 15, 16, 39, 3):  # across windows, and back
        assert (streams.uniforms(step) == expected[:, step]).all()


def test_a_stream_does_not_depend_on_the_others() -> None:
    few, many = SampleStreams(1, range(5)), SampleStreams(1, range(10))
    some = np.array([8, 2])
    many.uniforms(0)
    chosen = many.rows(some)
    assert torch.equal(many.normal(7)[:5], few.normal(7))
    for step in (0, 3, 20):
        assert (many.uniforms(step)[:5] == few.uniforms(step)).all()
        assert (chosen.uniforms(step) == many.uniforms(step)[some]).all()
    assert torch.equal(chosen.normal(7), many.normal(7)[some])


def test_seeds_samples_steps_and_noise_are_independent() -> None:
    n = 20_000
    streams = SampleStreams(3, range(n))
    noise = streams.normal(3).double().numpy()
    columns = [streams.uniforms(0), streams.uniforms(1), SampleStreams(4, range(n)).uniforms(0)]
    columns += [np.roll(streams.uniforms(0), 1), *noise.T, *(noise**2).T]
    correlations = np.corrcoef(columns) - np.eye(len(columns))
    assert abs(correlations).max() < 4 / np.sqrt(n)


def test_noise_is_standard_normal_and_uniforms_are_uniform() -> None:
    n = 40_000
    streams = SampleStreams(0, range(n))
    noise = streams.normal(4).double()
    normal = torch.distributions.Normal(0.0, 1.0)
    for sample in (*normal.cdf(noise).T.numpy(), streams.uniforms(2)):
        assert sample.min() >= 0
        assert sample.max() < 1
        # Kolmogorov-Smirnov distance to the uniform distribution; 1.95 / sqrt(n) at 0.1 %.
        distance = abs(np.sort(sample) - (np.arange(n) + 0.5) / n).max()
        assert distance < 1.95 / np.sqrt(n)


def test_no_sample_has_no_noise() -> None:
    assert SampleStreams(0, range(0)).normal(3).shape == (0, 3)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(UsageError, match=f"seed {seed} must be"):
        SampleStreams(seed, range(2))
