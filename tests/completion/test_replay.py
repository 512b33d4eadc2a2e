"""A workload's settled results, once more and always in the same order."""

import json
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from app.completion.replay import Replay
from app.ledger import engine as ledger
from app.ledger import replay as pages
from tests.client.apps import calling
from tests.completion.conftest import Service
from tests.support import databases
from tests.support.answering import admit, answer, fail
from tests.support.factories import an_admission
from unhurried import messages, responses
from unhurried.contract import OUTPUT_INLINE_BYTES_MAX, Endpoint
from unhurried.errors import CallError, ServiceUnavailable
from unhurried.readers import REPLAY_RESULTS_MAX, REPLAY_TASK, ReplayQuery

NOTES = {"workload": "notes"}
#: How results were numbered before their numbers were moments.
AS_BEFORE = """
    UPDATE job SET replay_number = m.number FROM (
      SELECT id, nextval('job_replay_number') AS number FROM (
        SELECT id FROM job WHERE replay_number IS NULL AND state = 'succeeded'
        ORDER BY settled_at, id
      ) AS settled
    ) AS m WHERE job.id = m.id
"""


@contextmanager
def served(service: Service, *, asked: list[int] | None = None) -> Iterator[Any]:
    """A caller, and a thread that does with its commands what the service's process does.

    The places that pages were asked for after are added to `asked`.
    """
    places = [] if asked is None else asked
    replay = Replay(engine=service.engine, client=service.client, key_prefix="")
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            raw = service.client.brpop(["unhurried.control"], timeout=0.1)
            if raw:
                message = json.loads(raw[1])
                assert REPLAY_TASK == message["headers"]["task"]
                _, arguments, _ = json.loads(b64decode(message["body"]))
                query = ReplayQuery.model_validate(arguments)
                places.append(query.after)
                replay.page(query)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with calling(service.redis_url) as app:
            yield app
    finally:
        stop.set()
        thread.join()


@contextmanager
def over(service: Service, backup_url: str) -> Iterator[Service]:
    """The service over a ledger that was restored from a backup."""
    engine = ledger.connect(backup_url)
    try:
        yield replace(service, engine=engine)
    finally:
        engine.dispose()


@pytest.fixture
def back_up(service: Service, postgres_url: str) -> Iterator[Callable[[], str]]:
    """Copies the ledger as it is now; the copy's URL."""
    urls: list[str] = []

    def copy() -> str:
        service.engine.dispose()
        urls.append(databases.copy_template(postgres_url, str(service.engine.url.database)))
        return urls[-1]

    yield copy
    for url in urls:
        databases.drop(postgres_url, url)


def settle(service: Service, *task_ids: str, output: str = "Fine.") -> None:
    """Answer jobs of the workload."""
    arrived = [an_admission(one, prompt=one, **NOTES) for one in task_ids]
    answer(service.engine, admit(service.engine, arrived), output=output)


def test_results_come_in_an_order_that_never_changes(service: Service) -> None:
    """
    What settles later comes after every cursor that somebody has; ids, cursors and order stay.
    """
    settle(service, "b", "a")
    with served(service):
        first = list(messages.results("notes"))
        settle(service, "c")
        fail(service.engine, admit(service.engine, [an_admission("d", prompt="d", **NOTES)]))
        again = list(messages.results("notes"))
        rest = list(messages.results("notes", after=first[-1].cursor))

    assert [(one.result_id, one.cursor) for one in first] == [
        (one.result_id, one.cursor) for one in again[:2]
    ]
    assert [one.cursor for one in again[2:]] == [one.cursor for one in rest]
    assert [True, True, True, False] == [one.ok for one in again]
    assert 4 == len({one.result_id for one in again})


def test_a_replay_is_read_page_by_page(service: Service) -> None:
    """
    The second page is asked for after the first; an output too long to travel is there.
    """
    settle(service, *[f"task-{number}" for number in range(250)])
    settle(service, "long", output="x" * (OUTPUT_INLINE_BYTES_MAX + 1))
    asked: list[int] = []
    with served(service, asked=asked):
        found = list(messages.results("notes"))
        long = found[-1].output

    assert 251 == len({one.result_id for one in found})
    assert [0, int(found[REPLAY_RESULTS_MAX - 1].cursor or 0)] == asked
    assert OUTPUT_INLINE_BYTES_MAX + 1 == len(long)


def test_a_replay_is_of_one_tenant_workload_and_endpoint(service: Service) -> None:
    """
    Nobody sees another's.
    """
    others = [
        an_admission("tenant", prompt="tenant", tenant="other", **NOTES),
        an_admission("workload", prompt="workload", workload="letters"),
        an_admission("endpoint", endpoint=Endpoint.RESPONSES, **NOTES),
    ]
    answer(service.engine, admit(service.engine, others))
    mine = admit(service.engine, [an_admission("mine", prompt="mine", **NOTES)])
    answer(service.engine, mine)
    with served(service):
        found = list(messages.results("notes"))

    assert [str(job_id) for job_id in mine] == [one.job_id for one in found]


def test_a_cursor_of_another_workload_or_endpoint_is_refused(service: Service) -> None:
    """
    It would pass over what settled before it; one that nobody has is taken.
    """
    settle(service, "mine")
    others = [
        an_admission("workload", prompt="workload", workload="letters"),
        an_admission("endpoint", endpoint=Endpoint.RESPONSES, **NOTES),
    ]
    answer(service.engine, admit(service.engine, others))
    with served(service):
        (mine,) = messages.results("notes")
        foreign = [*messages.results("letters"), *responses.results("notes")]
        for one in foreign:
            with pytest.raises(CallError, match="of another workload or endpoint"):
                next(messages.results("notes", after=one.cursor))
        forgotten = list(messages.results("notes", after=str(int(mine.cursor or 0) - 1)))

    assert 2 == len(foreign)
    assert [mine.cursor] == [one.cursor for one in forgotten]


def test_what_is_numbered_late_never_comes_before_what_was_seen(service: Service) -> None:
    """
    A transaction that settled first and commits last gets the higher place.
    """
    admitted = admit(service.engine, [an_admission("slow", prompt="slow", **NOTES)])
    settle(service, "quick")
    with service.engine.begin() as connection:
        pages.number(connection, tenant="default", workload="notes")
    answer(service.engine, admitted)
    with service.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE job SET settled_at = '2001-01-01T00:00:00Z' WHERE replay_number IS NULL"
        )
        pages.number(connection, tenant="default", workload="notes")
        found, more = pages.results(
            connection,
            tenant="default",
            workload="notes",
            endpoint="messages",
            after=0,
            limit=10,
            bytes_max=10_000,
        )

    assert 2 == len(found)
    assert (admitted, False) == ([found[-1].job.job_id], more)


def test_what_settles_over_a_restored_ledger_comes_after_every_cursor(
    service: Service, back_up: Callable[[], str]
) -> None:
    """
    Also a cursor that the backup has never heard of; what is brought in again is the result that it was.
    """
    settle(service, "a", "b")
    with served(service):
        first = list(messages.results("notes"))
    backup = back_up()
    settle(service, "c", "d")
    with served(service):
        seen = list(messages.results("notes", after=first[-1].cursor))

    with over(service, backup) as restored:
        settle(restored, "c", "new")
        with served(restored):
            found = list(messages.results("notes", after=seen[-1].cursor))
            whole = list(messages.results("notes"))

    assert 2 == len(found)
    assert 1 == len({one.result_id for one in found} & {one.result_id for one in seen})
    assert [one.cursor for one in first + found] == [one.cursor for one in whole]


def test_a_clock_that_is_set_back_changes_no_order(service: Service) -> None:
    """
    A number is beyond the last one, whatever the clock says; a cursor is a number that any client can hold.
    """
    ahead = 2**53 // 2
    with service.engine.begin() as connection:
        connection.exec_driver_sql(f"SELECT setval('job_replay_number', {ahead})")
    settle(service, "a", "b")
    with served(service):
        first = [int(one.cursor or 0) for one in messages.results("notes")]
        settle(service, "c")
        rest = [int(one.cursor or 0) for one in messages.results("notes", after=str(first[-1]))]

    assert [ahead + 1, ahead + 2] == first
    assert [ahead + 3] == rest


def test_a_service_of_before_numbers_beside_this_one(service: Service) -> None:
    """
    Cursors that it gave are good; whoever numbers what settles later, it comes after all that was seen.
    """
    seen: list[str] = []
    after = None
    with served(service):
        for task_id, before in [("a", True), ("b", False), ("c", True), ("d", False)]:
            settle(service, task_id)
            if before:
                with service.engine.begin() as connection:
                    connection.exec_driver_sql(AS_BEFORE)
            (found,) = messages.results("notes", after=after)
            after = found.cursor
            seen.append(found.job_id)
        whole = [one.job_id for one in messages.results("notes")]

    assert seen == whole


@pytest.mark.parametrize(
    "arguments",
    [
        {"after": "x"},
        {"after": 1795882639752515},
        {"after": "9" * 19},
        {"after": "9" * 5000},
        {"tenant": "a b"},
        {"consumer": "nobody"},
    ],
)
def test_a_replay_that_cannot_be_is_refused_at_once(
    service: Service, arguments: dict[str, Any]
) -> None:
    """
    Before anything is read: nothing was asked of the service.
    """
    with calling(service.redis_url), pytest.raises(CallError):
        messages.results("notes", **arguments)

    assert not service.client.exists("unhurried.control")


def test_a_service_that_does_not_answer_is_one_clear_error(service: Service) -> None:
    """
    It says that an older one, for instance, knows no such command.
    """
    with (
        calling(service.redis_url),
        pytest.raises(ServiceUnavailable, match="not older than this client"),
    ):
        next(messages.results("notes"))
