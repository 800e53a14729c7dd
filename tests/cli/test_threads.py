"""How the command line sets up OpenMP before torch is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from textvae.__main__ import SPIN_COUNT

STATE = (
    "import os, sys\n"
    "import textvae.__main__ as program\n"
    "program.wait_patiently()\n"
    "print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
)


@pytest.mark.parametrize(
    ("chosen", "spin_count"),
    [
        ({}, SPIN_COUNT),
        ({"GOMP_SPINCOUNT": "5"}, "5"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ],
)
def test_threads_spin_briefly_unless_the_user_decided(
    chosen: dict[str, str], spin_count: str
) -> None:
    """OpenMP reads its environment once, when torch is loaded."""
    unset = {
        name: value
        for name, value in os.environ.items()
        if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    ran = subprocess.run(
        [sys.executable, "-c", STATE],
        env=unset | chosen,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [spin_count, "False"]
