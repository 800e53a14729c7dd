"""Errors are one line on stderr, and their exit codes have a meaning."""

from __future__ import annotations

import errno
import re
import signal

import pytest
from running import ONE_LINE_ERROR

from textvae.cli import progress
from textvae.cli.main import report_error
from textvae.cli.output import Output
from textvae.errors import (
    ConfigError,
    DataError,
    DivergedError,
    InterruptedRun,
    ModelFormatError,
    NotFoundError,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (NotFoundError("x"), 3),
        (DataError("x"), 4),
        (ConfigError("x"), 4),
        (ModelFormatError("x"), 4),
        (DivergedError("x"), 5),
        (InterruptedRun("x", signal.SIGINT), 130),
        (InterruptedRun("x", signal.SIGTERM), 143),
        (KeyboardInterrupt(), 130),
        (ValueError("x"), 1),
        (PermissionError(13, "Permission denied", "file.npy"), 1),
    ],
)
def test_each_class_of_error_has_its_exit_code(capsys, error: BaseException, code: int) -> None:
    assert report_error(error) == code
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3 TiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nand so on"),
    ],
    ids=str,
)
def test_a_lack_of_memory_is_told_with_what_to_try(capsys, error: Exception) -> None:
    assert report_error(error) == 1
    said = capsys.readouterr().err
    assert said.startswith("textvae: error: not enough memory: ")
    assert str(error).partition("\n")[0] in said
    assert said.endswith("; try a smaller model, smaller batches or less at a time\n")


def test_who_raises_an_error_of_the_system_says_what_to_do(capsys) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "a/b")
    report_error(full)
    assert capsys.readouterr().err.endswith("device; make room there, then run the command again\n")
    full.add_note("step 5 is saved")
    report_error(full)
    assert capsys.readouterr().err.endswith("a/b: No space left on device; step 5 is saved\n")


def test_the_traceback_appears_only_when_asked_for(textvae, monkeypatch) -> None:
    monkeypatch.delenv("TEXTVAE_DEBUG", raising=False)
    assert "Traceback" not in textvae("config", "check", "/nowhere").err
    monkeypatch.setenv("TEXTVAE_DEBUG", "1")
    assert "Traceback" in textvae("config", "check", "/nowhere").err


def test_a_traceback_escapes_control_characters(textvae, monkeypatch) -> None:
    """It quotes the message, and that the name of a file as it stands."""
    monkeypatch.setenv("TEXTVAE_DEBUG", "1")
    err = textvae("config", "check", "/no\x1b[31m\u202ewhere").err
    assert err.count("/no\\x1b[31m\\u202ewhere") == 2
    assert "\nTraceback" in f"\n{err}"
    assert {c for c in err if not c.isprintable()} == {"\n"}


def test_a_note_is_one_line_whatever_it_quotes(capsys) -> None:
    Output().note("a\ntextvae: error: b: model 1 of 2")
    assert capsys.readouterr().err == "a\\ntextvae: error: b: model 1 of 2\n"


def test_errors_escape_control_characters(textvae) -> None:
    err = textvae("config", "check", "/no\x1b[31mwhere").err
    assert "\x1b" not in err
    assert "\\x1b[31m" in err


def test_whatever_it_quotes_an_error_or_a_warning_is_one_line(textvae, tmp_path, capsys) -> None:
    (tmp_path / "a.csv").write_text('"x\n\x1b[31my","z\u202e"\n1,2\n')
    for arguments in (
        ["train", "-q", tmp_path / "new\nline.txt", "--out", tmp_path / "new"],
        ["train", "-q", tmp_path / "a.csv", "--out", tmp_path / "new"],
    ):
        ran = textvae(*arguments)
        assert ran.code == 3
        assert ONE_LINE_ERROR.match(ran.err)
        assert "\\n" in ran.err
        assert ran.err.removesuffix("\n").isprintable()
    for warn in (Output().warn, progress.LineReporter().warn):
        warn("a\nb\u202e\x9b")
        assert capsys.readouterr().err == "textvae: warning: a\\nb\\u202e\\x9b\n"
    assert report_error(RuntimeError("two\nlines")) == 1
    assert "RuntimeError: two lines" in capsys.readouterr().err
    stopped = InterruptedRun("stopped at step 3", signal.SIGINT)
    assert report_error(stopped) == 130
    assert capsys.readouterr().err == "textvae: stopped at step 3\n"  # asked for, so no error
    report_error(DataError("x" * 100_000 + "tail"))
    assert re.fullmatch(r"textvae: error: x{2500}\.\.\.x{2496}tail\n", capsys.readouterr().err)


def test_what_is_not_there_is_exit_code_3(textvae, tiny_vae, tmp_path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    (tmp_path / "empty").mkdir()
    for arguments in (
        ["info", tmp_path / "nowhere"],
        ["info", tmp_path / "empty"],
        ["generate", tmp_path / "empty"],
        ["reconstruct", tiny_vae, tmp_path / "nowhere.txt"],
        ["evaluate", tiny_vae, table],
        ["embed", tiny_vae, tmp_path / "nowhere.txt", "--out", tmp_path / "v.npy"],
        ["embed", tiny_vae, table, "--out", tmp_path / "nowhere" / "v.npy"],
        ["train", tmp_path / "nowhere.txt", "--out", tmp_path / "new"],
        ["train", "--resume", "--out", tmp_path / "nowhere"],
        ["config", "show", "--config", tmp_path / "nowhere.toml"],
    ):
        ran = textvae(*arguments)
        assert (ran.code, ran.out) == (3, ""), arguments
        assert ONE_LINE_ERROR.match(ran.err), arguments
    assert not (tmp_path / "v.npy").exists()


def test_what_cannot_be_used_is_exit_code_4(textvae, tiny_vae, tmp_path) -> None:
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"fine\n\xff\xfe broken\n")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in tiny_vae.iterdir():
        if file.is_file():
            (damaged / file.name).write_bytes(file.read_bytes())
    (damaged / "config.json").write_text("{")
    for arguments in (
        ["info", damaged],
        ["embed", tiny_vae, binary, "--out", tmp_path / "v.npy"],
        ["train", "x.txt", "--out", tmp_path / "new", "--batch-size", 0],
        ["train", "x.txt", "--out", tmp_path / "new", "--set", "model.depth=3"],
    ):
        ran = textvae(*arguments)
        assert (ran.code, ran.out) == (4, ""), arguments
        assert ONE_LINE_ERROR.match(ran.err), arguments
    assert not (tmp_path / "v.npy").exists()
