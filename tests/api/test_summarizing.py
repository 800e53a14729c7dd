"""`TextVAE.summarize`: the best of all subsets of a group, and beams on large groups."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from textvae.api import Row, TextVAE
from textvae.errors import DataError, UsageError
from textvae.evaluation.rouge import OVERLAPS, rouge


@pytest.fixture(scope="module")
def vae(fluent_vae: Path) -> TextVAE:
    return TextVAE.from_pretrained(fluent_vae, device="cpu")


def mean_overlap(text: str, members: list[str], overlap: str = "rouge1") -> float:
    values = [rouge(text, one, overlap, writing="tokenized") for one in members]
    return float(np.mean(values))


def best_of_all_subsets(vae: TextVAE, members: list[str]) -> float:
    z = vae.encode(members).astype(np.float64)
    subsets = [list(subset) for size in range(1, len(members) + 1)
               for subset in itertools.combinations(range(len(members)), size)]  # fmt: skip
    texts = vae.decode(np.stack([z[subset].mean(0) for subset in subsets]))
    return max(mean_overlap(text, members) for text in texts)


def test_a_small_group_gets_the_best_of_all_subsets(vae: TextVAE, sentences: list[str]) -> None:
    groups = {"a": sentences[:5], "b": sentences[40:80:10], "c": sentences[70:71]}
    rows = [Row(text, name) for name, members in groups.items() for text in members]
    found = vae.summarize(rows)
    assert [one.group for one in found] == ["a", "b", "c"]
    assert any(one.text != one.simple for one in found)
    for one in found:
        members = groups[one.group]
        assert one.size == len(members)
        assert one.overlap == pytest.approx(best_of_all_subsets(vae, members))
        assert one.overlap == pytest.approx(mean_overlap(one.text, members))
        z = vae.encode([rows[member].text for member in one.members]).mean(0, keepdims=True)
        assert [one.text] == vae.decode(z)
        assert [one.simple] == vae.decode(vae.encode(members).mean(0, keepdims=True))
        assert one.simple_overlap == pytest.approx(mean_overlap(one.simple, members))


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_a_large_group_is_never_worse_than_the_simple_mean(
    vae: TextVAE, sentences: list[str], overlap: str
) -> None:
    rows = [Row(text, "all") for text in sentences]
    (found,) = vae.summarize(rows, overlap=overlap, beams=2, pool=3)
    own = [mean_overlap(text, sentences, overlap) for text in vae.reconstruct(sentences)]
    assert found.overlap >= max(found.simple_overlap, *own) - 1e-9
    assert found.overlap == pytest.approx(mean_overlap(found.text, sentences, overlap))


def test_a_group_does_not_depend_on_the_others(
    vae: TextVAE, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Row(text, str(place % 7)) for place, text in enumerate(sentences[:60])]
    together = vae.summarize(rows)
    monkeypatch.setattr("textvae.api.summarizing.CHUNK", 1)  # one group at a time
    assert vae.summarize(rows) == together
    (alone,) = vae.summarize([row for row in rows if row.label == "3"])
    assert (alone.text, alone.overlap) == (together[3].text, together[3].overlap)


def test_sentences_without_a_group_are_counted(vae: TextVAE, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("text\tpicture\nus !\t7\nrain .\t\nus .\t7\n")
    with pytest.warns(UserWarning, match="skipped 1 of 3 lines without a group"):
        (found,) = vae.summarize(path, groups="picture")
    assert (found.group, found.size) == ("7", 2)
    assert set(found.members) <= {0, 2}


def test_blank_lines_are_no_members(vae: TextVAE, sentences: list[str]) -> None:
    texts = [" ", *sentences[:3], ""]
    with pytest.warns(UserWarning, match="skipped 2 blank lines"):
        found = vae.summarize([Row(text, "x" if text else "y") for text in texts])
    (alone,) = vae.summarize([Row(text, "x") for text in sentences[:3]])
    assert [(one.size, one.text, one.overlap) for one in found] == [(3, alone.text, alone.overlap)]
    assert found[0].members == tuple(member + 1 for member in alone.members)


def test_requests_that_cannot_be_are_refused(vae: TextVAE, tiny_lm: Path, corpus: Path) -> None:
    with pytest.raises(DataError, match=r"no group in 150 lines.*groups names"):
        vae.summarize(corpus)
    with pytest.raises(DataError, match="give rows"):
        vae.summarize(["us !"])
    with pytest.raises(UsageError, match="rouge1, rouge2, rougeL"):
        vae.summarize([Row("us !", "a")], overlap="bleu")
    with pytest.raises(UsageError, match="no latent"):
        TextVAE.from_pretrained(tiny_lm, device="cpu").summarize([Row("us !", "a")])
