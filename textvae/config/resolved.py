"""The complete configuration of a run: all sections, resolved from layers, and as TOML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from textvae.config.layers import (
    lay_over,
    leave_out,
    parse_assignment,
    read_recipe,
    read_toml,
    toml_value,
)
from textvae.config.messages import describe_validation, section_of
from textvae.config.references import is_own
from textvae.config.schema import (
    COMPARES_SENTENCES,
    NEEDS_POSTERIOR,
    NEEDS_READER,
    SECTIONS,
    UNMET,
    WITHOUT_TARGET,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    Section,
    TokenizerConfig,
    TrainingConfig,
    expected_of,
    kinds_of,
)
from textvae.errors import ConfigError, option, shown
from textvae.progress import Say, silent


class Config(Section):
    """All settings of a training run."""

    data: DataConfig = DataConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _the_target_is_within_reach(self) -> Config:
        model, target = self.model, self.objective.target_kl
        # `**` would raise OverflowError where `*` gives infinity.
        square = model.posterior_batch_norm * model.posterior_batch_norm
        least = max(model.committed_rate, model.latent_size * square / 2)
        if target is not None and target <= least:
            raise ValueError(
                f"objective.target_kl = {target:g}: committed_rate or posterior_batch_norm keeps "
                f"the KL at {least:.3g} nats or more; raise target_kl, or lower these"
            )
        return self

    @model_validator(mode="after")
    def _the_model_has_what_the_loss_needs(self) -> Config:
        kind, objective = self.model.model, self.objective
        if kind == "lm" and self.tokenizer.encoder_tokenizer is not None:
            raise ValueError("tokenizer.encoder_tokenizer does not apply to model=lm")
        for name in UNMET[kind]:
            value = getattr(objective, name)
            if value != ObjectiveConfig.model_fields[name].default:
                able = "a vae" if name in NEEDS_POSTERIOR else "a vae or an ae"
                raise ValueError(
                    f"objective.{name} = {value} does not apply to model={kind}; "
                    f"leave it out, or train {able}"
                )
        return self

    @model_validator(mode="after")
    def _the_semantic_loss_has_a_frozen_target(self) -> Config:
        model, weight = self.model, self.objective.semantic_weight
        if (
            weight
            and model.model != "lm"
            and (is_own(model.encoder) or model.encoder_training != "frozen")
        ):
            how = f" with encoder_training {model.encoder_training}"
            training = "" if is_own(model.encoder) else how
            raise ValueError(
                f"objective.semantic_weight = {weight:g}: the encoder {model.encoder}{training} "
                "changes in training, so its vectors are no target; use a frozen pretrained "
                "encoder, or leave semantic_weight out"
            )
        return self

    @model_validator(mode="after")
    def _the_posterior_has_vectors_to_start_from(self) -> Config:
        model, nats = self.model, self.objective.principal_start
        if not nats or model.model == "lm":
            return self
        if is_own(model.encoder):
            raise ValueError(
                f"objective.principal_start = {nats:g}: the encoder {model.encoder} has random "
                "weights at the start; use a pretrained encoder, or leave principal_start out"
            )
        for name in ("posterior_batch_norm", "committed_rate"):
            if getattr(model, name):
                raise ValueError(
                    f"objective.principal_start = {nats:g}: model.{name} fixes means or variances "
                    "of the posterior, too; leave one of the two out"
                )
        return self

    @model_validator(mode="after")
    def _nested_sizes_are_within_the_latent(self) -> Config:
        nested, size = self.objective.nested, self.model.latent_size
        if nested and nested[-1] >= size:
            raise ValueError(
                f"objective.nested = {list(nested)}: expected sizes below latent_size {size}; the "
                "losses always apply to all dimensions"
            )
        return self

    @model_validator(mode="after")
    def _a_pretrained_part_has_its_own_tokenizer(self) -> Config:
        model, given = self.model, self.tokenizer
        settings = {
            "encoder": (given.encoder_tokenizer, given.encoder_vocab_size),
            "decoder": (given.tokenizer if given.tokenizer != "bpe" else None, given.vocab_size),
        }
        if model.model == "lm":
            del settings["encoder"]
        for part, (tokenizer, size) in settings.items():
            prefix = "encoder_" if part == "encoder" else ""
            name = f"{prefix}tokenizer" if tokenizer is not None else f"{prefix}vocab_size"
            if not is_own(getattr(model, part)) and (tokenizer is not None or size is not None):
                raise ValueError(
                    f"tokenizer.{name} does not apply to {part} {getattr(model, part)}, which has "
                    "a tokenizer of its own; leave it out"
                )
        return self

    @model_validator(mode="after")
    def _something_is_trained(self) -> Config:
        model = self.model
        frozen = model.decoder_training == "frozen" and not is_own(model.decoder)
        if model.model == "lm" and frozen:
            raise ValueError(
                "model.decoder_training = frozen leaves a language model nothing to train; set "
                "decoder_training to lora or full"
            )
        return self

    @model_validator(mode="after")
    def _a_batch_can_be_divided(self) -> Config:
        parts = self.training.accumulate
        for name in COMPARES_SENTENCES if parts > 1 else ():
            section, key = name.split(".")
            value = getattr(getattr(self, section), key)
            if value:
                raise ValueError(
                    f"training.accumulate = {parts}: {name} = {value:g} compares all sentences of "
                    "a batch, so a batch cannot be computed in parts; leave one of the two out"
                )
        return self

    @model_validator(mode="after")
    def _layers_can_be_recomputed(self) -> Config:
        model = self.model
        if not self.training.gradient_checkpointing:
            return self
        if is_own(model.decoder) and (is_own(model.encoder) or model.model == "lm"):
            raise ValueError(
                "training.gradient_checkpointing = True applies to pretrained parts only; leave it "
                "out, or use training.accumulate to save memory"
            )
        if not is_own(model.decoder) and model.latent_injection == "cache" and model.model != "lm":
            raise ValueError(
                "training.gradient_checkpointing = True: recomputed layers cannot read z as keys "
                "and values (latent_injection = cache); use prefix or embedding, or "
                "training.accumulate"
            )
        return self

    @model_validator(mode="after")
    def _two_readings_differ(self) -> Config:
        varied = [self.model.embedding_dropout, self.model.variational_dropout]
        varied += [getattr(self.objective, name) for name in NEEDS_READER]
        if self.objective.contrastive_weight > 0 and not any(varied):
            raise ValueError(
                f"objective.contrastive_weight = {self.objective.contrastive_weight:g}: the two "
                "encodings of a sentence would be equal; add dropout or noise to the encoder's "
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
        note: Say = silent,
    ) -> Config:
        """The configuration from defaults < recipe < file < options < assignments.

        A recipe is made for a vae. Settings of the recipe that an ae or an lm has no use for are
        left out; the same settings in a later layer are an error.

        Args:
            recipe: name of a recipe.
            file: path of a TOML file.
            options: values by field name (`latent_size=64`); None means not given.
            assignments: texts of the form `section.key=value`.
            note: hears which settings of the recipe were left out.

        Raises:
            NotFoundError: the file does not exist.
            ConfigError: a recipe or key is unknown, or a value is not allowed.

        >>> Config.resolve(recipe="small", options={"latent_size": 8}).model.latent_size
        8
        """
        given: dict[str, dict[str, Any]] = {}
        for name, value in (options or {}).items():
            if value is not None:
                section = section_of(name)
                field = SECTIONS[section].model_fields[name]
                if isinstance(value, Path) and str in kinds_of(field):  # encoder=Path(...)
                    value = str(value)
                if isinstance(value, str) and str not in kinds_of(field):  # pydantic would convert
                    wanted = expected_of(field)
                    raise ConfigError(f"options: {name} = {shown(value)}: expected {wanted}")
                given.setdefault(section, {})[name] = value
        for assignment in assignments:
            section, key, value = parse_assignment(assignment)
            given.setdefault(section, {})[key] = value
        values: dict[str, dict[str, Any]] = read_recipe(recipe) if recipe is not None else {}
        layers = (read_toml(file) if file is not None else {}, given)
        kinds = [layer.get("model", {}).get("model") for layer in layers]
        kind = next((kind for kind in reversed(kinds) if kind is not None), None)
        unfit = leave_out(values, kind)
        for layer in layers:
            lay_over(values, layer)
        over = f" over recipe {recipe}" if recipe is not None else ""
        try:
            resolved = cls.model_validate(values)
        except ValidationError as error:
            of_options = any(_stands_in(given, item["loc"]) for item in error.errors())
            where = [*([] if file is None else [str(file)]), *(["options"] if of_options else [])]
            raise ConfigError(
                f"{' and '.join(where) or 'options'}{over}: {describe_validation(error)}"
            ) from None
        if unfit:
            said = f"{', '.join(unfit)} {'does' if len(unfit) == 1 else 'do'} not apply to"
            note(f"recipe {recipe}: {said} {option('model', resolved.model.model)}; left out")
        return resolved

    @classmethod
    def validate_values(cls, values: Mapping[str, Any], *, where: str) -> Config:
        """The configuration of nested `values`; `where` names their source in errors.

        Raises:
            ConfigError: a key is unknown, or a value is not allowed.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{where}: {describe_validation(error)}") from None

    def to_toml(self, *, with_unset: bool = False) -> str:
        """This configuration as TOML, without the fields that are None.

        The fields that `target_kl` replaces are left out too, because setting them beside it is an
        error. With `with_unset`, a comment names each field that is left out.
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


def _stands_in(given: Mapping[str, Mapping[str, Any]], path: Sequence[str | int]) -> bool:
    """True if `given` has a value at `path` or below."""
    section = given.get(str(path[0]), {}) if path else given
    return bool(section) if len(path) < 2 else path[1] in section
