"""`python -m textvae` is `textvae`."""

from __future__ import annotations

from textvae.cli.main import main

if __name__ == "__main__":
    main()
