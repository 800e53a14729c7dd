"""The training loss of each kind of model, and the sums that a step reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from textvae.config import ObjectiveConfig
from textvae.data.batches import Batch, Tokens
from textvae.errors import ConfigError
from textvae.gaussian import DiagonalGaussian
from textvae.models.posterior import Point
from textvae.models.sentence import SentenceModel
from textvae.objectives.adversary import Discriminator, discriminator_loss, encoder_loss
from textvae.objectives.bag_of_words import BagOfWords
from textvae.objectives.contrastive import contrastive_nll
from textvae.objectives.corruption import Corruption
from textvae.objectives.free_bits import free_bits_kl
from textvae.objectives.importance import importance_weighted_nll
from textvae.objectives.labels import label_nll
from textvae.objectives.mmd import mmd
from textvae.objectives.semantic import SemanticReadout
from textvae.objectives.target_kl import floor_under
from textvae.randomness.noise import StepNoise

Sums = dict[str, Tensor]


class TrainingLoss(nn.Module):
    """The loss of a batch, divided by the number of sentences in the global batch.

    The loss is a module, so that a data-parallel wrapper sees one forward pass. It owns the
    networks that only training needs: bag of words, discriminator and semantic read-out.

    The losses of all processes add up to the loss of the global batch. `mmd` and `contrastive`
    compare codes within a process (with prior samples, and with each other); each process counts
    by its share of the sentences.

    Args:
        model: the model to train.
        objective: the terms of the loss; the weight of the KL is an argument of each step.
        sum_over_processes: sums a tensor over all processes; the identity for one process.
        ordinary_ids: the encoder's tokens that noise may substitute; default: all except special
            tokens.
    """

    def __init__(
        self,
        model: SentenceModel,
        objective: ObjectiveConfig,
        sum_over_processes: Callable[[Tensor], Tensor] = lambda x: x,
        *,
        ordinary_ids: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self._objective = objective
        self._sum_over_processes = sum_over_processes
        self._corruption: Corruption | None = None
        if model.encoder is not None:
            read = model.encoder.vocabulary
            if ordinary_ids is None:
                special = (read.pad_id, read.bos_id, read.eos_id)
                ordinary_ids = [token for token in range(read.size) if token not in special]
            ordinary = torch.tensor(ordinary_ids, dtype=torch.int64, device=model.device)
            self._corruption = Corruption(objective, read.pad_id, ordinary)
        self._floor = objective.free_bits
        if objective.target_kl is not None:
            floors = 1 if objective.free_bits_mode == "total" else model.latent_size
            self._floor = floor_under(objective.target_kl, self._floor, dimensions=floors)
        self._check_free_bits()
        self.bag_of_words: BagOfWords | None = None
        if objective.bag_of_words_weight > 0:
            self.bag_of_words = BagOfWords(model.latent_size, model.decoder.vocabulary.size)
        self.semantic: SemanticReadout | None = None
        if objective.semantic_weight > 0:
            self.semantic = SemanticReadout(model.latent_size, self._frozen_width())
        self._sizes = (*objective.nested, model.latent_size)  # of the parts of z that must predict
        self.discriminator: Discriminator | None = None
        if objective.adversarial_weight > 0:
            self.discriminator = Discriminator(model.latent_size)

    def _frozen_width(self) -> int:
        """The size of the vectors of a frozen encoder; ConfigError if the encoder is trained."""
        encoder = self.model.encoder
        assert encoder is not None  # the configuration has checked it
        if not encoder.is_frozen:
            raise ConfigError(
                f"semantic_weight {self._objective.semantic_weight:g}: the encoder "
                f"{self.model.config.encoder} changes in training, so its vectors are no target; "
                "set semantic_weight to 0, or use a frozen pretrained encoder"
            )
        return encoder.output_size

    def _check_free_bits(self) -> None:
        """Raise ConfigError for free bits per dimension with a KL that does not split."""
        prior = self.model.prior
        mode = self._objective.free_bits_mode
        if prior is None or not self.model.has_density:
            return
        if not self._floor or mode == "total":
            return
        q = DiagonalGaussian.standard(1, prior.latent_size, device=self.model.device)
        if prior.kl_per_dimension(q) is None:
            raise ConfigError(
                f"free_bits {self._floor:g} in mode {mode}: the KL to prior "
                f"{self.model.config.prior} does not split into dimensions; set free_bits_mode to "
                "total, or free_bits to 0"
            )

    def forward(
        self,
        batch: Batch,
        noise: StepNoise,
        kl_weight: float | Tensor | None,
        kl_of_whole: Tensor | None = None,
    ) -> tuple[Tensor, Sums]:
        """(loss, sums); the sums over local sentences: `rec`, for a vae `kl`, and other terms.

        - vae: the mean of -log p(x|z) + weight * KL, with z one sample of q(z|x) (Kingma &
          Welling 2014, eq. 7) and the KL floored by free bits; with several samples, the
          importance-weighted bound. If `kl_weight` is None, the vae is trained as an autoencoder:
          z is the posterior mean, without a KL or any other term that pulls z to the prior.
        - ae: the mean of -log p(x|z).
        - lm: the mean of -log p(x).

        All terms except `mmd` are in nats. The encoder reads a corrupted source if the objective
        has noise.

        If `batch` is a part of the sentences of a process, `kl_of_whole` is the `kl_sums` of all
        its sentences.

        With an adversary, the loss includes the discriminator's own loss, `discriminator` in the
        sums, which has no gradient for the model.
        """
        if self.model.posterior is None:
            rec = -self.model.decoder.log_likelihood(batch.target, None, noise)  # (B,)
            return rec.sum() / batch.total, {"rec": rec.detach().sum()}
        q, z = self._encode(batch, noise, sampled=kl_weight is not None)  # z (K, B, Z) or (B, Z)
        rec = self._reconstruction(batch, z, noise)  # (K, B) or (B,)
        if isinstance(q, DiagonalGaussian):
            kl = self._kl(q, z)  # (B, Z)
            loss = self._negative_weighted_bound(batch, q, z, rec, kl, kl_weight, kl_of_whole)
            rec = rec.detach().view(-1, len(batch.target)).mean(0)
            sums = {"rec": rec.sum(), "kl": kl.detach().sum()}
        else:
            loss, sums = rec, {"rec": rec.detach().sum()}
        if kl_weight is None and self.model.prior is not None:
            # A data-parallel wrapper expects each parameter in the loss; zero moves nothing.
            for _, parameter in self.model.prior.trained():
                loss = loss + 0.0 * parameter.sum()
        code = z if z.dim() == 2 else z[0]
        regular = kl_weight is not None or not self.model.has_density
        for name, weight, term in self._terms(batch, code, q.mean, noise, regular=regular):
            loss = loss + weight * term
            sums[name] = term.detach().sum()
        return loss.sum() / batch.total, sums

    def _encode(
        self, batch: Batch, noise: StepNoise, *, sampled: bool
    ) -> tuple[DiagonalGaussian | Point, Tensor]:
        """The posterior, and latents (B, Z), or (K, B, Z) for K > 1 samples."""
        q = self.model.latent(self._corrupted(batch, noise), noise)
        if not (sampled and isinstance(q, DiagonalGaussian)):
            return q, q.mean
        K, Z = self._objective.importance_samples, self.model.latent_size
        if K == 1:
            return q, q.sample(noise.normal(Z))
        return q, q.sample(noise.normal(K * Z).view(-1, K, Z).transpose(0, 1))

    def _corrupted(self, batch: Batch, noise: StepNoise) -> Tokens:
        return batch.source if self._corruption is None else self._corruption(batch.source, noise)

    def _reconstruction(self, batch: Batch, z: Tensor, noise: StepNoise) -> Tensor:
        """-log p(x|z), (B,) or (K, B); all samples of a sentence share the decoder's noise."""
        decoder = self.model.decoder
        if z.dim() == 2:
            return -decoder.log_likelihood(batch.target, z, noise)
        K, B, _ = z.size()
        target = batch.target.repeat(K)
        return -decoder.log_likelihood(target, z.flatten(0, 1), noise.repeat(K)).view(K, B)

    def _kl(self, q: DiagonalGaussian, z: Tensor) -> Tensor:
        """KL of each sentence to the prior in nats, per dimension (B, Z), or in total (B, 1)."""
        prior = self.model.prior
        assert prior is not None  # every model with a posterior has one
        kl = prior.kl_per_dimension(q)
        return prior.kl(q, z)[:, None] if kl is None else kl

    def _negative_weighted_bound(
        self,
        batch: Batch,
        q: DiagonalGaussian,
        z: Tensor,
        rec: Tensor,
        kl: Tensor,
        kl_weight: float | Tensor | None,
        kl_of_whole: Tensor | None,
    ) -> Tensor:
        """The loss of a vae for each sentence, without auxiliary terms, (B,)."""
        if kl_weight is None:
            return rec
        if z.dim() == 3 and self.model.prior is not None:
            log_prior = self.model.prior.log_prob(z)  # (K, B)
            return importance_weighted_nll(rec, log_prior, q.log_prob(z), kl_weight)
        penalty = free_bits_kl(
            kl,
            self._floor,
            self._objective.free_bits_mode,
            total=batch.total,
            sum_over_processes=self._sum_over_parts(kl_of_whole),
        )
        return rec + kl_weight * penalty

    def _sum_over_parts(self, whole: Tensor | None) -> Callable[[Tensor], Tensor]:
        """Sums a KL over processes; of a part, the KL of the `whole` batch takes its place."""
        if whole is None:
            return self._sum_over_processes
        return lambda _: self._sum_over_processes(whole)

    @torch.no_grad()
    def kl_sums(self, batch: Batch, noise: StepNoise) -> Tensor | None:
        """The KL of each dimension, summed over the local sentences, (Z,); None if not needed.

        Free bits over the batch compare this sum with their floor.
        """
        free = self._floor and self._objective.free_bits_mode == "batch"
        if not (free and self.model.has_density and self._objective.importance_samples == 1):
            return None
        q, z = self._encode(batch, noise, sampled=True)
        assert isinstance(q, DiagonalGaussian)  # as the model has a density
        return self._kl(q, z).sum(0)

    def _prior_samples(self, noise: StepNoise) -> Tensor:
        """One sample of the prior per sentence, (B, Z), in float32."""
        prior = self.model.prior
        assert prior is not None  # every model with a posterior has one
        normal = noise.normal(prior.noise_size)
        with torch.no_grad(), torch.autocast(normal.device.type, enabled=False):
            return prior.sample(normal)

    def _frozen_vectors(self, batch: Batch) -> Tensor:
        """The encoder's vectors of the uncorrupted sentences, (B, H), without a gradient."""
        assert self.model.encoder is not None  # which `_frozen_width` has checked
        with torch.no_grad():
            vectors: Tensor = self.model.encoder(batch.source)
        return vectors

    def _terms(
        self, batch: Batch, z: Tensor, mean: Tensor, noise: StepNoise, *, regular: bool
    ) -> Iterator[tuple[str, float, Tensor]]:
        """(name, weight, values (B,)) of each auxiliary term, for z (B, Z) and its mean (B, Z).

        Without `regular`, no term pulls z to the prior; the discriminator still learns.
        """
        objective = self._objective
        if self.bag_of_words is not None:
            bag = self.bag_of_words(batch.target, z)
            yield "bag_of_words", objective.bag_of_words_weight, bag
        if objective.label_weight > 0:
            assert self.model.label_head is not None  # TrainingRun makes both
            assert batch.labels is not None
            told = label_nll(self.model.label_head, z, batch.labels, self._sizes)
            yield "label", objective.label_weight, told
        if self.semantic is not None:
            code = mean if objective.semantic_code == "mean" else z
            vectors = self._frozen_vectors(batch)
            meaning = self.semantic(code, vectors, self._sizes, objective.semantic_loss)
            yield "semantic", objective.semantic_weight, meaning
        if objective.mmd_weight > 0 and regular:
            distance = mmd(z, self._prior_samples(noise))
            yield "mmd", objective.mmd_weight, distance.expand(len(z))
        if objective.contrastive_weight > 0:
            again = self.model.code(self._corrupted(batch, noise), noise)
            told = contrastive_nll(mean, again, objective.contrastive_temperature)
            yield "contrastive", objective.contrastive_weight, told
        if self.discriminator is not None:
            prior = self._prior_samples(noise)
            if regular:
                passing = encoder_loss(self.discriminator, z)
                yield "adversarial", objective.adversarial_weight, passing
            yield "discriminator", 1.0, discriminator_loss(self.discriminator, z, prior)
