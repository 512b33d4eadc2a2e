"""What the demo summarises: real texts, found on any machine."""

import pydoc_data.topics
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Enough of a document for a summary; the longest topics run to 100 kB.
_CHARACTERS_MAX: Final = 6000
_FILES_MAX: Final = 5000


@dataclass(frozen=True, slots=True)
class Document:
    """One text and its name."""

    name: str
    text: str


def load(directory: Path | None) -> list[Document]:
    """The texts of a folder, or else the language-reference topics that ship inside CPython.

    Raises ValueError where the folder holds no text.
    """
    if directory is None:
        topics = pydoc_data.topics.topics
        return [Document(name, topics[name][:_CHARACTERS_MAX]) for name in sorted(topics)]
    paths = sorted(path for path in directory.rglob("*") if path.is_file())[:_FILES_MAX]
    texts = [
        Document(str(path.relative_to(directory)), text[:_CHARACTERS_MAX])
        for path in paths
        if not path.name.startswith(".") and (text := _text(path)) is not None
    ]
    if not texts:
        raise ValueError(f"no text in {directory}: the demo summarises files that are UTF-8 text")
    return texts


def _text(path: Path) -> str | None:
    """A file's text; None where it is empty or no text."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text.strip() and "\0" not in text else None
