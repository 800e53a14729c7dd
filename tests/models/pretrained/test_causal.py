"""A pretrained decoder: a distribution given z, equal to transformers, and trained as asked."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from pretrained_folders import write_encoder
from pretrained_networks import causal_network
from torch import Tensor

from textvae.config import ModelConfig
from textvae.data.batches import Tokens, collate
from textvae.data.vocabulary import Vocabulary
from textvae.decoding.generation import decode
from textvae.decoding.sampling import draw
from textvae.decoding.settings import Sampling
from textvae.errors import ConfigError, ModelFormatError
from textvae.models.pretrained.causal import PretrainedDecoder, load_causal
from textvae.models.pretrained.reference import find_reference
from textvae.randomness.noise import StepNoise
from textvae.randomness.streams import SampleStreams

WORDS = 4  # ids 0, 1, 3, 4 of the network; 2 is the end token
EOS, KNOWN = 2, 5
PAD, BOS = 5, 6  # roles that the network does not know
VOCABULARY = Vocabulary(7, PAD, BOS, EOS)
SENTENCES = [[3, 4, 0, 4], [1], [], [4, 4, 3, 0, 3, 3, 4], [3, 1]]

networks = pytest.mark.parametrize("kind", ["gpt2", "llama"])
injections = pytest.mark.parametrize("injection", ["prefix", "cache", "embedding", None])
latent_injections = pytest.mark.parametrize("injection", ["prefix", "cache", "embedding"])


def decoder_of(
    kind: str,
    injection: str | None,
    *,
    max_tokens: int = 12,
    seed: int = 0,
    network: int = 4,
    **settings: Any,
) -> PretrainedDecoder:
    """A decoder with random bridges; `injection` None is a language model."""
    chosen = {"latent_injection": injection} if injection else {"model": "lm"}
    config = ModelConfig(decoder="owner/name", **{"memory_tokens": 2, **chosen, **settings})
    torch.manual_seed(seed)
    backbone = causal_network(kind, KNOWN, seed=network)
    decoder = PretrainedDecoder(
        config, VOCABULARY, max_tokens, 3 if injection else 0, None, backbone
    )
    with torch.no_grad():
        for name, buffer in decoder.named_buffers():
            if name.endswith(".scale"):
                buffer.fill_(0.5)  # so that z matters however it enters
        for name, parameter in decoder.trained():
            if "lora_B" in name:  # an adapter begins without effect
                parameter.normal_(std=0.3)
    return decoder.eval()


def latents(decoder: PretrainedDecoder, n: int) -> Tensor | None:
    if not decoder.latent_size:
        return None
    return torch.randn(n, decoder.latent_size, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tokens() -> Tokens:
    """Five sentences of one to eight tokens, the empty one included."""
    return collate(SENTENCES, EOS, PAD)


@torch.no_grad()
@networks
@injections
def test_steps_give_the_teacher_forced_probabilities(
    kind: str, injection: str | None, tokens: Tokens
) -> None:
    decoder = decoder_of(kind, injection, decoder_training="lora")
    z = latents(decoder, 5)
    expected = decoder.token_log_probs(tokens, z)
    state, previous = decoder.start(z, 5), torch.full((5,), BOS)
    for t in range(tokens.ids.size(1)):
        logits, state = decoder.step(previous, state)
        previous = tokens.ids[:, t]
        found = logits.log_softmax(-1).gather(1, previous[:, None])[:, 0]
        there = t < tokens.lengths
        torch.testing.assert_close(found[there], expected[there, t], rtol=1e-5, atol=1e-5)


@torch.no_grad()
@networks
@injections
def test_probabilities_of_all_sentences_sum_to_one(kind: str, injection: str | None) -> None:
    """Of all that end within three tokens, and all beginnings of three words."""
    decoder = decoder_of(kind, injection)
    words = [0, 1, 3, 4]
    ended = [list(s) for n in range(3) for s in itertools.product(words, repeat=n)]
    beginnings = [list(s) for s in itertools.product(words, repeat=3)]
    tokens = collate(ended + beginnings, EOS, PAD)
    z = latents(decoder, 1)
    log_probs = decoder.token_log_probs(tokens, None if z is None else z.expand(len(tokens), -1))
    total = (
        log_probs[: len(ended)].sum(1).exp().sum() + log_probs[len(ended) :, :3].sum(1).exp().sum()
    )
    assert total.item() == pytest.approx(1.0, abs=1e-5)


@torch.no_grad()
@networks
@injections
def test_a_likelihood_depends_on_its_sentence_and_latent_alone(
    kind: str, injection: str | None, tokens: Tokens
) -> None:
    decoder = decoder_of(kind, injection)
    z = latents(decoder, 5)
    found = decoder.log_likelihood(tokens, z)
    for row, sentence in enumerate(SENTENCES):
        own = None if z is None else z[row : row + 1]
        alone = decoder.log_likelihood(collate([sentence], EOS, PAD), own)
        torch.testing.assert_close(alone[0], found[row], rtol=1e-5, atol=1e-5)
    garbage = torch.where(tokens.mask, tokens.ids, 3)
    wide = decoder.log_likelihood(Tokens(garbage, tokens.lengths), z)
    torch.testing.assert_close(wide, found, rtol=1e-6, atol=1e-6)


@networks
@latent_injections
def test_the_latent_reaches_every_token_of_its_sentence(
    kind: str, injection: str, tokens: Tokens
) -> None:
    decoder = decoder_of(kind, injection)
    z = latents(decoder, 5)
    assert z is not None
    log_probs = decoder.token_log_probs(tokens, z.requires_grad_())
    for t in (0, 7):
        (gradient,) = torch.autograd.grad(log_probs[3, t], z, retain_graph=True)
        assert (gradient[3] != 0).all()
        assert (gradient[[0, 1, 2, 4]] == 0).all()


@torch.no_grad()
@networks
@latent_injections
def test_rows_of_a_state_go_on_by_themselves(kind: str, injection: str) -> None:
    decoder = decoder_of(kind, injection, skip_z=True)
    _, state = decoder.step(torch.full((5,), BOS), decoder.start(latents(decoder, 5), 5))
    rows, words = torch.tensor([4, 1, 1]), torch.tensor([3, 4, 0, 3, 4])
    whole, _ = decoder.step(words, state)
    some, _ = decoder.step(words[rows], state.rows(rows))
    torch.testing.assert_close(some, whole[rows], rtol=1e-5, atol=1e-5)


# against transformers itself


@torch.no_grad()
@networks
def test_a_language_model_has_the_probabilities_of_transformers(kind: str, tokens: Tokens) -> None:
    decoder = decoder_of(kind, None)
    found = decoder.token_log_probs(tokens, None)
    for row, sentence in enumerate(SENTENCES):
        ids = torch.tensor([[1, *sentence]])  # 1 is the start token of the network
        logits = decoder.backbone(input_ids=ids).logits[0]
        targets = torch.tensor([*sentence, EOS])
        expected = logits.log_softmax(-1)[range(len(targets)), targets]
        torch.testing.assert_close(found[row, : len(targets)], expected, rtol=1e-5, atol=1e-5)


def generated(decoder: PretrainedDecoder, z: Tensor, **options: Any) -> Any:
    """What `generate` of transformers writes after the soft prefix of one z."""
    start = decoder.backbone.get_input_embeddings()(torch.tensor([[1]]))
    prefix = torch.cat([decoder.injection.prefix(z), start], dim=1)
    return decoder.backbone.generate(
        inputs_embeds=prefix,
        attention_mask=torch.ones(prefix.shape[:2]),
        max_new_tokens=decoder.max_tokens - 1,
        pad_token_id=EOS,
        **options,
    )


@torch.no_grad()
@pytest.mark.parametrize("no_repeat", [0, 2])
@networks
def test_greedy_sentences_are_those_of_transformers_generate(kind: str, no_repeat: int) -> None:
    decoder = decoder_of(kind, "prefix")
    z = 2 * torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
    ours = decode(decoder, z, 12, Sampling("greedy", no_repeat_ngram=no_repeat))
    settings = {"do_sample": False, "no_repeat_ngram_size": no_repeat}
    for row in range(12):
        theirs = generated(decoder, z[row : row + 1], **settings)[0].tolist()
        assert ours[row] == list(itertools.takewhile(lambda token: token != EOS, theirs))
    assert len(set(map(tuple, ours))) > 3


@torch.no_grad()
@networks
def test_beams_find_the_sentences_of_transformers_generate(kind: str) -> None:
    """Compared where theirs ends: at the limit of tokens, only ours ends the sentence."""
    decoder = decoder_of(kind, "prefix")
    z = 2 * torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    ours = decode(decoder, z, 8, Sampling("beam", beams=3))
    settings = {"num_beams": 3, "length_penalty": 0.0, "early_stopping": "never"}
    compared = 0
    for row in range(8):
        theirs = generated(decoder, z[row : row + 1], do_sample=False, **settings)[0].tolist()
        if EOS in theirs:
            assert ours[row] == theirs[: theirs.index(EOS)]
            compared += 1
    assert compared >= 3


@torch.no_grad()
@networks
def test_top_k_leaves_the_probabilities_of_transformers(kind: str) -> None:
    decoder = decoder_of(kind, "prefix")
    z = torch.randn(1, 3, generator=torch.Generator().manual_seed(2))
    torch.manual_seed(0)
    options = {"output_scores": True, "return_dict_in_generate": True}
    theirs = generated(decoder, z, do_sample=True, top_k=2, temperature=0.7, **options)
    state, previous = decoder.start(z, 1), torch.tensor([BOS])
    uniforms = (torch.arange(400) + 0.5) / 400
    for token, scores in zip(theirs.sequences[0], theirs.scores, strict=False):
        logits, state = decoder.step(previous, state)
        drawn = draw(logits.expand(400, -1), uniforms, temperature=0.7, top_k=2, top_p=1.0)
        shares = drawn.bincount(minlength=KNOWN) / 400
        torch.testing.assert_close(shares, scores[0].softmax(-1), rtol=0, atol=0.005)
        previous = token[None]


@torch.no_grad()
@latent_injections
@pytest.mark.parametrize("strategy", ["sample", "beam"])
def test_a_decoded_sentence_depends_on_its_own_latent_alone(injection: str, strategy: Any) -> None:
    decoder = decoder_of("llama", injection)
    settings = Sampling(strategy, beams=2 if strategy == "beam" else 1)
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(3))
    together = decode(decoder, z, 6, settings, streams=SampleStreams(0, torch.arange(6).numpy()))
    for row in range(6):
        streams = SampleStreams(0, torch.arange(row, row + 1).numpy())
        assert decode(decoder, z[row : row + 1], 1, settings, streams=streams) == [together[row]]
    assert len(set(map(tuple, together))) > 1


# roles and rows


@torch.no_grad()
def test_ids_that_the_network_lacks_are_never_predicted() -> None:
    decoder = decoder_of("llama", "prefix")
    logits, _ = decoder.step(torch.full((5,), BOS), decoder.start(latents(decoder, 5), 5))
    assert logits.shape == (5, 7)
    assert (logits.softmax(-1)[:, [PAD, BOS]] == 0).all()
    assert (logits.softmax(-1)[:, :KNOWN] > 0).all()


@torch.no_grad()
def test_rows_of_the_network_that_no_token_uses_have_no_probability(tokens: Tokens) -> None:
    """Some networks have more rows than their tokenizer has tokens, for speed."""
    network = causal_network("llama", 9)
    config = ModelConfig(decoder="owner/name", model="lm")
    decoder = PretrainedDecoder(config, Vocabulary(6, 5, 1, EOS), 12, 0, None, network).eval()
    ids = torch.where(tokens.ids == 1, 3, tokens.ids)
    found = decoder.token_log_probs(Tokens(ids, tokens.lengths), None)
    logits = network(input_ids=torch.tensor([[1, *ids[0, :4].tolist()]])).logits[0]
    logits[:, [1, 5, 6, 7, 8]] = -torch.inf  # start, padding, and what is no token
    expected = logits.log_softmax(-1)[range(5), ids[0, :5]]
    torch.testing.assert_close(found[0, :5], expected, rtol=1e-5, atol=1e-5)


def test_a_sentence_begins_with_the_start_token_that_the_network_knows() -> None:
    config = ModelConfig(decoder="owner/name", model="lm")

    def start(roles: Vocabulary, own: int | None) -> int:
        network = causal_network("llama", 9, bos_token_id=own)
        return PretrainedDecoder(config, roles, 12, 0, None, network).start_id

    assert start(Vocabulary(8, 6, 1, EOS), 1) == 1
    assert start(Vocabulary(8, 6, 7, EOS), EOS) == EOS  # 7 is a row that no token used
    assert start(Vocabulary(8, 6, 7, EOS), None) == 7
    assert start(Vocabulary(11, 9, 10, EOS), None) == EOS


def test_a_tokenizer_of_another_network_is_refused() -> None:
    config = ModelConfig(decoder="owner/name", model="lm")
    network = causal_network("gpt2", KNOWN)
    with pytest.raises(ConfigError, match="10 tokens, but the network has 5"):
        PretrainedDecoder(config, Vocabulary(10, 8, 9, 2), 12, 0, None, network)
    with pytest.raises(ConfigError, match="no end token"):
        PretrainedDecoder(config, Vocabulary(7, 5, 1, 6), 12, 0, None, network)


def test_a_sentence_longer_than_the_positions_of_the_network_is_refused() -> None:
    decoder_of("gpt2", "prefix", max_tokens=62)
    with pytest.raises(ConfigError, match="64 positions"):
        decoder_of("gpt2", "prefix", max_tokens=63)


def test_an_architecture_without_a_language_model_is_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "t5", "t5")
    with pytest.raises(ModelFormatError, match="t5 is no causal language model; choose a decoder"):
        load_causal(find_reference(str(folder)))


def test_networks_that_cannot_decode_are_refused() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    def refused(kind: str, message: str, **sizes: Any) -> None:
        config = AutoConfig.for_model(kind, vocab_size=KNOWN, **sizes)
        network = AutoModelForCausalLM.from_config(config)
        with pytest.raises(ModelFormatError, match=message):
            PretrainedDecoder(ModelConfig(decoder="owner/name"), VOCABULARY, 12, 3, None, network)

    small = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 16}
    heads = {"num_attention_heads": 2}
    refused("bert", "reads later tokens", **small, **heads)
    refused("mamba", "without keys and values", hidden_size=16, num_hidden_layers=1, state_size=4)
    capped = {"final_logit_softcapping": 1e-3, "num_key_value_heads": 1, "head_dim": 8}
    refused("gemma2", "after the output layer", **small, **heads, **capped)


# training


@pytest.mark.parametrize(
    ("kind", "injection"), [("gpt2", "prefix"), ("gpt2", "cache"), ("llama", "embedding")]
)
@pytest.mark.parametrize("mode", ["frozen", "lora", "full"])
def test_gradients_flow_only_where_the_mode_trains(
    kind: str, injection: str, mode: str, tokens: Tokens
) -> None:
    decoder = decoder_of(kind, injection, decoder_training=mode)
    decoder.log_likelihood(tokens, latents(decoder, 5)).sum().backward()
    trained = dict(decoder.trained())
    with_gradient = {n for n, p in decoder.named_parameters() if p.grad is not None}
    assert with_gradient == trained.keys()
    fixed = decoder.saved().keys() - trained.keys()
    assert trained.keys() <= decoder.saved().keys()
    assert all(name.endswith(".scale") for name in fixed)
    assert any(name.startswith("injection.") for name in trained)
    of_network = [name for name in trained if name.startswith("backbone.")]
    assert bool(of_network) == (mode != "frozen")
    if mode == "lora":
        assert all("lora_" in name for name in of_network)
    if mode == "full":
        parameters = {id(p) for p in decoder.backbone.parameters()}
        assert {id(trained[name]) for name in of_network} == parameters


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gpt2", "qwen2"])
@pytest.mark.parametrize("mode", ["frozen", "lora", "full"])
def test_what_is_saved_and_the_network_give_the_decoder_again(
    kind: str, mode: str, tokens: Tokens
) -> None:
    first = decoder_of(kind, "cache", decoder_training=mode, skip_z=True)
    for _, parameter in first.trained():
        parameter.add_(torch.randn_like(parameter), alpha=0.1)
    second = decoder_of(kind, "cache", decoder_training=mode, skip_z=True, seed=1)
    saved = {name: value.clone() for name, value in first.saved().items()}
    second.load_state_dict(saved, strict=False, assign=True)
    second.finish_loading("cpu")
    z = latents(first, 5)
    assert torch.equal(first.token_log_probs(tokens, z), second.token_log_probs(tokens, z))
    assert all(parameter.requires_grad for _, parameter in second.trained())


def noise_of(tokens: Tokens) -> StepNoise:
    n, longest = tokens.ids.shape
    return StepNoise(0, 0, torch.arange(n), n, longest, torch.device("cpu"))


@pytest.mark.parametrize(
    ("kind", "injection", "mode"),
    [
        ("gpt2", "prefix", "lora"),
        ("gpt2", None, "full"),
        ("llama", "embedding", "frozen"),
        ("llama", "prefix", "full"),
    ],
)
def test_recomputed_layers_have_the_same_gradients(
    kind: str, injection: str | None, mode: str, tokens: Tokens
) -> None:
    def gradients(recomputed: bool) -> list[Tensor]:
        decoder = decoder_of(kind, injection, decoder_training=mode, word_dropout=0.3).train()
        if recomputed:
            decoder.recompute_layers()
        loss = decoder.log_likelihood(tokens, latents(decoder, 5), noise_of(tokens)).sum()
        return list(torch.autograd.grad(loss, [p for _, p in decoder.trained()]))

    for plain, recomputed in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(recomputed, plain, rtol=1e-5, atol=1e-5)


def test_dropout_of_the_network_is_off_in_training(tokens: Tokens) -> None:
    """Its noise would not come from the seed of the step."""
    decoder = decoder_of("gpt2", "prefix", decoder_training="full").train()
    decoder.recompute_layers()  # which puts the network into training mode
    z = latents(decoder, 5)
    first, second = (decoder.token_log_probs(tokens, z, noise_of(tokens)) for _ in range(2))
    assert torch.equal(first, second)


@torch.no_grad()
def test_word_dropout_hides_words_but_not_the_latent(tokens: Tokens) -> None:
    """With all words dropped, p(x_t | x_<t, z) depends on t and z alone."""
    decoder = decoder_of("llama", "prefix", word_dropout=1.0 - 1e-7)
    z = latents(decoder, 5)
    one, other = (
        decoder.token_log_probs(
            collate([sentence], EOS, PAD), z[:1], noise_of(tokens.rows(slice(1)))
        )
        for sentence in ([3, 4, 0, 4, 1], [0, 1, 1, 3, 1])
    )
    torch.testing.assert_close(one[0, 4:], other[0, 4:], rtol=1e-5, atol=1e-6)
    seen = decoder.token_log_probs(collate([[3, 4, 0, 4, 1]], EOS, PAD), z[:1])
    assert (one[0, 4:] - seen[0, 4:]).abs().min() > 1e-3
    moved = decoder.token_log_probs(tokens.rows(slice(1)), z[1:2], noise_of(tokens.rows(slice(1))))
    still = decoder.token_log_probs(tokens.rows(slice(1)), z[:1], noise_of(tokens.rows(slice(1))))
    assert (moved - still)[0, :5].abs().min() > 1e-3
