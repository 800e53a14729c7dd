"""Summaries of groups against held-out sentences of the same groups, by ROUGE F1.

    python scripts/studies/summaries.py MODEL --captions test.txt.xz --table captions.json
    python scripts/studies/summaries.py MODEL --members valid.jsonl --held-out test.jsonl \\
        --factors topic,sentiment,tense --table everyday.json

`--captions`: a file with five captions of each picture, in five blocks of equal length; line i of
each block belongs to picture i (multi30k). The last caption is held out, the other four are the
group. `--members` and `--held-out`: files whose sentences with equal factors are a group.

Compares the search of `summarize` by each overlap, the simple mean, and members themselves: a
random one, the one nearest to the mean of the vectors (as it is, and reconstructed), and the one
with the highest ROUGE-1 with the group. Figures are means over groups with their standard errors,
and paired differences from the search by ROUGE-1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import markdown, provenance

from textvae import TextVAE
from textvae.api import Row
from textvae.data.opening import open_rows
from textvae.data.writing import writing_of
from textvae.evaluation.rouge import OVERLAPS, against
from textvae.files.atomic import replacing

CAPTIONS = 5  # of a picture
REFERENCE = "search, rouge1"
Groups = dict[str, tuple[list[str], list[str]]]  # members and held-out sentences, by name


def main(arguments: list[str]) -> None:
    """Summarize the groups in each way, print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--captions", type=Path, metavar="FILE")
    parser.add_argument("--members", type=Path, metavar="FILE")
    parser.add_argument("--held-out", type=Path, metavar="FILE")
    parser.add_argument("--factors", default="topic,sentiment,tense", metavar="COLUMN,COLUMN")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, metavar="FILE.json")
    options = parser.parse_args(arguments)
    made = provenance("ROUGE F1 of summaries of groups with held-out sentences of the groups")
    if options.captions:
        groups = caption_groups(options.captions)
    else:
        groups = factor_groups(options.members, options.held_out, options.factors.split(","))
    vae = TextVAE.from_pretrained(options.model, device="cpu")
    found = dict(summaries(vae, groups, options.seed))
    scores = {name: scored(texts, groups) for name, texts in found.items()}
    rows = [figures(name, scores, found[name]) for name in found]
    print(markdown(list(rows[0]), [[shown(value) for value in row.values()] for row in rows]))
    if options.table:
        sizes = [len(members) for members, _ in groups.values()]
        record = {**made, "n_groups": len(groups), "members_of_a_group": float(np.mean(sizes))}
        record |= {"model": vae.metrics, "results": rows, "examples": examples(groups, found)}
        with replacing(options.table) as stream:
            stream.write(json.dumps(record, indent=1, ensure_ascii=False).encode() + b"\n")


# the groups


def caption_groups(path: Path) -> Groups:
    """Four captions of each picture, and the fifth."""
    texts = [row.text for row in open_rows([str(path)])]
    n, rest = divmod(len(texts), CAPTIONS)
    if rest:
        raise SystemExit(f"{path}: {len(texts):,} lines are not {CAPTIONS} blocks of equal length")
    pictures = [texts[picture::n] for picture in range(n)]
    return {str(place): (own[:-1], own[-1:]) for place, own in enumerate(pictures)}


def factor_groups(members: Path, held_out: Path, factors: Sequence[str]) -> Groups:
    """The sentences of both files with the same factors; groups that both files have."""
    groups: Groups = defaultdict(lambda: ([], []))
    for side, path in enumerate((members, held_out)):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            name = " ".join(record[factor] for factor in factors)
            groups[name][side].append(record["text"])
    return {name: both for name, both in sorted(groups.items()) if all(both)}


# the summaries


def summaries(vae: TextVAE, groups: Groups, seed: int) -> Iterator[tuple[str, list[str]]]:
    """(way of summarizing, a sentence for each group)."""
    rows = [Row(text, name) for name, (members, _) in groups.items() for text in members]
    for overlap in OVERLAPS:
        found = vae.summarize(rows, overlap=overlap)
        yield f"search, {overlap}", [summary.text for summary in found]
    yield "simple mean", [summary.simple for summary in found]
    random = np.random.default_rng(seed)
    every = [members for members, _ in groups.values()]
    yield "random member", [members[random.integers(len(members))] for members in every]
    near = [nearest(vae, members) for members in every]
    yield "member nearest to the mean", near
    yield "the same, reconstructed", vae.reconstruct(near)
    yield "member with the highest rouge1", [most_typical(members) for members in every]


def nearest(vae: TextVAE, members: Sequence[str]) -> str:
    """The member whose vector is nearest to the mean of all vectors."""
    z = vae.encode(members)
    return members[int(np.linalg.norm(z - z.mean(0), axis=1).argmin())]


def most_typical(members: Sequence[str]) -> str:
    """The member with the highest mean ROUGE-1 with the other members."""
    overlaps = against(members, writing=writing_of(members))
    # Each member has an overlap of 1 with itself, which changes no order.
    return max(members, key=lambda text: overlaps(text).mean())


# the figures


def scored(texts: Sequence[str], groups: Groups) -> dict[str, np.ndarray]:
    """The mean ROUGE of each group's sentence with the held-out sentences, by kind, (G,)."""
    style = writing_of([text for members, _ in groups.values() for text in members])
    scores: dict[str, list[float]] = {overlap: [] for overlap in OVERLAPS}
    for text, (_, held_out) in zip(texts, groups.values(), strict=True):
        for overlap in OVERLAPS:
            scores[overlap].append(float(against(held_out, overlap, writing=style)(text).mean()))
    return {overlap: np.array(values) for overlap, values in scores.items()}


def figures(
    name: str, scores: dict[str, dict[str, np.ndarray]], texts: Sequence[str]
) -> dict[str, Any]:
    """Means, standard errors, and the differences from the search by ROUGE-1."""
    row: dict[str, Any] = {"summary": name}
    for overlap, values in scores[name].items():
        row |= {overlap: values.mean(), f"{overlap}_se": standard_error(values)}
        difference = values - scores[REFERENCE][overlap]
        row |= {f"{overlap}_from_search": difference.mean()}
        row |= {f"{overlap}_from_search_se": standard_error(difference)}
    return row | {"words": float(np.mean([len(text.split()) for text in texts]))}


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def shown(value: object) -> str:
    """A cell of the table."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def examples(groups: Groups, found: dict[str, list[str]], n: int = 5) -> list[dict[str, Any]]:
    """The first groups whose sentences are ours to show: none of a corpus of captions."""
    if all(len(held_out) == 1 for _, held_out in groups.values()):
        return []
    return [
        {"group": name, "members": len(members)}
        | {way: texts[place] for way, texts in found.items()}
        for place, (name, (members, _)) in enumerate(list(groups.items())[:n])
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
