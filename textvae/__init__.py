"""Sentence VAEs: train one on your own text, sample from it, walk in it, and trust its numbers.

>>> from textvae import TextVAE  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textvae.errors import TextVAEWarning

if TYPE_CHECKING:
    from textvae.api import TextVAE

__version__ = "0.1.0"

__all__ = ["TextVAE", "TextVAEWarning", "__version__"]


def __getattr__(name: str) -> Any:
    # `import textvae` alone must not import torch, which takes seconds.
    if name == "TextVAE":
        from textvae.api import TextVAE

        return TextVAE
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
