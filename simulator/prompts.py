"""The text of a request: all of it, which is what is billed, and what the user said."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Neither provider nests text deeper than a turn's content's block's content.
_DEPTH_MAX: Final = 8
_TURNS: Final = {"anthropic": "messages", "openai": "input"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """Texts joined by blank lines; always encodable as UTF-8."""

    whole: str
    user: str


def prompt_of(provider: str, params: Mapping[str, Any]) -> Prompt:
    """The text of a request, in order: system or instructions, then the turns."""
    turns = params.get(_TURNS[provider])
    if turns is None:
        turns = params.get("messages")  # a chat completion's
    rules = [*_texts(params.get("system")), *_texts(params.get("instructions"))]
    whole = _joined([*rules, *_texts(turns)])
    user = _joined(_texts(_users(turns)))
    return Prompt(whole, user or whole)


def _users(turns: Any) -> Any:
    if not isinstance(turns, list):
        return turns
    return [
        turn for turn in turns if not isinstance(turn, dict) or turn.get("role", "user") == "user"
    ]


def _joined(texts: Iterator[str] | list[str]) -> str:
    text = "\n\n".join(texts)
    # JSON can name half a surrogate pair, which no encoding can write.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > _DEPTH_MAX:
        return
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _texts(one, depth + 1)
        case {"content": content}:
            yield from _texts(content, depth + 1)
        case {"text": str() as text}:
            yield text
        case _:
            return
