"""The configuration: validated sections, resolved from defaults, a recipe, a file and options.

Field names are unique across sections, so a name alone identifies its section. A recipe is a
configuration file that comes with the package, `textvae/recipes/NAME.toml`.
"""

from textvae.config.layers import (
    lay_over,
    parse_assignment,
    read_recipe,
    read_toml,
    recipe_names,
    toml_value,
)
from textvae.config.messages import all_fields, describe_validation, section_of
from textvae.config.references import OWN_NETWORKS, is_own
from textvae.config.resolved import Config
from textvae.config.schema import (
    FORMER_ARCHITECTURE,
    SECTIONS,
    WITHOUT_TARGET,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    TokenizerConfig,
    TrainingConfig,
)
from textvae.config.spelling import suggestion

__all__ = [
    "FORMER_ARCHITECTURE",
    "OWN_NETWORKS",
    "SECTIONS",
    "WITHOUT_TARGET",
    "Config",
    "DataConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "TokenizerConfig",
    "TrainingConfig",
    "all_fields",
    "describe_validation",
    "is_own",
    "lay_over",
    "parse_assignment",
    "read_recipe",
    "read_toml",
    "recipe_names",
    "section_of",
    "suggestion",
    "toml_value",
]
