"""What z must predict: labels, and the vectors of a frozen encoder; whole, and by prefixes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from random_models import EOS, PAD, random_model
from torch import Tensor

from textvae.config import Config, ObjectiveConfig
from textvae.data.batches import NO_LABEL, Batch, collate
from textvae.errors import ConfigError
from textvae.models.encoder import NetworkEncoder
from textvae.models.label_head import LabelHead
from textvae.models.principal import principal_code
from textvae.models.sentence import SentenceModel
from textvae.objectives.labels import label_nll
from textvae.objectives.semantic import SemanticReadout
from textvae.objectives.training_loss import TrainingLoss
from textvae.randomness.noise import StepNoise

SENTENCES = [[3, 4, 5, 4], [5], [4, 4, 3, 5, 3, 3], [3]]
LABELS = torch.tensor([1, NO_LABEL, 0, 1])
Z = 4


class FrozenEncoder(NetworkEncoder):
    """An encoder whose random weights stay as they are."""

    def trained(self) -> Any:
        return iter(())


def model_with(*, frozen: bool = False, classes: tuple[str, ...] = ()) -> SentenceModel:
    model = random_model(latent_size=Z, embedding_dropout=0.3)
    if classes:
        torch.manual_seed(1)
        model.label_head = LabelHead(Z, classes)
    if frozen:
        vocabulary = model.decoder.vocabulary
        model.encoder = FrozenEncoder(model.config, vocabulary, 8).requires_grad_(False)
    return model


def test_a_new_readout_explains_about_nothing_and_costs_about_the_variance() -> None:
    torch.manual_seed(0)
    readout = SemanticReadout(16, 384)
    vectors = torch.randn(200, 384)
    readout.standardise(vectors)
    for scale, most in ((0.1, 1.02), (1.0, 1.5)):  # means, and samples of the prior
        loss = readout(scale * torch.randn(200, 16), vectors, [16], "squared").mean()
        assert 0.98 < loss.item() < most


def batch() -> Batch:
    tokens = collate(SENTENCES, EOS, PAD)
    n = len(SENTENCES)
    return Batch(tokens, tokens, torch.arange(n), n, 7, np.arange(n), LABELS)


def noise() -> StepNoise:
    return StepNoise(0, 0, torch.arange(len(SENTENCES)), len(SENTENCES), 7, torch.device("cpu"))


def loss_of(model: SentenceModel, **terms: Any) -> tuple[TrainingLoss, Tensor, dict[str, Tensor]]:
    torch.manual_seed(0)
    loss = TrainingLoss(model, ObjectiveConfig(**{"free_bits": 0.0, **terms}))
    value, sums = loss(batch(), noise(), 1.0)
    return loss, value, sums


# labels


def test_the_label_loss_is_what_loops_give_and_nothing_without_a_label() -> None:
    head, z = LabelHead(Z, ("a", "b", "c")), torch.randn(4, Z)
    found = label_nll(head, z, LABELS, (2, Z))
    for b, label in enumerate(LABELS.tolist()):
        nlls = []
        for k in (2, Z):
            weight, bias = head.linear.weight.detach().double(), head.linear.bias.detach().double()
            logits = bias + weight[:, :k] @ z[b, :k].double()
            nlls.append(float(logits.exp().sum().log() - logits[label]))
        expected = 0.0 if label == NO_LABEL else sum(nlls) / 2
        assert found[b].item() == pytest.approx(expected, abs=1e-6)


def test_the_loss_with_labels_is_the_plain_one_and_the_weighted_term() -> None:
    model = model_with(classes=("a", "b"))
    _, plain, _ = loss_of(model)
    _, found, sums = loss_of(model, label_weight=3.0)
    torch.testing.assert_close(found, plain + 3 * sums["label"] / len(SENTENCES))
    assert sums["label"] > 0


def test_a_batch_without_labels_moves_no_head() -> None:
    model = model_with(classes=("a", "b"))
    loss = TrainingLoss(model, ObjectiveConfig(label_weight=1.0))
    unlabelled = replace(batch(), labels=torch.full_like(LABELS, NO_LABEL))
    value, sums = loss(unlabelled, noise(), 1.0)
    value.backward()
    assert sums["label"] == 0
    assert model.label_head is not None
    assert not model.label_head.linear.weight.grad.any()


# the frozen encoder's vectors


def test_standardised_vectors_have_mean_zero_and_a_mean_square_of_one() -> None:
    readout, vectors = SemanticReadout(Z, 6), 3 * torch.randn(50, 6) + 5
    readout.standardise(vectors)
    standardised = (vectors - readout.mean) / readout.scale
    torch.testing.assert_close(standardised.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    assert standardised.square().sum(1).mean().item() == pytest.approx(1, abs=1e-5)
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter.zero_()
    none = readout(torch.randn(50, Z), vectors, (Z,), "squared")
    assert none.mean().item() == pytest.approx(1, abs=1e-5)  # no variance is explained


def test_constant_vectors_are_no_division_by_zero() -> None:
    readout = SemanticReadout(Z, 3)
    readout.standardise(torch.ones(5, 3))
    assert readout(torch.randn(5, Z), torch.ones(5, 3), (Z,), "squared").isfinite().all()


@pytest.mark.parametrize("kind", ["cosine", "squared"])
def test_the_semantic_loss_is_what_loops_give(kind: Any) -> None:
    torch.manual_seed(0)
    readout, z, vectors = SemanticReadout(Z, 6), torch.randn(5, Z), torch.randn(5, 6)
    readout.standardise(vectors)
    found = readout(z, vectors, (1, Z), kind)
    weight, bias = (value.detach().double() for value in readout.linear.parameters())
    for b in range(5):
        losses = []
        target = (vectors[b].double() - readout.mean) / readout.scale
        for k in (1, Z):
            r = weight[:, :k] @ z[b, :k].double() + bias
            if kind == "squared":
                losses.append(float(sum((r[i] - target[i]) ** 2 for i in range(6))))
            else:
                norms = math.sqrt(float(r @ r)) * math.sqrt(float(target @ target))
                losses.append(1 - float(r @ target) / norms)
        assert found[b].item() == pytest.approx(sum(losses) / 2, rel=1e-4)


@pytest.mark.parametrize("code", ["mean", "sample"])
def test_the_target_is_the_clean_sentence_and_gets_no_gradient(code: str) -> None:
    model = model_with(frozen=True)
    loss, value, sums = loss_of(model, semantic_weight=2.0, noise_blank=0.5, semantic_code=code)
    value.backward()
    assert model.encoder is not None
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    assert loss.semantic is not None
    assert loss.semantic.linear.weight.grad.any()
    draws = noise()
    q, z = loss._encode(batch(), draws, sampled=True)
    clean, read = model.encoder(batch().source), q.mean if code == "mean" else z
    expected = loss.semantic(read, clean, (Z,), "squared").sum()
    torch.testing.assert_close(sums["semantic"], expected.detach())


def test_the_readout_starts_as_the_inverse_of_a_principal_code() -> None:
    """From k means the readout predicts the first k components, and no more."""
    torch.manual_seed(0)
    vectors = 3 + torch.randn(200, 5) @ torch.diag(torch.tensor([3.0, 2.0, 1.5, 1.0, 0.5]))
    code, readout = principal_code(vectors, 3, 4.0), SemanticReadout(4, 5)
    readout.standardise(vectors)
    readout.start_from(code)
    means = torch.nn.functional.pad(vectors @ code.weight.T + code.bias, (0, 1), value=9.0)
    variances = torch.linalg.svdvals(vectors - vectors.mean(0)).square()
    for k in (1, 2, 3):
        loss = readout(means, vectors, (k,), "squared").mean()
        left = variances[k:].sum() / variances.sum()
        torch.testing.assert_close(loss.detach(), left, rtol=1e-3, atol=0)


def test_vectors_of_a_trained_encoder_are_no_target() -> None:
    with pytest.raises(ConfigError, match="semantic_weight 1: the encoder gru changes in training"):
        TrainingLoss(model_with(), ObjectiveConfig(semantic_weight=1.0))


# nested sizes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nested": (8, 4), "label_weight": 1.0}, "ascending"),
        ({"nested": (4, 4), "label_weight": 1.0}, "ascending"),
        ({"nested": (4,)}, "set label_weight or semantic_weight"),
        ({"nested": (32,), "label_weight": 1.0}, "below latent_size 32"),
        ({"label_weight": 1.0, "model": "lm"}, "does not apply to model=lm"),
        ({"semantic_weight": 1.0, "model": "lm"}, "does not apply to model=lm"),
        ({"semantic_weight": 1.0}, "the encoder gru changes in training"),
        (
            {"semantic_weight": 1.0, "encoder": "a/b", "encoder_training": "lora"},
            "the encoder a/b with encoder_training lora changes in training",
        ),
        ({"principal_start": 8.0}, "the encoder gru has random weights at the start"),
        ({"principal_start": 8.0, "model": "lm"}, "does not apply to model=lm"),
        (
            {"principal_start": 8.0, "encoder": "a/b", "posterior_batch_norm": 0.5},
            "model.posterior_batch_norm fixes means or variances",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config.resolve(options=options)


def test_nested_sizes_order_the_dimensions_by_what_they_explain() -> None:
    """With a squared loss and prefixes, the linear code is that of principal components."""
    torch.manual_seed(0)
    vectors = torch.randn(400, 4) @ torch.diag(torch.tensor([4.0, 2.0, 1.0, 0.5]))
    readout, code = SemanticReadout(4, 4), torch.nn.Linear(4, 4, bias=False)
    readout.standardise(vectors)
    optimizer = torch.optim.Adam([*readout.parameters(), *code.parameters()], lr=0.02)
    for _ in range(600):
        optimizer.zero_grad()
        readout(code(vectors), vectors, (1, 2, 3, 4), "squared").mean().backward()
        optimizer.step()
    variances = torch.linalg.svdvals(vectors - vectors.mean(0)).square()
    for k in (1, 2, 3):
        left = readout(code(vectors)[:, :k], vectors, (k,), "squared").mean().item()
        best = float(variances[k:].sum() / variances.sum())  # Eckart and Young 1936
        assert best - 1e-4 <= left <= best + 0.01
