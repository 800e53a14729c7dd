"""The sections of the configuration: frozen, validated, each field with a sentence about it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from textvae.errors import is_utf8

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
DropoutRate = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=1, le=65536)]
Depth = Annotated[int, Field(ge=1, le=256)]
T = TypeVar("T")
FIXED_ON_RESUME = "fixed on resume"
# A field that a resumed run cannot change: sizes, phases, and what has parameters of its own.
Fixed = Annotated[T, FIXED_ON_RESUME]
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
    valid: tuple[str, ...] = Field((), description="Validation files; none: split by a hash.")
    valid_fraction: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.05, description="Share of the texts held out where `valid` is empty."
    )
    text_column: str | None = Field(None, description="Column of the text; none: `text`.")
    label_column: str | None = Field(None, description="Column of the label; none: `label`.")
    lowercase: bool = Field(False, description="Lower-case the text.")
    normalization: Literal["none", "nfc", "nfkc"] = Field("none", description="Unicode form.")
    max_tokens: Annotated[int, Field(ge=2, le=4096)] = Field(
        128, description="Longest sentence in tokens, the end token included."
    )
    overlong: Literal["cut", "drop"] = Field("cut", description="What becomes of longer ones.")
    cache_dir: str | None = Field(None, description="Folder of encoded corpora; none: the user's.")


class TokenizerConfig(Section):
    """How text becomes tokens."""

    tokenizer: Fixed[str] = Field(
        "bpe", description="bpe, word, unigram, or a path to tokenizer.json."
    )
    vocab_size: Fixed[Annotated[int, Field(ge=8, le=1_000_000)] | None] = Field(
        None,
        description="Largest vocabulary, special tokens included; none: 4,000, of words 20,000.",
    )


class ModelConfig(Section):
    """The architecture."""

    model: Fixed[Literal["vae", "ae", "lm"]] = Field("vae", description="VAE, autoencoder, or LM.")
    encoder: Fixed[Literal["gru", "lstm", "transformer"]] = "gru"
    decoder: Fixed[Literal["gru", "lstm", "transformer"]] = "gru"
    latent_size: Fixed[Width] = Field(32, description="Z: dimensions of the latent.")
    hidden_size: Fixed[Width] = Field(256, description="H: width of encoder and decoder.")
    embedding_size: Fixed[Width] = Field(128, description="E: width of the token embeddings.")
    layers: Fixed[Depth] = Field(1, description="Layers of the encoder and of the decoder.")
    bidirectional: Fixed[bool] = Field(False, description="A recurrent encoder reads both ways.")
    pooling: Fixed[Literal["last", "mean", "max", "attention"]] = Field(
        "max", description="How encoder states become one vector."
    )
    heads: Fixed[Width] = Field(4, description="Attention heads of a Transformer.")
    positions: Fixed[Literal["rotary", "learned"]] = Field(
        "rotary", description="Of a Transformer."
    )
    memory_tokens: Fixed[Width] = Field(4, description="Tokens that z becomes in a Transformer.")
    tie_weights: Fixed[bool] = Field(
        True, description="Output layer shares the decoder's embeddings."
    )
    embedding_dropout: DropoutRate = Field(0.0, description="On embeddings, element by element.")
    variational_dropout: DropoutRate = Field(
        0.0, description="On embeddings, one mask for all steps of a sentence (Gal 2016)."
    )
    output_dropout: DropoutRate = Field(0.0, description="On the decoder's last states.")
    word_dropout: DropoutRate = Field(
        0.0, description="Share of the decoder's input tokens blanked (Bowman 2016)."
    )
    posterior_batch_norm: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Fixed scale of batch-normalised posterior means (Zhu 2020); 0: none."
    )
    committed_rate: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Nats of KL that the posterior cannot go below (Razavi 2019)."
    )
    skip_z: Fixed[bool] = Field(
        False, description="z is also added to the decoder's output states (Dieng 2019)."
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

    kl_schedule: Literal["constant", "linear", "sigmoid", "cyclical"] = "linear"
    beta: Annotated[float, Field(ge=0.0)] = Field(1.0, description="Final weight of the KL.")
    kl_warmup: Fraction = Field(0.2, description="Share of training over which it rises.")
    kl_cycles: Positive = Field(4, description="Cycles of the cyclical schedule.")
    kl_ratio: Fraction = Field(0.5, description="Share of a cycle over which it rises.")
    free_bits: Annotated[float, Field(ge=0.0)] = Field(
        0.2, description="Nats of KL that cost nothing, of a dimension or of all together."
    )
    free_bits_mode: Literal["dimension", "total", "batch"] = Field(
        "batch",
        description="Of a dimension's mean over the batch, of a sentence's dimension or total.",
    )
    noise_drop: Fraction = Field(
        0.0, description="Share of the encoder's input tokens left out (Shen 2020)."
    )
    noise_blank: Fraction = Field(0.0, description="Share of them blanked.")
    noise_substitute: Fraction = Field(0.0, description="Share of them replaced at random.")
    noise_shuffle: Annotated[float, Field(ge=0.0, le=65536.0)] = Field(
        0.0, description="Places that each of them moves at most (Lample 2018)."
    )
    target_kl: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="Nats of KL that a controller holds, in place of beta and kl_schedule."
    )
    importance_samples: Fixed[Positive] = Field(
        1, description="K of the importance-weighted bound (Burda 2016); 1: the usual one."
    )
    bag_of_words_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Of predicting the words of a sentence from z alone (Zhao 2017)."
    )
    mmd_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Of the distance of the codes to the prior (Tolstikhin 2018)."
    )
    adversarial_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Of passing for the prior before a discriminator (Makhzani 2016)."
    )
    adversary_learning_rate: Annotated[float, Field(gt=0.0)] = Field(
        5e-4, description="Of the discriminator's own Adam."
    )
    contrastive_weight: Fixed[Annotated[float, Field(ge=0.0)]] = Field(
        0.0, description="Of telling a sentence's second reading from others' (Gao 2021)."
    )
    contrastive_temperature: Annotated[float, Field(ge=0.01)] = Field(
        0.05, description="Of the cosines there."
    )
    pretrain_share: Fixed[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        0.0, description="Share of training as an autoencoder first (Li 2019)."
    )
    reset_decoder: Fixed[bool] = Field(True, description="The decoder starts afresh after that.")
    aggressive: Fixed[bool] = Field(
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

    batch_size: Positive = Field(64, description="Sentences a step, over all processes.")
    learning_rate: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="Peak; none: 0.0045 recurrent, 0.001 Transformer, less when wide."
    )
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    gradient_clip: Annotated[float, Field(gt=0.0)] = Field(5.0, description="Largest L2 norm.")
    max_steps: Positive | None = None
    max_minutes: Annotated[float, Field(gt=0.0)] | None = None
    epochs: Annotated[float, Field(gt=0.0)] | None = None
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="Evaluations without a better validation bound before stopping; 0: never."
    )
    log_steps: Positive = 50
    eval_steps: Positive | None = Field(None, description="None: ten times in a training.")
    checkpoint_steps: Positive | None = Field(None, description="None: at each evaluation.")
    keep: Positive = Field(2, description="Checkpoints kept for --resume.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    precision: Literal["auto", "float32", "bf16"] = "auto"
    threads: Positive | None = Field(None, description="CPU threads; none: torch decides.")
    track: tuple[str, ...] = Field((), description="Trackers: tensorboard, wandb, ...")


SECTIONS: dict[str, type[Section]] = {
    "data": DataConfig,
    "tokenizer": TokenizerConfig,
    "model": ModelConfig,
    "objective": ObjectiveConfig,
    "training": TrainingConfig,
}
