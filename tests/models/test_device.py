"""Devices by name, and what the process does with memory it freed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

MEASURE_FAULTS = """
import resource, torch
from textvae.models.device import reuse_freed_memory
torch.set_num_threads(1)
print(reuse_freed_memory() if {reuse} else None)
def step():
    torch.ones(16 * 2**20)  # 64 MiB
for _ in range(20):  # aligned blocks need a little more room than the last one left
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def measured_faults(*, reuse: bool, **environment: str) -> tuple[str, int]:
    """What `reuse_freed_memory` said in a fresh process, and its later page faults."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE_FAULTS.format(reuse=reuse)],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    said, faults = done.stdout.split()
    return said, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc")
def test_freed_memory_is_used_again() -> None:
    before = measured_faults(reuse=False)[1]
    said, faults = measured_faults(reuse=True)
    assert said == "True"
    assert before > 0
    assert faults < before / 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc")
def test_the_users_own_settings_of_malloc_stay() -> None:
    assert measured_faults(reuse=True, MALLOC_ARENA_MAX="2")[0] == "False"
