"""Pictures of trainings, latents and figures; matplotlib is imported when one is drawn.

>>> from textvae import plots
>>> plots.training_curves(["runs/a", "runs/b"]).save("curves.svg")  # doctest: +SKIP
"""

from textvae.plots.curves import training_curves
from textvae.plots.during_training import CurvesReporter
from textvae.plots.files import Picture
from textvae.plots.maps import path_on_map, sentence_map
from textvae.plots.panels import Panel, Series, panels
from textvae.plots.tradeoffs import attribute_strength, compression, rate_distortion
from textvae.plots.units import unit_kl

__all__ = [
    "CurvesReporter",
    "Panel",
    "Picture",
    "Series",
    "attribute_strength",
    "compression",
    "panels",
    "path_on_map",
    "rate_distortion",
    "sentence_map",
    "training_curves",
    "unit_kl",
]
