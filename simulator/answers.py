"""What a simulated model says: the sentences of the prompt that carry most of its words."""

import re
from collections import Counter
from typing import Final

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\n{2,}")
_WORD: Final = re.compile(r"[a-z]{4,}")
_SENTENCES_MAX: Final = 2
#: Enough of a prompt to find what it is about; scoring stays cheap for prompts of megabytes.
_CHARACTERS_MAX: Final = 8000
_CANDIDATES_MAX: Final = 60


def summary(text: str) -> str:
    """An extractive summary of one or two sentences; deterministic."""
    sentences = _SENTENCE.split(text[:_CHARACTERS_MAX])[:_CANDIDATES_MAX]
    sentences = [" ".join(sentence.split()) for sentence in sentences if sentence.strip()]
    if not sentences:
        return "There is nothing to say."
    weights = Counter(_WORD.findall(text[:_CHARACTERS_MAX].lower()))
    scored = sorted(
        range(len(sentences)), key=lambda index: (-_score(sentences[index], weights), index)
    )
    best = sorted(scored[:_SENTENCES_MAX])
    return " ".join(sentences[index] for index in best)


def _score(sentence: str, weights: Counter[str]) -> float:
    words = _WORD.findall(sentence.lower())
    return sum(weights[word] for word in words) / (len(words) + 5) if words else 0.0
