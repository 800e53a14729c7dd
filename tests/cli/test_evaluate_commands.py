"""`textvae evaluate` and `compare`, from the files to what is printed."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from random_models import random_model
from running import ONE_LINE_ERROR

from textvae.config import ObjectiveConfig
from textvae.evaluation.why_no_likelihood import why_no_likelihood


def test_evaluate_prints_one_report(textvae, tiny_vae, corpus, tmp_path) -> None:
    out = tmp_path / "report.json"
    common = ("evaluate", tiny_vae, corpus, "--samples", 10, "--limit", 20)
    ran = textvae(*common, "--json", "--out", out, "--seed", 5)
    assert ran.code == 0
    (report,) = ran.rows
    assert json.loads(out.read_text()) == report
    given = {"model": str(tiny_vae), "samples": 10, "n_sentences": 20, "seed": 5}
    assert given.items() <= report.items()
    assert report["nll_elbo"] == pytest.approx(report["rec"] + report["kl"])
    table = textvae(*common)
    assert re.search(r"^nll_iw +\d+\.\d{4} ± \d", table.out, re.MULTILINE)
    (full,) = textvae(*common, "--json", "--per-sentence").rows
    assert len(full["sentences"]) == 20
    mean = np.mean([sentence["nll_iw"] for sentence in full["sentences"]])
    assert mean == pytest.approx(full["nll_iw"])


def test_evaluate_refuses_what_is_too_long_unless_told_to_cut(textvae, tiny_vae, tmp_path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("the dog likes rain .\n" + "the cook " * 20 + "\n")
    refused = textvae("evaluate", tiny_vae, file, "--samples", 2)
    assert (refused.code, refused.out) == (4, "")
    assert "--truncate" in refused.err
    cut = textvae("evaluate", tiny_vae, file, "--samples", 2, "--truncate", "--json")
    assert cut.code == 0
    assert "1 sentence was too long and truncated" in cut.err


def test_evaluate_judges_samples_with_a_scorer(textvae, tiny_vae, tiny_lm, corpus) -> None:
    common = ("evaluate", tiny_vae, corpus, "--samples", 2, "--limit", 20, "--json")
    (report,) = textvae(*common, "--quality", 20).rows
    assert {"self_bleu", "distinct_2", "copied"} <= report.keys()
    assert textvae(*common, "--scorer", tiny_lm).code == 2
    wrong = textvae(*common, "--quality", 20, "--scorer", tiny_vae)
    assert wrong.code == 2
    assert "is of the kind vae" in wrong.err


def test_evaluate_compares_samples_by_the_vectors_of_a_model(
    textvae, tiny_vae, tiny_ae, tiny_lm, corpus
) -> None:
    common = ("evaluate", tiny_lm, corpus, "--limit", 60, "--quality", 30)
    plain = textvae(*common)
    assert plain.code == 0, plain.err
    assert "divergence" not in plain.out  # a language model has no vectors of its own
    (report,) = textvae(*common, "--divergence-encoder", tiny_ae, "--json").rows
    assert report["divergence_encoder"] == str(tiny_ae)
    assert report["divergence_sentences"] == 30
    for code, words, rest in (
        (2, "is a language model", ("--quality", 30, "--divergence-encoder", tiny_lm)),
        (2, "add --quality N", ("--divergence-encoder", tiny_ae)),
    ):
        ran = textvae("evaluate", tiny_vae, corpus, *rest)
        assert ran.code == code, ran.err
        assert ONE_LINE_ERROR.match(ran.err), ran.err
        assert words in ran.err


def test_evaluate_prints_tables_of_compression(
    textvae, tiny_vae, tiny_lm, corpus, tmp_path
) -> None:
    common = (corpus, "--limit", 20, "--samples", 1, "--compression")
    ran = textvae("evaluate", tiny_vae, *common)
    assert ran.code == 0, ran.err
    _, rates, sizes = ran.out.split("\n\n")
    assert [line.split()[0] for line in rates.splitlines()[:3]] == [
        "rate_distortion",
        "code",
        "mean",
    ]
    assert [line.split()[0] for line in sizes.splitlines()[:3]] == ["lossless", "coder", "nll_iw"]
    of_lm = textvae("evaluate", tiny_lm, *common)
    assert of_lm.code == 0, of_lm.err
    assert "rate_distortion" not in of_lm.out
    wrong = textvae("evaluate", tiny_vae, corpus, "--fit", corpus)
    assert wrong.code == 2
    assert "add --compression" in wrong.err
    blank = tmp_path / "blank.txt"
    blank.write_text("\n\n")
    none = textvae("evaluate", tiny_vae, *common, "--fit", blank)
    assert none.code == 4
    assert "no text to fit the codes to" in none.err


def test_compare_prints_the_reports_of_evaluate_and_paired_differences(
    textvae, tiny_vae, tiny_ae, tiny_lm, corpus, tmp_path
) -> None:
    out = tmp_path / "comparison.json"
    settings = ("--samples", 3, "--limit", 20, "--seed", 5, "--json")
    ran = textvae("compare", tiny_lm, tiny_vae, tiny_ae, "--on", corpus, *settings, "--out", out)
    assert ran.code == 0
    (report,) = ran.rows
    assert json.loads(out.read_text()) == report
    alone = [
        textvae("evaluate", model, corpus, *settings).rows[0]
        for model in (tiny_lm, tiny_vae, tiny_ae)
    ]
    assert report["models"] == alone
    vae, ae = report["differences"]
    assert [vae["model"], ae["model"]] == [str(tiny_vae), str(tiny_ae)]
    assert vae["minus"] == ae["minus"] == str(tiny_lm)
    assert vae["nll_iw"] == pytest.approx(alone[1]["nll_iw"] - alone[0]["nll_iw"])
    assert list(ae) == ["model", "minus", "n_sentences"]  # no figure of a lm is one of an ae
    stdin = textvae("compare", tiny_lm, tiny_vae, "--on", "-", *settings, stdin=corpus.read_text())
    assert stdin.rows[0]["differences"] == [vae]


def test_compare_prints_one_table_and_says_on_stderr_which_model_it_measures(
    textvae, tiny_vae, tiny_ae, tiny_lm, corpus
) -> None:
    common = ("--on", corpus, "--samples", 2, "--limit", 10)
    ran = textvae("compare", tiny_lm, tiny_vae, tiny_ae, *common)
    assert ran.code == 0
    heading, *rows = [re.split(r"  +", line) for line in ran.out.splitlines()]
    assert heading[:3] == ["model", "nll_iw", "Δ nll_iw"]
    assert [row[0] for row in rows] == [str(tiny_lm), str(tiny_vae), str(tiny_ae)]
    lm, vae, ae = (dict(zip(heading, row, strict=True)) for row in rows)
    assert re.fullmatch(r"-?\d+\.\d{3} ± \d+\.\d{3}", vae["Δ nll_iw"])
    assert lm["Δ nll_iw"] == lm["rec"] == ae["nll_iw"] == ae["kl"] == "-"
    assert float(ae["rec"]) > 0
    assert [line for line in ran.err.splitlines() if "warning" not in line] == [
        f"{model}: model {number} of 3"
        for number, model in enumerate((tiny_lm, tiny_vae, tiny_ae), 1)
    ]
    quiet = textvae("compare", tiny_ae, "--quiet", *common)
    assert quiet.err == ""
    assert quiet.out.split()[:2] == ["model", "rec"]


def test_compare_judges_samples_too(textvae, tiny_vae, tiny_ae, corpus) -> None:
    common = ("--on", corpus, "--samples", 1, "--limit", 5, "--quality", 4, "--json")
    (report,) = textvae("compare", tiny_vae, tiny_ae, *common).rows
    assert all({"self_bleu", "distinct_2", "copied"} <= one.keys() for one in report["models"])
    assert "divergence_area" not in report["models"][0]  # no vectors that both models share
    assert textvae("compare", tiny_vae, *common, "--scorer", tiny_ae).code == 2
    more = ("--on", corpus, "--samples", 1, "--limit", 40, "--quality", 20, "--json")
    (report,) = textvae("compare", tiny_vae, tiny_ae, *more, "--divergence-encoder", tiny_ae).rows
    first, second = report["models"]
    assert first["divergence_encoder"] == second["divergence_encoder"] == str(tiny_ae)
    assert first["divergence_area_real"] == second["divergence_area_real"]
    alone = textvae("compare", tiny_vae, "--on", corpus, "--divergence-encoder", tiny_ae)
    assert (alone.code, "add --quality N" in alone.err) == (2, True)


def test_compare_finds_out_what_is_missing_before_it_measures(
    textvae, tiny_vae, corpus, tmp_path
) -> None:
    for code, arguments in (
        (3, [tiny_vae, tmp_path / "nowhere", "--on", corpus]),
        (3, [tiny_vae, "--on", tmp_path / "nowhere.txt"]),
        (3, [tiny_vae, "--on", corpus, "--out", tmp_path / "nowhere" / "x.json"]),
        (2, [tiny_vae, f"{tiny_vae}/", "--on", corpus]),
    ):
        ran = textvae("compare", *arguments)
        assert (ran.code, ran.out) == (code, "")
        assert ONE_LINE_ERROR.match(ran.err)  # and not a word of a model being measured
    assert f"as {tiny_vae}" in ran.err


def test_evaluate_judges_paths_and_refines_posteriors(
    textvae, tiny_vae, tiny_ae, tiny_lm, corpus
) -> None:
    common = (corpus, "--samples", 2, "--limit", 10, "--json")
    judged = textvae(
        "evaluate", tiny_vae, *common, "--interpolations", 4, "--refine", 2, "--scorer", tiny_lm
    )
    (report,) = judged.rows
    assert (report["path_pairs"], report["refine_steps"]) == (4, 2)
    assert {"path_distinct_se", "ppl_path", "ppl_path_real", "amortization_gap"} <= report.keys()
    assert not {"self_bleu", "ppl_reverse"} & report.keys()  # which --quality asks for
    (ae,) = textvae("evaluate", tiny_ae, *common, "--interpolations", 4).rows
    assert "path_distinct" in ae
    assert "ppl_path" not in ae
    for model, option in (
        (tiny_lm, "--interpolations"),
        (tiny_lm, "--refine"),
        (tiny_ae, "--refine"),
    ):
        refused = textvae("evaluate", model, *common, option, 4)
        assert (refused.code, refused.out) == (2, "")
        assert ONE_LINE_ERROR.match(refused.err)
        assert option in refused.err


def test_an_autoencoder_says_why_it_has_no_likelihood(textvae, tiny_ae, tiny_vae, corpus) -> None:
    for command in (("evaluate", tiny_ae, corpus, "--limit", 5), ("info", tiny_ae)):
        ran = textvae(*command, "--json")
        assert re.search("a point, not a density: .*nll_iw", ran.err)
        assert not {"nll_iw", "nll_elbo", "kl", "mi", "active_units"} & ran.rows[0].keys()
        assert textvae(*command, "--json", "--quiet").err == ""
    assert "density" not in textvae("info", tiny_vae).err
    adversarial = ObjectiveConfig(adversarial_weight=1.0)
    assert "adversarial autoencoder" in (why_no_likelihood(random_model("ae"), adversarial) or "")
    assert (
        why_no_likelihood(random_model("vae"), adversarial) is None
    )  # whose encoder has a density


def test_samples_are_judged_as_asked(textvae, tiny_vae, corpus) -> None:
    judged = textvae("evaluate", tiny_vae, corpus, "--quality", 5, "--limit", 20, "--json").rows[0]
    assert judged["quality_decoding"] == "greedy, no_repeat_ngram 3"
    drawn = textvae(
        *("evaluate", tiny_vae, corpus, "--quality", 5, "--limit", 20, "--json"),
        *("--temperature", 0.5, "--top-p", 0.9),
    ).rows[0]
    assert drawn["quality_decoding"] == "sample, temperature 0.5, top_p 0.9"
    refused = textvae("evaluate", tiny_vae, corpus, "--temperature", 0.5)
    assert refused.code == 2
    assert "there are no samples to decode; add --quality N" in refused.err
