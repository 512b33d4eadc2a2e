"""What marking as read does to a result, by whether anybody is missed as its reader. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.policy.changing import Tally

#: What is done to a result.
READ: Final = "read"


class Unmarked(StrEnum):
    """Why a result is left. Each is told to whoever wished."""

    NOT_ENDED = "it has not ended"
    NOT_THERE = "it is not there to be read yet"
    NOT_MISSED = "nobody is missed as its reader"
    IS_READ = "it is read"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultNow:
    """A task's result, as far as its readers care."""

    ticket_id: int
    is_completed: bool
    #: A chord's part once its body was published, a run's at its end.
    is_there: bool
    #: Somebody awaits it whom we know to come.
    is_awaited: bool
    is_read: bool


def step(result: ResultNow) -> Unmarked | None:
    """Why a result is left; None where it is marked. The same wish again does nothing more."""
    if not result.is_completed:
        return Unmarked.NOT_ENDED
    if not result.is_awaited:
        return Unmarked.NOT_MISSED
    if result.is_read:
        return Unmarked.IS_READ
    return None if result.is_there else Unmarked.NOT_THERE


def tally(steps: Iterable[Unmarked | None]) -> Tally:
    """Count them."""
    found = list(steps)
    marked = sum(one is None for one in found)
    return Tally(
        did=Counter({READ: marked} if marked else {}),
        left=Counter(str(one) for one in found if one is not None),
    )
