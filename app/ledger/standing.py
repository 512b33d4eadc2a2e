"""How everything stands, in one read-only transaction of one snapshot: what `app.policy.classify` judges."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, text

from app.ledger import engine as ledger
from app.ledger import rounds, under_way, unread
from app.policy.standing import (
    Chords,
    Completion,
    Held,
    Outbox,
    Paused,
    Spent,
    Standing,
)

#: A page must not hang on a ledger that is busy: then it says so.
STATEMENT_TIMEOUT_MS: Final = 5000
#: Accounts and receivers that one look reads.
_ROWS_MAX: Final = 500
#: Tickets and chords that one look counts.
_TICKETS_MAX: Final = 100_000
_CHORDS_MAX: Final = 1000
#: How long what was given up is still told of, and what could not be understood.
_LOST_FOR: Final = timedelta(days=7)
_QUARANTINED_FOR: Final = timedelta(days=1)

DailyLimits = Mapping[tuple[str, str], int]


def read(
    engine: Engine, *, lifetime: timedelta, daily_limits: DailyLimits
) -> tuple[Standing, datetime]:
    """How everything in the ledger stands, and when, by its clock. Changes and locks nothing.

    `lifetime` is that of results in Redis. Raises DBAPIError where the ledger does not answer in time.
    """
    with engine.connect().execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    ) as connection:
        ledger.bound(connection, timeout_ms=STATEMENT_TIMEOUT_MS)
        now = ledger.now(connection)
        return of(connection, at=now, lifetime=lifetime, daily_limits=daily_limits), now


def of(
    connection: Connection, *, at: datetime, lifetime: timedelta, daily_limits: DailyLimits
) -> Standing:
    """As `read`, in a transaction that is open, as if it were `at`."""
    late = unread.by_submission(connection, at=at, lifetime=lifetime)
    batches = under_way.batches(connection, at=at, unread=late)
    accounts = {(one.provider, one.account) for one in batches}
    return Standing(
        rounds=tuple(rounds.read(connection)),
        batches=tuple(batches),
        queues=tuple(under_way.queues(connection, at=at)),
        unread=tuple(unread.read(connection, at=at, lifetime=lifetime)),
        paused=tuple(_paused(connection)),
        held=tuple(_held(connection)),
        spent=tuple(_spent(connection, at, daily_limits)),
        outboxes=tuple(_outboxes(connection, at)),
        completion=_completion(connection),
        chords=_chords(connection),
        quarantined_count=_quarantined(connection, at),
        next_due=under_way.next_due(connection, accounts),
    )


def _paused(connection: Connection) -> list[Paused]:
    rows = connection.execute(
        text("""
            SELECT provider, account, model, paused_at, pause_reason AS reason,
                   paused_by IS NOT NULL AS by_person
            FROM lane
            WHERE paused_at IS NOT NULL ORDER BY paused_at LIMIT :limit
        """),
        {"limit": _ROWS_MAX},
    )
    return [Paused(**row._asdict()) for row in rows]


def _held(connection: Connection) -> list[Held]:
    rows = connection.execute(
        text("""
            SELECT provider, account, held_because AS reason, looked_at, clean_at IS NULL AS closed
            FROM sweep WHERE held_because IS NOT NULL ORDER BY provider, account LIMIT :limit
        """),
        {"limit": _ROWS_MAX},
    )
    return [Held(**row._asdict()) for row in rows]


def _spent(connection: Connection, at: datetime, daily_limits: DailyLimits) -> list[Spent]:
    rows = connection.execute(
        text("""
            SELECT provider, account, nano_usd, held_at FROM spend WHERE day = :day
            ORDER BY provider, account LIMIT :limit
        """),
        {"day": at.astimezone(UTC).date(), "limit": _ROWS_MAX},
    )
    return [
        Spent(**row._asdict(), limit_nano_usd=daily_limits.get((row.provider, row.account)))
        for row in rows
    ]


def _outboxes(connection: Connection, at: datetime) -> list[Outbox]:
    rows = connection.execute(
        text("""
            SELECT receiver, count(*) FILTER (WHERE waits) AS undelivered_count,
                   min(created_at) FILTER (WHERE waits) AS oldest_at,
                   count(*) FILTER (WHERE state = 'dead') AS dead_count,
                   count(*) FILTER (WHERE state = 'unknown') AS unknown_count
            FROM (
              SELECT receiver, state, coalesce(again_at, created_at) AS created_at, true AS waits
              FROM notification
              WHERE state IN ('new', 'sending') AND receiver IS NULL
              UNION ALL
              SELECT receiver, state, coalesce(again_at, created_at), true FROM notification
              WHERE state = 'new' AND receiver IS NOT NULL
              UNION ALL
              SELECT receiver, state, created_at, false FROM notification
              WHERE state IN ('dead', 'unknown') AND created_at >= :since
            ) AS staged GROUP BY receiver ORDER BY receiver NULLS FIRST LIMIT :limit
        """),
        {"since": at - _LOST_FOR, "limit": _ROWS_MAX},
    )
    return [Outbox(**row._asdict()) for row in rows]


def _completion(connection: Connection) -> Completion:
    row = connection.execute(
        text("""
            SELECT count(*) AS ready_count, min(ready_at) AS oldest_at,
                   count(*) FILTER (WHERE last_error IS NOT NULL) AS failing_count
            FROM (
              SELECT ready_at, last_error FROM ticket WHERE state = 'ready' LIMIT :limit
            ) AS ready
        """),
        {"limit": _TICKETS_MAX},
    ).one()
    return Completion(**row._asdict())


def _chords(connection: Connection) -> Chords:
    row = connection.execute(
        text("""
            SELECT count(*) AS full_count, min(full_at) AS oldest_full_at FROM (
              SELECT max(ticket.completed_at) AS full_at FROM (
                SELECT group_id, size FROM chord
                WHERE over_at IS NULL AND NOT EXISTS (
                  SELECT FROM ticket WHERE ticket.group_id = chord.group_id AND in_chord
                    AND state <> 'completed'
                ) LIMIT :limit
              ) AS one JOIN ticket ON ticket.group_id = one.group_id AND ticket.in_chord
              GROUP BY one.group_id, one.size HAVING count(*) >= one.size
            ) AS full_chords
        """),
        {"limit": _CHORDS_MAX},
    ).one()
    return Chords(**row._asdict())


def _quarantined(connection: Connection, at: datetime) -> int:
    count: int = connection.execute(
        text("SELECT count(*) FROM quarantine WHERE at >= :since"),
        {"since": at - _QUARANTINED_FOR},
    ).scalar_one()
    return count
