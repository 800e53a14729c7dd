"""The curves of a training while it runs: a picture in its folder, drawn at each evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textvae.files.home import home_path
from textvae.files.names import CURVES_FILE
from textvae.plots.curves import training_curves
from textvae.plots.style import require_matplotlib
from textvae.training.display import python_reporter
from textvae.training.reporting import Reporter


class CurvesReporter:
    """Keeps `curves.svg` in the folder of a run up to date, and passes all news on.

    Training goes on where drawing fails; the first failure is a warning.

    >>> TextVAE.train(texts, out="m", reporter=CurvesReporter("m"))  # doctest: +SKIP

    Args:
        out: the folder of the run.
        reporter: who is told; None: as without a reporter.

    Raises:
        UsageError: matplotlib is not installed.
    """

    def __init__(self, out: str | Path, reporter: Reporter | None = None) -> None:
        require_matplotlib()
        self._out = home_path(out)
        self._reporter = python_reporter() if reporter is None else reporter
        self._is_behind = False  # records came after the last drawing
        self._has_failed = False

    def message(self, text: str) -> None:
        self._reporter.message(text)

    def warn(self, text: str) -> None:
        self._reporter.warn(text)

    def progress(self, phase: str, done: int, total: int) -> None:
        self._reporter.progress(phase, done, total)

    def start(self, info: dict[str, Any]) -> None:
        self._reporter.start(info)

    def log(self, record: dict[str, Any]) -> None:
        self._reporter.log(record)
        self._is_behind = True
        if record["event"] == "valid":
            self._draw()

    def close(self) -> None:
        if self._is_behind:
            self._draw()
        self._reporter.close()

    def _draw(self) -> None:
        self._is_behind = False
        path = self._out / CURVES_FILE
        try:
            training_curves([self._out]).save(path, follow=False)
        except Exception as error:  # whatever it is, it is no reason to lose a training
            if not self._has_failed:
                self._has_failed = True
                what = str(error) or type(error).__name__
                self._reporter.warn(f"{path}: the curves were not drawn ({what}); training goes on")
