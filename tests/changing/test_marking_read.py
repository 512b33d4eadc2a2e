"""What a person marks as read is missed no more, wherever it was; and who reads it later is not lost."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from app.ledger import engine as ledger
from app.ledger import pick_ups, timeline, unread
from app.policy.subjects import Kind, Subject, filtered
from tests.changing.conftest import Desk
from tests.support.answering import admit, answer
from tests.support.factories import an_admission
from unhurried.readers import Declaration, PickUp

PAGE = Declaration(name="profile-page", workload="notes", max_staleness_s=60, owner="web")
_WEEK = timedelta(days=7)


def unread_results(desk: Desk, *names: str, key: str | None = None) -> list[UUID]:
    """Answered jobs of a workload whose declared consumer has not come; the results' ids."""
    jobs = admit(
        desk.engine,
        [an_admission(name, workload="notes", subject="user:17", key=key) for name in names],
    )
    answer(desk.engine, jobs)
    desk.rows(
        "UPDATE ticket SET state = 'completed', completed_at = now() WHERE state = 'ready' RETURNING 1"
    )
    note = PickUp(consumer=PAGE, result_ids=(), picked_up_at=ledger_now(desk))
    with desk.engine.begin() as connection:
        pick_ups.record(connection, [note], at=ledger.now(connection))
    return [row[0] for row in desk.rows("SELECT result_id FROM job ORDER BY id")]


def ledger_now(desk: Desk) -> Any:
    """Its clock."""
    ((now,),) = desk.rows("SELECT now()")
    return now


def missed(desk: Desk) -> dict[str, int]:
    """How many results wait, by for whom."""
    with desk.engine.begin() as connection:
        found = unread.read(connection, at=ledger.now(connection), lifetime=_WEEK)
    return {one.consumer: one.count for one in found}


def read(desk: Desk, subject: Subject, *, request_id: UUID | None = None) -> Any:
    """Let it count as read."""
    decision = desk.decision(str(subject), "read", request_id=request_id)
    return desk.results.read(decision, subject)


def test_what_a_person_marks_is_missed_no_more(desk: Desk) -> None:
    """
    One of two results of a consumer; the other is still missed.
    """
    unread_results(desk, "a", "b")
    before = missed(desk)

    assert {"did": {"read": 1}, "left": {}} == read(desk, Subject(kind=Kind.TASK, id="a"))
    assert ({"profile-page": 2}, {"profile-page": 1}) == (before, missed(desk))
    assert [("ops",), (None,)] == desk.rows("SELECT picked_up_by FROM ticket ORDER BY id")
    assert [] == desk.rows("SELECT 1 FROM pick_up"), "nobody has read anything"


def test_it_is_said_who_decided(desk: Desk) -> None:
    """
    The job's timeline names the person, and whom they did not wait for.
    """
    unread_results(desk, "a")
    ((job,),) = desk.rows("SELECT id FROM job")
    read(desk, Subject(kind=Kind.JOB, id=str(job)))
    with desk.engine.begin() as connection:
        found = timeline.of_job(connection, job)
    told = {one.what: one.detail for one in found.entries}

    assert told["marked read"].endswith("by ops: profile-page had not picked it up")
    assert not {"picked up", "awaited"} & told.keys()


def test_by_every_name(desk: Desk) -> None:
    """
    A subject, a consumer, a workload and a batch name all of their unread results.
    """
    unread_results(desk, "a")
    assert {"read": 1} == read(desk, Subject(kind=Kind.SUBJECT, id="user:17"))["did"]
    unread_results(desk, "b")
    assert {"read": 1} == read(desk, Subject(kind=Kind.CONSUMER, id="profile-page"))["did"]
    unread_results(desk, "c")
    assert {"read": 1} == read(desk, filtered({"workload": "notes"}))["did"]
    assert {} == missed(desk)


def test_the_same_request_marks_once(desk: Desk) -> None:
    """
    Under another id it says why nothing is left to do.
    """
    unread_results(desk, "a")
    request_id = uuid4()
    subject = Subject(kind=Kind.TASK, id="a")
    first = read(desk, subject, request_id=request_id)

    assert {**first, "repeated": True} == read(desk, subject, request_id=request_id)
    assert {"did": {}, "left": {"it is read": 1}} == read(desk, subject)


def test_who_reads_it_later_has_read_it(desk: Desk) -> None:
    """
    The consumer's own pick-up takes the decision's place.
    """
    (result,) = unread_results(desk, "a")
    read(desk, Subject(kind=Kind.TASK, id="a"))
    note = PickUp(consumer=PAGE, result_ids=(result,), picked_up_at=ledger_now(desk))
    with desk.engine.begin() as connection:
        pick_ups.record(connection, [note], at=ledger.now(connection))

    assert [(None, True)] == desk.rows("SELECT picked_up_by, picked_up_at IS NOT NULL FROM ticket")
    assert [("profile-page",)] == desk.rows("SELECT consumer FROM pick_up")
    assert {"left": {"it is read": 1}, "did": {}} == read(desk, Subject(kind=Kind.TASK, id="a"))


def test_what_nobody_can_have_read_is_left(desk: Desk) -> None:
    """
    A call that goes on, and one that nobody awaits.
    """
    admit(desk.engine, [an_admission("open", workload="notes")])
    (job,) = admit(desk.engine, [an_admission("told")])
    answer(desk.engine, [job])
    desk.rows("UPDATE ticket SET state = 'completed' WHERE task_id = 'told' RETURNING 1")

    for task, why in (("open", "it has not ended"), ("told", "nobody is missed as its reader")):
        assert {"did": {}, "left": {why: 1}} == read(desk, Subject(kind=Kind.TASK, id=task))
