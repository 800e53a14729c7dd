"""The model's promises: batches, steps, causality, distributions, and what its parts compute."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from random_models import BOS, EOS, PAD, random_model
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from textvae.config import ModelConfig
from textvae.data.batches import Tokens, collate
from textvae.errors import UsageError
from textvae.models.build import build_model
from textvae.models.pooling import Pooling
from textvae.models.recurrent import RecurrentEncoder
from textvae.models.sentence import SentenceModel
from textvae.models.transformer import Block, rotate
from textvae.randomness.noise import StepNoise

SENTENCES = [[3, 4, 5, 4], [5], [], [4, 4, 3, 5, 3, 3, 4], [3, 5]]

ENCODERS = [
    {"encoder": "gru", "pooling": "max"},
    {"encoder": "gru", "pooling": "last", "layers": 2, "bidirectional": True},
    {"encoder": "lstm", "pooling": "mean", "layers": 2},
    {"encoder": "lstm", "pooling": "attention", "bidirectional": True},
    {"encoder": "transformer", "pooling": "attention", "layers": 2},
    {"encoder": "transformer", "pooling": "last", "positions": "learned"},
    {"encoder": "transformer", "pooling": "max", "heads": 1},
    {"encoder": "transformer", "pooling": "mean", "heads": 2, "positions": "learned"},
]
DECODERS = [
    {"decoder": "gru"},
    {"decoder": "gru", "layers": 2, "tie_weights": False},
    {"decoder": "lstm"},
    {"decoder": "lstm", "layers": 2, "embedding_size": 8},
    {"decoder": "transformer"},
    {"decoder": "transformer", "layers": 2, "positions": "learned", "tie_weights": False},
    {"decoder": "transformer", "memory_tokens": 1, "embedding_size": 8, "heads": 2},
]


def name_of(sizes: dict[str, Any]) -> str:
    return "-".join(map(str, sizes.values()))


encoders = pytest.mark.parametrize("sizes", ENCODERS, ids=name_of)
decoders = pytest.mark.parametrize("sizes", DECODERS, ids=name_of)
with_latent_or_not = pytest.mark.parametrize("kind", ["vae", "lm"])


@pytest.fixture
def tokens() -> Tokens:
    """Five sentences of one to eight tokens, the empty one included."""
    return collate(SENTENCES, EOS, PAD)


def latents(model: SentenceModel, *shape: int, seed: int = 0) -> Tensor | None:
    if not model.latent_size:
        return None
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, model.latent_size, generator=generator)


def with_garbage_padding(tokens: Tokens, extra: int) -> Tokens:
    """The same sentences, `extra` positions wider, words where padding stood."""
    ids = F.pad(tokens.ids, (0, extra), value=PAD)
    garbage = torch.randint(3, 6, ids.shape, generator=torch.Generator().manual_seed(0))
    return Tokens(torch.where(Tokens(ids, tokens.lengths).mask, ids, garbage), tokens.lengths)


# a sentence's result is its own


@torch.no_grad()
@encoders
@pytest.mark.parametrize("kind", ["vae", "ae"])
def test_a_code_depends_on_its_sentence_alone(
    sizes: dict[str, Any], kind: str, tokens: Tokens
) -> None:
    model = random_model(kind, max_tokens=12, **sizes)
    codes = model.code(tokens)
    assert torch.pdist(codes).min() > 1e-3  # the sentences do have different codes
    for row, sentence in enumerate(SENTENCES):
        alone = model.code(collate([sentence], EOS, PAD))
        torch.testing.assert_close(alone[0], codes[row], rtol=1e-5, atol=1e-5)
    wide = model.code(with_garbage_padding(tokens, 4))
    torch.testing.assert_close(wide, codes, rtol=1e-5, atol=1e-5)
    assert model.encoder is not None
    model.double()
    alone = torch.cat([model.encoder(collate([sentence], EOS, PAD)) for sentence in SENTENCES])
    torch.testing.assert_close(alone, model.encoder(tokens), rtol=1e-12, atol=1e-12)


@torch.no_grad()
@decoders
@with_latent_or_not
def test_a_likelihood_depends_on_its_sentence_and_latent_alone(
    sizes: dict[str, Any], kind: str, tokens: Tokens
) -> None:
    model = random_model(kind, max_tokens=12, **sizes)
    z = latents(model, 5)
    found = model.decoder.log_likelihood(tokens, z)
    for row, sentence in enumerate(SENTENCES):
        own = None if z is None else z[row : row + 1]
        alone = model.decoder.log_likelihood(collate([sentence], EOS, PAD), own)
        torch.testing.assert_close(alone[0], found[row], rtol=1e-6, atol=1e-5)
    wide = model.decoder.token_log_probs(with_garbage_padding(tokens, 4), z)
    torch.testing.assert_close(wide.sum(1), found, rtol=1e-6, atol=1e-5)
    assert (wide.masked_select(~with_garbage_padding(tokens, 4).mask) == 0).all()


@torch.no_grad()
@pytest.mark.parametrize("sizes", [DECODERS[1], DECODERS[5]], ids=name_of)
def test_samples_of_a_latent_go_in_front(sizes: dict[str, Any], tokens: Tokens) -> None:
    model = random_model(max_tokens=12, **sizes)
    z = latents(model, 2, 3, 5)
    assert z is not None
    found = model.decoder.log_likelihood(tokens, z)
    for i, j in itertools.product(range(2), range(3)):
        expected = model.decoder.log_likelihood(tokens, z[i, j])
        torch.testing.assert_close(found[i, j], expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("sizes", [ENCODERS[1] | DECODERS[1], ENCODERS[4] | DECODERS[4]])
def test_the_gradient_of_a_batch_is_the_sum_of_its_sentences_gradients(
    sizes: dict[str, Any], tokens: Tokens
) -> None:
    """So it is finite, too, where padding is as impossible as padding is."""
    model = random_model(max_tokens=12, **sizes)

    def gradient(batch: Tokens) -> list[Tensor]:
        likelihood = model.decoder.log_likelihood(batch, model.infer(batch).mean).sum()
        grads = torch.autograd.grad(likelihood, list(model.parameters()), materialize_grads=True)
        return list(grads)

    alone = [gradient(collate([sentence], EOS, PAD)) for sentence in SENTENCES]
    for whole, *parts in zip(gradient(tokens), *alone, strict=True):
        torch.testing.assert_close(whole, torch.stack(parts).sum(0), rtol=1e-4, atol=1e-4)


# a distribution over sentences, token by token


def assert_steps_have(
    expected: Tensor, model: SentenceModel, tokens: Tokens, z: Tensor | None
) -> None:
    """Step by step each token has the log-probability (B, T) that is expected of it."""
    state, previous = model.decoder.start(z, len(tokens)), torch.full((len(tokens),), BOS)
    for t in range(tokens.ids.size(1)):
        logits, state = model.decoder.step(previous, state)
        previous = tokens.ids[:, t]
        found = logits.log_softmax(-1).gather(1, previous[:, None])[:, 0]
        there = t < tokens.lengths
        torch.testing.assert_close(found[there], expected[there, t], rtol=1e-5, atol=1e-5)


@torch.no_grad()
@decoders
@with_latent_or_not
def test_steps_give_the_teacher_forced_probabilities(
    sizes: dict[str, Any], kind: str, tokens: Tokens
) -> None:
    model = random_model(kind, max_tokens=12, **sizes)
    z = latents(model, 5)
    expected = model.decoder.token_log_probs(tokens, z)
    assert_steps_have(expected, model, tokens, z)


@torch.no_grad()
@pytest.mark.parametrize("sizes", [DECODERS[3], DECODERS[5]], ids=name_of)
def test_rows_of_a_state_go_on_by_themselves(sizes: dict[str, Any]) -> None:
    model = random_model(max_tokens=12, **sizes)
    _, state = model.decoder.step(torch.full((5,), BOS), model.decoder.start(latents(model, 5), 5))
    rows = torch.tensor([4, 1, 1])
    words = torch.tensor([3, 4, 5, 3, 4])
    whole, _ = model.decoder.step(words, state)
    some, _ = model.decoder.step(words[rows], state.rows(rows))
    torch.testing.assert_close(some, whole[rows])


@torch.no_grad()
@decoders
@with_latent_or_not
def test_probabilities_of_all_sentences_sum_to_one(sizes: dict[str, Any], kind: str) -> None:
    """Of all that end within three tokens, and all beginnings of three words."""
    model = random_model(kind, words=3, max_tokens=12, **sizes)
    words = range(3, 6)
    ended = [list(s) for n in range(3) for s in itertools.product(words, repeat=n)]
    beginnings = [list(s) for s in itertools.product(words, repeat=3)]
    tokens = collate(ended + beginnings, EOS, PAD)
    z = latents(model, 1)
    log_probs = model.decoder.token_log_probs(
        tokens, None if z is None else z.expand(len(tokens), -1)
    )
    total = (
        log_probs[: len(ended)].sum(1).exp().sum() + log_probs[len(ended) :, :3].sum(1).exp().sum()
    )
    assert total.item() == pytest.approx(1.0, abs=1e-5)


@torch.no_grad()
@decoders
def test_padding_and_start_are_impossible(sizes: dict[str, Any]) -> None:
    model = random_model(max_tokens=12, **sizes)
    logits, _ = model.decoder.step(torch.full((5,), BOS), model.decoder.start(latents(model, 5), 5))
    probabilities = logits.softmax(-1)
    assert (probabilities[:, [PAD, BOS]] == 0).all()
    assert (probabilities[:, 2:] > 0).all()


@torch.no_grad()
@decoders
def test_later_tokens_do_not_change_earlier_probabilities(
    sizes: dict[str, Any], tokens: Tokens
) -> None:
    model = random_model(max_tokens=12, **sizes)
    z = latents(model, 5)
    longest = tokens.rows(slice(3, 4))
    assert z is not None
    before = model.decoder.token_log_probs(longest, z[:1])
    for t in range(1, longest.ids.size(1)):
        ids = longest.ids.clone()
        ids[0, t] = 3 + (ids[0, t] - 2) % 3  # another word
        after = model.decoder.token_log_probs(Tokens(ids, longest.lengths), z[:1])
        torch.testing.assert_close(after[:, :t], before[:, :t], rtol=0, atol=1e-6)
        assert ((after[:, t:] - before[:, t:]).abs() > 1e-8).all()  # and they do the later ones


# the latent


@decoders
def test_the_latent_reaches_every_token(sizes: dict[str, Any], tokens: Tokens) -> None:
    model = random_model(max_tokens=12, **sizes)
    z = latents(model, 5)
    assert z is not None
    z.requires_grad_()
    log_probs = model.decoder.token_log_probs(tokens, z)
    for t in (0, 7):
        (gradient,) = torch.autograd.grad(log_probs[3, t], z, retain_graph=True)
        assert (gradient[3] != 0).all()
        assert (gradient[[0, 1, 2, 4]] == 0).all()


@pytest.mark.parametrize(
    ("decoder", "cut"),
    [
        ("gru", "first_state.weight"),
        ("gru", "rnn.weight_ih_l0"),
        ("lstm", "first_state.weight"),
        ("lstm", "rnn.weight_ih_l0"),
        ("transformer", "memory.weight"),
        ("transformer", "added.weight"),
    ],
)
def test_each_of_the_two_ways_of_the_latent_suffices(
    decoder: str, cut: str, tokens: Tokens
) -> None:
    model = random_model(decoder=decoder)
    z = latents(model, 5)
    assert z is not None
    z.requires_grad_()
    with torch.no_grad():
        weight = model.decoder.network.get_parameter(cut)
        weight[:, -model.latent_size :] = 0  # all there is, or where z meets the embedding
    (gradient,) = torch.autograd.grad(model.decoder.log_likelihood(tokens, z).sum(), z)
    assert (gradient != 0).all()


SKIPPING = [{**sizes, "skip_z": True} for sizes in (DECODERS[1], DECODERS[3], *DECODERS[5:])]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["vae", "ae"])
@pytest.mark.parametrize("sizes", SKIPPING, ids=name_of)
def test_a_skip_connection_adds_a_map_of_the_latent_to_each_output_state(
    sizes: dict[str, Any], kind: str, tokens: Tokens
) -> None:
    """Teacher-forced as step by step, and without its weights nothing is added."""
    model = random_model(kind, max_tokens=12, **sizes)
    without = model.config.model_copy(update={"skip_z": False})
    plain = build_model(without, model.decoder.vocabulary, 12).decoder.eval()
    plain.load_state_dict(model.decoder.state_dict(), strict=False)
    assert model.decoder.skip is not None
    z = latents(model, 5)
    assert z is not None
    start = torch.full_like(tokens.ids[:, :1], BOS)
    inputs = plain.embedding(torch.cat([start, tokens.ids[:, :-1]], dim=1))
    states = plain.network(inputs, z) + (z @ model.decoder.skip.weight.T)[:, None]
    logits = F.linear(plain.narrow(states), *plain._output_layer())
    log_probs = logits.log_softmax(-1)
    expected = log_probs.gather(2, tokens.ids[:, :, None])[:, :, 0].masked_fill(~tokens.mask, 0)
    torch.testing.assert_close(
        model.decoder.token_log_probs(tokens, z), expected, rtol=1e-5, atol=1e-5
    )
    assert ((plain.token_log_probs(tokens, z) - expected)[tokens.mask].abs() > 1e-4).all()
    assert_steps_have(expected, model, tokens, z)


@torch.no_grad()
@pytest.mark.parametrize("sizes", [SKIPPING[1], SKIPPING[2]], ids=name_of)
def test_rows_of_a_state_with_a_skip_connection_go_on_by_themselves(sizes: dict[str, Any]) -> None:
    model = random_model(max_tokens=12, **sizes)
    _, state = model.decoder.step(torch.full((5,), BOS), model.decoder.start(latents(model, 5), 5))
    rows, words = torch.tensor([4, 1, 1]), torch.tensor([3, 4, 5, 3, 4])
    whole, _ = model.decoder.step(words, state)
    some, _ = model.decoder.step(words[rows], state.rows(rows))
    torch.testing.assert_close(some, whole[rows])


@decoders
def test_a_language_model_has_no_latent(sizes: dict[str, Any], tokens: Tokens) -> None:
    model = random_model("lm", max_tokens=12, **sizes)
    assert model.latent_size == 0
    assert model.encoder is None
    with pytest.raises(UsageError, match="no posterior"):
        model.infer(tokens)
    with pytest.raises(UsageError, match="no latent"):
        model.code(tokens)


def test_a_code_is_the_posterior_mean_of_a_vae_and_an_ae_has_no_posterior(tokens: Tokens) -> None:
    vae = random_model("vae")
    assert (vae.code(tokens) == vae.infer(tokens).mean).all()
    with pytest.raises(UsageError, match="no posterior"):
        random_model("ae").infer(tokens)


def test_the_prior_of_a_vae_is_standard_normal() -> None:
    model = random_model("vae", latent_size=3)
    z = torch.randn(4, 3)
    expected = torch.distributions.Normal(0, 1).log_prob(z).sum(-1)
    torch.testing.assert_close(model.prior.log_prob(z), expected)
    assert (model.prior.sample(z) == z).all()


def test_the_prior_of_an_autoencoder_is_the_gaussian_of_its_codes() -> None:
    model = random_model("ae", latent_size=3)
    mixing = torch.tensor([[2.0, 0.0, 0.0], [-1.5, 0.5, 0.0], [0.3, 0.2, 0.1]])
    codes = torch.randn(500, 3) @ mixing.T + torch.tensor([5.0, 0.0, -1.0])
    model.prior.fit(codes)
    mean = model.prior.sample(torch.zeros(1, 3))[0]
    axes = model.prior.sample(torch.eye(3)) - mean  # how noise becomes a latent
    torch.testing.assert_close(mean, codes.mean(0))
    torch.testing.assert_close(axes.T @ axes, torch.cov(codes.T), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("codes", [torch.full((9, 3), 7.0), torch.randn(2, 3), torch.randn(1, 3)])
def test_a_prior_can_be_fitted_to_codes_that_fill_no_volume(codes: Tensor) -> None:
    model = random_model("ae", latent_size=3)
    model.prior.fit(codes)
    torch.testing.assert_close(model.prior.mean, codes.mean(0))
    assert model.prior.factor.isfinite().all()


# the parts, against slow or independent ones


@torch.no_grad()
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_recurrent_encoder_is_torchs_own_on_packed_sequences(
    cell: str, layers: int, bidirectional: bool, tokens: Tokens
) -> None:
    sizes = {"hidden_size": 5, "embedding_size": 4, "layers": layers}
    ours = RecurrentEncoder(ModelConfig(encoder=cell, bidirectional=bidirectional, **sizes))
    theirs = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](
        4, 5, num_layers=layers, bidirectional=bidirectional, batch_first=True
    )
    for layer in range(layers):
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            directions = [(ours.forwards, "")]
            if bidirectional:
                directions.append((ours.backwards, "_reverse"))
            for cells, suffix in directions:
                getattr(theirs, f"{part}_l{layer}{suffix}").copy_(
                    getattr(cells[layer], f"{part}_l0")
                )
    embedded = torch.randn(*tokens.ids.shape, 4)
    packed = pack_padded_sequence(embedded, tokens.lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    found = ours(embedded, tokens)
    torch.testing.assert_close(found[tokens.mask], expected[tokens.mask])


@torch.no_grad()
@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooling_is_what_a_loop_over_sentences_gives(
    kind: str, bidirectional: bool, tokens: Tokens
) -> None:
    pooling = Pooling(kind, 6, 3 if bidirectional else 0)
    states = torch.randn(*tokens.ids.shape, 6)
    found = pooling(states, tokens)
    for row, length in enumerate(tokens.lengths.tolist()):
        own = states[row, :length]
        if kind == "last" and bidirectional:
            expected = torch.cat([own[-1, :3], own[0, 3:]])
        elif kind == "last":
            expected = own[-1]
        elif kind == "mean":
            expected = sum(own) / length
        elif kind == "max":
            expected = own.max(0).values
        else:
            scores = [math.exp(pooling.score(state).item()) for state in own]
            expected = sum(score * state for score, state in zip(scores, own, strict=True)) / sum(
                scores
            )
        torch.testing.assert_close(found[row], expected)


def slow_attention(block: Block, x: Tensor, seen_by: Tensor) -> Tensor:
    """A block on one sentence (T, H) in double loops; rotary positions as complex numbers."""
    T, H = x.size()
    D = H // block.heads
    q, k, v = block.qkv(block.attention_norm(x)).view(T, 3, block.heads, D).unbind(1)

    def turned(vector: Tensor, position: int) -> Tensor:
        if not block.rotary:
            return vector
        pairs = torch.complex(vector[: D // 2], vector[D // 2 :])
        angles = torch.tensor([position * 10_000 ** (-i / (D // 2)) for i in range(D // 2)])
        pairs = pairs * torch.polar(torch.ones_like(angles), angles)
        return torch.cat([pairs.real, pairs.imag])

    attended = torch.zeros(T, H)
    for head, t in itertools.product(range(block.heads), range(T)):
        seen = [s for s in range(T) if seen_by[t, s]]
        scores = torch.stack(
            [turned(q[t, head], t) @ turned(k[s, head], s) / D**0.5 for s in seen]
        ).softmax(0)
        attended[t, head * D : (head + 1) * D] = sum(
            score * v[s, head] for score, s in zip(scores, seen, strict=True)
        )
    x = x + block.attention_out(attended)
    return x + block.contract(F.gelu(block.expand(block.feed_forward_norm(x))))


@torch.no_grad()
@pytest.mark.parametrize("positions", ["rotary", "learned"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_block_is_attention_written_out(positions: str, causal: bool, tokens: Tokens) -> None:
    block = Block(ModelConfig(encoder="transformer", hidden_size=8, heads=2, positions=positions))
    x = torch.randn(5, 8, 8)
    mask = None if causal else tokens.mask[:, None, None, :]
    found, _ = block(x, mask=mask)
    for row in range(5):
        seen = torch.ones(8, 8).tril().bool() if causal else tokens.mask[row].expand(8, 8)
        torch.testing.assert_close(
            found[row], slow_attention(block, x[row], seen), rtol=1e-4, atol=1e-5
        )


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(1, 1, 6, 8).double(), torch.randn(1, 1, 6, 8).double()
    scores = rotate(q, 0) @ rotate(k, 0).mT
    for offset in (1, 50, 1000):
        shifted = rotate(q, offset) @ rotate(k, offset).mT
        torch.testing.assert_close(shifted, scores, rtol=1e-3, atol=1e-3)
    assert (rotate(q, 1) @ rotate(k, 0).mT - scores).abs().max() > 0.1
    torch.testing.assert_close(rotate(q, 7).norm(dim=-1), q.norm(dim=-1))


# weights and regularisation


def test_tied_weights_save_the_output_layer_and_cost_what_narrows_the_states() -> None:
    V, E, H = 6, 4, 8

    def parameters(**sizes: Any) -> int:
        model = random_model(hidden_size=H, embedding_size=E, **sizes)
        assert model.decoder.vocabulary.size == V
        return sum(parameter.numel() for parameter in model.parameters())

    assert parameters(tie_weights=False) - parameters(tie_weights=True) == V * H - (H + 1) * E


REGULARISED = {
    "embedding_dropout": 0.3,
    "variational_dropout": 0.3,
    "output_dropout": 0.3,
    "word_dropout": 0.3,
}


@torch.no_grad()
@pytest.mark.parametrize("rate", REGULARISED)
@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_only_given_noise_drops_anything(rate: str, decoder: str, tokens: Tokens) -> None:
    plain = random_model(decoder=decoder).train()
    model = random_model(decoder=decoder, **{rate: REGULARISED[rate]}).train()
    z = latents(model, 5)
    noise = StepNoise(0, 0, torch.arange(5), 5, 8, torch.device("cpu"))
    expected = plain.decoder.log_likelihood(tokens, z)
    assert (model.decoder.log_likelihood(tokens, z) == expected).all()
    assert (plain.decoder.log_likelihood(tokens, z, noise) == expected).all()
    assert (model.infer(tokens).mean == plain.infer(tokens).mean).all()
    assert ((model.decoder.log_likelihood(tokens, z, noise) - expected).abs() > 1e-6).any()


@torch.no_grad()
@pytest.mark.parametrize("rate", ["embedding_dropout", "variational_dropout"])
def test_dropout_of_embeddings_regularises_the_encoder_too(rate: str, tokens: Tokens) -> None:
    model = random_model(**{rate: 0.3})
    noise = StepNoise(0, 0, torch.arange(5), 5, 8, torch.device("cpu"))
    assert ((model.infer(tokens, noise).mean - model.code(tokens)).abs() > 1e-6).any(1).all()


@torch.no_grad()
def test_word_dropout_hides_words_from_the_decoder_as_padding() -> None:
    """Blanked tokens predict as padding predicts: nearly all of them, at a rate near 1."""
    model = random_model(word_dropout=0.999999)
    tokens = collate([[3, 4, 5]], EOS, PAD)
    z = latents(model, 1)
    noise = StepNoise(0, 0, torch.arange(1), 1, 4, torch.device("cpu"))
    state = model.decoder.start(z, 1)
    for t, previous in enumerate([BOS, PAD, PAD, PAD]):
        logits, state = model.decoder.step(torch.tensor([previous]), state)
        expected = logits.log_softmax(-1)[0, tokens.ids[0, t]]
        torch.testing.assert_close(model.decoder.token_log_probs(tokens, z, noise)[0, t], expected)
