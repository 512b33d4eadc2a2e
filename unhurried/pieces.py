"""`pieces`: a long text in parts that a model for embeddings takes whole."""

import re
from typing import Final

#: Few scripts and few codes need a token for less: a piece never holds many more tokens than it may.
_BYTES_PER_TOKEN: Final = 3
#: Where a text is best cut: after a paragraph, a line, a sentence, a word. Each is looked for in the
#: last part of what fits, so that no piece is much smaller than it could be.
_CUTS: Final = tuple(
    re.compile(pattern)
    for pattern in (r"\n\s*\n", r"\n", r"[.!?\u2026]['\")\]]*\s|[\u3002\uff01\uff1f]", r"\s")
)
_LAST_PART: Final = 0.5


def pieces(text: str, *, tokens: int = 1000, overlap: int = 0) -> list[str]:
    """The text in order, in pieces of some `tokens` at most; none is blank.

    The same text always gives the same pieces. Tokens are estimated at three bytes each, since no model's
    tokenizer is here. A piece begins with about the last `overlap` tokens of the one before, cut at a word.
    Raises ValueError where `tokens` is below 8, or `overlap` is negative or half of it or more.
    """
    if tokens < 8:  # noqa: PLR2004 - one word of any language
        raise ValueError(f"tokens={tokens}: a piece needs 8 at least")
    if not 0 <= overlap <= tokens // 2:
        raise ValueError(f"overlap={overlap}: from 0 to half of tokens={tokens}")
    found = []
    start = 0
    while start < len(text):
        end = _end(text, start, tokens * _BYTES_PER_TOKEN)
        piece = text[start:end].strip()
        if piece:
            found.append(piece)
        if end == len(text):
            break
        start = max(_start(text, end, overlap * _BYTES_PER_TOKEN), start + 1)
    return found


def _end(text: str, start: int, bytes_max: int) -> int:
    """Where the piece that begins at `start` is cut."""
    window = text[start : start + bytes_max]
    fits = window.encode("utf-8", "replace")[:bytes_max].decode("utf-8", "ignore")
    end = start + len(fits)
    if end == len(text):
        return end
    earliest = start + int(len(fits) * _LAST_PART)
    for cut in _CUTS:
        last = None
        for match in cut.finditer(text, earliest, end):
            last = match
        if last is not None:
            return last.end()
    return end


def _start(text: str, end: int, overlap_bytes: int) -> int:
    """Where the piece after a cut at `end` begins: at a word of the last `overlap_bytes`."""
    if not overlap_bytes:
        return end
    tail = text[max(0, end - overlap_bytes) : end].encode("utf-8", "replace")[-overlap_bytes:]
    earliest = end - len(tail.decode("utf-8", "ignore"))
    word = re.compile(r"\s\S").search(text, earliest, end)
    return word.start() + 1 if word is not None else earliest
