"""The README quotes what runs; links lead somewhere; no file speaks of one person's machine."""

import re
from pathlib import Path

import pytest

from tests.docs.tree import ROOT, blocks, page, pages, prose, tracked
from tests.faults.rows import ROWS
from tests.faults.run import DIRECTED

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"^make ([a-z-]+)", re.MULTILINE)
_TEST = re.compile(r"\btest_\w+")
_DEFINED = re.compile(r"def (test_\w+)")
_CELLS = re.compile(r"cells? ((?:\*[^*|\n]+\*(?:, | and )?)+)")
_TARGET = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)

#: Spelt in pieces, so that this file holds none of them.
_MACHINES = tuple("/" + name + "/" for name in ("work", "root", "home", "Users", "tmp"))
_REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("jfrog", "io"),
        ("pypi", "python", "org"),
    )
)


def quoted(block: str) -> list[str]:
    """The block's lines without indentation."""
    return [line.strip() for line in block.splitlines() if line.strip()]


def test_the_readme_quotes_the_example() -> None:
    """
    Every Python block of the README stands in examples/ten_lines.py, letter for letter.
    """
    example = page("examples/ten_lines.py")
    found = blocks(page("README.md"), "python")

    assert found
    assert all(block in example for block in found)


def test_the_readme_adds_lines_of_the_example() -> None:
    """
    What a caller's diff adds is a line of the example.
    """
    example = quoted(page("examples/ten_lines.py"))
    added = [
        line[1:].strip()
        for block in blocks(page("README.md"), "diff")
        for line in block.splitlines()
        if line.startswith("+")
    ]

    assert added
    assert set(added) <= set(example)


def test_the_readmes_commands_are_targets() -> None:
    """
    A newcomer types two commands, and both are there.
    """
    (block,) = blocks(page("README.md"), "sh")
    commands = _COMMAND.findall(block)

    assert ["demo", "test"] == commands
    assert set(commands) <= set(_TARGET.findall(page("Makefile")))


def test_the_readme_is_one_screen() -> None:
    """
    It ends before anybody scrolls far.
    """
    assert len(page("README.md").splitlines()) <= 80


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """
    A relative link names a file that is there, and a heading that is in it.
    """
    for link in _LINK.findall(prose(path.read_text("utf-8"))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_file(), f"{path.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{path.name}: {link}"


def anchors(path: Path) -> set[str]:
    """A page's headings as links name them."""
    headings = _HEADING.findall(prose(path.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}


def test_every_page_is_in_the_index() -> None:
    """
    docs/index.md links to every page of docs.
    """
    linked = {(ROOT / "docs" / link).resolve() for link in _LINK.findall(page("docs/index.md"))}
    of_docs = {path for path in pages() if (ROOT / "docs") in path.parents}

    assert of_docs <= linked | {ROOT / "docs" / "index.md"}


def test_what_is_promised_names_tests_and_cells_that_are_there() -> None:
    """
    docs/reliability.md says of each promise which test proves it; a cell may be told short, after dots.
    """
    promises = page("docs/reliability.md")
    sources = [path for path in tracked() if path.suffix == ".py"]
    there = {path.stem for path in sources}
    there |= {name for path in sources for name in _DEFINED.findall(path.read_text("utf-8"))}
    named = [
        cell for cells in _CELLS.findall(promises) for cell in re.findall(r"\*([^*]+)\*", cells)
    ]
    played = "\n".join([*ROWS, *DIRECTED])

    assert set() == set(_TEST.findall(promises)) - there
    assert [] == [cell for cell in named if cell.strip(".").strip() not in played]


def test_no_file_names_a_machine_or_a_registry() -> None:
    """
    Nothing tracked holds a path of the machine it was written on, nor where packages came from.
    """
    found = [
        (str(path.relative_to(ROOT)), word)
        for path in tracked()
        for word in (*_MACHINES, *_REGISTRIES)
        if word in path.read_text("utf-8", "replace")
    ]

    assert [] == found
