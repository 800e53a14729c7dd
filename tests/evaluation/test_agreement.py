"""Every figure of the report against DESIGN's formula, in float64, and at values that are known.

The model is written out once more below, in NumPy, from the equations of its layers; so are the
figures, sentence by sentence and sample by sample. Nothing of the product computes an expected
value but the noise, the derangement and the random samples, which are inputs of the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import sacrebleu
import torch
from numpy.typing import NDArray
from random_models import ignore_latent, random_word_model, word_tokenizer

from textvae.data.rows import Row
from textvae.evaluation.information import derangement, mutual_information
from textvae.evaluation.likelihood import SentenceNoise
from textvae.evaluation.report import evaluate
from textvae.evaluation.samples import Quality, sample_texts
from textvae.gaussian import DiagonalGaussian
from textvae.models.sentence import SentenceModel

Array = NDArray[np.float64]

TOKENIZER = word_tokenizer()
TEXTS = ["the cat sees the dog .", "soup .", "the dog", "cat cat cat", "dog sees soup .", "the"]
SEED, K = 4, 6


# the model in float64


class Transcription:
    """A GRU model: Cho 2014's cell in torch's variant, max pooling, z in first state and inputs."""

    def __init__(self, model: SentenceModel) -> None:
        self.w = {name: value.double().numpy() for name, value in model.state_dict().items()}
        self.kind, self.Z, self.H = model.kind, model.latent_size, model.config.hidden_size
        self.bos, self.eos, self.pad = (
            model.decoder.vocabulary.bos_id,
            model.decoder.vocabulary.eos_id,
            model.decoder.vocabulary.pad_id,
        )
        self.limit = model.decoder.max_tokens

    def cell(self, layer: str, x: Array, h: Array) -> Array:
        """h' = (1 - u) n + u h, with r, u = sigmoid(...), n = tanh(W x + r (U h))."""
        w = self.w
        from_x = w[f"{layer}.weight_ih_l0"] @ x + w[f"{layer}.bias_ih_l0"]
        from_h = w[f"{layer}.weight_hh_l0"] @ h + w[f"{layer}.bias_hh_l0"]
        H = self.H
        r, u = (1 / (1 + np.exp(-(from_x + from_h)[part])) for part in (slice(H), slice(H, 2 * H)))
        n = np.tanh(from_x[2 * H :] + r * from_h[2 * H :])
        return (1 - u) * n + u * h

    def encoded(self, ids: Sequence[int]) -> Array:
        """The head's output: means and log-variances (2Z,), or a code (Z,)."""
        w, h, states = self.w, np.zeros(self.H), []
        for token in (*ids, self.eos):
            h = self.cell("encoder.states.forwards.0", w["encoder.embedding.weight"][token], h)
            states.append(h)
        return w["posterior.head.weight"] @ np.max(states, axis=0) + w["posterior.head.bias"]

    def start(self, z: Array | None) -> Array:
        """The decoder's first state."""
        if z is None:
            return np.zeros(self.H)
        w = self.w
        first = w["decoder.network.first_state.weight"] @ z + w["decoder.network.first_state.bias"]
        return np.tanh(first)

    def step(self, token: int, z: Array | None, h: Array) -> tuple[Array, Array]:
        """Log-probabilities (V,) of the token after `token`, and the next state."""
        w = self.w
        x = w["decoder.embedding.weight"][token]
        h = self.cell("decoder.network.rnn", x if z is None else np.concatenate([x, z]), h)
        narrow = w["decoder.narrow.weight"] @ h + w["decoder.narrow.bias"]
        logits = w["decoder.embedding.weight"] @ narrow + w["decoder.output.bias"]  # tied
        logits[[self.pad, self.bos]] = -np.inf
        return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max(), h

    def steps(self, ids: Sequence[int], z: Array | None) -> list[Array]:
        """Log-probabilities (V,) at each token of a sentence and at its end, teacher-forced."""
        h, previous, found = self.start(z), self.bos, []
        for token in (*ids, self.eos):
            log_p, h = self.step(previous, z, h)
            found.append(log_p)
            previous = token
        return found

    def log_likelihood(self, ids: Sequence[int], z: Array | None) -> float:
        """log p(x|z)."""
        pairs = zip(self.steps(ids, z), (*ids, self.eos), strict=True)
        return float(sum(log_p[token] for log_p, token in pairs))

    def greedy(self, z: Array | None) -> list[int]:
        """The most probable token at each step, up to the end."""
        h, token, found = self.start(z), self.bos, []
        while len(found) < self.limit - 1:
            log_p, h = self.step(token, z, h)
            token = int(log_p.argmax())
            if token == self.eos:
                break
            found.append(token)
        return found


def normal(z: Array, mean: Array, variance: Array) -> float:
    """log N(z; mean, variance)."""
    return float(-0.5 * ((z - mean) ** 2 / variance + np.log(2 * math.pi * variance)).sum())


# the figures in float64


def standard_error(values: Sequence[float]) -> float:
    """s / sqrt(N)."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance / len(values))


def of_sentences(columns: dict[str, list[float]]) -> dict[str, float]:
    """Means and standard errors."""
    figures = {key: sum(values) / len(values) for key, values in columns.items()}
    return figures | {f"{key}_se": standard_error(values) for key, values in columns.items()}


def of_the_vae(model: SentenceModel, texts: Sequence[str]) -> dict[str, float]:
    """DESIGN's table for a vae."""
    slow, ids, N = Transcription(model), TOKENIZER.encode(texts), len(texts)
    columns: dict[str, list[float]] = {key: [] for key in ("rec", "kl", "nll_elbo", "nll_iw")}
    halves, sizes, means, variances, first = [], [], [], [], []
    for i, sentence in enumerate(ids):
        mean, log_variance = np.split(slow.encoded(sentence), 2)
        variance = np.exp(log_variance)
        noise = SentenceNoise(SEED, torch.tensor([i])).draw(K, slow.Z)[:, 0].numpy()
        log_p, log_w = [], []
        for k in range(K):
            z = mean + np.sqrt(variance) * noise[k]
            log_p.append(slow.log_likelihood(sentence, z))
            prior = normal(z, np.zeros(slow.Z), np.ones(slow.Z))
            log_w.append(log_p[-1] + prior - normal(z, mean, variance))
        w = [math.exp(value) for value in log_w]
        columns["rec"].append(-sum(log_p) / K)
        columns["kl"].append(
            sum((m * m + v - 1 - math.log(v)) / 2 for m, v in zip(mean, variance, strict=True))
        )
        columns["nll_elbo"].append(columns["rec"][-1] + columns["kl"][-1])
        columns["nll_iw"].append(-math.log(sum(w) / K))
        pair = w[: K // 2], w[K // 2 :]
        halves.append(-sum(math.log(sum(half) / (K // 2)) for half in pair) / 2)
        sizes.append(sum(w) ** 2 / sum(value**2 for value in w))
        means.append(mean)
        variances.append(variance)
        first.append(mean + np.sqrt(variance) * noise[0])

    mi = []
    for i in range(N):
        densities = [math.exp(normal(first[i], means[j], variances[j])) for j in range(N)]
        mi.append(math.log(densities[i]) - math.log(sum(densities) / N))
    other = derangement(N, SEED).tolist()
    columns["mi"] = mi
    columns["z_gain"] = [
        slow.log_likelihood(ids[i], first[i]) - slow.log_likelihood(ids[i], first[other[i]])
        for i in range(N)
    ]
    figures = of_sentences(columns)
    figures["nll_iw_half"] = sum(halves) / N
    figures["ess"] = (sorted(sizes)[N // 2 - 1] + sorted(sizes)[N // 2]) / 2
    figures["mi_batch"], figures["mi_max"] = N, math.log(N)
    spread = [
        np.mean([(m[d] - np.mean(means, axis=0)[d]) ** 2 for m in means]) for d in range(slow.Z)
    ]
    figures["active_units"] = sum(value > 0.01 for value in spread)
    return figures | of_text(columns["nll_iw"], texts) | of_reconstruction(slow, ids, means, texts)


def of_text(nll: Sequence[float], texts: Sequence[str]) -> dict[str, float]:
    """Perplexity a word and bits a byte."""
    words = sum(len(text.split()) for text in texts)
    n_bytes = sum(len(text.encode("utf-8")) for text in texts) + len(texts)
    return {
        "ppl_word": math.exp(sum(nll) / (words + len(texts))),
        "bits_per_byte": sum(nll) / math.log(2) / n_bytes,
    }


def of_reconstruction(
    slow: Transcription, ids: Sequence[Sequence[int]], z: Sequence[Array], texts: Sequence[str]
) -> dict[str, float]:
    """Greedy reconstruction, and the teacher-forced choices."""
    outputs = TOKENIZER.decode([slow.greedy(vector) for vector in z])
    right = [
        log_p.argmax() == token
        for sentence, vector in zip(ids, z, strict=True)
        for log_p, token in zip(slow.steps(sentence, vector), (*sentence, slow.eos), strict=True)
    ]
    return {
        "bleu": sacrebleu.corpus_bleu(outputs, [list(texts)], tokenize="none", force=True).score,
        "exact_match": sum(o.split() == t.split() for o, t in zip(outputs, texts, strict=True))
        / len(texts),
        "token_accuracy": sum(right) / len(right),
    }


def agrees(report: dict[str, Any], slow: dict[str, float], *, spared: Sequence[str] = ()) -> None:
    """Every number of the report is that of the transcription."""
    about = {
        "model",
        "samples",
        "n_sentences",
        "seed",
        "latent_size",
        "bleu_signature",
        "converged",
    }
    assert report.keys() - about - set(spared) == slow.keys()
    for key, value in slow.items():
        assert report[key] == pytest.approx(value, rel=2e-5, abs=2e-5), key


def reconstructing(model: SentenceModel) -> SentenceModel:
    """The model, its end token likelier, so that some sentences come out whole."""
    with torch.no_grad():
        model.decoder.output.bias[model.decoder.vocabulary.eos_id] += 1.0
    return model


@pytest.mark.parametrize("seed", [1, 2])
def test_every_figure_of_a_vae_is_its_formula(seed: int) -> None:
    model = reconstructing(random_word_model(seed=seed, latent_size=3))
    report = evaluate(model, TOKENIZER, [*map(Row, TEXTS)], samples=K, seed=SEED)
    agrees(report, of_the_vae(model, TEXTS), spared=["ppl_word_se"])
    assert 0 < report["token_accuracy"] < 1
    assert abs(report["z_gain"]) > 0.005
    assert report["converged"] == (report["nll_iw_half"] - report["nll_iw"] <= 0.2)


def test_every_figure_of_an_autoencoder_is_its_formula() -> None:
    model = reconstructing(random_word_model("ae", seed=2))
    slow, ids = Transcription(model), TOKENIZER.encode(TEXTS)
    codes = [slow.encoded(sentence) for sentence in ids]
    rec = [-slow.log_likelihood(s, z) for s, z in zip(ids, codes, strict=True)]
    expected = of_sentences({"rec": rec}) | of_reconstruction(slow, ids, codes, TEXTS)
    agrees(evaluate(model, TOKENIZER, [*map(Row, TEXTS)], samples=K, seed=SEED), expected)


def test_every_figure_of_a_language_model_is_its_formula() -> None:
    model = random_word_model("lm", seed=3)
    slow = Transcription(model)
    nll = [-slow.log_likelihood(sentence, None) for sentence in TOKENIZER.encode(TEXTS)]
    truth = [-value - 0.1 * i for i, value in enumerate(nll)]  # as if it were known
    rows = [Row(text, log_prob=log_prob) for text, log_prob in zip(TEXTS, truth, strict=True)]
    apart = [value + log_prob for value, log_prob in zip(nll, truth, strict=True)]
    expected = of_sentences({"nll_iw": nll, "gap": apart}) | of_text(nll, TEXTS)
    assert expected["gap"] == pytest.approx(-0.25)
    agrees(evaluate(model, TOKENIZER, rows), expected, spared=["ppl_word_se"])


def test_figures_of_samples_are_their_formulas() -> None:
    model, lm = random_word_model(seed=6), random_word_model("lm", seed=7)
    slow, M = Transcription(lm), 30

    def scorer(texts: Sequence[str]) -> Array:
        return np.array([-slow.log_likelihood(s, None) for s in TOKENIZER.encode(texts)])

    drawn = sample_texts(model, TOKENIZER, M, seed=SEED)
    training = [drawn[3], drawn[7], "never said"]
    quality = Quality(M, training_texts=training, scorer=scorer)
    report = evaluate(model, TOKENIZER, [*map(Row, TEXTS)], samples=1, seed=SEED, quality=quality)
    scores = []
    for i, sample in enumerate(drawn):
        others = [drawn[(i + k) % M] for k in range(1, M)]
        scores.append(sacrebleu.sentence_bleu(sample, others, tokenize="none").score)
    assert report["self_bleu"] == pytest.approx(sum(scores) / M)
    assert report["self_bleu_se"] == pytest.approx(standard_error(scores))
    bigrams = [pair for text in drawn for pair in zip(text.split(), text.split()[1:], strict=False)]
    assert report["distinct_2"] == len(set(bigrams)) / len(bigrams)
    assert report["copied"] == sum(text in training for text in drawn) / M
    nll, words = scorer(drawn).sum(), sum(len(text.split()) + 1 for text in drawn)
    assert report["ppl_forward"] == pytest.approx(math.exp(nll / words))


# where the value is known


def gaussians(means: Array, stddev: Array) -> DiagonalGaussian:
    """One-dimensional posteriors."""
    return DiagonalGaussian(
        torch.from_numpy(means)[:, None], 2 * torch.from_numpy(np.log(stddev))[:, None]
    )


def test_information_of_a_gaussian_mixture_of_gaussians_is_known_in_closed_form() -> None:
    # Means N(0, 3^2) and posteriors of width 1/2 mix to N(0, 3^2 + 1/4): I = log(37) / 2.
    random, estimates = np.random.default_rng(0), []
    for _ in range(8):
        means = 3 * random.standard_normal(700)
        q = gaussians(means, np.full(700, 0.5))
        z = torch.from_numpy(means + 0.5 * random.standard_normal(700))[:, None]
        estimates.append(mutual_information(q, z).mean().item())
    # Among B sentences each finds itself once more than at random: a little less is left.
    assert np.mean(estimates) == pytest.approx(math.log(37) / 2, abs=0.06)


def test_information_in_the_report_is_that_of_its_mixture_integrated() -> None:
    model = random_word_model(latent_size=1, seed=9)
    with torch.no_grad():
        model.posterior.head.weight[0] *= 6  # means apart
    rows, slow = [*map(Row, TEXTS)] * 40, Transcription(model)
    parameters = np.array([slow.encoded(sentence) for sentence in TOKENIZER.encode(TEXTS)])
    mean, stddev = parameters[:, 0], np.exp(parameters[:, 1] / 2)
    grid = np.linspace((mean - 9 * stddev).min(), (mean + 9 * stddev).max(), 20001)[:, None]
    density = np.exp(-0.5 * ((grid - mean) / stddev) ** 2) / stddev / math.sqrt(2 * math.pi)
    ratio = np.log(np.maximum(density, 1e-300)) - np.log(density.mean(1, keepdims=True))
    truth = float((density * ratio).mean(1).sum() * (grid[1, 0] - grid[0, 0]))
    report = evaluate(model, TOKENIZER, rows, samples=1, seed=SEED)
    assert 0.2 < truth < 0.9 * math.log(len(TEXTS))
    assert 0 < report["mi_se"] < 0.1
    assert report["mi"] == pytest.approx(truth, abs=4 * report["mi_se"])


@pytest.mark.parametrize("decoder", ["gru", "lstm", "transformer"])
def test_a_decoder_that_ignores_z_gains_exactly_nothing(decoder: str) -> None:
    model = random_word_model(decoder=decoder, heads=2, seed=5)
    if decoder == "transformer":
        with torch.no_grad():
            model.decoder.network.memory.weight.zero_()
            model.decoder.network.added.weight.zero_()
    else:
        ignore_latent(model)
    report = evaluate(model, TOKENIZER, [*map(Row, TEXTS)], samples=3)
    assert (report["z_gain"], report["z_gain_se"]) == (0.0, 0.0)
    assert report["mi"] > 0.1  # the encoder knows the sentences all the same
    assert report["nll_elbo"] == pytest.approx(report["rec"] + report["kl"])


def test_units_are_active_where_the_mean_moves_with_the_sentence() -> None:
    model = random_word_model(latent_size=4, seed=0)
    slow, ids = Transcription(model), TOKENIZER.encode(TEXTS)
    spread = np.std([slow.encoded(sentence)[:4] for sentence in ids], axis=0)
    wanted = torch.tensor([0.0, 0.095, 0.105, 2.0]) / torch.from_numpy(spread)
    with torch.no_grad():
        model.posterior.head.weight[:4] *= wanted[:, None]
        model.posterior.head.bias[0] = 7.0  # far from 0, but the same for all
    assert evaluate(model, TOKENIZER, [*map(Row, TEXTS)], samples=1)["active_units"] == 2


def test_importance_weighted_bound_falls_with_samples_and_never_tops_the_elbo() -> None:
    model, rows = random_word_model(seed=12), [*map(Row, TEXTS)] * 10  # each with its own noise
    bounds: dict[str, list[float]] = {"elbo": [], "1": [], "4": [], "4 in halves": [], "16": []}
    for seed in range(4):
        for samples in (1, 4, 16):
            run = evaluate(model, TOKENIZER, rows, samples=samples, seed=seed, per_sentence=True)
            bounds[str(samples)] += [row["nll_iw"] for row in run["sentences"]]
            if samples == 4:
                bounds["4 in halves"] += [run["nll_iw_half"]] * len(rows)
        bounds["elbo"] += [row["nll_elbo"] for row in run["sentences"]]
        assert run["nll_iw"] <= run["nll_iw_half"]  # of the same samples, without exception
    values = {key: np.array(column) for key, column in bounds.items()}

    def falls(larger: str, smaller: str) -> float:
        """The mean of the paired differences, in standard errors."""
        drop = values[larger] - values[smaller]
        return float(drop.mean() / standard_error(drop.tolist()))

    assert min(falls("elbo", "1"), falls("1", "4"), falls("4", "16")) > -4
    assert min(falls("elbo", "4"), falls("1", "16")) > 4
    assert values["16"].mean() < values["4 in halves"].mean() < values["elbo"].mean()
