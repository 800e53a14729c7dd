"""The model card: architecture, training data, scores and samples of a model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textvae.config import Config, ObjectiveConfig
from textvae.data.prepare import Corpora
from textvae.data.tokenizers import Tokenizer
from textvae.decoding.generation import default_decoding, generate
from textvae.models.sentence import SentenceModel
from textvae.number_format import counted
from textvae.saving.backbones import references_of
from textvae.training.reporting import best_record
from textvae.training.state import TrainingState

NAMES = {"vae": "Sentence VAE", "ae": "Sentence autoencoder", "lm": "Language model"}
FIGURES = ("nll_elbo", "nll_iw", "rec", "kl", "z_gain", "mi", "active_units", "label_accuracy")
MOST_LABELS = 20  # that the card lists
NOISES = ("drop", "blank", "substitute", "shuffle")
SAMPLES = 8


def model_card(
    model: SentenceModel,
    tokenizer: Tokenizer,
    config: Config,
    corpora: Corpora,
    state: TrainingState,
    metrics: Iterable[dict[str, Any]],
) -> str:
    """The card as Markdown, with the metadata block that the Hugging Face hub reads."""
    best = best_record(metrics)
    rows = [f"| `{key}` | {best[key]:.3f} |" for key in FIGURES if _is_figure(best.get(key))]
    architecture = model.config
    encoder = "" if model.encoder is None else f"{part_name(model, 'encoder')} encoder, "
    latent = "" if model.encoder is None else f", latent size {model.latent_size}"
    epochs = state.best_step / max(-(-len(corpora.train) // config.training.batch_size), 1)
    threads = "" if state.threads is None else f", {counted(state.threads, 'CPU thread')}"
    return "\n".join(
        [
            "---",
            "library_name: textvae",
            "pipeline_tag: text-generation",
            "tags: [textvae, text-generation, sentence-embeddings]",
            "---",
            "",
            f"# {NAMES[model.kind]}",
            "",
            f"A model of kind `{model.kind}`: {encoder}{part_name(model, 'decoder')} decoder, "
            f"hidden size {architecture.hidden_size}{latent}, "
            f"{tokenizer.vocab_size} tokens ({tokenizer.kind}), trained with textvae on "
            f"{len(corpora.train)} sentences.",
            "",
            *pretrained_parts(model),
            *([f"Trained by: {method}.", ""] if (method := method_of(config)) else []),
            *([f"Labels: {printable(listed)}.", ""] if (listed := labels_of(model)) else []),
            f"The weights are those of step {state.best_step} of {state.step} "
            f"({epochs:.1f} epochs, seed {config.training.seed}{threads}), the best on validation. "
            f"All of the run's figures stand in `metrics.jsonl`, its configuration in "
            "`experiment.toml`.",
            "",
            "## On a slice of the validation set",
            "",
            "Means over sentences, in nats; `active_units` counts dimensions.",
            "",
            "| figure | value |",
            "|---|---|",
            *rows,
            "",
            f"## {SAMPLES} samples, seed 0",
            "",
            "```",
            *(printable(text) for text in samples(model, tokenizer)),
            "```",
            "",
            "## Use",
            "",
            "```python",
            "from textvae import TextVAE",
            "",
            'model = TextVAE.from_pretrained("path/to/this/folder")',
            "model.generate(5, seed=1)",
            "```",
            "",
        ]
    )


def labels_of(model: SentenceModel) -> str:
    """The labels that the model predicts, in words; empty without a head on labels."""
    if model.label_head is None:
        return ""
    classes = model.label_head.classes
    more = len(classes) - MOST_LABELS
    return ", ".join(classes[:MOST_LABELS]) + (f" and {more:,} more" if more > 0 else "")


def part_name(model: SentenceModel, part: str) -> str:
    """The network of a part in words; of a pretrained one its hub id, or the name of its folder."""
    reference = references_of(model).get(part)
    if reference is None:
        return str(getattr(model.config, part))
    name = reference.ref if reference.revision is not None else Path(reference.ref).name
    return f"pretrained {name}"


def pretrained_parts(model: SentenceModel) -> list[str]:
    """Lines about the pretrained models that loading needs; none without any."""
    lines = []
    for part, reference in references_of(model).items():
        at = f", revision {reference.revision}" if reference.revision is not None else ""
        lines += [
            f"The {part} is built on `{Path(reference.ref).name}` (sha256 of its files "
            f"`{reference.digest[:16]}...`{at}), {getattr(model.config, f'{part}_training')} in "
            "training. Loading needs its files, unless `backbones/` holds a copy.",
            "",
        ]
    return lines


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float)


def method_of(config: Config) -> str:
    """How the latent was trained, in words; empty for a language model.

    >>> method_of(Config.resolve(recipe="zhu2020-bn"))
    'weight of the KL constant to 1, batch-normalised posterior (0.7)'
    """
    model, objective = config.model, config.objective
    if model.model == "lm":
        return ""
    noise = {name: getattr(objective, f"noise_{name}") for name in NOISES}
    said = {
        "autoencoder first for {:.0%}": objective.pretrain_share,
        "aggressive encoder training": objective.aggressive,
        "batch-normalised posterior ({:g})": model.posterior_batch_norm,
        "committed rate {:g} nats": model.committed_rate,
        "skip connections of z": model.skip_z,
        "bag of words ({:g})": objective.bag_of_words_weight,
        "head on labels ({:g})": objective.label_weight,
        "frozen encoder's vectors from the latent ({:g})": objective.semantic_weight,
        "posterior that starts from principal components ({:g} nats)": objective.principal_start,
        "nested sizes {}": ", ".join(map(str, objective.nested)),
        "MMD to the prior ({:g})": objective.mmd_weight,
        "contrastive pairs ({:g})": objective.contrastive_weight,
        "adversary for the prior ({:g})": objective.adversarial_weight,
        "word dropout {:g}": model.word_dropout,
        f"noise on the input ({', '.join(f'{k} {v:g}' for k, v in noise.items() if v)})": (
            max(noise.values())
        ),
    }
    parts = [text.format(value) for text, value in said.items() if value]
    if model.model == "vae":
        parts = [kl_of(objective), *parts]
    return ", ".join(parts) or "reconstruction alone"


def kl_of(objective: ObjectiveConfig) -> str:
    """How the KL is weighted, in words."""
    if objective.importance_samples > 1:
        return f"importance-weighted bound of {objective.importance_samples} samples"
    said = f"weight of the KL {objective.kl_schedule} to {objective.beta:g}"
    if objective.target_kl is not None:
        said = f"KL held at {objective.target_kl:g} nats"
    if objective.free_bits:
        said += f", free bits {objective.free_bits:g} ({objective.free_bits_mode})"
    return said


def samples(model: SentenceModel, tokenizer: Tokenizer) -> list[str]:
    """A few samples of the model, by seed."""
    settings = default_decoding(model)
    return tokenizer.decode(list(generate(model, SAMPLES, settings, seed=0)))


def printable(text: str) -> str:
    """The text without control characters or anything that would end its code block."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return kept.replace("```", "'''")
