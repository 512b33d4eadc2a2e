"""What may be told a second time, and what is only marked: decided without a clock or a store."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.policy.marking_read import READ, ResultNow, Unmarked
from app.policy.marking_read import step as marked
from app.policy.marking_read import tally as marked_tally
from app.policy.telling_again import REVOKED, Notice, Part, TaskNow, Untold, telling
from app.policy.tickets import TicketState

EVERYTHING = frozenset(Part)
WEBHOOK = Notice(id=UUID(int=1), kind="webhook", state="done", last_error=None, is_asked=False)
TASK = TaskNow(
    ticket_id=1,
    job_id=UUID(int=2),
    state=TicketState.COMPLETED,
    is_busy=False,
    is_asked=False,
    is_pruned=False,
    keeps_result=True,
    callbacks_count=2,
    notices=(WEBHOOK,),
    others=(Untold.CHORD,),
)
UNREAD = ResultNow(ticket_id=1, is_completed=True, is_there=True, is_awaited=True, is_read=False)


def test_everything_that_stands_for_itself_is_told_again() -> None:
    """
    And what has a place in a canvas is left, with the reason.
    """
    told = telling(TASK, EVERYTHING).tally()

    assert {"webhooks": 1, "callbacks": 2, "results": 1} == dict(told.did)
    assert {"a chord's body is not run twice": 1} == dict(told.left)


def test_of_what_is_kept_no_longer_the_news_alone_is_told() -> None:
    """
    A webhook has its bytes; an answer that is gone is not handed over as an error.
    """
    told = telling(replace(TASK, is_pruned=True), EVERYTHING).tally()

    assert ({"webhooks": 1}, {str(Untold.PRUNED): 1}) == (dict(told.did), dict(told.left))


@pytest.mark.parametrize("part", list(Part))
def test_only_what_is_asked_for(part: Part) -> None:
    """
    One part takes no other with it.
    """
    assert set(telling(TASK, {part}).tally().did) <= {str(part)}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": TicketState.OPEN}, Untold.NOT_ENDED),
        ({"state": TicketState.READY}, Untold.BEING_TOLD),
        ({"is_busy": True}, Untold.BEING_TOLD),
    ],
)
def test_what_is_under_way_is_left(change: dict[str, Any], why: Untold) -> None:
    """
    Nothing of it is told, and it is said why.
    """
    found = telling(replace(TASK, **change), EVERYTHING)

    assert ({}, {str(why): 1}) == (dict(found.tally().did), dict(found.tally().left))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": "new"}, Untold.ON_ITS_WAY),
        ({"state": "sending"}, Untold.ON_ITS_WAY),
        ({"state": "dead", "last_error": REVOKED}, Untold.REVOKED),
        ({"state": "dead", "last_error": "410"}, None),
        ({"state": "unknown"}, None),
        ({"state": "new", "is_asked": True}, None),
    ],
)
def test_a_notification_is_sent_again_once_it_has_ended(
    change: dict[str, Any], why: Untold | None
) -> None:
    """
    Not one on its way, nor one whose caller wants to hear no more; the same request again counts it again.
    """
    found = telling(replace(TASK, notices=(replace(WEBHOOK, **change),)), {Part.WEBHOOKS})

    assert ([why] if why else [], int(why is None)) == (list(found.left), len(found.notices))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"is_completed": False}, Unmarked.NOT_ENDED),
        ({"is_awaited": False}, Unmarked.NOT_MISSED),
        ({"is_read": True}, Unmarked.IS_READ),
        ({"is_there": False}, Unmarked.NOT_THERE),
    ],
)
def test_an_unread_result_is_marked_and_no_other(
    change: dict[str, Any], why: Unmarked | None
) -> None:
    """
    Each that is left says why.
    """
    step = marked(replace(UNREAD, **change))
    found = marked_tally([step])

    expected = ({}, {str(why): 1}) if why else ({READ: 1}, {})
    assert (why, expected) == (step, (dict(found.did), dict(found.left)))
