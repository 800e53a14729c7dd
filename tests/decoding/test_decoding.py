"""Decoding against the definition: one sentence at a time, everything recomputed, every sentence.

The models are small real ones of every decoder; nothing here knows how `decode` batches.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from textvae.config import ModelConfig
from textvae.data.batches import Tokens
from textvae.data.vocabulary import Vocabulary
from textvae.decoding.generation import (
    Sampling,
    decode,
    decode_batches,
    default_decoding,
    generate,
)
from textvae.decoding.penalties import allowed, forbid_repeated_ngrams, penalize_repetition
from textvae.decoding.sampling import draw, inverse_cdf
from textvae.errors import UsageError
from textvae.models.build import build_model
from textvae.models.sentence import SentenceModel
from textvae.randomness.streams import SampleStreams

PAD, BOS, EOS = 0, 1, 2
END_BIAS = {"gru": 0.0, "lstm": 1.0, "transformer": 3.0}  # gives sentences of all lengths
SEEDS = {"gru": 3, "lstm": 1, "transformer": 7}  # weights under which sentences vary enough
DECODERS = tuple(END_BIAS)
Z = 4


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost more than they gain at these sizes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny_model(
    decoder: str = "gru",
    *,
    kind: str = "vae",
    vocab_size: int = 12,
    max_tokens: int = 9,
    end_bias: float | None = None,
    spread: float = 0.8,
) -> SentenceModel:
    """A random model whose distributions differ much between prefixes and latents."""
    torch.manual_seed(SEEDS[decoder])
    config = ModelConfig(
        model=kind, decoder=decoder, latent_size=Z, hidden_size=16, embedding_size=16,
        heads=2, layers=2, tie_weights=False, positions="learned",
    )  # fmt: skip
    model = build_model(config, Vocabulary(vocab_size, PAD, BOS, EOS), max_tokens)
    with torch.no_grad():
        model.decoder.embedding.weight.normal_(std=5.0)
        model.decoder.output.weight.normal_(std=spread if decoder == "transformer" else 3 * spread)
        model.decoder.output.bias[EOS] = END_BIAS[decoder] if end_bias is None else end_bias
    return model.eval()


def latents(n: int) -> Tensor:
    return torch.randn(n, Z, generator=torch.Generator().manual_seed(5))


# The definition, without a batch and without a state that is carried along.


@torch.inference_mode()
def next_logits(model: SentenceModel, z: Tensor | None, prefix: list[int]) -> list[float]:
    state = model.decoder.start(z, 1)
    for token in [BOS, *prefix]:
        logits, state = model.decoder.step(torch.tensor([token]), state)
    return logits[0].double().tolist()


def penalized(logits: list[float], prefix: list[int], settings: Sampling) -> list[float]:
    penalty = settings.repetition_penalty
    return [
        (x / penalty if x > 0 else x * penalty) if token in prefix else x
        for token, x in enumerate(logits)
    ]


def repeats(prefix: list[int], token: int, n: int) -> bool:
    """Whether the token ends an n-gram that the prefix has."""
    ngrams = [prefix[i : i + n] for i in range(len(prefix) - n + 1)] if n else []
    return [*prefix[len(prefix) - n + 1 :], token] in ngrams


def naive_token(logits: list[float], settings: Sampling, uniform: float) -> int:
    if settings.strategy == "greedy":
        return max(range(len(logits)), key=lambda token: (logits[token], -token))
    weights = {v: math.exp(x / settings.temperature) for v, x in enumerate(logits)}
    ranked = sorted(weights, key=lambda token: (-weights[token], token))
    ranked = ranked[: settings.top_k or None]
    if settings.top_p < 1:
        total, nucleus = sum(weights[token] for token in ranked), []
        for token in ranked:
            nucleus.append(token)
            if sum(weights[token] for token in nucleus) >= settings.top_p * total:
                break
        ranked = nucleus
    threshold = uniform * sum(weights[token] for token in ranked)
    cumulative = 0.0
    for token in sorted(ranked):
        cumulative += weights[token]
        if cumulative > threshold:
            return token
    raise AssertionError("the uniform number is below 1")


def naive_sentence(
    model: SentenceModel, z: Tensor | None, settings: Sampling, streams: SampleStreams
) -> list[int]:
    prefix: list[int] = []
    while len(prefix) < settings.limit(model.decoder.max_tokens) - 1:
        logits = penalized(next_logits(model, z, prefix), prefix, settings)
        if len(prefix) < settings.min_tokens:
            logits[EOS] = -math.inf
        for token in range(len(logits)):
            if repeats(prefix, token, settings.no_repeat_ngram):
                logits[token] = -math.inf
        token = naive_token(logits, settings, float(streams.uniforms(len(prefix))[0]))
        if token == EOS:
            break
        prefix.append(token)
    return prefix


def naive_beam(model: SentenceModel, z: Tensor | None, settings: Sampling) -> list[int]:
    limit, K = settings.limit(model.decoder.max_tokens), settings.beams
    live: list[tuple[float, list[int]]] = [(0.0, [])]
    finished: list[tuple[float, list[int]]] = []
    for t in range(limit):
        continuations = []
        for score, prefix in live:
            logits = penalized(next_logits(model, z, prefix), prefix, settings)
            log_total = math.log(sum(map(math.exp, logits)))
            for token, x in enumerate(logits):
                if token == EOS and t < settings.min_tokens:
                    continue
                if repeats(prefix, token, settings.no_repeat_ngram):
                    continue
                if x > -math.inf and (t < limit - 1 or token == EOS):
                    continuations.append((score + x - log_total, [*prefix, token]))
        continuations.sort(key=lambda item: -item[0])
        finished += [
            (score / (t + 1) ** settings.length_penalty, tokens[:-1])
            for score, tokens in continuations[:K]
            if tokens[-1] == EOS
        ]
        live = [item for item in continuations if item[1][-1] != EOS][:K]
    return max(finished, key=lambda item: item[0])[1]


def label(settings: Sampling) -> str:
    default = dataclasses.asdict(Sampling())
    values = dataclasses.asdict(settings).items()
    return "-".join(
        str(value) if name == "strategy" else f"{name}={value}"
        for name, value in values
        if name == "strategy" or value != default[name]
    )


SETTINGS = [
    Sampling("greedy"),
    Sampling("greedy", repetition_penalty=1.7, min_tokens=3),
    Sampling("greedy", no_repeat_ngram=2),
    Sampling("sample", no_repeat_ngram=1),
    Sampling("sample"),
    Sampling("sample", temperature=1.6, top_k=3, min_tokens=2),
    Sampling("sample", top_p=0.7),
    Sampling("sample", temperature=2.0, top_k=6, top_p=0.8, repetition_penalty=1.5, max_tokens=6),
]
BEAMS = [
    Sampling("beam", beams=3),
    Sampling("beam", beams=2, length_penalty=1.0),
    Sampling("beam", beams=3, length_penalty=2.0, max_tokens=4),
    Sampling("beam", beams=4, repetition_penalty=1.5, min_tokens=2, max_tokens=5),
    Sampling("beam", beams=3, no_repeat_ngram=2),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=label)
@pytest.mark.parametrize("decoder", DECODERS)
def test_batched_decoding_equals_one_sentence_at_a_time(decoder: str, settings: Sampling) -> None:
    model, z = tiny_model(decoder), latents(8)
    indices = [3, 0, 11, 7, 100, 5, 6, 1]
    decoded = decode(model.decoder, z, 8, settings, streams=SampleStreams(9, indices))
    expected = [
        naive_sentence(model, z[i : i + 1], settings, SampleStreams(9, [index]))
        for i, index in enumerate(indices)
    ]
    assert decoded == expected
    assert len({len(sentence) for sentence in decoded}) > 1  # some left the batch early


@pytest.mark.parametrize("settings", BEAMS, ids=label)
@pytest.mark.parametrize("decoder", DECODERS)
def test_batched_beam_search_equals_one_sentence_at_a_time(
    decoder: str, settings: Sampling
) -> None:
    model, z = tiny_model(decoder), latents(12)
    expected = [naive_beam(model, z[i : i + 1], settings) for i in range(12)]
    assert decode(model.decoder, z, 12, settings) == expected
    assert expected != decode(model.decoder, z, 12, Sampling("greedy"))


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_language_model_decodes_without_a_latent(decoder: str) -> None:
    model = tiny_model(decoder, kind="lm")
    settings = Sampling("sample")
    expected = [naive_sentence(model, None, settings, SampleStreams(2, [i])) for i in range(6)]
    assert list(generate(model, 6, settings, seed=2, batch_size=4)) == expected
    assert len(set(map(tuple, expected))) > 3


def sentences(vocab_size: int, limit: int) -> list[list[int]]:
    """Every sentence that has at most `limit` tokens with the end token."""
    words = range(EOS + 1, vocab_size)
    return [list(s) for t in range(limit) for s in itertools.product(words, repeat=t)]


@torch.inference_mode()
def log_probs(model: SentenceModel, z: Tensor, all_of: list[list[int]]) -> list[list[float]]:
    """log p(x_t | x_<t, z) of each token of each sentence, the end token last."""
    T = max(map(len, all_of)) + 1
    ids = torch.tensor([s + [EOS] + [PAD] * (T - 1 - len(s)) for s in all_of])
    lengths = torch.tensor([len(s) + 1 for s in all_of])
    token_log_probs = model.decoder.token_log_probs(Tokens(ids, lengths), z.expand(len(all_of), -1))
    return [row[: len(s) + 1] for row, s in zip(token_log_probs.tolist(), all_of, strict=True)]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(("length_penalty", "min_tokens"), [(0.0, 0), (0.0, 3), (1.3, 0)])
def test_wide_beam_search_finds_the_best_of_all_sentences(
    decoder: str, length_penalty: float, min_tokens: int
) -> None:
    model, limit = tiny_model(decoder, vocab_size=7, end_bias=-2.0, spread=0.4), 5
    z = latents(10)
    settings = Sampling(
        "beam",
        beams=5 * 4**3,  # all continuations of all prefixes
        max_tokens=limit,
        min_tokens=min_tokens,
        length_penalty=length_penalty,
    )
    candidates = [s for s in sentences(7, limit) if len(s) >= min_tokens]
    expected = []
    for row in z:
        scores = [
            sum(tokens) / len(tokens) ** length_penalty
            for tokens in log_probs(model, row, candidates)
        ]
        expected.append(candidates[int(np.argmax(scores))])
    assert decode(model.decoder, z, 10, settings) == expected
    greedy = Sampling("greedy", max_tokens=limit, min_tokens=min_tokens)
    assert expected != decode(model.decoder, z, 10, greedy)  # the search mattered


def test_a_forced_end_counts_its_probability() -> None:
    # Two words only fit; the end is almost impossible after the likeliest pair.
    model = tiny_model(vocab_size=7, end_bias=-3.0)
    z, settings = latents(6), Sampling("beam", beams=16, max_tokens=3)
    candidates = sentences(7, 3)
    differ = 0
    for row, found in zip(z, decode(model.decoder, z, 6, settings), strict=True):
        scored = log_probs(model, row, candidates)
        assert found == candidates[int(np.argmax([sum(tokens) for tokens in scored]))]
        free = [sum(tokens[:2]) for tokens in scored]  # the end free after two words
        differ += found != candidates[int(np.argmax(free))]
    assert differ > 0


@pytest.mark.parametrize("decoder", DECODERS)
def test_one_beam_is_greedy(decoder: str) -> None:
    model, z = tiny_model(decoder), latents(40)
    greedy = decode(model.decoder, z, 40, Sampling("greedy"))
    assert decode(model.decoder, z, 40, Sampling("beam", beams=1)) == greedy


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
def test_equal_probabilities_give_the_lowest_id(strategy: str) -> None:
    model = tiny_model(vocab_size=40)
    with torch.no_grad():
        model.decoder.output.weight.zero_()
        model.decoder.output.bias.fill_(0.0)
        model.decoder.output.bias[EOS] = -9.0
    settings = Sampling(strategy, max_tokens=4, min_tokens=3)
    assert decode(model.decoder, latents(2), 2, settings) == [[EOS + 1] * 3] * 2


@pytest.mark.parametrize("settings", [SETTINGS[0], SETTINGS[3], BEAMS[0]], ids=label)
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_sentence_does_not_depend_on_its_batch(decoder: str, settings: Sampling) -> None:
    model, z = tiny_model(decoder), latents(12)
    together = decode(model.decoder, z, 12, settings, streams=SampleStreams(1, range(12)))
    order = np.random.default_rng(0).permutation(12)[:7]
    part = decode(model.decoder, z[order], 7, settings, streams=SampleStreams(1, order))
    assert part == [together[i] for i in order]
    for batch_size in (1, 5):
        assert list(decode_batches(model, z, settings, seed=1, batch_size=batch_size)) == together


@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_fewer_samples_are_the_first_of_more(kind: str) -> None:
    model = tiny_model(kind=kind)
    ten = list(generate(model, 10, Sampling("sample"), seed=4, batch_size=4))
    assert list(generate(model, 5, Sampling("sample"), seed=4, batch_size=256)) == ten[:5]
    assert list(generate(model, 10, Sampling("sample"), seed=5)) != ten
    assert len(set(map(tuple, ten))) > 5


def test_generated_latents_come_from_the_noise_of_the_samples() -> None:
    model, mean = tiny_model(), torch.ones(Z)
    near = list(generate(model, 6, Sampling("greedy"), seed=4, latents=lambda e: mean + 0.5 * e))
    z = mean + 0.5 * SampleStreams(4, range(6)).normal(Z)
    assert near == decode(model.decoder, z, 6, Sampling("greedy"))


def test_samples_have_the_frequencies_of_the_model() -> None:
    model, n, limit = tiny_model(vocab_size=7, spread=0.4, end_bias=0.5), 20_000, 3
    z = latents(1)
    outcomes = sentences(7, limit)  # 1 + 4 + 16
    probabilities = [
        math.exp(sum(tokens[: limit - 1]))  # the end after limit - 1 words is certain
        for tokens in log_probs(model, z[0], outcomes)
    ]
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)
    drawn = decode_batches(
        model, z.expand(n, -1), Sampling("sample", max_tokens=limit), seed=8, batch_size=5000
    )
    counts = dict.fromkeys(map(tuple, outcomes), 0)
    for sentence in drawn:
        counts[tuple(sentence)] += 1
    expected = n * np.array(probabilities)
    chi_square = float((((np.array(list(counts.values())) - expected) ** 2) / expected).sum())
    assert chi_square < 45.3  # 99.9 % quantile at 20 degrees of freedom


def drawn_set(
    probabilities: list[float], *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> set[int]:
    """The tokens that any of 2,000 equally spaced uniform numbers gives."""
    uniforms = torch.arange(2_000, dtype=torch.float64) / 2_000
    logits = torch.tensor(probabilities).log().expand(len(uniforms), -1)
    chosen = draw(logits, uniforms, temperature=temperature, top_k=top_k, top_p=top_p)
    return set(chosen.tolist())


def test_top_k_and_top_p_keep_exactly_the_right_set() -> None:
    probabilities = [0.05, 0.5, 0.12, 0.3, 0.03]
    assert drawn_set(probabilities) == {0, 1, 2, 3, 4}
    assert drawn_set(probabilities, top_k=1) == {1}
    assert drawn_set(probabilities, top_k=3) == {1, 2, 3}
    assert drawn_set(probabilities, top_k=9) == {0, 1, 2, 3, 4}
    assert drawn_set(probabilities, top_p=0.01) == {1}
    assert drawn_set(probabilities, top_p=0.5) == {1}
    assert drawn_set(probabilities, top_p=0.8) == {1, 3}
    assert drawn_set(probabilities, top_p=0.81) == {1, 2, 3}
    # top_p counts within what top_k left: 0.5 of 0.8
    assert drawn_set(probabilities, top_k=2, top_p=0.62) == {1}
    assert drawn_set(probabilities, temperature=1e-40) == {1}


def test_of_equal_probabilities_top_k_and_top_p_keep_the_lower_ids() -> None:
    ties = [0.1, 0.2, 0.2, 0.2, 0.2, 0.1]
    assert drawn_set(ties, top_k=3) == {1, 2, 3}
    assert drawn_set(ties, top_k=5) == {0, 1, 2, 3, 4}
    assert drawn_set(ties, top_p=0.4) == {1, 2}
    assert drawn_set(ties, top_p=0.41) == {1, 2, 3}
    many = [1 / 400] * 400  # more than the head of the vocabulary that is sorted first
    assert drawn_set(many, top_p=0.5) == set(range(200))


def test_top_p_is_the_naive_nucleus_in_a_large_vocabulary() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(16, 1500, generator=generator) * torch.linspace(0.1, 4, 16)[:, None]
    uniforms = torch.rand(16, generator=generator, dtype=torch.float64)
    settings = Sampling("sample", top_p=0.85)
    chosen = draw(logits, uniforms, temperature=1.0, top_k=0, top_p=0.85).tolist()
    naive = [
        naive_token(row.double().tolist(), settings, float(u))
        for row, u in zip(logits, uniforms, strict=True)
    ]
    assert chosen == naive


def test_the_draw_is_the_inverse_of_the_cumulative_distribution() -> None:
    generator = np.random.default_rng(1)
    for size in (1, 2, 3, 10, 97, 1000):
        weights = generator.random((50, size)).astype(np.float32)
        weights[:, 1:][generator.random((50, size - 1)) < 0.4] = 0.0
        weights[::2] = weights[::2, ::-1]  # so that some rows begin with zeros and some end so
        weights[:, size // 2] += 1e-3
        uniforms = generator.random(50)
        uniforms[:20], uniforms[20:40] = 0.0, 1 - 2**-53
        cumulative = weights.cumsum(1, dtype=np.float64)
        expected = [
            np.searchsorted(row, u * row[-1], side="right")
            for row, u in zip(cumulative, uniforms, strict=True)
        ]
        chosen = inverse_cdf(torch.from_numpy(weights), torch.from_numpy(uniforms))
        assert chosen.tolist() == expected


def test_the_bounds_of_a_large_vocabulary_are_those_of_float64() -> None:
    """Each draw lies in the interval of its token, up to the rounding of the sum of a block."""
    generator = np.random.default_rng(4)
    weights = np.exp(3 * generator.normal(size=(40, 10_000))).astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    uniforms = generator.random(40)
    chosen = inverse_cdf(torch.from_numpy(weights), torch.from_numpy(uniforms)).numpy()
    rows, upper = np.arange(40), weights.cumsum(1, dtype=np.float64)
    lower = upper - weights
    aimed = uniforms * upper[:, -1]
    assert (weights[rows, chosen] > 0).all()
    assert (lower[rows, chosen] - 1e-6 <= aimed).all()
    assert (aimed <= upper[rows, chosen] + 1e-6).all()


def test_the_largest_uniform_number_stays_within_the_support() -> None:
    # Weights of many magnitudes, whose sums round differently in another order.
    generator = np.random.default_rng(2)
    weights = np.exp(8 * generator.normal(size=(2000, 500))).astype(np.float32)
    weights[:, 490:] = 0.0
    uniforms = torch.full((2000,), 1 - 2**-53, dtype=torch.float64)
    chosen = inverse_cdf(torch.from_numpy(weights), uniforms)
    assert int(chosen.max()) < 490


@pytest.mark.parametrize("decoder", DECODERS)
def test_sampling_at_temperature_near_zero_is_greedy(decoder: str) -> None:
    model, z = tiny_model(decoder), latents(20)
    cold = decode_batches(model, z, Sampling("sample", temperature=1e-5))
    assert list(cold) == decode(model.decoder, z, 20, Sampling("greedy"))


def test_the_repetition_penalty_by_hand() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5, -torch.inf], [2.0, -1.0, 0.5, 3.0]])
    produced = torch.tensor([[1, 0, 0], [2, 2, 2]])  # once, however often it occurred
    expected = [[1.0, -2.0, 0.5, -math.inf], [2.0, -1.0, 0.25, 3.0]]
    assert penalize_repetition(logits, produced, 2.0).tolist() == expected


def test_no_ngram_occurs_twice_by_hand() -> None:
    logits = torch.zeros(3, 4)
    produced = torch.tensor([[1, 2, 3, 1, 2], [1, 2, 0, 1, 3], [2, 2, 2, 2, 2]])
    allowed = {
        0: [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]],
        1: [[0], [], [0, 1, 3]],
        2: [[0, 1, 2], [0, 1, 2, 3], [0, 1, 3]],
        3: [[0, 1, 2], [0, 1, 2, 3], [0, 1, 3]],
        6: [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]],
    }
    for n, expected in allowed.items():
        left = forbid_repeated_ngrams(logits, produced, n)
        assert [row.isfinite().nonzero().flatten().tolist() for row in left] == expected
    assert logits.isfinite().all()


@pytest.mark.parametrize("strategy", ["sample", "greedy", "beam"])
def test_a_sentence_repeats_tokens_where_it_must(strategy: str) -> None:
    model = tiny_model(vocab_size=7, max_tokens=9)  # four words
    settings = Sampling(strategy, no_repeat_ngram=1, min_tokens=6)
    for ids in decode_batches(model, latents(10), settings):
        assert len(ids) >= 6
        assert len(set(ids[:4])) == 4
    logits = torch.zeros(1, 3)
    excluded = allowed(logits, torch.tensor([[1, 2]]), Sampling(no_repeat_ngram=1), eos=0)
    assert excluded.isfinite().tolist() == [[True, False, False]]


def test_a_model_with_a_latent_writes_greedily_without_loops() -> None:
    model = tiny_model(end_bias=-40.0, vocab_size=7)
    assert default_decoding(model) == Sampling("greedy", no_repeat_ngram=3)
    assert default_decoding(tiny_model(kind="lm")) == Sampling("sample")

    def loops(settings: Sampling) -> int:
        ngrams = [list(zip(s, s[1:], s[2:], strict=False)) for s in decoded(settings)]
        return sum(len(found) > len(set(found)) for found in ngrams)

    def decoded(settings: Sampling) -> list[list[int]]:
        return decode(model.decoder, latents(40), 40, settings)

    assert loops(Sampling("greedy")) > 3
    assert loops(default_decoding(model)) == 0


@pytest.mark.parametrize("strategy", ["sample", "greedy", "beam"])
def test_lengths_stay_between_min_tokens_and_max_tokens(strategy: str) -> None:
    never_ending, ending = tiny_model(end_bias=-40.0), tiny_model(end_bias=40.0)
    z = latents(5)
    for model, expected in ((never_ending, 5), (ending, 2)):
        settings = Sampling(strategy, min_tokens=2, max_tokens=6)
        assert [len(s) for s in decode_batches(model, z, settings)] == [expected] * 5
        settings = Sampling(strategy, min_tokens=4, max_tokens=5)
        assert [len(s) for s in decode_batches(model, z, settings)] == [4] * 5
    assert [len(s) for s in decode_batches(never_ending, z, Sampling(strategy))] == [8] * 5


def test_no_sentences_from_no_latents() -> None:
    model = tiny_model()
    assert decode(model.decoder, latents(0), 0, Sampling("greedy")) == []
    assert list(decode_batches(model, latents(0), Sampling("sample"))) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "nucleus"}, "unknown strategy 'nucleus': choose from sample"),
        ({"temperature": 0.0}, "temperature 0.0 must be above 0.*greedy"),
        ({"temperature": math.nan}, "temperature nan must be above 0"),
        ({"top_k": -1}, "top_k -1 must be 0"),
        ({"top_k": 2.5}, "top_k 2.5 must be a whole number"),
        ({"top_p": 0.0}, "top_p 0.0 must be above 0 and at most 1"),
        ({"top_p": 1.5}, "top_p 1.5 must be"),
        ({"strategy": "beam", "beams": 0}, "beams 0 must be 1 to 1,000; try 5"),
        ({"strategy": "beam", "beams": 10**9}, "beams 1000000000 must be 1 to 1,000; try 5"),
        ({"repetition_penalty": -1.0}, "repetition_penalty -1.0 must be above 0"),
        ({"strategy": "beam", "length_penalty": -1.0}, "length_penalty -1.0 must be 0"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram -1 must be 0 .off. or more; try 3"),
        ({"no_repeat_ngram": 2.5}, "no_repeat_ngram 2.5 must be a whole number"),
        ({"min_tokens": -1}, "min_tokens -1 must be 0 or more"),
        ({"max_tokens": 1}, "max_tokens 1 must be 2 or more"),
        ({"min_tokens": 8, "max_tokens": 8}, "min_tokens 8 must be below max_tokens 8.*try 7"),
        ({"strategy": "greedy", "temperature": 0.7}, "temperature 0.7 has no effect with .*greedy"),
        ({"strategy": "beam", "beams": 2, "top_k": 5}, "top_k 5 has no effect with .*beam"),
        ({"strategy": "sample", "beams": 3}, "beams 3 has no effect with .*sample"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sampling(**options)


def test_limits_of_the_model_are_kept() -> None:
    model = tiny_model(max_tokens=9)
    with pytest.raises(UsageError, match="max_tokens 10 exceeds the model's limit 9; try 9"):
        decode(model.decoder, latents(1), 1, Sampling("greedy", max_tokens=10))
    with pytest.raises(UsageError, match="min_tokens 9 must be below max_tokens 9"):
        decode(model.decoder, latents(1), 1, Sampling("greedy", min_tokens=9))
    with pytest.raises(UsageError, match="needs streams"):
        decode(model.decoder, latents(1), 1, Sampling("sample"))


LIKELIEST = Sampling("greedy", no_repeat_ngram=3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Sampling("sample")),
        ({"default": LIKELIEST}, LIKELIEST),
        ({"default": LIKELIEST, "top_p": 0.9}, Sampling("sample", top_p=0.9)),
        (
            {"default": LIKELIEST, "min_tokens": 2},
            Sampling("greedy", no_repeat_ngram=3, min_tokens=2),
        ),
        ({"default": LIKELIEST, "no_repeat_ngram": 0}, Sampling("greedy")),
        ({"default": LIKELIEST, "greedy": True}, Sampling("greedy")),
        ({"default": LIKELIEST, "beams": 5}, Sampling("beam", beams=5)),
        ({"greedy": True, "beams": None}, Sampling("greedy")),
        ({"beams": 5}, Sampling("beam", beams=5)),
        ({"beams": 1}, Sampling("sample")),
        ({"strategy": "beam"}, Sampling("beam")),
    ],
)
def test_options_name_their_strategy(options: dict, expected: Sampling) -> None:
    assert Sampling.from_options(**options) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"greedy": True, "temperature": 0.7}, "temperature 0.7 has no effect"),
        ({"greedy": True, "beams": 4}, "beams 4 has no effect"),
        ({"beams": 4, "top_p": 0.9}, "top_p 0.9 has no effect"),
        ({"greedy": True, "strategy": "beam"}, "greedy contradicts strategy beam"),
        ({"topk": 4}, "unknown decoding option 'topk'"),
    ],
)
def test_options_that_contradict_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Sampling.from_options(**options)
