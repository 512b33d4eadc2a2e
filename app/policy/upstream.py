"""What a previous canvas step hands to one of our tasks, and how it becomes part of the request.

`chain(fetch.s(), messages.s(...))`: text, a result or a list of them becomes the user's turn; any
other dict is arguments, under those that the signature itself names.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.policy.shapes import WrongShapeError
from unhurried.contract import RESULT_SCHEMA, Endpoint

_BETWEEN: Final = "\n\n"
_TURNS: Final = frozenset({Endpoint.MESSAGES, Endpoint.CHAT})


class NothingToSay(ValueError):  # noqa: N818 - reads as what it says
    """The previous step left nothing that could be asked."""


def merge(endpoint: Endpoint, value: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with the previous step's value in it.

    Raises NothingToSay where it holds none, WrongShapeError where the request takes no turn.
    """
    if isinstance(value, Mapping) and value.get("schema") != RESULT_SCHEMA:
        return {**value, **request}
    if endpoint is Endpoint.EMBEDDINGS:
        return {**request, "input": [*_inputs(request.get("input")), *_texts(value)]}
    return _with_turn(endpoint, _text(value), request)


def _inputs(before: Any) -> list[Any]:
    """What an embeddings request asks for already, as a list."""
    if not before:
        return []
    return list(before) if isinstance(before, list) else [before]


def _texts(value: Any) -> list[str]:
    """Every text of the previous step, each an input of its own; its parts with an error left out."""
    if not isinstance(value, list | tuple):
        return [_text(value)]
    found = [_text(part) for part in value if not _is_error(part)]
    if not found:
        raise NothingToSay("the previous step was a group, and none of its parts has an answer")
    return found


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case list() | tuple():
            return _BETWEEN.join(_texts(value))
        case {"schema": _, "error": dict() as error}:
            raise NothingToSay(
                f"the previous step failed: {error.get('message') or error.get('code')}"
            )
        case {"schema": _, "output": str() as output}:
            return output
        case {"schema": _, "output_ref": str()}:
            raise NothingToSay(
                "the previous step's output is too long to travel in a chain: read it in a task of "
                "yours with Result.parse and build the next request there"
            )
        case _:
            raise NothingToSay(
                f"the previous step returned a {type(value).__name__}; return text or arguments, or "
                "build this step with .si()"
            )


def _is_error(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("error") is not None


def _with_turn(endpoint: Endpoint, text: str, request: Mapping[str, Any]) -> dict[str, Any]:
    turn = {"role": "user", "content": text}
    if endpoint in _TURNS:
        return {**request, "messages": [*_turns(request.get("messages") or [], "messages"), turn]}
    before = request.get("input")
    match before:
        case None | "":
            return {**request, "input": text}
        case str():
            return {**request, "input": before + _BETWEEN + text}
        case _:
            return {**request, "input": [*_turns(before, "input"), turn]}


def _turns(before: Any, name: str) -> list[Any]:
    if not isinstance(before, list | tuple):
        raise WrongShapeError(f"{name} must be a list")
    return list(before)
