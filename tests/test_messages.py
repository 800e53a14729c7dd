"""Advice can be followed: messages name options as their reader writes them, and quote paths."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import TEXTS, TINY

import textvae
from textvae import TextVAE
from textvae.data.cache import cache_folder
from textvae.errors import (
    DataError,
    NotFoundError,
    TextVAEError,
    flag,
    for_command_line,
    option,
)

PACKAGE = Path(textvae.__file__).parent
COMMAND_LINE = re.compile(
    r"(?<![\w-])--[a-z]|\btextvae (train|embed|probe|classify|cluster|evaluate|compare|info"
    r"|generate|reconstruct|interpolate|analogy|attribute|traverse|summarize|neighbors|score|paraphrase"
    r"|augment|prior|plot|config) "
)
# What is written for a reader of files: the model card, and descriptions of configuration fields.
NO_MESSAGES = ("training/card.py", "config/schema.py")


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of the strings of a module outside of `worded(...)` and of docstrings."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Call) and getattr(child.func, "id", "") == "worded":
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.lineno, child.value
        yield from strings(child)


def test_no_message_of_the_library_speaks_the_command_line_alone() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.parent.name != "cli" and str(path.relative_to(PACKAGE)) not in NO_MESSAGES
        for line, text in strings(ast.parse(path.read_text(encoding="utf-8")))
        if COMMAND_LINE.search(text)
    ]
    assert found == []


def test_an_option_is_named_as_its_reader_writes_it() -> None:
    def both() -> list[str]:
        return [
            flag("max_tokens"),
            option("max_tokens"),
            option("out", Path("a b")),
            option("truncate", True),
        ]

    in_python = ["max_tokens", "max_tokens=...", "out='a b'", "truncate=True"]
    assert both() == in_python
    with for_command_line():
        assert both() == [
            "--max-tokens",
            "--max-tokens",
            "--out a b",
            "--truncate",
        ]
    assert both() == in_python


def test_each_reader_gets_the_words_for_one_mistake(
    tmp_path: Path, tiny_vae: Path, corpus: Path, textvae
) -> None:
    (tmp_path / "one.txt").write_text("us !\n")
    with pytest.raises(DataError, match="name a file with valid=") as caught:
        TextVAE.train(tmp_path / "one.txt", out=tmp_path / "m")
    assert "--" not in str(caught.value)
    ran = textvae("train", tmp_path / "one.txt", "--out", tmp_path / "m")
    assert "name a file with --valid" in ran.err
    vae = TextVAE.from_pretrained(tiny_vae)
    with pytest.raises(TextVAEError, match=r"^scorer has nothing to judge; add quality=N or"):
        vae.evaluate(corpus, scorer=vae)
    ran = textvae("evaluate", tiny_vae, corpus, "--scorer", tiny_vae)
    assert "--scorer has nothing to judge; add --quality N or --interpolations N" in ran.err


def test_hints_that_are_commands_quote_their_paths(tmp_path: Path, corpus: Path, textvae) -> None:
    out = tmp_path / "my models" / "m"
    ran = textvae("train", corpus, "--out", out, "--max-steps", 2, "--hidden-size", 8)
    assert ran.code == 0, ran.err
    hint = next(line for line in ran.err.splitlines() if "try: " in line)
    assert shlex.split(hint)[-4:] == ["generate", str(out), "-n", "5"]
    walk = next(line for line in ran.err.splitlines() if "interpolate" in line)
    assert shlex.split(walk)[2] == str(out)
    labelled = tmp_path / "l.tsv"
    labelled.write_text("text\tlabel\n" + "us !\ta\nrain .\tb\n" * 4)
    save = tmp_path / "my models" / "c.safetensors"
    ran = textvae("probe", out, labelled, "--folds", 2, "--save", save)
    assert ran.code == 0, ran.err
    hint = next(line for line in ran.err.splitlines() if "try: " in line)
    assert shlex.split(hint)[-3:] == [str(out), str(save), "FILE"]


def test_a_resumed_run_whose_text_was_moved_says_how_to_name_it(tmp_path: Path, textvae) -> None:
    text, out = tmp_path / "a.txt", tmp_path / "m"
    text.write_text("\n".join(TEXTS))
    TextVAE.train(text, valid=text, out=out, **TINY)
    moved = text.rename(tmp_path / "moved.txt")
    ran = textvae("train", "--resume", "--out", out, "--max-steps", 20)
    assert ran.code == 3
    assert f"textvae train TRAIN --resume --out {out}" in ran.err
    with pytest.raises(NotFoundError, match=r"TextVAE\.train\(texts=\.\.\., out="):
        TextVAE.train(out=out, resume=True, max_steps=20)
    ran = textvae("train", moved, "--resume", "--out", out, "--max-steps", 20)
    assert ran.code == 3
    assert f"textvae train --valid VALID --resume --out {out}" in ran.err
    ran = textvae("train", moved, "--valid", moved, "--resume", "--out", out, "--max-steps", 20)
    assert ran.code == 0, ran.err


def test_a_file_in_place_of_a_model_is_called_a_file(tiny_vae: Path, corpus: Path, textvae) -> None:
    with pytest.raises(NotFoundError, match=r"is a file; a model is a folder.*: try ") as caught:
        TextVAE.from_pretrained(tiny_vae / "model.safetensors")
    assert str(caught.value).endswith(f"try {tiny_vae}")
    with pytest.raises(NotFoundError, match="is a file"):
        TextVAE.from_pretrained(corpus)
    with pytest.raises(NotFoundError, match=r"no such folder$"):
        TextVAE.from_pretrained("/nowhere/at/all")
    ran = textvae("generate", corpus)
    assert (ran.code, "hub" in ran.err) == (3, False)
    ran = textvae("classify", tiny_vae, tiny_vae, corpus)
    assert (ran.code, "is a folder; a classifier is a file" in ran.err) == (3, True)


def test_a_cache_that_cannot_be_made_names_both_ways_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("TEXTVAE_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"TEXTVAE_CACHE or the setting data\.cache_dir"):
        cache_folder()


def test_a_cache_that_cannot_be_written_names_both_ways_to_another(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, textvae
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("TEXTVAE_CACHE", str(cache))
    cache_folder()
    shutil.rmtree(cache / "tokenizers")
    (cache / "tokenizers").symlink_to("/proc")  # where not even root can write
    ran = textvae("train", corpus, "--out", tmp_path / "m", "--max-steps", 2)
    assert ran.code == 1
    assert "TEXTVAE_CACHE or the setting data.cache_dir" in ran.err
