"""Start-up stays light: what a command does not need is not imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "datasets", "numpy", "rich", "pydantic", "pyarrow")


def imported_by(code: str) -> set[str]:
    """The heavy modules that running `code` in a fresh interpreter imports."""
    report = f"\nimport sys; print(*[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "import textvae; textvae.__version__",
        "from textvae.cli.main import run; run(['--help'])",
        "from textvae.cli.main import run; run(['--version'])",
    ],
)
def test_the_package_and_the_help_import_nothing_heavy(code: str) -> None:
    assert imported_by(code) == set()


def test_commands_without_a_model_need_no_torch() -> None:
    """typer itself needs pydantic to read values."""
    code = "from textvae.cli.main import run; run(['train', '--help']); run(['config', 'show'])"
    assert imported_by(code) <= {"pydantic"}


def test_textvae_is_found_when_asked_for() -> None:
    import textvae
    from textvae.api import TextVAE

    assert textvae.TextVAE is TextVAE
    with pytest.raises(AttributeError, match="nothing_like_it"):
        textvae.nothing_like_it  # noqa: B018
