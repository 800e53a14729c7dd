"""The cases of the benchmark: a hot path, a network, a precision and some text."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType

import numpy as np

PATHS = ("train", "greedy", "sample", "nll_iw", "embed", "startup", "first_step")
IN_PROCESS = PATHS[:5]  # the others are whole commands
NETWORKS = ("gru", "lstm", "transformer")
COMMANDS = {  # name of a case -> the path that it belongs to
    "version": "startup",
    "help": "startup",
    "info": "startup",
    "one sentence": "startup",
    "embed a file": "startup",
    "new text": "first_step",
    "known text": "first_step",
}

VOCABULARY = 10_000
LENGTH = 24  # tokens of a sentence of fixed shape, without the end token
SENTENCES = {"train": 64, "greedy": 256, "sample": 256, "nll_iw": 5, "embed": 2000}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True)
class Case:
    """What one process measures; also what a program under `--against` gets, as JSON."""

    path: str
    network: str  # gru, lstm or transformer; of a command: its name
    precision: str = "float32"
    device: str = "cpu"
    text: str = "fixed"  # fixed: all sentences have LENGTH tokens; file: those of `file`
    file: str = ""  # one sentence a line
    sentences: int = 0  # that one measurement handles; of `train`: those of a batch
    samples: int = 100  # of nll_iw
    seconds: float = 2.0  # of a measurement
    clock: str = "wall"  # or cpu: processor seconds of all threads
    hidden: int = 256  # also the width of the embeddings; weights are not tied
    latent: int = 32
    vocabulary: int = VOCABULARY  # words
    length: int = LENGTH  # of written sentences

    @property
    def name(self) -> str:
        """The case in one line, the key of its figures; with an unusual number of sentences."""
        usual = SENTENCES.get(self.path, 0)
        size = [] if self.sentences in (0, usual) else [str(self.sentences)]
        return " ".join((self.path, self.network, self.precision, self.device, self.text, *size))

    def to_json(self) -> str:
        """The argument of a program that measures the case."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Case:
        """The case of `to_json`; unknown fields are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in json.loads(text).items() if key in known})


def cases(
    paths: Iterable[str],
    networks: Iterable[str],
    devices: Iterable[str],
    precisions: Iterable[str],
    files: dict[str, str],
    seconds: float,
    clock: str,
    sizes: Mapping[str, Iterable[int]] = MappingProxyType({}),
) -> list[Case]:
    """All cases of a run; `files` maps the kinds of text to files, `fixed` among them.

    `sizes` are other numbers of sentences for a path than those of `SENTENCES`. Only training has a
    choice of precision. Sentences are written at a fixed length: weights that are not trained end
    them anywhere.
    """
    found = []
    for path in paths:
        if path not in IN_PROCESS:
            names = [name for name, of in COMMANDS.items() if of == path]
            found += [
                Case(path, name, text="file", file=files["file"], clock=clock) for name in names
            ]
            continue
        kinds = ["fixed"] if path in ("greedy", "sample") else list(files)
        chosen = list(precisions) if path == "train" else ["float32"]
        found += [
            Case(path, network, precision, device, kind, files[kind], size,
                 seconds=seconds, clock=clock)
            for network in networks
            for device in devices
            for precision in chosen
            for kind in kinds
            for size in sizes.get(path, [SENTENCES[path]])
        ]  # fmt: skip
    return found


def random_sentences(lengths: np.ndarray, vocabulary: int = VOCABULARY) -> list[str]:
    """Sentences of so many random words, the frequent ones first; all of the vocabulary occur."""
    random = np.random.default_rng(0)
    total = int(lengths.sum())
    ranks = np.exp(random.uniform(0, np.log(vocabulary), total)).astype(int)
    ranks[: min(total, vocabulary)] = random.permutation(vocabulary)[:total]
    words = [f"w{rank}" for rank in ranks]
    ends = np.cumsum(lengths)
    return [" ".join(words[end - n : end]) for end, n in zip(ends, lengths, strict=True)]


def written_lengths(count: int) -> np.ndarray:
    """Lengths like those of the Penn treebank: 20 words on average, at most 82."""
    return np.clip(np.random.default_rng(1).gamma(4.4, 4.6, count).astype(int), 2, 82)


def read_lines(file: str) -> list[str]:
    """The lines of a file of sentences."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    if not lines:
        sys.exit(f"{file}: no sentence in it")
    return lines
