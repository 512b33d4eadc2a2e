"""Mails and webhooks that a person has sent again: the same ids, new tries, once for each request."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, text

from app.changing.decisions import Decisions
from app.changing.results import Results
from app.completion.telling_again import following
from app.ledger.actions import Decision
from app.policy.subjects import Kind, Subject
from app.policy.telling_again import Part
from tests.notify import mails
from tests.notify.hooks import a_sender, days_pass, deliver, end_a_job, end_again, verified
from tests.notify.receivers import Answer, receiving
from tests.notify.relay import Relay


def redeliver(
    engine: Engine, kind: Kind, thing: object, *, request_id: UUID | None = None, **wish: Any
) -> Any:
    """What came of having something told again."""
    subject = Subject(kind=kind, id=str(thing))
    decision = Decision(
        who="ops",
        why="a test",
        what="redeliver",
        subject=str(subject),
        request_id=request_id or uuid4(),
    )
    decisions = Decisions(engine=engine, wake=lambda: None)
    results = Results(engine=engine, decisions=decisions, follows=following)
    return results.redeliver(decision, subject, **wish)


def complete(engine: Engine) -> None:
    """Celery is told of every end."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE ticket SET state = 'completed', completed_at = now() WHERE state = 'ready'"
            )
        )


def one(engine: Engine) -> Any:
    """The only notification there is."""
    with engine.connect() as connection:
        return connection.execute(
            text("SELECT state, attempts, sent_at IS NOT NULL AS is_sent FROM notification")
        ).one()


def test_a_webhook_is_posted_again_under_its_id(engine: Engine) -> None:
    """
    The same bytes, signed anew; the same request posts it once.
    """
    job = end_a_job(engine)
    complete(engine)
    request_id = uuid4()
    with receiving() as inbox:
        sender = a_sender(engine, {"crm": inbox})
        deliver(sender)
        for _ in range(2):
            outcome = redeliver(engine, Kind.JOB, job, request_id=request_id)
            deliver(sender)
        first, again = inbox.got

    assert {"webhooks": 1, "results": 1} == outcome["did"]
    assert verified(first).id == verified(again).id
    assert first.body == again.body
    assert ("done", 2, True) == tuple(one(engine))


def test_a_dead_webhook_gets_all_its_tries_again(engine: Engine) -> None:
    """
    Its receiver is mended; what it had refused before is not held against it.
    """
    job = end_a_job(engine)
    complete(engine)
    with receiving(Answer(status=500), Answer(status=500), Answer(status=500), Answer()) as inbox:
        sender = a_sender(engine, {"crm": inbox}, attempts_max=2)
        days_pass(engine, sender)
        assert ("dead", 2, False) == tuple(one(engine))
        redeliver(engine, Kind.JOB, job, only=frozenset({Part.WEBHOOKS}))
        days_pass(engine, sender)

    assert ("done", 4, True) == tuple(one(engine))


def test_of_a_job_that_was_tried_again_the_last_end_is_told(engine: Engine) -> None:
    """
    A receiver that heard of the failure after the answer would believe it.
    """
    job = end_a_job(engine, answered=False)
    with receiving() as inbox:
        sender = a_sender(engine, {"crm": inbox})
        deliver(sender)
        end_again(engine, job)
        deliver(sender)
        complete(engine)
        redeliver(engine, Kind.JOB, job, only={Part.WEBHOOKS})
        deliver(sender)
    _, completed, again = inbox.got
    assert (completed.id, completed.body) == (again.id, again.body)


def test_one_on_its_way_is_left(engine: Engine) -> None:
    """
    It comes by itself.
    """
    job = end_a_job(engine)
    complete(engine)
    outcome = redeliver(engine, Kind.JOB, job, only=frozenset({Part.WEBHOOKS}))

    assert {"did": {}, "left": {"its mail or webhook is on its way": 1}} == outcome


def test_a_mail_is_sent_again_with_its_id(engine: Engine, relay: Relay) -> None:
    """
    A person who has deleted it gets it a second time; nothing of what it completed is touched.
    """
    notification_id = mails.ask(engine, {"schema": 1, "job_id": "job-1"})
    outbox = mails.an_outbox(engine, relay.url)
    outbox.deliver_due()
    complete(engine)
    outcome = redeliver(engine, Kind.TASK, "mail-1", only=frozenset({Part.MAILS}))
    outbox.deliver_due()

    assert {"mails": 1} == outcome["did"]
    ids = {message["Message-ID"] for message in relay.mails}
    assert (2, 1) == (len(relay.mails), len(ids))
    assert "completed" == mails.row(engine, notification_id).ticket


def test_one_that_is_kept_no_longer_is_left(engine: Engine) -> None:
    """
    Its body is pruned; whatever else of the subject is there is told again.
    """
    job = end_a_job(engine)
    complete(engine)
    with receiving() as inbox:
        deliver(a_sender(engine, {"crm": inbox}))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE notification SET payload = '{}', body = NULL, content_pruned_at = now()")
        )

    outcome = redeliver(engine, Kind.JOB, job)

    assert {"results": 1} == outcome["did"]
    assert {"what a mail or webhook said is kept no longer": 1} == outcome["left"]
    assert "done" == one(engine).state
