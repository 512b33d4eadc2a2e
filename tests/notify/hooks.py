"""Webhooks in the ledger: asked for as intake admits them, delivered by a process of the test's own."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text

from app.ledger import admission, moves, packs, reopening
from app.ledger import engine as ledger
from app.ledger.arrivals import Admission, NotificationDraft
from app.ledger.notifications import id_of_task
from app.notify.post import Poster
from app.notify.webhooks import Webhooks
from app.policy import webhooks
from app.policy.admission import JobDraft
from app.policy.lifecycle import Fail, JobState, Move, Succeed
from app.policy.webhooks import event_id
from app.receivers import Receiver
from tests.notify.receivers import Got, Inbox
from tests.support.answering import answer
from tests.support.factories import a_message, a_pack, an_admission, an_answer
from unhurried.signing import Event, unwrap

NEW, OLD = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def ask(engine: Engine, *args: Any, task_id: str = "hook-1", receiver: str = "crm") -> UUID:
    """Admit a `webhook` task; the notification's id."""
    message = a_message(task_id)
    payload = webhooks.draft(
        args, {"receiver": receiver}, task_id=task_id, parent_id="parent", receivers={receiver}
    )
    wanted = NotificationDraft(
        id=id_of_task(task_id, message.context_digest),
        tenant="default",
        kind="webhook",
        receiver=receiver,
        payload=json.dumps(payload).encode(),
    )
    with engine.begin() as connection:
        admitted = [Admission(message=message, decision=wanted)]
        admission.admit(connection, admitted, at=ledger.now(connection))
    return wanted.id


def end_a_job(
    engine: Engine,
    *,
    answered: bool = True,
    state: JobState = JobState.FAILED,
    output: str = "the secret answer",
) -> UUID:
    """A job with `notify=webhook.to("crm")` that has ended; its id."""
    wish: dict[str, Any] = {
        "notify": [{"kind": "webhook", "receiver": "crm"}],
        "subject": "user:17",
    }
    with engine.begin() as connection:
        now = ledger.now(connection)
        (one,) = admission.admit(connection, [an_admission(**wish)], at=now)
        assert isinstance(one.decision, JobDraft)
        (plan,) = a_pack(packs.candidates(connection, at=now), now=now)
        assert packs.make(connection, plan, at=now)
        move = _move(one.decision.id, state, output=output if answered else None)
        assert moves.apply(connection, [move], at=now)
    return one.decision.id


def end_again(engine: Engine, job_id: UUID) -> None:
    """A person has a job tried again that had failed and was told of, and it is answered."""
    with engine.begin() as connection:
        now = ledger.now(connection)
        told = text("UPDATE ticket SET state = 'completed', completed_at = :at")
        connection.execute(told, {"at": now})
        assert reopening.reopen(connection, {job_id: 1}, decided_at=now, due_at=None, at=now) == 1
    answer(engine, [job_id])


def _move(job_id: UUID, state: JobState, *, output: str | None) -> Move:
    if output is not None:
        found = an_answer(output)
        return Succeed(
            job_id=job_id, attempt=1, answer=found, cost_nano_usd=1, sync_cost_nano_usd=2
        )
    return Fail(
        job_id=job_id,
        attempt=1,
        state=state,
        outcome="rejected",
        code="overloaded",
        message="the secret reason",
        retryable=True,
    )


def a_sender(
    engine: Engine,
    inboxes: Mapping[str, Inbox | str],
    *,
    attempts_max: int = 10,
    poster: Poster | None = None,
    turn_s: float = 60,
    **settings: Any,
) -> Webhooks:
    """A process's sender, without jitter. An inbox's name is its receiver's."""
    return Webhooks(
        engine=engine,
        poster=poster or Poster(hosts_allowed=frozenset({"127.0.0.1"})),
        receivers={name: a_receiver(inbox, **settings) for name, inbox in inboxes.items()},
        attempts_max=attempts_max,
        turn_s=turn_s,
        chance=lambda: 0.5,
    )


def a_receiver(inbox: Inbox | str, **settings: Any) -> Receiver:
    """An inbox as the settings have it."""
    url = inbox if isinstance(inbox, str) else inbox.url
    return Receiver.model_validate({"url": url, "secrets": [NEW, OLD], **settings})


def deliver(sender: Webhooks) -> int:
    """One run, as the notifier does it; how many webhooks ended."""
    return sum(sender.deliver(name) for name in sender.due())


def days_pass(engine: Engine, sender: Webhooks, *, runs: int = 15) -> int:
    """Every wait is over, again and again; how many webhooks ended."""
    ended = 0
    for _ in range(runs):
        let_time_pass(engine)
        ended += deliver(sender)
    return ended


def let_time_pass(engine: Engine) -> None:
    """Every wait, lease and pause is over."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                UPDATE notification
                SET next_at = clock_timestamp(), leased_until = clock_timestamp() - interval '1 s'
            """)
        )
        connection.execute(text("UPDATE receiver SET slow_until = clock_timestamp()"))


def pauses(engine: Engine) -> dict[str, tuple[int, float]]:
    """Receivers in trouble: how many failures in a row, and for how many seconds more."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT name, failures, slow_until - clock_timestamp() AS left FROM receiver")
        ).all()
    return {row.name: (row.failures, row.left.total_seconds()) for row in rows}


def verified(got: Got, *secrets: str) -> Event:
    """The event of a webhook, as its receiver verified it when it came."""
    event = unwrap(got.body, got.headers, secrets or NEW, now=got.at)
    assert event.id == got.id
    return event


def id_of(notification_id: UUID) -> str:
    """What a receiver sees of a notification."""
    return event_id(notification_id)
