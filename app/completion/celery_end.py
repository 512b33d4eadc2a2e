"""Complete a Celery task from outside a worker: exactly what Celery's tracer does after `return`.

The only module that mirrors Celery (5.7, `celery/app/trace.py`); a golden test compares what it writes
to Redis with what a real worker writes. Every step may be repeated: Celery ignores a result after
SUCCESS and counts a chord's part once, and each task of a canvas is published once.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from celery import Celery, group, signature
from celery._state import _task_stack  # type: ignore[attr-defined]  # absent from the stubs
from celery.app.task import Context
from celery.exceptions import ChordError

from app.completion import canvas, embedded, follows, once
from app.completion.once import IsKnown
from app.ledger.redelivery import Publication
from app.ledger.tickets import ReadyTicket
from unhurried.contract import REDIS_LIFETIME_S, STEP_HEADER
from unhurried.errors import JobFailed
from unhurried.following import step_ended


class CeleryEnd:
    """Tells Celery how a ticket ended."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._backend: Any = app.backend

    def succeed(
        self,
        ticket: ReadyTicket,
        value: dict[str, Any],
        *,
        is_published: IsKnown = once.never_before,
    ) -> None:
        """Publish callbacks and the next chain step, store the result, count the chord part.

        A chord whose body `is_published` is not counted again.
        """
        context = self._context(ticket, is_published)
        with self._as_current(ticket, context):
            self._follow_up(context, value)
            self._backend.mark_as_done(ticket.task_id, value, context, True)  # noqa: FBT003 - Celery's own signature
        step_ended(self._app, getattr(context, STEP_HEADER, None), succeeded=True)

    def fail(
        self,
        ticket: ReadyTicket,
        error: JobFailed,
        *,
        is_published: IsKnown = once.never_before,
    ) -> None:
        """Store the failure, count the chord part, fail the rest of the chain, call errbacks."""
        context = self._context(ticket, is_published)
        # Reopened, the same ticket may end well one day: what follows then has ids of its own.
        with self._as_current(ticket, context), canvas.same_ids(f"{ticket.name}/failed"):
            self._backend.mark_as_failure(
                ticket.task_id,
                error,
                traceback=None,
                request=context,
                store_result=not context.ignore_result,
            )
        step_ended(self._app, getattr(context, STEP_HEADER, None), succeeded=False)

    def revoke(
        self,
        ticket: ReadyTicket,
        reason: str,
        *,
        is_published: IsKnown = once.never_before,
    ) -> None:
        """Store REVOKED and count the chord part, as a worker does that is handed a revoked task.

        Celery calls no errback then, and says nothing to the rest of a chain.
        """
        context = self._context(ticket, is_published)
        with self._as_current(ticket, context):
            self._backend.mark_as_revoked(
                ticket.task_id, reason, request=context, store_result=not context.ignore_result
            )
        step_ended(self._app, getattr(context, STEP_HEADER, None), succeeded=False)

    def call_again(self, ticket: ReadyTicket, value: dict[str, Any], *, again: UUID) -> None:
        """Publish the callbacks of a ticket once more, for one request, and nothing else that follows it.

        Each gets a task id of its own that the request gives it: repeated, it goes out once.
        """
        context = self._context(ticket, once.never_before)
        with self._as_current(ticket, context):
            for callback in follows.of(ticket).callbacks:
                self._publish(
                    signature(follows.renamed(callback, again), app=self._app),
                    value,
                    **_common(context),
                )

    def restore_chord(self, ticket: ReadyTicket, group_id: str, size: int) -> bool:
        """Tell Redis again how large a chord is, if its body has still to be published."""
        chord = self._context(ticket, once.never_before).chord
        if not chord:
            return False
        key = self._backend.get_key_for_group(group_id, ".s")
        return bool(self._backend.client.set(key, size, ex=REDIS_LIFETIME_S, nx=True))

    def lose_chord(self, ticket: ReadyTicket, reason: str) -> None:
        """Fail a chord's body and call its errbacks: what its other parts returned is gone."""
        context = self._context(ticket, once.never_before)
        with self._as_current(ticket, context), once.publishing_as(once.of_chord(context.group)):
            body = signature(context.chord, app=self._app)
            try:
                raise ChordError(reason)  # noqa: TRY301 - Celery takes the traceback being handled
            except ChordError as lost:
                self._backend.chord_error_from_stack(body, lost)

    def body_of(self, ticket: ReadyTicket) -> list[Publication]:
        """The tasks that go out first of the body of the chord that this ticket is a part of."""
        context = self._context(ticket, once.never_before)
        return _body(context.group, context.chord)

    def _context(self, ticket: ReadyTicket, is_published: IsKnown) -> Any:
        """The request Context that a worker would have had, canvas ids pinned."""
        headers, properties = json.loads(ticket.headers), json.loads(ticket.properties)
        args, kwargs, embed = embedded.decoded(ticket)
        pinned = embedded.pinned(embed, ticket)
        body = _body(headers.get("group"), pinned.get("chord"))
        if body and all(is_published(one) for one in body):
            pinned["chord"] = None
        return Context(
            {**headers, **pinned},
            args=args,
            kwargs=kwargs,
            properties=properties,
            reply_to=properties.get("reply_to"),
            correlation_id=properties.get("correlation_id"),
            delivery_info={**(properties.get("delivery_info") or {}), "is_eager": False},
            is_eager=False,
            called_directly=False,
            children=[],
        )

    @contextmanager
    def _as_current(self, ticket: ReadyTicket, context: Any) -> Iterator[None]:
        """Children that are published now belong to this task and its trace, as they would in a worker."""
        once.carry(json.loads(ticket.headers))
        try:
            with (
                once.publishing_as(ticket.name),
                self._on_the_stack(self._app.tasks.get(ticket.task_name), context),
            ):
                yield
        finally:
            once.carry({})

    @contextmanager
    def _on_the_stack(self, task: Any, context: Any) -> Iterator[None]:
        if task is None:
            yield
            return
        task.request_stack.push(context)
        _task_stack.push(task)
        try:
            yield
        finally:
            _task_stack.pop()
            task.request_stack.pop()

    def _follow_up(self, context: Any, value: dict[str, Any]) -> None:
        """`_dispatch_callbacks_and_chain` of Celery's tracer, step for step."""
        common = _common(context)
        callbacks = [signature(callback, app=self._app) for callback in context.callbacks or []]
        groups = [callback for callback in callbacks if isinstance(callback, group)]
        single = [callback for callback in callbacks if not isinstance(callback, group)]
        for callback in groups:
            self._publish(callback, value, **common)
        if len(single) == 1:
            self._publish(single[0], value, **common)
        elif single:
            self._publish(group(single, app=self._app), value, **common)
        if context.chain:
            step = signature(context.chain[-1], app=self._app)
            self._publish(step, value, chain=context.chain[:-1], **common)

    def _publish(self, what: Any, value: dict[str, Any], **options: Any) -> None:
        amqp: Any = self._app.amqp
        amqp._retry_publish(what.apply_async, (value,), **options)  # noqa: SLF001 - Celery's tracer calls it so


def _body(group_id: str | None, chord: Any) -> list[Publication]:
    if not chord:
        return []
    publisher = once.of_chord(str(group_id))
    return [Publication(publisher, task_id) for task_id in canvas.first_ids(chord)]


def _common(context: Any) -> dict[str, Any]:
    return {
        "parent_id": context.id,
        "root_id": context.root_id or context.id,
        # Named, it would take the place of the one that a callback has.
        "priority": None,
    }
