"""How good the way between two sentences is: its variety, its evenness, its language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from textvae.data.tokenizers import Tokenizer
from textvae.data.writing import Writing, units
from textvae.decoding.generation import Sampling, decode_batches
from textvae.errors import DataError, UsageError
from textvae.evaluation.figures import Figures
from textvae.evaluation.perplexity import Scorer, perplexity, scored_perplexity, unit_lengths
from textvae.evaluation.sentences import lowest_hashes
from textvae.latent.interpolation import Method, interpolate
from textvae.models.sentence import SentenceModel
from textvae.progress import Progress
from textvae.randomness.purposes import Purpose
from textvae.randomness.streams import generator


@dataclass(frozen=True)
class Interpolations:
    """Which paths are judged.

    Args:
        pairs: how many random pairs of the evaluated sentences.
        steps: points of a path, both ends included.
        method: of `latent.interpolation`; the line is the path of Bowman 2016, section 4.2.
        scorer: a language model of the training set, for `ppl_path`; none leaves it out.

    Raises:
        UsageError: fewer than one pair, or fewer than three points.
    """

    pairs: int
    steps: int = 7
    method: Method = "linear"
    scorer: Scorer | None = None

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise UsageError(f"interpolations {self.pairs}: give 1 pair or more, e.g. 200")
        if self.steps < 3:
            raise UsageError(f"steps {self.steps}: a path between two ends takes 3 or more, try 7")


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
    """Figures of paths s_1 .. s_S between random pairs of sentences, their errors over pairs.

    A path is what greedy decoding makes of S points between the vectors of two different
    sentences. d is the edit distance (Levenshtein 1966) in words, in characters of unspaced text.

    - `path_pairs`, `path_steps`: how many, and S.
    - `path_distinct`: distinct sentences of a path / S, the mean over pairs; 1 / S where nothing
      ever changes.
    - `path_largest_step`: max_i d(s_i, s_i+1) / d(s_1, s_S), the mean over pairs. 1 / (S - 1) is
      an even walk, the least by the triangle inequality; 1 a single jump; more, a detour. What
      Berthelot 2018 asks of an interpolation, gradual change, for text.
    - `path_ends_alike`: share of pairs whose ends decode to one sentence; they have no distance
      to compare with and do not count in `path_largest_step`.
    - `ppl_path`: perplexity under the scorer of the S - 2 sentences between the ends, a word or
      a character of unspaced text. Beside it `ppl_path_ends`, of the decoded ends, and
      `ppl_path_real`, of as many real sentences as stand between the ends, or of all there are
      (`path_real_sentences`). A path of one bland sentence has a low one: read it with
      `path_distinct`.

    Args:
        texts: the evaluated sentences, N.
        z: posterior means, or an autoencoder's codes, (N, Z).

    Raises:
        DataError: all sentences are the same.
    """
    P, S = interpolations.pairs, interpolations.steps
    a, b = random_pairs(texts, P, seed).T  # each (P,)
    points = interpolate(z[a].float(), z[b].float(), S, method=interpolations.method)
    flat = points.transpose(0, 1).reshape(P * S, -1)  # the points of a path together
    ids = []
    for output in decode_batches(model, flat, Sampling("greedy")):
        ids.append(output)
        if progress is not None:
            progress("interpolation", len(ids), P * S)
    outputs = tokenizer.decode(ids)
    words = [units(output, writing) for output in outputs]
    paths = [words[first : first + S] for first in range(0, P * S, S)]

    figures = Figures()
    figures.value("path_pairs", P)
    figures.value("path_steps", S)
    distinct = torch.tensor([len(set(map(tuple, path))) for path in paths])
    figures.mean("path_distinct", distinct.double() / S)
    apart = [path for path in paths if path[0] != path[-1]]
    alike = torch.tensor([path[0] == path[-1] for path in paths])
    figures.mean("path_ends_alike", alike.double())
    if apart:
        steps = [largest_step(path) for path in apart]
        figures.mean("path_largest_step", torch.tensor(steps, dtype=torch.float64))
    if interpolations.scorer is not None:
        figures.update(_scored(interpolations.scorer, outputs, texts, S, writing))
    return figures


def _scored(
    scorer: Scorer, outputs: Sequence[str], texts: Sequence[str], steps: int, writing: Writing
) -> Figures:
    """`ppl_path` and what stands beside it; the sentences of one path are one observation."""
    figures = Figures()
    nll = torch.as_tensor(np.asarray(scorer(outputs), dtype=np.float64)).view(-1, steps)
    lengths = unit_lengths(outputs, writing).view(-1, steps)
    inside, ends = slice(1, -1), [0, -1]
    for key, part in (("ppl_path", inside), ("ppl_path_ends", ends)):
        figures.value(key, *perplexity(nll[:, part].sum(1), lengths[:, part].sum(1)))
    real = [texts[i] for i in lowest_hashes(texts, nll[:, inside].numel())]
    figures.value("ppl_path_real", *scored_perplexity(scorer, real, writing))
    figures.value("path_real_sentences", len(real))
    return figures


def random_pairs(texts: Sequence[str], n: int, seed: int) -> Tensor:
    """n pairs of places (n, 2), each uniform over the ordered pairs of texts that differ.

    Pair k is a function of (seed, k) and the texts: the pairs of a smaller n come first.

    Raises:
        DataError: all texts are the same.
    """
    kinds: dict[str, int] = {}
    kind = np.array([kinds.setdefault(text, len(kinds)) for text in texts])
    grouped = np.argsort(kind, kind="stable")  # equal texts side by side
    size = np.bincount(kind)
    first = np.cumsum(size) - size
    others = len(texts) - size[kind]  # (N,): texts that differ from each
    if not others.any():
        raise DataError(
            f"{len(texts)} sentences are all the same; a path needs two that differ, "
            "so leave --interpolations out"
        )
    last_pair = np.cumsum(others)  # of those that begin with each text or one before it
    pairs = np.empty((n, 2), dtype=np.int64)
    for k in range(n):
        random = generator(seed, k, Purpose.PATH_PAIRS)
        a = int(np.searchsorted(last_pair, random.integers(last_pair[-1]), side="right"))
        place = int(random.integers(others[a]))  # among the grouped texts without those like a
        if place >= first[kind[a]]:
            place += size[kind[a]]
        pairs[k] = a, grouped[place]
    return torch.from_numpy(pairs)


def largest_step(path: Sequence[Sequence[str]]) -> float:
    """The largest edit distance of neighbours / that of the ends, which must differ.

    >>> largest_step(["a b c d".split(), "a b x d".split(), "a y x d".split()])
    0.5
    """
    steps = [edit_distance(s, t) for s, t in pairwise(path)]
    return max(steps) / edit_distance(path[0], path[-1])


def edit_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """The fewest insertions, deletions and substitutions that turn a into b. Levenshtein 1966.

    >>> edit_distance("the soup was cold".split(), "the old soup was".split())
    2
    """
    row = list(range(len(b) + 1))  # distances of a[:i] to b[:j]
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]
