"""Compression of sentences by models: bounds and BLEU by bits, beside general compressors.

    python scripts/studies/compression_rates.py --corpus everyday test.jsonl VAE AE LM \\
        --corpus tatoeba tatoeba-test.txt VAE --limit 2000 --samples 50 --table FILE.json

For each corpus, a file of test sentences and models of its training text:

- the bits per byte of the test sentences after gzip, xz and zstd, of xz after the training text,
  and of zstd with a dictionary of the training text;
- the bits per byte that an ideal coder needs with each vae and lm (`nll_iw`, `nll_elbo`);
- for each model with a latent: BLEU, exact match and -log p(x|z) of what the quantized latent
  decodes to, by the bits of a sentence;
- for each lm: the file that `textvae compress` writes of the test sentences, the CPU seconds there
  and back, and whether the same bytes come back.

The figures are those of `textvae evaluate --compression`; the compressors run once for a corpus.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance

from textvae import TextVAE
from textvae.api.scorers import read_training_texts
from textvae.data.input_rows import prepared_rows
from textvae.evaluation.byte_coders import file_of
from textvae.evaluation.compression import lossless_sizes
from textvae.evaluation.sentences import lowest_hashes
from textvae.files.atomic import replacing

BOUNDS = ("nll_iw", "nll_elbo")


def main(arguments: list[str]) -> None:
    """Measure all models, write the table after each, and print it."""
    options = parsed(arguments)
    made = provenance("compression of test sentences by models, beside general compressors")
    corpora: list[dict[str, Any]] = []
    for corpus in corpora_of(options):
        found = corpus.compressors()
        corpora.append(found)
        for row in corpus.models():
            found["models"].append(row)
            print(corpus.name, row["model"], flush=True, file=sys.stderr)
            if options.table is not None:
                with replacing(options.table) as stream:
                    stream.write(
                        json.dumps({**made, "corpora": corpora}, indent=1).encode() + b"\n"
                    )
    print("\n\n".join(tables(corpora)))


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", action="append", required=True, nargs="+",
                        metavar=("NAME TEST MODEL", "MODEL"), help="may repeat")  # fmt: skip
    parser.add_argument("--fit", action="append", default=[], nargs=2, metavar=("NAME", "FILE"),
                        help="training text of a corpus; none: that of the models")  # fmt: skip
    parser.add_argument("--limit", type=int, metavar="N", help="test sentences, by a hash")
    parser.add_argument("--samples", type=int, default=50, metavar="K", help="of a sentence")
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    names = [corpus[0] for corpus in options.corpus]
    if any(len(corpus) < 3 for corpus in options.corpus):
        parser.error("--corpus: expected NAME TEST MODEL [MODEL ...]")
    if unknown := {name for name, _ in options.fit} - set(names):
        parser.error(f"--fit {', '.join(unknown)}: expected the name of a --corpus")
    return options


@dataclass(frozen=True)
class Corpus:
    """Test sentences, and models of the training text beside them.

    Args:
        fit: the training text; None: that of each model.
        limit: test sentences; None: all.
        samples: importance samples of a sentence.
    """

    name: str
    test: str
    places: Sequence[str]
    fit: str | None
    limit: int | None
    samples: int

    def compressors(self) -> dict[str, Any]:
        """The bits per byte of general compressors, and an empty list of models."""
        vae = loaded(self.places[0])
        texts = self.texts(vae)
        if self.fit is None:
            training = read_training_texts(vae.config.data)
        else:
            training = [row.text for row in prepared_rows(self.fit, vae.config.data)]
        training = [text for text in training if text.strip()]
        sizes = lossless_sizes(texts, training, {})
        return {
            "corpus": self.name,
            "n_sentences": len(texts),
            "n_bytes": len(file_of(texts)),
            "bits_per_byte": {size.coder: size.bits_per_byte for size in sizes},
            "models": [],
        }

    def models(self) -> Iterator[dict[str, Any]]:
        """A row for each model."""
        for place in self.places:
            vae = loaded(place)
            row = {"model": Path(place).name, "kind": vae.kind} | self.bounds(vae)
            if vae.model.encoder is None:
                row["round_trip"] = round_trip(vae, self.texts(vae))
            else:
                points = vae.rate_distortion(self.test, fit=self.fit, limit=self.limit).points
                row["rate_distortion"] = [point.to_dict() for point in points]
            yield row

    def texts(self, vae: TextVAE) -> list[str]:
        """The test sentences, prepared as the model's training text was."""
        rows = prepared_rows(self.test, vae.config.data)
        texts = [row.text for row in rows if row.text.strip()]
        return texts if self.limit is None else [texts[i] for i in lowest_hashes(texts, self.limit)]

    def bounds(self, vae: TextVAE) -> dict[str, Any]:
        """The bits per byte of an ideal coder with the model; empty without a density of text."""
        if vae.kind == "ae":
            return {}
        found = vae.evaluate(self.test, samples=self.samples, limit=self.limit).figures
        rate = found.get("bits_per_byte")  # none where the tokenizer made unknown tokens
        if rate is None:
            return {}
        # The bits of the one bound are to those of the other as their nats.
        bounds = {key: rate * found[key] / found["nll_iw"] for key in BOUNDS if key in found}
        if vae.kind == "lm":  # exact, without samples
            return {"bits_per_byte": bounds}
        converged = found["converged"]
        return {"bits_per_byte": bounds, "samples": self.samples, "converged": converged}


def corpora_of(options: argparse.Namespace) -> Iterator[Corpus]:
    """The corpora that the options name."""
    fit = dict(options.fit)
    for name, test, *places in options.corpus:
        yield Corpus(name, test, places, fit.get(name), options.limit, options.samples)


def loaded(place: str) -> TextVAE:
    """A model on the CPU: `compress` is exact there."""
    return TextVAE.from_pretrained(place, device="cpu")


def round_trip(lm: TextVAE, texts: Sequence[str]) -> dict[str, Any]:
    """What becomes of a file of the texts in `textvae compress` and back."""
    with tempfile.TemporaryDirectory() as folder:
        plain, packed, back = (Path(folder) / name for name in ("plain", "packed", "back"))
        plain.write_bytes(file_of(texts))
        times = [time.process_time()]
        sizes = lm.compress(plain, packed)
        times.append(time.process_time())
        lm.decompress(packed, back)
        times.append(time.process_time())
        same = back.read_bytes() == plain.read_bytes()
    return sizes.to_dict() | {
        "cpu_seconds": times[1] - times[0],
        "cpu_seconds_back": times[2] - times[1],
        "same_bytes": same,
    }


def tables(corpora: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The lossless coders, the quantized latents, and the files of `textvae compress`."""
    lossless = [
        [corpus["corpus"], coder, shown(rate)]
        for corpus in corpora
        for coder, rate in coders(corpus).items()
    ]
    yield markdown(["corpus", "coder", "bits per byte"], lossless)
    points = ("bits", "bleu", "exact_match", "rec")
    rates = [
        [corpus["corpus"], row["model"], point["code"], *(shown(point[key]) for key in points)]
        for corpus in corpora
        for row in corpus["models"]
        for point in row.get("rate_distortion", ())
    ]
    if rates:
        yield markdown(["corpus", "model", "code", *points], rates)
    sizes = ("n_bytes", "n_compressed", "bits_per_byte", "cpu_seconds", "cpu_seconds_back")
    trips = [
        [corpus["corpus"], row["model"], *(shown(row["round_trip"][key]) for key in sizes),
         "yes" if row["round_trip"]["same_bytes"] else "NO"]
        for corpus in corpora
        for row in corpus["models"]
        if "round_trip" in row
    ]  # fmt: skip
    if trips:
        yield markdown(["corpus", "model", *sizes, "same bytes"], trips)


def coders(corpus: dict[str, Any]) -> dict[str, float | None]:
    """The bits per byte of all lossless coders of a corpus, those of models first."""
    bounds = {
        f"{row['model']} ({row['kind']}), {bound}": rate
        for row in corpus["models"]
        for bound, rate in row.get("bits_per_byte", {}).items()
    }
    return bounds | corpus["bits_per_byte"]


def shown(value: float | None) -> str:
    """A whole number, or a figure with three decimals; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"


if __name__ == "__main__":
    main(sys.argv[1:])
