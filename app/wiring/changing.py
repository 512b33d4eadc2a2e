"""What people decide and what was revoked, carried out wherever it is said."""

from collections.abc import Callable
from functools import cache

from app.changing.decisions import Decisions
from app.changing.lanes import Lanes
from app.changing.requests import Requests
from app.changing.results import Results
from app.changing.revealing import Revealing
from app.changing.revocations import Revocations
from app.completion.telling_again import following
from app.settings import settings
from app.wiring.stores import client, engine


@cache
def decisions(wake: Callable[[], None]) -> Decisions:
    """Carries out what is wished of jobs."""
    return Decisions(engine=engine(), wake=wake)


@cache
def lanes(wake: Callable[[], None]) -> Lanes:
    """Carries out what is wished of lanes."""
    return Lanes(engine=engine(), decisions=decisions(wake))


@cache
def results(wake: Callable[[], None]) -> Results:
    """Carries out what is wished of results."""
    return Results(engine=engine(), decisions=decisions(wake), follows=following)


@cache
def revealing() -> Revealing:
    """Shows people what was asked."""
    return Revealing(engine=engine())


@cache
def requests(wake: Callable[[], None]) -> Requests:
    """Answers clients."""
    return Requests(
        engine=engine(),
        decisions=decisions(wake),
        client=client(),
        key_prefix=settings().redis_key_prefix,
    )


@cache
def revocations(wake: Callable[[], None]) -> Revocations:
    """Honours revokes."""
    return Revocations(
        engine=engine(), client=client(), key_prefix=settings().redis_key_prefix, wake=wake
    )
