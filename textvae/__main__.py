"""The program `textvae`, also `python -m textvae`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line on `sys.argv`."""
    try:
        from textvae.cli.main import main as run_command
    except KeyboardInterrupt:  # the imports take a moment
        print("textvae: interrupted", file=sys.stderr)
        sys.exit(130)
    run_command()


if __name__ == "__main__":
    main()
