"""`webhook` as a chord's body, a link, an errback and a notice."""

import json
from typing import Any

import pytest
import redis
from celery import Celery, chord, signature
from pydantic import TypeAdapter

from tests.client.wire import Sent, finish, sent
from unhurried import JobFailed, email, messages, webhook
from unhurried.contract import JobOptions, MailNotice, Notice, WebhookNotice

CRM = {"receiver": "crm"}
FAILED = {**CRM, "variant": "failed"}
SAY: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [], "tier": "batch"}


def hooks(client: redis.Redis) -> list[Sent]:
    """The webhooks that were asked for."""
    return sent(client, "unhurried.notify")


def broken() -> JobFailed:
    """How a job fails."""
    return JobFailed("refused", "no", False, "req_1", "job-1")  # noqa: FBT003 - positional by contract


@pytest.mark.usefixtures("caller")
def test_a_webhook_names_its_receiver_and_nothing_else(redis_client: redis.Redis) -> None:
    """Where it is and what signs for it, only the service knows."""
    job = webhook.delay("crm")
    (hook,) = hooks(redis_client)
    assert hook.headers["task"] == "unhurried.webhook.v1"
    assert (hook.args, hook.kwargs) == ([], CRM)
    assert hook.headers["argsrepr"] == "<webhook crm>"
    assert job.state == "published"


def test_a_webhook_as_a_chords_body_receives_the_results(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """One webhook for all parts, with every part's value, errors included."""
    chord([messages.s(**SAY, on_failure="return")] * 2)(webhook.s("crm"))
    values = [{"schema": 1, "output": "x"}, {"schema": 1, "error": {"code": "c", "message": "m"}}]
    for message, value in zip(sent(redis_client, "unhurried.batch"), values, strict=True):
        finish(caller, message, value)
    (hook,) = hooks(redis_client)
    assert (hook.args, hook.kwargs) == ([values], CRM)


def test_a_chord_that_failed_still_tells_its_receiver(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """The webhook is its own errback, and that one has none."""
    chord([messages.s(**SAY), messages.s(**SAY)])(webhook.s("crm"))
    for message in sent(redis_client, "unhurried.batch"):
        finish(caller, message, broken())
    (hook,) = hooks(redis_client)
    assert hook.kwargs == FAILED
    built = signature(json.loads(json.dumps(webhook.s("crm"))), app=caller)
    (errback,) = built.options["link_error"]
    assert "link_error" not in errback["options"]
    assert "link_error" not in webhook.s("crm", on_error=False).options


def test_a_webhook_as_a_link_and_an_errback_tells_of_one_job(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """The result on one way, the failed id on the other."""
    built = messages.s(**SAY).set(link=webhook.s("crm"), link_error=webhook.failed("crm"))
    job = built.apply_async()
    (message,) = sent(redis_client, "unhurried.batch")
    assert message.embed["callbacks"][0]["kwargs"] == CRM
    finish(caller, message, broken())
    (hook,) = hooks(redis_client)
    assert (hook.args, hook.kwargs) == ([job.id], FAILED)


def test_a_chain_that_ends_in_a_webhook_names_its_errback(
    caller: Celery, redis_client: redis.Redis
) -> None:
    """A body of two steps tells once that the chord failed, by on_error(webhook.failed())."""
    steps = caller.signature("caller.report", queue="reports") | webhook.s("crm")
    chord([messages.s(**SAY)])(steps.on_error(webhook.failed("crm")))
    (message,) = sent(redis_client, "unhurried.batch")
    finish(caller, message, broken())
    (hook,) = hooks(redis_client)
    assert hook.kwargs == FAILED


@pytest.mark.usefixtures("caller")
def test_an_immutable_webhook_receives_nothing(redis_client: redis.Redis) -> None:
    """`.si()` keeps results out of its message."""
    webhook.si("crm").apply_async((["a result"],))
    (hook,) = hooks(redis_client)
    assert hook.args == []


@pytest.mark.usefixtures("caller")
def test_notices_of_both_kinds_arrive_as_what_they_are(redis_client: redis.Redis) -> None:
    """What the service reads is what the call said."""
    messages.delay(**SAY, notify=[webhook.to("crm"), email.to("a@example.org")])
    (message,) = sent(redis_client, "unhurried.batch")
    found = JobOptions.model_validate(message.kwargs["options"]).notify
    assert found == [WebhookNotice(kind="webhook", receiver="crm"), MailNotice(to="a@example.org")]


def test_a_notice_without_a_kind_is_a_mail() -> None:
    """Callers of before there were webhooks say none."""
    adapter: TypeAdapter[Any] = TypeAdapter(Notice)
    assert adapter.validate_python({"to": "a@example.org"}) == MailNotice(to="a@example.org")
    assert isinstance(adapter.validate_python({"kind": "webhook", **CRM}), WebhookNotice)
    for bad in ({"kind": "fax", "to": "a@example.org"}, {"kind": "webhook"}, CRM, 7):
        with pytest.raises(ValueError, match="validation error"):
            adapter.validate_python(bad)


@pytest.mark.parametrize("name", ["", "a b", "https://crm.example", "x" * 65, None, 7])
def test_a_receiver_is_a_name(name: Any) -> None:
    """An address is a ValueError where it is written: it would be read by everybody."""
    with pytest.raises(ValueError, match="receiver"):
        webhook.to(name)
    with pytest.raises(ValueError, match="receiver"):
        webhook.s(name)


@pytest.mark.usefixtures("caller")
def test_a_sync_call_tells_nobody() -> None:
    """Whoever waited knows first: a notice would be silently lost."""
    with pytest.raises(ValueError, match="notify= tells of a job that ends later"):
        messages.delay(**{**SAY, "tier": "sync"}, notify=webhook.to("crm"))
