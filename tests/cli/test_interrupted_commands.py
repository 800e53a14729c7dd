"""Commands as processes of their own: closed pipes and signals."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
from running import in_a_process

from textvae.files.names import WEIGHTS_FILE

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
if hasattr(signal, "SIGHUP"):  # a closed terminal
    SIGNALS.append((signal.SIGHUP, 129))


@contextmanager
def handled(number, how):
    """A process that is started here inherits a signal that is ignored; the tests may be, too."""
    before = signal.signal(number, how)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_a_reader_that_has_enough_is_no_error(tiny_vae) -> None:
    process = in_a_process("generate", tiny_vae, "-n", 1_000_000, "--max-tokens", 4)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr.read() == b""


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_an_interrupted_command_leaves_no_half_file(tiny_vae, tmp_path, number, code) -> None:
    out = tmp_path / "vectors.npy"
    with handled(number, signal.default_int_handler if code == 130 else signal.SIG_DFL):
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


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
@pytest.mark.parametrize("nohup", [False, True])
def test_a_closed_terminal_ends_a_training_that_is_saved(tmp_path, nohup) -> None:
    """A terminal that closes sends several hangups; under nohup none of them counts."""
    text, out = tmp_path / "a.txt", tmp_path / "run"
    text.write_text("\n".join(f"the {n} cats ." for n in range(200)))
    with handled(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL):
        process = in_a_process(
            "train", text, "--out", out, "--hidden-size=8", "--latent-size=2", "--device=cpu",
            "--max-minutes=5", "--set=training.log_steps=1", f"--set=data.cache_dir={tmp_path}",
        )  # fmt: skip
    assert process.stderr is not None
    while b"train step" not in process.stderr.readline():
        assert process.poll() is None
    for _ in range(3):
        process.send_signal(signal.SIGHUP)
    if nohup:
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (143 if nohup else 129)
    assert b"resume with: textvae train" in err
    assert (out / WEIGHTS_FILE).is_file()
    assert len(list((out / "checkpoints").iterdir())) == 2
