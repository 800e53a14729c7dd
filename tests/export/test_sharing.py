"""Several processes that share the work of `textvae embed`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from vector_files import BLOCK


def test_two_processes_write_the_bytes_of_one(embeds, tiny_vae: Path, reviews: Path) -> None:
    script = reviews.with_name("small_parts.py")
    script.write_text(
        "from textvae.cli import main\nfrom textvae.export import parts\n"
        f"parts.PART = {BLOCK}\nmain.main()\n"
    )
    one, two = reviews.with_name("one.npz"), reviews.with_name("two.npz")
    arguments = [str(tiny_vae), str(reviews), "--sample", "--device", "cpu", "--out"]
    assert embeds(*arguments, one).code == 0
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *launcher, str(script), "embed", *arguments, str(two)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("24 vectors of 4 dimensions") == 1
    assert two.read_bytes() == one.read_bytes()
    assert not list(reviews.parent.glob(".*"))


def test_what_cannot_be_shared_is_refused(embeds, tiny_vae: Path, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused = embeds(tiny_vae, "--out", tmp_path / "v.npy")
    assert refused.code == 2
    assert "stdin cannot be shared" in refused.err
