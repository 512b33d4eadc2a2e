"""What people decide about jobs, in the ledger: once, on the record, and nothing bought twice by it."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.ledger import admission, changing, giving_back, moves, packs, reopening, submissions
from app.ledger import engine as ledger
from app.ledger.actions import AnotherDecisionError
from app.policy.changing import Cancel, Due, Expedite, Retry
from app.policy.lifecycle import Fail, JobState, SubmissionState
from app.policy.subjects import Kind, filtered
from tests.changing.conftest import Desk
from tests.support.answering import admit, answer, fail
from tests.support.factories import a_pack, an_admission
from unhurried.contract import Tier

SENT = (SubmissionState.SENDING, SubmissionState.ACCEPTED)


def told(desk: Desk) -> None:
    """Celery knows how every ticket ended."""
    desk.rows(
        "UPDATE ticket SET state = 'completed', completed_at = now() WHERE state = 'ready' RETURNING 1"
    )


def test_a_waiting_job_ends_at_once(desk: Desk) -> None:
    """
    Whoever waits for it hears of it, and its neighbour goes on.
    """
    first, _ = admit(desk.engine, [an_admission("a"), an_admission("b")])

    assert {"did": {"cancelled": 1}, "left": {}, "batches_to_end": 0} == desk.cancel(
        Kind.JOB, first
    )
    assert {"a": "cancelled", "b": "waiting"} == desk.jobs()
    assert {"a": "ready", "b": "open"} == desk.tickets()
    ((code, message),) = desk.rows(
        "SELECT error_code, error_message FROM job WHERE state = 'cancelled'"
    )
    assert ("cancelled", "cancelled: a test") == (code, message)


def test_the_same_request_acts_once(desk: Desk) -> None:
    """
    A command that comes twice is answered twice; another request's words under its id are refused.
    """
    (job,) = admit(desk.engine, [an_admission("a")])
    request_id = uuid4()
    first = desk.wish(Cancel(), Kind.JOB, job, request_id=request_id)
    again = desk.wish(Cancel(), Kind.JOB, job, request_id=request_id)

    assert {**first, "repeated": True} == again
    with pytest.raises(AnotherDecisionError, match="was to cancel job"):
        desk.wish(Cancel(), Kind.TASK, "a", request_id=request_id)
    ((who, why, what, subject, outcome),) = desk.rows(
        "SELECT who, why, what, subject, outcome FROM action"
    )
    assert ("ops", "a test", "cancel", f"job:{job}") == (who, why, what, subject)
    assert {"cancelled": 1} == json.loads(bytes(outcome))["did"]


def test_who_else_waits_for_a_job_gets_it(desk: Desk) -> None:
    """
    One of two tasks of a key ends alone; the second takes the job with it.
    """
    admit(desk.engine, [an_admission("a", key="k"), an_admission("b", key="k")])

    assert {"let_go": 1} == desk.cancel(Kind.TASK, "a")["did"]
    assert {"a": "ready", "b": "open"} == desk.tickets()
    assert {"waiting"} == set(desk.jobs().values())
    assert {"cancelled": 1} == desk.cancel(Kind.TASK, "b")["did"]
    assert {"cancelled"} == set(desk.jobs().values())


def test_a_job_that_is_with_a_provider_comes_to_its_end(desk: Desk) -> None:
    """
    It is asked to end; an answer that comes all the same is kept and delivered.
    """
    (job,) = admit(desk.engine, [an_admission("a")])
    desk.send(*SENT)

    assert {"asked_to_end": 1} == desk.cancel(Kind.JOB, job)["did"]
    assert {"a": "in_flight"} == desk.jobs()
    assert {"a": "open"} == desk.tickets()


def test_a_batch_that_nobody_wants_anything_of_is_to_end(desk: Desk) -> None:
    """
    Not before its last job is cancelled; then its provider is asked, once.
    """
    first, second = admit(desk.engine, [an_admission("a"), an_admission("b")])
    desk.send(*SENT)

    assert 0 == desk.cancel(Kind.JOB, first)["batches_to_end"]
    assert 1 == desk.cancel(Kind.JOB, second)["batches_to_end"]
    assert 0 == desk.cancel(Kind.JOB, second)["batches_to_end"]


def test_a_batch_is_cancelled_by_either_id(desk: Desk) -> None:
    """
    The provider's and ours; all of its jobs are wanted no more.
    """
    admit(desk.engine, [an_admission("a"), an_admission("b")])
    (batch,) = desk.send(*SENT)
    by_provider, by_ours = desk.resolve(f"batch-{batch}"), desk.resolve(str(batch))
    assert by_provider is not None
    assert by_provider == by_ours

    outcome = desk.cancel(Kind.BATCH, by_provider.id)

    assert ({"asked_to_end": 2}, 1) == (outcome["did"], outcome["batches_to_end"])


@pytest.mark.parametrize("state", [(), (SubmissionState.UPLOADED,)])
def test_an_unsent_pack_is_taken_apart(desk: Desk, state: tuple[SubmissionState, ...]) -> None:
    """
    What the provider has not got ends at once, and the others wait in their places.
    """
    first, _ = admit(desk.engine, [an_admission("a"), an_admission("b")])
    desk.rows("UPDATE job SET ready_at = ready_at - interval '1 hour' RETURNING 1")
    before = desk.rows("SELECT ready_at FROM job ORDER BY id")
    desk.send(*state)

    assert {"cancelled": 1} == desk.cancel(Kind.JOB, first)["did"]
    assert {"a": "cancelled", "b": "waiting"} == desk.jobs()
    assert before == desk.rows("SELECT ready_at FROM job ORDER BY id")
    assert [("void",)] == desk.rows("SELECT state FROM submission")


@pytest.mark.parametrize("both", [False, True])
def test_a_job_cancelled_in_flight_is_not_sent_again(desk: Desk, *, both: bool) -> None:
    """
    The provider gives the batch back whole: what was cancelled ends, the others go again.
    """
    first, second = admit(desk.engine, [an_admission("a"), an_admission("b")])
    (batch,) = desk.send(*SENT)
    for job in (first, second) if both else (first,):
        desk.cancel(Kind.JOB, job)
    desk.give_back(batch)

    assert {"a": "cancelled", "b": "cancelled" if both else "waiting"} == desk.jobs()
    assert int(not both) == len(desk.send(*SENT))


def test_a_job_cancelled_in_flight_is_in_no_half_of_a_refused_pack(desk: Desk) -> None:
    """
    A pack that is refused as a whole goes again in halves, without those that nobody wants.
    """
    first, *_ = admit(desk.engine, [an_admission(name) for name in ("a", "b", "c")])
    (batch,) = desk.send(*SENT)
    desk.cancel(Kind.JOB, first)
    with desk.engine.begin() as connection:
        found = submissions.find(connection, batch)
        assert found is not None
        giving_back.refused(
            connection,
            found,
            to=SubmissionState.VOID,
            code="invalid_json_line",
            message="somewhere",
            at=ledger.now(connection),
        )

    assert {"a": "cancelled", "b": "in_flight", "c": "in_flight"} == desk.jobs()
    assert [(1,), (1,)] == desk.rows("SELECT count(*) FROM pack_item WHERE active GROUP BY pack_id")


def test_a_pack_that_came_back_unsent_is_taken_apart_before_it_goes(desk: Desk) -> None:
    """
    Cancelled while it was being sent, refused for now: nothing of it may be sent as it is.
    """
    first, _ = admit(desk.engine, [an_admission("a"), an_admission("b")])
    (batch,) = desk.send(SubmissionState.SENDING)
    desk.cancel(Kind.JOB, first)
    with desk.engine.begin() as connection:
        now = ledger.now(connection)
        submissions.advance(
            connection, batch, expected=SubmissionState.SENDING, to=SubmissionState.PLANNED
        )
        found = submissions.find(connection, batch)
        assert found is not None
        assert giving_back.holds_cancelled(connection, found.pack_id)
        assert 1 == giving_back.unpack_cancelled(connection, at=now)
        assert 0 == giving_back.unpack_cancelled(connection, at=now)

    assert {"a": "cancelled", "b": "waiting"} == desk.jobs()


def test_expedited_jobs_leave_unsent_packs_alone(desk: Desk) -> None:
    """
    What waits, packed or not, goes to the faster tier; what was sent stays.
    """
    (sent,) = admit(desk.engine, [an_admission("sent")])
    desk.send(*SENT)
    (packed,) = admit(desk.engine, [an_admission("packed")])
    desk.send()
    (waiting,) = admit(desk.engine, [an_admission("waiting")])
    found = [desk.wish(Expedite(), Kind.JOB, job) for job in (sent, packed, waiting)]

    assert [{}, {"expedited": 1}, {"expedited": 1}] == [one["did"] for one in found]
    assert ["it is with a provider, and comes to its end there"] == list(found[0]["left"])
    assert {(sent, Tier.BATCH), (packed, Tier.NEAR_REAL_TIME), (waiting, Tier.NEAR_REAL_TIME)} == {
        tuple(row) for row in desk.rows("SELECT id, tier FROM job")
    }


def test_a_due_time_is_changed_and_taken_away(desk: Desk) -> None:
    """
    One that has passed is refused: it would end the job.
    """
    (job,) = admit(desk.engine, [an_admission("a")])
    later = datetime.now(UTC) + timedelta(hours=8)

    assert {"due_changed": 1} == desk.wish(Due(at=later), Kind.JOB, job)["did"]
    assert [(later,)] == desk.rows("SELECT due_at FROM job")
    desk.wish(Due(at=None), Kind.TASK, "a")
    assert [(None,)] == desk.rows("SELECT due_at FROM job")
    with pytest.raises(ValueError, match="cancel them"):
        desk.wish(Due(at=later - timedelta(days=1)), Kind.JOB, job)


def test_a_failed_job_is_tried_again_and_told_again(desk: Desk) -> None:
    """
    Its attempts count anew, its answer has a name of its own, and its task gets it late.
    """
    (job,) = admit(desk.engine, [an_admission("a")])
    fail(desk.engine, [job], code="overloaded")
    assert ["its callers are just being told: ask again in a moment"] == list(
        desk.wish(Retry(), Kind.JOB, job)["left"]
    )
    told(desk)
    before = desk.rows("SELECT result_id FROM job")

    assert {"reopened": 1} == desk.wish(Retry(), Kind.JOB, job)["did"]
    assert ({"a": "waiting"}, {"a": "open"}) == (desk.jobs(), desk.tickets())
    answer(desk.engine, [job])
    assert ({"a": "succeeded"}, {"a": "ready"}) == (desk.jobs(), desk.tickets())
    assert before != desk.rows("SELECT result_id FROM job")
    assert [(2, 1)] == desk.rows("SELECT attempt, uncounted FROM job")
    assert ["it is answered"] == list(desk.wish(Retry(), Kind.JOB, job)["left"])


def test_what_a_chord_or_a_run_was_told_stays_told(desk: Desk) -> None:
    """
    The job is tried again; a ticket whose followers have moved on is not.
    """
    (job,) = admit(desk.engine, [an_admission("a")])
    fail(desk.engine, [job])
    desk.rows("UPDATE ticket SET state = 'completed', in_chord = true RETURNING 1")

    assert {"reopened": 1} == desk.wish(Retry(), Kind.JOB, job)["did"]
    assert ({"a": "waiting"}, {"a": "completed"}) == (desk.jobs(), desk.tickets())
    ((end,),) = desk.rows('SELECT "end" FROM ticket')
    assert "invalid_request" == json.loads(bytes(end))["error"]["code"]


def test_what_may_have_been_paid_for_takes_a_consent(desk: Desk) -> None:
    """
    Nobody knows whether a lost call was answered: buying it again is a person's word.
    """
    (job,) = admit(desk.engine, [an_admission("a", tier="near-real-time")])
    with desk.engine.begin() as connection:
        now = ledger.now(connection)
        taken = moves.take_off(connection, [job], tier="near-real-time", submission_id=None, at=now)
        lost = Fail(
            job_id=job,
            attempt=taken[job],
            state=JobState.FAILED,
            outcome="lost",
            code="answer_lost",
            message="lost",
            retryable=True,
        )
        moves.apply(connection, [lost], at=now)
    told(desk)

    (why,) = desk.wish(Retry(), Kind.JOB, job)["left"]
    assert "it may have been paid for: buying it twice takes a consent" == why
    assert {"reopened": 1} == desk.wish(Retry(even_if_paid=True), Kind.JOB, job)["did"]


def test_a_request_that_goes_on_after_a_crash_reopens_nothing_newer(desk: Desk) -> None:
    """
    What failed after the decision is another failure.
    """
    (job,) = admit(desk.engine, [an_admission("a")])
    fail(desk.engine, [job])
    told(desk)
    with desk.engine.begin() as connection:
        now = ledger.now(connection)
        early = partial(reopening.reopen, connection, {job: 1}, due_at=None, at=now)
        assert 0 == early(decided_at=now - timedelta(hours=1))
        assert 1 == early(decided_at=now)


def test_a_filter_is_previewed_and_cancelled(desk: Desk) -> None:
    """
    The preview counts and touches nothing; of another workload nothing is touched at all.
    """
    wanted = [an_admission(f"w-{n}", workload="tagging") for n in range(3)]
    admit(desk.engine, [*wanted, an_admission("other", workload="notes")])
    subject = filtered({"workload": "tagging"})

    assert {"cancelled": 3} == dict(desk.decisions.preview(Cancel(), subject).did)
    assert {"waiting"} == set(desk.jobs().values())
    decision = desk.decision(str(subject))
    assert {"cancelled": 3} == desk.decisions.carry_out(decision, Cancel(), subject)["did"]
    assert "waiting" == desk.jobs()["other"]


def test_a_word_names_what_it_names(desk: Desk) -> None:
    """
    Job, task, key and batch; nothing else is guessed.
    """
    (job,) = admit(desk.engine, [an_admission("a", key="notes:17")])
    found = [desk.resolve(word) for word in (str(job), "a", "notes:17", "nobody")]

    assert [Kind.JOB, Kind.TASK, Kind.KEY, None] == [one and one.kind for one in found]


def test_nothing_cancelled_is_taken_off(desk: Desk) -> None:
    """
    Whoever gave a job back that nobody wants, it is not sent; upkeep ends it.
    """
    (job,) = admit(desk.engine, [an_admission("a")])
    desk.rows("UPDATE job SET cancel_requested_at = now() RETURNING 1")
    with desk.engine.begin() as connection:
        now = ledger.now(connection)
        assert [] == a_pack(packs.candidates(connection, at=now), now=now)
        assert {} == moves.take_off(connection, [job], tier="batch", submission_id=None, at=now)
        assert 1 == changing.drop_unwanted(connection, at=now)

    assert {"a": "cancelled"} == desk.jobs()


def test_a_repeated_call_of_a_cancelled_key_hears_of_it(desk: Desk) -> None:
    """
    The key still names the job, which has ended.
    """
    (job,) = admit(desk.engine, [an_admission("a", key="k")])
    desk.cancel(Kind.JOB, job)
    with desk.engine.begin() as connection:
        again = an_admission("b", key="k")
        (admitted,) = admission.admit(connection, [again], at=ledger.now(connection))
        assert admitted.ready
        assert 1 == connection.execute(text("SELECT count(*) FROM job")).scalar_one()
