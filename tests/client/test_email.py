"""`email` as a chord's body, a link, an errback and a notice."""

import json
from contextlib import nullcontext
from typing import Any

import pytest
import redis
from celery import Celery, chord, signature

from tests.client.apps import calling
from tests.client.wire import Sent, finish, sent
from unhurried import JobFailed, email, messages

TO = {"to": "a@example.org", "template": "ready"}
FAILED = {**TO, "variant": "failed"}


def part(**more: Any) -> Any:
    say = {"model": "m", "max_tokens": 9, "messages": []}
    return messages.s(**say, tier="batch", **more)


def mails(client: redis.Redis) -> list[Sent]:
    return sent(client, "unhurried.notify")


def broken() -> JobFailed:
    return JobFailed("refused", "no", False, "req_1", "job-1")  # noqa: FBT003 - positional by contract


@pytest.mark.usefixtures("caller")
def test_a_mail_is_a_message_without_a_recipient_in_its_headers(redis_client: redis.Redis) -> None:
    """Who is told is in the body alone; the job can be looked up like any other."""
    job = email.delay(to="a@example.org", subject="Your notes", link="https://example.org/1")
    (mail,) = mails(redis_client)
    assert mail.headers["task"] == "unhurried.email.v1"
    assert mail.kwargs == {**TO, "subject": "Your notes", "link": "https://example.org/1"}
    assert "example.org" not in mail.outside_the_body
    assert job.state == "published"


def test_a_mail_as_a_chords_body_receives_the_results(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """One mail for all parts, with every part's value, errors included."""
    chord([part(on_failure="return"), part(on_failure="return")])(email.s(to="a@example.org"))
    values = [{"schema": 1, "output": "x"}, {"schema": 1, "error": {"code": "c", "message": "m"}}]
    for message, value in zip(sent(redis_client, "unhurried.batch"), values, strict=True):
        finish(caller, message, value)
    (mail,) = mails(redis_client)
    assert mail.args == [values]
    assert mail.kwargs == TO


def test_a_chord_that_failed_still_mails_its_person(
    caller: Celery, redis_url: str, redis_client: redis.Redis
) -> None:
    """The mail is its own errback: published once, as a task, with or without a stub at hand."""
    for known in (True, False):
        redis_client.flushall()
        chord([part(), part()])(email.s(to="a@example.org"))
        with nullcontext(caller) if known else calling(redis_url) as app:
            assert (email.name in app.tasks) is known
            for message in sent(redis_client, "unhurried.batch"):
                finish(app, message, broken())
        (mail,) = mails(redis_client)
        assert mail.kwargs == FAILED
        assert len(mail.args) == 1
        assert mail.headers["unhurried_contract"] == 1


def test_a_failure_mail_has_no_failure_mail(caller: Celery) -> None:
    """The errback survives JSON and carries none of its own; on_error=False leaves it out."""
    built = signature(json.loads(json.dumps(email.s(to="a@example.org"))), app=caller)
    (errback,) = built.options["link_error"]
    assert errback["kwargs"] == FAILED
    assert "link_error" not in errback["options"]
    assert "link_error" not in email.s(to="a@example.org", on_error=False).options


def test_a_mail_as_a_link_receives_the_one_result(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """link= and link_error= of one job: the result on one way, the failed id on the other."""
    built = part().set(
        link=email.s(to="a@example.org"), link_error=email.failed(to="a@example.org")
    )
    job = built.apply_async()
    (message,) = sent(redis_client, "unhurried.batch")
    assert message.embed["callbacks"][0]["kwargs"] == TO
    finish(caller, message, broken())
    (mail,) = mails(redis_client)
    assert (mail.args, mail.kwargs) == ([job.id], FAILED)


def test_a_chain_that_ends_in_a_mail_names_its_errback(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """A body of two steps mails once that the chord failed, by on_error(email.failed())."""
    steps = caller.signature("caller.report", queue="reports") | email.s(to="a@example.org")
    chord([part()])(steps.on_error(email.failed(to="a@example.org")))
    (message,) = sent(redis_client, "unhurried.batch")
    finish(caller, message, broken())
    (mail,) = mails(redis_client)
    assert mail.kwargs == FAILED


@pytest.mark.usefixtures("caller")
def test_an_immutable_mail_receives_nothing(redis_client: redis.Redis) -> None:
    """`.si()` keeps results out of the mail's message, and its errback as it is."""
    built = email.si(to="a@example.org")
    built.apply_async((["a result"],))
    (mail,) = mails(redis_client)
    assert mail.args == []
    assert not built.options["link_error"][0]["immutable"]


def test_a_notice_is_checked_where_it_is_written() -> None:
    """A template or a subject that cannot be is a ValueError with its name."""
    for bad in ({"template": "Ready!"}, {"subject": "x" * 201}, {"link": "y" * 2001}):
        (name,) = bad
        with pytest.raises(ValueError, match=name):
            email.to("a@example.org", **bad)
