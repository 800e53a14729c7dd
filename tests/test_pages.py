"""README.md and docs/: links lead somewhere, and what is named there exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tour
from typer.main import get_command

from textvae.cli.main import app
from textvae.config import SECTIONS

ROOT = Path(__file__).parents[1]
PAGES = tour.pages(ROOT)
LINK = re.compile(r"\[[^\]]*\]\(([^)]+)\)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
KEY = re.compile(rf"(?<!(?:vae|ray)\.)\b({'|'.join(SECTIONS)})\.(?!json|md|safetensors)([a-z_]+)\b")
FILE = re.compile(r"\b(?:scripts|tests|data|textvae)/[\w./-]*\w")
NOT_OURS = {
    "--nproc-per-node",  # torchrun
    "--cases",  # tests/hardening/fuzz.py
    "--processes",
    "--check",  # scripts/tour.py
    "--corpus",  # scripts/studies/compression_rates.py
    "--against",  # scripts/benchmark
    "--batch",
    "--likelihoods",
    "--clock",
    "--compare",
    "--paths",
    "--networks",
    "--actors",  # scripts/examples/embed_ray.py
    "--gpus",
}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def options_of(command: Any) -> Iterator[tuple[str, set[str]]]:
    """(name, options) of each command below `command`."""
    for name, own in command.commands.items():
        found = {option for parameter in own.params for option in parameter.opts}
        yield name, found | {"--help"}
        if hasattr(own, "commands"):
            yield from options_of(own)


COMMANDS = dict(options_of(get_command(app)))
GLOBAL = {"--version", "--quiet", "--install-completion"}


@every_page
def test_links_lead_to_a_page_and_a_heading(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_links_to_every_page() -> None:
    linked = set(LINK.findall(PAGES[0].read_text(encoding="utf-8")))
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= linked


@every_page
def test_options_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    known = GLOBAL | NOT_OURS | set().union(*COMMANDS.values())
    assert set(OPTION.findall(text)) <= known
    for line in text.replace("\\\n", "").splitlines():  # and each with the command that has it
        for part in re.findall(r"textvae (?:--quiet )?([a-z]+ [^|`]*)", line):
            name, _, rest = part.partition(" ")
            if name in ("config", "plot"):
                name, _, rest = rest.partition(" ")
            if name in COMMANDS:
                assert set(OPTION.findall(rest)) <= COMMANDS[name] | NOT_OURS, part


@every_page
def test_configuration_keys_exist(page: Path) -> None:
    for section, name in KEY.findall(page.read_text(encoding="utf-8")):
        assert name in SECTIONS[section].model_fields, f"{section}.{name}"


@every_page
def test_files_exist(page: Path) -> None:
    for name in FILE.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


def test_an_example_gets_the_output_of_its_commands() -> None:
    page = (
        "<!-- run -->\n```console\n$ a\nold\n$ b\n```\n"
        "<!-- run -->\n```python\nc\n```\n\n```text\nold\n```\n"
        "```console\n$ not run\nold\n```\n"
    )
    new = tour.rerun(page, lambda _, program: f"output of {program.strip()}\n")
    assert new == (
        "<!-- run -->\n```console\n$ a\noutput of a\n$ b\noutput of b\n```\n"
        "<!-- run -->\n```python\nc\n```\n\n```text\noutput of c\n```\n"
        "```console\n$ not run\nold\n```\n"
    )


def test_a_mark_without_an_example_is_an_error() -> None:
    with pytest.raises(ValueError, match="directly before"):
        tour.rerun("<!-- run -->\n\n```console\n$ a\n```\n", lambda *_: "")


@every_page
def test_marks_stand_before_examples(page: Path) -> None:
    tour.rerun(page.read_text(encoding="utf-8"), lambda *_: "")  # else it raises


def test_the_python_of_the_readme_runs(tiny_vae: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        if "from_pretrained" in block:
            exec(block.replace("runs/demo/vae", str(tiny_vae)), {})
