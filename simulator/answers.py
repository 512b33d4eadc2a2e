"""What a simulated model says: the sentences of the prompt that carry most of its words."""

import re
from collections import Counter
from itertools import chain
from typing import Final

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\n{2,}")
_WORD: Final = re.compile(r"[a-z]{4,}")
_SENTENCES_MAX: Final = 2
#: Enough of a prompt to find what it is about; scoring stays cheap for prompts of megabytes.
_CHARACTERS_MAX: Final = 8000
_CANDIDATES_MAX: Final = 60
#: Keeps a sentence of one frequent word from beating one that says something.
_SHORTNESS_PENALTY: Final = 5
_NOTHING: Final = "There is nothing to say."


def summary(text: str, *, bytes_max: int) -> str:
    """An extractive summary of one or two sentences, in their order; deterministic.

    Longer than `bytes_max` only where the best sentence alone is: cutting it is the caller's.
    """
    pieces = _SENTENCE.split(text[:_CHARACTERS_MAX])[:_CANDIDATES_MAX]
    sentences = [" ".join(piece.split()) for piece in pieces if piece.strip()]
    if not sentences:
        return _NOTHING
    chosen: list[int] = []
    room = bytes_max
    for index in _ranking(sentences)[:_SENTENCES_MAX]:
        size = len(sentences[index].encode()) + 1
        if not chosen or size <= room:
            chosen.append(index)
            room -= size
    return " ".join(sentences[index] for index in sorted(chosen))


def _ranking(sentences: list[str]) -> list[int]:
    """Which sentence has most of the frequent words, the best first and the earlier of equals."""
    words = [_WORD.findall(sentence.lower()) for sentence in sentences]
    weigh = Counter(chain.from_iterable(words)).__getitem__
    scores = [sum(map(weigh, found)) / (len(found) + _SHORTNESS_PENALTY) for found in words]
    return sorted(range(len(sentences)), key=lambda index: -scores[index])
