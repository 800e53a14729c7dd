"""The report against a slow transcription of its definitions, and where the truth is known."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from random_models import WORDS, ignore_latent, random_word_model, word_tokenizer

from textvae.data.batches import collate
from textvae.data.rows import Row
from textvae.data.tokenizers import Tokenizer
from textvae.decoding.settings import Sampling
from textvae.errors import DataError, UsageError
from textvae.evaluation import likelihood
from textvae.evaluation.information import derangement
from textvae.evaluation.likelihood import SentenceNoise
from textvae.evaluation.report import evaluate
from textvae.evaluation.samples import Quality, sample_texts
from textvae.evaluation.sentences import lowest_hashes
from textvae.models.build import build_model
from textvae.models.sentence import SentenceModel

TOKENIZER = word_tokenizer()
TEXTS = ["the cat sees the dog .", "soup .", "the dog", "cat cat cat", "dog sees soup .", "the"]


def rows(texts: Sequence[str] = TEXTS) -> list[Row]:
    """Texts as input."""
    return [Row(text) for text in texts]


@torch.inference_mode()
def slowly(model: SentenceModel, texts: Sequence[str], samples: int, seed: int) -> dict[str, float]:
    """The definitions, one sentence and one sample at a time, in float64."""
    N, K, total = len(texts), samples, {"rec": 0.0, "kl": 0.0, "nll_iw": 0.0, "nll_iw_half": 0.0}
    sizes, means, variances, first = [], [], [], []
    tokens = [
        collate(ids, model.decoder.vocabulary.eos_id, model.decoder.vocabulary.pad_id)
        for ids in ([i] for i in TOKENIZER.encode(texts))
    ]

    def normal(z: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> float:
        exponent = (z - mean) ** 2 / variance + np.log(2 * math.pi * variance)
        return float(-0.5 * exponent.sum())

    def conditional(i: int, z: np.ndarray) -> float:
        return model.decoder.log_likelihood(tokens[i], torch.from_numpy(z).float()[None]).item()

    for i in range(N):
        q = model.infer(tokens[i])
        mean, variance = (t[0].double().numpy() for t in (q.mean, q.log_variance.exp()))
        noise = SentenceNoise(seed, torch.tensor([i])).draw(K, model.latent_size)[:, 0].numpy()
        log_p, log_w = [], []
        for k in range(K):
            z = mean + np.sqrt(variance) * noise[k]
            log_p.append(conditional(i, z))
            log_w.append(log_p[-1] + normal(z, 0 * z, 1 + 0 * z) - normal(z, mean, variance))
        w = np.exp(np.array(log_w))
        total["rec"] -= sum(log_p) / K
        total["kl"] += 0.5 * float((mean**2 + variance - 1 - np.log(variance)).sum())
        total["nll_iw"] -= math.log(w.mean())
        total["nll_iw_half"] -= np.log([w[: K // 2].mean(), w[K // 2 :].mean()]).mean()
        sizes.append(w.sum() ** 2 / (w**2).sum())
        means.append(mean)
        variances.append(variance)
        first.append(mean + np.sqrt(variance) * noise[0])

    figures = {key: value / N for key, value in total.items()}
    figures["nll_elbo"] = figures["rec"] + figures["kl"]
    figures["ess"] = float(np.median(sizes))
    words = sum(len(text.split()) for text in texts)
    figures["ppl_word"] = math.exp(total["nll_iw"] / (words + N))
    n_bytes = len("\n".join(texts).encode()) + 1
    figures["bits_per_byte"] = total["nll_iw"] / math.log(2) / n_bytes
    figures["mi"] = 0.0
    for i in range(N):
        densities = [normal(first[i], means[j], variances[j]) for j in range(N)]
        figures["mi"] += (densities[i] - math.log(np.exp(densities).mean())) / N
    figures["mi_max"] = math.log(N)
    figures["active_units"] = int((np.var(means, axis=0) > 0.01).sum())
    other = derangement(N, seed).tolist()
    gains = [conditional(i, first[i]) - conditional(i, first[other[i]]) for i in range(N)]
    figures["z_gain"] = sum(gains) / N
    figures["z_gain_se"] = float(np.std(gains, ddof=1)) / math.sqrt(N)
    return figures


@pytest.mark.parametrize("decoder", ["gru", "lstm", "transformer"])
def test_each_figure_is_its_definition(decoder: str) -> None:
    model = random_word_model(decoder=decoder, heads=2, seed=1)
    report = evaluate(model, TOKENIZER, rows(), samples=6, seed=4)
    slow = slowly(model, TEXTS, 6, 4)
    assert {key: report[key] for key in slow} == pytest.approx(slow, rel=1e-4, abs=1e-5)
    assert abs(report["z_gain"]) > 0.01


def test_report_has_its_keys_in_order_and_is_json() -> None:
    model = random_word_model()
    report = evaluate(model, TOKENIZER, rows(), samples=4, name="runs/mine")
    assert [key for key in report if not key.endswith("_se")] == [
        "model",
        "samples",
        "n_sentences",
        "seed",
        "rec",
        "kl",
        "nll_elbo",
        "nll_iw",
        "ess",
        "nll_iw_half",
        "converged",
        "ppl_word",
        "bits_per_byte",
        "mi",
        "mi_batch",
        "mi_max",
        "active_units",
        "latent_size",
        "z_gain",
        "bleu",
        "bleu_signature",
        "exact_match",
        "token_accuracy",
    ]
    assert [key for key in report if key.endswith("_se")] == [
        "rec_se",
        "kl_se",
        "nll_elbo_se",
        "nll_iw_se",
        "ppl_word_se",
        "mi_se",
        "z_gain_se",
    ]
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["model"] == "runs/mine"

    ae = evaluate(random_word_model("ae"), TOKENIZER, rows(), samples=4)
    assert list(ae)[4:] == (
        ["rec", "rec_se", "latent_size", "bleu", "bleu_signature", "exact_match", "token_accuracy"]
    )
    lm = evaluate(random_word_model("lm"), TOKENIZER, rows(), samples=4)
    assert list(lm)[4:] == ["nll_iw", "nll_iw_se", "ppl_word", "ppl_word_se", "bits_per_byte"]
    one = evaluate(model, TOKENIZER, rows(["soup"]), samples=1)
    assert not {"z_gain", "nll_iw_half", "converged", "rec_se", "nll_iw_se"} & one.keys()


def test_sentences_are_independent_of_the_others_and_of_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = random_word_model(seed=2)
    alone = {"z_gain"}  # compares sentences

    def columns(texts: Sequence[str]) -> list[dict[str, Any]]:
        report = evaluate(model, TOKENIZER, rows(texts), samples=5, per_sentence=True)
        assert report["nll_iw"] == pytest.approx(
            sum(row["nll_iw"] for row in report["sentences"]) / len(texts)
        )
        return report["sentences"]

    whole = columns(TEXTS)
    assert [row["text"] for row in whole] == TEXTS
    monkeypatch.setattr(likelihood, "CPU_LOGITS", 1000)
    for row, reference in zip(columns(TEXTS[:4]), whole[:4], strict=True):
        assert row.keys() == reference.keys()
        for key in row.keys() - alone:
            expected = reference[key]
            assert row[key] == (
                expected if key in ("text", "reconstruction") else pytest.approx(expected, abs=1e-4)
            )


def uniform_model(kind: str) -> SentenceModel:
    """All tokens and the end equally probable, whatever z, which says nothing of x."""
    model = random_word_model(kind, tie_weights=False)
    with torch.no_grad():
        model.decoder.output.weight.zero_()
        model.decoder.output.bias.zero_()
        if model.encoder is not None:
            model.posterior.head.weight.zero_()
            model.posterior.head.bias.zero_()
    return model


@pytest.mark.parametrize("kind", ["vae", "lm"])
def test_gap_of_the_true_distribution_is_zero(kind: str) -> None:
    choices = len(WORDS) + 2  # the words, the unknown, the end
    known = [Row(t, log_prob=-(len(t.split()) + 1) * math.log(choices)) for t in TEXTS]
    report = evaluate(uniform_model(kind), TOKENIZER, known, samples=3, per_sentence=True)
    assert report["gap"] == pytest.approx(0, abs=1e-5)
    assert report["gap_se"] == pytest.approx(0, abs=1e-5)
    assert report["nll_iw_se"] > 0.5  # paired with the truth, the spread of sentences is gone
    assert report["ppl_word"] == pytest.approx(choices, rel=1e-5)
    off = evaluate(uniform_model(kind), TOKENIZER, [Row("the", log_prob=-1.0)] * 2, samples=3)
    assert off["gap"] == pytest.approx(2 * math.log(choices) - 1, abs=1e-5)
    assert "gap" not in evaluate(uniform_model(kind), TOKENIZER, [*known, Row("cat")], samples=1)


def test_collapsed_vae_is_seen_as_such() -> None:
    report = evaluate(uniform_model("vae"), TOKENIZER, rows(), samples=10)
    for key in ("kl", "mi", "z_gain"):
        assert report[key] == pytest.approx(0, abs=1e-6)
    assert report["active_units"] == 0
    assert report["ess"] == pytest.approx(10)
    assert report["converged"]
    assert report["nll_iw"] == pytest.approx(report["nll_elbo"], abs=1e-5)


def test_too_few_samples_are_reported_as_not_converged() -> None:
    model = random_word_model(seed=1)
    with torch.no_grad():
        model.posterior.head.bias.fill_(4.0)  # posteriors far from where the sentences are
    assert evaluate(model, TOKENIZER, rows(), samples=4)["converged"] is False


def test_unknowns_change_the_name_of_the_perplexity() -> None:
    model = random_word_model()
    with_unknown = evaluate(model, TOKENIZER, rows(["the cow sees", "soup"]), samples=2)
    assert with_unknown["unk_rate"] == 1 / 4
    assert {"ppl_word_unk", "ppl_word_unk_se"} <= with_unknown.keys()
    assert not {"ppl_word", "bits_per_byte"} & with_unknown.keys()
    written = evaluate(model, TOKENIZER, rows(["the <unk> sees", "soup"]), samples=2)
    assert "ppl_word" in written
    assert written["nll_iw"] == with_unknown["nll_iw"]


def test_text_without_spaces_has_a_perplexity_of_characters() -> None:
    texts = ["今天天气很好", "我们去公园吧"]
    tokenizer = Tokenizer.train(texts, kind="bpe", vocab_size=300)
    model = build_model(random_word_model("lm").config, tokenizer.vocabulary, 64)
    report = evaluate(model, tokenizer, rows(texts))
    assert report["ppl_char"] == pytest.approx(math.exp(2 * report["nll_iw"] / (12 + 2)))
    bits = 2 * report["nll_iw"] / math.log(2)
    assert report["bits_per_byte"] == pytest.approx(bits / (12 * 3 + 2))


def test_blank_lines_are_counted_and_no_text_is_an_error() -> None:
    model = random_word_model()
    report = evaluate(
        model, TOKENIZER, rows(["", "the cat", " \t", "soup"]), samples=1, per_sentence=True
    )
    assert (report["n_sentences"], report["n_blank"]) == (2, 2)
    assert [row["index"] for row in report["sentences"]] == [1, 3]
    for nothing in ([], ["", " "]):
        with pytest.raises(DataError, match="no sentence"):
            evaluate(model, TOKENIZER, rows(nothing))
    with pytest.raises(UsageError, match="samples=0"):
        evaluate(model, TOKENIZER, rows(), samples=0)


def test_long_sentences_are_refused_or_cut_and_counted() -> None:
    model = random_word_model(max_tokens=4, seed=1)
    texts = ["soup", "the cat sees", "the cat sees the dog", "the dog sees the"]
    long = [Row(text, log_prob=-1.0) for text in texts]
    with pytest.raises(DataError, match=r"2 of 4 .*first: sentence 3, 6 tokens.*truncate=True"):
        evaluate(model, TOKENIZER, long)
    report = evaluate(model, TOKENIZER, long, samples=3, truncate=True, per_sentence=True)
    cut = ["soup", "the cat sees", "the cat sees", "the dog sees"]
    same = evaluate(model, TOKENIZER, rows(cut), samples=3, per_sentence=True)
    assert report.pop("n_truncated") == 2
    assert "gap" not in report  # the truth of a sentence says nothing of a part of it
    assert report == same


def test_limit_is_the_same_part_whatever_the_order() -> None:
    texts = [f"cat {n}" for n in range(300)] + ["the"] * 5
    chosen = [texts[i] for i in lowest_hashes(texts, 40)]
    assert len(chosen) == 40
    assert [text for text in texts if text in chosen] == chosen or "the" in chosen
    shuffled = list(texts)
    random.Random(0).shuffle(shuffled)
    assert sorted(shuffled[i] for i in lowest_hashes(shuffled, 40)) == sorted(chosen)
    assert set(chosen) <= {texts[i] for i in lowest_hashes(texts, 41)}
    assert lowest_hashes(texts, 1000) == list(range(len(texts)))
    # Spread over the texts, not their head.
    assert sum(int(text.split()[-1]) > 150 for text in chosen if text != "the") > 10
    assert lowest_hashes(["the"] * 5, 2) == [0, 1]  # ties: the first
    with pytest.raises(UsageError):
        lowest_hashes(texts, 0)
    limited = evaluate(random_word_model(), TOKENIZER, rows(["", *TEXTS]), samples=1, limit=3)
    assert (limited["n_sentences"], limited["n_blank"]) == (3, 1)


def test_samples_are_judged_beside_real_sentences() -> None:
    model, trained_on = uniform_model("vae"), []
    choices = len(WORDS) + 2

    def true_scorer(texts: Sequence[str]) -> np.ndarray:
        return np.array([(len(text.split()) + 1) * math.log(choices) for text in texts])

    def train_scorer(texts: Sequence[str]) -> Any:
        trained_on.append(list(texts))
        return true_scorer

    drawn = sample_texts(model, TOKENIZER, 12, Sampling("sample"), seed=7)
    quality = Quality(
        8,
        Sampling("sample"),
        training_texts=iter([drawn[0], TEXTS[1], "something else"]),
        scorer=true_scorer,
        train_scorer=train_scorer,
        real_texts=[f"real {n}" for n in range(20)],
        reverse_samples=12,
    )
    report = evaluate(model, TOKENIZER, rows(), samples=1, seed=7, quality=quality)
    assert (report["quality_samples"], report["real_sentences"]) == (8, 6)
    assert report["quality_decoding"] == "sample"
    assert report["copied"] == sum(text == drawn[0] for text in drawn[:8]) / 8
    assert report["copied_real"] == 1 / 6
    for key in ("ppl_forward", "ppl_forward_real", "ppl_reverse", "ppl_reverse_real"):
        assert report[key] == pytest.approx(choices)
    assert trained_on[0] == drawn
    assert len(set(trained_on[1])) == 12
    assert all(text.startswith("real") for text in trained_on[1])
    assert "distinct_2" in report
    assert "distinct_2_real" not in report  # six real sentences against eight samples
    few = Quality(
        3,
        Sampling("sample"),
        train_scorer=train_scorer,
        real_texts=["real"],
        reverse_samples=2,
    )
    report = evaluate(model, TOKENIZER, rows(), samples=1, seed=7, quality=few)
    assert trained_on[2:] == [drawn[:2]]
    assert "distinct_2_real" in report
    assert not {"ppl_reverse_real", "copied", "ppl_forward"} & report.keys()
    with pytest.raises(UsageError):
        Quality(0)


def test_uniform_model_samples_words_and_ends_equally() -> None:
    texts = sample_texts(uniform_model("lm"), TOKENIZER, 600, seed=0)
    blank = sum(text == "" for text in texts) / 600
    p = 1 / (len(WORDS) + 2)
    assert blank == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 600))
    assert sample_texts(uniform_model("lm"), TOKENIZER, 7, seed=0) == texts[:7]
    assert sample_texts(uniform_model("lm"), TOKENIZER, 7, seed=1) != texts[:7]


def test_progress_reaches_its_total_in_each_phase() -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    model = random_word_model()
    ignore_latent(model)
    evaluate(
        model,
        TOKENIZER,
        rows(),
        samples=2,
        quality=Quality(5),
        progress=lambda phase, done, total: seen.setdefault(phase, []).append((done, total)),
    )
    assert list(seen) == ["likelihood", "z_gain", "reconstruction", "samples"]
    for steps in seen.values():
        assert steps[-1][0] == steps[-1][1]
        assert [done for done, _ in steps] == sorted(done for done, _ in steps)
