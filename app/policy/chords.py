"""What a chord needs so that its body goes out once, from what the ledger and Redis each know of it."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A chord as the ledger has it."""

    #: Parts of the whole header; None where Redis forgot before we had asked.
    size: int | None
    #: How many of them are tickets of ours.
    own: int
    #: Of those: Celery was told of them.
    completed: int
    #: Of those: Celery was never told of them.
    awaited: int

    @property
    def is_ours(self) -> bool:
        """Whether no part is the caller's own, as far as anybody knows."""
        return self.size is None or self.size == self.own

    @property
    def own_size(self) -> int:
        """Parts of the whole header, as far as anybody knows."""
        return self.own if self.size is None else self.size


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """A chord as Celery keeps it in Redis."""

    #: None where the key is gone.
    size: int | None
    #: Parts that have returned.
    parts: int
    #: Somebody is publishing the body now, or died in doing so; this passes.
    claimed: bool
    #: The body was published and Celery has cleaned up, or it has a state of its own.
    body_known: bool


class Need(StrEnum):
    """What is to be done for a chord."""

    NOTHING = "nothing"
    #: Nothing, now or later.
    OVER = "over"
    #: Say again how large it is.
    SIZE = "size"
    #: Say how large it is, and count our parts again: Redis has forgotten some.
    COUNT = "count"
    #: Take the last step again: whoever was publishing the body died.
    BODY = "body"
    #: Fail the body: what the caller's own parts returned is gone.
    FAILURE = "failure"


def need(standing: Standing, counted: Counted, *, is_published: bool) -> Need:
    """What a chord needs, where Redis is known to have forgotten nothing else since.

    `is_published`: the ledger knows that the body went out. A part that is counted twice counts once, and a
    body is published once, so SIZE, COUNT and BODY may be wrong without harm; OVER and FAILURE may not.
    """
    if is_published and counted.claimed and counted.size is not None:
        # Whoever published it is about to clean up, or died before that: then the claim runs out.
        return Need.NOTHING
    if is_published or counted.body_known:
        return Need.OVER
    if counted.claimed:
        return Need.NOTHING
    told = standing.completed == standing.own
    if counted.size is None:
        return _without_size(standing, counted, told=told)
    if counted.parts >= counted.size:
        return Need.BODY
    return Need.COUNT if told and standing.is_ours else Need.NOTHING


def _without_size(standing: Standing, counted: Counted, *, told: bool) -> Need:
    if standing.is_ours:
        if not told:
            return Need.SIZE if standing.awaited else Need.NOTHING
        # A chord that has failed keeps its parts and loses its size.
        return Need.OVER if counted.parts >= standing.own else Need.COUNT
    if standing.awaited:
        return Need.SIZE if counted.parts else Need.FAILURE
    # The caller's own part was the last one: what came of the body is in the caller's hands.
    return Need.OVER if told else Need.NOTHING
