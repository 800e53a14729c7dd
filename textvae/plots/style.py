"""The look of all pictures, and matplotlib, which is imported when the first picture is drawn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from textvae.errors import UsageError
from textvae.plots.words import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito 2008, without the yellow, which is too faint on white paper; then Tol 2021, muted.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000",
    "#882255", "#332288",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*", "p")  # beside the colour
_COLUMNS_AN_INCH = 12  # of text in a title
INK, MUTED, FAINT = "#222222", "#767676", "#BBBBBB"

# Fonts for the scripts that DejaVu Sans lacks; those that are installed are used.
_MORE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "SimHei",
    "Droid Sans Fallback", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Thai",
    "Noto Sans", "Arial Unicode MS",
)  # fmt: skip
_SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.dpi": 100,
    "figure.titlesize": 11,
    "font.size": 9,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": 200,  # of PNG, and of many points in other formats
    "svg.fonttype": "none",  # text stays text: small, searchable, in the fonts of the viewer
    "svg.hashsalt": "textvae",  # the same picture gives the same bytes
    "text.color": INK,
    "text.parse_math": False,  # a sentence may hold two dollar signs
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}


def colour(place: int) -> str:
    """The colour of the series or group number `place`."""
    return COLOURS[place % len(COLOURS)]


def marker(place: int) -> str:
    """The marker of the series or group number `place`; with its colour, unique for 36 groups."""
    return MARKERS[place % len(MARKERS)]


def entitle(figure: Figure, title: str) -> None:
    """Put the title above a figure, at the left, shortened to the width of the figure."""
    columns = int(_COLUMNS_AN_INCH * figure.get_figwidth())
    figure.suptitle(shortened(title, columns), x=0.01, ha="left", color=INK)


def require_matplotlib() -> None:
    """Raise UsageError if matplotlib cannot be imported."""
    try:
        with _silent_logger():
            import matplotlib.font_manager  # noqa: F401  # which reads or builds a list of all fonts
    except ImportError as error:
        raise UsageError(
            f"pictures need matplotlib 3.8 or newer ({error}); try pip install 'textvae[plots]'"
        ) from None


@contextmanager
def drawing() -> Iterator[None]:
    """A block in which matplotlib has the settings of our pictures and logs only errors.

    Raises:
        UsageError: matplotlib is not installed.
    """
    require_matplotlib()
    import matplotlib

    fonts = ["DejaVu Sans", *_installed_fonts(), "sans-serif"]
    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_SETTINGS, "font.family": fonts}
    del settings["backend"]  # figures here need none, and setting it can open windows
    with _silent_logger(), matplotlib.rc_context(settings):
        yield


@contextmanager
def _silent_logger() -> Iterator[None]:
    """A block in which matplotlib does not log caches that it builds and fonts that it misses."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@cache
def _installed_fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return tuple(name for name in _MORE_FONTS if name in installed)
