"""Every way of calling, once: published by whichever version of the client is imported here.

It is run by old versions as well, so it uses nothing but what the oldest recorded one offers; what came later
is asked for by name.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from celery import Celery, chord

import unhurried
from unhurried import chat, email, embeddings, item, messages, responses, webhook

SCHEMA: Final = {
    "title": "Kind",
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["name"],
}
PICTURE: Final = b"\x89PNG\r\n\x1a\n" + bytes(range(256))

#: A shape publishes through the app that is current, and returns the ids of what the service will end.
Shape = Callable[[Celery], list[str]]


def claude(about: str) -> dict[str, Any]:
    """A request that no other shape makes."""
    turns = [{"role": "user", "content": f"Tell me about {about}. It is short. It is old."}]
    return {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": turns}


def step(app: Celery, name: str, *args: Any) -> Any:
    """A signature of a caller's own task."""
    return app.signature(f"tasks.{name}", args=args, options={"queue": app.conf.task_default_queue})


def plain(_app: Celery) -> list[str]:
    """Nothing but what must be said."""
    return [messages.delay(**claude("plain"), tier="batch").id]


def endpoints(_app: Celery) -> list[str]:
    """The other endpoints."""
    turns = [{"role": "user", "content": "Tell me about chats. They end."}]
    return [
        responses.delay(model="gpt-5-mini", input="Tell me about replies.", tier="batch").id,
        chat.delay(model="gpt-4o-mini", messages=turns, tier="batch").id,
        embeddings.delay(model="text-embedding-3-small", input=["a", "b"], tier="batch").id,
    ]


def options(_app: Celery) -> list[str]:
    """Everything that a call may say of itself."""
    job = messages.delay(
        **claude("options"),
        tier="batch",
        workload="road-notes",
        subject="user:17",
        as_of=datetime.now(UTC),
        deadline="20h",
        effective_for="24h",
        idempotency_key="note:17",
        on_failure="retry",
        on_lost="retry",
        attempts=3,
        account="default",
        tenant="default",
    )
    return [job.id]


def tiers(_app: Celery) -> list[str]:
    """Answered in seconds, and in minutes."""
    return [
        messages.delay(**claude("sync"), tier="sync", subject="user:17").id,
        messages.delay(**claude("soon"), tier="near-real-time", on_lost="retry").id,
    ]


def notices(_app: Celery) -> list[str]:
    """A mail and a webhook when one job is done."""
    notify = [
        email.to("one@example.org", subject="Ready", link="https://a.example"),
        webhook.to("crm"),
    ]
    return [messages.delay(**claude("notices"), tier="batch", notify=notify).id]


def notifications(_app: Celery) -> list[str]:
    """A mail and a webhook by themselves."""
    return [email.delay(to="alone@example.org").id, webhook.delay("crm").id]


def callbacks(app: Celery) -> list[str]:
    """A callback, errbacks of both styles, and failures for them."""
    with_error = app.task(name="matrix.steps.failed_with", shared=False)(_failed_with)
    after: list[dict[str, Any]] = [
        {"link": step(app, "linked", "link"), "link_error": step(app, "failed", "link")},
        {"link": step(app, "linked", "link"), "link_error": step(app, "failed", "link")},
        {"link_error": with_error.s("link").set(queue=app.conf.task_default_queue)},
    ]
    abouts = ["links", "[[sim:invalid]] links", "[[sim:invalid]] exceptions"]
    return [
        messages.apply_async(kwargs={**claude(about), "tier": "batch"}, **links).id
        for about, links in zip(abouts, after, strict=True)
    ]


def _failed_with(request: Any, exc: BaseException, traceback: Any, cell: str) -> None:
    """An errback of the new style, as a caller registers it; it is run by its own worker alone."""


def failures(_app: Celery) -> list[str]:
    """An error that is returned as a value."""
    asked = claude("[[sim:invalid]] values")
    return [messages.delay(**asked, tier="batch", on_failure="return").id]


def chain(app: Celery) -> list[str]:
    """Two steps of the service, and one of the caller."""
    second = responses.s(model="gpt-5-mini", input="Say it again.", tier="batch")
    asked = messages.s(**claude("chains"), tier="batch") | second | step(app, "length", "chain")
    last = asked.apply_async()
    return [last.parent.id, last.parent.parent.id]


def chords(app: Celery) -> list[str]:
    """Parts of a chord with a body of the caller's, and with a mail and a webhook for bodies."""
    bodies = [step(app, "body", "chord"), email.s(to="body@example.org"), webhook.s("crm")]
    found: list[str] = []
    for place, body in enumerate(bodies):
        parts = [messages.s(**claude(f"chord {place} {n}"), tier="batch") for n in range(2)]
        last: Any = chord(parts, body).apply_async()
        found += [one.id for one in last.parent.results]
        found += [last.id] if place else []
    return found


def structured(_app: Celery) -> list[str]:
    """An answer of a form."""
    return [messages.delay(**claude("forms"), tier="batch", schema=SCHEMA).id]


def attachment(_app: Celery) -> list[str]:
    """A picture by the name of its content."""
    photo = unhurried.attach(PICTURE, media_type="image/png")
    source = {"type": "base64", "media_type": photo.media_type, "data": photo.base64}
    asked = claude("pictures")
    asked["messages"][0]["content"] = [{"type": "image", "source": source}]
    return [messages.delay(**asked, tier="batch").id]


def shared(_app: Celery) -> list[str]:
    """Two identical calls of a workload that asks once."""
    asked = {**claude("sharing"), "workload": "road-shared", "tier": "batch"}
    return [messages.delay(**asked).id, messages.delay(**asked).id]


def run(app: Celery) -> list[str]:
    """Many calls as one, with what follows them."""
    made = messages.bulk(
        [item(claude(f"grain {n}"), key=f"grain:{n}", subject=f"grain:{n}") for n in range(3)],
        tier="batch",
        workload="road-bulk",
        key="versions",
        then=step(app, "bulk_report", "run"),
        notify=[email.to("run@example.org"), webhook.to("crm")],
        deadline="20h",
    )
    return [made.id]


def cancelled(_app: Celery) -> list[str]:
    """A run that is dropped at once."""
    made = messages.bulk([item(claude("dropping"))], tier="batch", workload="road-bulk")
    made.cancel()
    return []


SHAPES: Final[dict[str, Shape]] = {
    one.__name__: one
    for one in (
        plain,
        endpoints,
        options,
        tiers,
        notices,
        notifications,
        callbacks,
        failures,
        chain,
        chords,
        structured,
        attachment,
        shared,
        run,
        cancelled,
    )
}
