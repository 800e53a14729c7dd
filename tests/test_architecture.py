"""Modules import only from the rows above their own, without cycles, and no more than they need."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import textvae

# A module imports from earlier rows only; modules of one row do not import each other, but the
# files inside one package may.
ROWS = (
    ("errors",),
    (
        "arguments",
        "edit_distance",
        "files",
        "gaussian",
        "number_format",
        "progress",
        "schedules",
        "signals",
    ),
    ("config", "randomness"),
    ("data",),
    ("models",),
    ("objectives", "decoding", "latent", "saving"),
    ("evaluation", "classification"),
    ("training",),
    ("api",),
    ("embedding", "export", "plots"),
    ("cli",),
    ("__main__",),
)
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
PACKAGE = Path(textvae.__file__).parent


def module_name(path: Path) -> str:
    parts = ("textvae", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in PACKAGE.rglob("*.py")}
# `textvae` itself holds the version and hands out TextVAE when asked for; it is of no row.
MODULES = sorted(SOURCES.keys() - {"textvae"})


def imports_of(module: str) -> Iterator[str]:
    """The modules of textvae that `module` imports anywhere, inside functions too."""
    for node in ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name if name in SOURCES else node.module or "" for name in inside]
        else:
            continue
        yield from (name for name in found if name in SOURCES and name != "textvae")


def top(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_the_rows_above_its_own(module: str) -> None:
    assert top(module) in ROW_OF, f"{top(module)} stands in no row"
    wrong = [
        name
        for name in imports_of(module)
        if top(name) != top(module) and ROW_OF[top(name)] >= ROW_OF[top(module)]
    ]
    assert wrong == []


def test_the_graph_of_imports_is_seen_and_has_no_cycle() -> None:
    graph = {module: set(imports_of(module)) for module in MODULES}
    assert "textvae.models.sentence" in graph["textvae.saving.folder"]
    assert "textvae.cli.train" in graph["textvae.cli.main"]  # from textvae.cli import train
    assert "textvae.api" in graph["textvae.cli.train"]  # inside a function
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_no_command_imports_another() -> None:
    commands = {name for name in imports_of("textvae.cli.main") if has_a_command(name)}
    assert len(commands) > 10
    for command in commands:
        assert commands.isdisjoint(imports_of(command)), command


def has_a_command(module: str) -> bool:
    """True if the module defines a function of its own name, as the modules of commands do."""
    own = module.rpartition(".")[2]
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == own for node in tree.body)


def imported_by(*modules: str) -> set[str]:
    """All that is imported when these modules are, by a fresh interpreter."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_runs_no_model_does_not_import_torch() -> None:
    loaded = imported_by("textvae", "textvae.cli.main", "textvae.config", "textvae.data.opening")
    assert loaded.isdisjoint({"torch", "transformers", "datasets", "pyarrow", "sklearn"})


def test_a_model_needs_neither_what_trains_it_nor_the_models_of_transformers() -> None:
    loaded = imported_by("textvae.api")
    assert "torch" in loaded
    assert loaded.isdisjoint({"transformers", "accelerate", "datasets", "pandas", "sklearn"})
    assert not {name for name in loaded if name.startswith("textvae.training")}
