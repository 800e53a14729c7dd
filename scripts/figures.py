"""Draw the pictures of the documentation from a trained model.

    python scripts/figures.py
    python scripts/figures.py --model runs/demo/vae --out docs/images --ae runs/ae

`scripts/demo` trains the model. With an autoencoder, rate and distortion are drawn too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from textvae import TextVAE, plots

TEXTS = "data/everyday/test.jsonl"
ENDS = (
    "last friday my father scored a late goal at the quiet stadium .",
    "the engineers from our street will sign two contracts tomorrow afternoon .",
)
POINTS = 800  # sentences on a map; more would make large files


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
    }
    if given.ae is not None:
        models = {"vae": vae, "ae": TextVAE.from_pretrained(given.ae, device="cpu")}
        pictures["rate-distortion"] = plots.compression(
            [model.rate_distortion(TEXTS, name=name, limit=500) for name, model in models.items()]
        )
    for name, picture in pictures.items():
        picture.save(given.out / f"{name}.svg")
        print(given.out / f"{name}.svg")


if __name__ == "__main__":
    main()
