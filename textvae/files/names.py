"""The names of the files and folders that make up a model's folder and a run's."""

from __future__ import annotations

CONFIG_FILE = "config.json"  # architecture and format version
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"  # of the decoder
ENCODER_TOKENIZER_FILE = "encoder_tokenizer.json"  # of an encoder that has its own
PRIOR_FILE = "prior.safetensors"  # of a prior that was fitted after training
EXPERIMENT_FILE = "experiment.toml"  # the resolved configuration
METRICS_FILE = "metrics.jsonl"
CURVES_FILE = "curves.svg"  # of a training that draws them
CARD_FILE = "README.md"
BACKBONES_FOLDER = "backbones"  # copies of pretrained models
CHECKPOINTS_FOLDER = "checkpoints"
TRACKING_FOLDER = "tracking"  # of TensorBoard and other trackers
