"""How everything stands, read from a real ledger: what is under way and what waits."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from app.ledger import engine as ledger
from app.ledger import lanes, packs, rounds, standing, submissions
from app.ledger.lanes import LaneName
from app.policy.classify import classify
from app.policy.lifecycle import SubmissionState
from app.policy.queueing import is_backed_up
from app.policy.standing import Limits
from tests.ledger.awaited import LIFETIME, a_call, complete, read
from tests.support.answering import admit
from tests.support.factories import a_pack

LIMITS = Limits(linger=timedelta(minutes=5), pick_up_within=timedelta(minutes=30), periods={})


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
