"""Quality of interpolations between two sentences: variety, evenness and language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from textvae.data.tokenizers import Tokenizer
from textvae.data.writing import Writing, units
from textvae.decoding.generation import default_decoding
from textvae.decoding.walk import Spacing, WalkPoint, decode_walks, n_points
from textvae.errors import DataError, UsageError, flag
from textvae.evaluation.measurements import Figures
from textvae.evaluation.path_shape import end_correlations, largest_step, smoothness
from textvae.evaluation.perplexity import (
    Scorer,
    perplexity,
    perplexity_difference,
    scored_perplexity,
    unit_lengths,
)
from textvae.evaluation.sentences import lowest_hashes
from textvae.latent.interpolation import Method, interpolate
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress
from textvae.randomness.purposes import Purpose
from textvae.randomness.streams import generator

_PATHS = 64  # whose points are in memory at a time


@dataclass(frozen=True)
class Interpolations:
    """Settings for the evaluation of paths.

    Args:
        pairs: the number of random pairs of evaluated sentences.
        steps: points per path, both ends included.
        method: a method of `latent.interpolation`; `linear` as in Bowman 2016, section 4.2.
        spacing: `text` chooses points by their sentences, see `decoding.walk`; `latent` takes
            points at equal distances.
        scorer: a language model trained on the training set, for `ppl_path`; None skips it.

    Raises:
        UsageError: there are no pairs, or fewer than three points.
    """

    pairs: int
    steps: int = 7
    method: Method = "linear"
    spacing: Spacing = "text"
    scorer: Scorer | None = None

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise UsageError(f"interpolations {self.pairs}: expected at least 1 pair, e.g. 200")
        if self.steps < 3:
            raise UsageError(f"steps {self.steps}: a path needs at least 3 points, e.g. 7")


def judge_paths(
    model: SentenceModel,
    tokenizer: Tokenizer,
    interpolations: Interpolations,
    texts: Sequence[str],
    z: Tensor,
    writing: Writing,
    *,
    seed: int,
    progress: Progress | None = None,
) -> Figures:
    """Metrics of paths s_1 .. s_S between random pairs of sentences; errors are over pairs.

    A path is a greedy walk of S sentences between the vectors of two different sentences. d is the
    edit distance (Levenshtein 1966) in words, or in characters for unspaced text.

    - `path_pairs`, `path_steps`: the number of pairs, and S.
    - `path_distinct`: distinct sentences in a path / S, the mean over pairs; 1 / S if the sentence
      never changes.
    - `path_largest_step`: max_i d(s_i, s_i+1) / d(s_1, s_S), the mean over pairs. 1 / (S - 1) is
      the minimum (triangle inequality) and means equal steps; 1 means a single jump; more than 1 a
      detour. Gradual change is the criterion of Berthelot 2018, here for text.
    - `path_smoothness`: d(s_1, s_S) / sum_i d(s_i, s_i+1), the mean over pairs. 1 is a path without
      a detour, a single jump included, so read the value together with `path_largest_step`.
    - `path_from_start`, `path_to_end`: the rank correlation of i with the similarity -d(s_i, s_1)
      to the first sentence, and with -d(s_i, s_S) to the last. An even walk has -1 and 1.
    - `path_ends_alike`: the share of pairs whose ends decode to the same sentence. Their distance
      is 0, so the four figures above leave these pairs out.
    - `ppl_path`: the perplexity of the S - 2 inner sentences under the scorer, per word, or per
      character of unspaced text. For comparison: `ppl_path_ends` for the decoded ends, and
      `ppl_path_real` for as many real sentences as there are inner ones, or for all if there are
      fewer (`path_real_sentences`). A path that repeats one bland sentence has a low `ppl_path`,
      so read it together with `path_distinct`.
    - `path_midpoint`: the perplexity of the middle sentences (of the two in the middle if S is
      even) minus `ppl_path_ends`.

    Args:
        texts: the N evaluated sentences.
        z: posterior means, or an autoencoder's codes, (N, Z).

    Raises:
        DataError: all sentences are equal.
    """
    P, S = interpolations.pairs, interpolations.steps
    ids: list[list[int]] = []
    for walk in _walks(model, z, random_pairs(texts, P, seed), interpolations):
        ids += [point.ids for point in walk]
        if progress is not None:
            progress("interpolation", len(ids) // S, P)
    outputs = tokenizer.decode(ids)
    words = [units(output, writing) for output in outputs]
    paths = [words[first : first + S] for first in range(0, P * S, S)]

    figures = Figures()
    figures.value("path_pairs", P)
    figures.value("path_steps", S)
    figures.value("path_spacing", interpolations.spacing)
    distinct = torch.tensor([len(set(map(tuple, path))) for path in paths])
    figures.mean("path_distinct", distinct.double() / S)
    apart = [path for path in paths if path[0] != path[-1]]
    alike = torch.tensor([path[0] == path[-1] for path in paths])
    figures.mean("path_ends_alike", alike.double())
    if apart:
        shapes = [(largest_step(p), smoothness(p), *end_correlations(p)) for p in apart]
        keys = ("path_largest_step", "path_smoothness", "path_from_start", "path_to_end")
        for key, values in zip(keys, torch.tensor(shapes, dtype=torch.float64).T, strict=True):
            figures.mean(key, values)
    if interpolations.scorer is not None:
        figures.update(_scored(interpolations.scorer, outputs, texts, S, writing))
    return figures


def _walks(
    model: SentenceModel, z: Tensor, pairs: Tensor, interpolations: Interpolations
) -> Iterator[list[WalkPoint]]:
    """The greedy walk between the vectors of each pair, some paths in memory at a time."""
    steps, spacing = interpolations.steps, interpolations.spacing
    for block in pairs.split(_PATHS):
        a, b = block.T
        ends = z[a].float(), z[b].float()
        points = interpolate(*ends, n_points(steps, spacing), method=interpolations.method)
        yield from decode_walks(model, points.transpose(0, 1), steps, default_decoding(model))


def _scored(
    scorer: Scorer, outputs: Sequence[str], texts: Sequence[str], steps: int, writing: Writing
) -> Figures:
    """`ppl_path`, its comparison values and the midpoint; a path counts as one observation."""
    figures = Figures()
    nll = torch.as_tensor(np.asarray(scorer(outputs), dtype=np.float64)).view(-1, steps)
    lengths = unit_lengths(outputs, writing).view(-1, steps)
    inside, ends, middle = slice(1, -1), [0, -1], slice((steps - 1) // 2, steps // 2 + 1)
    for key, part in (("ppl_path", inside), ("ppl_path_ends", ends)):
        figures.value(key, *perplexity(nll[:, part].sum(1), lengths[:, part].sum(1)))
    real = [texts[i] for i in lowest_hashes(texts, nll[:, inside].numel())]
    figures.value("ppl_path_real", *scored_perplexity(scorer, real, writing))
    figures.value("path_real_sentences", len(real))
    of_middle, of_ends = ((nll[:, at].sum(1), lengths[:, at].sum(1)) for at in (middle, ends))
    figures.value("path_midpoint", *perplexity_difference(of_middle, of_ends))
    return figures


def random_pairs(texts: Sequence[str], n: int, seed: int) -> Tensor:
    """n pairs of indices (n, 2), each uniform over the ordered pairs of texts that differ.

    Pair k depends only on (seed, k) and the texts, so a smaller n gives a prefix.

    Raises:
        DataError: all texts are equal.
    """
    kinds: dict[str, int] = {}
    kind = np.array([kinds.setdefault(text, len(kinds)) for text in texts])
    grouped = np.argsort(kind, kind="stable")  # groups of equal texts
    size = np.bincount(kind)
    first = np.cumsum(size) - size
    others = len(texts) - size[kind]  # (N,): texts that differ from each
    if not others.any():
        raise DataError(
            f"{len(texts)} sentences are all equal, but a path needs two different ones; "
            f"leave {flag('interpolations')} out"
        )
    last_pair = np.cumsum(others)  # cumulative number of pairs, by first text
    pairs = np.empty((n, 2), dtype=np.int64)
    for k in range(n):
        random = generator(seed, k, Purpose.PATH_PAIRS)
        a = int(np.searchsorted(last_pair, random.integers(last_pair[-1]), side="right"))
        place = int(random.integers(others[a]))  # in the grouped texts without those equal to a
        if place >= first[kind[a]]:
            place += size[kind[a]]
        pairs[k] = a, grouped[place]
    return torch.from_numpy(pairs)
