"""Bad input to the commands of the latent space, to compression and to pictures; see bad_input.py.

`preparations` make what the cases need, in the folder of bad_input.py: a language model, a
direction, a compressed text, and copies of these that are damaged.
"""

from __future__ import annotations

import shutil
from pathlib import Path

MODEL, LM = "model", "lm"
DIRECTION, PACKED, PICTURE, TABLE = "direction.safetensors", "good.tvc", "picture.svg", "more.tsv"
OUT = "vectors.npy"  # of compression, too; bad_input.py looks for what a failure leaves there
WRITTEN = (PICTURE, TABLE)

Arguments = tuple[str, ...]
Given = tuple[str, Arguments, int, str]  # name, arguments, exit code, pattern of stderr


def preparations(small: Arguments) -> list[Arguments]:
    """The commands that make what the cases need; `small` has the sizes of a model."""
    sets = ("--from", "one.txt", "--to", "good.txt")
    return [
        ("train", "good.txt", "--model", "lm", "--out", LM, "--max-steps", "4", *small),
        ("attribute", MODEL, *sets, "--save", DIRECTION),
        ("compress", LM, "good.txt", "--out", PACKED),
    ]


def damage() -> None:
    """Write damaged and foreign files beside the good ones."""
    packed = Path(PACKED).read_bytes()
    Path("cut.tvc").write_bytes(packed[:-40])
    Path("flipped.tvc").write_bytes(packed[:-60] + bytes([packed[-60] ^ 1]) + packed[-59:])
    direction = Path(DIRECTION).read_bytes()
    Path("cut.safetensors").write_bytes(direction[: len(direction) // 2])
    Path("flipped.safetensors").write_bytes(direction[:-2] + bytes([direction[-2] ^ 1, 64]))
    Path("text.npy").write_text("the soup\n", "utf-8")
    shutil.copytree(MODEL, "with-prior")
    Path("with-prior", "prior.safetensors").write_bytes(direction)


def cases() -> list[Given]:
    """All commands that are run, and what should come of each."""
    return [*latents(), *groups(), *variations(), *scores(), *directions(), *priors(),
            *compression(), *pictures()]  # fmt: skip


def latents() -> list[Given]:
    """Cases of `neighbors`, `analogy` and `traverse`."""
    near, ask, walk = ("neighbors", MODEL), ("--query", "rain"), ("traverse", MODEL)
    like = ("analogy", MODEL)
    return [
        ("no query", (*near, "good.txt"), 2, "give --query TEXT or --queries FILE"),
        ("two kinds of queries", (*near, "good.txt", *ask, "--queries", "one.txt"), 2, "give one"),
        ("an empty file", (*near, "empty.txt", *ask), 4, r"empty\.txt: no "),
        ("no such file of queries", (*near, "good.txt", "--queries", "no.txt"), 3, "no such file"),
        ("no queries in a file", (*near, "good.txt", "--queries", "empty.txt"), 4, "no "),
        ("more neighbors than lines", (*near, "one.txt", *ask, "-k", "9"), 0, ""),
        ("vectors that are none", (*near, "text.npy", *ask), 4, r"text\.npy: "),
        ("query in no UTF-8", (*near, "good.txt", "--query", "a\udcff"), 2, "not valid UTF-8"),
        ("a language model", ("neighbors", LM, "good.txt", *ask), 2, "no latent"),
        ("sentence in no UTF-8", (*like, "a", "b\udcff", "c"), 2, "not valid UTF-8"),
        ("a scale of no number", (*like, "a", "b", "c", "--scale", "nan"), 2, "--scale nan"),
        ("sentences without a letter", (*like, "", " ", "\t"), 0, ""),
        ("a unit that is not there", (*walk, "--unit", "99"), 2, "the units are 0 to 1"),
        ("units that are no numbers", (*walk, "--unit", "a,b"), 2, "numbers separated by commas"),
        ("too many steps", (*walk, "--steps", "99999"), 2, "steps"),
        ("an empty file", (*walk, "--reference", "empty.txt"), 4, r"empty\.txt: no sentences"),
        ("blank lines", (*walk, "--reference", "blank.txt"), 0, "skipped 3 blank lines"),
        ("one sentence", (*walk, "--report", "one.txt"), 4, r"one\.txt: 1 sentence; .* 50 or more"),
        ("missing column", (*walk, "--report", "good.tsv", "--factors", "x"), 3, "no column 'x'"),
        ("a report of no file", (*walk, "--factors", "label"), 2, "no effect without --report"),
    ]


def groups() -> list[Given]:
    """Cases of `summarize`."""
    of = ("summarize", MODEL)
    return [
        ("no groups", (*of, "good.txt"), 4, r"good\.txt: no group in 18 lines"),
        ("an empty file", (*of, "empty.txt"), 4, r"empty\.txt: no sentences in it"),
        ("missing column", (*of, "good.tsv", "--groups", "picture"), 3, "no column 'picture'"),
        ("some without a group", (*of, "some-labels.tsv"), 0, "skipped 3 of 19 lines"),
        ("truncated .gz", (*of, "cut.txt.gz"), 4, r"cut\.txt\.gz: damaged or truncated"),
        ("no beams", (*of, "good.tsv", "--beams", "0"), 2, "--beams"),
    ]


def variations() -> list[Given]:
    """Cases of `paraphrase` and `augment`."""
    vary, more, few = ("paraphrase", MODEL), ("augment", MODEL), ("--draws", "3")
    out = ("--out", TABLE)
    return [
        ("blank lines", (*vary, "blank.txt", *few), 0, "skipped 3 blank lines"),
        ("an empty file", (*vary, "empty.txt"), 0, r"warning: empty\.txt: no sentence in it"),
        ("invalid UTF-8", (*vary, "latin1.txt", *few), 4, r"latin1\.txt:2: not valid UTF-8"),
        ("no such file", (*vary, "nowhere.txt"), 3, "no such file"),
        ("too many draws", (*vary, "rain", "--draws", "99999"), 2, "--draws"),
        ("a scale of no number", (*vary, "rain", "--scale", "nan"), 2, "value for '--scale'"),
        ("no labels", (*more, "good.txt", *out), 4, r"good\.txt: no label in 18 lines"),
        ("one class", (*more, "one-class.tsv", *out), 4, r"one-class\.tsv: every label is 'x'"),
        ("labels are floats", (*more, "floats.tsv", *out), 4, "40 distinct fractional numbers"),
        ("unknown ending", (*more, "good.tsv", "--out", "more.docx"), 2, r"more\.docx"),
        ("the file itself", (*more, "good.tsv", "--out", "good.tsv"), 2, r"good\.tsv"),
        ("too far", (*more, "good.tsv", *out, "--how", "interpolate", "--scale", "2"), 2, "1 at"),
    ]


def scores() -> list[Given]:
    """Cases of `score`."""
    of = ("score", MODEL, "good.txt", "--samples", "1")
    return [
        ("an empty file", ("score", MODEL, "empty.txt"), 0, r"empty\.txt: no sentence in it"),
        ("a measure of nothing", (*of, "--measure", "nll_iw"), 2, "no effect without --threshold"),
        ("a quantile of nothing", (*of, "--quantile", "0.5"), 2, "no effect without --threshold"),
        ("no sentences for a threshold", (*of, "--threshold", "empty.txt"), 4, "no sentence to"),
        ("no such file", (*of, "--threshold", "nowhere.txt"), 3, "no such file"),
        ("a threshold of no number", (*of, "--threshold", "nan"), 2, "--threshold nan"),
        ("too few sentences", (*of, "--reference", "one.txt"), 4, r"one\.txt: "),
        ("no distance", ("score", LM, "good.txt", "--reference", "good.txt"), 2, "no latent"),
    ]


def directions() -> list[Given]:
    """Cases of `attribute`, and of `generate --towards`."""
    of, file = ("attribute", MODEL), ("--towards", DIRECTION)
    generate = ("generate", MODEL, "-n", "1", "--towards")
    damaged = "flipped.safetensors"
    return [
        ("no direction", (*of, "good.txt"), 2, "give --from FILE and --to FILE"),
        ("an empty set", (*of, "--from", "empty.txt", "--to", "good.txt"), 4, "no sentences in it"),
        ("sets without a difference", (*of, "--from", "good.txt", "--to", "good.txt"), 4,
         "do not differ"),
        ("blank lines", (*of, "--from", "blank.txt", "--to", "one.txt", "one.txt"), 0,
         "skipped 3 blank lines"),
        ("a strength of no number", (*of, *file, "good.txt", "--strength", "x"), 2, "numbers, as"),
        ("an endless strength", (*of, *file, "good.txt", "--strength", "inf"), 2, "strength"),
        ("no such file", (*generate, "nowhere.safetensors"), 3, "no such file"),
        ("a folder", (*generate, "folder"), 3, "folder is a folder"),
        ("no direction at all", (*generate, "good.txt"), 4, r"good\.txt: not a direction"),
        ("a classifier", (*generate, "classifier.safetensors"), 4, "its format is"),
        ("truncated direction", (*generate, "cut.safetensors"), 4, r"cut\.safetensors: not a dir"),
        ("damaged direction", (*generate, damaged), 4, "damaged: its numbers do not match"),
        ("damaged direction", (*of, "--towards", damaged, "good.txt"), 4, "damaged: its numbers"),
        ("a language model", ("generate", LM, "--towards", DIRECTION), 2, "latent"),
    ]  # fmt: skip


def priors() -> list[Given]:
    """Cases of `prior`, and of `generate --prior`."""
    fit = ("prior", MODEL, "--fit", "gaussian")
    return [
        ("too few sentences", (*fit, "good.txt"), 4, r"good\.txt: 18 different sentences .* 100"),
        ("too few to train on", fit, 4, "the training text: .* a prior needs 100 or more"),
        ("an empty file", (*fit, "empty.txt"), 4, r"empty\.txt: 0 different sentences"),
        ("components of a gaussian", (*fit, "--components", "3"), 2, "is for a mixture"),
        ("a file without --fit", ("prior", MODEL, "good.txt"), 2, "--fit"),
        ("a language model", ("prior", LM, "--fit", "flow"), 2, "no latent"),
        ("no fitted prior", ("generate", MODEL, "--prior"), 3, "fit one with textvae prior"),
        ("another file as a prior", ("generate", "with-prior", "--prior"), 4, "its format is"),
    ]


def compression() -> list[Given]:
    """Cases of `compress` and `decompress`."""
    pack, out = ("compress", LM), ("--out", OUT)
    unpack = ("decompress", LM)
    return [
        ("no language model", ("compress", MODEL, "good.txt", *out), 2, "train an lm"),
        ("no such file", (*pack, "nowhere.txt", *out), 3, "no such file"),
        ("a folder", (*pack, "folder", *out), 3, "this is a folder"),
        ("the file itself", (*pack, "good.txt", "--out", "good.txt"), 2, r"good\.txt"),
        ("an empty file", (*pack, "empty.txt", *out), 0, ""),
        ("invalid UTF-8", (*pack, "latin1.txt", *out), 0, ""),
        ("a text file", (*unpack, "good.txt", *out), 4, "not a file of textvae compress"),
        ("an empty file", (*unpack, "empty.txt", *out), 4, "not a file of textvae compress"),
        ("truncated", (*unpack, "cut.tvc", *out), 4, r"cut\.tvc: damaged or incomplete"),
        ("damaged", (*unpack, "flipped.tvc", *out), 4, r"flipped\.tvc: .*damaged"),
        ("no such file", (*unpack, "nowhere.tvc", *out), 3, "no such file"),
    ]


def pictures() -> list[Given]:
    """Cases of `plot`."""
    out = ("--out", PICTURE)
    return [
        ("no such kind", ("plot", "pie", MODEL, *out), 2, "pie"),
        ("unknown ending", ("plot", "kl", MODEL, "good.txt", "--out", "a.docx"), 2, r"a\.docx"),
        ("no such model", ("plot", "curves", "nowhere", *out), 3, "nowhere"),
        ("a folder that is no model", ("plot", "curves", "folder", *out), 3, "folder"),
        ("blank lines", ("plot", "kl", MODEL, "blank.txt", *out), 0, "skipped 3 blank lines"),
        ("an empty file", ("plot", "kl", MODEL, "empty.txt", *out), 4, "no sentence with text"),
        ("an empty file", ("plot", "map", MODEL, "empty.txt", *out), 4, "no sentences"),
        ("one sentence", ("plot", "map", MODEL, "one.txt", "-k", "2", *out), 4, "only 1 sentence"),
        ("a language model", ("plot", "map", LM, "good.txt", *out), 2, "no latent"),
        ("no rates", ("plot", "rate-distortion", LM, "--on", "good.txt", *out), 2, "no latent"),
        ("an empty file", ("plot", "rate-distortion", MODEL, "--on", "empty.txt", *out), 4,
         r"empty\.txt: no sentence to evaluate"),
    ]  # fmt: skip
