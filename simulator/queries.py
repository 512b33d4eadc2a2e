"""Reads what a request asks for: JSON bodies, limits, cursors."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request

from simulator.problems import bad

Item = TypeVar("Item")


async def json_object(request: Request) -> dict[str, Any]:
    """The body, which must be one JSON object; a 400 where it is not."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise bad(f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(body, dict):
        raise bad("The JSON body of your request must be an object.")
    return body


def number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number of the query, pulled into its bounds; a 400 where it is none."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return max(least, min(int(text), most))
    except ValueError as error:
        raise bad(f"{name}: a whole number was expected, not {text!r}") from error


def after(
    items: Sequence[Item], cursor: str | None, *, limit: int, key: Callable[[Item], str]
) -> tuple[list[Item], bool]:
    """The page behind a cursor and whether more follow. An unknown cursor starts at the front."""
    ids = [key(item) for item in items]
    start = ids.index(cursor) + 1 if cursor in ids else 0
    return list(items[start : start + limit]), len(items) > start + limit


def before(
    items: Sequence[Item], cursor: str, *, limit: int, key: Callable[[Item], str]
) -> tuple[list[Item], bool] | None:
    """The page in front of a cursor and whether more precede it; None where it is unknown."""
    ids = [key(item) for item in items]
    if cursor not in ids:
        return None
    end = ids.index(cursor)
    return list(items[max(end - limit, 0) : end]), end > limit
