"""Pipes and terminals: data alone on stdout, in every command; quiet ends; narrow and plain."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.main import get_command

from textvae.api import TextVAE
from textvae.cli import progress
from textvae.cli.main import app, run
from textvae.cli.output import Output, prepare_streams, say

LINES = 'the dog likes rain .\n\nus !\n"quoted" , and a comma\n'
LABELLED = "text\tlabel\n" + "".join(
    f"{subject} {verb} {thing} .\t{label}\n"
    for subject in ("the cook", "my sister", "the dog")
    for verb, label in (("likes", "good"), ("paints", "bad"))
    for thing in ("us", "the soup", "rain")
)


# what may come to stdout, in words of each command


def nothing(out: str) -> None:
    assert out == ""


def lines(count: int) -> Callable[[str], None]:
    def check(out: str) -> None:
        assert out.endswith("\n")
        assert out.count("\n") == count

    return check


def json_objects(count: int, *keys: str) -> Callable[[str], None]:
    def check(out: str) -> None:
        rows = [json.loads(line) for line in out.splitlines()]
        assert len(rows) == count
        assert all(set(keys) <= row.keys() for row in rows)

    return check


def names_and_values(*names: str) -> Callable[[str], None]:
    """Lines `name  value`, sections with lines that are indented."""

    def check(out: str) -> None:
        found = [line for line in out.splitlines() if not line.startswith("  ")]
        assert all(re.fullmatch(r"\w+( +\S.*)?", line) for line in found)
        assert [line.split()[0] for line in found[: len(names)]] == list(names)

    return check


def grid(*headings: str) -> Callable[[str], None]:
    """Blocks of lines of equal length below a heading; blank lines between."""

    def check(out: str) -> None:
        blocks = [block.splitlines() for block in out.rstrip("\n").split("\n\n")]
        assert [block[0].split("  ")[0] for block in blocks] == list(headings)
        assert all(len({len(line) for line in block}) == 1 for block in blocks)

    return check


def predictions(out: str) -> None:
    for line in out.splitlines():
        label, probability, _ = line.split("\t")
        assert label in ("good", "bad")
        assert 0.5 <= float(probability) <= 1


def groups(out: str) -> None:
    figures, *clusters = out.rstrip("\n").split("\n\n")
    names_and_values("model", "n_sentences", "k")(figures + "\n")
    for number, cluster in enumerate(clusters):
        heading, *rest = cluster.splitlines()
        assert re.match(rf"cluster {number}: \d+", heading)
        assert all(line.startswith("  ") for line in rest)


def walks(out: str) -> None:
    for block in out.rstrip("\n").split("\n\n"):
        heading, *steps = block.splitlines()
        assert re.fullmatch(r"unit \d+, KL \d\.\d+", heading)
        assert all(re.match(r" *\d+\.\d%  +-?\d+\.\d\d  \w", step) for step in steps)


def summaries(out: str) -> None:
    rows = [line.split("\t") for line in out.splitlines()]
    assert [(row[0], len(row)) for row in rows] == [("good", 3), ("bad", 3)]


def near_lines(out: str) -> None:
    for block in out.rstrip("\n").split("\n\n"):
        query, *near = block.splitlines()
        assert query in ("us !", "rain .")
        assert len(near) == 2
        assert all(re.match(r"  +-?[\d.]+  +\d+  ", line) for line in near)


def paraphrases(out: str) -> None:
    assert all(re.match(r"-?[\d.]+\t", line) for line in out.splitlines())


def json_rows(*keys: str) -> Callable[[str], None]:
    return lambda out: json_objects(out.count("\n"), *keys)(out)


def scores(out: str) -> None:
    heading, *rows = out.splitlines()
    assert heading.split() == ["nll_iw", "nll_per_word", "nll_per_byte", "text"]
    assert len(rows) == 4
    assert all(re.match(r" *[\d.,]+  +[\d.]+  +[\d.]+  ", row) for row in rows)


def toml(out: str) -> None:
    assert {"data", "model", "training"} <= tomllib.loads(out).keys()


MODEL, FILE, TABLE, OUT, CLASSIFIER = ("MODEL", "FILE", "TABLE", "OUT", "CLASSIFIER")
LM, PACKED, COPY = ("LM", "PACKED", "COPY")  # a compressed file; a model that may change
SMALL = [
    "--hidden-size=8", "--embedding-size=8", "--latent-size=2", "--tokenizer=word",
    "--device=cpu", "--max-steps=2", "--batch-size=16", "--set=data.valid_fraction=0.3",
]  # fmt: skip
# Of each command: arguments, what it prints, and what it prints with --json where it has that.
COMMANDS: dict[str, list[tuple[list[str], Callable[[str], None]]]] = {
    "train": [
        (["train", TABLE, "--out", OUT, *SMALL], nothing),
        (["train", TABLE, "--dry-run", *SMALL], names_and_values("model", "parameters")),
    ],
    "generate": [
        (["generate", MODEL, "-n", "3"], lines(3)),
        (["generate", MODEL, "-n", "3", "--near", "us !", "--json"],
         json_objects(3, "index", "text")),
    ],
    "interpolate": [
        (["interpolate", MODEL, "us !", "rain .", "--steps", "4"], lines(4)),
        (["interpolate", MODEL, "us !", "rain .", "--json"], json_objects(7, "step", "t", "text")),
    ],
    "reconstruct": [
        (["reconstruct", MODEL, FILE], lines(4)),
        (["reconstruct", MODEL, FILE, "--json"], json_objects(4, "index", "reconstruction")),
    ],
    "embed": [
        (["embed", MODEL, FILE, "--out", f"{OUT}.npy"], nothing),
        (["embed", MODEL, FILE, "--json"], json_objects(4, "index", "text", "label", "vector")),
    ],
    "evaluate": [
        (["evaluate", MODEL, FILE, "--samples", "2"],
         names_and_values("model", "samples", "n_sentences")),
        (["evaluate", MODEL, FILE, "--samples", "2", "--json"], json_objects(1, "nll_iw", "seed")),
    ],
    "compare": [
        (["compare", MODEL, "--on", FILE, "--samples", "2"], grid("model")),
        (["compare", MODEL, "--on", FILE, "--samples", "2", "--json"],
         json_objects(1, "models", "differences")),
    ],
    "probe": [
        (["probe", MODEL, TABLE, "--folds", "2", "--save", CLASSIFIER],
         grid("accuracy", "macro F1")),
        (["probe", MODEL, TABLE, "--folds", "2", "--json"], json_objects(1, "results")),
    ],
    "classify": [
        (["classify", MODEL, CLASSIFIER, FILE], predictions),
        (["classify", MODEL, CLASSIFIER, FILE, "--json"], json_objects(4, "probabilities")),
    ],
    "cluster": [
        (["cluster", MODEL, FILE, "-k", "2"], groups),
        (["cluster", MODEL, TABLE, "-k", "2", "--json"], json_objects(1, "clusters")),
    ],
    "analogy": [
        (["analogy", MODEL, "us !", "rain .", "the dog ."], lines(5)),
        (["analogy", MODEL, "us !", "rain .", "the dog .", "--json"], json_objects(5, "text")),
    ],
    "attribute": [
        (["attribute", MODEL, FILE, "--from", FILE, "--to", TABLE, "--strength", "1"], lines(4)),
        (["attribute", MODEL, FILE, "--from", FILE, "--to", TABLE, "--strength", "1", "--json"],
         json_objects(4, "text")),
    ],
    "traverse": [
        (["traverse", MODEL, "us !", "--units", "2", "--reference", FILE], walks),
        (["traverse", MODEL, "--units", "2", "--reference", FILE, "--json"],
         json_objects(10, "unit", "kl", "quantile", "value", "text")),
    ],
    "summarize": [
        (["summarize", MODEL, TABLE], summaries),
        (["summarize", MODEL, TABLE, "--json"], json_objects(2, "group", "text", "members")),
    ],
    "neighbors": [
        (["neighbors", MODEL, FILE, "-k", "2", "--query", "us !", "--query", "rain ."], near_lines),
        (["neighbors", MODEL, FILE, "-k", "2", "--query", "us !", "--json"],
         json_objects(2, "query", "rank", "index", "score", "text")),
    ],
    "score": [
        (["score", MODEL, FILE, "--samples", "2"], scores),
        (["score", MODEL, FILE, "--samples", "2", "--json"], json_objects(4, "nll_per_byte")),
    ],
    "paraphrase": [
        (["paraphrase", MODEL, "us !", "-n", "2"], paraphrases),
        (["paraphrase", MODEL, FILE, "-n", "2", "--json"], json_rows("index", "text", "decoding")),
    ],
    "augment": [
        (["augment", MODEL, TABLE, "--out", f"{OUT}.csv"], nothing),
        (["augment", MODEL, TABLE, "--out", f"{OUT}.csv", "--json"], json_objects(1, "kept")),
    ],
    "compress": [
        (["compress", LM, FILE, "--out", OUT], names_and_values("n_lines")),
        (["compress", LM, FILE, "--out", OUT, "--json"], json_objects(1, "bits_per_byte")),
    ],
    "decompress": [
        (["decompress", LM, PACKED, "--out", OUT], names_and_values("n_lines")),
        (["decompress", LM, PACKED, "--out", OUT, "--json"], json_objects(1, "bits_per_byte")),
    ],
    "prior": [
        (["prior", COPY, "--fit", "gaussian"], names_and_values("model", "prior")),
        (["prior", COPY, "--fit", "gaussian", "--json"], json_objects(1, "prior", "seed")),
    ],
    "plot rate-distortion": [
        (["plot", "rate-distortion", MODEL, "--on", FILE, "--out", f"{OUT}.svg"], nothing),
        (["plot", "rate-distortion", MODEL, "--on", FILE, "--out", f"{OUT}.svg", "--json"],
         json_objects(1)),
    ],
    "plot curves": [(["plot", "curves", MODEL, "--out", f"{OUT}.svg"], nothing)],
    "plot kl": [
        (["plot", "kl", MODEL, FILE, "--out", f"{OUT}.svg"], nothing),
        (["plot", "kl", MODEL, FILE, "--out", f"{OUT}.svg", "--json"], json_objects(1, "units")),
    ],
    "plot map": [
        (["plot", "map", MODEL, TABLE, "--out", f"{OUT}.svg"], nothing),
        (["plot", "map", MODEL, FILE, "--out", f"{OUT}.svg", "--json"], json_objects(1, "points")),
    ],
    "plot path": [
        (["plot", "path", MODEL, FILE, "us !", "rain .", "--out", f"{OUT}.svg"], nothing),
        (["plot", "path", MODEL, FILE, "us !", "rain .", "--out", f"{OUT}.svg", "--json"],
         json_objects(1, "points", "steps", "decoding")),
    ],
    "info": [
        (["info", MODEL], names_and_values("model", "kind", "parameters")),
        (["info", MODEL, "--json"], json_objects(1, "kind", "metrics", "config")),
    ],
    "config show": [(["config", "show", "--latent-size", "3"], toml)],
    "config check": [(["config", "check", "EXPERIMENT"], nothing)],
}  # fmt: skip


def commands_of(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{before}{name} ")
        else:
            yield before + name, command


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, tiny_vae: Path, tiny_lm: Path
) -> dict[str, str]:
    """What stands for the words in capitals."""
    folder = tmp_path_factory.mktemp("terminal")
    (folder / "lines.txt").write_text(LINES, encoding="utf-8")
    (folder / "table.tsv").write_text(LABELLED, encoding="utf-8")
    names = {MODEL: tiny_vae, FILE: folder / "lines.txt", TABLE: folder / "table.tsv"}
    names |= {LM: tiny_lm, PACKED: folder / "lines.tvc", COPY: folder / "copy"}
    shutil.copytree(tiny_vae, folder / "copy")
    TextVAE.from_pretrained(tiny_lm).compress(folder / "lines.txt", folder / "lines.tvc")
    names |= {CLASSIFIER: folder / "c.safetensors", "EXPERIMENT": tiny_vae / "experiment.toml"}
    return {name: str(path) for name, path in names.items()}


def arguments_of(template: list[str], files: dict[str, str], tmp_path: Path) -> list[str]:
    named = {**files, OUT: str(tmp_path / "out")}
    named |= {
        f"{OUT}{suffix}": str(tmp_path / f"out{suffix}") for suffix in (".npy", ".svg", ".csv")
    }
    return [named.get(word, word) for word in template]


def test_every_command_of_the_application_is_looked_at() -> None:
    found = dict(commands_of(get_command(app)))
    assert found.keys() == COMMANDS.keys()
    for name, command in found.items():
        has_json = any("--json" in option.opts for option in command.params)
        assert has_json == any("--json" in words for words, _ in COMMANDS[name]), name


@pytest.mark.parametrize(
    ("template", "check"),
    [
        pytest.param(*case, id=" ".join(case[0][:2]))
        for found in COMMANDS.values()
        for case in found
    ],
)
def test_stdout_carries_nothing_but_data(
    template: list[str],
    check: Callable[[str], None],
    files: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever libraries have to say meanwhile, and below Python too."""
    from textvae.config import Config

    def noisy(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            warnings.warn("a noise", stacklevel=1)
            for name in ("", "transformers", "datasets", "torch", "textvae"):
                logging.getLogger(name).error("a noise")
            return function(*arguments, **options)

        return call

    monkeypatch.setenv("TEXTVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(TextVAE, "from_pretrained", noisy(TextVAE.from_pretrained))
    monkeypatch.setattr(Config, "resolve", noisy(Config.resolve))
    monkeypatch.setattr("textvae.training.dry_run.MEASURED_SECONDS", 0.01)
    if template[0] == "classify" and not Path(files[CLASSIFIER]).exists():
        assert run(arguments_of(COMMANDS["probe"][0][0], files, tmp_path)) == 0
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(arguments_of(template, files, tmp_path)) == 0
    check(capfd.readouterr().out)


@pytest.mark.parametrize("name", COMMANDS)
def test_an_interruption_is_one_line_and_exit_code_130(
    name: str,
    files: dict[str, str],
    tmp_path: Path,
    textvae,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    for place in (
        "api.TextVAE.from_pretrained",
        "api.train",
        "config.Config.resolve",
        "plots.curves.read_metrics",
    ):
        monkeypatch.setattr(f"textvae.{place}", interrupted)
    ran = textvae(*arguments_of(COMMANDS[name][0][0], files, tmp_path))
    assert (ran.code, ran.out, ran.err) == (130, "", "textvae: interrupted\n")
    assert list(tmp_path.iterdir()) == []


# streams that are closed, full or left; commands that need no torch


INHERITED = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def in_a_shell(command: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["bash", "-c", command.replace("textvae", f"{sys.executable} -m textvae")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env=None if not environment else {**INHERITED, **environment},
    )
    return done.returncode, done.stdout, done.stderr


FULL = "textvae: error: standard output: No space left on device; make room there"
WRONG = "textvae: error: /nowhere: no such configuration file\n"


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("textvae config show >&-", 0, "", ""),
        ("textvae --version >&-", 0, "", ""),
        ("textvae config show | true; exit ${PIPESTATUS[0]}", 0, "", ""),
        ("textvae config show >/dev/full", 1, "", FULL),
        ("textvae --help >/dev/full", 1, "", "textvae: error: "),
        ("textvae config check /nowhere 2>&-", 3, "", ""),
        ("textvae config check /nowhere >&- 2>&-", 3, "", ""),
        ("textvae config check /nowhere >&-", 3, "", WRONG),
        ("textvae config check /nowhere 2>/dev/full", 3, "", ""),
        ("textvae config 2>/dev/full", 2, "", ""),
        ("textvae config check /nowhere 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", 3, "", ""),
        ("textvae config check /nowhere <&- >&- 2>/dev/null", 3, "", ""),
    ],
)  # fmt: skip
def test_a_stream_that_takes_nothing_ends_a_command_quietly(
    command: str, code: int, out: str, err: str
) -> None:
    if "/dev/full" in command and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    found = in_a_shell(command)
    assert found[:2] == (code, out)
    assert found[2].startswith(err)
    assert found[2].count("\n") == (1 if err else 0)


def test_a_stdin_that_is_closed_is_empty(files: dict[str, str], monkeypatch, capfd) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert run(["reconstruct", files[MODEL]]) == 0
    assert capfd.readouterr().out == ""


def test_any_text_comes_out_whatever_the_locale() -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    code, out, err = in_a_shell("textvae config show --text-column 'naïve ☃'", **ascii_only)
    assert (code, err) == (0, "")
    assert tomllib.loads(out)["data"]["text_column"] == "naïve ☃"
    code, out, err = in_a_shell("textvae config check 'naïve ☃'", **ascii_only)
    assert (code, out) == (3, "")
    assert err.isascii()
    assert "na\\xefve" in err


def test_a_sentence_of_the_command_line_needs_no_utf8_locale(textvae, files) -> None:
    """Without one its bytes arrive as lone surrogates."""
    arrived = "naïve ☃".encode().decode("ascii", "surrogateescape")
    assert arrived != "naïve ☃"
    command = ("interpolate", files[MODEL], "us !")
    assert textvae(*command, arrived).out == textvae(*command, "naïve ☃").out
    broken = textvae(*command, b"\xff".decode("utf-8", "surrogateescape"))
    assert broken.code == 2
    assert "UTF-8" in broken.err


def test_what_nobody_reads_on_stderr_stops_nothing(monkeypatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def isatty(self) -> bool:
            return True

    console = Console(file=Gone(), force_terminal=True, width=40)
    reporter = progress.training_reporter(Output(), console)
    reporter.start({"model": "vae"})
    reporter.message("tokenizer trained")
    reporter.log({"event": "train", "step": 1})
    reporter.warn("collapse")
    reporter.close()
    monkeypatch.setattr("sys.stderr", Gone())
    say("nobody hears")


# narrow and plain


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A stderr of 40 columns."""
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "40", "LINES": "20"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return stream


def shown(terminal: Terminal) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())


@pytest.mark.parametrize("phase", ["reconstruction", "word vectors", "runs/a/long/name/of/a/model"])
def test_bars_of_40_columns_show_how_much_is_done(monkeypatch, phase: str) -> None:
    terminal = narrow_terminal(monkeypatch)
    with progress.progress_bars(Output()) as advance:
        advance(phase, 999_999, 1_000_000)
    assert "999999/1000000" in shown(terminal)
    assert max(map(len, re.split(r"[\r\n]", shown(terminal)))) <= 40


LONG = {
    "event": "train", "step": 1_200_000, "rec": 1234.5678, "kl": 3.5, "kl_weight": 0.5,
    "timing": {"sentences_per_second": 123_456.7, "seconds_left": 360_000},
}  # fmt: skip


def test_a_long_training_of_40_columns_loses_no_digit(monkeypatch) -> None:
    terminal = narrow_terminal(monkeypatch)
    reporter = progress.training_reporter(Output())
    reporter.start({"model": "vae", "horizon": 5_000_000})
    reporter.log(LONG)
    reporter.log({**LONG, "event": "valid", "nll_elbo": 1238.0678})
    reporter.close()
    text = shown(terminal)
    assert "…" not in text
    for figure in ("1234.568", "1238.068", "123,457", "100:00:00", "1,200,000", "0.500"):
        assert figure in text


@pytest.mark.parametrize("no_color", [True, False])
def test_no_color_means_no_style_at_all(monkeypatch, no_color: bool) -> None:
    terminal = narrow_terminal(monkeypatch)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    reporter = progress.training_reporter(Output())
    reporter.start({"model": "vae", "horizon": 10})
    reporter.warn("collapse")
    reporter.log(LONG)
    reporter.close()
    with progress.progress_bars(Output()) as advance:
        advance("samples", 1, 2)
    styles = re.findall(r"\x1b\[[0-9;]*m", terminal.getvalue())
    assert (styles == []) == no_color


@pytest.mark.parametrize("kind", ["pipe", "dumb"])
def test_a_pipe_and_a_dumb_terminal_get_plain_lines(monkeypatch, kind: str) -> None:
    terminal = narrow_terminal(monkeypatch)
    monkeypatch.setenv("FORCE_COLOR", "1")
    if kind == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    else:
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    reporter = progress.training_reporter(Output())
    reporter.start({"model": "vae"})
    reporter.log(LONG)
    reporter.close()
    with progress.progress_bars(Output()) as advance:
        advance("samples", 1, 2)
    assert "\x1b" not in terminal.getvalue()
    assert "\r" not in terminal.getvalue()
    assert terminal.getvalue().count("\n") == 2


def test_streams_that_are_open_stay(monkeypatch) -> None:
    before = (sys.stdin, sys.stdout, sys.stderr)
    prepare_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == before
