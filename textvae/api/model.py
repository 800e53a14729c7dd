"""TextVAE: the one object that people hold. Train, load, encode, decode, generate, walk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textvae.api import (
    analogies,
    augmenting,
    classifying,
    clustering,
    compressing,
    directions,
    evaluating,
    interpolating,
    kl_units,
    lossless,
    mapping,
    paraphrasing,
    priors,
    probing,
    scoring,
    stored_priors,
    summarizing,
    traversing,
    units,
)
from textvae.api import neighbors as near
from textvae.api.encoding import neighbourhood
from textvae.arguments import batch_size as checked_batch_size
from textvae.arguments import distance, number, seed_of, whole_number
from textvae.config import Config
from textvae.data.batches import Tokens, by_length, collate, cut_to_limit
from textvae.data.rows import Row, text_cleaner
from textvae.data.texts import kind_of, one_text, texts_of
from textvae.data.tokenizers import Tokenizer
from textvae.decoding.generation import decode_batches, default_decoding, generate
from textvae.decoding.settings import Sampling
from textvae.errors import (
    DataError,
    InterruptedRun,
    ModelFormatError,
    NotFoundError,
    UsageError,
    flag,
    option,
)
from textvae.evaluation.likelihood import (
    chunks_by_length,
    importance_weighted,
    log_likelihoods,
    posteriors,
)
from textvae.files.home import home_path
from textvae.files.names import CARD_FILE, CONFIG_FILE, EXPERIMENT_FILE, PRIOR_FILE
from textvae.files.untrusted import reason
from textvae.gaussian import DiagonalGaussian
from textvae.latent.direction_file import Direction
from textvae.models.device import choose_device, exact_float32
from textvae.models.sentence import Layer, SentenceModel
from textvae.number_format import counted
from textvae.progress import counted_off
from textvae.progress.bars import python_progress
from textvae.randomness.streams import SampleStreams
from textvae.saving.folder import load_model, own_file, read_metrics, save_model, write_atomically

if TYPE_CHECKING:
    from textvae.training.reporting import Reporter

LAYERS: tuple[Layer, ...] = get_args(Layer)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The vectors of N sentences, and how many of the sentences were cut to have them."""

    vectors: NDArray[np.float32]  # (N, D)
    variances: NDArray[np.float32] | None  # (N, Z) of the posterior, where asked for
    cut: int  # sentences beyond the model's limit


class TextVAE:
    """A trained sentence VAE, autoencoder or language model, with its tokenizer.

    Results for a sentence do not depend on the other sentences of the call.

    Args:
        model: its parts.
        tokenizer: of the decoder.
        config: how it was trained, and how its text is prepared.
        encoder_tokenizer: where the encoder has its own; none: the decoder's.
        folder: where it was read from.

    >>> vae = TextVAE.from_pretrained("runs/everyday")  # doctest: +SKIP
    >>> vae.generate(2, seed=1)  # doctest: +SKIP
    >>> vae.interpolate("the soup was cold .", "we took the train .", steps=5)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: SentenceModel,
        tokenizer: Tokenizer,
        config: Config,
        *,
        encoder_tokenizer: Tokenizer | None = None,
        folder: Path | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.encoder_tokenizer = encoder_tokenizer or tokenizer
        self.config = config
        self.folder = folder
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    # from text or from disk

    @classmethod
    def train(
        cls,
        texts: Iterable[str | Path | Row] | str | Path | None = None,
        *,
        valid: Iterable[str | Path | Row] | str | Path | None = None,
        out: str | Path | None = None,
        recipe: str | None = None,
        config: Config | None = None,
        progress: bool = True,
        reporter: Reporter | None = None,
        resume: bool = False,
        overwrite: bool = False,
        **options: Any,
    ) -> TextVAE:
        """The best model, by validation, of a training on `texts`.

        Args:
            texts: sentences, rows with labels (`textvae.api.Row`), or the name of a file, glob or
                `hf:` data set, or a list of names. A list is one of names if each item is a
                `Path`, an existing file, a glob that matches, or one word with the ending of a
                data file.
            valid: the same for validation; none: a share held out by a hash of the text.
            out: folder of the run; none: a temporary one, gone with the model that is returned.
            recipe: settings that come with textvae, e.g. `small`; see `textvae config show`.
            config: a whole configuration; or name fields of one as further keywords, e.g.
                `max_minutes=5, latent_size=64`, which win over those of the recipe.
            progress: show the figures where a person watches, in a terminal or a notebook.
            reporter: who is told of the progress instead; see `textvae.training.reporting`.
            resume, overwrite: what to do with a folder that already holds a run: go on with it,
                the names of its files and its settings being those that are not given here, or
                delete it and begin anew.
            options: configuration fields. `seed=None` takes a fresh seed, which experiment.toml
                names.

        Raises:
            UsageError: `out` holds something, options contradict, or `texts` is a table.
            ConfigError: an unknown recipe or field, or a value outside what is allowed.
            DataError: there is no usable text.
        """
        from textvae.training.display import python_reporter
        from textvae.training.train import train_model

        partial = [*sorted(options), *(["recipe"] if recipe is not None else [])]
        if config is not None and partial:
            raise UsageError(f"give config or {partial[0]}=..., not both")
        if not isinstance(config, Config | None):
            raise UsageError(f"config is {kind_of(config)}; give Config.resolve(file=...)")
        out = None if out is None else home_path(out)
        own = out / EXPERIMENT_FILE if out is not None and resume and recipe is None else None
        base = own if own is not None and own.is_file() else None
        if "seed" in options and (options["seed"] is not None or base is None):
            options["seed"] = seed_of(options["seed"])
        notes: list[str] = []
        resolved = config or Config.resolve(
            recipe=recipe, file=base, options=options, note=notes.append
        )
        reporter = reporter or python_reporter(progress=progress)
        for note in notes:
            reporter.message(note)
        temporary = tempfile.TemporaryDirectory(prefix="textvae-") if out is None else None
        folder = Path(temporary.name if temporary is not None else out or "")
        try:
            train_model(
                resolved,
                folder,
                texts=texts,
                valid_texts=valid,
                reporter=reporter,
                resume=resume,
                overwrite=overwrite,
            )
        except InterruptedRun:
            if temporary is not None:
                temporary._finalizer.detach()  # type: ignore[attr-defined]  # to be resumed
            raise
        trained = cls.from_pretrained(folder, device=resolved.training.device)
        trained._temporary = temporary
        return trained

    @classmethod
    def from_pretrained(cls, name: str | Path, *, device: str = "auto") -> TextVAE:
        """The model of a folder, or of a repository of the Hugging Face hub.

        Raises:
            NotFoundError: there is neither.
            ModelFormatError: it is damaged or no textvae model.
        """
        folder = home_path(name)
        if not os.path.isdir(folder):  # which takes a name that is too long for one not there
            folder = _download(str(name), folder)
        loaded = load_model(folder, device=choose_device(device))
        experiment = own_file(folder, EXPERIMENT_FILE)
        if experiment.is_file():
            config = Config.resolve(file=experiment)
        else:
            config = Config(data=loaded.data, model=loaded.model.config)
        config = config.model_copy(
            update={
                "model": loaded.model.config,
                "data": config.data.model_copy(
                    update={
                        "lowercase": loaded.data.lowercase,
                        "normalization": loaded.data.normalization,
                        "max_tokens": loaded.data.max_tokens,
                    }
                ),
            }
        )
        return cls(
            loaded.model,
            loaded.tokenizer,
            config,
            encoder_tokenizer=loaded.encoder_tokenizer,
            folder=folder,
        )

    def save_pretrained(self, folder: str | Path, *, embed_backbones: bool = False) -> None:
        """Write the model, and its fitted prior if there is one, into a folder.

        Args:
            embed_backbones: copy the pretrained models behind the encoder and the decoder, too, so
                that loading needs nothing else. Without the copies, the folder names them.

        Raises:
            UsageError: `folder` is a file.
            ModelFormatError, DataError: the fitted prior is damaged, or of other weights.
        """
        folder = home_path(folder)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file; a model needs a folder")
        prior = self.stored_prior()
        save_model(
            folder,
            self.model,
            self.tokenizer,
            self.config.data,
            encoder_tokenizer=self.encoder_tokenizer,
            with_backbones=embed_backbones,
        )
        write_atomically(folder / EXPERIMENT_FILE, self.config.to_toml())
        if prior is None:
            (folder / PRIOR_FILE).unlink(missing_ok=True)  # left from an earlier model
        else:
            prior.save(folder / PRIOR_FILE, follow=False)

    def push_to_hub(
        self, repo_id: str, *, private: bool = False, embed_backbones: bool = False
    ) -> str:
        """Upload the model to the Hugging Face hub; its address.

        Args:
            embed_backbones: as in `save_pretrained`; others need the copies of a pretrained model
                that you named by a local folder.
        """
        from huggingface_hub import HfApi

        hub = HfApi()
        hub.create_repo(repo_id, exist_ok=True, private=private)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, embed_backbones=embed_backbones)
            # Not a link to a file of yours: the card becomes public.
            if self.folder is not None and own_file(self.folder, CARD_FILE).is_file():
                card = (self.folder / CARD_FILE).read_text(encoding="utf-8")
                (Path(folder) / CARD_FILE).write_text(card, encoding="utf-8")
            return str(hub.upload_folder(repo_id=repo_id, folder_path=folder))

    # what it is

    def __repr__(self) -> str:
        place = "" if self.folder is None else f", folder={str(self.folder)!r}"
        return f"TextVAE({self.kind}, latent_size={self.latent_size}{place})"

    @property
    def kind(self) -> str:
        """`vae`, `ae` or `lm`."""
        return self.model.kind

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.model.device

    @property
    def prior_is_fitted(self) -> bool:
        """True if the prior is a distribution fitted to the codes of the training sentences."""
        return self.model.prior is not None and self.model.prior.is_fitted

    @property
    def latent_size(self) -> int:
        """Z, the dimensions of a sentence vector; 0 for a language model."""
        return self.model.latent_size

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the head on labels; empty for a model that was trained without one."""
        head = self.model.label_head
        return () if head is None else head.classes

    @property
    def max_tokens(self) -> int:
        """Longest sentence that is read and written, in tokens, the end token included."""
        return self.model.decoder.max_tokens

    @property
    def max_tokens_read(self) -> int:
        """Longest sentence that the encoder reads, in tokens, the end token included."""
        encoder = self.model.encoder
        return self.max_tokens if encoder is None else encoder.max_tokens

    @property
    def metrics(self) -> dict[str, Any]:
        """The validation record of the saved weights, as training wrote it; empty if unknown.

        Raises:
            ModelFormatError: metrics.jsonl is damaged.
        """
        from textvae.training.reporting import best_record

        return {} if self.folder is None else best_record(read_metrics(self.folder))

    # text -> latent

    def encode(
        self,
        texts: Iterable[str],
        *,
        layer: Layer = "latent",
        normalize: bool = False,
        dimensions: int | None = None,
        batch_size: int = 256,
    ) -> NDArray[np.float32]:
        """The vector of each sentence, (N, D): the posterior mean, or the autoencoder's code.

        Sentences beyond the model's limit are cut; `overlong` counts them.

        Args:
            texts: a list, an iterator, which is read once, an open text file, a Series or another
                column; never a table or one string.
            layer: `latent` (D = Z), or `encoder`: the state before the bottleneck.
            normalize: give each vector the length 1.
            dimensions: keep the first dimensions only, of a model that was trained with `nested`
                sizes; before `normalize`.

        Raises:
            UsageError: the model is a language model, an unknown layer, or too many dimensions.
        """
        found = self.embed(
            texts, layer=layer, normalize=normalize, dimensions=dimensions, batch_size=batch_size
        )
        return found.vectors

    def embed(
        self,
        texts: Iterable[str],
        *,
        layer: Layer = "latent",
        normalize: bool = False,
        dimensions: int | None = None,
        with_variance: bool = False,
        sample_seed: int | None = None,
        first: int = 0,
        batch_size: int = 256,
    ) -> Embeddings:
        """The vectors of `encode` and what goes with them, from one pass over the texts.

        Args:
            layer, normalize, dimensions: as in `encode`.
            with_variance: give the posterior's variances beside its means.
            sample_seed: a sample of each posterior in place of its mean, that of the stream
                (sample_seed, index), whatever the calls.
            first: index of the first text in the whole input.

        Raises:
            UsageError: the model is a language model, or an unknown layer; variances or samples
                of what has no posterior; variances beside vectors that are not its means.
        """
        encoder = self._layer(layer)
        self._need_latent("encode")
        self._check_posterior_options(layer, normalize, with_variance, sample_seed is not None)
        batch_size = checked_batch_size(batch_size)
        first = whole_number("first", first, least=0, example=0)
        sample_seed = None if sample_seed is None else seed_of(sample_seed, "sample_seed")
        ids, cut = self._cut_ids(texts)
        variances = None
        if with_variance or sample_seed is not None:
            q = DiagonalGaussian(*self._encoded(ids, batch_size, self._parameters).chunk(2, dim=-1))
            vectors = q.mean
            if sample_seed is not None:
                streams = SampleStreams(sample_seed, range(first, first + len(ids)))
                vectors = q.sample(streams.normal(self.latent_size).to(vectors.device))
            if with_variance:
                variances = q.log_variance.exp().cpu().numpy()
        else:
            vectors = self._encoded(ids, batch_size, encoder)
        if dimensions is not None:
            size = vectors.size(1)
            dimensions = whole_number("dimensions", dimensions, least=1, example=min(8, size))
            if dimensions > size:
                raise UsageError(
                    f"{option('dimensions', dimensions)}: the vectors of this model have "
                    f"{counted(size, 'dimension')}; use fewer"
                )
            vectors = vectors[:, :dimensions]
            variances = None if variances is None else variances[:, :dimensions]
        if normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        return Embeddings(vectors.cpu().numpy(), variances, len(cut))

    def vector_size(self, layer: Layer = "latent") -> int:
        """D, the dimensions of a vector of `encode`."""
        return self.encode([], layer=layer).shape[1]

    def word_average(self, texts: Iterable[str], *, batch_size: int = 256) -> NDArray[np.float32]:
        """The mean of the encoder's token embeddings of each sentence, (N, E).

        A baseline for what the vectors of `encode` know beyond the words.

        Raises:
            UsageError: the model is a language model.
        """
        self._need_latent("encode")
        batch_size = checked_batch_size(batch_size)
        ids, _ = self._cut_ids(texts)
        return self._encoded(ids, batch_size, self.model.word_average).cpu().numpy()

    def posterior(self, texts: Iterable[str], *, batch_size: int = 256) -> DiagonalGaussian:
        """q(z|x) of each sentence, shape (N, Z). The model must be a vae."""
        self._need_latent("encode")
        batch_size = checked_batch_size(batch_size)
        ids, _ = self._cut_ids(texts)
        return DiagonalGaussian(*self._encoded(ids, batch_size, self._parameters).chunk(2, dim=-1))

    def token_ids(self, texts: Iterable[str]) -> list[list[int]]:
        """The tokens of each sentence as the encoder reads them, cut, without the end token."""
        return self._cut_ids(texts)[0]

    def overlong(self, texts: Iterable[str]) -> int:
        """How many of the texts exceed the model's limit and would be cut."""
        return len(self._cut_ids(texts)[1])

    # latent -> text

    def decode(
        self, z: NDArray[np.floating] | Tensor, *, seed: int | None = 0, **decoding: Any
    ) -> list[str]:
        """A sentence for each vector (N, Z); greedy unless `decoding` says otherwise.

        `decoding` takes the fields of `Sampling`: temperature, top_k, top_p, beams, ...
        """
        self._need_latent("decode")
        seed = seed_of(seed)
        if not isinstance(z, Tensor):
            try:
                z = torch.from_numpy(np.array(z, dtype=np.float32))
            except (TypeError, ValueError):
                raise UsageError(f"z is {kind_of(z)}; expected vectors (N, Z) of numbers") from None
        latents = z
        latents = latents.to(self.device, torch.float32)
        if latents.dim() != 2 or latents.size(1) != self.latent_size:
            raise UsageError(
                f"z has shape {tuple(latents.shape)}; expected (N, {self.latent_size})"
            )
        settings = self.decoding(**decoding)
        ids = decode_batches(self.model, latents, settings, seed=seed)
        with python_progress() as progress:
            found = list(counted_off(ids, progress, "decoding", len(latents), every=64))
        return self.tokenizer.decode(found)

    def decoding(self, **options: Any) -> Sampling:
        """The settings with which this model writes for these options; None is the default.

        >>> vae.decoding(top_p=0.9).to_dict()  # doctest: +SKIP
        {'strategy': 'sample', 'top_p': 0.9}
        """
        return Sampling.from_options(default=default_decoding(self.model), **options)

    def generate(
        self,
        n: int,
        *,
        seed: int | None = 0,
        near: str | None = None,
        scale: float = 1.0,
        towards: Direction | str | Path | None = None,
        strength: float = 1.0,
        prior: stored_priors.GivenPrior = False,
        **decoding: Any,
    ) -> list[str]:
        """`n` sentences from the prior, or near one sentence; sample i depends on (seed, i) only.

        Args:
            seed: None takes a fresh one at each call, here and in every other method.
            near: vary this sentence: z = mean + scale * stddev * noise of its posterior (of an
                ae: the spread of its codes stands in for the posterior's).
            scale: how far.
            towards: a direction from `direction`, or its file: z + strength * direction.
            strength: how far along the direction; below 0: away from the attribute.
            prior: draw z from this prior of `fit_prior`; True: from the one in the model's folder.
            decoding: fields of `Sampling`, e.g. `temperature=1` to draw each word. By default a
                model with a latent takes the most probable words for a random z, and a language
                model draws each word; see `decoding`.
        """
        where: dict[str, Any] = {"near": near, "scale": scale}
        where |= {"towards": towards, "strength": strength, "prior": prior}
        sentences = self.iter_generate(n, seed=seed, **where, **decoding)
        with python_progress() as progress:
            return list(counted_off(sentences, progress, "sampling", n, every=64))

    def iter_generate(
        self,
        n: int,
        *,
        seed: int | None = 0,
        near: str | None = None,
        scale: float = 1.0,
        towards: Direction | str | Path | None = None,
        strength: float = 1.0,
        prior: stored_priors.GivenPrior = False,
        batch_size: int | None = None,
        **decoding: Any,
    ) -> Iterator[str]:
        """The sentences of `generate`, one by one, in bounded memory.

        `batch_size` sentences are decoded at once; the default suits the device.
        """
        n, seed = whole_number("n", n, least=0, example=5), seed_of(seed)
        scale = distance("scale", scale)
        if batch_size is not None:
            batch_size = checked_batch_size(batch_size)
        settings = self.decoding(**decoding)
        if near is None and scale != 1:
            raise UsageError(f"scale {scale} has no effect without near, the sentence to vary")
        if towards is None and strength != 1:
            raise UsageError(f"strength {strength} has no effect without towards, a direction")
        if prior is not False and near is not None:
            raise UsageError(f"{flag('prior')} has no effect near a sentence; leave out one")
        latents = offset = None
        if near is not None:
            self._need_latent("generate near a sentence")
            centre, spread = neighbourhood(self, one_text(near, "near"))

            def latents(noise: Tensor) -> Tensor:
                return centre + scale * spread * noise

        if towards is not None:
            self._need_latent("generate towards an attribute")
            found = directions.checked_direction(self, towards)
            offset = torch.from_numpy(number("strength", strength) * found.vector).float()
        model = self.model
        if prior is not False:
            model = model.with_prior(stored_priors.checked_prior(self, prior).prior)
        ids = generate(
            model,
            n,
            settings,
            seed=seed,
            batch_size=batch_size,
            latents=latents,
            offset=offset,
        )
        return (self.tokenizer.decode([sentence])[0] for sentence in ids)

    # text -> text

    def reconstruct(
        self,
        texts: Iterable[str],
        *,
        sample: bool = False,
        seed: int | None = 0,
        **decoding: Any,
    ) -> list[str]:
        """Each sentence through the latent and back; greedy from the posterior mean.

        `sample` decodes a sample of the posterior instead, sentence i by (seed, i).
        """
        self._need_latent("reconstruct")
        texts, seed = texts_of(texts), seed_of(seed)
        if sample:
            q = self.posterior(texts)
            noise = SampleStreams(seed, range(len(texts))).normal(self.latent_size)
            return self.decode(q.sample(noise.to(q.mean.device)), seed=seed, **decoding)
        return self.decode(self.encode(texts), seed=seed, **decoding)

    interpolate = interpolating.interpolate_texts
    path = interpolating.path

    # likelihood

    def log_likelihood(
        self,
        texts: Iterable[str],
        *,
        samples: int = 100,
        seed: int | None = 0,
        truncate: bool = False,
    ) -> NDArray[np.float64]:
        """log p(x) of each sentence in nats, (N,): importance-weighted, exact for an lm.

        Burda 2016, eq. 8.

        Raises:
            UsageError: an autoencoder, which has no density; or samples below 1.
            DataError: sentences beyond the model's limit, unless `truncate` scores them cut.
        """
        posterior = self.model.posterior
        if posterior is not None and not self.model.has_density:
            raise UsageError("an autoencoder has no density of text; train a vae or an lm")
        samples, seed = whole_number("samples", samples, least=1, example=100), seed_of(seed)
        texts = texts_of(texts)
        written = self._prepared(texts)
        decoder = self.model.decoder
        ids, cut = cut_to_limit(self.tokenizer.encode(written), decoder.max_tokens)
        source_ids = None
        if self.encoder_tokenizer is not self.tokenizer and self.model.encoder is not None:
            source_ids, cut_too = self._cut_ids(texts)
            cut = sorted({*cut, *cut_too})
        if cut and not truncate:
            raise DataError(
                f"{len(cut)} of {len(texts)} sentences exceed the model's limit of "
                f"{decoder.max_tokens} tokens; truncate=True scores them cut"
            )
        if len(texts) == 0:
            return np.empty(0)
        chunks = chunks_by_length(ids, self.model, source_ids=source_ids)
        with python_progress() as progress:
            if posterior is None:
                return log_likelihoods(self.model, chunks, None, progress=progress).numpy()
            q = posteriors(self.model, chunks)
            found = importance_weighted(
                self.model, chunks, q, samples=samples, seed=seed, progress=progress
            )
        return -found.nll.numpy()

    # measured on sentences: functions of their own modules, with this model as the first argument

    evaluate = evaluating.evaluate
    probe = probing.probe
    classify = classifying.classify
    label_probabilities = classifying.label_probabilities
    label_classifier = classifying.label_classifier
    iter_classify = classifying.iter_classify
    cluster = clustering.cluster
    direction = directions.direction
    attribute = directions.attribute
    iter_attribute = directions.iter_attribute
    analogy = analogies.analogy
    augment = augmenting.augment
    iter_augment = augmenting.iter_augment
    paraphrase = paraphrasing.paraphrase
    iter_paraphrase = paraphrasing.iter_paraphrase
    traverse = traversing.traverse
    units = units.units
    summarize = summarizing.summarize
    iter_summarize = summarizing.iter_summarize
    neighbors = near.neighbors
    score = scoring.score
    iter_score = scoring.iter_score
    fit_prior = priors.fit_prior
    stored_prior = stored_priors.stored_prior
    store_prior = stored_priors.store_prior
    remove_prior = stored_priors.remove_prior
    sentence_map = mapping.sentence_map
    path_on_map = mapping.path_on_map
    unit_kl = kl_units.unit_kl
    rate_distortion = compressing.rate_distortion
    compress = lossless.compress
    decompress = lossless.decompress

    # copies

    def __getstate__(self) -> dict[str, Any]:
        # The temporary folder of a run belongs to the object that its training returned.
        # Another place may have another model behind a relative name.
        folder = None if self.folder is None else self.folder.absolute()
        return {**vars(self), "folder": folder, "_temporary": None}

    def __sklearn_clone__(self) -> TextVAE:
        """Itself: estimators that hold one model share it, scikit-learn would copy the weights."""
        return self

    # inside

    def _prepared(self, texts: Iterable[str]) -> list[str]:
        data, given = self.config.data, texts_of(texts)
        clean = text_cleaner(lowercase=data.lowercase, normalization=data.normalization)
        return given if clean is None else [clean(text) for text in given]

    def _cut_ids(self, texts: Iterable[str]) -> tuple[list[list[int]], list[int]]:
        """The tokens of each text for the encoder, cut to its limit; places of those cut."""
        ids = self.encoder_tokenizer.encode(self._prepared(texts))
        return cut_to_limit(ids, self.max_tokens_read)

    def _parameters(self, tokens: Tokens) -> Tensor:
        """Means, then log-variances of the posterior, (B, 2Z)."""
        q = self.model.infer(tokens)
        return torch.cat([q.mean, q.log_variance], dim=-1)

    def _check_posterior_options(
        self, layer: Layer, normalize: bool, with_variance: bool, sample: bool
    ) -> None:
        what = "variances" if with_variance else "samples"
        if not (with_variance or sample):
            return
        if not self.model.has_density:
            raise UsageError(f"an autoencoder has no posterior, so no {what}: leave that out")
        if layer != "latent":
            raise UsageError(f"layer {layer!r} has no posterior, so no {what}; try latent")
        if with_variance and (normalize or sample):
            given = "normalized vectors" if normalize else "samples"
            raise UsageError(f"variances are those of the means; leave out either them or {given}")

    def _layer(self, layer: Layer) -> Callable[[Tokens], Tensor]:
        if layer not in LAYERS:
            raise UsageError(f"layer {layer!r} is unknown; try {' or '.join(LAYERS)}")
        return self.model.code if layer == "latent" else self.model.pooled

    @torch.inference_mode()
    def _encoded(
        self, ids: Sequence[Sequence[int]], batch_size: int, encoder: Callable[[Tokens], Tensor]
    ) -> Tensor:
        """Rows of `encoder`'s output in the order of the sentences, batched by length."""
        read = self.encoder_tokenizer
        batches = by_length([len(sentence) for sentence in ids], batch_size)
        with exact_float32(self.device), python_progress() as progress:
            parts = [
                encoder(
                    collate([ids[row] for row in rows], read.eos_id, read.pad_id).to(self.device)
                )
                for rows in counted_off(batches, progress, "encoding", len(batches), every=10)
            ]
        if not parts:
            return self._encoded([[]], 1, encoder)[:0]
        sorted_rows = torch.cat(parts)
        result = torch.empty_like(sorted_rows)
        result[torch.from_numpy(np.concatenate(batches)).to(result.device)] = sorted_rows
        if not bool(result.isfinite().all()):
            raise ModelFormatError(
                f"{self.folder or 'the model'}: a sentence has a vector that is not finite; the "
                "weights are damaged or far too large: train the model anew"
            )
        return result

    def _need_latent(self, what: str) -> None:
        if self.model.prior is None:
            raise UsageError(
                f"a language model has no latent, so it cannot {what}; use a vae or an ae"
            )


def _download(name: str, place: Path) -> Path:
    """The local copy of a hub repository; `place` is the path that the name would be.

    Raises:
        NotFoundError: the hub has no such model, or the name is that of a file.
    """
    if os.path.exists(place):
        raise NotFoundError(
            f"{name} is a file; a model is a folder, the `out` of a training"
            + (f": try {place.parent}" if (place.parent / CONFIG_FILE).is_file() else "")
        )
    if len(place.parts) > 2 or str(place).startswith((".", os.sep)):  # no id of the hub
        raise NotFoundError(f"{name}: no such folder")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                name, allow_patterns=["*.json", "*.safetensors", "*.toml", "*.md", "*.jsonl"]
            )
        )
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise NotFoundError(
            f"{name}: no such folder, and the hub gave no such model ({reason(error)})"
        ) from None
