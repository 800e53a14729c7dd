"""The commit that a study writes beside its figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import commands


def test_figures_name_their_commit_and_whether_files_had_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the repository of the script, wherever the study is started."""

    def git(*words: str) -> str:
        name = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", *name, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    script = tmp_path / "commands.py"
    script.write_text("a")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "a")
    monkeypatch.setattr(commands, "__file__", str(script))
    assert commands.commit() == git("rev-parse", "--short", "HEAD")
    (tmp_path / "untracked").touch()
    assert not commands.commit().endswith("-dirty")
    script.write_text("b")
    assert commands.commit() == git("rev-parse", "--short", "HEAD") + "-dirty"
