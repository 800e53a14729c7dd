"""Maps and the other pictures of a latent: every sentence is drawn once, in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from textvae.api import Row, SentenceMap, TextVAE, UnitKL
from textvae.errors import UsageError
from textvae.plots import attribute_strength, path_on_map, rate_distortion, sentence_map, unit_kl
from textvae.plots.files import Picture


@pytest.fixture(scope="module")
def vae(tiny_vae: Path) -> TextVAE:
    """The tiny VAE."""
    return TextVAE.from_pretrained(tiny_vae, device="cpu")


def drawn_points(picture: Picture) -> dict[str, list[tuple[float, float]]]:
    """The points of each group of a map, by the id of the group."""
    (axes, *_) = picture.figure.axes
    groups = [line for line in axes.lines if str(line.get_gid()).startswith("points-")]
    return {line.get_gid(): list(zip(*line.get_data(), strict=True)) for line in groups}


def check_each_sentence_once(picture: Picture, found: SentenceMap) -> None:
    """Each sentence stands in one group, at its point, with its text."""
    at = {(point.x, point.y): point.text for point in found.points()}
    drawn = drawn_points(picture)
    assert sum(map(len, drawn.values())) == len(found.rows)
    for name, points in drawn.items():
        texts = [text.split("\n")[0] for text in picture.hover[name]]
        assert texts == [at[point] for point in points]


@pytest.mark.parametrize(("labels", "groups"), [(1, 1), (3, 3), (12, 12), (13, 12), (150, 12)])
def test_many_labels_become_one_grey_group(
    vae: TextVAE, sentences: list[str], labels: int, groups: int
) -> None:
    rows = [Row(text, f"_{place % labels}") for place, text in enumerate(sentences)]
    found = vae.sentence_map(rows)
    picture = sentence_map(found)
    check_each_sentence_once(picture, found)
    legend = picture.figure.axes[0].get_legend()
    names = [text.get_text().strip() for text in legend.get_texts()]
    assert len(names) == groups
    counts = [int(name.rpartition("(")[2].strip(")")) for name in names]
    assert sum(counts) == len(sentences)
    assert (names[-1].startswith(f"{labels - 11} other label")) == (labels > 12)


def test_sentences_without_a_label_are_a_group(vae: TextVAE, sentences: list[str]) -> None:
    rows = [Row(text, None if place % 2 else "a") for place, text in enumerate(sentences)]
    picture = sentence_map(vae.sentence_map(rows))
    names = [text.get_text() for text in picture.figure.axes[0].get_legend().get_texts()]
    assert names == ["a (75)", "no label (75)"]


def test_the_legend_is_headed_by_the_column_of_the_labels(
    vae: TextVAE, sentences: list[str], tmp_path: Path
) -> None:
    table = tmp_path / "labelled.tsv"
    lines = [f"{text}\t{place % 2}" for place, text in enumerate(sentences)]
    table.write_text("\n".join(["text\ttense", *lines]), encoding="utf-8")
    rows = [Row(text, "a") for text in sentences]
    for found, heading in (
        (vae.sentence_map(str(table), label_column="tense"), "tense"),
        (vae.sentence_map(rows), "label"),
    ):
        legend = sentence_map(found).figure.axes[0].get_legend()
        assert legend.get_title().get_text() == heading


def test_a_map_without_labels_has_no_legend_and_one_with_k_names_the_clusters(
    vae: TextVAE, sentences: list[str], tmp_path: Path
) -> None:
    found = vae.sentence_map(sentences)
    picture = sentence_map(found)
    check_each_sentence_once(picture, found)
    assert picture.figure.axes[0].get_legend() is None
    found = vae.sentence_map(sentences, k=3)
    picture = sentence_map(found)
    check_each_sentence_once(picture, found)
    names = [text.get_text() for text in picture.figure.axes[0].get_legend().get_texts()]
    assert [name[:2] for name in names] == ["0:", "1:", "2:"]
    picture.save(tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text()
    assert all(page.count(f"<title>{text}") == 1 for text in sentences)


@pytest.mark.parametrize("texts", [["us !"], ["us !"] * 4, ["", "us !"]])
def test_few_or_equal_sentences_make_a_map(vae: TextVAE, texts: list[str], tmp_path: Path) -> None:
    sentence_map(vae.sentence_map(texts)).save(tmp_path / "a.html")


def test_many_points_are_an_image_in_an_svg_and_elements_in_a_page(
    vae: TextVAE, sentences: list[str], tmp_path: Path
) -> None:
    picture = sentence_map(vae.sentence_map(sentences * 14))
    picture.save(tmp_path / "a.svg")
    picture.save(tmp_path / "a.html")
    picture.save(tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "<image" in (tmp_path / "a.svg").read_text()
    assert (tmp_path / "a.html").read_text().count("<title>us !") == 0
    assert (tmp_path / "a.html").read_text().count(f"<title>{sentences[0]}") == 14


def test_a_path_is_drawn_in_order_with_its_sentences(vae: TextVAE, sentences: list[str]) -> None:
    found = vae.path_on_map(sentences, sentences[0], sentences[-1], 5)
    picture = path_on_map(found)
    plane, beside = picture.figure.axes
    (line,) = [line for line in plane.lines if len(line.get_xdata()) == 5]
    assert list(zip(*line.get_data(), strict=True)) == [(step.x, step.y) for step in found.steps]
    numbers = [text.get_text().split("–") for text in plane.texts]  # 2–4: hardly a move
    assert [n for own in numbers for n in range(int(own[0]), int(own[-1]) + 1)] == [1, 2, 3, 4, 5]
    written = [text.get_text().replace("\n", " ") for text in beside.texts]
    assert written[1:10:2] == [step.text for step in found.steps]
    assert written[10:] == [f"from: {sentences[0]}", f"to: {sentences[-1]}"]
    with pytest.raises(UsageError, match="room beside a map"):
        path_on_map(vae.path_on_map(sentences, "us !", "rain .", 13))


def test_the_numbers_of_a_path_do_not_hide_each_other(vae: TextVAE, sentences: list[str]) -> None:
    """In a group that moves on slowly, each step is near to the next one."""
    found = vae.path_on_map(sentences, sentences[0], sentences[-1], 7)
    for places in ((0, 0.02, 0.04, 0.06, 0.08, 0.1, 1), (0, 0.1, 0.2, 0.3, 0.33, 0.36, 1)):
        steps = [replace(step, x=x, y=x) for step, x in zip(found.steps, places, strict=True)]
        plane, _ = path_on_map(replace(found, steps=tuple(steps))).figure.axes
        side = np.ptp(plane.get_xlim())
        at = np.array([text.get_position() for text in plane.texts])
        assert 2 <= len(at) < 7
        assert np.linalg.norm(np.diff(at, axis=0), axis=1).min() > 0.05 * side


def test_the_bars_are_sorted_and_the_inactive_ones_hatched() -> None:
    kl, variance = np.array([0.1, 2.0, 0.5]), np.array([0.005, 0.8, 0.01])
    picture = unit_kl(UnitKL("m", "t", 9, kl, variance))
    (axes,) = picture.figure.axes
    bars = sorted(axes.patches, key=lambda bar: bar.get_x())
    assert [bar.get_height() for bar in bars] == [2.0, 0.5, 0.1]
    assert [bool(bar.get_hatch()) for bar in bars] == [False, True, True]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "0"]
    unit_kl(UnitKL("m", "t", 9, np.zeros(100), np.zeros(100)))  # a collapsed latent


def test_a_note_of_several_curves_stands_once_at_the_highest() -> None:
    bits, codes = [8, 32], ["int8", "float32"]
    figures = {"BLEU (0 to 100)": {"vae": [3.0, 12.0], "ae": [9.0, 10.0]}}
    picture = rate_distortion({"vae": bits, "ae": bits}, figures, codes={"vae": codes, "ae": codes})
    (axes,) = picture.figure.axes
    assert {note.get_text(): note.xy for note in axes.texts} == {
        "int8": (8, 9.0),
        "float32": (32, 12.0),
    }
    assert axes.get_xscale() == "log"


def test_notes_at_one_place_stand_above_each_other() -> None:
    names = ["pq-4", "binary", "int8"]
    bits = {"a": [32], "b": [32], "c": [256]}
    figures = {"exact match (share)": {"a": [0.0], "b": [0.001], "c": [0.5]}}
    codes = {name: [code] for name, code in zip(bits, names, strict=True)}
    picture = rate_distortion(bits, figures, codes=codes)
    picture.figure.draw_without_rendering()
    boxes = [note.get_window_extent() for note in picture.figure.axes[0].texts]
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])


def test_curves_of_different_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="one entry for each point"):
        attribute_strength([1, 2], {"accuracy (share)": {"vae": [0.5]}})
    with pytest.raises(UsageError, match="lacks the curve 'ae'"):
        rate_distortion({"vae": [8]}, {"BLEU": {"ae": [1.0]}})
    with pytest.raises(UsageError, match="nothing to draw"):
        attribute_strength([1], {})
    drawn = attribute_strength(
        [1, 2],
        {"accuracy (share)": {"vae": [0.5, 0.6]}, "BLEU (0 to 100)": {"vae": [9, 8]}},
        errors={"accuracy (share)": {"vae": [0.1, 0.1]}},
    )
    assert [len(axes.containers) for axes in drawn.figure.axes] == [1, 0]
