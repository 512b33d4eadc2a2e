"""Bring back from the ledger what Redis has lost: a reader asked for it. Nothing is completed again."""

from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from celery import Celery, states
from celery.exceptions import TaskRevokedError
from sqlalchemy import Engine

from app.completion.complete import end_of, store_long_output
from app.completion.latest import Latest
from app.completion.runs import RunCounter
from app.completion.stored import ignores_result, not_ended
from app.ledger import engine as ledger
from app.ledger import latest as newest
from app.ledger import runs, tickets
from app.ledger.tickets import Found
from app.observe.log import tell
from app.policy.ends import Failure, Revoked, Value
from app.policy.tickets import TicketState
from unhurried.contract import ADMITTED_STATE, REDIS_LIFETIME_S, Marker, Tier, marker_key
from unhurried.errors import failure
from unhurried.readers import REPLY_LIFETIME_S, Reply, latest_key, reply_key
from unhurried.run_wire import parts_key, run_key

#: Parts of a run that are looked up at once.
_PAGE: Final = 500


class Restorer:
    """Answers the two questions of a client. Safe to repeat; a result that is there stays as it is."""

    def __init__(
        self,
        *,
        engine: Engine,
        app: Celery,
        client: Any,
        key_prefix: str,
        latest: Latest,
        counts: RunCounter,
    ) -> None:
        self._engine = engine
        self._backend: Any = app.backend  # the Redis backend: its key names are Celery's own
        self._client = client
        self._key_prefix = key_prefix
        self._latest = latest
        self._counts = counts

    def result(self, task_id: str) -> Reply:
        """Put a task's result back where Celery looks for it, and say so to whoever asked."""
        reply = self._bring_back(task_id)
        self._reply(task_id, reply)
        return reply

    def newest(self, *, tenant: str, workload: str, subject: str | None) -> Reply:
        """Point at the newest answer of a workload about a subject again, with its result."""
        with self._engine.connect() as connection:
            found = newest.find(connection, tenant=tenant, workload=workload, subject=subject)
        reply = Reply.UNKNOWN if found is None else Reply.WAITING
        if found is not None and found.task_id is not None:
            reply = self._bring_back(found.task_id)
            self._latest.point(
                found.task_id,
                tenant=tenant,
                workload=workload,
                subject=subject,
                as_of=found.as_of,
            )
        self._reply(latest_key(tenant=tenant, workload=workload, subject=subject), reply)
        return reply

    def run(self, run_id: str) -> Reply:
        """Put a run back: its counts, its parts in the order of their admission, and their results."""
        reply = Reply.UNKNOWN
        with suppress(ValueError), self._engine.connect() as connection:
            found = runs.find(connection, UUID(run_id))
            if found is not None:
                self._counts.tell([found], at=ledger.now(connection))
                reply = Reply.RESTORED
        if reply is Reply.RESTORED:
            self._bring_back_parts(UUID(run_id))
        self._reply(run_key(run_id), reply)
        return reply

    def put_back(self, found: Found) -> None:
        """Write a completed ticket's result where Celery looks for it, unless an end is there."""
        self._mark(found)
        if not ignores_result(found.ticket.headers):
            self._store(found)

    def _bring_back_parts(self, run_id: UUID) -> None:
        after, place = 0, 0
        key = self._key_prefix + parts_key(str(run_id))
        while True:
            with self._engine.connect() as connection:
                parts = runs.parts(connection, run_id, after=after, limit=_PAGE)
            if not parts:
                break
            # NX: the places that the caller gave are better than those of admission.
            places = {part.task_id: place + index for index, part in enumerate(parts)}
            self._client.zadd(key, places, nx=True)
            for part in parts:
                self._bring_back(part.task_id)
            after, place = parts[-1].ticket_id, place + len(parts)
        self._client.expire(key, REDIS_LIFETIME_S)

    def _bring_back(self, task_id: str) -> Reply:
        with self._engine.connect() as connection:
            found = tickets.find(connection, task_id)
        if found is None:
            return Reply.UNKNOWN
        self._mark(found)
        if found.state is not TicketState.COMPLETED:
            return Reply.WAITING
        self._store(found)
        tell("restored", task_id=task_id)
        return Reply.RESTORED

    def _mark(self, found: Found) -> None:
        ticket = found.ticket
        marker = Marker(
            tier=Tier(found.tier), endpoint=ticket.task_name, published_at=found.published_at
        )
        self._client.set(
            self._key_prefix + marker_key(ticket.task_id),
            marker.model_dump_json(),
            ex=REDIS_LIFETIME_S,
            nx=True,
        )
        if found.state is TicketState.OPEN:
            meta = {"status": ADMITTED_STATE, "result": None, "task_id": ticket.task_id}
            self._client.set(
                self._backend.get_key_for_task(ticket.task_id),
                self._backend.encode({**meta, "traceback": None, "children": []}),
                ex=REDIS_LIFETIME_S,
                nx=True,
            )

    def _store(self, found: Found) -> None:
        ticket = found.ticket
        end = end_of(ticket)
        if isinstance(end, Value):
            store_long_output(self._client, self._key_prefix, end)
        # Celery keeps a success by itself; a failure would be written anew, with less around it.
        if not not_ended(self._client, self._backend, [ticket.task_id]):
            return
        match end:
            case Value():
                self._backend.store_result(ticket.task_id, end.wire, states.SUCCESS)
            case Failure():
                self._backend.store_result(ticket.task_id, failure(end.error), states.FAILURE)
            case Revoked():
                revoked = TaskRevokedError(end.reason)
                self._backend.store_result(ticket.task_id, revoked, states.REVOKED)

    def _reply(self, about: str, reply: Reply) -> None:
        self._client.set(self._key_prefix + reply_key(about), reply, ex=REPLY_LIFETIME_S)
