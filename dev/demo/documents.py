"""What the demo summarises: real texts, found on any machine."""

import pydoc_data.topics
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Enough of a document for a summary; the longest topics run to 100 kB.
_CHARACTERS_MAX: Final = 6000
_FILES_MAX: Final = 5000
_SUFFIXES: Final = frozenset({".txt", ".md", ".rst"})


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
    paths = sorted(path for path in directory.rglob("*") if path.suffix in _SUFFIXES)[:_FILES_MAX]
    texts = [
        Document(str(path.relative_to(directory)), path.read_text("utf-8", "replace"))
        for path in paths
    ]
    found = [Document(one.name, one.text[:_CHARACTERS_MAX]) for one in texts if one.text.strip()]
    if not found:
        endings = ", ".join(sorted(_SUFFIXES))
        raise ValueError(f"no text in {directory}: the demo reads files that end in {endings}")
    return found
