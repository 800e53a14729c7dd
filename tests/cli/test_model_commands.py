"""`textvae generate`, `interpolate`, `reconstruct`, `embed` and `info` on tiny models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from running import ONE_LINE_ERROR

from textvae import TextVAE


def test_generate_prints_sentences_and_a_smaller_n_is_a_prefix(textvae, tiny_vae) -> None:
    sampled = ("--temperature", 1)
    ten = textvae("generate", tiny_vae, "-n", 10, "--seed", 3, *sampled)
    assert (ten.code, ten.err) == (0, "")
    assert len(ten.out.splitlines()) == 10
    five = textvae("generate", tiny_vae, "-n", 5, "--seed", 3, *sampled)
    assert ten.out.startswith(five.out)
    assert textvae("generate", tiny_vae, "-n", 10, "--seed", 4, *sampled).out != ten.out
    as_json = textvae("generate", tiny_vae, "-n", 5, "--seed", 3, *sampled, "--json")
    assert as_json.rows == [
        {"index": i, "text": text, "decoding": {"strategy": "sample"}}
        for i, text in enumerate(five.out.split("\n")[:-1])
    ]
    assert textvae("generate", tiny_vae, "-n", 0).out == ""


def test_a_model_with_a_latent_takes_the_likeliest_words_and_says_so(
    textvae, tiny_vae, tiny_lm
) -> None:
    """The latent carries the variety; a language model has that of its words alone."""
    default = textvae("generate", tiny_vae, "-n", 4, "--json").rows
    assert {row["decoding"]["strategy"] for row in default} == {"greedy"}
    likeliest = ("--greedy", "--no-repeat-ngram", 3)
    assert textvae("generate", tiny_vae, "-n", 4, *likeliest, "--json").rows == default
    drawn = textvae("generate", tiny_lm, "-n", 4, "--json").rows
    assert {row["decoding"]["strategy"] for row in drawn} == {"sample"}
    chosen = textvae("generate", tiny_vae, "-n", 2, "--top-p", 0.9, "--json").rows
    assert chosen[0]["decoding"] == {"strategy": "sample", "top_p": 0.9}
    rows = textvae("reconstruct", tiny_vae, "--json", stdin="us\n").rows
    assert rows[0]["decoding"] == {"strategy": "greedy", "no_repeat_ngram": 3}


def test_a_latent_without_variety_is_told(textvae, tiny_vae, tmp_path) -> None:
    model = TextVAE.from_pretrained(tiny_vae)
    with torch.no_grad():
        for parameter in model.model.decoder.network.first_state.parameters():
            parameter.zero_()
        model.model.decoder.network.rnn.weight_ih_l0[:, -model.latent_size :] = 0.0
    model.save_pretrained(tmp_path / "deaf")
    ran = textvae("generate", tmp_path / "deaf", "-n", 10)
    assert ran.code == 0
    assert "only 1 of 10 sentences are different" in ran.err
    assert "add --temperature 1" in ran.err
    assert textvae("generate", tmp_path / "deaf", "-n", 9).err == ""


@pytest.mark.parametrize(
    ("arguments", "decoding"),
    [
        (["--temperature", 0.5, "--top-k", 3], {"temperature": 0.5, "top_k": 3}),
        (["--top-p", 0.8, "--repetition-penalty", 2], {"top_p": 0.8, "repetition_penalty": 2.0}),
        (["--beams", 3, "--max-tokens", 6], {"beams": 3, "max_tokens": 6}),
        (["--greedy", "--min-tokens", 4], {"greedy": True, "min_tokens": 4}),
        (["--no-repeat-ngram", 1], {"no_repeat_ngram": 1}),
        (["--near", "us !", "--scale", 0.5], {"near": "us !", "scale": 0.5}),
    ],
)
def test_generate_hands_each_option_on(textvae, tiny_vae, arguments, decoding) -> None:
    from textvae.api import TextVAE

    ran = textvae("generate", tiny_vae, "-n", 4, "--json", *arguments)
    expected = TextVAE.from_pretrained(tiny_vae).generate(4, **decoding)
    assert [row["text"] for row in ran.rows] == expected


def test_decoding_options_that_contradict_are_a_usage_error(textvae, tiny_vae) -> None:
    ran = textvae("generate", tiny_vae, "--greedy", "--temperature", 0.5)
    assert ran.code == 2
    assert ONE_LINE_ERROR.match(ran.err)


def test_an_autoencoder_says_where_its_samples_come_from(textvae, tiny_ae) -> None:
    ran = textvae("generate", tiny_ae, "-n", 2)
    assert len(ran.out.splitlines()) == 2
    assert "Gaussian fitted to its codes" in ran.err
    assert textvae("-q", "generate", tiny_ae, "-n", 2).err == ""


def test_interpolate_starts_and_ends_at_the_reconstructions(textvae, tiny_vae) -> None:
    a, b = "the dog likes rain .", "my sister paints the soup ."
    ran = textvae("interpolate", tiny_vae, a, b, "--steps", 5, "--method", "linear", "--json")
    assert [row["step"] for row in ran.rows] == [0, 1, 2, 3, 4]
    places = [row["t"] for row in ran.rows]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 1)
    at_even_places = textvae(
        "interpolate", tiny_vae, a, b, "--steps", 5, "--spacing", "latent", "--json"
    )
    assert [row["t"] for row in at_even_places.rows] == [0, 0.25, 0.5, 0.75, 1]
    ends = textvae("reconstruct", tiny_vae, stdin=f"{a}\n{b}\n")
    assert [ran.rows[0]["text"], ran.rows[-1]["text"]] == ends.out.splitlines()
    assert len(textvae("interpolate", tiny_vae, a, b).out.splitlines()) == 7


INPUT = ["the dog likes rain .", "", "the cook " * 20, "unknown words !", "us"]


def test_one_row_for_each_line_of_input(textvae, tiny_vae, tmp_path, monkeypatch) -> None:
    """Blank and over-long lines too, from a file or stdin, whatever the size of the chunks."""
    file = tmp_path / "input.txt"
    file.write_text("\n".join(INPUT) + "\n")
    for command in (["reconstruct"], ["embed"], ["reconstruct", "--sample"], ["embed", "--sample"]):
        ran = textvae(*command, tiny_vae, file, "--json")
        assert [row["index"] for row in ran.rows] == [0, 1, 2, 3, 4]
        assert [row["text"] for row in ran.rows] == [text.strip() for text in INPUT]
        assert "1 sentence exceeded 16 tokens and was truncated" in ran.err
        assert textvae(*command, tiny_vae, "--json", stdin=file.read_text()).out == ran.out
        monkeypatch.setattr("textvae.data.input_rows.CHUNK", 2)
        small = textvae(*command, tiny_vae, file, "--json").rows
        monkeypatch.undo()
        for row, other in zip(ran.rows, small, strict=True):
            np.testing.assert_allclose(row.pop("vector", 0), other.pop("vector", 0), atol=1e-5)
            assert row == other
        assert textvae(*command, tiny_vae, file, "--json", "--quiet").err == ""


def test_embed_writes_posterior_means_or_samples(textvae, tiny_vae, tmp_path) -> None:
    from textvae.api import TextVAE

    file = tmp_path / "input.tsv"
    file.write_text("text\tlabel\nthe dog likes rain .\tgood\nus !\tbad\n")
    means = TextVAE.from_pretrained(tiny_vae).encode(["the dog likes rain .", "us !"])
    ran = textvae("embed", tiny_vae, file, "--out", tmp_path / "v.npy")
    assert (ran.code, ran.out) == (0, "")
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), means)
    textvae("embed", tiny_vae, file, "--out", tmp_path / "v.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == ["good", "bad"]
    np.testing.assert_array_equal(np.float32([row["vector"] for row in rows]), means)
    drawn = [
        textvae("embed", tiny_vae, file, "--json", "--sample", "--seed", seed).out
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_info_tells_what_the_model_is(textvae, tiny_vae, tiny_lm) -> None:
    (report,) = textvae("info", tiny_vae, "--json").rows
    assert (report["kind"], report["latent_size"], report["max_tokens"]) == ("vae", 4, 16)
    assert report["metrics"]["best"] is True
    assert report["config"]["model"]["hidden_size"] == 16
    assert report["method"] == "weight of the KL linear to 1, free bits 0.2 (batch)"
    assert "latent_size" not in {
        line.split()[0] for line in textvae("info", tiny_lm).out.splitlines()[:6]
    }


@pytest.mark.parametrize(
    "command",
    [
        *(["interpolate", "a", "b"], ["reconstruct"], ["embed", "--json"]),
        *(["generate", "--near", "a"], ["probe", "-", "--folds", "2"]),
        *(["classify", "x.safetensors"], ["cluster", "-", "-k", "2"]),
        *(["traverse"], ["traverse", "--report", "-"], ["summarize", "-"]),
    ],
)
def test_a_language_model_has_no_latent(textvae, tiny_lm, command: list[str]) -> None:
    ran = textvae(command[0], tiny_lm, *command[1:], stdin="a\n")
    assert (ran.code, ran.out) == (2, "")
    assert ONE_LINE_ERROR.match(ran.err)
    assert "latent" in ran.err


def test_an_autoencoder_has_no_posterior_to_sample(textvae, tiny_ae) -> None:
    for command in ("reconstruct", "embed"):
        assert textvae(command, tiny_ae, "--sample", "--json", stdin="us !\n").code == 2


def test_no_sentence_at_all_is_told(textvae, tiny_vae, tmp_path) -> None:
    for arguments in (["reconstruct", tiny_vae], ["embed", tiny_vae, "--json"]):
        ran = textvae(*arguments, stdin="")
        assert (ran.code, ran.out) == (0, "")
        assert ran.err == "textvae: warning: stdin: no sentence in it\n"
    (tmp_path / "blank.txt").write_text("\n\n")
    for arguments in (["evaluate", tiny_vae], ["compare", tiny_vae, "--on"]):
        ran = textvae(*arguments, tmp_path / "blank.txt")
        assert ran.code == 4
        assert ONE_LINE_ERROR.match(ran.err)
        assert "blank.txt: no sentence to evaluate: 2 lines, none with text" in ran.err
