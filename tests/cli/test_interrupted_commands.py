"""Commands as processes of their own: closed pipes and signals."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest
from running import in_a_process


def test_a_reader_that_has_enough_is_no_error(tiny_vae) -> None:
    process = in_a_process("generate", tiny_vae, "-n", 1_000_000, "--max-tokens", 4)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_leaves_no_half_file(tiny_vae, tmp_path, number, code) -> None:
    out = tmp_path / "vectors.npy"
    process = in_a_process("embed", tiny_vae, "--out", out, stdin=subprocess.PIPE)
    assert process.stdin is not None
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err == b"textvae: interrupted\n"
    assert list(tmp_path.iterdir()) == []
