"""`textvae analogy`, `attribute` and `generate --towards`, from the files to what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import ONE_LINE_ERROR

from textvae import TextVAE

GREEDY = {"decoding": {"strategy": "greedy", "no_repeat_ngram": 3}}


@pytest.fixture
def files(tmp_path: Path, sentences: list[str]) -> tuple[Path, Path, Path]:
    """Sentences about a dog, about a sister, and to change."""
    parts = (
        [text for text in sentences if text.startswith("the dog")],
        [text for text in sentences if text.startswith("my sister")],
        ["the cook likes rain .", "", "my sister " * 20],
    )
    names = ("dog.txt", "sister.txt", "input.txt")
    for name, texts in zip(names, parts, strict=True):
        (tmp_path / name).write_text("\n".join(texts) + "\n")
    return tuple(tmp_path / name for name in names)  # type: ignore[return-value]


def test_a_saved_direction_does_what_its_two_files_do(textvae, tiny_vae, files, tmp_path) -> None:
    dog, sister, text = files
    saved = tmp_path / "d.safetensors"
    both = ("--from", dog, "--to", sister, "--method", "linear")
    ran = textvae("attribute", tiny_vae, *both, "--save", saved)
    assert (ran.code, ran.out) == (0, "")
    assert "direction from 30 sentences to 30, separates" in ran.err
    strength = ("--strength", "-1,0,2.5")
    ran = textvae("attribute", tiny_vae, *both, text, *strength, "--json")
    assert "1 sentence exceeded 16 tokens" in ran.err
    vae = TextVAE.from_pretrained(tiny_vae)
    found = vae.attribute(text, saved, strengths=[-1, 0, 2.5])
    assert ran.rows == [row.to_dict() | GREEDY for row in found]
    assert list(ran.rows[0]) == ["index", "text", "strength", "shifted", "decoding"]
    stdin = text.read_text()
    ran = textvae("attribute", tiny_vae, "--towards", saved, *strength, "--quiet", stdin=stdin)
    assert ran.out.splitlines() == [f"{row.strength:g}\t{row.shifted}" for row in found]
    assert ran.err == ""
    ran = textvae("attribute", tiny_vae, "-", "--towards", saved, "--strength", 0, stdin=stdin)
    assert ran.out.splitlines() == [row.shifted for row in found[1::3]]  # no strengths
    common = ("generate", tiny_vae, "-n", 4, "--seed", 2, "--json")
    ran = textvae(*common, "--towards", saved, "--strength", 1.5)
    expected = vae.generate(4, seed=2, towards=saved, strength=1.5)
    assert [row["text"] for row in ran.rows] == expected


def test_analogy_prints_the_candidates_of_the_library(textvae, tiny_vae, sentences) -> None:
    abc = [sentences[0], sentences[31], sentences[62]]
    options = ("--scale", -2, "--spread", 9, "--seed", 4)
    found = TextVAE.from_pretrained(tiny_vae).analogy(*abc, n=3, scale=-2, spread=9, seed=4)
    ran = textvae("analogy", tiny_vae, *abc, "-n", 3, *options, "--json")
    assert ran.rows == [candidate.to_dict() | GREEDY for candidate in found]
    ran = textvae("analogy", tiny_vae, *abc, "-n", 3, *options)
    lines = [f"{candidate.log_likelihood:.2f}\t{candidate.text}" for candidate in found]
    assert ran.out.splitlines() == lines
    ran = textvae("analogy", tiny_vae, *abc, "-n", 1, *options)
    assert "\t" not in ran.out


def test_mistakes_are_told_in_a_line(textvae, tiny_vae, tiny_ae, tiny_lm, files, tmp_path) -> None:
    dog, sister, text = files
    saved = tmp_path / "d.safetensors"
    both = ("--from", dog, "--to", sister)
    assert textvae("attribute", tiny_vae, *both, "--save", saved).code == 0
    blank = tmp_path / "blank.txt"
    blank.write_text("\n\n")
    for code, command, arguments, reason in (
        (2, "attribute", (tiny_vae, text), "--from FILE and --to FILE"),
        (2, "attribute", (tiny_vae, text, "--from", dog), "--to FILE"),
        (2, "attribute", (tiny_vae, text, *both, "--towards", saved), "leave out"),
        (2, "attribute", (tiny_vae, text, "--towards", saved, "--save", saved), "--save needs"),
        (2, "attribute", (tiny_vae, text, "--towards", saved, "--method", "mean"), "--method"),
        (2, "attribute", (tiny_vae, text, *both, "--strength", "1;2"), "0.5,1,2"),
        (2, "attribute", (tiny_vae, text, *both, "--strength", "nan"), "finite"),
        (2, "attribute", (tiny_vae, text, *both, "--strength", "1e300"), "1,000,000"),
        (2, "generate", (tiny_vae, "--towards", saved, "--strength", "-1e7"), "1,000,000"),
        (2, "analogy", (tiny_vae, "us !", "us !", "us !", "--scale", "1e7"), "1,000,000"),
        (2, "attribute", (tiny_vae, "--from", "-", "--to", sister), "read once"),
        (2, "attribute", (tiny_vae, text, *both, "--save", tmp_path / "d.npy"), ".safetensors"),
        (4, "attribute", (tiny_vae, text, "--from", dog, "--to", dog), "no direction"),
        (3, "attribute", (tiny_vae, text, "--from", dog, "--to", "no.txt"), "no.txt"),
        (3, "attribute", (tiny_vae, text, "--towards", "no.safetensors"), "attribute --save"),
        (4, "attribute", (tiny_vae, text, "--from", dog, "--to", blank), "no sentences"),
        (4, "attribute", (tiny_vae, text, "--towards", text), "not a direction"),
        (4, "attribute", (tiny_ae, text, "--towards", saved), "another model"),
        (2, "attribute", (tiny_lm, text, *both), "no latent"),
        (2, "generate", (tiny_vae, "--strength", 2), "--towards FILE"),
        (4, "generate", (tiny_ae, "--towards", saved), "another model"),
        (2, "generate", (tiny_lm, "--towards", saved), "no latent"),
        (2, "analogy", (tiny_lm, "us !", "us !", "us !"), "no latent"),
        (2, "analogy", (tiny_vae, "us !", "us !", "us !", "--scale", "inf"), "finite"),
    ):
        ran = textvae(command, *arguments, stdin="")
        assert (ran.code, ran.out) == (code, ""), (arguments, ran.err)
        error = ran.err.splitlines(keepends=True)[-1]
        assert ONE_LINE_ERROR.match(error), ran.err
        assert reason in error, error


def test_a_missing_file_is_told_before_the_work(textvae, tiny_vae, files, tmp_path) -> None:
    """The error is the only line: no set was encoded, no direction was made or saved."""
    dog, sister, text = files
    saved = tmp_path / "d.safetensors"
    for start, end, file in ((dog, sister, "no.txt"), (dog, "no.txt", text)):
        ran = textvae("attribute", tiny_vae, file, "--from", start, "--to", end, "--save", saved)
        assert (ran.code, ran.out) == (3, "")
        assert ran.err == "textvae: error: no.txt: no such file\n"
        assert not saved.exists()
