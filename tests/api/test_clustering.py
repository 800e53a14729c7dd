"""`TextVAE.cluster`: the groups of the command, for files and for sentences in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textvae.api import Row, TextVAE
from textvae.errors import DataError, UsageError
from textvae.export import write_assignments


def test_the_report_and_the_assignments_are_those_of_the_command(
    textvae, tiny_vae: Path, sentences: list[str], tmp_path: Path
) -> None:
    rows = [Row(text, "ab"[text.startswith("the dog")]) for text in sentences[::5]]
    table = tmp_path / "table.jsonl"
    table.write_text("\n".join(json.dumps({"text": r.text, "label": r.label}) for r in rows))
    vae = TextVAE.from_pretrained(tiny_vae, device="cpu")
    for suffix in (".csv", ".jsonl"):
        common = ("--seed", 4, "--nearest", 2, "--device", "cpu", "--json")
        printed, written = tmp_path / f"printed{suffix}", tmp_path / f"written{suffix}"
        ran = textvae("cluster", tiny_vae, table, "-k", 3, *common, "--out", printed)
        found = vae.cluster(rows, 3, seed=4, nearest=2)
        report = json.loads(json.dumps(found.to_dict()))
        assert report == ran.rows[0]
        assert list(report) == list(ran.rows[0])
        write_assignments(written, found)
        assert written.read_bytes() == printed.read_bytes()
    assert [one.size for one in found.clusters] == found.found.sizes
    with pytest.raises(UsageError, match=r"must end in \.csv"):
        write_assignments(tmp_path / "groups.npy", found)


def test_too_few_sentences_and_a_language_model_are_refused(tiny_vae: Path, tiny_lm: Path) -> None:
    vae = TextVAE.from_pretrained(tiny_vae)
    for error, k in ((DataError, 3), (UsageError, 0)):
        with pytest.raises(error):
            vae.cluster(["us !", "rain ."], k)
    with pytest.raises(DataError, match="no sentences"):
        vae.cluster([], 1)
    with pytest.raises(UsageError, match="no latent"):
        TextVAE.from_pretrained(tiny_lm).cluster(["us !"], 1)
