"""What each random number of a seed is for, so that no two uses share a stream.

Streams of Philox take a purpose as the third word of their counter; seeds that are derived from the
seed of a run take a name.
"""

from __future__ import annotations

from enum import IntEnum


class Purpose(IntEnum):
    """The third word of a Philox counter. The numbers are part of what a seed means: never change
    one, and take the next free one for a new use."""

    PRIOR_SAMPLE = 0  # normal noise of a generated sample
    TOKEN_CHOICE = 1  # uniforms that choose its tokens
    POSTERIOR_SAMPLE = 2  # normal noise of importance samples
    REFINEMENT = 3  # normal noise of the steps that refine a posterior
    PATH_PAIRS = 4  # pairs of sentences whose paths are judged
    PRIOR_FIT = 5  # normal noise of the posterior samples that a prior is fitted to


# Names of seeds that are derived from the seed of a run, `derived_seed(seed, NAME)`.
WEIGHTS = "weights"  # the fresh model
DECODER = "decoder"  # the model whose decoder replaces the pretrained one
AUXILIARIES = "auxiliaries"  # what the loss has of its own
VARIATION = "variation"  # of sentences: derived_seed(seed, VARIATION, number of the draw)
STEP = "step"  # the noise of a step: derived_seed(seed, STEP, step)
DIVERGENCE = "divergence"  # halves of real sentences, clusters and resamples

# Names of seeds that are derived from the seed of another fit.
FLOW = "flow"  # the weights and batches of a flow prior
SPLINE = "spline"  # the same of a spline prior
