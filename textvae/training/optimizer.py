"""One optimizer step: loss, gradient, clipping, Adam; of the whole model, or of half of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from textvae.config import Config, ModelConfig, is_own
from textvae.data.batches import Batch
from textvae.models.sentence import SentenceModel
from textvae.objectives.training_loss import TrainingLoss
from textvae.randomness import purposes
from textvae.randomness.noise import StepNoise
from textvae.randomness.seeds import derived_seed
from textvae.schedules import PeakRate
from textvae.training.checkpoints import optimizer_tensors, restore_optimizer
from textvae.training.cuda_graphs import CapturedSteps
from textvae.training.processes import Processes

Part = Literal["model", "encoder", "decoder"]
ADVERSARY_BETAS = (0.5, 0.999)  # Shen 2020: little momentum, for two that chase each other

PRETRAINED_LEARNING_RATES = {"full": 3e-5, "lora": 3e-4}
LONG_RUN = 2_000  # steps; the default peak of recurrent models is for runs of up to so many


class ModelOptimizer:
    """The loss of a run with its parameters, and the optimizers that move them.

    Args:
        model: the model, on its device.
        config: objective and training.
        accelerator: precision, and the processes that share a batch.
        learning_rate: the peak.
        ordinary_ids: tokens that noise may substitute for others.
    """

    def __init__(
        self,
        model: SentenceModel,
        config: Config,
        accelerator: Accelerator,
        processes: Processes,
        learning_rate: float,
        *,
        ordinary_ids: Sequence[int] | None = None,
    ) -> None:
        training, device = config.training, accelerator.device
        self._accelerator, self._processes = accelerator, processes
        self._clip = training.gradient_clip
        self._model = model
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derived_seed(training.seed, purposes.AUXILIARIES))
            loss = TrainingLoss(
                model, config.objective, processes.sum, ordinary_ids=ordinary_ids
            ).to(device)
        self._bag, self._discriminator = loss.bag_of_words, loss.discriminator
        self.semantic = loss.semantic
        self._loss = loss
        self.loss = accelerator.prepare(loss)
        fused = device.type in ("cpu", "cuda")
        self._trained = [parameter for _, parameter in model.trained()]
        for auxiliary in (self._bag, self.semantic):
            self._trained += [] if auxiliary is None else list(auxiliary.parameters())
        self.adam = torch.optim.AdamW(
            parameter_groups(model, self._trained, config, learning_rate),
            lr=learning_rate,
            weight_decay=training.weight_decay,
            fused=fused,
            capturable=device.type == "cuda",
        )
        self._adversary: torch.optim.Optimizer | None = None
        if self._discriminator is not None:
            self._adversary = torch.optim.Adam(
                self._discriminator.parameters(),
                lr=config.objective.adversary_learning_rate,
                betas=ADVERSARY_BETAS,
                fused=fused,
                capturable=device.type == "cuda",
            )
        self._graphs: CapturedSteps | None = None
        self._most_parts = training.accumulate
        replayed = training.cuda_graphs and training.accumulate == 1 and not has_backbone(model)
        if device.type == "cuda" and processes.count == 1 and replayed:
            self._graphs = CapturedSteps(device)

    def step(
        self,
        batch: Batch,
        noise: StepNoise,
        *,
        kl_weight: float | Tensor | None,
        learning_rate: float,
        part: Part = "model",
    ) -> dict[str, Tensor]:
        """The sums of a batch over local sentences; the parameters of `part` move by one step.

        The sums are the terms of the loss and:
        - `loss`: the total, without the loss of the discriminator;
        - `gradient_norm`, divided by the number of processes;
        - `skipped`: 1, divided by the number of processes, if a loss or a gradient is not finite,
          the discriminator's included. Such a step moves nothing, and all its other sums are 0.
        """
        if self._graphs is None:
            return self._step(part, batch, noise, kl_weight, learning_rate)
        step = partial(self._step, part)
        return self._graphs.run(part, step, batch, noise, kl_weight, learning_rate)

    def _step(
        self,
        part: Part,
        batch: Batch,
        noise: StepNoise,
        kl_weight: float | Tensor | None,
        learning_rate: float | Tensor,
    ) -> dict[str, Tensor]:
        """The step itself, which a graph can capture: nothing in it waits for the device."""
        self.loss.zero_grad(set_to_none=True)  # of a capture that failed
        loss, sums = self._gradient(batch, noise, kl_weight)
        norm = clip_grad_norm_(self._trained, self._clip)
        total = loss * batch.total
        figures = [total, norm, *sums.values()]
        if self._discriminator is not None:  # not clipped, but looked at
            figures.append(clip_grad_norm_(self._discriminator.parameters(), math.inf))
        finite = torch.stack([figure.float() for figure in figures]).isfinite().all()
        finite = self._everywhere(finite)
        for parameter in self._resting(part):
            parameter.grad = None  # which Adam leaves alone, its moments too
        for group in self.adam.param_groups:
            scale = group["scale"]
            group["lr"] = learning_rate if scale == 1.0 else scale * learning_rate
        step_if(finite, self.adam)
        if self._adversary is not None and part != "encoder":
            step_if(finite, self._adversary)
        self.loss.zero_grad(set_to_none=True)
        if "discriminator" in sums:
            total = total - sums["discriminator"]
        sums = {**sums, "loss": total, "gradient_norm": norm.detach() / self._processes.count}
        kept = {name: torch.where(finite, value, 0.0) for name, value in sums.items()}
        return {**kept, "skipped": (~finite).float() / self._processes.count}

    def _gradient(
        self, batch: Batch, noise: StepNoise, kl_weight: float | Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and the sums of a batch, computed in parts whose gradients add up."""
        parts = self._parts(batch)
        if len(parts) == 1:
            loss, sums = self.loss(batch, noise, kl_weight)
            self._backward(loss)
            return loss.detach(), sums
        whole = self._kl_of_whole(batch, noise, parts, kl_weight)
        found = []
        for rows in parts:
            loss, sums = self.loss(batch.part(rows), noise.part(rows), kl_weight, whole)
            self._backward(loss)
            found.append({**sums, "": loss.detach()})
        added = {name: torch.stack([sums[name] for sums in found]).sum(0) for name in found[0]}
        return added.pop(""), added

    def _backward(self, loss: Tensor) -> None:
        # A data-parallel wrapper averages gradients; the losses are parts of a sum.
        self._accelerator.backward(loss * self._processes.count)

    def _parts(self, batch: Batch) -> list[slice]:
        """The rows of each part of a local batch; equally many parts on every process."""
        count = max(1, min(self._most_parts, batch.total // self._processes.count))
        n = len(batch.target)
        cuts = [n * part // count for part in range(count + 1)]
        return [slice(first, last) for first, last in pairwise(cuts)]

    def _kl_of_whole(
        self,
        batch: Batch,
        noise: StepNoise,
        parts: list[slice],
        kl_weight: float | Tensor | None,
    ) -> Tensor | None:
        """The KL of each dimension, summed over the local sentences, (Z,); None if not needed."""
        if kl_weight is None:
            return None
        with self._accelerator.autocast():
            sums = [self._loss.kl_sums(batch.part(rows), noise.part(rows)) for rows in parts]
        known = [kl for kl in sums if kl is not None]
        return torch.stack(known).sum(0) if known else None

    def _everywhere(self, mine: Tensor) -> Tensor:
        """True if `mine` is true on every process, as all must take the same step."""
        if self._processes.count == 1:
            return mine
        return self._processes.sum((~mine).float()) == 0

    def _resting(self, part: Part) -> list[nn.Parameter]:
        """The parameters that a step of `part` leaves alone."""
        encoder = {id(parameter) for parameter in encoder_parameters(self._model)}
        if part == "encoder":
            return [parameter for parameter in self._trained if id(parameter) not in encoder]
        if part == "decoder":
            return [parameter for parameter in self._trained if id(parameter) in encoder]
        return []

    def forget_graphs(self) -> None:
        """Capture steps anew: Adam's state has been replaced."""
        if self._graphs is not None:
            self._graphs.clear()

    @torch.no_grad()
    def reset_decoder(self, fresh: SentenceModel) -> None:
        """Give all but the encoder the weights of a `fresh` model, and clear their Adam moments.

        Embeddings that the encoder shares are kept.
        """
        self.forget_graphs()
        encoder = {id(parameter) for parameter in encoder_parameters(self._model)}
        if self._model.encoder is not None:
            encoder |= {id(parameter) for parameter in self._model.encoder.parameters()}
        weights = dict(fresh.trained())
        for name, parameter in self._model.trained():
            if id(parameter) not in encoder:
                parameter.copy_(weights[name])
                self.adam.state.pop(parameter, None)

    # for checkpoints: what is trained beside the model

    def auxiliaries(self) -> dict[str, tuple[nn.Module, torch.optim.Optimizer]]:
        """The modules of the loss that have parameters, each with the optimizer that moves it."""
        found: dict[str, tuple[nn.Module, torch.optim.Optimizer]] = {}
        if self._bag is not None:
            found["bag_of_words"] = self._bag, self.adam
        if self.semantic is not None:
            found["semantic"] = self.semantic, self.adam
        if self._discriminator is not None and self._adversary is not None:
            found["discriminator"] = self._discriminator, self._adversary
        return found

    def auxiliary_tensors(self) -> dict[str, Tensor]:
        """Weights and optimizer state of the auxiliaries; empty if there are none."""
        tensors: dict[str, Tensor] = {}
        for name, (module, optimizer) in self.auxiliaries().items():
            own = {key: value.detach().cpu() for key, value in module.state_dict().items()}
            own |= optimizer_tensors(module, optimizer)
            tensors |= {f"{name}.{key}": value.contiguous() for key, value in own.items()}
        return tensors

    @torch.no_grad()
    def restore_auxiliaries(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `auxiliary_tensors`.

        Raises:
            KeyError, ValueError: a tensor is missing, or of another shape.
        """
        for name, (module, optimizer) in self.auxiliaries().items():
            own = {
                key.removeprefix(f"{name}."): value
                for key, value in tensors.items()
                if key.startswith(f"{name}.")
            }
            for key, parameter in module.state_dict().items():
                if own[key].shape != parameter.shape:  # which copying would stretch
                    raise ValueError(f"{name}.{key} has shape {list(own[key].shape)}")
                parameter.copy_(own.pop(key))
            if optimizer is self._adversary:
                optimizer.state.clear()
            restore_optimizer(own, module, optimizer)


def parameter_groups(
    model: SentenceModel, trained: Sequence[nn.Parameter], config: Config, learning_rate: float
) -> list[dict[str, Any]]:
    """The trained parameters by their share of the learning rate: new ones 1, pretrained ones less.

    Args:
        learning_rate: the peak of new parameters.
    """
    groups: list[dict[str, Any]] = []
    pretrained: set[int] = set()
    for name, part in model.parts():
        parameters = list(part.pretrained())
        if parameters:
            mode = getattr(config.model, f"{name}_training")
            rate = config.training.pretrained_learning_rate or PRETRAINED_LEARNING_RATES[mode]
            groups.append({"params": parameters, "scale": rate / learning_rate})
            pretrained |= {id(parameter) for parameter in parameters}
    own = [parameter for parameter in trained if id(parameter) not in pretrained]
    return [{"params": own, "scale": 1.0}, *groups]


def step_if(finite: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """A step of the optimizer if `finite`; a fused one does not wait for the device."""
    if optimizer.defaults.get("fused"):
        # How torch.amp.GradScaler has a fused optimizer leave parameters and state alone.
        optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
        optimizer.step()
    elif bool(finite):
        optimizer.step()


def has_backbone(model: SentenceModel) -> bool:
    """True if a part runs a network of transformers, whose steps are not captured as graphs."""
    return any(getattr(part, "reference", None) is not None for _, part in model.parts())


def encoder_parameters(model: SentenceModel) -> list[nn.Parameter]:
    """The parameters of q(z|x)."""
    reading = [part for part in (model.encoder, model.posterior) if part is not None]
    return [parameter for part in reading for _, parameter in part.trained()]


def default_peak(model: ModelConfig) -> PeakRate:
    """Default peak learning rate of Adam, by kind of network and width, and for how long a run."""
    own = [part for part in (model.encoder, model.decoder) if is_own(part)]
    if not own:
        return PeakRate(5e-3)
    slow = "transformer" in own
    if slow:
        return PeakRate(1e-3 * min(1.0, (256 / model.hidden_size) ** 0.5))
    rate = 1e-2 * min(1.0, (256 / model.hidden_size) ** 0.75)
    trains_pretrained = any(
        getattr(model, f"{name}_training") != "frozen"
        for name in ("encoder", "decoder")
        if not is_own(getattr(model, name))
    )
    # The rate of trained pretrained weights is a multiple of this one, and has its own peak.
    return PeakRate(rate) if trains_pretrained else PeakRate(rate, LONG_RUN)
