"""What is told again of tasks that have ended, by a person's wish: staged page by page, told by whoever tells at first.

A notification goes back into its outbox, a ticket into one of its own: callbacks and results are told by completion.
Under one request each goes once, however often it is repeated; no ticket's state is touched, so no chord counts again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger import ticketed, tickets
from app.ledger.notifications import REOPENED, id_of_task, ids_of_notices
from app.ledger.tickets import Found, ReadyTicket
from app.policy.subjects import Kind, Subject
from app.policy.telling_again import Notice, TaskNow, Telling, Untold
from app.policy.tickets import TicketState

#: Tasks of one transaction: each brings its whole message.
PAGE: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Following:
    """What follows a ticket, as completion reads it."""

    callbacks_count: int
    #: Task ids of mails and webhooks.
    notices: Sequence[str]
    others: Sequence[Untold]
    keeps_result: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A ticket to be told again now, for one request."""

    found: Found
    request_id: UUID
    callbacks: bool


def count(connection: Connection, subject: Subject, *, limit: int) -> int:
    """How many tasks a subject has, up to a limit."""
    which, values = _which(connection, subject)
    found: int = connection.execute(
        text(f"""
            SELECT count(*) FROM (SELECT 1 FROM ticket WHERE {which} LIMIT :limit) AS one
        """),  # noqa: S608 - constants of this module and of its neighbour
        {**values, "limit": limit},
    ).scalar_one()
    return found


def _which(connection: Connection, subject: Subject) -> tuple[str, dict[str, Any]]:
    which, values = ticketed.which(connection, subject)
    if subject.kind is Kind.FILTER:
        which += " AND ticket.state = 'completed'"
    return which, values


def page(
    connection: Connection,
    subject: Subject,
    follows: Callable[[ReadyTicket, bool], Following],
    *,
    request_id: UUID,
    after: int,
    hold: bool,
) -> list[TaskNow]:
    """The next tasks of a subject, by their tickets' ids; held until the transaction ends, if asked for.

    `follows` reads a ticket's canvas, knowing whether it has ended well.
    """
    which, values = _which(connection, subject)
    rows = connection.execute(
        text(f"""
            SELECT {tickets.COLUMNS}, ticket.job_id, ticket.context_digest, ticket.notify, ticket.state,
                   ticket.again_due_at IS NOT NULL AS is_waiting, ticket.again_request,
                   job.state AS job_state,
                   {REOPENED} AS reopened,
                   ticket.content_pruned_at IS NOT NULL
                     OR job.content_pruned_at IS NOT NULL AS is_pruned
            FROM ticket LEFT JOIN job ON job.id = ticket.job_id
            WHERE {which} AND ticket.id > :after
            ORDER BY ticket.id LIMIT :limit {"FOR UPDATE OF ticket" if hold else ""}
        """),  # noqa: S608 - constants of this module and of its neighbours
        {**values, "after": after, "limit": PAGE},
    ).all()
    read = [follows(tickets.without_end(row), row.job_state == "succeeded") for row in rows]
    notices = _notices(connection, rows, read, request_id)
    return [
        TaskNow(
            ticket_id=row.ticket_id,
            job_id=row.job_id,
            state=TicketState(row.state),
            is_busy=row.is_waiting and row.again_request != request_id,
            is_asked=row.again_request == request_id,
            is_pruned=row.is_pruned,
            keeps_result=one.keeps_result,
            callbacks_count=one.callbacks_count,
            notices=notices[row.ticket_id],
            others=one.others,
        )
        for row, one in zip(rows, read, strict=True)
    ]


def _notices(
    connection: Connection, rows: Sequence[Any], read: Sequence[Following], request_id: UUID
) -> Mapping[int, list[Notice]]:
    """By ticket: what it asked for itself (`notify=`), what it is itself, and what follows it."""
    asked: dict[UUID, list[int]] = defaultdict(list)
    following: dict[str, list[int]] = defaultdict(list)
    for row, one in zip(rows, read, strict=True):
        asked[id_of_task(row.ticket_task_id, bytes(row.context_digest))].append(row.ticket_id)
        for task_id in one.notices:
            following[task_id].append(row.ticket_id)
    for notice_id, ticket_id in _of_last_ends(connection, rows):
        asked[notice_id].append(ticket_id)
    found = connection.execute(
        text("SELECT task_id, context_digest FROM ticket WHERE task_id = ANY(:ids)"),
        {"ids": list(following)},
    )
    for row in found:
        asked[id_of_task(row.task_id, bytes(row.context_digest))] += following[row.task_id]
    of: dict[int, list[Notice]] = defaultdict(list)
    told = connection.execute(
        text("""
            SELECT id, kind, state, last_error, again_request,
                   content_pruned_at IS NOT NULL AS is_pruned
            FROM notification
            WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id
        """),
        {"ids": list(asked)},
    )
    for row in told:
        notice = Notice(
            id=row.id,
            kind=row.kind,
            state=row.state,
            last_error=row.last_error,
            is_asked=row.again_request == request_id,
            is_pruned=row.is_pruned,
        )
        for ticket_id in asked[row.id]:
            of[ticket_id].append(notice)
    return of


def _of_last_ends(connection: Connection, rows: Sequence[Any]) -> Iterator[tuple[UUID, int]]:
    """What these tickets asked for with `notify=` and was staged, with the ticket's id.

    Of a job that was tried again what tells of its last end: who hears of the first one after it would
    believe that it had failed.
    """
    ends = {
        notice_id: (row.ticket_id, end)
        for row in rows
        for end in range(row.reopened + 1)
        for notice_id in ids_of_notices(row.ticket_id, row.notify, reopened=end)
    }
    staged = connection.execute(
        text("SELECT id FROM notification WHERE id = ANY(CAST(:ids AS uuid[]))"),
        {"ids": list(ends)},
    )
    # The last end of a ticket comes last.
    told = sorted((*ends[notice_id], notice_id) for notice_id in staged.scalars())
    last = {ticket_id: end for ticket_id, end, _ in told}
    for ticket_id, end, notice_id in told:
        if end == last[ticket_id]:
            yield notice_id, ticket_id


def stage(
    connection: Connection,
    tellings: Sequence[tuple[TaskNow, Telling]],
    *,
    request_id: UUID,
    who: str,
    at: datetime,
) -> None:
    """Put back what is told again. May be repeated: under one request it is told once."""
    asked = {"request": request_id, "at": at}
    connection.execute(
        text("""
            UPDATE notification
            SET state = 'new', next_at = :at, leased_until = NULL, attempts_before = attempts,
                again_request = :request, again_at = :at
            WHERE id = ANY(CAST(:ids AS uuid[])) AND state IN ('done', 'dead', 'unknown')
              AND content_pruned_at IS NULL AND again_request IS DISTINCT FROM :request
        """),
        {**asked, "ids": sorted({one.id for _, telling in tellings for one in telling.notices})},
    )
    for callbacks in (False, True):
        of = [
            task.ticket_id
            for task, telling in tellings
            if (telling.result or telling.callbacks_count)
            and bool(telling.callbacks_count) is callbacks
        ]
        connection.execute(
            text("""
                UPDATE ticket
                SET again_request = :request, again_due_at = :at, again_callbacks = :callbacks
                WHERE id = ANY(CAST(:ids AS bigint[])) AND state = 'completed'
                  AND again_due_at IS NULL AND again_request IS DISTINCT FROM :request
            """),
            {**asked, "callbacks": callbacks, "ids": of},
        )
    told = [
        {"at": at, "job": task.job_id, "detail": f"by {who}: {said}"}
        for task, telling in tellings
        if task.job_id is not None and not task.is_asked and (said := _said(telling))
    ]
    if told:
        connection.execute(
            text("""
                INSERT INTO event (at, kind, job_id, detail)
                VALUES (:at, 'redelivered', :job, :detail)
            """),
            told,
        )


def _said(telling: Telling) -> str:
    return ", ".join(f"{n} {part}" for part, n in sorted(telling.tally().did.items()))


def claim(connection: Connection, *, at: datetime, lease: timedelta, limit: int) -> list[Due]:
    """Take tickets that are to be told again; nobody else takes them until the lease is over."""
    rows = connection.execute(
        text("""
            -- Materialized, or the plan may run it again for each row, and take more than the limit.
            WITH due AS MATERIALIZED (
              -- One whose job is tried again waits for that.
              SELECT id FROM ticket WHERE again_due_at <= :at AND state = 'completed'
              ORDER BY again_due_at LIMIT :limit FOR UPDATE SKIP LOCKED
            )
            UPDATE ticket SET again_due_at = :until WHERE id IN (SELECT id FROM due)
            RETURNING id, again_request, again_callbacks
        """),
        {"at": at, "until": at + lease, "limit": limit},
    ).all()
    found = tickets.by_ids(connection, [row.id for row in rows])
    return [
        Due(found=found[row.id], request_id=row.again_request, callbacks=row.again_callbacks)
        for row in rows
    ]


def told(connection: Connection, done: Sequence[Due]) -> None:
    """These have been told; what was asked for anew meanwhile stays asked for."""
    connection.execute(
        text("""
            WITH told AS MATERIALIZED (
              SELECT ticket.id FROM ticket
              JOIN unnest(CAST(:ids AS bigint[]), CAST(:requests AS uuid[])) AS m(id, request)
                ON ticket.id = m.id AND ticket.again_request = m.request
              ORDER BY ticket.id FOR UPDATE OF ticket
            )
            UPDATE ticket SET again_due_at = NULL FROM told WHERE ticket.id = told.id
        """),
        {
            "ids": [one.found.ticket.id for one in done],
            "requests": [one.request_id for one in done],
        },
    )
