"""Runs: counted in the ledger, ended once, cancelled, and brought back."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.changing.requests import Requests
from app.ledger.arrivals import Admission
from app.policy import runs as policy
from app.policy.admission import JobDraft, Refusal
from tests.client.apps import calling
from tests.completion.conftest import Service
from tests.support.answering import admit, answer, fail
from tests.support.factories import a_message, an_admission, uuid
from unhurried import Results, messages
from unhurried.change_wire import Change, Of, Wished
from unhurried.run_wire import RUN_TASK, RunState, parts_key

RUN = str(uuid(7))


def a_seal(total: int, *, context: str = "", **options: Any) -> Admission:
    """The message that seals the run."""
    wire = {"request": {"total": total}, "options": {"tier": "batch", **options}}
    message = a_message(RUN, context=context)
    draft = policy.draft(RUN, wire)
    return Admission(message=_named(message), decision=draft)


def _named(message: Any) -> Any:
    fields = {name: getattr(message, name) for name in message.__dataclass_fields__}
    headers = json.dumps({"id": RUN, "task": RUN_TASK}).encode()
    return type(message)(**{**fields, "task_name": RUN_TASK, "headers": headers})


def some_parts(names: Sequence[str], **options: Any) -> list[Admission]:
    """Parts of the run."""
    return [an_admission(name, prompt=name, run=RUN, **options) for name in names]


def look(service: Service) -> tuple[RunState, int, int]:
    """State, done and failed as the run's caller sees them, counted anew."""
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE run SET looked_at = NULL"))
    service.completer.run()
    service.counter.run()
    service.completer.run()
    with calling(str(service.app.conf.result_backend)):
        seen = messages.run(RUN).progress
    return seen.state, seen.done, seen.failed


def cancel(service: Service, run_id: str = RUN) -> int:
    """Cancel the run; how many jobs were dropped."""
    change = Change(
        request_id=uuid4(),
        what=Wished.CANCEL,
        of=Of.RUN,
        id=run_id,
        why="no longer wanted",
        who="a test",
    )
    requests = Requests(
        engine=service.engine, decisions=service.decisions, client=service.client, key_prefix=""
    )
    return requests.answer(change).did.get("cancelled", 0)


def ends(service: Service) -> list[Any]:
    """How the run's own tickets ended."""
    with service.engine.connect() as connection:
        rows = connection.execute(
            text('SELECT state, "end" FROM ticket WHERE task_name = :name'), {"name": RUN_TASK}
        )
        return [(row.state, json.loads(bytes(row.end)) if row.end else None) for row in rows]


def test_a_run_ends_when_every_part_has(service: Service) -> None:
    """
    Not when it is sealed, nor with its last answer: when Celery knows of every part.
    """
    first = admit(service.engine, some_parts(["a", "b"]))
    assert (RunState.PUBLISHING, 0, 0) == look(service)
    second = admit(service.engine, [*some_parts(["c"]), a_seal(3)])
    answer(service.engine, first)
    assert (RunState.RUNNING, 2, 0) == look(service)
    fail(service.engine, second)

    assert (RunState.ENDED, 3, 1) == look(service)
    reference = {"schema": 1, "run": RUN, "jobs": 3, "failed": 1, "workload": None}
    assert [("completed", reference)] == ends(service)


def test_a_run_ends_once(service: Service) -> None:
    """
    Sealed again, as by a caller that was not sure, it publishes nothing anew.
    """
    answer(service.engine, admit(service.engine, [*some_parts(["a"]), a_seal(1)]))
    look(service)
    admit(service.engine, [*some_parts(["a"]), a_seal(1)])

    assert (RunState.ENDED, 1, 0) == look(service)
    with service.engine.connect() as connection:
        generations = connection.execute(
            text("SELECT generation, attempts FROM ticket WHERE task_name = :name"),
            {"name": RUN_TASK},
        ).all()
    assert [(1, 1)] == [tuple(row) for row in generations]


def test_a_run_that_grew_ends_with_what_was_added(service: Service) -> None:
    """
    Published again with more parts, it is open until these have ended; another `then` gets its end too.
    """
    answer(service.engine, admit(service.engine, [*some_parts(["a"]), a_seal(1)]))
    look(service)
    added = admit(service.engine, [*some_parts(["b"]), a_seal(2, context="another then")])
    assert (RunState.RUNNING, 1, 0) == look(service)
    answer(service.engine, added)

    assert (RunState.ENDED, 2, 0) == look(service)
    assert ["completed", "completed"] == [state for state, _ in ends(service)]


def test_a_refused_part_counts_as_failed(service: Service) -> None:
    """
    A bad request ends its part at once, and the run does not wait for it.
    """
    bad = Admission(
        message=a_message("bad"), decision=Refusal(code="no", message="no", run=UUID(RUN))
    )
    answer(service.engine, admit(service.engine, [*some_parts(["a"]), bad, a_seal(2)]))

    assert (RunState.ENDED, 2, 1) == look(service)


@pytest.mark.parametrize("portions", [1, 2])
def test_a_part_whose_key_names_another_request_counts_as_failed(
    service: Service, portions: int
) -> None:
    """
    A key that stands twice in a run is a conflict, and the run ends with it.
    """
    first, second = (an_admission(name, prompt=name, key="k", run=RUN) for name in ("a", "b"))
    if portions == 1:
        (job_id,) = admit(service.engine, [first, second, a_seal(2)])
    else:
        (job_id,) = admit(service.engine, [first])
        admit(service.engine, [second, a_seal(2)])
    answer(service.engine, [job_id])

    assert (RunState.ENDED, 2, 1) == look(service)


def test_parts_that_share_a_job_are_parts_each(service: Service) -> None:
    """
    Two parts on one key are one request and two results.
    """
    pair = [an_admission(name, key="k", run=RUN) for name in ("a", "b")]
    (job_id, _) = admit(service.engine, [*pair, a_seal(2)])
    answer(service.engine, [job_id])

    assert (RunState.ENDED, 2, 0) == look(service)


def test_an_empty_run_ends_at_once(service: Service) -> None:
    """
    Sealed with no parts, it has ended.
    """
    admit(service.engine, [a_seal(0)])

    assert (RunState.ENDED, 0, 0) == look(service)


def test_a_cancelled_run_drops_what_waits(service: Service) -> None:
    """
    Waiting parts end cancelled, an answered one stays, one that arrives later is refused; the run's own
    task fails, so that nothing follows.
    """
    answered, _, _ = admit(service.engine, some_parts(["a", "b", "c"]))
    answer(service.engine, [answered])
    assert 2 == cancel(service)
    assert 0 == cancel(service)
    admit(service.engine, [*some_parts(["late"]), a_seal(4)])

    assert (RunState.CANCELLED, 4, 3) == look(service)
    ((state, end),) = ends(service)
    assert ("completed", "cancelled") == (state, end["error"]["code"])


def test_a_job_that_others_wait_for_is_not_cancelled(service: Service) -> None:
    """
    Who asked outside of the run for the same key gets the answer, and so does the run.
    """
    outside = an_admission("outside", key="k")
    inside = an_admission("inside", key="k", run=RUN)
    (job_id, _) = admit(service.engine, [outside, inside])
    assert 0 == cancel(service)
    answer(service.engine, [job_id])

    assert (RunState.CANCELLED, 1, 0) == look(service)


def test_what_is_at_the_provider_comes_to_its_end(service: Service) -> None:
    """
    A run with parts in flight is cancelling until these are back.
    """
    (job_id,) = admit(service.engine, some_parts(["a"]))
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE job SET state = 'in_flight'"))
    cancel(service)
    assert (RunState.CANCELLING, 0, 0) == look(service)
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE job SET state = 'waiting'"))
    assert job_id
    assert RunState.CANCELLING is look(service)[0]

    assert (RunState.CANCELLED, 1, 1) == look(service)


@pytest.mark.parametrize("run_id", [RUN, "no id at all"])
def test_a_run_that_nobody_knows_is_cancelled_in_vain(service: Service, run_id: str) -> None:
    """
    Nothing is dropped, and nothing breaks.
    """
    assert 0 == cancel(service, run_id)


def test_a_lost_run_comes_back_with_its_results(service: Service) -> None:
    """
    After Redis is emptied, its progress and every part are what they were.
    """
    answer(service.engine, admit(service.engine, [*some_parts(["a", "b", "c"]), a_seal(3)]))
    look(service)
    service.client.flushdb()
    service.restorer.run(RUN)
    with calling(str(service.app.conf.result_backend)):
        run = messages.run(RUN)
        assert (RunState.ENDED, 3) == (run.progress.state, run.progress.published)
        reference = {"schema": 1, "run": RUN, "jobs": 3, "failed": 0}
        assert ["Fine."] * 3 == [one.output for one in Results.parse(reference)]


def test_parts_that_redis_lost_are_found_missing(service: Service) -> None:
    """
    Results lost from the middle of a run, and its list of parts with them, are asked for and come back.
    """
    answer(service.engine, admit(service.engine, [*some_parts(["a", "b", "c"]), a_seal(3)]))
    look(service)
    service.client.zadd(parts_key(RUN), {"c": 2})
    service.client.delete(service.app.backend.get_key_for_task("b"))  # type: ignore[attr-defined]  # the Redis backend's own
    service.restorer.run(RUN)
    with calling(str(service.app.conf.result_backend)):
        reference = {"schema": 1, "run": RUN, "jobs": 3, "failed": 0}
        assert ["a", "b", "c"] == [
            task.decode() for task in service.client.zrange(parts_key(RUN), 0, -1)
        ]
        assert 3 == len(list(Results.parse(reference)))


def test_a_run_tells_of_its_end(service: Service) -> None:
    """
    `notify=` of a run is staged once, with its counts.
    """
    notice = {"kind": "email", "to": "reader@example.org"}
    first, _ = admit(service.engine, [*some_parts(["a", "b"]), a_seal(2, notify=[notice])])
    answer(service.engine, [first])
    with service.engine.connect() as connection:
        (other,) = connection.execute(text("SELECT id FROM job WHERE state = 'waiting'")).scalars()
    fail(service.engine, [other])
    look(service)
    with service.engine.connect() as connection:
        payloads = connection.execute(text("SELECT payload FROM notification")).scalars()
        (about,) = [json.loads(bytes(payload))["about"] for payload in payloads]

    assert (2, 1, "partly") == (about["jobs"], about["failed"], about["state"])


def test_a_run_is_expected_as_jobs_like_it_took(service: Service) -> None:
    """
    Without history nobody can tell; with it, nine of ten like these were done by then.
    """
    admit(service.engine, [*some_parts(["a"], workload="w"), a_seal(1, workload="w")])
    look(service)
    with calling(str(service.app.conf.result_backend)):
        assert messages.run(RUN).expected_at is None
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE job SET state = 'in_flight'"))
        connection.execute(
            text("""
                UPDATE job SET state = 'succeeded', settled_at = admitted_at + interval '2 hours'
            """)
        )
        connection.execute(text("DELETE FROM run"))
    admit(service.engine, [a_seal(1, workload="w")])
    with service.engine.connect() as connection:
        took = connection.execute(text("SELECT expected_at - sealed_at FROM run")).scalar_one()

    assert 7200 == took.total_seconds()


def test_drafts_say_their_run() -> None:
    """
    The option of a part reaches the ledger's row.
    """
    decision = an_admission("a", run=RUN).decision
    assert isinstance(decision, JobDraft)
    assert RUN == str(decision.run)
