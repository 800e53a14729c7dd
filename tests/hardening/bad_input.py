"""Every kind of bad input, given to the real commands: what a user sees of each.

    python tests/hardening/bad_input.py --json bad-input.json --markdown bad-input.md

Makes the files in a temporary folder, and a tiny model there; runs each command in a process of its
own, which is forked, so that it costs no imports. Fails where one leaves a traceback, another exit
code than it should, more than one error line, a control character on stderr or on a terminal, or
less said than it should.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import lzma
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # whose threads a fork loses
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import bad_latent_input  # noqa: E402

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SECONDS, MEBIBYTES = 300, 4096  # that a command may take
MODEL, NEW, VECTORS = "model", "new", "vectors.npy"
WRITTEN = (VECTORS, *bad_latent_input.WRITTEN)
SMALL = (
    "--hidden-size", "8", "--embedding-size", "8", "--latent-size", "2", "--tokenizer", "word",
    "--max-tokens", "16", "--device", "cpu", "--set", "data.cache_dir=cache",
)  # fmt: skip
SENTENCES = [f"the {who} {does} {what} ." for who in ("cook", "dog", "old man")
             for does in ("sees", "likes") for what in ("the soup", "a boat", "rain")]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A command on a bad input.

    Args:
        name: what is bad.
        arguments: of `textvae`.
        code: the exit code that it should have.
        says: a pattern that stderr should match; empty: it should be silent.
        stdin: what comes from there; None: it is closed.
        terminal: whether stdout is one.
    """

    name: str
    arguments: tuple[str, ...]
    code: int
    says: str
    stdin: bytes | None = b""
    terminal: bool = False


@dataclass(frozen=True)
class Seen:
    """What a command left."""

    case: str
    command: str
    code: int
    line: str
    mebibytes: int
    faults: tuple[str, ...]


def main(arguments: list[str]) -> None:
    """Run all cases, write the tables, fail where one is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases of such names")
    parser.add_argument("--commands", default="", metavar="PATTERN", help="cases of such commands")
    options = parser.parse_args(arguments)
    targets = [path and path.resolve() for path in (options.json, options.markdown)]
    import_all()
    with tempfile.TemporaryDirectory(prefix="textvae-bad-") as folder:
        os.chdir(folder)
        prepare()
        seen = [
            look(case)
            for case in cases()
            if re.search(options.only, case.name) and re.search(options.commands, case.arguments[0])
        ]
        os.chdir(ROOT)
    if targets[0]:
        rows = [asdict(row) for row in seen]
        targets[0].write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    table = markdown(seen)
    if targets[1]:
        targets[1].write_text(table, "utf-8")
    print(table, end="")
    failed = [row for row in seen if row.faults]
    print(f"{len(seen)} commands, {len(failed)} not as they should be", file=sys.stderr)
    for row in failed:
        print(f"{row.case}: {row.command}: {'; '.join(row.faults)}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def import_all() -> None:
    """Import what the commands would, once for all of them."""
    import accelerate  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import zstandard  # noqa: F401

    import textvae.api
    import textvae.cli.main
    import textvae.cli.probe
    import textvae.training.train  # noqa: F401


def train(*arguments: str) -> tuple[str, ...]:
    """The arguments of a training of two steps."""
    return ("train", *SMALL, "--max-steps", "2", "--out", NEW, *arguments)


# the files


def prepare() -> None:
    """Write good files, bad files, and a model."""
    Path("good.txt").write_text("\n".join(SENTENCES) + "\n", "utf-8")
    labelled = [f"{'ab'[place % 2]}\t{text}" for place, text in enumerate(SENTENCES)]
    Path("good.tsv").write_text("\n".join(["label\ttext", *labelled]) + "\n", "utf-8")
    for name, content in text_files().items():
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    packed_files()
    parquet_files()
    Path("folder").mkdir()
    os.mkfifo("pipe.txt")
    for arguments in (
        ("train", "good.txt", "--out", MODEL, "--max-steps", "4", *SMALL),
        ("probe", MODEL, "good.tsv", "--folds", "2", "--save", "classifier.safetensors"),
        *bad_latent_input.preparations(SMALL),
    ):
        code, _, err, _ = run(Case("", arguments, 0, ""))
        if code:
            sys.exit(f"{' '.join(arguments)}: {err}")
    bad_latent_input.damage()


def text_files() -> dict[str, str | bytes]:
    """The content of files that are what their names say, in some way at least."""
    good = "\n".join(SENTENCES) + "\n"
    hard = "the \x1b[31mred\x07 dog\x9b2J \u202e.txt"
    return {
        "latin1.txt": "the soup\nthe na\xefve dog\n".encode("latin-1"),
        "utf16.txt": good.encode("utf-16"),
        "utf16-no-mark.txt": good.encode("utf-16-le"),
        "mark.txt": "\ufeff" + good,
        "mark.tsv": "\ufefflabel\ttext\na\tthe soup\n",
        "nul.txt": good + "the \0 dog\n",
        "crlf.txt": good.replace("\n", "\r\n"),
        "blank.txt": good + "\n  \n\t\n",
        "only-blank.txt": "\n \n\n",
        "long.txt": good + "the soup " * 1_100_000 + "\n",
        "word.txt": good + "a" * 10_000_000 + "\n",
        "longer.txt": good + "a" * 17_000_000 + "\n",
        "one.txt": "the cook sees rain .\n",
        "few.txt": "the cook sees\nthe dog likes rain\n",
        "empty.txt": "",
        "empty.csv": "",
        "no-column.csv": "a,b\n1,2\n",
        "doubled.csv": "text,text\na,b\n",
        "ragged.csv": "text,label\na,b\nc\n",
        "unclosed.csv": 'text,label\na,b\n"c,d\n' + good,
        "unclosed-long.csv": 'text,label\na,b\n"c,d\n' + good * 1000,
        "quote.tsv": 'label\ttext\na\tsay "hi\nb\tthe soup\n',
        "escape.csv": '"a\x1b[31m\nb","c\u202e"\nx,y\n',
        "type.jsonl": '{"text": "a"}\n{"text": 5}\n',
        "missing.jsonl": '{"text": "a"}\n{"txt": "b"}\n',
        "null.jsonl": '{"text": null}\n',
        "list.jsonl": '["a"]\n',
        "broken.jsonl": '{"text": "a"}\n{"text": \n',
        "deep.jsonl": "[" * 100_000 + "\n",
        "twice.jsonl": '{"text": "a", "text": "b"}\n',
        "surrogate.jsonl": '{"text": "\\ud800"}\n',
        "label-surrogate.jsonl": '{"text": "a", "label": "\\udfff"}\n',
        "label-list.jsonl": '{"text": "a", "label": ["x"]}\n',
        "digits.jsonl": '{"text": "a", "log_prob": ' + "9" * 400 + "}\n",
        "one-class.tsv": "label\ttext\nx\ta\nx\tb\n",
        "floats.tsv": "label\ttext\n" + "".join(f"{n / 7}\tword {n}\n" for n in range(40)),
        "some-labels.tsv": "label\ttext\n" + "a\tthe dog\nb\tthe soup\n" * 8 + "\train\n" * 3,
        "emoji.txt": "the 👩‍👩‍👧 likes 😀\nكان الحساء باردا .\nהמרק היה קר .\n天气很好。\n" + good,
        "control.txt": f"{good}{hard}\n",
        "config.toml": '[model]\n"a\\u001b[31m\\nb" = 1\n',
        "type.toml": '[model]\nlayers = "many"\n',
        "deep.toml": "[model]\nlayers = " + "[" * 5000 + "\n",
        "latin1.toml": b"[model]\n# \xef\n",
        "new\nline.docx": "x",
        "x" * 200 + ".unknown": "x\0",
        "other.en": good,
        "old-mac.txt": good.replace("\n", "\r"),
        "cp1252.txt": "the soup\nit\x92s the dog\n".encode("latin-1"),
        "converted.txt": good + "it\x92s the dog\n",
        "mostly.txt": "the café\n".encode() * 9 + b"the na\xefve dog\n",
        "semicolons.csv": "text;label\n" + "the soup, cold;a\nthe dog;b\n" * 9,
        "sentence.csv": good,
        "not-there.tsv": "label\ttext\n" + "a\tthe dog\nNaN\tthe soup\nb\train\n" * 6,
        "array.json": json.dumps([{"text": text} for text in SENTENCES]),
        "broken.json": '[{"text": "a"}, {"text": ',
        "workbook.csv": b"PK\x03\x04 xl/workbook.xml",
        "unspaced.txt": "".join(f"天气很好{'好' * n}汤是冷的\n" for n in range(20)),
        "cell.csv": 'text\n"' + "the soup, cold " * 10_000 + '"\n',
    }


def packed_files() -> None:
    """Write compressed files that are damaged, or bombs."""
    import zstandard

    content = "\n".join(map(str, range(50_000))).encode()
    for suffix, pack in (
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".bz2", bz2.compress),
        (".zst", zstandard.compress),
    ):
        whole = pack(content)
        Path(f"cut.txt{suffix}").write_bytes(whole[: len(whole) // 2])
        Path(f"more.txt{suffix}").write_bytes(whole + b"and more")
        lines = zstandard.ZstdCompressor().compressobj() if suffix == ".zst" else None
        if lines is None:
            bomb = pack(b"the soup\n" * (1 << 23))
        else:
            bomb = b"".join(lines.compress(bytes(1 << 24)) for _ in range(64)) + lines.flush()
        Path(f"bomb.txt{suffix}").write_bytes(bomb)
    Path("plain.txt.gz").write_bytes(content)
    Path("plain.csv.zst").write_bytes(content)


def parquet_files() -> None:
    """Write Parquet files of the wrong columns, damaged ones, and a bomb."""
    import pyarrow as pa
    from pyarrow import parquet

    def write(name: str, **columns: object) -> None:
        parquet.write_table(pa.table(columns), name)

    write("whole.parquet", text=SENTENCES * 100)
    content = Path("whole.parquet").read_bytes()
    Path("cut.parquet").write_bytes(content[: len(content) // 2])
    Path("text.parquet").write_text("the soup\n", "utf-8")
    write("numbers.parquet", text=[1, 2])
    write("bytes.parquet", text=[b"a", b"\xff"])
    write("null.parquet", text=["a", None])
    write("other.parquet", a=["x"], b=["y"])
    write("dates.parquet", text=["a"], label=pa.array([2**31 - 1], pa.date32()))
    write("nan.parquet", text=SENTENCES, label=[0.0, 1.0, float("nan")] * (len(SENTENCES) // 3))
    indices = pa.array([0] * 4_000_000, pa.int8())
    write("bomb.parquet", text=pa.DictionaryArray.from_arrays(indices, ["the soup " * 99]))


def cases() -> list[Case]:
    """All commands that are run, and what should come of each."""

    def embed(name: str, code: int, says: str, file: str, **more: object) -> Case:
        return Case(name, ("embed", MODEL, file, "--out", VECTORS), code, says, **more)  # type: ignore[arg-type]

    def reconstruct(name: str, code: int, says: str, file: str = "-", **more: object) -> Case:
        return Case(name, ("reconstruct", MODEL, file), code, says, **more)  # type: ignore[arg-type]

    def evaluate(name: str, code: int, says: str, file: str) -> Case:
        return Case(name, ("evaluate", MODEL, file, "--samples", "2"), code, says)

    def trained(name: str, code: int, says: str, *arguments: str) -> Case:
        return Case(name, train(*arguments), code, says)

    def probe(name: str, code: int, says: str, file: str) -> Case:
        return Case(name, ("probe", MODEL, file, "--folds", "2"), code, says)

    classify = ("classify", MODEL, "classifier.safetensors")
    valid = ("--valid", "good.txt")
    damaged = "damaged or truncated"
    found: list[Case] = []
    for suffix in (".gz", ".xz", ".bz2", ".zst"):
        found += [
            trained(f"truncated {suffix}", 4, rf"cut\.txt\{suffix}: {damaged}", f"cut.txt{suffix}"),
            embed(f"truncated {suffix}", 4, rf"cut\.txt\{suffix}: {damaged}", f"cut.txt{suffix}"),
            embed(f"{suffix} and more", 4, rf"more\.txt\{suffix}: .*damaged", f"more.txt{suffix}"),
            embed(f"bomb {suffix}", 4, rf"bomb\.txt\{suffix}.*(300 times|1,000 times|16 MiB)",
                  f"bomb.txt{suffix}"),
        ]  # fmt: skip
    return [
        trained("invalid UTF-8", 4, r"latin1\.txt:2: not valid UTF-8 .*iconv", "latin1.txt"),
        embed("invalid UTF-8", 4, r"latin1\.txt:2: not valid UTF-8", "latin1.txt"),
        reconstruct("invalid UTF-8 on stdin", 4, "stdin:1: not valid UTF-8", stdin=b"\xff\n"),
        trained("UTF-16", 4, r"utf16\.txt:1: not valid UTF-8.*UTF-16", "utf16.txt"),
        reconstruct("UTF-16 without a mark", 4, r":1: contains a NUL byte", "utf16-no-mark.txt"),
        reconstruct("byte-order mark", 0, "", "mark.txt"),
        trained("byte-order mark", 0, "the model is in", "mark.txt", *valid),
        probe("byte-order mark, one class", 4, r"mark\.tsv: every label is 'a'", "mark.tsv"),
        trained("NUL byte", 4, r"nul\.txt:19: contains a NUL byte", "nul.txt"),
        embed("NUL byte", 4, r"nul\.txt:19: contains a NUL byte", "nul.txt"),
        reconstruct("CRLF", 0, "", "crlf.txt"),
        trained("CRLF", 0, "the model is in", "crlf.txt", *valid),
        trained("blank lines", 0, "warning: training sentences: 3 blank and skipped",
                "blank.txt", *valid),
        embed("blank lines", 0, "21 vectors", "blank.txt"),
        evaluate("blank lines", 0, "", "blank.txt"),
        trained("nothing but blank lines", 4, r"left \(3 blank, 0 too long\)",
                "only-blank.txt", *valid),
        evaluate("nothing but blank lines", 4, r"only-blank\.txt: no sentence.*3 lines",
                 "only-blank.txt"),
        embed("a line of 10 MB", 0, "1 sentence exceeded 16 tokens", "long.txt"),
        trained("a line of 10 MB", 0, "warning: .*1 truncated to 16 tokens", "long.txt", *valid),
        evaluate("a line of 10 MB", 4, "1 of 19 sentences exceed .* --truncate", "long.txt"),
        embed("a word of 10 MB", 0, "19 vectors", "word.txt"),
        trained("a line of 17 MB", 4, r"longer\.txt:19: a line of more than 16 MiB", "longer.txt"),
        embed("an endless line", 4, "/dev/zero:1: a line of more than 16 MiB", "/dev/zero"),
        trained("one sentence", 4, "no validation sentences are left.*--valid", "one.txt"),
        trained("one sentence to train on", 0, "the model is in", "one.txt", *valid),
        trained("one sentence to validate on", 0, "the model is in", "good.txt", "--valid",
                "one.txt"),
        evaluate("one sentence", 0, "", "one.txt"),
        reconstruct("one sentence", 0, "", "one.txt"),
        Case("one sentence", ("cluster", MODEL, "one.txt", "-k", "2"), 4,
             r"one\.txt: k is 2, but there is only 1 sentence"),
        trained("an empty file", 4, r"empty\.txt: no training sentences are left", "empty.txt"),
        embed("an empty file", 0, "0 vectors", "empty.txt"),
        reconstruct("an empty file", 0, r"warning: empty\.txt: no sentence in it", "empty.txt"),
        evaluate("an empty file", 4, r"empty\.txt: no sentence", "empty.txt"),
        embed("an empty .csv", 4, r"empty\.csv:1: expected a header line", "empty.csv"),
        probe("an empty file", 4, r"empty\.txt: no sentences in it", "empty.txt"),
        Case("an empty file", ("cluster", MODEL, "empty.txt", "-k", "2"), 4,
             r"empty\.txt: no sentences in it"),
        Case("nothing on stdin", classify, 0, "warning: stdin: no sentence in it"),
        trained("/dev/null", 4, "/dev/null: no training sentences", "/dev/null"),
        reconstruct("stdin is closed", 0, "warning: stdin: no sentence in it", stdin=None),
        trained("a folder", 4, "folder: is a folder; name its files", "folder"),
        embed("a folder", 4, "folder: is a folder", "folder"),
        trained("no such file", 3, "no such file", "nowhere.txt"),
        trained("no file like that", 3, "no file matches", "nowhere-*.txt"),
        embed("a name too long", 4, "cannot be read: File name too long", "x" * 5000 + ".txt"),
        embed("a file as a folder", 3, "no such file", "good.txt/good.txt"),
        reconstruct("a pipe by its name", 0, "", "pipe.txt"),
        trained("unknown format", 4, r"unknown format '\.docx'", "new\nline.docx"),
        embed("unknown format", 4, r"unknown format '\.unknown'", "x" * 200 + ".unknown"),
        *found,
        embed("no .gz at all", 4, rf"plain\.txt\.gz: {damaged}", "plain.txt.gz"),
        embed("no .zst at all", 4, rf"plain\.csv\.zst: {damaged}", "plain.csv.zst"),
        trained("truncated .parquet", 4, r"cut\.parquet: damaged", "cut.parquet"),
        embed("truncated .parquet", 4, r"cut\.parquet: damaged", "cut.parquet"),
        embed("no .parquet at all", 4, r"text\.parquet: damaged or not a Parquet", "text.parquet"),
        embed("bomb .parquet", 4, r"bomb\.parquet: .*000 times", "bomb.parquet"),
        embed(".parquet of numbers", 4, "row 1: the text is of type int", "numbers.parquet"),
        embed(".parquet of bytes", 4, "row 1: the text is of type bytes", "bytes.parquet"),
        embed(".parquet with a missing text", 4, "row 2: the text is missing", "null.parquet"),
        embed(".parquet, missing column", 3, "no column 'text'; its columns are a, b",
              "other.parquet"),
        embed(".parquet, label in the year 5,881,580", 4, r"dates\.parquet: row 1: ",
              "dates.parquet"),
        probe(".parquet, missing labels", 0, "skipped 6 of 18 lines", "nan.parquet"),
        embed("missing column", 3, r"no-column\.csv:1: no column 'text'", "no-column.csv"),
        probe("missing column", 3, r"no-column\.csv:1: no column", "no-column.csv"),
        trained("doubled column", 4, r"doubled\.csv:1: duplicate column 'text'",
                "doubled.csv"),
        embed("too few fields", 4, r"ragged\.csv:3: expected 2 fields", "ragged.csv"),
        embed("quotation mark never closed", 4, r"unclosed\.csv:3: not valid CSV", "unclosed.csv"),
        embed("quotation mark never closed", 4, r":3: not valid CSV .* is never closed",
              "unclosed-long.csv"),
        embed("a cell of 150 kB", 0, "1 vector", "cell.csv"),
        trained("semicolons in .csv", 0, "columns are separated by semicolons", "semicolons.csv",
                *valid),
        embed("no header in .csv", 4, r"sentence\.csv:1: the first line, .* first sentence",
              "sentence.csv"),
        probe("labels that say NaN", 0, r"'NaN' \(6\) is a class", "not-there.tsv"),
        trained("an ending that says nothing", 0, r"'\.en' says no format", "other.en", *valid),
        embed("lone carriage returns", 0, "18 vectors", "old-mac.txt"),
        trained("CP1252", 4, r"cp1252\.txt:2: not valid UTF-8 .*iconv -f CP1252", "cp1252.txt"),
        embed("one line in LATIN1", 4, r"mostly\.txt:10: .*do not convert the whole file",
              "mostly.txt"),
        reconstruct("a wrong conversion", 0, "1 text holds control characters", "converted.txt"),
        embed("a .json array", 0, "18 vectors", "array.json"),
        embed("broken .json array", 4, r"broken\.json: item 2: not valid JSON", "broken.json"),
        embed("a spreadsheet named .csv", 4, r"workbook\.csv: the content is a spreadsheet",
              "workbook.csv"),
        trained("text without spaces, word tokenizer", 0, "try --tokenizer bpe", "unspaced.txt",
                *valid),
        embed("quotation mark in .tsv", 0, "2 vectors", "quote.tsv"),
        embed("control characters in column names", 3, r"a\\x1b\[31m\\nb, c\\u202e", "escape.csv"),
        embed("text of the wrong type", 4, r"type\.jsonl:2: the text is of type int", "type.jsonl"),
        embed("text missing", 4, r"missing\.jsonl:2: this object has no 'text'", "missing.jsonl"),
        embed("text null", 4, r"null\.jsonl:1: the text is missing", "null.jsonl"),
        embed("no JSON object", 4, r"list\.jsonl:1: expected a JSON object", "list.jsonl"),
        embed("broken JSON", 4, r"broken\.jsonl:2: not valid JSON", "broken.jsonl"),
        embed("deep JSON", 4, r"deep\.jsonl:1: not valid JSON", "deep.jsonl"),
        embed("a name twice", 4, r"twice\.jsonl:1: .*duplicate name 'text'", "twice.jsonl"),
        embed("half a surrogate pair", 4, "the text contains a lone surrogate", "surrogate.jsonl"),
        embed("half a surrogate pair", 4, "the label contains a lone", "label-surrogate.jsonl"),
        probe("label of the wrong type", 4, "the label is of type list", "label-list.jsonl"),
        embed("a number of 400 digits", 4, r"log_prob 9{50,}\.\.\. is not", "digits.jsonl"),
        probe("one class", 4, r"one-class\.tsv: every label is 'x'", "one-class.tsv"),
        probe("labels are floats", 4, "40 distinct fractional numbers in 40 rows", "floats.tsv"),
        probe("some without a label", 0, "skipped 3 of 19 lines", "some-labels.tsv"),
        probe("no labels", 4, r"good\.txt: no label in 18 lines", "good.txt"),
        trained("emoji and right-to-left text", 0, "the model is in", "emoji.txt", *valid),
        reconstruct("emoji and right-to-left text", 0, "", "emoji.txt"),
        trained("control characters", 0, "the model is in", "control.txt", *valid),
        reconstruct("control characters", 0, "1 text holds control", "control.txt", terminal=True),
        Case("control characters", (*classify, "control.txt"), 0, "1 text holds control",
             terminal=True),
        embed("control characters in a name", 3, r"a\\x1b\[31m\\u202e\.txt", "a\x1b[31m\u202e.txt"),
        embed("line break in a name", 3, r"a\\nb\.txt: no such file", "a\nb.txt"),
        trained("fewer sentences than a batch", 0, "the model is in", "few.txt", *valid),
        trained("validation empty after filtering", 4,
                r"no validation sentences are left \(0 blank, 1 too long\)",
                "few.txt", "--valid", "one.txt", "--set", "data.overlong=drop",
                "--max-tokens", "5"),
        trained("name in no UTF-8", 4, r"data\.train = .*udcff.*not valid UTF-8", "a\udcff.txt"),
        Case("sentence in no UTF-8", ("interpolate", MODEL, "a\udcff", "b"), 2, "not valid UTF-8"),
        Case("control characters in a key", ("config", "check", "config.toml"), 4, "not a known"),
        Case("wrong type of a value", ("config", "check", "type.toml"), 4, "model.layers = 'many'"),
        Case("deep TOML", ("config", "check", "deep.toml"), 4, "not valid TOML"),
        Case("configuration in no UTF-8", ("config", "check", "latin1.toml"), 4, "not valid TOML"),
        Case("configuration is a folder", ("config", "check", "folder"), 4, "cannot be read"),
        trained("value out of range", 4, "latent_size = 0", "good.txt", "--latent-size", "0"),
        trained("value out of range", 4, "target_kl = 4: .* keeps the KL at inf",
                "good.txt", "--target-kl", "4", "--set", "model.posterior_batch_norm=1e300"),
        trained("no section", 4, "expected section.key=value", "good.txt", "--set", "x" * 9999),
        trained("no such cache", 4, "cannot create the cache folder", "good.txt", "--set",
                "data.cache_dir=good.txt"),
        trained("tokenizer is no tokenizer", 4, r"good\.txt: not a tokenizer\.json", "good.txt",
                "--tokenizer", "good.txt"),
        *(Case(*given) for given in bad_latent_input.cases()),
        *unreadable(embed, trained),
    ]  # fmt: skip


def unreadable(embed: Callable[..., Case], trained: Callable[..., Case]) -> list[Case]:
    """Files without permission; the superuser has it all the same."""
    if os.geteuid() == 0:
        return []
    Path("secret.txt").touch(mode=0)
    says = r"secret\.txt: cannot be read: Permission denied"
    return [embed("no permission", 4, says, "secret.txt"),
            trained("no permission", 4, says, "secret.txt")]  # fmt: skip


# the runs


def look(case: Case) -> Seen:
    """What a command leaves, and what of it is not as it should be."""
    for name in (NEW, *WRITTEN):
        shutil.rmtree(name, ignore_errors=True)
        Path(name).unlink(missing_ok=True)
    if "pipe.txt" in case.arguments:
        content = Path("good.txt").read_bytes()
        threading.Thread(target=Path("pipe.txt").write_bytes, args=(content,), daemon=True).start()
    code, out, err, mebibytes = run(case)
    lines = err.splitlines()
    errors = [line for line in lines if "error:" in line]
    warnings = [line for line in lines if "warning:" in line]
    told = [line for line in lines if case.says and re.search(case.says, line)]
    line = (errors or told or warnings or [f"(nothing; {out.count(chr(10))} lines on stdout)"])[0]
    checks = {
        f"exit code {code}, expected {case.code}": code != case.code,
        "a traceback": "Traceback" in err or "panicked" in err,
        f"{len(errors)} error lines": len(errors) != (code != 0),
        "control characters on stderr": CONTROLS.search(err),
        "control characters on a terminal": case.terminal and CONTROLS.search(out),
        f"does not say {case.says!r}": case.says and not re.search(case.says, err),
        "says something": not case.says and err,
        f"{mebibytes} MiB": mebibytes > MEBIBYTES,
        "left a file": code != 0
        and (any(map(os.path.exists, WRITTEN)) or any(Path(".").glob(".*part*"))),
    }
    faults = tuple(fault for fault, found in checks.items() if found)
    given = case.arguments
    if given[0] == "train":  # without what all trainings here have in common
        given = ("train", "--out", NEW, *given[len(train()) :])
    command = " ".join(map(short, given))
    print(f"{'FAULT' if faults else 'ok':5} {case.name}", file=sys.stderr, flush=True)
    return Seen(case.name, f"textvae {command}", code, short(line, 240), mebibytes, faults)


def short(text: str, longest: int = 60) -> str:
    """`text` on one line, its middle left out where it is long."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    text = text.replace(f"{Path.cwd()}/", "")
    return text if len(text) <= longest else f"{text[:30]}...{text[33 - longest :]}"


def run(case: Case) -> tuple[int, str, str, int]:
    """Exit code, stdout, stderr and most memory, in MiB, of a command in a process of its own."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        primary, secondary = os.openpty() if case.terminal else (None, out.fileno())
        process = os.fork()
        if process == 0:
            child(case, secondary, err.fileno())
        deadline, shown = time.monotonic() + SECONDS, b""
        if primary is not None:
            os.close(secondary)
            shown = read_terminal(primary)
        while True:
            ended, status, usage = os.wait4(process, os.WNOHANG)
            if ended:
                break
            if time.monotonic() > deadline:
                os.kill(process, signal.SIGKILL)
            time.sleep(0.01)
        out.seek(0)
        err.seek(0)
        printed = (shown or out.read()).replace(b"\r\n", b"\n").decode()
        code = os.waitstatus_to_exitcode(status)
        return code, printed, err.read().decode(), usage.ru_maxrss >> 10


def child(case: Case, out: int, err: int) -> None:
    """Be the command; never return."""
    from textvae.cli.main import run as command

    code = 1
    try:
        if case.stdin is None:
            sys.stdin = None  # as Python has it where the shell closed it
        else:
            with tempfile.TemporaryFile() as stdin:
                stdin.write(case.stdin)
                stdin.seek(0)
                os.dup2(stdin.fileno(), 0)
            sys.stdin = open(0, encoding="utf-8", closefd=False)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
        code = command(case.arguments)
        sys.stdout.flush()
    except BaseException:  # what a user would see as a traceback
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def read_terminal(primary: int) -> bytes:
    """All that comes out of a terminal until its last writer has gone."""
    found = b""
    while True:
        try:
            block = os.read(primary, 65536)
        except OSError:  # how Linux says that nobody is left
            block = b""
        if not block:
            os.close(primary)
            return found
        found += block


def markdown(seen: list[Seen]) -> str:
    """The table for people."""
    rows = ["| input | command | exit | what the user sees |", "|---|---|---:|---|"]
    for row in seen:
        cells = [row.case, as_code(row.command), str(row.code), as_code(row.line)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def as_code(text: str) -> str:
    """`text` as code in a Markdown table."""
    fence = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


if __name__ == "__main__":
    main(sys.argv[1:])
