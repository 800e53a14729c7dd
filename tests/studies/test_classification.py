"""The union of texts that the experiment on classification trains on."""

from __future__ import annotations

import lzma
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts" / "studies"))

from classification import write_union

TSV = {
    "trec6/train": ["What is it ?", "who knows", "what is it ?", ""],  # one twice, a blank one
    "trec6/test": ["Who  Knows"],
    "sst2/train": ["a fine film", "a dull film"],
    "sst2/test": ["an odd film , it 's long ..."],
    "mr/all": ["an odd film, it's long . . .", "a fine  film", "a new film", "!", " !"],
    "cr/all": ["it works"],
    "subj/all": ["he sleeps"],
    "mpqa/all": ["very good"],
}


def test_what_stands_among_the_test_texts_is_left_out_and_the_rest_is_there_once(
    tmp_path: Path,
) -> None:
    for name, texts in {**TSV, "tatoeba_eng/train": ["it works", "Tom ran."]}.items():
        labelled = name in TSV
        file = tmp_path / f"{name}.{'tsv' if labelled else 'txt'}.xz"
        file.parent.mkdir(exist_ok=True)
        lines = ["label\ttext", *(f"0\t{text}" for text in texts)] if labelled else texts
        with lzma.open(file, "wt", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
    counts = write_union(tmp_path, tmp_path / "union.txt")
    assert (tmp_path / "union.txt").read_text(encoding="utf-8").splitlines() == [
        *("What is it ?", "a fine film", "a dull film", "a new film", "!"),
        *("it works", "he sleeps", "very good", "Tom ran."),
    ]
    assert counts["trec6/train.tsv.xz"] == {"sentences": 1, "test_texts": 1, "repeated": 1}
    assert counts["mr/all.tsv.xz"] == {"sentences": 2, "test_texts": 1, "repeated": 2}
