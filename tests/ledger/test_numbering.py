"""A result's place in a replay, given while its job is moved by somebody else, and the page that it is on."""

import threading
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from app.ledger import engine as ledger
from app.ledger import reopening, replay
from tests.ledger.test_sharing import waiting
from tests.support.answering import admit, answer, fail
from tests.support.factories import an_admission
from tests.support.waiting import wait_until


def numbered(engine: Engine) -> list[tuple[int, UUID]]:
    """What a consumer reads, in its order, once everything that has settled is numbered."""
    whose = {"tenant": "default", "workload": "notes"}
    with engine.begin() as connection:
        replay.number(connection, **whose)
        found, _ = replay.results(
            connection, **whose, endpoint="messages", after=0, limit=10, bytes_max=10_000
        )
    return [(one.number, one.job.job_id) for one in found]


def reopen(connection: Connection, job: UUID) -> None:
    """Retry a job that failed, by a person's decision of now; its task was told."""
    now = ledger.now(connection)
    told = "UPDATE ticket SET state = 'completed', completed_at = now() WHERE state = 'ready'"
    connection.execute(text(told))
    assert 1 == reopening.reopen(connection, {job: 1}, decided_at=now, due_at=None, at=now)


def test_a_job_that_is_reopened_while_it_is_numbered_has_no_place_before_it_settles(
    engine: Engine,
) -> None:
    """
    A consumer is told of no job that waits, and what it becomes lies behind every cursor that was seen.
    """
    again, other = (admit(engine, [an_admission(one, workload="notes")])[0] for one in "ab")
    fail(engine, [again])
    with engine.connect() as person:
        reopen(person, again)
        answer(engine, [other])
        reader = threading.Thread(target=numbered, args=[engine])
        reader.start()
        wait_until(lambda: waiting(engine), within_s=30, what="the reader to meet the person")
        person.commit()
        reader.join(30)
    first = numbered(engine)
    answer(engine, [again])
    whole = numbered(engine)

    assert [other] == [job for _, job in first]
    assert [*first, (whole[-1][0], again)] == whole


def test_calls_of_tools_fill_a_page_as_outputs_do(engine: Engine) -> None:
    """
    A page ends with the result that goes beyond its bytes, though nothing was said beside the calls.
    """
    jobs = [admit(engine, [an_admission(one, workload="notes")])[0] for one in "abc"]
    answer(engine, jobs, output="")
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE job SET tool_calls = convert_to(repeat(' ', 6000) || '[]', 'UTF8')")
        )

    # Settled at one moment, they stand by their ids.
    assert sorted(jobs)[:2] == [job for _, job in numbered(engine)]
