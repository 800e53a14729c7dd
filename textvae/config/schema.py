"""The sections of the configuration: frozen, validated, with a description of each field."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo

from textvae.config.references import check_name, is_own
from textvae.errors import is_utf8, shown

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
DropoutRate = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=1, le=65536)]
Depth = Annotated[int, Field(ge=1, le=256)]
T = TypeVar("T")
FIXED_ON_RESUME = "fixed on resume"
# A field that a resumed run cannot change: sizes, phases, and parts with parameters of their own.
Fixed = Annotated[T, FIXED_ON_RESUME]
PRIORS_OF_A_VAE = {"standard"}  # `textvae.models.prior.register_prior` adds others
MAX_COMMITTED_RATE = 10.0  # nats per dimension: a posterior 36,000 times narrower than the prior

WITHOUT_TARGET = ("beta", "kl_schedule")  # the fields that target_kl replaces
NEEDS_POSTERIOR = ("target_kl", "importance_samples", "pretrain_share", "aggressive")
NEEDS_LATENT = (
    "bag_of_words_weight",
    "mmd_weight",
    "adversarial_weight",
    "contrastive_weight",
    "label_weight",
    "semantic_weight",
    "principal_start",
)
# Terms that compare the sentences of a batch, which `accumulate` would divide.
COMPARES_SENTENCES = (
    "model.posterior_batch_norm",
    "objective.mmd_weight",
    "objective.contrastive_weight",
)
NEEDS_READER = ("noise_drop", "noise_blank", "noise_substitute", "noise_shuffle")
# Fields of the objective that a kind of model has no use for.
UNMET = {
    "vae": (),
    "ae": NEEDS_POSTERIOR,
    "lm": NEEDS_POSTERIOR + NEEDS_LATENT + NEEDS_READER,
}
# All fields that a kind of model leaves out of a recipe, which is made for a vae.
LEFT_OUT = {
    "ae": {"model": ("posterior_batch_norm", "committed_rate"), "objective": UNMET["ae"]},
    "lm": {
        "model": ("posterior_batch_norm", "committed_rate", "skip_z"),
        "objective": (*UNMET["lm"], "nested"),
    },
}


def kinds_of(field: FieldInfo) -> set[type]:
    """The types of the values of a field: str for a choice of words or a list of them."""
    found: set[type] = set()
    left: list[Any] = [field.annotation]
    while left:
        kind = left.pop()
        if get_origin(kind) is Literal:
            found |= {type(value) for value in get_args(kind)}
        elif get_origin(kind) is Annotated:
            left.append(get_args(kind)[0])
        elif get_args(kind):
            left += get_args(kind)
        elif isinstance(kind, type) and kind is not type(None):
            found.add(kind)
    return found


def expected_of(field: FieldInfo) -> str:
    """What a message says of the values of a field."""
    names = {bool: "True or False", float: "a number", int: "a whole number", str: "a text"}
    return " or ".join(sorted(names[kind] for kind in kinds_of(field)))


class Section(BaseModel):
    """A section of the configuration: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic would read True as 1.
        field = None if info.field_name is None else cls.model_fields[info.field_name]
        if isinstance(value, bool) and field is not None and bool not in kinds_of(field):
            raise ValueError(f"expected {expected_of(field)}")
        return value

    @field_validator("*")
    @classmethod
    def _text_can_be_written(cls, value: Any) -> Any:
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and not is_utf8(text):
                raise ValueError("not valid UTF-8; rename the file, or use a glob pattern")
        return value


class DataConfig(Section):
    """Where sentences come from and how they are prepared."""

    train: tuple[str, ...] = Field(
        (), description="Training data: files, globs, `-` for stdin, or hf: data sets."
    )
    valid: tuple[str, ...] = Field(
        (), description="Validation data; if empty, a share of the training data is held out."
    )
    valid_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.05, description="Share of the texts held out for validation when `valid` is empty."
    )
    text_column: str | None = Field(None, description="Column of the text; default `text`.")
    label_column: str | None = Field(None, description="Column of the label; default `label`.")
    lowercase: bool = Field(False, description="Convert the text to lower case.")
    normalization: Literal["none", "nfc", "nfkc"] = Field(
        "none", description="Unicode normalization of the text."
    )
    max_tokens: Annotated[int, Field(ge=2, le=4096)] = Field(
        128, description="Maximum length of a sentence in tokens, including the end token."
    )
    overlong: Literal["cut", "drop"] = Field(
        "cut", description="Truncate (cut) or skip (drop) sentences that exceed max_tokens."
    )
    cache_dir: str | None = Field(
        None,
        description="Cache folder of encoded corpora; default $TEXTVAE_CACHE or ~/.cache/textvae.",
    )


class TokenizerConfig(Section):
    """How text becomes tokens."""

    tokenizer: Fixed[str] = Field(
        "bpe", description="Tokenizer: bpe, word, unigram, or the path of a tokenizer.json."
    )
    vocab_size: Fixed[Annotated[int, Field(ge=8, le=1_000_000)] | None] = Field(
        None,
        description="Maximum vocabulary size with special tokens; default 4,000, or 20,000 words.",
    )
    encoder_tokenizer: Fixed[str | None] = Field(
        None, description="Tokenizer of the encoder; by default it shares the decoder's."
    )
    encoder_vocab_size: Fixed[Annotated[int, Field(ge=8, le=1_000_000)] | None] = Field(
        None, description="Maximum vocabulary size of the encoder's own tokenizer."
    )

    @model_validator(mode="after")
    def _a_size_is_of_a_tokenizer(self) -> TokenizerConfig:
        if self.encoder_vocab_size is not None and self.encoder_tokenizer is None:
            raise ValueError(
                f"encoder_vocab_size {self.encoder_vocab_size} needs an encoder_tokenizer"
            )
        return self


# Values of fields that config.json and experiment.toml of earlier versions do not have.
FORMER_ARCHITECTURE = {"tie_embeddings": False}


class ModelConfig(Section):
    """The architecture."""

    model: Fixed[Literal["vae", "ae", "lm"]] = Field(
        "vae", description="Kind of model: VAE, autoencoder (ae) or language model (lm)."
    )
    encoder: Fixed[str] = Field(
        "gru",
        description="Encoder: gru, lstm, transformer, or REF: the hub id (owner/name or "
        "owner/name@REVISION) or the folder of a pretrained model, or a file of word vectors.",
    )
    decoder: Fixed[str] = Field(
        "gru",
        description="Decoder: gru, lstm, transformer, or REF: the hub id or the folder of a "
        "pretrained language model.",
    )
    encoder_training: Fixed[Literal["frozen", "full", "lora"]] = Field(
        "frozen", description="Training of a pretrained encoder: none, all weights, or LoRA."
    )
    decoder_training: Fixed[Literal["frozen", "full", "lora"]] = Field(
        "frozen", description="Training of a pretrained decoder: none, all weights, or LoRA."
    )
    lora_rank: Fixed[Annotated[int, Field(ge=1, le=1024)]] = Field(
        8, description="Rank of the LoRA adapters (Hu 2022)."
    )
    latent_injection: Fixed[Literal["prefix", "cache", "embedding"]] = Field(
        "prefix",
        description="How a pretrained decoder reads z: as soft prefix tokens, as keys and values "
        "of every layer (cache; Li 2020), or added to the embeddings.",
    )
    latent_size: Fixed[Width] = Field(32, description="Number of latent dimensions (Z).")
    hidden_size: Fixed[Width] = Field(256, description="Hidden size of encoder and decoder (H).")
    embedding_size: Fixed[Width] = Field(128, description="Size of the token embeddings (E).")
    layers: Fixed[Depth] = Field(1, description="Number of layers in encoder and decoder each.")
    bidirectional: Fixed[bool] = Field(False, description="Make a recurrent encoder bidirectional.")
    pooling: Fixed[Literal["last", "mean", "max", "attention", "pretrained"]] = Field(
        "max",
        description="Pooling of the encoder states into one vector; pretrained, the default with "
        "a REF: the pooling and normalization of its modules.json, or the mean without one.",
    )
    heads: Fixed[Width] = Field(4, description="Number of attention heads in a Transformer.")
    positions: Fixed[Literal["rotary", "learned"]] = Field(
        "rotary", description="Position encoding of a Transformer."
    )
    memory_tokens: Fixed[Width] = Field(
        4,
        description="Number of prefix tokens through which a Transformer or pretrained decoder "
        "reads z.",
    )
    tie_weights: Fixed[bool] = Field(
        True, description="Share the decoder's embeddings with its output layer."
    )
    tie_embeddings: Fixed[bool] = Field(
        True,
        description="Share the token embeddings of encoder and decoder, if they share a tokenizer.",
    )
    embedding_dropout: DropoutRate = Field(
        0.0, description="Dropout rate on the token embeddings, independent for each element."
    )
    prior: Fixed[str] = Field("standard", description="Prior of a VAE; standard is N(0, I).")
    variational_dropout: DropoutRate = Field(
        0.0,
        description="Dropout rate on the embeddings, one mask for a whole sentence (Gal 2016).",
    )
    output_dropout: DropoutRate = Field(
        0.0, description="Dropout rate on the decoder's output states."
    )
    word_dropout: DropoutRate = Field(
        0.0, description="Share of the decoder's input tokens that are blanked (Bowman 2016)."
    )
    posterior_batch_norm: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0,
        description="Fixed scale of batch-normalized posterior means (Zhu 2020); 0 is off.",
    )
    committed_rate: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0,
        description="Lower bound on the KL in nats, built into the posterior (Razavi 2019).",
    )
    skip_z: Fixed[bool] = Field(
        False, description="Also add z to the decoder's output states (Dieng 2019)."
    )

    @field_validator("encoder", "decoder")
    @classmethod
    def _the_network_is_known(cls, name: str) -> str:
        check_name(name)
        return name

    @model_validator(mode="before")
    @classmethod
    def _a_pretrained_encoder_pools_as_it_did(cls, values: Any) -> Any:
        encoder = values.get("encoder") if isinstance(values, dict) else None
        if isinstance(encoder, str) and not is_own(encoder) and values.get("model") != "lm":
            return {"pooling": "pretrained", **values}
        return values

    @model_validator(mode="after")
    def _settings_of_pretrained_parts_have_one(self) -> ModelConfig:
        if self.pooling == "pretrained" and is_own(self.encoder):
            raise ValueError(
                f"pooling pretrained does not apply to encoder {self.encoder}; choose last, mean, "
                "max or attention"
            )
        for name, part in (
            ("encoder_training", self.encoder),
            ("decoder_training", self.decoder),
            ("latent_injection", self.decoder),
        ):
            value = getattr(self, name)
            if value != type(self).model_fields[name].default and is_own(part):
                raise ValueError(
                    f"{name} {value} does not apply to {part}, which has no pretrained weights; "
                    "leave it out, or name a pretrained model"
                )
        return self

    @model_validator(mode="after")
    def _heads_divide_width(self) -> ModelConfig:
        if "transformer" in (self.encoder, self.decoder) and (
            self.hidden_size % (2 * self.heads)  # rotary positions rotate pairs
        ):
            raise ValueError(
                f"hidden_size {self.hidden_size} must be an even multiple of heads {self.heads}"
            )
        return self

    @model_validator(mode="after")
    def _the_prior_is_known(self) -> ModelConfig:
        if self.prior not in PRIORS_OF_A_VAE:
            known = ", ".join(sorted(PRIORS_OF_A_VAE))
            raise ValueError(
                f"prior {shown(self.prior)} is unknown; choose from {known}. A prior of "
                "your own is known in Python once the module that registers it is imported; the "
                "command line cannot use it"
            )
        if self.prior == "standard":
            return self
        if self.model != "vae":
            raise ValueError(f"prior {self.prior} does not apply to model={self.model}")
        for name in ("posterior_batch_norm", "committed_rate"):
            if getattr(self, name):
                raise ValueError(
                    f"{name} bounds the KL to the standard prior only; leave it out, or leave out "
                    f"prior {self.prior}"
                )
        return self

    @model_validator(mode="after")
    def _remedies_fit_the_model(self) -> ModelConfig:
        for name in ("posterior_batch_norm", "committed_rate"):
            if getattr(self, name) and self.model != "vae":
                raise ValueError(
                    f"{name} {getattr(self, name):g} does not apply to model={self.model}, which "
                    "has no posterior; leave it out, or train a vae"
                )
        if self.skip_z and self.model == "lm":
            raise ValueError(
                "skip_z does not apply to model=lm, which has no latent; "
                "leave it out, or train a vae or an ae"
            )
        if self.committed_rate > MAX_COMMITTED_RATE * self.latent_size:
            raise ValueError(
                f"committed_rate {self.committed_rate:g} is "
                f"{self.committed_rate / self.latent_size:.3g} nats for each of {self.latent_size} "
                f"dimensions: expected at most {MAX_COMMITTED_RATE:g}; try a larger latent_size"
            )
        return self


class ObjectiveConfig(Section):
    """The training loss."""

    kl_schedule: Literal["constant", "linear", "sigmoid", "cyclical"] = Field(
        "linear", description="Schedule of the KL weight over training."
    )
    beta: Annotated[float, Field(ge=0.0)] = Field(1.0, description="Final weight of the KL.")
    kl_warmup: Fraction = Field(
        0.2, description="Share of training over which the KL weight rises to beta."
    )
    kl_cycles: Positive = Field(4, description="Number of cycles of the cyclical KL schedule.")
    kl_ratio: Fraction = Field(
        0.5, description="Share of each cycle over which the KL weight rises."
    )
    free_bits: Annotated[float, Field(ge=0.0)] = Field(
        0.2, description="Nats of KL that are free of cost, in the unit of free_bits_mode."
    )
    free_bits_mode: Literal["dimension", "total", "batch"] = Field(
        "batch",
        description="Unit of free_bits: the KL of a sentence's dimension (dimension), of a whole "
        "sentence (total), or of a dimension averaged over the batch (batch).",
    )
    noise_drop: Fraction = Field(
        0.0, description="Share of the encoder's input tokens that are dropped (Shen 2020)."
    )
    noise_blank: Fraction = Field(
        0.0, description="Share of the encoder's input tokens that are blanked."
    )
    noise_substitute: Fraction = Field(
        0.0, description="Share of the encoder's input tokens replaced by random tokens."
    )
    noise_shuffle: Annotated[float, Field(ge=0.0, le=65536.0)] = Field(
        0.0,
        description="Largest distance by which shuffling moves an input token (Lample 2018).",
    )
    target_kl: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="KL in nats that a controller holds; replaces beta and kl_schedule."
    )
    importance_samples: Fixed[Positive] = Field(
        1,
        description="Samples K of the importance-weighted bound (Burda 2016); 1 is the usual one.",
    )
    bag_of_words_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Weight of the bag-of-words loss, words from z alone (Zhao 2017)."
    )
    mmd_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Weight of the MMD between codes and prior (Tolstikhin 2018)."
    )
    adversarial_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Weight of the adversarial loss on the codes (Makhzani 2016)."
    )
    adversary_learning_rate: Annotated[float, Field(gt=0.0)] = Field(
        5e-4, description="Learning rate of the discriminator's own Adam optimizer."
    )
    contrastive_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Weight of the contrastive loss on noisy pairs (Gao 2021)."
    )
    contrastive_temperature: Annotated[float, Field(ge=0.01)] = Field(
        0.05, description="Temperature of the cosines in the contrastive loss."
    )
    label_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Weight of the label loss, labels from z alone (Kingma 2014)."
    )
    semantic_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Weight of the semantic loss, a frozen encoder's vectors from z alone."
    )
    semantic_loss: Literal["cosine", "squared"] = Field(
        "squared", description="Distance of the semantic loss: cosine, or squared error."
    )
    semantic_code: Literal["mean", "sample"] = Field(
        "mean",
        description="What predicts the frozen encoder's vectors: the posterior mean, at hardly any "
        "KL, or the sample of z that the decoder reads.",
    )
    nested: tuple[Positive, ...] = Field(
        (),
        description="Sizes K: the label and semantic losses also apply to the first K latent "
        "dimensions (Kusupati 2022).",
    )
    principal_start: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0,
        description="KL in nats at which the posterior starts along the principal components of a "
        "pretrained encoder's vectors; 0: random weights.",
    )
    pretrain_share: Fixed[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        0.0, description="Share of training, at its start, as an autoencoder (Li 2019)."
    )
    reset_decoder: Fixed[bool] = Field(
        True, description="Reinitialize the decoder after autoencoder pretraining."
    )
    aggressive: Fixed[bool] = Field(
        False,
        description="Add encoder-only updates until mutual information stops rising (He 2019).",
    )

    @model_validator(mode="after")
    def _one_source_of_the_weight(self) -> ObjectiveConfig:
        given = [name for name in WITHOUT_TARGET if name in self.model_fields_set]
        if self.target_kl is not None and given:
            raise ValueError(
                f"target_kl controls the KL weight itself; leave out {' and '.join(given)}"
            )
        return self

    @model_validator(mode="after")
    def _no_free_bits_in_an_importance_weighted_bound(self) -> ObjectiveConfig:
        if self.importance_samples > 1 and self.free_bits > 0:
            raise ValueError(
                f"importance_samples {self.importance_samples} uses a bound without a KL term, so "
                f"free_bits {self.free_bits:g} does not apply; set free_bits to 0"
            )
        return self

    @model_validator(mode="after")
    def _nested_sizes_ascend(self) -> ObjectiveConfig:
        if list(self.nested) != sorted(set(self.nested)):
            raise ValueError(f"nested {list(self.nested)}: expected sizes in ascending order")
        if self.nested and not (self.label_weight or self.semantic_weight):
            raise ValueError(
                f"nested {list(self.nested)} applies to the label loss and the semantic loss; set "
                "label_weight or semantic_weight, or leave nested out"
            )
        return self

    @property
    def matches_prior(self) -> bool:
        """True if a term of the loss other than the KL pulls the codes toward the prior."""
        return self.mmd_weight > 0 or self.adversarial_weight > 0


class TrainingConfig(Section):
    """The training loop."""

    batch_size: Positive = Field(
        64, description="Number of sentences per step, over all processes."
    )
    accumulate: Positive = Field(
        1,
        description="Number of parts in which a batch is computed, one after the other; more parts "
        "need less memory, for the same step.",
    )
    gradient_checkpointing: bool = Field(
        False,
        description="Recompute the layers of pretrained parts in the backward pass, which saves "
        "memory and costs time (Chen 2016).",
    )
    learning_rate: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="Peak learning rate; default 0.01 for recurrent models and 0.001 for "
        "Transformers, less for wide ones, and 0.005 between two pretrained parts. That of "
        "recurrent models falls with the square root of the steps beyond 2,000.",
    )
    pretrained_learning_rate: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="Peak learning rate of pretrained weights; default 0.00003 with full training "
        "and 0.0003 with LoRA.",
    )
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = Field(
        "cosine", description="Schedule of the learning rate after warmup."
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        100, description="Number of steps over which the learning rate rises to its peak."
    )
    weight_decay: Annotated[float, Field(ge=0.0)] = Field(0.0, description="Weight decay of AdamW.")
    gradient_clip: Annotated[float, Field(gt=0.0)] = Field(
        5.0, description="Maximum L2 norm of the gradient."
    )
    max_steps: Positive | None = Field(None, description="Stop after this many steps.")
    max_minutes: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="Stop after this many minutes."
    )
    epochs: Annotated[float, Field(gt=0.0)] | None = Field(
        None,
        description="Stop after this many epochs; without a limit, 20 or 1,000 steps.",
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Stop after this many evaluations without a better validation bound; 0 is off.",
    )
    log_steps: Positive = Field(50, description="Number of steps between log records.")
    eval_steps: Positive | None = Field(
        None, description="Number of steps between evaluations; default a tenth of the training."
    )
    checkpoint_steps: Positive | None = Field(
        None, description="Number of steps between checkpoints; default one at each evaluation."
    )
    keep: Positive = Field(2, description="Number of checkpoints to keep for --resume.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Seed of all randomness.")
    device: str = Field("auto", description="Device: auto, cpu, cuda, cuda:1 or mps.")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="Precision of training; auto is bf16 where the device supports it."
    )
    cuda_graphs: bool = Field(
        True, description="Replay training steps on a GPU as CUDA graphs, which is faster."
    )
    threads: Positive | None = Field(
        None,
        description="Number of CPU threads; by default one for each core that is free at first.",
    )
    embed_backbones: bool = Field(
        False,
        description="Copy the pretrained weights into the model's folder, so that loading needs "
        "nothing else.",
    )
    track: tuple[str, ...] = Field(
        (), description="Experiment trackers to log to: tensorboard, wandb, ..."
    )


SECTIONS: dict[str, type[Section]] = {
    "data": DataConfig,
    "tokenizer": TokenizerConfig,
    "model": ModelConfig,
    "objective": ObjectiveConfig,
    "training": TrainingConfig,
}
