"""Draw the pictures of the documentation from a trained model.

    python scripts/figures.py
    python scripts/figures.py --model runs/demo/vae --out docs/images --ae runs/ae

`scripts/demo` trains the model. With an autoencoder, rate and distortion are drawn too. The
strength of an attribute comes from the figures of `scripts/studies/attributes.py`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from textvae import TextVAE, plots

TEXTS = "data/everyday/test.jsonl"
ENDS = (
    "last friday my father scored a late goal at the quiet stadium .",
    "the engineers from our street will sign two contracts tomorrow afternoon .",
)
POINTS = 800  # sentences on a map; more would make large files
ATTRIBUTES = Path("scripts/results/attributes.json")
MODELS = {
    "default": "the default",
    "denoising-adversarial": "denoising and adversarial ae",
    "shen2020-daae": "shen2020-daae",
}


def main() -> None:
    """Draw each picture into the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="runs/demo/vae")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--ae")
    given = parser.parse_args()
    vae = TextVAE.from_pretrained(given.model, device="cpu")
    path = vae.path_on_map(TEXTS, *ENDS, limit=POINTS, name=given.model)
    given.out.mkdir(parents=True, exist_ok=True)
    pictures = {
        "curves": plots.training_curves([given.model]),
        "path": plots.path_on_map(path),
        "kl": plots.unit_kl(vae.unit_kl(TEXTS, name=given.model)),
        "map": plots.sentence_map(
            vae.sentence_map(
                TEXTS, name=given.model, method="tsne", limit=POINTS, label_column="tense"
            )
        ),
        "strength": strength_of("yelp tense"),
    }
    if given.ae is not None:
        models = {"vae": vae, "ae": TextVAE.from_pretrained(given.ae, device="cpu")}
        pictures["rate-distortion"] = plots.compression(
            [model.rate_distortion(TEXTS, name=name, limit=500) for name, model in models.items()]
        )
    for name, picture in pictures.items():
        picture.save(given.out / f"{name}.svg")
        print(given.out / f"{name}.svg")


def strength_of(task: str) -> plots.Picture:
    """Strength against accuracy, BLEU and perplexity of the models of the study, method `mean`."""
    (study,) = (one for one in json.loads(ATTRIBUTES.read_text())["tasks"] if one["task"] == task)
    rows = [row for row in study["results"] if row["model"] in MODELS and row["method"] != "linear"]
    strengths = sorted({row["strength"] for row in rows})

    def curves(key: str) -> dict[str, list[float]]:
        found = {(row["model"], row["strength"]): row[key] for row in rows}
        return {name: [found[model, at] for at in strengths] for model, name in MODELS.items()}

    accuracy = "in the other tense (share)"
    return plots.attribute_strength(
        strengths,
        {
            accuracy: curves("accuracy"),
            "BLEU with the source (0 to 100)": curves("bleu"),
            "perplexity per word": curves("ppl"),
        },
        errors={accuracy: curves("accuracy_se")},
        title="Past tense to present and back by vector arithmetic, short Yelp sentences",
    )


if __name__ == "__main__":
    main()
