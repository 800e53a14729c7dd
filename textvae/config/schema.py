"""The sections of the configuration: frozen, validated, each field with a sentence about it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from textvae.errors import is_utf8

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
DropoutRate = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=1, le=65536)]
Depth = Annotated[int, Field(ge=1, le=256)]
MAX_COMMITTED_RATE = 10.0  # nats a dimension: a posterior 36,000 times narrower than the prior

WITHOUT_TARGET = ("beta", "kl_schedule")  # what target_kl replaces
NEEDS_POSTERIOR = ("target_kl", "importance_samples", "pretrain_share", "aggressive")
NEEDS_LATENT = ("bag_of_words_weight", "mmd_weight", "adversarial_weight", "contrastive_weight")
NEEDS_READER = ("noise_drop", "noise_blank", "noise_substitute", "noise_shuffle")


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _text_can_be_written(cls, value: Any) -> Any:
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and not is_utf8(text):
                raise ValueError("not valid UTF-8; rename it, or name files by a pattern")
        return value


class DataConfig(Section):
    """Where sentences come from and how they are prepared."""

    train: tuple[str, ...] = Field((), description="Training files, globs, `-` or hf: names.")
    valid: tuple[str, ...] = Field((), description="Validation files; none: a share of the texts.")
    valid_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.05, description="Share of the texts held out, by a hash, if `valid` is empty."
    )
    text_column: str | None = Field(None, description="Column of the text; none: `text`.")
    label_column: str | None = Field(None, description="Column of the label; none: `label`.")
    lowercase: bool = Field(False, description="Lower-case the text.")
    normalization: Literal["none", "nfc", "nfkc"] = Field("none", description="Unicode form.")
    max_tokens: Annotated[int, Field(ge=2, le=4096)] = Field(
        128, description="Longest sentence in tokens, the end token included."
    )
    overlong: Literal["cut", "drop"] = Field(
        "cut", description="Truncate or drop longer sentences."
    )
    cache_dir: str | None = Field(None, description="Cache of encoded corpora; none: the user's.")


class TokenizerConfig(Section):
    """How text becomes tokens."""

    tokenizer: str = Field("bpe", description="bpe, word, unigram, or a path to tokenizer.json.")
    vocab_size: Annotated[int, Field(ge=8, le=1_000_000)] | None = Field(
        None,
        description="Largest vocabulary, special tokens included; none: 4,000, or 20,000 words.",
    )


class ModelConfig(Section):
    """The architecture."""

    model: Literal["vae", "ae", "lm"] = Field("vae", description="VAE, autoencoder, or LM.")
    encoder: Literal["gru", "lstm", "transformer"] = Field(
        "gru", description="Network that reads a sentence."
    )
    decoder: Literal["gru", "lstm", "transformer"] = Field(
        "gru", description="Network that writes a sentence."
    )
    latent_size: Width = Field(32, description="Z: dimensions of the latent.")
    hidden_size: Width = Field(256, description="H: width of encoder and decoder.")
    embedding_size: Width = Field(128, description="E: width of the token embeddings.")
    layers: Depth = Field(1, description="Layers of the encoder and of the decoder.")
    bidirectional: bool = Field(False, description="Read in both directions (recurrent encoder).")
    pooling: Literal["last", "mean", "max", "attention"] = Field(
        "max", description="How encoder states become one vector."
    )
    heads: Width = Field(4, description="Attention heads of a Transformer.")
    positions: Literal["rotary", "learned"] = Field(
        "rotary", description="Position encoding of a Transformer."
    )
    memory_tokens: Width = Field(4, description="Prefix tokens made from z (Transformer).")
    tie_weights: bool = Field(True, description="Share the output layer with the embeddings.")
    embedding_dropout: DropoutRate = Field(0.0, description="Dropout on embeddings.")
    variational_dropout: DropoutRate = Field(
        0.0, description="Dropout on embeddings, one mask a sentence (Gal 2016)."
    )
    output_dropout: DropoutRate = Field(0.0, description="Dropout on the decoder's last states.")
    word_dropout: DropoutRate = Field(
        0.0, description="Share of the decoder's input tokens blanked (Bowman 2016)."
    )
    posterior_batch_norm: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Fixed scale of batch-normalised posterior means (Zhu 2020); 0: none."
    )
    committed_rate: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Nats of KL that the posterior cannot go below (Razavi 2019)."
    )
    skip_z: bool = Field(
        False, description="Add z to the decoder's output states too (Dieng 2019)."
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> ModelConfig:
        if "transformer" in (self.encoder, self.decoder) and (
            self.hidden_size % (2 * self.heads)  # rotary positions turn pairs
        ):
            raise ValueError(
                f"hidden_size {self.hidden_size} must be an even multiple of heads {self.heads}"
            )
        return self

    @model_validator(mode="after")
    def _remedies_fit_the_model(self) -> ModelConfig:
        for name in ("posterior_batch_norm", "committed_rate"):
            if getattr(self, name) and self.model != "vae":
                raise ValueError(
                    f"{name} {getattr(self, name):g} is about a posterior, which model "
                    f"{self.model} does not have; leave it out, or train a vae"
                )
        if self.skip_z and self.model == "lm":
            raise ValueError(
                "skip_z adds the latent to the decoder's states, and model lm has no latent; "
                "leave it out, or train a vae or an ae"
            )
        if self.committed_rate > MAX_COMMITTED_RATE * self.latent_size:
            raise ValueError(
                f"committed_rate {self.committed_rate:g} is "
                f"{self.committed_rate / self.latent_size:.3g} nats for each of {self.latent_size} "
                f"dimensions, expected at most {MAX_COMMITTED_RATE:g}; try a larger latent_size"
            )
        return self


class ObjectiveConfig(Section):
    """The loss."""

    kl_schedule: Literal["constant", "linear", "sigmoid", "cyclical"] = Field(
        "linear", description="How the weight of the KL rises to beta."
    )
    beta: Annotated[float, Field(ge=0.0)] = Field(1.0, description="Final weight of the KL.")
    kl_warmup: Fraction = Field(0.2, description="Share of training over which the weight rises.")
    kl_cycles: Positive = Field(4, description="Cycles of the cyclical schedule.")
    kl_ratio: Fraction = Field(0.5, description="Share of a cycle over which the weight rises.")
    free_bits: Annotated[float, Field(ge=0.0)] = Field(
        0.2, description="Nats of KL that cost nothing."
    )
    free_bits_mode: Literal["dimension", "total", "batch"] = Field(
        "batch",
        description="Floor per dimension, per sentence, or on a dimension's batch mean.",
    )
    noise_drop: Fraction = Field(
        0.0, description="Share of the encoder's input tokens dropped (Shen 2020)."
    )
    noise_blank: Fraction = Field(0.0, description="Share of the encoder's input tokens blanked.")
    noise_substitute: Fraction = Field(
        0.0, description="Share of the encoder's input tokens replaced at random."
    )
    noise_shuffle: Annotated[float, Field(ge=0.0, le=65536.0)] = Field(
        0.0, description="Largest shift of an encoder input token (Lample 2018)."
    )
    target_kl: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="Nats of KL that a controller holds, instead of beta and kl_schedule."
    )
    importance_samples: Positive = Field(
        1, description="K of the importance-weighted bound (Burda 2016); 1: the ELBO."
    )
    bag_of_words_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Weight of predicting a sentence's words from z alone (Zhao 2017)."
    )
    mmd_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Weight of the MMD of codes and prior (Tolstikhin 2018)."
    )
    adversarial_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Weight of fooling a discriminator of codes and prior (Makhzani 2016)."
    )
    adversary_learning_rate: Annotated[float, Field(gt=0.0)] = Field(
        5e-4, description="Learning rate of the discriminator."
    )
    contrastive_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Weight of the contrastive loss between two readings (Gao 2021)."
    )
    contrastive_temperature: Annotated[float, Field(ge=0.01)] = Field(
        0.05, description="Temperature of the contrastive loss."
    )
    pretrain_share: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0, description="Share of training as an autoencoder first (Li 2019)."
    )
    reset_decoder: bool = Field(True, description="Reset the decoder after pretraining.")
    aggressive: bool = Field(
        False, description="Encoder-only updates until mi stops rising (He 2019)."
    )

    @model_validator(mode="after")
    def _one_source_of_the_weight(self) -> ObjectiveConfig:
        given = [name for name in WITHOUT_TARGET if name in self.model_fields_set]
        if self.target_kl is not None and given:
            raise ValueError(
                f"target_kl sets the weight of the KL itself; leave out {' and '.join(given)}"
            )
        return self

    @model_validator(mode="after")
    def _no_free_bits_in_an_importance_weighted_bound(self) -> ObjectiveConfig:
        if self.importance_samples > 1 and self.free_bits > 0:
            raise ValueError(
                f"the bound of importance_samples {self.importance_samples} has no KL of its own "
                f"for free_bits {self.free_bits:g} to spare; set free_bits to 0"
            )
        return self

    @property
    def matches_prior(self) -> bool:
        """Whether a term of the loss, other than a KL, draws the codes to N(0, I)."""
        return self.mmd_weight > 0 or self.adversarial_weight > 0


class TrainingConfig(Section):
    """The loop."""

    batch_size: Positive = Field(64, description="Sentences per step, over all processes.")
    learning_rate: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="Peak; none: 0.0045 recurrent, 0.001 Transformer, less if wide."
    )
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = Field(
        "cosine", description="How the learning rate falls after the warm-up."
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        100, description="Steps over which the learning rate rises."
    )
    weight_decay: Annotated[float, Field(ge=0.0)] = Field(0.0, description="Of AdamW.")
    gradient_clip: Annotated[float, Field(gt=0.0)] = Field(
        5.0, description="Largest L2 norm of the gradient."
    )
    max_steps: Positive | None = Field(None, description="Stop after so many steps.")
    max_minutes: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="Stop after so many minutes."
    )
    epochs: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="Stop after so many passes over the training text."
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="Evaluations without a better validation bound before stopping; 0: never."
    )
    log_steps: Positive = Field(50, description="Steps between two lines of the log.")
    eval_steps: Positive | None = Field(
        None, description="Steps between two evaluations; none: ten in a training."
    )
    checkpoint_steps: Positive | None = Field(
        None, description="Steps between two checkpoints; none: at each evaluation."
    )
    keep: Positive = Field(2, description="Checkpoints kept for --resume.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Seed of all randomness.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="Floating-point format of training."
    )
    threads: Positive | None = Field(None, description="CPU threads; none: torch decides.")
    track: tuple[str, ...] = Field((), description="Trackers, such as tensorboard or wandb.")


SECTIONS: dict[str, type[Section]] = {
    "data": DataConfig,
    "tokenizer": TokenizerConfig,
    "model": ModelConfig,
    "objective": ObjectiveConfig,
    "training": TrainingConfig,
}
