"""How everything stands, read from a real ledger: what is under way, what waits, and what nobody has read."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from app.ledger import engine as ledger
from app.ledger import lanes, packs, pick_ups, redelivery, rounds, standing, submissions, tickets
from app.ledger.admission import Admission
from app.ledger.lanes import LaneName
from app.ledger.notifications import Due
from app.policy.awaiting import Follower
from app.policy.classify import classify
from app.policy.lifecycle import SubmissionState
from app.policy.queueing import is_backed_up
from app.policy.standing import Limits, Standing
from tests.support.answering import admit, answer, fail
from tests.support.factories import a_pack, an_admission, uuid
from unhurried.contract import WebhookNotice
from unhurried.readers import Declaration, PickUp

LIFETIME = timedelta(days=8)
LIMITS = Limits(linger=timedelta(minutes=5), pick_up_within=timedelta(minutes=30), periods={})
REPORT = Declaration(
    name="weekly-report", workload="notes", max_staleness_s=60, task="tasks.report"
)
PAGE = Declaration(name="page", workload="notes", max_staleness_s=60)


def read(engine: Engine, *, hours: float = 0) -> tuple[Standing, datetime]:
    """How it stands some hours from now."""
    with engine.connect() as connection:
        at = ledger.now(connection) + timedelta(hours=hours)
        return standing.of(connection, at=at, lifetime=LIFETIME, daily_limits={}), at


def unread(engine: Engine) -> dict[str, int]:
    """Unread results by who awaits them."""
    return {one.consumer: one.count for one in read(engine)[0].unread}


def a_call(
    task_id: str = "task-1",
    *,
    follower: str | None = None,
    follower_id: str | None = None,
    tells: bool = True,
    **fields: Any,
) -> Admission:
    """A call whose canvas goes on with a task."""
    wishes = {name: fields.pop(name) for name in ("workload", "run", "notify") if name in fields}
    made = an_admission(task_id, prompt=task_id, **wishes)
    following = Follower(task=follower, task_id=follower_id) if follower else None
    message = replace(made.message, follower=following, tells_pick_ups=tells, **fields)
    return replace(made, message=message)


def complete(engine: Engine) -> None:
    """Tell Celery of every ready ticket, as a completer does."""
    with engine.begin() as connection:
        now = ledger.now(connection)
        taken = tickets.claim(connection, at=now, lease=timedelta(minutes=1), limit=100)
        done = [(one.id, one.generation) for one in taken]
        tickets.completed(connection, done, at=ledger.now(connection))


def answered(engine: Engine, *calls: Admission) -> list[UUID]:
    """Admitted, answered, completed; the jobs."""
    job_ids = admit(engine, calls)
    answer(engine, job_ids)
    complete(engine)
    return job_ids


def results_of(engine: Engine, job_ids: list[UUID]) -> tuple[UUID, ...]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT result_id FROM job WHERE id = ANY(:ids)"), {"ids": job_ids}
        )
        return tuple(rows.scalars())


def note(engine: Engine, *, by: Declaration | None, **fields: Any) -> None:
    """A reader's note reaches the ledger."""
    with engine.begin() as connection:
        now = ledger.now(connection)
        noted = PickUp(consumer=by, picked_up_at=now, **{"result_ids": (), **fields})
        pick_ups.record(connection, [noted], at=now)


def a_batch(engine: Engine, count: int = 3) -> UUID:
    """Jobs of one batch that the provider has taken."""
    admit(engine, [a_call(f"batched-{number}") for number in range(count)])
    with engine.begin() as connection:
        now = ledger.now(connection)
        (plan,) = a_pack(packs.candidates(connection, at=now), now=now)
        submission_id = packs.make(connection, plan, at=now)
        assert submission_id is not None
        for state in (SubmissionState.SENDING, SubmissionState.ACCEPTED):
            submissions.advance(
                connection,
                submission_id,
                expected=(SubmissionState.PLANNED, SubmissionState.SENDING),
                to=state,
                accepted_at=now,
                observed_at=now,
                expires_at=now + timedelta(hours=24),
                provider_batch_id="msgbatch_1",
            )
    return submission_id


def test_a_batch_of_six_hours_is_nothing_to_know(engine: Engine) -> None:
    """
    Looked at a minute before, nothing counted: ok; unlooked at for hours, it is a ticket.
    """
    submission_id = a_batch(engine)
    with engine.begin() as connection:
        soon = ledger.now(connection) + timedelta(hours=6) - timedelta(minutes=1)
        submissions.note(connection, submission_id, observed_at=soon)

    seen, at = read(engine, hours=6)
    found = classify(seen, at, LIMITS)

    assert () == found.verdict.findings
    assert ["ok"] == [one.health for one in found.batches]
    seen, at = read(engine, hours=10)
    (finding,) = classify(seen, at, LIMITS).verdict.findings
    assert ("batch_stuck", ("msgbatch_1",)) == (finding.name, finding.ids)


def test_queues_are_told_by_what_waits_and_what_left(engine: Engine) -> None:
    """
    Waiting jobs, a pack that nobody has sent, and the last batch that a provider took.
    """
    a_batch(engine)
    admit(engine, [a_call("waiting-1"), a_call("waiting-2")])
    with engine.begin() as connection:
        now = ledger.now(connection)
        (plan,) = a_pack(packs.candidates(connection, at=now), now=now)
        packs.make(connection, plan, at=now)
    admit(engine, [a_call("waiting-3")])

    (queue,) = read(engine)[0].queues

    assert ("anthropic", "default", 3) == (queue.provider, queue.account, queue.waiting_count)
    assert queue.left_at is not None
    assert queue.oldest_at is not None


def test_a_pack_that_a_provider_keeps_refusing_waits(engine: Engine) -> None:
    """
    It rests between two offers, and waits all the while: its account is backed up, whatever the minute.
    """
    admit(engine, [a_call("refused-1")])
    with engine.begin() as connection:
        now = ledger.now(connection)
        (plan,) = a_pack(packs.candidates(connection, at=now), now=now)
        refused = packs.make(connection, plan, at=now)
        assert refused is not None
        submissions.note(connection, refused, refusals=5, not_before=now + timedelta(minutes=15))

    seen, at = read(engine, hours=0.2)
    (queue,) = seen.queues

    assert (1, now) == (queue.waiting_count, queue.oldest_at)
    assert is_backed_up(seen, ("anthropic", "default"), at, LIMITS)


def test_a_missed_due_time_belongs_to_its_batch(engine: Engine) -> None:
    """
    One job of a running batch was due; the batch says since when.
    """
    a_batch(engine)
    with engine.begin() as connection:
        connection.execute(
            text("""
                UPDATE job SET due_at = now() + interval '2 hours'
                WHERE id = (SELECT job_id FROM pack_item LIMIT 1)
            """)
        )

    early, _ = read(engine, hours=1)
    late, at = read(engine, hours=3)

    assert [None] == [one.due_at for one in early.batches]
    assert {("anthropic", "default")} == set(early.next_due)
    assert "batch_overdue" in {one.name for one in classify(late, at, LIMITS).verdict.findings}


def test_a_pause_says_whether_a_person_wanted_it(engine: Engine) -> None:
    """
    Nobody is paged for what somebody has decided.
    """
    ours, theirs = LaneName("anthropic", "default"), LaneName("openai", "default")
    with engine.begin() as connection:
        now = ledger.now(connection)
        lanes.pause(
            connection, provider=ours.provider, account=ours.account, reason="no money", at=now
        )
        lanes.pause_by_person(connection, theirs, who="ops", reason="a test", at=now)
    paused = {one.provider: one.by_person for one in read(engine)[0].paused}

    assert {"anthropic": False, "openai": True} == paused


def test_a_usual_length_is_that_of_its_own_history(engine: Engine) -> None:
    """
    Nine of ten of the ended batches of a provider and model; unknown before five of them.
    """
    a_batch(engine)
    ended = text("""
        WITH p AS (
          INSERT INTO pack SELECT gen_random_uuid(), provider, account, endpoint, model, betas, 1, 1, 1,
                                  'full', now() FROM pack LIMIT 1 RETURNING id
        )
        INSERT INTO submission (id, token, pack_id, attempt, provider, account, workspace, state,
                                created_at, accepted_at, ended_at, collected_at)
        SELECT gen_random_uuid(), CAST(gen_random_uuid() AS text), p.id, 1, 'anthropic', 'default', 'w',
               'collected', now(), now() - interval '3 hours', now() - interval '1 hour', now()
        FROM p
    """)
    seen = []
    for _ in range(5):
        with engine.begin() as connection:
            connection.execute(ended)
        (running,) = (one for one in read(engine)[0].batches if one.collected_at is None)
        seen.append(running.typical)

    assert [None] * 4 + [timedelta(hours=2)] == seen


def test_published_is_not_picked_up(engine: Engine) -> None:
    """
    What a callback was published with is unread until its consumer has read it; then nobody is missed.
    """
    job_ids = answered(engine, a_call(follower="tasks.report", workload="notes"))
    assert {"tasks.report": 1} == unread(engine)
    note(engine, by=REPORT)
    assert {"weekly-report": 1} == unread(engine)

    note(engine, by=REPORT, result_ids=results_of(engine, job_ids))

    assert {} == unread(engine)


def test_a_plain_task_that_took_it_is_enough(engine: Engine) -> None:
    """
    A reader without a name picks up as well.
    """
    job_ids = answered(engine, a_call(follower="tasks.store"))
    note(engine, by=None, result_ids=results_of(engine, job_ids))

    assert {} == unread(engine)


@pytest.mark.parametrize(
    "call",
    [
        a_call(),
        a_call(ignore_result=True, workload="notes"),
        a_call(follower="tasks.store", tells=False),
        a_call(follower="unhurried.email.v1"),
        a_call(workload="notes", notify=[{"kind": "email", "to": "a@example.org"}]),
        a_call(workload="unread-by-design"),
    ],
    ids=["plain", "ignored", "older caller", "mail", "mailed", "no consumer"],
)
def test_nobody_is_missed_who_need_not_come(engine: Engine, call: Admission) -> None:
    """
    Fire and forget, a person who was mailed, a workload without consumers, a caller who does not tell.
    """
    note(engine, by=PAGE)
    answered(engine, call)

    assert {} == unread(engine)


def test_a_declared_consumer_is_missed(engine: Engine) -> None:
    """
    A page is declared and nobody has looked at it; a read ends that.
    """
    note(engine, by=PAGE)
    job_ids = answered(engine, a_call(workload="notes"))
    assert {"page": 1} == unread(engine)

    note(engine, by=PAGE, result_ids=results_of(engine, job_ids))

    assert {} == unread(engine)


def test_a_failed_job_has_nothing_to_read(engine: Engine) -> None:
    """
    Its callback was never published.
    """
    fail(engine, admit(engine, [a_call(follower="tasks.report")]))
    complete(engine)

    assert {} == unread(engine)


def test_an_answer_that_is_used_again_is_awaited_again(engine: Engine) -> None:
    """
    Who read it yesterday, for another call, has not read it for this one.
    """
    job_ids = answered(engine, a_call("first", follower="tasks.report"))
    note(engine, by=REPORT, result_ids=results_of(engine, job_ids))
    again = a_call("second", follower="tasks.other")
    admit(engine, [replace(again, decision=a_call("first").decision)])
    complete(engine)

    assert {"tasks.other": 1} == unread(engine)


def test_a_chord_counts_from_its_body(engine: Engine) -> None:
    """
    Parts that have ended while others go on are nobody's to read yet.
    """
    part: dict[str, Any] = {
        "follower": "tasks.body",
        "follower_id": "body-1",
        "in_chord": True,
        "group_id": "g",
    }
    job_ids = answered(engine, a_call("part-1", **part), a_call("part-2", **part))
    assert {} == unread(engine)
    with engine.begin() as connection:
        redelivery.remember_published(connection, ["body-1"], at=ledger.now(connection))
    assert {"tasks.body": 2} == unread(engine)

    note(engine, by=REPORT, result_ids=results_of(engine, job_ids))

    assert {} == unread(engine)


def test_a_run_counts_from_its_end(engine: Engine) -> None:
    """
    Parts of a run that goes on are nobody's to read yet; whoever takes its end has read them all.
    """
    run_id = uuid(7)
    note(engine, by=PAGE)
    answered(engine, a_call("part-1", workload="notes", run=str(run_id)))
    assert {} == unread(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE run SET ended_at = now()"))
    assert {"page": 1} == unread(engine)

    note(engine, by=None, run_id=run_id)

    assert {} == unread(engine)


def a_due(**fields: Any) -> Due:
    """A webhook that was just taken."""
    given: dict[str, Any] = {"job_id": None, "ticket_id": None, "payload": {}, **fields}
    return Due(
        id=uuid(1),
        tenant="default",
        kind="webhook",
        attempts=1,
        created_at=datetime.fromisoformat("2026-11-23T12:00:00+00:00"),
        **given,
    )


def take(engine: Engine, due: Due) -> None:
    with engine.begin() as connection:
        pick_ups.taken_by_webhook(connection, "crm", due, at=ledger.now(connection))


def test_a_webhook_that_was_taken_is_a_pick_up(engine: Engine) -> None:
    """
    Its receiver is missed until it says 2xx to what tells of the job.
    """
    hook = WebhookNotice(kind="webhook", receiver="crm").model_dump()
    (job_id,) = answered(engine, a_call(notify=[hook]))
    assert {"webhook:crm": 1} == unread(engine)

    take(engine, a_due(job_id=job_id))

    assert {} == unread(engine)


def test_a_webhook_as_a_chords_body_takes_the_whole_header(engine: Engine) -> None:
    """
    The body's own ticket leads to the calls whose chord it ends.
    """
    hook = Follower(task="unhurried.webhook.v1", task_id="hook-1", receiver="crm")
    parts = [a_call(name, in_chord=True, group_id="g") for name in ("part-1", "part-2")]
    answered(engine, *(replace(p, message=replace(p.message, follower=hook)) for p in parts))
    # Stands for the webhook's own task.
    admit(engine, [a_call("hook-1")])
    with engine.begin() as connection:
        redelivery.remember_published(connection, ["hook-1"], at=ledger.now(connection))
        ticket_id = connection.execute(
            text("SELECT id FROM ticket WHERE task_id = 'hook-1'")
        ).scalar_one()
    assert {"webhook:crm": 2} == unread(engine)

    take(engine, a_due(ticket_id=ticket_id))

    assert {} == unread(engine)


def test_a_batch_with_unread_results_says_so(engine: Engine) -> None:
    """
    It is collected, and half an hour later nobody has come.
    """
    submission_id = a_batch(engine, 1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET awaited_by = 'tasks.report'"))
        connection.execute(text("UPDATE submission SET state = 'collected', collected_at = now()"))
        connection.execute(
            text("UPDATE job SET state = 'succeeded', result_id = gen_random_uuid()")
        )
        connection.execute(text("UPDATE ticket SET state = 'ready', ready_at = now()"))
    complete(engine)

    seen, at = read(engine, hours=1)
    (batch,) = classify(seen, at, LIMITS).batches

    assert (str(submission_id), "unread") == (batch.batch.submission_id, batch.health)


def test_what_a_worker_did_last_is_kept(engine: Engine) -> None:
    """
    Begun, ended, failed: each moment of its own, and what went wrong by its class.
    """
    rounds.started(engine, "pack", period_s=10, host="here")
    rounds.failed(engine, "pack", period_s=10, host="here", error="OperationalError")
    rounds.succeeded(engine, "pack", period_s=10, host="there")

    (found,) = read(engine)[0].rounds

    assert ("pack", 10.0, "OperationalError", "there") == (
        found.name,
        found.period_s,
        found.error,
        found.host,
    )
    assert found.started_at is not None
    assert found.failed_at is not None
    assert found.succeeded_at is not None
    assert found.started_at < found.failed_at < found.succeeded_at


def test_a_reading_changes_nothing_and_ends_in_time(engine: Engine) -> None:
    """
    Its transaction may not write, and has a bound.
    """
    a_batch(engine)

    found, at = standing.read(engine, lifetime=LIFETIME, daily_limits={("anthropic", "default"): 7})

    assert 1 == len(found.batches)
    assert at.tzinfo is not None
