"""Maps of sentences, coloured by group, and paths on them with their sentences beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textvae.errors import UsageError, option
from textvae.number_format import counted
from textvae.plots.files import Picture
from textvae.plots.panels import legend_text
from textvae.plots.style import COLOURS, FAINT, MUTED, colour, drawing, entitle, marker
from textvae.plots.words import width, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from textvae.api.mapping import PathOnMap, SentenceMap

MOST_STEPS = 12  # sentences that have room beside a map
_MOST_GROUPS = 12  # with a colour and a marker of their own; the others together are grey
_MOST_ELEMENTS = 2_000  # points; more become an image inside an SVG or PDF
_NAMES = {"pca": "principal component", "tsne": "t-SNE", "umap": "UMAP"}
_NAME = 44  # columns of text in the legend
_SIDE, _LEFT, _BOTTOM, _TOP = 4.4, 0.75, 0.55, 0.6  # inches: of the map, and around the map
_SENTENCES = 5.0  # inches at the right of a map
_SENTENCE_COLUMNS, _SENTENCE_LINES = 72, 2
_OVERLAP = 0.055  # of the side of a map: labels nearer to each other would overlap


@dataclass(frozen=True)
class _Group:
    """The points of a map that look the same."""

    name: str | None  # in the legend; None: not there
    members: NDArray[np.intp]
    look: Mapping[str, Any]


def sentence_map(found: SentenceMap) -> Picture:
    """The map, coloured by cluster, or without k by label; pages show the sentence of a point.

    >>> sentence_map(vae.sentence_map("sentences.tsv")).save("map.html")  # doctest: +SKIP
    """
    title = f"Map of {found.source} by {found.model or 'the model'}"
    is_label = found.clusters is None
    groups = _groups(found.groups(), "label" if is_label else "cluster")
    with drawing():
        figure, axes = _empty(_legend_width(groups))
        entitle(figure, title)
        hover = _scatter(axes, found, groups)
        _name_axes(axes, found)
        _equal_scales(axes, found.projection.points)
        if groups[0].name is not None:
            column = legend_text(found.label_column or "label", _NAME)
            _legend(axes, groups, column if is_label else "cluster: its central sentence")
    return Picture(figure, title, hover)


def path_on_map(found: PathOnMap) -> Picture:
    """The path on the map, its steps numbered and their sentences listed beside.

    Raises:
        UsageError: more steps than have room.

    >>> path_on_map(vae.path_on_map("sentences.txt", a, b)).save("path.svg")  # doctest: +SKIP
    """
    check_steps(len(found.steps))
    title = f"Path ({found.path}) between two sentences of {found.map.model or 'the model'}"
    n = len(found.map.rows)
    with drawing():
        figure, axes = _empty(_SENTENCES)
        entitle(figure, title)
        everything = [_Group(None, np.arange(n), {"color": FAINT, "marker": "o"})]
        hover = _scatter(axes, found.map, everything)
        path = np.array([(step.x, step.y) for step in found.steps])
        axes.plot(*path.T, color=COLOURS[0], linewidth=1.4)
        _name_axes(axes, found.map)
        side = _equal_scales(axes, np.vstack([found.map.projection.points, path]))
        _number_steps(axes, path, _OVERLAP * side)
        start = 1 - (_SENTENCES - 0.2) / figure.get_figwidth()
        _list_sentences(figure.add_axes((start, 0.03, 1 - start, 0.94)), found)
    return Picture(figure, title, hover)


def check_steps(steps: int) -> None:
    """Raise UsageError where the sentences of so many steps have no room beside a map."""
    if steps > MOST_STEPS:
        raise UsageError(
            f"{option('steps', steps)}: only {MOST_STEPS} sentences have room beside a map; "
            f"try {option('steps', 7)}"
        )


def _groups(names: Sequence[str | None], what: str) -> list[_Group]:
    """The groups, the largest first, then those that are grey; one group if there are no names."""
    counts = Counter(name for name in names if name is not None)
    if not counts:
        return [_Group(None, np.arange(len(names)), {"color": COLOURS[0], "marker": "o"})]
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    shown = ranked if len(ranked) <= _MOST_GROUPS else ranked[: _MOST_GROUPS - 1]
    number = {name: place for place, name in enumerate(shown)}
    of = np.array([-2 if name is None else number.get(name, -1) for name in names])
    found = [
        _Group(name, np.flatnonzero(of == place), {"color": colour(place), "marker": marker(place)})
        for name, place in number.items()
    ]
    others = counted(len(ranked) - len(shown), f"other {what}")
    for place, name, shape in ((-1, others, "."), (-2, f"no {what}", "d")):
        members = np.flatnonzero(of == place)
        if len(members):
            found.append(_Group(name, members, {"color": FAINT, "marker": shape}))
    return found


def _empty(right: float) -> tuple[Figure, Axes]:
    """A figure with a square for a map, and so many inches at the right of the square."""
    from matplotlib.figure import Figure

    across, high = _LEFT + _SIDE + right, _BOTTOM + _SIDE + _TOP
    figure = Figure(figsize=(across, high))
    place = (_LEFT / across, _BOTTOM / high, _SIDE / across, _SIDE / high)
    return figure, figure.add_axes(place)


def _scatter(axes: Axes, found: SentenceMap, groups: Sequence[_Group]) -> dict[str, Sequence[str]]:
    """Draw the points, the smallest group on top; the texts of each group by its id."""
    points = found.points()
    hover: dict[str, Sequence[str]] = {}
    size = float(np.clip(160 / np.sqrt(len(points)), 2.2, 6))
    for place, group in sorted(enumerate(groups), key=lambda one: one[1].look["color"] != FAINT):
        own = [points[member] for member in group.members]
        (line,) = axes.plot(
            [point.x for point in own],
            [point.y for point in own],
            linestyle="",
            markersize=size,
            markeredgewidth=0,
            alpha=0.75,
            rasterized=len(points) > _MOST_ELEMENTS,
            **group.look,
        )
        line.set_gid(f"points-{place}")
        hover[f"points-{place}"] = [
            point.text if point.label is None else f"{point.text}\n{point.label}" for point in own
        ]
    return hover


def _name_axes(axes: Axes, found: SentenceMap) -> None:
    """Name the axes, and say how many sentences there are."""
    name, shares = _NAMES[found.method], found.projection.explained
    units = ["no unit"] * 2
    if shares is not None:
        # The shares are 0 where all sentences have one place.
        units = [f"units of the vectors; {share:.1%} of the variance" for share in shares]
    axes.set_xlabel(f"{name} 1 ({units[0]})")
    axes.set_ylabel(f"{name} 2 ({units[1]})")
    n = counted(len(found.rows), "sentence")
    drawn = n if len(found.rows) == found.n_read else f"{n}, a sample of {found.n_read:,}"
    axes.set_title(drawn, loc="left", color=MUTED)


def _equal_scales(axes: Axes, points: NDArray[np.float64]) -> float:
    """Make the axes a square with one scale, around the points (N, 2); the side of the square."""
    low, high = points.min(0), points.max(0)
    half = 0.53 * float((high - low).max()) or 1.0
    (x, y) = (low + high) / 2
    axes.set_xlim(x - half, x + half)
    axes.set_ylim(y - half, y + half)
    axes.set_aspect("equal", adjustable="box")
    return 2 * half


def _entries(groups: Sequence[_Group]) -> list[str]:
    """The texts of the legend; none where the groups have no names."""
    return [
        f"{legend_text(group.name, _NAME)} ({len(group.members):,})"
        for group in groups
        if group.name is not None
    ]


def _legend_width(groups: Sequence[_Group]) -> float:
    """The inches that the legend takes at the right of a map."""
    return 0.3 + max((0.5 + 0.064 * max(width(text), 16) for text in _entries(groups)), default=0)


def _legend(axes: Axes, groups: Sequence[_Group], title: str) -> None:
    from matplotlib.lines import Line2D

    axes.legend(
        [Line2D([], [], linestyle="", markersize=6, **group.look) for group in groups],
        _entries(groups),
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        title=title,
        alignment="left",
        fontsize=8,
    )


def _number_steps(axes: Axes, path: NDArray[np.float64], near: float) -> None:
    """Number the steps (S, 2) from 1; steps that hardly move share one label, "2–4"."""
    runs = [range(step, step + 1) for step in range(len(path))]  # of steps with one label
    while len(runs) > 1:
        centres = np.array([path[run.start : run.stop].mean(0) for run in runs])
        apart = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        closest = int(apart.argmin())
        if apart[closest] > near:
            break
        runs[closest : closest + 2] = [range(runs[closest].start, runs[closest + 1].stop)]
    for run in runs:
        text = str(run.stop) if len(run) == 1 else f"{run.start + 1}–{run.stop}"
        _number(axes, text, tuple(path[run.start : run.stop].mean(0)))


def _number(axes: Axes, text: str, at: tuple[float, float]) -> None:
    """A number, or several, in a white circle."""
    shape = "circle,pad=0.25" if len(text) < 3 else "round,pad=0.3"
    circle = {"boxstyle": shape, "facecolor": "white", "edgecolor": COLOURS[0]}
    axes.text(*at, text, ha="center", va="center", fontsize=7, bbox=circle)


def _list_sentences(axes: Axes, found: PathOnMap) -> None:
    """The sentences of a path with their numbers, between the two that were given."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(len(found.steps) + 0.5, -1.5)
    for place, step in enumerate(found.steps):
        _number(axes, str(place + 1), (0.03, place))
        lines = wrapped(step.text, _SENTENCE_COLUMNS, _SENTENCE_LINES)
        axes.text(0.08, place, "\n".join(lines), va="center", fontsize=8)
    for place, name, text in ((-1, "from", found.a), (len(found.steps), "to", found.b)):
        lines = wrapped(f"{name}: {text}", _SENTENCE_COLUMNS, _SENTENCE_LINES)
        axes.text(0.08, place, "\n".join(lines), va="center", fontsize=8, color=MUTED)
