"""Our models as sentence-transformers models, for MTEB, BERTopic and other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textvae.embedding.loading import Source, loaded
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

    The `save` method writes a folder that both `TextVAE.from_pretrained` and
    `SentenceTransformer(folder, trust_remote_code=True)` can load. The folder contains no code;
    sentence-transformers needs the flag to import modules from any package other than its own. The
    model name, under which MTEB caches results, is derived from the current weights and settings,
    so training with sentence-transformers changes the name.

    Args:
        model: a `TextVAE`, its folder, or the id of a Hugging Face hub repository.
        layer: `latent` for posterior means; `encoder` for the state before the bottleneck.
        normalize: scale each vector to length 1.
        device: device of a model that is loaded here. A `TextVAE` stays on its own device, and
            sentence-transformers trainers train that object.
        options: further arguments of `SentenceTransformer`: prompts, truncate_dim,
            similarity_fn_name, model_card_data (with your own `model_name`), ...

    Raises:
        UsageError: sentence-transformers is not installed, the model is a language model, or the
            layer is unknown.
        NotFoundError, ModelFormatError: as in `TextVAE.from_pretrained`.

    >>> encoder = sentence_transformer("runs/everyday")  # doctest: +SKIP
    >>> BERTopic(embedding_model=encoder)  # doctest: +SKIP
    """
    try:
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Normalize

        from textvae.embedding.model_name import CardNamedByContent
        from textvae.embedding.sentence_vectors import SentenceVectors
    except ImportError as error:
        raise UsageError(
            f"this needs sentence-transformers 6 or newer ({error}); "
            "try pip install 'textvae[interop]'"
        ) from None
    vae = loaded(model, device)
    vectors = SentenceVectors(vae, layer)
    modules = [vectors, Normalize()] if normalize else [vectors]
    options.setdefault("model_card_data", CardNamedByContent())
    return SentenceTransformer(modules=modules, device=str(vae.model.device), **options)
