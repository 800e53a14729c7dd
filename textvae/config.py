"""The configuration: frozen, validated sections, read from and written to TOML; and recipes.

Field names are unique across sections, so an option's name alone says where it belongs. A recipe
is a configuration file that comes with the package, `textvae/recipes/NAME.toml`.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from textvae.errors import ConfigError, NotFoundError, is_utf8, shown
from textvae.limits import LONGEST_NAME, parse_toml, read_text, reason, shown_name

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
DropoutRate = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=1, le=65536)]
Depth = Annotated[int, Field(ge=1, le=256)]
# Also those that turn the direction of what follows; json itself escapes those below 0x20.
_CONTROLS = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
MOST_SAID = 10  # problems of a configuration in a message
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

    tokenizer: str = Field("bpe", description="bpe, word, unigram, or a path to tokenizer.json.")
    vocab_size: Annotated[int, Field(ge=8, le=1_000_000)] | None = Field(
        None,
        description="Largest vocabulary, special tokens included; none: 4,000, of words 20,000.",
    )


class ModelConfig(Section):
    """The architecture."""

    model: Literal["vae", "ae", "lm"] = Field("vae", description="VAE, autoencoder, or LM.")
    encoder: Literal["gru", "lstm", "transformer"] = "gru"
    decoder: Literal["gru", "lstm", "transformer"] = "gru"
    latent_size: Width = Field(32, description="Z: dimensions of the latent.")
    hidden_size: Width = Field(256, description="H: width of encoder and decoder.")
    embedding_size: Width = Field(128, description="E: width of the token embeddings.")
    layers: Depth = Field(1, description="Layers of the encoder and of the decoder.")
    bidirectional: bool = Field(False, description="A recurrent encoder reads both ways.")
    pooling: Literal["last", "mean", "max", "attention"] = Field(
        "max", description="How encoder states become one vector."
    )
    heads: Width = Field(4, description="Attention heads of a Transformer.")
    positions: Literal["rotary", "learned"] = Field("rotary", description="Of a Transformer.")
    memory_tokens: Width = Field(4, description="Tokens that z becomes in a Transformer.")
    tie_weights: bool = Field(True, description="Output layer shares the decoder's embeddings.")
    embedding_dropout: DropoutRate = Field(0.0, description="On embeddings, element by element.")
    variational_dropout: DropoutRate = Field(
        0.0, description="On embeddings, one mask for all steps of a sentence (Gal 2016)."
    )
    output_dropout: DropoutRate = Field(0.0, description="On the decoder's last states.")
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
    importance_samples: Positive = Field(
        1, description="K of the importance-weighted bound (Burda 2016); 1: the usual one."
    )
    bag_of_words_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Of predicting the words of a sentence from z alone (Zhao 2017)."
    )
    mmd_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Of the distance of the codes to the prior (Tolstikhin 2018)."
    )
    adversarial_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Of passing for the prior before a discriminator (Makhzani 2016)."
    )
    adversary_learning_rate: Annotated[float, Field(gt=0.0)] = Field(
        5e-4, description="Of the discriminator's own Adam."
    )
    contrastive_weight: Annotated[float, Field(ge=0.0)] = Field(
        0.0, description="Of telling a sentence's second reading from others' (Gao 2021)."
    )
    contrastive_temperature: Annotated[float, Field(ge=0.01)] = Field(
        0.05, description="Of the cosines there."
    )
    pretrain_share: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.0, description="Share of training as an autoencoder first (Li 2019)."
    )
    reset_decoder: bool = Field(True, description="The decoder starts afresh after that.")
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


class Config(Section):
    """Everything that decides a training run."""

    data: DataConfig = DataConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _the_target_is_within_reach(self) -> Config:
        model, target = self.model, self.objective.target_kl
        # Not by **, which raises an error where * gives infinity.
        square = model.posterior_batch_norm * model.posterior_batch_norm
        least = max(model.committed_rate, model.latent_size * square / 2)
        if target is not None and target <= least:
            raise ValueError(
                f"objective.target_kl = {target:g}: this posterior has a KL of {least:.3g} nats at "
                "least, by committed_rate or posterior_batch_norm; ask for more, or lower these"
            )
        return self

    @model_validator(mode="after")
    def _the_model_has_what_the_loss_needs(self) -> Config:
        kind, objective = self.model.model, self.objective
        unmet = {
            "vae": (),
            "ae": NEEDS_POSTERIOR,
            "lm": NEEDS_POSTERIOR + NEEDS_LATENT + NEEDS_READER,
        }[kind]
        for name in unmet:
            value = getattr(objective, name)
            if value != ObjectiveConfig.model_fields[name].default:
                able = "a vae" if name in NEEDS_POSTERIOR else "a vae or an ae"
                raise ValueError(
                    f"objective.{name} = {value}: a model of kind {kind!r} has nothing that it "
                    f"acts on; leave it out, or train {able}"
                )
        return self

    @model_validator(mode="after")
    def _two_readings_differ(self) -> Config:
        varied = [self.model.embedding_dropout, self.model.variational_dropout]
        varied += [getattr(self.objective, name) for name in NEEDS_READER]
        if self.objective.contrastive_weight > 0 and not any(varied):
            raise ValueError(
                f"objective.contrastive_weight = {self.objective.contrastive_weight:g}: two "
                "readings of a sentence do not differ; add dropout or noise on the encoder's "
                "input, e.g. embedding_dropout 0.1 or noise_drop 0.1"
            )
        return self

    @classmethod
    def resolve(
        cls,
        *,
        recipe: str | None = None,
        file: str | Path | None = None,
        options: Mapping[str, Any] | None = None,
        assignments: tuple[str, ...] | list[str] = (),
    ) -> Config:
        """The configuration from defaults < recipe < file < options < assignments.

        Options go by field name (`latent_size=64`); those that are None are left out. An
        assignment is `section.key=value`.

        Raises:
            NotFoundError: the file does not exist.
            ConfigError: an unknown recipe or key, or a value outside what is allowed.

        >>> Config.resolve(recipe="small", options={"latent_size": 8}).model.latent_size
        8
        """
        given: dict[str, dict[str, Any]] = {}
        for name, value in (options or {}).items():
            if value is not None:
                given.setdefault(section_of(name), {})[name] = value
        for assignment in assignments:
            section, key, value = parse_assignment(assignment)
            given.setdefault(section, {})[key] = value
        values: dict[str, dict[str, Any]] = read_recipe(recipe) if recipe is not None else {}
        for layer in (read_toml(file) if file is not None else {}, given):
            lay_over(values, layer)
        over = f" over recipe {recipe}" if recipe is not None else ""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            of_options = any(_stands_in(given, item["loc"]) for item in error.errors())
            where = [*([] if file is None else [str(file)]), *(["options"] if of_options else [])]
            raise ConfigError(
                f"{' and '.join(where) or 'options'}{over}: {describe_validation(error)}"
            ) from None

    @classmethod
    def validate_values(cls, values: Mapping[str, Any], *, where: str) -> Config:
        """The configuration that `values` spells out; `where` names their source in errors."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{where}: {describe_validation(error)}") from None

    def to_toml(self, *, with_unset: bool = False) -> str:
        """This configuration as TOML; values that are None are left out, or named in comments.

        So are those that a target of the KL replaces: TOML that spells them out beside it is an
        error.
        """
        lines: list[str] = []
        sections = self.model_dump(mode="json")
        if self.objective.target_kl is not None:
            sections["objective"] |= dict.fromkeys(WITHOUT_TARGET)
        for section, values in sections.items():
            lines.append(f"[{section}]")
            for key, value in values.items():
                if value is not None:
                    lines.append(f"{key} = {toml_value(value)}")
                elif with_unset:
                    lines.append(f"# {key} =")
            lines.append("")
        return "\n".join(lines)


SECTIONS: dict[str, type[Section]] = {
    "data": DataConfig,
    "tokenizer": TokenizerConfig,
    "model": ModelConfig,
    "objective": ObjectiveConfig,
    "training": TrainingConfig,
}


# What decides the same thing: a later layer that gives one side takes back the other side.
ALTERNATIVES = (frozenset({"target_kl"}), frozenset(WITHOUT_TARGET))


def lay_over(values: dict[str, dict[str, Any]], layer: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the tables of a later layer of the configuration over those that `values` has so far.

    >>> values = {"objective": {"beta": 0.5, "free_bits": 0.1}}
    >>> lay_over(values, {"objective": {"target_kl": 8.0}})
    >>> values
    {'objective': {'free_bits': 0.1, 'target_kl': 8.0}}
    """
    for section, given in layer.items():
        own = values.setdefault(section, {})
        for side, other in permutations(ALTERNATIVES):
            if not side.isdisjoint(given):
                for key in other & own.keys():
                    del own[key]
        own.update(given)


def toml_value(value: Any) -> str:
    """A scalar or a list of strings as TOML: its JSON, with no control character as it is."""
    written = json.dumps(value, ensure_ascii=False)
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", written)


def section_of(option: str) -> str:
    """The section that holds the field `option`."""
    for section, fields in SECTIONS.items():
        if option in fields.model_fields:
            return section
    raise ConfigError(f"unknown option {shown(option)}{suggestion(option, all_fields())}")


def all_fields() -> list[str]:
    """Every field name of every section."""
    return [name for fields in SECTIONS.values() for name in fields.model_fields]


def parse_assignment(text: str) -> tuple[str, str, Any]:
    """(section, key, value) of `section.key=value`; the value reads as TOML, else as text."""
    target, equals, raw = text.partition("=")
    section, dot, key = target.strip().partition(".")
    if not equals or not dot or section not in SECTIONS:
        raise ConfigError(
            f"--set {shown(text)}: expected section.key=value with a section of "
            f"{', '.join(SECTIONS)}"
        )
    try:
        value = parse_toml(f"value = {raw}")["value"]
    except ValueError:  # no TOML, a number of 5,000 digits, 5,000 brackets
        value = raw.strip()
    return section, key.strip(), value


def read_recipe(name: str) -> dict[str, Any]:
    """The tables of the recipe `name`.

    Raises:
        ConfigError: there is no such recipe.
    """
    known = recipe_names()
    if name not in known:
        own = "; a file of your own goes by --config" if name.endswith(".toml") else ""
        raise ConfigError(
            f"recipe {shown(name)}: expected {', '.join(known)}{suggestion(name, known)}{own}"
        )
    return tomllib.loads((_recipes() / f"{name}.toml").read_text(encoding="utf-8"))


def recipe_names() -> list[str]:
    """The names of the recipes that come with textvae, in alphabetical order.

    >>> "small" in recipe_names()
    True
    """
    files = (file.name for file in _recipes().iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def _recipes() -> Traversable:
    # Here and not above: few commands need it, and its import takes 20 ms.
    from importlib.resources import files

    return files("textvae") / "recipes"


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file."""
    try:
        values = parse_toml(read_text(Path(path)))
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such configuration file") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {reason(error)}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    for name, value in values.items():
        if not isinstance(value, dict):
            raise ConfigError(
                f"{path}: {shown_name(name)} = {shown(value)} stands in no section{_home_of(name)}"
            )
    return values


def _home_of(name: str) -> str:
    return f"; put it under [{section_of(name)}]" if name in all_fields() else ""


def describe_validation(error: ValidationError) -> str:
    """What pydantic found first, in one line, each with its dotted path."""
    found = error.errors(include_url=False)
    said = [_describe_one(item) for item in found[:MOST_SAID]]
    if len(found) > MOST_SAID:
        said.append(f"and {len(found) - MOST_SAID:,} more")
    return "; ".join(said)


def _describe_one(item: Any) -> str:
    path = shown_name(".".join(map(str, item["loc"])))
    if item["type"] == "extra_forbidden":
        known = list(SECTIONS) if len(item["loc"]) == 1 else all_fields()
        return f"{path} is not a known key{suggestion(str(item['loc'][-1]), known)}"
    if item["type"] == "value_error":
        message = item["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        if not path or isinstance(item["input"], Mapping | BaseModel):
            return f"{path}: {message}" if path else message
        return f"{path} = {shown(item['input'])}: {message}"
    return f"{path or 'all'} = {shown(item['input'])}: expected {_expected(item)}"


def _stands_in(given: Mapping[str, Mapping[str, Any]], path: Sequence[str | int]) -> bool:
    """Whether what stands at a path, or something below it, was given."""
    section = given.get(str(path[0]), {}) if path else given
    return bool(section) if len(path) < 2 else path[1] in section


def _expected(item: Any) -> str:
    """What belongs where pydantic found something else: the kind of value, and its range."""
    if item["type"] in ("model_type", "model_attributes_type"):
        return "a table of keys and values"
    if isinstance(item["loc"][-1], int):
        return "text"
    name = item["loc"][-1]
    if name not in all_fields():  # of a table that is no configuration
        return item["msg"].removeprefix("Input should be ")
    schema = SECTIONS[section_of(name)].model_json_schema()["properties"][name]
    return _in_words(schema) or " or ".join(filter(None, map(_in_words, schema["anyOf"])))


def _in_words(schema: Mapping[str, Any]) -> str:
    """The values that a JSON schema allows; nothing for those of `null`.

    >>> _in_words({"type": "integer", "minimum": 1, "maximum": 65536})
    'a whole number from 1 to 65,536'
    >>> _in_words({"enum": ["cut", "drop"]})
    "'cut' or 'drop'"
    """
    if "enum" in schema:
        *most, last = map(repr, schema["enum"])
        return f"{', '.join(most)} or {last}"
    kind = KINDS.get(schema.get("type", ""), "")
    low, high, above, below = (
        None if key not in schema else f"{schema[key]:,}".removesuffix(".0")
        for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    )
    if low is not None:
        start = f" from {low}" if high or below else f" of {low} or more"
    else:
        start = "" if above is None else f" above {above}"
    end = f" to {high}" if high is not None else ""
    if below is not None:
        end = f" to less than {below}" if low is not None else f" and less than {below}"
    return kind + start + end


KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list of texts",
}


def suggestion(name: str, known: list[str]) -> str:
    """`, did you mean 'x'?` where something known is near, else nothing."""
    near = difflib.get_close_matches(name[:LONGEST_NAME], known, n=1)
    return f", did you mean {near[0]!r}?" if near else ""
