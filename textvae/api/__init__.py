"""The Python API: `TextVAE`, the one object that people hold, and all that a command does."""

from textvae.api.analogies import Candidate
from textvae.api.augmenting import Augmentation, Variation
from textvae.api.classifying import Prediction
from textvae.api.clustering import Clustering
from textvae.api.comparing import Comparison, compare
from textvae.api.compressing import RateDistortion
from textvae.api.directions import Shifted
from textvae.api.evaluating import Evaluation
from textvae.api.kl_units import UnitKL
from textvae.api.lossless import Compressed
from textvae.api.mapping import PathOnMap, SentenceMap
from textvae.api.model import LAYERS, Embeddings, TextVAE
from textvae.api.neighbors import Neighbor, Neighbors
from textvae.api.paraphrasing import Paraphrase
from textvae.api.probing import Probe
from textvae.api.scoring import Scores
from textvae.api.sentence_scores import SentenceScore
from textvae.api.summarizing import Summary
from textvae.api.training import plan, train
from textvae.api.traversing import Traversal
from textvae.api.units import UnitReport
from textvae.data.rows import Row
from textvae.latent.direction_file import Direction
from textvae.latent.prior_file import FittedPrior
from textvae.progress import Watcher

__all__ = [
    "LAYERS",
    "Augmentation",
    "Candidate",
    "Clustering",
    "Comparison",
    "Compressed",
    "Direction",
    "Embeddings",
    "Evaluation",
    "FittedPrior",
    "Neighbor",
    "Neighbors",
    "Paraphrase",
    "PathOnMap",
    "Prediction",
    "Probe",
    "RateDistortion",
    "Row",
    "Scores",
    "SentenceMap",
    "SentenceScore",
    "Shifted",
    "Summary",
    "TextVAE",
    "Traversal",
    "UnitKL",
    "UnitReport",
    "Variation",
    "Watcher",
    "compare",
    "plan",
    "train",
]
