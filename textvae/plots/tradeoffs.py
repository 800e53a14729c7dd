"""What is gained and what is lost: bits against distortion, and strength against a changed text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from textvae.api.compressing import RateDistortion
from textvae.errors import UsageError
from textvae.plots.files import Picture
from textvae.plots.panels import Panel, Series, panels

# The label of a vertical axis with its unit -> the name of a curve -> a figure at each point.
Figures = Mapping[str, Mapping[str, ArrayLike]]

_DISTORTIONS = {
    "BLEU (0 to 100)": "bleu",
    "exact match (share)": "exact_match",
    "-log p(x|z) (nats)": "rec",
}


def rate_distortion(
    bits: Mapping[str, ArrayLike],
    figures: Figures,
    *,
    codes: Mapping[str, Sequence[str]] | None = None,
    errors: Figures | None = None,
    title: str = "Rate and distortion",
) -> Picture:
    """What is decoded from a latent of so many bits, a curve for each model.

    >>> picture = rate_distortion(
    ...     {"vae": [32, 256, 1024]},
    ...     {"BLEU (0 to 100)": {"vae": [4.0, 11.5, 11.7]}},
    ...     codes={"vae": ["binary", "int8", "float32"]},
    ... )  # doctest: +SKIP

    Args:
        bits: of a sentence at each point, by the name of the curve.
        figures: such as BLEU and exact match, one panel each.
        codes: the name of each point, such as `int8`.
        errors: standard errors of the figures.

    Raises:
        UsageError: a curve of the figures has no bits, or another number of points.
    """
    unknown = sorted({name for own in figures.values() for name in own} - set(bits))
    if unknown:
        raise UsageError(f"bits lacks the curve {unknown[0]!r}; name the curves alike in both")
    return _picture(title, "bits per sentence (logarithmic)", bits, figures, errors, codes, base=2)


def compression(found: Sequence[RateDistortion], *, title: str = "Rate and distortion") -> Picture:
    """The rates and distortions of one or more models.

    Each model has a curve of product quantization, and one of the codes with the same bits for each
    dimension. The points without bits are left out, because the axis is logarithmic.

    >>> picture = compression([vae.rate_distortion("test.txt")])  # doctest: +SKIP
    """
    bits: dict[str, list[float]] = {}
    codes: dict[str, list[str]] = {}
    figures: dict[str, dict[str, list[float]]] = {label: {} for label in _DISTORTIONS}
    for one in found:
        for point in one.points:
            if point.bits <= 0:
                continue
            name = _curve(one.model, point.code, several=len(found) > 1)
            bits.setdefault(name, []).append(point.bits)
            named = point.code if point.code != "sample" else ""  # its curve has that name
            codes.setdefault(name, []).append(named)
            for label, key in _DISTORTIONS.items():
                figures[label].setdefault(name, []).append(getattr(point, key))
    return rate_distortion(bits, figures, codes=codes, title=title)


def _curve(model: str, code: str, *, several: bool) -> str:
    """The name of the curve of a code."""
    kind = "product quantization" if code.startswith("pq-") else "each dimension"
    if code == "sample":
        kind = "posterior sample"
    return f"{kind}: {model}" if several else kind  # a long name is cut at its end


def attribute_strength(
    strengths: ArrayLike,
    figures: Figures,
    *,
    errors: Figures | None = None,
    title: str = "Strength of an attribute",
) -> Picture:
    """What a shift of the latent along a direction does to sentences, a curve for each model.

    >>> attribute_strength(
    ...     [0.5, 1, 2],
    ...     {"accuracy (share)": {"vae": [0.3, 0.6, 0.9]}, "BLEU (0 to 100)": {"vae": [9, 7, 3]}},
    ... )  # doctest: +SKIP

    Args:
        strengths: multiples of the direction, the same for all curves.
        figures: such as accuracy, BLEU with the source and perplexity, one panel each.
        errors: standard errors of the figures.

    Raises:
        UsageError: a curve has another number of points.
    """
    x = {name: strengths for own in figures.values() for name in own}
    return _picture(title, "strength (multiples of the direction)", x, figures, errors)


def _picture(
    title: str,
    x_label: str,
    x: Mapping[str, ArrayLike],
    figures: Figures,
    errors: Figures | None,
    notes: Mapping[str, Sequence[str]] | None = None,
    *,
    base: int | None = None,
) -> Picture:
    drawn = [
        Panel(
            label,
            [
                Series(
                    name,
                    x[name],
                    y,
                    (errors or {}).get(label, {}).get(name),
                    (notes or {}).get(name, ()),
                )
                for name, y in own.items()
            ],
            lowest=0,
        )
        for label, own in figures.items()
        if own
    ]
    return panels(title, x_label, drawn, base=base)
