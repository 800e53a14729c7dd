"""Pictures need matplotlib, which the extra `dev` installs."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("matplotlib") else ["test_*.py"]
