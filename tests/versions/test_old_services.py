"""What earlier services answered and published, read by today's client. No service runs here."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
import redis
from celery import Celery

from dev.stack import Stack
from tests.client.apps import calling
from tests.notify.hooks import NEW
from tests.road.callers import Caller
from tests.road.conftest import HASTE
from tests.support.waiting import wait_until
from tests.versions import lying
from tests.versions.answers import progress
from tests.versions.questions import asked, results, tasks_in_flight
from tests.versions.reading import read, understood
from tests.versions.recordings import Recording
from unhurried import messages
from unhurried.contract import SERVICE_KEY
from unhurried.progress import PROGRESS_STATE
from unhurried.readers import ReplayPage, Reply, reply_key
from unhurried.signing import unwrap

Answers = Mapping[str, Any]
_REPLAY = reply_key("replay:")
_CALLBACKS = reply_key("callbacks:")


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    recording: Recording,  # noqa: ARG001 - one for each
) -> Iterator[Stack]:
    """A Redis that no service serves."""
    directory = tmp_path_factory.mktemp("alone")
    with Stack(
        directory=directory, processes=[], environment=HASTE, simulator=False, mail=False
    ) as running:
        yield running


@pytest.fixture(scope="module")
def answers(recording: Recording, server: redis.Redis) -> Answers:
    """The recorded answers, as if given now, and in Redis."""
    found: Answers = recording.part("answers")
    lying.put_back(server, found["lying"])
    return found


def test_every_end_is_read_as_its_own_client_read_it(answers: Answers, app: Celery) -> None:
    """Results, errors as values, failures and the ends of notifications: the same, field by field."""
    assert app
    assert answers["understood"] == {
        job_id: understood(messages.job(job_id)) for job_id in answers["understood"]
    }


def test_every_word_on_the_way_is_understood(
    answers: Answers, app: Celery, redis_client: redis.Redis, redis_url: str
) -> None:
    """Each state that was told of a task has a name, and progress says how far it is."""
    assert app
    with calling(redis_url):
        for told in answers["told"]:
            lying.put_back(redis_client, _one(told, answers["lying"]))
            job = messages.job(told["task_id"])
            assert job.state in {"waiting", "running", "succeeded", "failed", "cancelled"}
            assert (job.progress is not None) == (told["status"] == PROGRESS_STATE)
    assert PROGRESS_STATE in {told["status"] for told in answers["told"]}


def _one(told: Mapping[str, Any], known: Mapping[str, Any]) -> lying.Lying:
    marker = f"unhurried:job:{told['task_id']}"
    meta = {"type": "string", "value": {"json": told}}
    return {f"celery-task-meta-{told['task_id']}": meta, marker: known[marker]}


def test_what_the_service_brought_back_is_read(answers: Answers, app: Celery) -> None:
    """A restored result, the newest answer, and a run with its parts, as their own client read them."""
    assert app
    (plain,), (run,) = answers["ends"]["plain"], answers["ends"]["run"]

    newest = messages.latest("road-notes", subject="user:17", max_staleness="1h")
    assert answers["asked"]["restore"] == understood(messages.job(plain))
    assert answers["asked"]["latest"] == read(newest)
    assert answers["asked"]["restore_run"] == progress(run)


def test_every_reply_is_a_known_one(answers: Answers) -> None:
    """Replies to questions about what Redis has lost are of today's words."""
    replies = {
        key: Reply(value["value"]["text"])
        for key, value in answers["lying"].items()
        if key.startswith(reply_key("")) and not key.startswith((_REPLAY, _CALLBACKS))
    }

    assert {Reply.RESTORED} == set(replies.values())
    assert len(replies) >= 3


def test_replayed_results_are_read(
    answers: Answers, app: Celery, redis_client: redis.Redis, redis_url: str
) -> None:
    """Where the service could replay, today's client reads its page; else there is none recorded."""
    pages = [value["value"] for key, value in answers["lying"].items() if key.startswith(_REPLAY)]
    assert bool(pages) == ("results" in answers["asked"])
    for page in pages:
        text = ReplayPage.model_validate(page["json"]).model_dump_json()
        with calling(redis_url) as own:
            _, said = asked(results, own, redis_client, reply=text)
        assert answers["asked"]["results"] == [{**read(one), "cursor": one.cursor} for one in said]
    assert app


def test_names_of_tasks_in_flight_are_read(
    answers: Answers, redis_client: redis.Redis, redis_url: str
) -> None:
    """Where the service could name them, today's client reads what it said."""
    told = [value["value"] for key, value in answers["lying"].items() if key.startswith(_CALLBACKS)]
    assert bool(told) == ("in_flight" in answers["asked"])
    for one in told:
        with calling(redis_url) as own:
            _, said = asked(tasks_in_flight, own, redis_client, reply=lying.raw(one))
        assert answers["asked"]["in_flight"] == said


def test_webhooks_verify(recording: Recording) -> None:
    """Bodies and signatures as they were sent: four events, with ids of their own."""
    hooks = recording.as_it_was("answers")["webhooks"]
    events = [
        unwrap(
            hook["body"].encode(),
            hook["headers"],
            NEW,
            now=datetime.fromisoformat(hook["at"]),
        )
        for hook in hooks
    ]

    assert 4 == len({event.id for event in events}) == len(events)


def test_a_callers_worker_runs_what_was_published(answers: Answers, worker: Caller) -> None:
    """Link, errbacks of both styles, last step, body and what follows a run, in the home queue: once each."""
    events = ["linked", "errback", "last", "body", "bulk_report"]
    wait_until(
        lambda: all(map(worker.events, events)) and worker.cells(),
        within_s=60,
        what="everything that was published",
    )

    assert [1] * len(events) == [len(worker.events(name)) for name in events]
    assert ["task, RequestRejected"] == [one["what"] for one in worker.cells()]
    assert answers


def test_a_call_may_be_published_to_it(answers: Answers, app: Celery) -> None:
    """Today's client takes what an earlier service says of itself for a service that serves this Redis."""
    assert SERVICE_KEY in answers["lying"]
    asked_for = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": []}
    job = messages.delay(**asked_for, tier="batch")

    assert "published" == job.state
    assert app
