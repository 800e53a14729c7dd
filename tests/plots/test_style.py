"""The look of pictures: colours for everyone, and matplotlib left as it was."""

from __future__ import annotations

import itertools
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from textvae.errors import UsageError
from textvae.plots.files import check_picture
from textvae.plots.style import COLOURS, colour, drawing, marker
from textvae.plots.words import shortened, width, wrapped

# Linear RGB as people without green or without red cones see it: Machado 2009, table 1.
VISIONS = {
    "all cones": np.eye(3),
    "no green": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "no red": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(code: str) -> NDArray[np.float64]:
    """Linear RGB of #RRGGBB, by the definition of sRGB."""
    rgb = np.array([int(code[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* of linear RGB, in which 2.3 is a difference that is just seen."""
    xyz = TO_XYZ @ rgb.clip(0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISIONS)
def test_all_eyes_tell_the_colours_apart(vision: str) -> None:
    seen = [lab(VISIONS[vision] @ linear(code)) for code in COLOURS]
    closest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert closest > 15


def test_colours_stand_out_from_white_paper() -> None:
    contrasts = [1.05 / (float(TO_XYZ[1] @ linear(code)) + 0.05) for code in COLOURS]
    assert min(contrasts) > 2


def test_a_colour_with_its_marker_is_unique() -> None:
    assert len({(colour(place), marker(place)) for place in range(36)}) == 36


def test_matplotlib_is_left_as_it_was() -> None:
    import matplotlib

    before, level = dict(matplotlib.rcParams), logging.getLogger("matplotlib").level
    with drawing():
        assert matplotlib.rcParams["svg.hashsalt"] == "textvae"
    assert dict(matplotlib.rcParams) == before
    assert logging.getLogger("matplotlib").level == level


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.font_manager", None)
    with pytest.raises(UsageError, match=r"pip install 'textvae\[plots\]'$"):
        check_picture(tmp_path / "a.svg")


@pytest.mark.parametrize(
    "text", ["the soup was cold .", "他喜欢喝茶。" * 9, "a" * 99, "", " a  b\n"]
)
@pytest.mark.parametrize("columns", [4, 9, 40])
def test_words_keep_within_their_columns_and_lose_no_letter_but_the_last(
    text: str, columns: int
) -> None:
    lines = wrapped(text, columns, 3)
    assert 1 <= len(lines) <= 3
    assert all(width(line) <= columns for line in (*lines, shortened(text, columns)))
    kept = "".join("".join(lines).removesuffix("…").split())
    assert "".join(text.split()).startswith(kept)
    assert lines[-1].endswith("…") or kept == "".join(text.split())


def test_a_full_stop_of_tokenized_text_stays_with_its_word() -> None:
    assert wrapped("the soup was cold .", 17, 2) == ["the soup was", "cold ."]


def test_control_characters_are_written_out() -> None:
    assert shortened("a\x1b[31m\u202eb", 40) == r"a\x1b[31m\u202eb"
