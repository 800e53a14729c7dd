"""The examples in docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil

import pytest

import textvae

# Modules, and what they need.
OPTIONAL = {
    f"textvae.embedding.{name}": "sentence_transformers"
    for name in ("model_name", "sentence_vectors")
}
MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(textvae.__path__, "textvae.")
    if not name.endswith("__main__")
    and (name not in OPTIONAL or importlib.util.find_spec(OPTIONAL[name]) is not None)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    found = [
        example
        for name in MODULES
        for test in finder.find(importlib.import_module(name))
        for example in test.examples
    ]
    assert len(found) > 20
