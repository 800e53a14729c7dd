"""Pages with a picture whose points show their texts under the mouse, without other files."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from xml.dom import minidom

from textvae.progress.bars import printable

# Without scripts, browsers show the titles themselves, a second later.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ margin: 1em auto; max-width: 75em; font: 15px sans-serif; }}
svg {{ width: 100%; height: auto; }}
#text {{ position: fixed; max-width: 28em; padding: .4em .6em; background: #222; color: #fff;
  border-radius: .3em; pointer-events: none; white-space: pre-wrap; }}
</style>
</head>
<body>
{svg}
<div id="text" hidden></div>
<script>
const box = document.getElementById("text");
for (const title of document.querySelectorAll("use > title")) {{
  title.parentNode.dataset.text = title.textContent;
  title.remove();
}}
document.addEventListener("mousemove", (event) => {{
  const point = event.target.closest ? event.target.closest("use[data-text]") : null;
  box.hidden = !point;
  if (!point) return;
  box.textContent = point.dataset.text;
  box.style.left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8) + "px";
  box.style.top = Math.min(event.clientY + 14, innerHeight - box.offsetHeight - 8) + "px";
}});
</script>
</body>
</html>
"""


def html_page(svg: bytes, title: str, texts: Mapping[str, Sequence[str]]) -> str:
    """A self-contained page with the picture.

    Args:
        svg: of matplotlib.
        title: of the page and of the picture.
        texts: by the id of a group in the SVG, the text of each of its points, in order.
    """
    document = minidom.parseString(svg)
    root = document.documentElement
    assert root is not None  # of a document that was parsed
    for node in list(root.childNodes):
        if node.nodeName == "title":  # browsers would show it wherever there is no point
            root.removeChild(node)
    for group in document.getElementsByTagName("g"):
        own = texts.get(group.getAttribute("id"), ())
        points = group.getElementsByTagName("use") if own else ()
        for point, text in zip(points, own, strict=True):
            node = document.createElement("title")
            node.appendChild(document.createTextNode(printable(text, lines=True)))
            point.appendChild(node)
    root.setAttribute("role", "img")
    root.setAttribute("aria-label", printable(title))
    return _PAGE.format(title=html.escape(printable(title)), svg=root.toxml())
