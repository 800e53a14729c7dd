"""Pictures in files: the format by the ending, equal bytes, pages with the texts of points."""

from __future__ import annotations

from pathlib import Path
from xml.dom import minidom

import pytest

from textvae import TextVAEWarning, plots
from textvae.errors import NotFoundError, UsageError
from textvae.plots.files import PICTURE_FORMATS, check_picture

BEGINNINGS = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF", ".html": b"<!doctype html>"}


def picture(name: str = "vae") -> plots.Picture:
    """A picture with one curve."""
    return plots.rate_distortion({name: [8, 32]}, {"BLEU (0 to 100)": {name: [3.0, 12.0]}})


@pytest.mark.parametrize("suffix", PICTURE_FORMATS)
def test_the_same_picture_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix.upper()}"
    picture().save(first)
    picture().save(second)
    assert first.read_bytes().startswith(BEGINNINGS[suffix])
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in tmp_path.glob(".*")] == []  # nothing half written


def test_text_in_an_svg_stays_text_and_dollars_are_no_formula(tmp_path: Path) -> None:
    two = {"$x$": [1.0, 2.0], "_b": [2.0, 3.0]}
    drawn = plots.rate_distortion({name: [8, 32] for name in two}, {"BLEU": two})
    drawn.save(tmp_path / "a.svg")
    texts = minidom.parseString((tmp_path / "a.svg").read_bytes()).getElementsByTagName("text")
    assert {"$x$", "_b", "BLEU"} <= {text.firstChild.data.strip() for text in texts}
    assert drawn._repr_svg_() == (tmp_path / "a.svg").read_text()


def test_what_would_be_lost_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.svg, \.png, \.pdf, \.html"):
        check_picture(tmp_path / "a.jpg")
    with pytest.raises(NotFoundError, match="does not exist"):
        check_picture(tmp_path / "no" / "a.svg")
    (tmp_path / "a.svg").write_text("us !")
    with pytest.raises(UsageError, match="overwrite the input"):
        check_picture(tmp_path / "a.svg", str(tmp_path / "a.svg"))
    (tmp_path / "b.svg").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        picture().save(tmp_path / "b.svg")


def test_characters_without_a_font_are_one_warning_where_they_are_lost(tmp_path: Path) -> None:
    drawn = picture("one")
    drawn.figure.suptitle("\U0001f9ff and \ue000")  # the second is in no font
    with pytest.warns(TextVAEWarning, match=r"fonts lack \d character.*write \.svg") as caught:
        drawn.save(tmp_path / "a.png")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    drawn.save(tmp_path / "a.svg")  # a warning would be an error here
    assert "\ue000" in (tmp_path / "a.svg").read_text()


def test_a_page_is_complete_and_runs_no_text(tmp_path: Path) -> None:
    drawn = picture()
    (line,) = [line for line in drawn.figure.axes[0].lines if len(line.get_xdata()) == 2]
    line.set_gid("points")
    texts = ["</title></svg><script>alert(1)</script>", "a\x00b & c"]
    plots.Picture(drawn.figure, "<b>&", {"points": texts}).save(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    svg = minidom.parseString(page[page.index("<svg") : page.index("</svg>") + len("</svg>")])
    (group,) = [g for g in svg.getElementsByTagName("g") if g.getAttribute("id") == "points"]
    titles = [title.firstChild.data for title in group.getElementsByTagName("title")]
    assert titles == [texts[0], r"a\x00b & c"]
    assert page.count("<script>") == 1
    assert "<b>" not in page
    for attribute in ("src=", 'href="http'):
        assert attribute not in page
