"""Pictures in files: the format follows from the ending, the same picture gives the same bytes."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from textvae.errors import UsageError, option
from textvae.files.atomic import replacing
from textvae.files.destination import check_folder
from textvae.files.home import home_path
from textvae.number_format import counted
from textvae.plots.hover import html_page
from textvae.plots.style import drawing, require_matplotlib
from textvae.progress import Say, python_warning

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Whatever tells the time or the version of a library is left out of a file.
_METADATA: dict[str, dict[str, Any]] = {
    ".svg": {"Date": None, "Creator": "textvae"},
    ".png": {"Software": "textvae"},
    ".pdf": {"CreationDate": None, "Creator": "textvae", "Producer": None},
}
PICTURE_FORMATS = (".svg", ".png", ".pdf", ".html")
_VIEWED = (".svg", ".html")  # whose text is drawn in the fonts of the viewer
_MISSING = re.compile(r"Glyph (\d+) .*missing from")


def check_picture(path: Path, *inputs: str) -> None:
    """Raise before the work if the picture cannot be drawn or its file cannot be written.

    Raises:
        UsageError: the ending of the name is not that of a known format, the file is one of the
            `inputs`, or matplotlib is not installed.
        NotFoundError: the folder does not exist.
    """
    if path.suffix.lower() not in PICTURE_FORMATS:
        raise UsageError(
            f"{option('out', path)}: the name must end in {', '.join(PICTURE_FORMATS)}"
        )
    check_folder(path, *inputs)
    require_matplotlib()


@dataclass(frozen=True)
class Picture:
    """A picture that notebooks show and `save` writes.

    Args:
        figure: of matplotlib.
        title: for readers who do not see the picture.
        hover: the texts of points by the id of their group, for pages; see `html_page`.
        remarks: what the picture leaves out, a sentence each.
    """

    figure: Figure
    title: str
    hover: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    remarks: tuple[str, ...] = ()

    def save(self, path: str | Path, *, follow: bool = True, warn: Say = python_warning) -> None:
        """Write a file, completely or not at all; its name ends in .svg, .png, .pdf or .html.

        Args:
            follow: a link stays and its target is replaced; False replaces the link itself.
            warn: is told of characters that no installed font has.
        """
        path = home_path(path)
        check_picture(path)
        suffix = path.suffix.lower()
        with _missing_glyphs() as missing, replacing(path, follow=follow) as file:
            if suffix == ".html":
                file.write(html_page(self._svg(points=True), self.title, self.hover).encode())
            else:
                self._write(file, suffix)
        if missing and suffix not in _VIEWED:
            warn(
                f"{path}: the installed fonts lack {counted(len(missing), 'character')}, drawn as "
                "boxes; install a font such as Noto Sans CJK, or write .svg or .html"
            )

    def _repr_svg_(self) -> str:
        with _missing_glyphs():
            return self._svg().decode()

    def _svg(self, *, points: bool = False) -> bytes:
        """The picture as SVG; with `points`, each point is an element, however many there are."""
        lines = [line for axes in self.figure.axes for line in axes.lines if line.get_rasterized()]
        for line in lines if points else ():
            line.set_rasterized(False)
        try:
            buffer = io.BytesIO()
            self._write(buffer, ".svg")
            return buffer.getvalue()
        finally:
            for line in lines:
                line.set_rasterized(True)

    def _write(self, file: IO[bytes], suffix: str) -> None:
        metadata = _METADATA[suffix]
        if suffix != ".png":
            metadata = {"Title": self.title, **metadata}
        with drawing():
            self.figure.savefig(file, format=suffix[1:], metadata=metadata)


@contextmanager
def _missing_glyphs() -> Iterator[set[str]]:
    """A block that fills a set with the characters that no font has; other warnings come after."""
    missing: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield missing
    for one in caught:
        match = _MISSING.search(str(one.message))
        if match is not None:
            missing.add(match[1])
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
