"""What intake makes of messages that ask for a notification."""

import base64
import json
from typing import Any

import pytest

from app.intake import messages
from app.ledger.arrivals import Admission, NotificationDraft
from app.policy.admission import JobDraft, Refusal
from tests.support.factories import NOW, RULES
from unhurried.contract import MailNotice, WebhookNotice

RESULT = {"schema": 1, "job_id": "job-1", "output": "x"}


def read(task: str, *args: Any, **kwargs: Any) -> Admission:
    """A message as it lies in Redis, and what becomes of it."""
    body = json.dumps([args, kwargs, {}]).encode()
    envelope = {
        "headers": {"id": "task-1", "task": task, "parent_id": "parent-1"},
        "properties": {"body_encoding": "base64"},
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
    }
    return messages.read(json.dumps(envelope).encode(), now=NOW, rules=RULES)


def test_a_webhook_is_taken_for_its_receiver() -> None:
    """Its payload tells of the task before it."""
    found = read("unhurried.webhook.v1", RESULT, receiver="crm").decision
    assert isinstance(found, NotificationDraft)
    assert (found.kind, found.receiver) == ("webhook", "crm")
    assert json.loads(found.payload)["about"]["task_id"] == "parent-1"


def test_the_same_message_asks_for_the_same_webhook() -> None:
    """However often it is delivered, whoever reads it."""
    first, second = (read("unhurried.webhook.v1", receiver="crm").decision for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("kwargs", "code"),
    [
        ({"receiver": "cmr"}, "unknown_receiver"),
        ({"receiver": "https://crm.example"}, "unknown_receiver"),
        ({}, "invalid_request"),
        ({"receiver": 7}, "invalid_request"),
        ({"receiver": "crm", "variant": "ready"}, "invalid_request"),
    ],
)
def test_a_webhook_to_nobody_fails_its_task_at_once(kwargs: dict[str, Any], code: str) -> None:
    """Within seconds, and not after the batch."""
    found = read("unhurried.webhook.v1", **kwargs).decision
    assert isinstance(found, Refusal)
    assert found.code == code


def call(**options: Any) -> Any:
    """What becomes of a call with these options."""
    request = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    wanted = {"request": request, "options": {"tier": "batch", **options}}
    return read("unhurried.messages.v1", **wanted).decision


def test_a_job_may_tell_both_a_person_and_a_program() -> None:
    """A notice without a kind is a mail, as callers of before there were webhooks write it."""
    found = call(notify=[{"kind": "webhook", "receiver": "crm"}, {"to": "a@example.org"}])
    assert isinstance(found, JobDraft)
    assert found.notify == (
        WebhookNotice(kind="webhook", receiver="crm"),
        MailNotice(to="a@example.org"),
    )


@pytest.mark.parametrize(
    ("notice", "code"),
    [
        ({"kind": "webhook", "receiver": "cmr"}, "unknown_receiver"),
        ({"kind": "webhook", "receiver": "a b"}, "invalid_request"),
        ({"kind": "webhook"}, "invalid_request"),
        ({"kind": "fax", "to": "a@example.org"}, "invalid_request"),
    ],
)
def test_a_job_that_would_tell_nobody_is_refused(notice: dict[str, Any], code: str) -> None:
    """Before any money is spent on its answer."""
    found = call(notify=[notice])
    assert isinstance(found, Refusal)
    assert found.code == code
