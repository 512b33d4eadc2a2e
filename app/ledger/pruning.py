"""Prune jobs and tickets page by page: their content first, their records long after.

A page is held by locks on its rows, whoever else holds one is passed over, and what still needs it is looked at once
it is held: whoever would add a ticket to a job waits for the lock. Policy decides row by row. May be repeated, run
twice at once and killed anywhere: a page is done as a whole, or not.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from app.policy.keeping import Aged, Cutoffs, Fate, Held, Kind, Pruned, fate, without_words
from unhurried.run_wire import RUN_TASK

#: Rows of one transaction.
PAGE: Final = 200

#: Redis's copies of what is about to be pruned, by task ids and result ids: gone before the ledger's are.
Forget = Callable[[Sequence[str], Sequence[str]], None]
#: Where a page ended: the next one begins behind it.
Place = tuple[datetime, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What came of one page."""

    pruned: Pruned
    #: Where the next one begins; None where this was the last.
    next: Place | None


_WEIGHT_OF_TICKET: Final = """
    octet_length(ticket.body) + octet_length(ticket.headers) + octet_length(ticket.properties)
    + coalesce(octet_length(ticket.notify), 0)
"""

#: Facts of held jobs. Open strays are few: each is held against the jobs that may be in it.
_JOBS: Final = text(f"""
    SELECT job.id, job.settled_at AS ended_at, told.told_at, job.result_id,
           job.state IN ('waiting', 'in_flight') AS not_ended,
           coalesce(told.awaited, false) AS awaited,
           coalesce(told.run_open, false) AS run_open,
           coalesce(told.run_recorded, false) AS record_needed,
           coalesce(told.chord_open, false) AS chord_open,
           coalesce(told.news_due, false) OR EXISTS (
             SELECT FROM notification WHERE notification.job_id = job.id
               AND notification.state IN ('new', 'sending')) AS news_due,
           EXISTS (SELECT FROM pack_item WHERE pack_item.job_id = job.id AND (
             pack_item.active OR EXISTS (
               SELECT FROM submission WHERE submission.pack_id = pack_item.pack_id
                 AND submission.state IN ('planned', 'uploaded', 'sending', 'unknown', 'accepted')
             ))) AS batch_open,
           EXISTS (SELECT FROM stray WHERE stray.closed_at IS NULL AND stray.ours
             AND stray.provider = job.provider AND stray.account = job.account
             AND job.admitted_at <= coalesce(stray.created_at, stray.noted_at)) AS stray_open,
           coalesce(told.unread_count, 0) AS unread_count,
           octet_length(job.request) + coalesce(octet_length(job.answer_schema), 0)
             + coalesce(octet_length(job.answer), 0) + coalesce(octet_length(job.output), 0)
             + coalesce(octet_length(job.tool_calls), 0)
             + coalesce(told.bytes_count, 0) AS bytes_count
    FROM job CROSS JOIN LATERAL (
      SELECT max(ticket.completed_at) AS told_at,
             bool_or(ticket.state <> 'completed' OR ticket.again_due_at IS NOT NULL) AS awaited,
             bool_or(run.id IS NOT NULL AND run.ended_at IS NULL) AS run_open,
             bool_or(NOT run.ended_at < :records_before) AS run_recorded,
             bool_or(ticket.in_chord AND (chord.group_id IS NOT NULL OR EXISTS (
               SELECT FROM ticket AS other WHERE other.group_id = ticket.group_id
                 AND other.in_chord AND other.state <> 'completed'))) AS chord_open,
             bool_or(EXISTS (SELECT FROM notification WHERE notification.ticket_id = ticket.id
               AND notification.state IN ('new', 'sending'))) AS news_due,
             count(*) FILTER (WHERE ticket.awaited_by IS NOT NULL
               AND ticket.picked_up_at IS NULL) AS unread_count,
             sum({_WEIGHT_OF_TICKET}) AS bytes_count
      FROM ticket LEFT JOIN run ON run.id = ticket.run_id
      LEFT JOIN chord ON chord.group_id = ticket.group_id AND chord.over_at IS NULL
      WHERE ticket.job_id = job.id
    ) AS told
    WHERE job.id = ANY(:ids) ORDER BY job.settled_at, job.id
""")  # noqa: S608 - a constant of this module

_TICKETS: Final = text(f"""
    SELECT ticket.id, ticket.task_id, ticket.completed_at AS ended_at,
           NULL::timestamptz AS told_at, NULL AS result_id,
           ticket.state <> 'completed' AS not_ended, ticket.again_due_at IS NOT NULL AS awaited,
           run.id IS NOT NULL AND run.ended_at IS NULL AS run_open,
           coalesce(NOT run.ended_at < :records_before, false) AS record_needed,
           ticket.in_chord AND (EXISTS (SELECT FROM chord
             WHERE chord.group_id = ticket.group_id AND chord.over_at IS NULL) OR EXISTS (
             SELECT FROM ticket AS other WHERE other.group_id = ticket.group_id
               AND other.in_chord AND other.state <> 'completed')) AS chord_open,
           EXISTS (SELECT FROM notification WHERE notification.ticket_id = ticket.id
             AND notification.state IN ('new', 'sending')) AS news_due,
           false AS batch_open, false AS stray_open,
           (ticket.awaited_by IS NOT NULL AND ticket.picked_up_at IS NULL)::int AS unread_count,
           {_WEIGHT_OF_TICKET} AS bytes_count
    FROM ticket LEFT JOIN run ON run.id = CASE
      WHEN ticket.task_name = :run_task THEN CAST(ticket.task_id AS uuid) ELSE ticket.run_id END
    WHERE ticket.id = ANY(:ids) ORDER BY ticket.completed_at, ticket.id
""")  # noqa: S608 - a constant of this module

_HOLDS: Final = {
    "not_ended": Held.NOT_ENDED,
    "awaited": Held.AWAITED,
    "news_due": Held.NEWS_DUE,
    "run_open": Held.RUN_OPEN,
    "chord_open": Held.CHORD_OPEN,
    "batch_open": Held.BATCH_OPEN,
    "stray_open": Held.STRAY_OPEN,
    "record_needed": Held.RECORD_NEEDED,
}

_EMPTY_JOBS: Final = text("""
    UPDATE job SET content_pruned_at = :at, request = '', answer_schema = NULL, answer = NULL,
                   output = NULL, tool_calls = NULL, error_message = NULL,
                   -- No identical call is given an answer that is not there.
                   likeness = NULL
    WHERE id = ANY(:ids) AND content_pruned_at IS NULL
""")

#: As of a direct call: there is nothing that could be completed anew.
_EMPTY_TICKETS: Final = """
    UPDATE ticket SET content_pruned_at = :at, headers = '{}', properties = '{}', body = '',
                      notify = NULL, last_error = NULL
    WHERE content_pruned_at IS NULL AND
"""


_ALONE: Final = "job_id IS NULL AND state = 'completed'"
#: Or that asked for a job's answer after it had been pruned.
_KEPT_BY_NO_JOB: Final = """state = 'completed' AND (job_id IS NULL OR EXISTS (
    SELECT FROM job WHERE job.id = ticket.job_id AND job.content_pruned_at IS NOT NULL))"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """Jobs with their tickets, or the completed tickets that no job takes along (refused calls, mails, runs)."""

    kind: Kind
    #: What is done to them, and to which of them: an emptied one alone goes as a whole.
    wanted: Fate
    jobs: bool


EMPTY_JOBS: Final = Pass(kind=Kind.JOBS_CONTENT, wanted=Fate.CONTENT, jobs=True)
EMPTY_TICKETS: Final = Pass(kind=Kind.TICKETS_CONTENT, wanted=Fate.CONTENT, jobs=False)
DELETE_JOBS: Final = Pass(kind=Kind.JOBS, wanted=Fate.RECORD, jobs=True)
DELETE_TICKETS: Final = Pass(kind=Kind.TICKETS, wanted=Fate.RECORD, jobs=False)


def take(
    connection: Connection,
    one: Pass,
    cutoffs: Cutoffs,
    *,
    after: Place | None,
    at: datetime,
    forget: Forget,
) -> Page:
    """Prune what is old enough of the next page, and that nothing needs."""
    ids, place = _find(
        connection, one, cutoffs, after=after, emptied=one.wanted is Fate.RECORD, hold=True
    )
    # A statement of its own: a ticket that came before the rows could be held is seen by it.
    rows = _facts(connection, one, cutoffs, ids)
    due, pruned = _decide(rows, cutoffs, one)
    if due and one.wanted is Fate.CONTENT:
        _empty(connection, one, due, at, forget)
    elif due:
        _delete(connection, one, due)
    return Page(pruned=pruned, next=place)


def weigh(
    connection: Connection, one: Pass, cutoffs: Cutoffs, *, after: Place | None, emptied: bool
) -> Page:
    """What that would prune, among those that are `emptied` or among the others. Nothing is held or done."""
    ids, place = _find(connection, one, cutoffs, after=after, emptied=emptied, hold=False)
    _, pruned = _decide(_facts(connection, one, cutoffs, ids), cutoffs, one)
    return Page(pruned=pruned, next=place)


def _empty(
    connection: Connection, one: Pass, due: Sequence[Any], at: datetime, forget: Forget
) -> None:
    ids = [row.id for row in due]
    which = f"{'job_id' if one.jobs else 'id'} = ANY(:ids)"
    tickets = connection.execute(
        text(f"SELECT task_id FROM ticket WHERE {which} AND content_pruned_at IS NULL"),  # noqa: S608 - constants
        {"ids": ids},
    )
    results = [str(row.result_id) for row in due if row.result_id is not None]
    # Before the commit: should it fail, a reader has them told again.
    forget(list(tickets.scalars()), results)
    if one.jobs:
        connection.execute(_EMPTY_JOBS, {"ids": ids, "at": at})
    _empty_tickets(connection, which, ids, at)


def _delete(connection: Connection, one: Pass, due: Sequence[Any]) -> None:
    ids = [row.id for row in due]
    for statement in _DELETE_OF_JOBS if one.jobs else _DELETE_OF_TICKETS:
        connection.execute(text(statement), {"ids": ids})


_DELETE_OF_TICKETS: Final = (
    "DELETE FROM notification WHERE ticket_id = ANY(:ids)",
    "DELETE FROM ticket WHERE id = ANY(:ids)",
)
_DELETE_OF_JOBS: Final = (
    "DELETE FROM notification WHERE job_id = ANY(:ids)",
    "DELETE FROM notification WHERE ticket_id IN (SELECT id FROM ticket WHERE job_id = ANY(:ids))",
    "DELETE FROM ticket WHERE job_id = ANY(:ids)",
    "DELETE FROM attempt WHERE job_id = ANY(:ids)",
    "DELETE FROM pack_item WHERE job_id = ANY(:ids)",
    # The newest event tells this ledger from one that was restored: it stays, whosever it is.
    "DELETE FROM event WHERE job_id = ANY(:ids) AND id < (SELECT max(id) FROM event)",
    "DELETE FROM job WHERE id = ANY(:ids)",
)


def _find(
    connection: Connection,
    one: Pass,
    cutoffs: Cutoffs,
    *,
    after: Place | None,
    emptied: bool,
    hold: bool,
) -> tuple[list[Any], Place | None]:
    """The ids of the next page by age, and where the one after it begins."""
    content = one.wanted is Fate.CONTENT
    table, ended, key = (
        ("job", "settled_at", "uuid") if one.jobs else ("ticket", "completed_at", "bigint")
    )
    which = "true" if one.jobs else _ALONE if one.wanted is Fate.RECORD else _KEPT_BY_NO_JOB
    rows = connection.execute(
        text(f"""
            SELECT id, {ended} AS ended_at FROM {table}
            WHERE {which} AND content_pruned_at IS {"NOT " if emptied else ""}NULL
              AND {ended} < :before
              AND (CAST(:after_at AS timestamptz) IS NULL
                   OR ({ended}, id) > (CAST(:after_at AS timestamptz), CAST(:after_id AS {key})))
            ORDER BY {ended}, id LIMIT :limit {"FOR UPDATE SKIP LOCKED" if hold else ""}
        """),  # noqa: S608 - constants of this module
        {
            "before": cutoffs.content_before if content else cutoffs.records_before,
            "after_at": after[0] if after else None,
            "after_id": after[1] if after else None,
            "limit": PAGE,
        },
    ).all()
    # Rows that others hold are passed over, so a short page is the last one there is now.
    place = (rows[-1].ended_at, rows[-1].id) if len(rows) == PAGE else None
    return [row.id for row in rows], place


def _facts(
    connection: Connection, one: Pass, cutoffs: Cutoffs, ids: Sequence[Any]
) -> Sequence[Any]:
    values = {"ids": ids, "records_before": cutoffs.records_before}
    if one.jobs:
        return connection.execute(_JOBS, values).all()
    return connection.execute(_TICKETS, values | {"run_task": RUN_TASK}).all()


def _decide(rows: Sequence[Any], cutoffs: Cutoffs, one: Pass) -> tuple[list[Any], Pruned]:
    """The rows to be pruned, and what that makes."""
    due = []
    held: Counter[Held] = Counter()
    for row in rows:
        aged = Aged(
            ended_at=row.ended_at,
            told_at=row.told_at,
            holds=frozenset(why for name, why in _HOLDS.items() if getattr(row, name)),
        )
        what = fate(aged, one.wanted, cutoffs)
        if isinstance(what, Held):
            held[what] += 1
        elif what is one.wanted:
            due.append(row)
    content = one.wanted is Fate.CONTENT
    return due, Pruned(
        counts={one.kind: len(due)} if due else {},
        held=held,
        unread_count=sum(row.unread_count for row in due) if content else 0,
        bytes_count=sum(row.bytes_count for row in due) if content else 0,
        oldest_at=min((row.ended_at for row in due), default=None),
    )


def _empty_tickets(connection: Connection, which: str, ids: Sequence[Any], at: datetime) -> None:
    ends = connection.execute(
        text(f'SELECT id, "end" FROM ticket WHERE {which} AND "end" IS NOT NULL'),  # noqa: S608 - a constant
        {"ids": ids},
    ).all()
    if ends:
        connection.execute(
            text('UPDATE ticket SET "end" = :said WHERE id = :id'),
            [{"id": row.id, "said": without_words(bytes(row.end), at=at)} for row in ends],
        )
    connection.execute(text(_EMPTY_TICKETS + which), {"ids": ids, "at": at})
