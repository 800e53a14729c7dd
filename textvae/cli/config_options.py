"""Command-line options that set configuration fields, derived from the fields."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

import typer
from typer.core import TyperCommand
from typer.main import get_command

from textvae.errors import shown

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Command = TypeVar("Command", bound=Callable[..., None])

# The fields that have an option of their own, in the order of the help; --set reaches the others.
FIELDS = (
    "valid", "text_column", "label_column", "max_tokens", "tokenizer", "vocab_size", "model",
    "encoder", "decoder", "encoder_training", "decoder_training", "lora_rank", "latent_injection",
    "latent_size", "hidden_size", "embedding_size", "layers", "word_dropout",
    "kl_schedule", "beta", "target_kl", "free_bits", "free_bits_mode", "batch_size",
    "learning_rate", "max_steps", "max_minutes", "epochs", "seed", "device", "precision", "threads",
    "embed_backbones", "track", "keep",
)  # fmt: skip


class ConfigurableCommand(TyperCommand):
    """A command that adds its configuration options when they are first needed.

    They are pydantic fields, and importing pydantic would make `textvae --help` slow.
    """

    _complete = False

    @property
    def params(self) -> list[Any]:
        """The command's own parameters, then the configuration options."""
        if not self._complete:
            self._complete = True
            assert self.callback is not None  # typer gives each command one
            app = typer.Typer(add_completion=False)
            app.command()(with_options(inspect.unwrap(self.callback)))
            whole = get_command(app)
            self._params, self.callback = whole.params, whole.callback
        return self._params

    @params.setter
    def params(self, own: list[Any]) -> None:
        self._params = own


def accepts_configuration(command: Command) -> Command:
    """`command(..., **options)` without the options; `ConfigurableCommand` adds them."""
    signature = inspect.signature(command, eval_str=True)
    command.__signature__ = signature.replace(parameters=own_parameters(signature))  # type: ignore[attr-defined]
    return command


def own_parameters(signature: inspect.Signature) -> list[inspect.Parameter]:
    """The parameters except `**options`."""
    every = signature.parameters.values()
    return [one for one in every if one.kind is not inspect.Parameter.VAR_KEYWORD]


def with_options(command: Command) -> Callable[..., None]:
    """The command with a parameter for each configuration option."""

    def run(**values: Any) -> None:
        command(**values)

    own = own_parameters(inspect.signature(command))
    run.__signature__ = inspect.Signature([*own, *map(option, FIELDS)])  # type: ignore[attr-defined]
    return run


def option(name: str) -> inspect.Parameter:
    """The option that sets the field `name`; None means that it was not given."""
    from textvae.config import SECTIONS, section_of

    field = SECTIONS[section_of(name)].model_fields[name]
    values: Any = value_type(field)
    metavar = "TEXT" if get_origin(values) is list else None
    parser = network if name in ("encoder", "decoder") else None
    metavar = "NAME" if parser is not None else metavar
    flag = f"--{name.replace('_', '-')}"
    settings = typer.Option(flag, metavar=metavar, parser=parser, help=help_of(field))
    annotation = Annotated[values | None, settings]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def network(name: str) -> str:
    """The name of an encoder or a decoder; a misspelt one is a usage error."""
    from textvae.config.references import check_name

    try:
        check_name(name)
    except ValueError as error:
        raise typer.BadParameter(f"{shown(name)}: {error}") from None
    return name


def help_of(field: FieldInfo) -> str:
    """The description of a field and its default, if any."""
    repeats = " May repeat." if get_origin(value_type(field)) is list else ""
    shown = "" if field.default in (None, (), False) else f"  [default: {field.default}]"
    return f"{field.description}{repeats}{shown}"


def value_type(field: FieldInfo) -> Any:
    """The type of an option's values: that of the field without constraints and None.

    >>> from textvae.config import TrainingConfig
    >>> value_type(TrainingConfig.model_fields["threads"])
    <class 'int'>
    >>> value_type(TrainingConfig.model_fields["track"])
    list[str]
    """
    annotation: Any = field.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        (annotation,) = (kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is tuple:
        return list[get_args(annotation)[0]]  # type: ignore[misc]
    return annotation
