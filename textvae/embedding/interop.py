"""Our model as one of sentence-transformers, and so for what takes theirs: MTEB, BERTopic, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textvae.embedding.source import Source, loaded
from textvae.errors import UsageError
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
    under which MTEB keeps results, follows from the weights and settings that it has when it is
    asked for, so that a training with their trainers changes it.

    Args:
        model: a `TextVAE`, its folder, or the id of a repository of the Hugging Face hub.
        layer: `latent`: posterior means; `encoder`: the state before the bottleneck.
        normalize: give each vector the length 1.
        device: of a model that is loaded here; a `TextVAE` stays where it is, and is the one that
            trainers of theirs then train.
        options: further arguments of `SentenceTransformer`: prompts, truncate_dim,
            similarity_fn_name, model_card_data (with a `model_name` of yours), ...

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

        from textvae.embedding.card import CardNamedByContent
        from textvae.embedding.module import SentenceVectors
    except ImportError as error:
        raise UsageError(
            f"sentence-transformers 6 or newer is needed ({error}); "
            "try pip install 'textvae[interop]'"
        ) from None
    vae = loaded(model, device)
    vectors = SentenceVectors(vae, layer)
    modules = [vectors, Normalize()] if normalize else [vectors]
    options.setdefault("model_card_data", CardNamedByContent())
    return SentenceTransformer(modules=modules, device=str(vae.model.device), **options)
