"""`textvae plot`: each kind of picture, its report, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

from running import ONE_LINE_ERROR

from textvae.api import TextVAE
from textvae.plots import sentence_map, training_curves


def test_each_kind_writes_its_picture(
    textvae, tmp_path: Path, tiny_vae: Path, corpus: Path
) -> None:
    for kind, rest in {
        "curves": (),
        "kl": (corpus,),
        "map": (corpus, "-k", 2),
        "path": (corpus, "us !", "rain .", "--steps", 3),
        "rate-distortion": ("--on", corpus, "--limit", 20),
    }.items():
        out = tmp_path / f"{kind}.svg"
        ran = textvae("plot", kind, tiny_vae, *rest, "--out", out)
        assert (ran.code, ran.out) == (0, ""), ran.err
        assert ran.err.splitlines()[-1] == f"the picture is in {out}"
        assert out.read_text().startswith("<?xml")


def test_the_picture_and_the_report_are_those_of_python(
    textvae, tmp_path: Path, tiny_vae: Path, sentences: list[str]
) -> None:
    table = tmp_path / "table.jsonl"
    table.write_text("\n".join(json.dumps({"text": t, "topic": t[:5]}) for t in sentences))
    out = tmp_path / "map.html"
    ran = textvae("plot", "map", tiny_vae, table, "--label-column", "topic", "--json", "--quiet",
                  "--limit", 40, "--device", "cpu", "--out", out)  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    found = vae.sentence_map(str(table), label_column="topic", limit=40, name=str(tiny_vae))
    assert json.loads(json.dumps(found.to_dict())) == ran.rows[0]
    sentence_map(found).save(tmp_path / "own.html")
    assert out.read_bytes() == (tmp_path / "own.html").read_bytes()


def test_several_runs_share_one_picture(
    textvae, tmp_path: Path, tiny_vae: Path, tiny_ae: Path
) -> None:
    ran = textvae("plot", "curves", tiny_vae, tiny_ae, "--by", "epoch", "--out", tmp_path / "a.svg")
    assert ran.code == 0, ran.err
    training_curves([tiny_vae, tiny_ae], by="epoch").save(tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_rates_are_those_of_evaluate_and_models_share_a_picture(
    textvae, tmp_path: Path, tiny_vae: Path, tiny_ae: Path, corpus: Path
) -> None:
    out = tmp_path / "rate.svg"
    common = ("--limit", 30, "--fit", corpus, "--json", "--device", "cpu")
    models = (tiny_vae, tiny_ae)
    ran = textvae("plot", "rate-distortion", *models, "--on", corpus, *common, "-q", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    of_vae, of_ae = ran.rows[0]["models"]
    again = textvae("evaluate", tiny_vae, corpus, "--samples", 1, "--compression", *common)
    assert again.rows[0]["rate_distortion"] == of_vae["rate_distortion"]
    assert [point["code"] for point in of_ae["rate_distortion"]] == [
        point["code"] for point in of_vae["rate_distortion"] if point["code"] != "sample"
    ]
    drawn = out.read_text()
    for curve in ("product quantization: ", "each dimension: ", "posterior sample: "):
        assert curve in drawn


def test_mistakes_are_one_line(
    textvae, tmp_path: Path, tiny_vae: Path, tiny_ae: Path, tiny_lm: Path, corpus: Path
) -> None:
    out = ("--out", tmp_path / "a.svg")
    for code, words, arguments in (
        (2, "the kind of picture comes first: textvae plot map MODEL", (tiny_vae, "map", corpus)),
        (2, "must end in .svg", ("map", tiny_vae, corpus, "--out", tmp_path / "a.gif")),
        (3, "create it first", ("map", tiny_vae, corpus, "--out", tmp_path / "no" / "a.svg")),
        (2, "has no latent", ("map", tiny_lm, corpus, *out)),
        (2, "has no latent", ("rate-distortion", tiny_vae, tiny_lm, "--on", corpus, *out)),
        (2, "named twice", ("rate-distortion", tiny_vae, tiny_vae, "--on", corpus, *out)),
        (2, "a code has no KL", ("kl", tiny_ae, corpus, *out)),
        (3, "no such folder", ("curves", tmp_path / "no", *out)),
        (4, "only 150 sentences on the map; lower -k", ("map", tiny_vae, corpus, "-k", 999, *out)),
        (2, "Missing option '--out'", ("curves", tiny_vae)),
    ):
        ran = textvae("plot", *arguments)
        assert ran.code == code, ran.err
        assert ONE_LINE_ERROR.match(ran.err), ran.err
        assert words in ran.err
    assert not (tmp_path / "a.svg").exists()


def test_train_draws_its_curves(textvae, tmp_path: Path, corpus: Path) -> None:
    out = tmp_path / "m"
    common = ("--hidden-size", 8, "--latent-size", 2, "--tokenizer", "word", "--out", out)
    ran = textvae("train", corpus, "--max-steps", 4, "--plot", *common)
    assert ran.code == 0, ran.err
    training_curves([out]).save(tmp_path / "own.svg")
    assert (out / "curves.svg").read_bytes() == (tmp_path / "own.svg").read_bytes()
