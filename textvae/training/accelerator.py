"""The process that trains: device, precision, threads and signals, through Accelerate."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs

from textvae.config import TrainingConfig
from textvae.errors import UsageError, option
from textvae.models.device import choose_device, reuse_freed_memory
from textvae.signals import HANGUP, ending_signals

# Accelerate's state, the environment, torch's threads and its generator belong to the process, so
# the trainings of its threads wait for each other.
ONE_AT_A_TIME = threading.RLock()
ENCODING_TIMEOUT = timedelta(hours=12)  # the others wait while the main process encodes


def choose_precision(name: str, device: torch.device) -> str:
    """`bf16` or `float32`; auto takes bf16 if the device has instructions for it."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bf16" if device.type == "cpu" and cpu_has_bf16() else "float32"


def cpu_has_bf16() -> bool:
    """True if the processor has instructions for bf16 matrices (AVX512-BF16 or AMX)."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private, so with care
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)


@contextmanager
def accelerator_for(training: TrainingConfig) -> Iterator[Accelerator]:
    """An Accelerator for this run.

    At the end, Accelerate's state, the environment and the number of threads are restored. If
    another thread has an Accelerator, this one waits for it.
    """
    with ONE_AT_A_TIME:
        yield from _accelerator(training)


def _accelerator(training: TrainingConfig) -> Iterator[Accelerator]:
    device = choose_device(training.device)
    precision = choose_precision(training.precision, device)
    was_idle = not AcceleratorState._shared_state
    launched = "LOCAL_RANK" in os.environ  # under a launcher each process has its own device
    if launched and device.type == "cuda":
        check_gpus()
    environment, threads = dict(os.environ), torch.get_num_threads()
    if not launched and device.type == "cuda" and device.index is not None:
        os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    if device.type == "cpu":
        reuse_freed_memory()
    if launched:
        atexit.register(leave_processes)
    try:
        yield Accelerator(
            cpu=device.type == "cpu",
            mixed_precision="bf16" if precision == "bf16" else "no",
            kwargs_handlers=[InitProcessGroupKwargs(timeout=ENCODING_TIMEOUT)],
        )
    finally:
        if was_idle:
            AcceleratorState._reset_state(reset_partial_state=not launched)
        torch.set_num_threads(threads)
        restore_environment(environment)


def leave_processes() -> None:
    """Close the connections to the other processes of a launcher.

    Their threads, still there while the interpreter ends, can abort it.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def check_gpus() -> None:
    """Raise UsageError if a launcher started more processes on this machine than it has GPUs."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("WORLD_SIZE") or 1)
    gpus = torch.cuda.device_count()
    if processes > gpus:
        are = "is 1 GPU" if gpus == 1 else f"are {gpus} GPUs"
        raise UsageError(
            f"{processes} processes on this machine, but there {are}; start at most {gpus}, or "
            f"pass {option('device', 'cpu')}"
        )


def restore_environment(before: dict[str, str]) -> None:
    """Restore the environment variables, which Accelerate changes."""
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class StopSignal:
    """Remembers SIGINT, SIGTERM and SIGHUP, so that a step can be finished and saved first."""

    def __init__(self) -> None:
        self.number: int | None = None

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if number == HANGUP:  # a closed terminal sends several, so the second is not impatience
            self.number = self.number or number
            return
        if self.number not in (None, HANGUP):  # asked twice: do not wait
            raise SystemExit(128 + number) if number == signal.SIGTERM else KeyboardInterrupt
        self.number = number

    @contextmanager
    def listening(self) -> Iterator[StopSignal]:
        """Within this context, the signals are remembered instead of obeyed."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._remember) for number in ending_signals()}
        try:
            yield self
        finally:
            for number, handler in before.items():
                if handler is not None:  # one that was not set from Python cannot be set again
                    signal.signal(number, handler)
