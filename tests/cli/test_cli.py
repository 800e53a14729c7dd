"""The command line: data alone on stdout, one line for each error, exit codes with a meaning."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import typing

import numpy as np
import pytest
from rich.console import Console
from running import ONE_LINE_ERROR

from textvae.cli import options, progress
from textvae.cli.main import report_error
from textvae.cli.output import Output, grid_lines, table_lines, to_json
from textvae.config import SECTIONS, Config, ObjectiveConfig, recipe_names, section_of
from textvae.errors import (
    ConfigError,
    DataError,
    DivergedError,
    InterruptedRun,
    ModelFormatError,
    NotFoundError,
    UsageError,
)
from textvae.evaluation.absence import why_no_likelihood


def in_a_process(*arguments: object, **settings: typing.Any) -> subprocess.Popen[bytes]:
    """`python -m textvae ARGUMENTS`, started, and to be interrupted even below a background job."""
    command = [sys.executable, "-m", "textvae", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's & ignores it
        **settings,
    )


# usage, configuration and exit codes


def test_each_command_has_a_description_and_an_example(textvae) -> None:
    commands = ["train", "generate", "interpolate", "reconstruct", "embed", "evaluate", "compare"]
    commands += ["probe", "classify", "cluster", "info"]
    for command in [*([name] for name in commands), ["config", "show"], ["config", "check"]]:
        help_ = textvae(*command, "--help")
        assert help_.code == 0
        assert f"textvae {' '.join(command)}" in help_.out.partition("Example")[2]


def test_options_that_set_the_configuration_agree_with_it() -> None:
    """Same name, same choices, and the default that the help shows is the true one."""
    defaults = Config()
    for option in options.CONFIG_OPTIONS:
        section = section_of(option.name)
        assert getattr(getattr(defaults, section), option.name) == option.default, option.name
        field = SECTIONS[section].model_fields[option.name].annotation
        if typing.get_origin(option.values) is typing.Literal:
            assert typing.get_args(option.values) == typing.get_args(field), option.name


def test_the_help_names_each_recipe(textvae) -> None:
    assert sorted(options.RECIPES) == recipe_names()
    shown = " ".join(textvae("train", "--help").out.split())
    assert f"{', '.join(options.RECIPES)}." in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["generate"],
        ["generate", "m", "--nothing"],
        ["generate", "m", "-n", "few"],
        ["generate", "m", "-n", "-1"],
        ["generate", "m", "--scale", "2"],
        ["interpolate", "m", "a", "b", "--steps", "1"],
        ["interpolate", "m", "a", "b", "--method", "straight"],
        ["embed", "m"],
        ["embed", "m", "--out", "vectors.pickle"],
        ["train", "--out", "new"],
        ["train", "text.txt"],
        ["train", "text.txt", "--out", "new", "--target-kl", "4", "--beta", "1"],
        ["train", "text.txt", "--out", "new", "--target-kl", "4", "--kl-schedule", "linear"],
        ["train", "text.txt", "--out", "new", "--encoder", "cnn"],
        ["train", "--resume"],
        ["train", "text.txt", "--out", "new", "--resume", "--overwrite"],
        ["train", "--out", "old", "--resume", "--recipe", "small"],
        ["compare", "--on", "text.txt"],
        ["compare", "m", "n"],
        ["compare", "m", "n", "m", "--on", "text.txt"],
        ["compare", "m", "n", "--on", "text.txt", "--scorer", "lm"],
        ["probe", "m", "train.tsv"],
        ["probe", "m", "train.tsv", "test.tsv", "--folds", "5"],
        ["probe", "m", "train.tsv", "--folds", "5", "--seeds", "3"],
        ["probe", "m", "train.tsv", "test.tsv", "--labels", "few"],
        ["probe", "m", "train.tsv", "test.tsv", "--labels", "0"],
        ["probe", "m", "train.tsv", "test.tsv", "--against", "m"],
        ["probe", "m", "train.tsv", "test.tsv", "--save", "classifier.pickle"],
        ["probe", "m", "-", "-"],
        ["classify", "m"],
        ["cluster", "m", "text.txt"],
        ["cluster", "m", "text.txt", "-k", "0"],
        ["cluster", "m", "text.txt", "-k", "2", "--out", "groups.npy"],
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2(textvae, arguments: list[str]) -> None:
    ran = textvae(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ONE_LINE_ERROR.match(ran.err)


def test_without_a_command_the_help_goes_to_stderr(textvae) -> None:
    for arguments in ([], ["config"]):
        ran = textvae(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "Commands:" in ran.err


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


def test_config_show_prints_what_the_options_resolve_to(textvae, tmp_path) -> None:
    file = tmp_path / "base.toml"
    file.write_text("[model]\nlatent_size = 8\nlayers = 2\n[training]\nlearning_rate = 1e-4\n")
    ran = textvae(
        "config", "show", "--config", file, "--latent-size", 16, "--valid", "a", "--valid", "b",
        "--set", "training.patience=5",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    shown = Config.validate_values(tomllib.loads(ran.out), where="stdout")
    given = {"latent_size": 16, "layers": 2, "learning_rate": 1e-4, "patience": 5}
    assert shown == Config.resolve(options={**given, "valid": ["a", "b"]})


def test_config_show_and_check_lay_the_rest_over_a_recipe(textvae, tmp_path) -> None:
    file = tmp_path / "base.toml"
    file.write_text('[model]\nlatent_size = 7\nhidden_size = 6\nencoder = "transformer"\n')
    heads = ("--set", "model.heads=3")
    shown = textvae("config", "show", "--recipe", "small", "--config", file, "--seed", 9, *heads)
    assert (shown.code, shown.err) == (0, "")
    assert Config.validate_values(tomllib.loads(shown.out), where="stdout") == Config.resolve(
        recipe="small", file=file, options={"seed": 9}, assignments=heads[1:]
    )
    wrong = textvae("config", "check", file, "--recipe", "small")
    assert wrong.code == 4
    assert f"{file} over recipe small: model: hidden_size 6 " in wrong.err
    unknown = textvae("config", "show", "--recipe", "smal")
    assert (unknown.code, unknown.out) == (4, "")
    assert ONE_LINE_ERROR.match(unknown.err)
    assert "did you mean 'small'" in unknown.err


def test_config_check_names_what_is_wrong(textvae, tmp_path) -> None:
    file = tmp_path / "experiment.toml"
    file.write_text("[model]\nlatent_sise = 8\n")
    ran = textvae("config", "check", file)
    assert ran.code == 4
    assert "model.latent_sise" in ran.err
    assert "latent_size" in ran.err
    file.write_text("[model]\nlatent_size = 8\n")
    assert textvae("config", "check", file).code == 0
    assert textvae("--quiet", "config", "check", file).err == ""
    assert textvae("config", "check", file, "--quiet").err == ""


# the output object, vector files and progress


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_control_characters_reach_a_file_but_never_a_terminal(capsys, monkeypatch) -> None:
    text = "bell\x07 clear\x1b[2J c1\x9b and\ttab turned \u202e \u2067"
    Output().row({}, text)
    assert capsys.readouterr().out == text + "\n"
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    Output().row({}, text)
    Output(as_json=True).row({"text": text}, "")
    Output().table([["name"], [text]])
    Output().report({"name": text})
    assert not re.search(r"[\x07\x1b\x9b\u202e\u2067]", terminal.getvalue())
    assert json.loads(terminal.getvalue().splitlines()[1]) == {"text": text}


def test_a_row_is_a_line_whatever_the_sentence_holds(capsys) -> None:
    Output().row({}, "two\nlines\r")
    assert capsys.readouterr().out == "two\\nlines\\r\n"


def test_json_has_no_nan_and_takes_numpy() -> None:
    record = {"a": np.float32(0.5), "b": float("nan"), "c": np.arange(2), "d": {"e": (None, True)}}
    expected = {"a": 0.5, "b": None, "c": [0, 1], "d": {"e": [None, True]}}
    assert json.loads(to_json(record)) == expected


def test_a_standard_error_stands_beside_its_figure() -> None:
    lines = list(table_lines({"nll_iw": 12.34567, "nll_iw_se": 0.5, "n_sentences": 1000}))
    assert lines == ["nll_iw       12.3457 ± 0.5000", "n_sentences  1,000"]


def test_one_long_name_does_not_make_every_row_long() -> None:
    """A stranger's megabyte of names would else become ten gigabytes of blanks."""
    long = "n" * 1000
    assert list(table_lines({"a": 1, long: 2, "bb": 3})) == ["a   1", f"{long}  2", "bb  3"]


def test_a_wide_table_goes_on_below_under_the_same_first_column() -> None:
    rows = [
        ["model", "nll_iw", "Δ nll_iw", "kl"],
        ["a", "9.5 ± 0.1", "-", "4"],
        ["bb", "-", "-", "-"],
    ]
    assert list(grid_lines(rows)) == [
        "model     nll_iw  Δ nll_iw  kl",
        "a      9.5 ± 0.1         -   4",
        "bb             -         -   -",
    ]
    assert list(grid_lines(rows, 26)) == [
        *["model     nll_iw  Δ nll_iw", "a      9.5 ± 0.1         -", "bb             -         -"],
        *["", "model  kl", "a       4", "bb      -"],
    ]
    narrow = list(grid_lines(rows, 1))  # a column at a time, rather than none
    assert sum(line.startswith("model") for line in narrow) == 3


START = {"model": "vae", "parameters": 12345, "sentences": 150, "horizon": 2000, "device": "cpu"}
TRAIN_RECORD = {
    "event": "train", "step": 50, "epoch": 0.5, "loss": 30.25, "rec": 28.5, "kl": 3.5,
    "kl_weight": 0.5, "timing": {"sentences_per_second": 812.4, "seconds": 5, "seconds_left": 83},
}  # fmt: skip
VALID_RECORD = {
    "event": "valid", "step": 50, "epoch": 0.5, "rec": 29.5, "kl": 3.25, "nll_elbo": 32.75,
    "z_gain": 1.5, "mi": 2.25, "active_units": 12, "best": True, "timing": {"seconds": 1},
}  # fmt: skip


def report_all(reporter) -> None:
    reporter.start(START)
    reporter.message("tokenizer trained")
    for record in (TRAIN_RECORD, VALID_RECORD):
        reporter.log(record)
    reporter.warn("the latent is collapsing")
    reporter.close()
    reporter.close()  # a second time, as after an error


@pytest.mark.parametrize("width", [40, 100])
def test_the_live_table_shows_all_figures_within_the_width(width: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, no_color=True)
    report_all(progress.training_reporter(Output(), console))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    for shown in ("50/2,000", "28.500", "29.500", "32.750", "1.500", "2.250", "12", "0.500",
                  "812", "1:23", "the latent is collapsing"):  # fmt: skip
        assert shown in text
    assert max(map(len, re.split(r"[\r\n]", text))) <= width
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", screen.getvalue())  # no color


def test_without_a_terminal_training_prints_a_line_for_each_record(capsys) -> None:
    report_all(progress.training_reporter(Output()))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 5
    assert "step 50/2,000" in lines[2]
    assert "kl_weight 0.500" in lines[2]
    assert "1:23 left" in lines[2]
    assert "z_gain 1.500" in lines[3]
    assert lines[3].endswith("(best)")
    assert lines[4] == "textvae: warning: the latent is collapsing"


def test_the_name_of_a_bar_has_no_control_character(monkeypatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bars(Output()) as advance:
        advance("runs/\x1b]0;title\x07", 1, 2)
    assert "runs/" in terminal.getvalue()
    assert "\x1b]0;" not in terminal.getvalue()
    assert "\x07" not in terminal.getvalue()


def test_progress_bars_leave_stdout_to_the_data(capsys, monkeypatch) -> None:
    """rich would by default redirect stdout to the terminal that the bars are on."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_bars(Output()) as advance:
        advance("likelihood", 1, 2)
        Output().row({}, "data")
    assert "likelihood" in terminal.getvalue()
    assert capsys.readouterr().out == "data\n"


def test_quiet_training_says_nothing(capsys) -> None:
    report_all(progress.training_reporter(Output(quiet=True)))
    assert capsys.readouterr() == ("", "")


# models: every command on tiny ones


def test_generate_prints_sentences_and_a_smaller_n_is_a_prefix(textvae, tiny_vae) -> None:
    ten = textvae("generate", tiny_vae, "-n", 10, "--seed", 3)
    assert (ten.code, ten.err) == (0, "")
    assert len(ten.out.splitlines()) == 10
    five = textvae("generate", tiny_vae, "-n", 5, "--seed", 3)
    assert ten.out.startswith(five.out)
    assert textvae("generate", tiny_vae, "-n", 10, "--seed", 4).out != ten.out
    as_json = textvae("generate", tiny_vae, "-n", 5, "--seed", 3, "--json")
    assert as_json.rows == [
        {"index": i, "text": text} for i, text in enumerate(five.out.split("\n")[:-1])
    ]
    assert textvae("generate", tiny_vae, "-n", 0).out == ""


@pytest.mark.parametrize(
    ("arguments", "decoding"),
    [
        (["--temperature", 0.5, "--top-k", 3], {"temperature": 0.5, "top_k": 3}),
        (["--top-p", 0.8, "--repetition-penalty", 2], {"top_p": 0.8, "repetition_penalty": 2.0}),
        (["--beams", 3, "--max-tokens", 6], {"beams": 3, "max_tokens": 6}),
        (["--greedy", "--min-tokens", 4], {"greedy": True, "min_tokens": 4}),
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
    assert [row["t"] for row in ran.rows] == [0, 0.25, 0.5, 0.75, 1]
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
        assert "1 sentence exceeded 16 tokens and were cut" in ran.err.replace("was", "were")
        assert textvae(*command, tiny_vae, "--json", stdin=file.read_text()).out == ran.out
        monkeypatch.setattr("textvae.cli.sentences.CHUNK", 2)
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
    assert "cut" in cut.err


def test_evaluate_judges_samples_with_a_scorer(textvae, tiny_vae, tiny_lm, corpus) -> None:
    common = ("evaluate", tiny_vae, corpus, "--samples", 2, "--limit", 20, "--json")
    (report,) = textvae(*common, "--quality", 20).rows
    assert {"self_bleu", "distinct_2", "copied"} <= report.keys()
    assert textvae(*common, "--scorer", tiny_lm).code == 2
    wrong = textvae(*common, "--quality", 20, "--scorer", tiny_vae)
    assert wrong.code == 2
    assert "is of the kind vae" in wrong.err


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
    assert textvae("compare", tiny_vae, *common, "--scorer", tiny_ae).code == 2


def test_a_scorer_reads_the_beginning_of_what_is_too_long(tiny_lm) -> None:
    """What a model wrote may have more tokens when it is read again."""
    from textvae.api import TextVAE
    from textvae.cli.evaluate import negated

    lm = TextVAE.from_pretrained(tiny_lm)
    long = "us ! " * lm.max_tokens
    expected = -lm.log_likelihood([long], truncate=True)
    np.testing.assert_array_equal(negated(lm)([long]), expected)


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


def test_a_scorer_of_the_same_real_sentences_is_trained_once(tiny_lm, monkeypatch) -> None:
    from textvae.api import TextVAE
    from textvae.cli.evaluate import scorer_trainer

    lm, trained = TextVAE.from_pretrained(tiny_lm), []
    monkeypatch.setattr(TextVAE, "train", lambda texts, **_: trained.append(texts) or lm)
    train_scorer = scorer_trainer(lm, Output(quiet=True))
    real = ["us !"]
    for samples in (["a"], ["b"], ["c"]):
        train_scorer(samples)
        np.testing.assert_array_equal(train_scorer(real)(real), -lm.log_likelihood(real))
    assert trained == [("a",), ("us !",), ("b",), ("c",)]


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
    assert "adversarial autoencoder" in (why_no_likelihood("ae", adversarial) or "")
    assert why_no_likelihood("vae", adversarial) is None  # whose encoder has a density


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


def test_a_name_in_no_utf_8_is_refused_before_the_training(textvae, corpus, tmp_path) -> None:
    """Neither experiment.toml nor the weights' format could hold it."""
    name = os.fsdecode(b"\xff")
    shutil.copy(corpus, tmp_path / f"{name}.txt")
    for code, arguments in (
        (4, [tmp_path / f"{name}.txt", "--out", tmp_path / "new"]),
        (2, [corpus, "--out", tmp_path / name]),
    ):
        ran = textvae("train", *arguments, "--max-steps", 2, *SMALL)
        assert ran.code == code
        assert ONE_LINE_ERROR.match(ran.err)
        assert "not valid UTF-8" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.txt"]


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


def test_a_text_that_is_none_is_named_by_its_place(tiny_vae) -> None:
    from textvae.api import TextVAE

    vae = TextVAE.from_pretrained(tiny_vae)
    for text in ("half \ud800", None):
        with pytest.raises(DataError, match=r"texts\[1\]"):
            vae.encode(["us !", text])


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


SMALL = (
    "--hidden-size", 8, "--embedding-size", 8, "--latent-size", 2, "--tokenizer", "word",
    "--batch-size", 16, "--device", "cpu", "--set", "training.log_steps=2",
)  # fmt: skip


def test_train_prints_nothing_on_stdout_and_tells_what_to_try(textvae, corpus, tmp_path) -> None:
    out = tmp_path / "model"
    cache = ("--set", f"data.cache_dir={tmp_path / 'cache'}")
    ran = textvae("train", corpus, "--out", out, "--max-steps", 4, *SMALL, *cache)
    assert (ran.code, ran.out) == (0, "")
    assert "train step 4/4" in ran.err
    assert ran.err.rstrip().splitlines()[-2] == f"try: textvae generate {out} -n 5"
    trained = Config.resolve(file=out / "experiment.toml")
    assert (trained.model.latent_size, trained.training.max_steps) == (2, 4)

    again = textvae("train", corpus, "--out", out, "--max-steps", 4, *SMALL, *cache)
    assert again.code == 2
    assert ONE_LINE_ERROR.match(again.err)
    quiet = textvae(
        "train", corpus, "--out", out, "--max-steps", 4, *SMALL, *cache, "-q", "--overwrite"
    )
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    resumed = textvae("train", "--out", out, "--resume")
    assert (resumed.code, resumed.out) == (0, "")


@pytest.mark.parametrize("name", recipe_names())
def test_each_recipe_trains(textvae, corpus, tmp_path, name: str) -> None:
    out, cache = tmp_path / "model", ("--set", f"data.cache_dir={tmp_path / 'cache'}")
    given = ("--recipe", name, *SMALL[:-2], "--max-steps", 2, "--set", "training.epochs=1")
    ran = textvae("train", corpus, "--out", out, *given, *cache)
    assert (ran.code, ran.out) == (0, "")
    trained, alone = Config.resolve(file=out / "experiment.toml"), Config.resolve(recipe=name)
    assert trained.objective == alone.objective
    sizes = {"hidden_size": 8, "embedding_size": 8, "latent_size": 2}
    assert trained.model == alone.model.model_copy(update=sizes)
    assert textvae("evaluate", out, corpus, "--limit", 5, "--samples", 2, "--json").code == 0


def test_a_dry_run_prints_the_plan_and_trains_nothing(textvae, corpus, tmp_path) -> None:
    out = tmp_path / "model"
    ran = textvae("train", corpus, "--out", out, "--max-steps", 4, *SMALL, "--dry-run")
    assert ran.code == 0
    assert re.search(r"^parameters +[\d,]+$", ran.out, re.MULTILINE)
    assert not out.exists()


# real processes


def test_a_reader_that_has_enough_is_no_error(tiny_vae) -> None:
    process = in_a_process("generate", tiny_vae, "-n", 1_000_000, "--max-tokens", 4)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_leaves_no_half_file(tiny_vae, tmp_path, number, code) -> None:
    out = tmp_path / "vectors.npy"
    process = in_a_process("embed", tiny_vae, "--out", out, stdin=subprocess.PIPE)
    assert process.stdin is not None
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err == b"textvae: interrupted\n"
    assert list(tmp_path.iterdir()) == []
