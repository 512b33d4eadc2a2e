"""The tracked files of this checkout, and what a page or a module says, taken apart."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def tracked() -> list[Path]:
    """Every file that git tracks and that is there."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    paths = [ROOT / name for name in names.split("\0") if name]
    return [path for path in paths if path.is_file()]


def pages() -> list[Path]:
    """Every Markdown page."""
    return [path for path in tracked() if path.suffix == ".md"]


def page(name: str) -> str:
    """A page's text."""
    return (ROOT / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for found, body in _FENCE.findall(text) if found == language]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def events() -> set[str]:
    """Every name that the service may give to `tell`."""
    found: set[str] = set()
    for folder in ("app", "tasks"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= set(_told(ast.parse(path.read_text("utf-8"))))
    return found


def _told(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and _name(node.func) == "tell":
            yield from _words(node.args[0], module)


def _words(event: ast.expr, module: ast.Module) -> Iterator[str]:
    """The event's name, or every name that the variable is given in this module."""
    match event:
        case ast.Constant(value=str() as word):
            yield word
        case ast.IfExp(body=one, orelse=other):
            yield from _words(one, module)
            yield from _words(other, module)
        case ast.Name(id=variable):
            found = [word for given in _given(variable, module) for word in _words(given, module)]
            assert found, f"no word is given to {variable}"
            yield from found
        case _ if isinstance(event, ast.Name | ast.Attribute):
            raise AssertionError(f"cannot tell which event this is: {ast.unparse(event)}")


def _given(variable: str, module: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(module):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            match target, node.value:
                case ast.Name(id=name), value if name == variable:
                    yield value
                case ast.Tuple(elts=names), ast.Tuple(elts=values):
                    pairs = zip(names, values, strict=True)
                    yield from (value for name, value in pairs if _name(name) == variable)


def _name(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else None
