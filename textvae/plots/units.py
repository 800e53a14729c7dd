"""The KL of the units of a latent, as sorted bars with the active ones marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textvae.evaluation.information import ACTIVE_VARIANCE
from textvae.number_format import counted
from textvae.plots.files import Picture
from textvae.plots.style import FAINT, INK, MUTED, colour, drawing, entitle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from textvae.api.kl_units import Unit, UnitKL

_MOST_NAMED = 64  # units whose numbers have room below their bars
_BAR, _NARROWEST, _WIDEST = 0.14, 4.5, 9.0  # inches
_TWO_COLUMNS = 6.5  # inches, from which the entries of the legend stand side by side


def unit_kl(found: UnitKL) -> Picture:
    """The KL of each unit, the largest first; inactive units are hatched.

    >>> unit_kl(vae.unit_kl("sentences.txt")).save("kl.svg")  # doctest: +SKIP
    """
    from matplotlib.figure import Figure

    units = found.units()
    title = f"KL by unit: {found.model or 'the model'} on {found.source}"
    with drawing():
        width = min(max(_BAR * len(units) + 1.2, _NARROWEST), _WIDEST)
        figure = Figure(figsize=(width, 3.6), layout="constrained")
        entitle(figure, title)
        axes = figure.add_subplot()
        _bars(axes, units, active=True)
        _bars(axes, units, active=False)
        axes.set_title(
            f"{found.kl.sum():,.2f} nats in all, {found.active_units} of "
            f"{counted(len(units), 'unit')} active, {counted(found.n_sentences, 'sentence')}",
            loc="left",
            color=MUTED,
        )
        axes.set_xlim(-0.7, len(units) - 0.3)
        if len(units) <= _MOST_NAMED:
            names = [str(unit.unit) for unit in units]
            axes.set_xticks(range(len(units)), names, rotation=90, fontsize=7)
            axes.set_xlabel("unit, the largest KL first (number)")
        else:
            axes.set_xlabel("rank of the unit by KL, from 0 (count)")
        axes.set_ylabel("KL to the prior (nats per sentence)")
        axes.grid(visible=False, axis="x")
        axes.set_ylim(0, 1.05 * max(unit.kl for unit in units) or 1)
        figure.legend(loc="outside lower center", ncols=1 if width < _TWO_COLUMNS else 2)
    return Picture(figure, title)


def _bars(axes: Axes, units: list[Unit], *, active: bool) -> None:
    drawn = [(place, unit.kl) for place, unit in enumerate(units) if unit.active == active]
    relation = ">" if active else "≤"
    look: dict[str, Any] = {"color": colour(0), "linewidth": 0}
    if not active:
        look = {"color": FAINT, "edgecolor": INK, "hatch": "////", "linewidth": 0.4}
    if drawn:
        axes.bar(
            [place for place, _ in drawn],
            [kl for _, kl in drawn],
            width=0.8,
            label=f"{'active' if active else 'inactive'}: variance of the mean "
            f"{relation} {ACTIVE_VARIANCE:g}",
            **look,
        )
