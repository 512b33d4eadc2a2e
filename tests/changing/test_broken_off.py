"""A decision that was cut off in the middle is seen, and repeated under its own id does the rest."""

from typing import Any
from uuid import uuid4

import pytest

from app.ledger import actions
from app.ledger.actions import Action
from app.policy.changing import Cancel, unended
from app.policy.subjects import Kind, Subject
from tests.changing.conftest import Desk
from tests.support.answering import admit
from tests.support.factories import an_admission


class _CutOffError(Exception):
    pass


def seen(desk: Desk) -> list[Action]:
    with desk.engine.connect() as connection:
        return actions.broken_off(connection)


def cut_off(_: Any) -> dict[str, Any]:
    raise _CutOffError


def test_a_decision_that_was_cut_off_is_seen_until_it_is_repeated(desk: Desk) -> None:
    """
    With who wanted what, and the id under which the rest is done.
    """
    (job,) = admit(desk.engine, [an_admission("a")])
    request_id = uuid4()
    subject = str(Subject(kind=Kind.JOB, id=str(job)))
    decision = desk.decision(subject, request_id=request_id)
    with pytest.raises(_CutOffError):
        desk.decisions.record(decision, cut_off)
    (found,) = seen(desk)

    assert (decision, None) == (found.decision, found.outcome)
    assert str(request_id) in unended(request_id)
    outcome = desk.wish(Cancel(), Kind.JOB, job, request_id=request_id)
    assert ({"cancelled": 1}, []) == (outcome["did"], seen(desk))


def test_one_that_goes_on_is_not_cut_off(desk: Desk) -> None:
    """
    Whoever carries it out holds its lock meanwhile.
    """
    during: list[list[Action]] = []

    def look(_: Any) -> dict[str, Any]:
        during.append(seen(desk))
        return {"did": {}, "left": {}}

    desk.decisions.record(desk.decision("job:1"), look)

    assert [[]] == during
