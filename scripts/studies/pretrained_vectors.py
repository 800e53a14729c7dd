"""What linear classifiers read off the vectors of models, beside raw encoders and TF-IDF.

For each collection: the accuracy of a standardised logistic regression (C 0.1) on the latent and
the encoder layer of each model, on the vectors of each raw encoder, and of one on TF-IDF, whose C
is chosen on held-out folds. MR, CR, MPQA and SUBJ are tested by five folds, TREC and SST-2 on their
test files, Yelp on its test file after training on 100 to 10,000 labels.

    python scripts/studies/pretrained_vectors.py --corpora DIR --out runs/pretrained-vectors \\
        --models runs/minilm runs/scratch --encoders weights/all-MiniLM-L6-v2 \\
        --dimensions 32 --table scripts/results/pretrained-vectors.json

`--corpora` holds trec6/, sst2/, yelp_short/ (train.tsv.xz, test.tsv.xz), mr/, cr/, subj/ and mpqa/
(all.tsv.xz). Vectors are kept in `--out`, and those of a frozen encoder are computed once for all
models that read it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance

from textvae import TextVAE
from textvae.classification import probes
from textvae.classification.task import Task, read_task
from textvae.config import ModelConfig
from textvae.data.batches import by_length, collate, cut_to_limit
from textvae.data.cache import fingerprint
from textvae.data.tokenizers import Tokenizer
from textvae.models.encoder import Encoder
from textvae.models.pretrained.encoders import load_encoder, pretrained_encoder
from textvae.models.pretrained.reference import find_reference
from textvae.saving.identity import fingerprint as identity_of

WHOLE = ("mr", "cr", "mpqa", "subj")
SPLIT = ("trec6", "sst2")
BY_LABELS = "yelp_short"
FOLDS, STRENGTH, BATCH = 5, 0.1, 64
MAX_TOKENS = 128  # that a raw encoder reads of a sentence, as in a training by default
LABELS = (100, 500, 1_000, 2_000, 10_000)

Vectors = NDArray[np.float32]  # (N, D)


class Row(NamedTuple):
    """A row of the table: a name, and the vectors of texts."""

    name: str
    vectors: Callable[[Sequence[str]], Vectors]


def main(arguments: list[str]) -> None:
    """Encode, probe, and print the table."""
    options = parsed(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = list(rows_of(options))
    accuracies: dict[str, dict[str, float]] = {"TF-IDF": {}, **{row.name: {} for row in rows}}
    for collection in options.collections:
        for column, found in probed(collection, rows, options).items():
            for name, accuracy in found.items():
                accuracies[name][column] = accuracy
        print(f"{collection} is done", file=sys.stderr)
    print(table(accuracies))
    if options.table:
        what = "accuracy of logistic regression on frozen vectors, from 0 to 1"
        kept = {**provenance(what), "folds": FOLDS, "strength": STRENGTH, "accuracy": accuracies}
        options.table.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", required=True, type=Path, metavar="DIR")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="vectors go here")
    parser.add_argument("--models", nargs="*", default=[], metavar="MODEL")
    parser.add_argument("--encoders", nargs="*", default=[], metavar="REF")
    parser.add_argument("--dimensions", nargs="*", type=int, default=[], metavar="K",
                        help="also the first K dimensions of each latent")  # fmt: skip
    known = (*WHOLE, *SPLIT, BY_LABELS)
    parser.add_argument("--collections", nargs="+", default=known, choices=known)
    parser.add_argument("--labels", nargs="+", type=int, default=LABELS, metavar="N")
    parser.add_argument("--seeds", type=int, default=5, help="draws of each number of labels")
    parser.add_argument("--table", type=Path, metavar="FILE.json", help="figures go here")
    return parser.parse_args(arguments)


# vectors


def rows_of(options: argparse.Namespace) -> Iterator[Row]:
    """The rows of raw encoders, then those of models; each name once."""
    for ref in options.encoders:
        yield Row(f"{Path(ref).name}, raw", raw_encoder(ref, options.out))
    for model in options.models:
        vae = TextVAE.from_pretrained(model, device="cpu")
        latent = kept(f"latent {identity(vae)}", partial(codes, vae, options.out), options.out)
        name = Path(model).name
        yield Row(f"{name}, latent", latent)
        for k in options.dimensions:
            yield Row(f"{name}, latent, first {k}", partial(first, k, latent))
        yield Row(f"{name}, encoder", partial(states, vae, options.out))


def identity(vae: TextVAE) -> str:
    """A digest of all that the vectors of a model depend on."""
    return identity_of(vae.model, vae.encoder_tokenizer, vae.config.data)


def first(k: int, of: Callable[[Sequence[str]], Vectors], texts: Sequence[str]) -> Vectors:
    """The first k dimensions of the vectors `of` texts."""
    return of(texts)[:, :k]


def kept(
    name: str, encode: Callable[[Sequence[str]], Vectors], out: Path
) -> Callable[[Sequence[str]], Vectors]:
    """`encode`, whose vectors are read from a file in `out` where they were computed before."""

    def read_or_encode(texts: Sequence[str]) -> Vectors:
        path = out / f"{fingerprint(name, list(texts))}.npy"
        if not path.is_file():
            np.save(path, encode(texts))
        return np.load(path)  # type: ignore[no-any-return]

    return read_or_encode


def raw_encoder(ref: str, out: Path) -> Callable[[Sequence[str]], Vectors]:
    """The vectors of a pretrained encoder, without a model around it."""
    reference = find_reference(ref)
    tokenizer = Tokenizer.load(reference.tokenizer)
    encoder = pretrained_encoder(
        ModelConfig(encoder=ref, pooling="pretrained"),
        tokenizer.vocabulary,
        MAX_TOKENS,
        reference,
        load_encoder(reference),
    ).eval()
    return frozen_vectors(encoder, tokenizer, out)


def frozen_vectors(
    encoder: Encoder, tokenizer: Tokenizer, out: Path
) -> Callable[[Sequence[str]], Vectors]:
    """The vectors of an encoder that training never changes."""
    name = f"encoder {encoder.fixed_by} {encoder.max_tokens}"
    return kept(name, lambda texts: encoded(encoder, tokenizer, texts), out)


@torch.inference_mode()
def encoded(encoder: Encoder, tokenizer: Tokenizer, texts: Sequence[str]) -> Vectors:
    """The vector of each text, batched by length."""
    ids, _ = cut_to_limit(tokenizer.encode(list(texts)), encoder.max_tokens)
    found = np.empty((len(ids), encoder.output_size), np.float32)
    for rows in by_length([len(one) for one in ids], BATCH):
        tokens = collate([ids[row] for row in rows], tokenizer.eos_id, tokenizer.pad_id)
        found[rows] = encoder(tokens).float().numpy()
    return found


def states(vae: TextVAE, out: Path, texts: Sequence[str]) -> Vectors:
    """The encoder's vectors in a model."""
    encoder = vae.model.encoder
    assert encoder is not None  # `identity` of a language model is of no use here
    if encoder.fixed_by is None:
        name = f"encoder {identity(vae)}"
        return kept(name, lambda texts: vae.encode(texts, layer="encoder"), out)(texts)
    return frozen_vectors(encoder, vae.encoder_tokenizer, out)(texts)


@torch.inference_mode()
def codes(vae: TextVAE, out: Path, texts: Sequence[str]) -> Vectors:
    """The posterior means, or the codes of an autoencoder."""
    encoder, posterior = vae.model.encoder, vae.model.posterior
    if encoder is None or posterior is None or encoder.fixed_by is None:
        return vae.encode(texts)
    mean: torch.Tensor = posterior(torch.from_numpy(states(vae, out, texts))).mean
    return mean.numpy()


# accuracies


def probed(
    collection: str, rows: Sequence[Row], options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """The accuracy of each row by column of the table."""
    folder = options.corpora / collection
    if collection in WHOLE:
        task, sizes = read(folder / "all.tsv.xz", None), [None]
    else:
        task = read(folder / "train.tsv.xz", folder / "test.tsv.xz")
        sizes = [None] if collection in SPLIT else list(options.labels)
    features = {"TF-IDF": probes.tfidf(task.texts)}
    features |= {row.name: probes.standardised(row.vectors(task.texts)) for row in rows}
    fixed = {row.name: STRENGTH for row in rows}
    runs = probes.probe(
        features, task.codes, task.splits, sizes, range(options.seeds), strengths=fixed
    )
    found: dict[str, dict[str, float]] = {}
    for (name, size), of_row in runs.items():
        column = collection if size is None else f"{collection} {size}"
        found.setdefault(column, {})[name] = probes.summary(of_row)["accuracy"]
    return found


def read(train: Path, test: Path | None) -> Task:
    """The labelled sentences of a collection."""
    folds = FOLDS if test is None else None
    told: Callable[[str], Any] = lambda text: print(text, file=sys.stderr)  # noqa: E731
    return read_task(
        str(train),
        None if test is None else str(test),
        folds,
        text_column=None,
        label_column=None,
        seed=0,
        warn=told,
    )


def table(accuracies: dict[str, dict[str, float]]) -> str:
    """A Markdown table of accuracies in %."""
    columns = list(dict.fromkeys(column for row in accuracies.values() for column in row))
    cells = [
        [name, *(f"{100 * row[column]:.1f}" for column in columns)]
        for name, row in accuracies.items()
    ]
    return markdown(["vectors", *columns], cells)


if __name__ == "__main__":
    main(sys.argv[1:])
