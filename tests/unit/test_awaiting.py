"""Who is to read a result, told by the canvas around a call."""

from typing import Any

import pytest

from app.policy.awaiting import Follower, Known, awaited_by, follower, reader_name
from unhurried.contract import MailNotice, WebhookNotice

MAIL = MailNotice(to="a@example.org")
HOOK = WebhookNotice(kind="webhook", receiver="crm")


def a_task(name: str, *, task_id: str | None = None, **kwargs: Any) -> dict[str, Any]:
    """A signature as it stands in a message."""
    options = {"task_id": task_id} if task_id else {}
    return {"task": name, "args": [], "kwargs": kwargs, "options": options, "subtask_type": None}


def several(kind: str, *tasks: dict[str, Any]) -> dict[str, Any]:
    """A chain or a group of signatures."""
    return {
        "task": f"celery.{kind}",
        "kwargs": {"tasks": list(tasks)},
        "options": {},
        "subtask_type": kind,
    }


@pytest.mark.parametrize(
    ("embed", "expected"),
    [
        ({}, None),
        ({"callbacks": [], "chain": None, "chord": None}, None),
        ({"callbacks": [a_task("tasks.store")]}, ("tasks.store", None)),
        ({"chain": [a_task("tasks.last"), a_task("tasks.next", task_id="n")]}, ("tasks.next", "n")),
        ({"chord": a_task("tasks.body", task_id="b")}, ("tasks.body", "b")),
        (
            {"chord": a_task("tasks.body"), "callbacks": [a_task("tasks.store")]},
            ("tasks.body", None),
        ),
        (
            {"chord": several("chain", a_task("tasks.first", task_id="f"), a_task("tasks.then"))},
            ("tasks.first", "f"),
        ),
        (
            {"callbacks": [several("group", a_task("tasks.one"), a_task("tasks.two"))]},
            ("tasks.one", None),
        ),
        ({"callbacks": ["no signature"], "chain": 7}, None),
        ({"callbacks": [{"task": "bad\0name"}]}, None),
    ],
)
def test_the_follower_is_the_task_that_is_published_first(
    embed: dict[str, Any], expected: tuple[str, str | None] | None
) -> None:
    """
    A chord's body before a next step before a callback; of a nested canvas its first task.
    """
    found = follower(embed)

    assert expected == ((found.task, found.task_id) if found else None)


def test_a_canvas_that_nests_without_end_follows_nothing() -> None:
    """
    It is a mistake of its caller's, and costs no recursion.
    """
    nested = a_task("tasks.deep")
    for _ in range(200):
        nested = several("chain", nested)

    found = follower({"chord": nested})

    assert found is None or found.task != "tasks.deep"


@pytest.mark.parametrize(
    ("task", "notices", "options", "expected"),
    [
        ("tasks.report", [], {}, "tasks.report"),
        ("tasks.report", [HOOK], {}, "tasks.report"),
        ("tasks.report", [], {"tells": False}, None),
        ("unhurried.messages.v1", [], {}, None),
        ("unhurried.email.v1", [], {}, None),
        (None, [], {}, "@notes"),
        (None, [], {"workload": None}, None),
        (None, [], {"ignores_result": True}, None),
        (None, [MAIL], {}, None),
        (None, [MAIL, HOOK], {}, "webhook:crm"),
    ],
)
def test_nobody_is_missed_who_need_not_come(
    task: str | None, notices: list[Any], options: dict[str, Any], expected: str | None
) -> None:
    """
    Fire and forget, a mailed person, and callers who do not tell are not waited for.
    """
    given = {"workload": "notes", "ignores_result": False, "tells": True, **options}
    following = Follower(task=task, task_id=None) if task else None

    assert expected == awaited_by(following, notices, **given)


def test_a_webhook_of_a_canvas_is_awaited_by_its_receiver() -> None:
    """
    Its name is in the signature.
    """
    found = follower({"chord": a_task("unhurried.webhook.v1", task_id="w", receiver="crm")})

    assert Follower(task="unhurried.webhook.v1", task_id="w", receiver="crm") == found
    assert "webhook:crm" == awaited_by(found, [], workload=None, ignores_result=False, tells=False)


def test_people_read_the_consumers_name() -> None:
    """
    Where none is declared, the task's; where there is no task, the workload's consumers or the workload.
    """
    known = [
        Known(workload="notes", name="weekly-report", task="tasks.report"),
        Known(workload="notes", name="page", task=None),
    ]

    assert ["weekly-report", "tasks.other", "page, weekly-report", "tagging", "webhook:crm"] == [
        reader_name(one, known)
        for one in ("tasks.report", "tasks.other", "@notes", "@tagging", "webhook:crm")
    ]
