"""Tiny pretrained models with random weights, as folders that people would name as REF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from small_runs import TEXTS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

WORDS = sorted({word for text in TEXTS for word in text.split()})
WIDTH = 16
SIZES: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
}
BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
T5_SPECIALS = ("<pad>", "</s>", "<unk>")


def write_tokenizer(
    folder: Path, specials: tuple[str, ...], template: str, *, more_words: int = 0
) -> int:
    """A word-piece tokenizer.json with these special tokens first; the size of its vocabulary.

    Args:
        template: of a sentence, e.g. `[CLS] $A [SEP]`.
        more_words: words beside those of the texts.
    """
    vocabulary = {token: place for place, token in enumerate([*specials, *WORDS])}
    vocabulary |= {f"more{n}": len(vocabulary) + n for n in range(more_words)}
    unknown = "[UNK]" if "[UNK]" in specials else "<unk>"
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.add_special_tokens(list(specials))
    around = [token for token in template.split() if token != "$A"]
    backend.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(token, vocabulary[token]) for token in around]
    )
    backend.decoder = decoders.WordPiece()
    folder.mkdir(parents=True, exist_ok=True)
    backend.save(str(folder / "tokenizer.json"))
    return len(vocabulary)


def write_encoder(folder: Path, kind: str = "bert", *, seed: int = 0) -> Path:
    """A folder with a tiny encoder: bert, roberta, distilbert, modernbert, mpnet or t5."""
    import transformers

    torch.manual_seed(seed)
    if kind == "t5":
        size = write_tokenizer(folder, T5_SPECIALS, "$A </s>")
        config = transformers.T5Config(
            vocab_size=size, d_model=WIDTH, d_kv=8, d_ff=24, num_layers=2, num_heads=2
        )
        network = transformers.T5EncoderModel(config)
    elif kind in ("roberta", "mpnet"):
        size = write_tokenizer(folder, ROBERTA_SPECIALS, "<s> $A </s>")
        ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
        name = {"roberta": "Roberta", "mpnet": "MPNet"}[kind]
        config = getattr(transformers, f"{name}Config")(vocab_size=size, **SIZES, **ids)
        network = getattr(transformers, f"{name}Model")(config)
    else:
        size = write_tokenizer(folder, BERT_SPECIALS, "[CLS] $A [SEP]")
        name = {"bert": "Bert", "distilbert": "DistilBert", "modernbert": "ModernBert"}[kind]
        sizes = dict(SIZES)
        if kind == "distilbert":
            sizes = {"dim": WIDTH, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
        ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3}
        config = getattr(transformers, f"{name}Config")(vocab_size=size, **sizes, **ids)
        network = getattr(transformers, f"{name}Model")(config)
    with torch.no_grad():
        for parameter in network.parameters():  # far from zero, so that every token matters
            parameter.add_(0.2 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    return folder


def write_modules(folder: Path, *modules: tuple[str, dict[str, Any]]) -> None:
    """The modules.json of sentence-transformers: the network, then these modules."""
    first = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    entries = [first]
    for place, (kind, settings) in enumerate(modules, start=1):
        name = f"{place}_{kind}"
        entries.append(
            {
                "idx": place,
                "name": str(place),
                "path": name,
                "type": f"sentence_transformers.models.{kind}",
            }
        )
        if settings:
            (folder / name).mkdir()
            (folder / name / "config.json").write_text(json.dumps(settings))
    (folder / "modules.json").write_text(json.dumps(entries))


def write_table(folder: Path, *, normalize: bool = True) -> Path:
    """A model2vec folder: a table of static vectors."""
    size = write_tokenizer(folder, BERT_SPECIALS, "[CLS] $A [SEP]")
    random = torch.Generator().manual_seed(0)
    save_file({"embeddings": torch.randn(size, 6, generator=random)}, folder / "model.safetensors")
    settings = {"model_type": "model2vec", "normalize": normalize}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder
