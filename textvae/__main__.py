"""The program `textvae`, also `python -m textvae`."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

# How long a thread of OpenMP spins while it waits for the others. With the default of 300,000, two
# threads that share their cores with another program trained at 0.04 to 0.3 of the speed of one
# thread; with 7,000 at 0.4. On an idle machine, 7,000 costs 10 %.
SPIN_COUNT = "7000"


def main() -> NoReturn:
    """Run the command line on `sys.argv`."""
    wait_patiently()
    try:
        from textvae.cli.main import main as run_command
    except KeyboardInterrupt:  # the imports take a moment
        print("textvae: interrupted", file=sys.stderr)
        sys.exit(130)
    run_command()


def wait_patiently() -> None:
    """Limit how long threads of OpenMP spin, unless the user has; before torch is imported."""
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT


if __name__ == "__main__":
    main()
