"""A job of vectors: which sentences, by which model, and how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from textvae.api.encoding import fingerprint_of
from textvae.errors import UsageError, option, shown, worded
from textvae.export import parts
from textvae.export.table import Block, Extent

if TYPE_CHECKING:
    from textvae.api import TextVAE
    from textvae.data.input_rows import Sentences
    from textvae.data.rows import Row
    from textvae.models.sentence import Layer
    from textvae.progress import Remarks

Quantization: TypeAlias = Literal["int8", "binary"]  # a byte or a bit a dimension


@dataclass(frozen=True)
class Settings:
    """The choice of the vector of a sentence: arguments of `TextVAE.embed`.

    Raises:
        UsageError: they contradict each other.
    """

    layer: Layer = "latent"
    normalize: bool = False
    with_variance: bool = False
    sample_seed: int | None = None  # None: the posterior mean
    dimensions: int | None = None  # None: all

    def __post_init__(self) -> None:
        sample = self.sample_seed is not None
        sampled = worded("--sample", "sample_seed=...")
        asked = option("with_variance", True) if self.with_variance else sampled
        other_layer = self.layer != "latent" and option("layer", self.layer)
        for given, other, reason in (
            (sample, other_layer, "only the latent has a posterior"),
            (self.with_variance, other_layer, "only the latent has them"),
            (self.with_variance, sample and sampled, "they are those of the means"),
            (
                self.with_variance,
                self.normalize and option("normalize", True),
                "they are those of the means as they are",
            ),
        ):
            if given and other:
                raise UsageError(f"{asked} with {other}: {reason}; leave one of them out")


def check_quantization(quantize: str | None) -> None:
    """Raise UsageError for an unknown quantization."""
    if quantize not in (None, *get_args(Quantization)):
        known = " or ".join(map(repr, get_args(Quantization)))
        raise UsageError(f"quantize {shown(quantize)} is unknown; try {known}")


@dataclass(frozen=True)
class Job:
    """Which sentences become vectors, by which model, and how."""

    vae: TextVAE
    sentences: Sentences
    text_column: str | None
    label_column: str | None
    settings: Settings

    def rows(self, remarks: Remarks | None = None) -> Iterator[Row]:
        """The sentences, one for each line of input; `remarks` gets what is recognized in it."""
        from textvae.data.input_rows import prepared_rows

        return prepared_rows(
            self.sentences,
            self.vae.config.data,
            text_column=self.text_column,
            label_column=self.label_column,
            remarks=remarks,
        )

    def parts(
        self, extent: Extent, remarks: Remarks | None = None
    ) -> Iterator[tuple[int, list[Row]]]:
        """(index of the first row, rows) of each part; `extent` counts the rows that passed."""
        from textvae.data.input_rows import in_chunks

        return in_chunks(extent.watch(self.rows(remarks)), parts.PART)

    def block(self, start: int, rows: Sequence[Row]) -> tuple[Block, int]:
        """The rows with their vectors, and the number of truncated sentences."""
        texts = [row.text for row in rows]
        found = self.vae.embed(texts, first=start, **vars(self.settings))
        labels = [row.label for row in rows]
        return Block(start, texts, labels, found.vectors, found.variances), found.cut

    def identity(self, inputs: object) -> dict[str, Any]:
        """All that the vectors depend on, as JSON; `inputs` identifies the input."""
        return {
            # Of the model in memory: its folder may hold another one meanwhile.
            "model": fingerprint_of(self.vae),
            "input": inputs,
            "text_column": self.text_column,
            "label_column": self.label_column,
            **vars(self.settings),
            "device": self.vae.model.device.type,  # whose arithmetic differs in the last bits
            "part": parts.PART,
        }
