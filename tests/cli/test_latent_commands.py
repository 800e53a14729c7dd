"""`traverse` and `summarize`: what they print is what the calls from Python return."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import ONE_LINE_ERROR

from textvae import TextVAE

GREEDY = {"decoding": {"strategy": "greedy", "no_repeat_ngram": 3}}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, sentences: list[str]) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.tsv"
    lines = [f"{text}\t{'ab'['soup' in text]}\t{text.split()[0]}" for text in sentences]
    path.write_text("\n".join(["text\tsoup\tfirst", *lines]) + "\n")
    return path


def test_traverse_prints_the_rows_of_the_call(textvae, fluent_vae: Path, table: Path) -> None:
    common = (
        fluent_vae,
        "the dog sees rain .",
        "--unit",
        "3,0",
        "--steps",
        3,
        "--reference",
        table,
    )
    ran = textvae("traverse", *common, "--device", "cpu", "--seed", 2, "--json")
    vae = TextVAE.from_pretrained(fluent_vae, device="cpu")
    walks = vae.traverse("the dog sees rain .", unit=[3, 0], steps=3, reference=table, seed=2)
    assert ran.rows == [row | GREEDY for walk in walks for row in walk.rows()]
    assert [row["unit"] for row in ran.rows] == [3, 3, 3, 0, 0, 0]
    text = textvae("traverse", *common, "--device", "cpu", "--seed", 2).out
    for row in ran.rows:
        assert f"{round(row['value'], 2) + 0.0:.2f}  {row['text']}\n" in text
    assert f"unit 0, KL {walks[1].kl:.4f}\n" in text


def test_the_report_is_that_of_the_call(
    textvae, fluent_vae: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    common = (fluent_vae, "--report", table, "--factors", "soup, first", "--device", "cpu")
    ran = textvae("traverse", *common, "--units", 2, "--json", "--out", out)
    vae = TextVAE.from_pretrained(fluent_vae, device="cpu")
    found = vae.units(table, factors=["soup", "first"], units=2, name=str(fluent_vae))
    assert ran.rows == [json.loads(json.dumps(found.to_dict()))]
    assert json.loads(out.read_text()) == ran.rows[0]
    text = textvae("traverse", *common).out
    assert [line.split()[0] for line in text.splitlines()[1:5]] == [
        str(unit.unit) for unit in vae.units(table, factors=["soup", "first"]).units
    ]
    assert f"disentanglement  {found.disentanglement:.4f}" in text


def test_summarize_prints_the_rows_of_the_call(textvae, fluent_vae: Path, table: Path) -> None:
    common = (fluent_vae, table, "--groups", "first", "--device", "cpu", "--beams", 3, "--pool", 4)
    vae = TextVAE.from_pretrained(fluent_vae, device="cpu")
    found = vae.summarize(table, groups="first", beams=3, pool=4)
    ran = textvae("summarize", *common, "--simple", "--json")
    assert ran.rows == [json.loads(json.dumps(one.to_dict() | GREEDY)) for one in found]
    plain = textvae("summarize", *common, "--json").rows
    assert plain == [{k: v for k, v in row.items() if "simple" not in k} for row in ran.rows]
    lines = textvae("summarize", *common, "--simple").out.splitlines()
    assert [line.split("\t") for line in lines] == [
        [one.group, f"{one.overlap:.4f}", one.text, f"{one.simple_overlap:.4f}", one.simple]
        for one in found
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--unit", "3,x"), 2, "expected numbers separated by commas"),
        (("--unit", "4"), 2, "--unit 4: the units are 0 to 3"),
        (("--unit", "1", "--units", "1"), 2, "--units 1 has no effect with --unit"),
        (("--factors", "a"), 2, "--factors has no effect without --report"),
        (("--out", "x.json"), 2, "--out has no effect without --report"),
        (("text", "--report", "TABLE"), 2, "TEXT has no effect with --report"),
        (("--report", "TABLE", "--steps", "3"), 2, "--steps has no effect with --report"),
        (("--report", "TABLE", "--factors", "nothing"), 3, "no column 'nothing'"),
        (("--report", "-", "--factors", "a,b"), 2, "stdin is read once"),
        (("--reference", "nowhere.txt"), 3, "nowhere.txt"),
        (("--report", "TABLE", "--out", "TABLE"), 2, "overwrite the input"),
    ],
)
def test_mistakes_in_traverse_are_one_line(
    textvae, fluent_vae: Path, table: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    given = [str(table) if word == "TABLE" else word for word in arguments]
    ran = textvae("traverse", fluent_vae, *given, stdin="us !\n")
    assert (ran.code, ran.out) == (code, "")
    assert ONE_LINE_ERROR.match(ran.err)
    assert message in ran.err


def test_mistakes_in_summarize_are_one_line(
    textvae, fluent_vae: Path, tiny_lm: Path, table: Path, corpus: Path
) -> None:
    for arguments, code, message in (
        ((fluent_vae, table, "--groups", "nothing"), 3, "no column 'nothing'"),
        ((fluent_vae, corpus), 4, "column --groups names the group"),
        ((tiny_lm, table), 2, "no latent"),
        ((fluent_vae, table, "--groups", "first", "--overlap", "bleu"), 2, "rougeL"),
    ):
        ran = textvae("summarize", *arguments)
        assert (ran.code, ran.out) == (code, "")
        assert ONE_LINE_ERROR.match(ran.err)
        assert message in ran.err
    ran = textvae("traverse", tiny_lm)
    assert (ran.code, "no latent" in ran.err) == (2, True)


def test_a_tab_in_the_name_of_a_group_starts_no_column(
    textvae, fluent_vae: Path, tmp_path: Path
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"text": "the dog sees rain .", "group": "a\tb"}))
    ran = textvae("summarize", fluent_vae, path, "--groups", "group", "--simple")
    (line,) = ran.out.splitlines()
    assert len(line.split("\t")) == 5
    assert line.startswith("a\\tb\t")
