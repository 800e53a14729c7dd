"""Curves in panels side by side: a series has the same colour, dashes and marker in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from textvae.errors import UsageError
from textvae.plots.files import Picture
from textvae.plots.style import INK, MUTED, colour, drawing, entitle, marker
from textvae.plots.words import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES = ("-", "--", ":", "-.")  # beside the colour, for print
_WIDTH, _HEIGHT = 3.3, 2.7  # of a panel, in inches
_LONGEST_NAME, _LONGEST_NOTE = 48, 12  # columns of text
_MOST_ABOVE = 1.2  # times the range of an axis; points further above are left out
_PLAIN = (-4, 6)  # powers of ten between which ticks are plain numbers
_MOST_TICKS = 5  # parts of a horizontal axis; numbers of steps in thousands touch each other beyond
_NOTE_HEIGHT, _NOTE_POINTS = 0.065, 9.0  # of a note beside a point: share of an axis, points
_MARGIN = 0.08  # of the range of an axis, above and below
_MOST_MARKERS = 25  # of a series; more would hide the curve


@dataclass(frozen=True)
class Series:
    """A curve of N points.

    Args:
        name: in the legend; series of one name share colour, dashes and marker in all panels.
        x, y: (N,).
        error: standard error of each y, drawn as a bar, (N,).
        notes: a short text beside each point.
        look: `marked` has a marker at the points, `plain` has none, `thin` is for noise such as the
            means of training steps.
        ring: index of a point with a ring around it.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    error: ArrayLike | None = None
    notes: Sequence[str] = ()
    look: Literal["marked", "plain", "thin"] = "marked"
    ring: int | None = None


@dataclass(frozen=True)
class Panel:
    """The curves that share a vertical axis.

    Args:
        label: of the vertical axis, with its unit.
        lowest: the vertical axis begins here; None: below the lowest point.
        highest: the vertical axis ends a little above; points beyond are named in a corner.
    """

    label: str
    series: Sequence[Series]
    lowest: float | None = None
    highest: float | None = None


def panels(
    title: str,
    x_label: str,
    drawn: Sequence[Panel],
    *,
    base: int | None = None,
    keys: Sequence[tuple[str, Any]] = (),
) -> Picture:
    """A picture with a panel for each vertical axis.

    Args:
        x_label: of the horizontal axis, with its unit.
        base: of the logarithms along the horizontal axis; None: a linear axis.
        keys: (name, properties of a line) of further entries of the legend.

    Raises:
        UsageError: no panel, or a series whose x, y, error and notes differ in length.
    """
    if not drawn:
        raise UsageError("there is nothing to draw: no series with points")
    with drawing():
        figure, places = _grid(len(drawn))
        entitle(figure, title)
        names = list(dict.fromkeys(one.name for panel in drawn for one in panel.series))
        for axes, panel in zip(places, drawn, strict=True):
            for one in panel.series:
                _draw(axes, one, names.index(one.name))
            _annotate(axes, panel)
            _limit(axes, panel)
            axes.set_xlabel(x_label)
            axes.set_ylabel(panel.label)
            axes.ticklabel_format(axis="y", scilimits=_PLAIN)
            if base is None:
                axes.locator_params(axis="x", nbins=_MOST_TICKS, steps=[1, 2, 5, 10])
            else:
                axes.set_xscale("log", base=base)
            axes.xaxis.set_major_formatter(lambda x, place: f"{x:,.10g}")
        _legend(figure, names, keys)
    return Picture(figure, title)


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = {4: 2, 7: 4, 8: 4}.get(count, min(count, 3))
    rows = -(-count // columns)
    size = (max(columns * _WIDTH, 4.5), rows * _HEIGHT + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.add_gridspec(rows, columns)
    first = figure.add_subplot(grid[0, 0])
    others = [divmod(place, columns) for place in range(1, count)]
    return figure, [first, *(figure.add_subplot(grid[at], sharex=first) for at in others)]


def _draw(axes: Axes, one: Series, place: int) -> None:
    x, y = _checked(one)
    line = _line(place)
    if one.look != "marked" and len(x) > 1:  # a single point without a marker would not be seen
        thin = {"linestyle": "-", "linewidth": 0.8, "alpha": 0.6} if one.look == "thin" else {}
        axes.plot(x, y, **{**line, "marker": "", **thin})
        return
    axes.plot(x, y, markevery=max(1, -(-len(x) // _MOST_MARKERS)), **line)
    if one.error is not None:
        axes.errorbar(x, y, one.error, color=colour(place), fmt="none", capsize=2, linewidth=0.9)
    if one.ring is not None:
        ring: dict[str, Any] = {
            "marker": "o",
            "markersize": 10,
            "markerfacecolor": "none",
            "markeredgecolor": INK,
        }
        axes.plot(x[one.ring], y[one.ring], **ring)


def _annotate(axes: Axes, panel: Panel) -> None:
    """Write the notes; one that several curves have at the same x stands at the highest.

    A note that would lie on another one at the same x stands above the other note.
    """
    highest: dict[tuple[float, str], float] = {}
    for one in panel.series:
        for x, y, note in zip(*_checked(one), one.notes, strict=bool(one.notes)):
            highest[x, note] = max(y, highest.get((x, note), y))
    heights = [*highest.values(), *([] if panel.lowest is None else [panel.lowest])]
    near = _NOTE_HEIGHT * (max(heights, default=0.0) - min(heights, default=0.0))
    taken: dict[float, float] = {}  # the height of the last note at an x, in units of the axis
    for (x, note), y in sorted(highest.items(), key=lambda item: item[1]):
        low = max(y, taken.get(x, -np.inf) + near)
        taken[x] = low
        above = (low - y) / near * _NOTE_POINTS if near else 0.0
        axes.annotate(
            shortened(note, _LONGEST_NOTE),
            (x, y),
            (4, 4 + above),
            textcoords="offset points",
            fontsize=7,
            color=MUTED,
        )


def _limit(axes: Axes, panel: Panel) -> None:
    """Set the ends of the vertical axis, and name what lies beyond."""
    values = np.concatenate([_checked(one)[1] for one in panel.series])
    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, top = float(values.min()), float(values.max())
    low = low if panel.lowest is None else panel.lowest
    high = top
    if panel.highest is not None and top - low > _MOST_ABOVE * (panel.highest - low):
        high = panel.highest
        text = f"begins at {top:,.4g}" if top == values[0] else f"reaches {top:,.4g}"
        place: dict[str, Any] = {"xycoords": "axes fraction", "ha": "right", "va": "top"}
        axes.annotate(text, (0.98, 0.98), fontsize=7, color=MUTED, **place)
    margin = _MARGIN * ((high - low) or abs(high) or 1.0)
    axes.set_ylim(low if panel.lowest is not None else low - margin, high + margin)


def _checked(one: Series) -> tuple[Any, Any]:
    x, y = np.asarray(one.x, dtype=float), np.asarray(one.y, dtype=float)
    lengths = {x.shape, y.shape, y.shape if one.error is None else np.shape(one.error)}
    if len(lengths) > 1 or x.ndim != 1 or (one.notes and len(one.notes) != len(x)):
        raise UsageError(
            f"series {one.name!r}: x has shape {x.shape}, y {y.shape}; x, y, error and notes need "
            "one entry for each point"
        )
    return x, y


def _line(place: int) -> dict[str, Any]:
    return {
        "color": colour(place),
        "linestyle": _DASHES[place % len(_DASHES)],
        "marker": marker(place),
        "markersize": 4.5,
    }


def _legend(figure: Figure, names: Sequence[str], keys: Sequence[tuple[str, Any]]) -> None:
    """One legend for all panels, below them; none for one series without a key."""
    from matplotlib.lines import Line2D

    shown = [(name, _line(place)) for place, name in enumerate(names)] if len(names) > 1 else []
    entries = [*shown, *keys]
    if entries:
        figure.legend(
            [Line2D([], [], **properties) for _, properties in entries],
            [legend_text(name) for name, _ in entries],
            loc="outside lower center",
            ncols=min(len(entries), 3),
        )


def legend_text(name: str, most: int = _LONGEST_NAME) -> str:
    """A name for a legend; matplotlib would leave out a name that begins with an underscore."""
    text = shortened(name, most)
    return f" {text}" if text.startswith("_") else text
