"""Our model as one of sentence-transformers, and so for what takes theirs: MTEB, BERTopic, ..."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textvae.api import TextVAE
from textvae.embedding.source import Source, loaded
from textvae.errors import UsageError
from textvae.models.fingerprint import fingerprint
from textvae.models.sentence import Layer

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def sentence_transformer(
    model: Source,
    *,
    layer: Layer = "latent",
    normalize: bool = False,
    device: str = "auto",
    **options: Any,
) -> SentenceTransformer:
    """A `SentenceTransformer` whose `encode` gives the vectors of `TextVAE.encode`.

    Its `save` writes a folder that both `TextVAE.from_pretrained` and
    `SentenceTransformer(folder, trust_remote_code=True)` read; no code stands in it, but theirs
    asks for that word before it imports a module from any package other than its own. Its name,
    under which MTEB keeps results, is that of the weights as they are now: after a training with
    their trainers make it anew.

    Args:
        model: a `TextVAE`, its folder, or the id of a repository of the Hugging Face hub.
        layer: `latent`: posterior means; `encoder`: the state before the bottleneck.
        normalize: give each vector the length 1.
        device: of a model that is loaded here; a `TextVAE` stays where it is, and is the one that
            trainers of theirs then train.
        options: further arguments of `SentenceTransformer`: prompts, truncate_dim,
            similarity_fn_name, ...

    Raises:
        UsageError: sentence-transformers is not installed, the model is a language model, or an
            unknown layer.
        NotFoundError, ModelFormatError: as of `TextVAE.from_pretrained`.

    >>> encoder = sentence_transformer("runs/everyday")  # doctest: +SKIP
    >>> BERTopic(embedding_model=encoder)  # doctest: +SKIP
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Normalize

        from textvae.embedding.module import SentenceVectors
    except ImportError as error:
        raise UsageError(
            f"sentence-transformers 6 or newer is needed ({error}); "
            "try pip install 'textvae[interop]'"
        ) from None
    vae = loaded(model, device)
    vectors = SentenceVectors(vae, layer)
    modules = [vectors, Normalize()] if normalize else [vectors]
    encoder = SentenceTransformer(modules=modules, device=str(vae.model.device), **options)
    if encoder.model_card_data.model_name is None:
        encoder.model_card_data.model_name = name_of(vae, layer, normalize, options)
    return encoder


def name_of(vae: TextVAE, layer: Layer, normalize: bool, options: Mapping[str, Any]) -> str:
    """A name that two encoders share only if their vectors are the same.

    MTEB keeps results by name, and would take those of one nameless model for another's.
    """
    kind = f"{vae.kind}-{layer}-unit" if normalize else f"{vae.kind}-{layer}"
    name = f"textvae/{kind}-{fingerprint(vae.model, vae.tokenizer, vae.config.data)[:12]}"
    if options:
        name += "-" + hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:8]
    return name
