"""The training loss of each kind of model: what a step minimises, and the sums it reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from textvae.config import ObjectiveConfig
from textvae.data.batches import Batch
from textvae.data.corruption import Corruption
from textvae.data.noise import StepNoise
from textvae.models.sentence import SentenceModel
from textvae.objectives.free_bits import free_bits_kl


class TrainingLoss(nn.Module):
    """Loss of a batch, divided by the sentences of the global batch.

    A module, so that a data-parallel wrapper sees one forward pass. The losses of all
    processes add up to the loss of the whole batch.

    Args:
        model: the model that is trained.
        objective: free bits and their mode; the weight of the KL comes with each step.
        sum_over_processes: adds a tensor over all processes; the identity for one.
        ordinary_ids: tokens that noise may substitute for others; none: all that may be words.
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
        if ordinary_ids is None:
            special = (model.pad_id, model.bos_id, model.eos_id)
            ordinary_ids = [token for token in range(model.vocab_size) if token not in special]
        ordinary = torch.tensor(ordinary_ids, dtype=torch.int64, device=model.device)
        self._corruption = Corruption(objective, model.pad_id, ordinary)

    def forward(
        self, batch: Batch, noise: StepNoise, kl_weight: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """(loss, sums): the sums over local sentences of `rec` and, for a vae, `kl`, in nats.

        vae: mean of -log p(x|z) + weight * KL, z one sample of q(z|x) (Kingma & Welling
        2014, eq. 7), the KL floored by free bits. ae and lm: mean of -log p(x|z), -log p(x).
        The encoder reads a corrupted source where the objective has noise for it.
        """
        batch = replace(batch, source=self._corruption(batch.source, noise))
        if self.model.kind == "vae":
            return self._negative_weighted_bound(batch, noise, kl_weight)
        z = self.model.code(batch.source, noise) if self.model.kind == "ae" else None
        rec = -self.model.log_likelihood(batch.target, z, noise)  # (B,)
        return rec.sum() / batch.total, {"rec": rec.detach().sum()}

    def _negative_weighted_bound(
        self, batch: Batch, noise: StepNoise, kl_weight: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        q = self.model.posterior(batch.source, noise)
        z = q.sample(noise.normal(self.model.latent_size))  # (B, Z)
        rec = -self.model.log_likelihood(batch.target, z, noise)  # (B,)
        kl = q.kl_per_dimension()  # (B, Z)
        penalty = free_bits_kl(
            kl,
            self._objective.free_bits,
            self._objective.free_bits_mode,
            total=batch.total,
            sum_over_processes=self._sum_over_processes,
        )
        loss = (rec + kl_weight * penalty).sum() / batch.total
        return loss, {"rec": rec.detach().sum(), "kl": kl.detach().sum()}
