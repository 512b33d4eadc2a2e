"""What Redis knew and may have forgotten: enough to tell it again, and nothing twice."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Mark:
    """By what Redis is known to be the one that was told."""

    value: str
    #: Its own id of its data's history, which a failover or a restart changes; None where nobody asked.
    replication_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A completed ticket: Celery was told of it."""

    id: int
    task_id: str
    #: The message's headers, as JSON.
    headers: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Awaited:
    """A ticket whose job goes on, as a caller who looks at its state sees it."""

    id: int
    task_id: str
    endpoint: str
    tier: str
    published_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderPart:
    """One ticket of a chord, for what its message says of the chord."""

    group_id: str
    #: Parts of the whole header; None where Redis forgot before we had asked.
    size: int | None
    #: How many of them are tickets of ours.
    own_count: int
    ticket_id: int


def mark(connection: Connection) -> Mark | None:
    """What Redis was told to remember; None before the first time."""
    row = connection.execute(text("SELECT value, replication_id FROM redis_mark")).one_or_none()
    return Mark(row.value, row.replication_id) if row else None


def set_mark(connection: Connection, mark: Mark, *, at: datetime) -> None:
    """Expect this of Redis from now on."""
    connection.execute(
        text("""
            INSERT INTO redis_mark (value, replication_id, set_at)
            VALUES (:value, :replication_id, :at)
            ON CONFLICT ("only") DO UPDATE SET value = EXCLUDED.value,
              replication_id = EXCLUDED.replication_id, set_at = EXCLUDED.set_at
        """),
        {"value": mark.value, "replication_id": mark.replication_id, "at": at},
    )


def remember_published(connection: Connection, task_ids: Collection[str], *, at: datetime) -> None:
    """Never publish these again, whatever Redis forgets. May be repeated."""
    if task_ids:
        connection.execute(
            text("""
                INSERT INTO published (task_id, at)
                SELECT DISTINCT id, CAST(:at AS timestamptz)
                FROM unnest(CAST(:ids AS text[])) AS m(id) ON CONFLICT DO NOTHING
            """),
            {"ids": list(task_ids), "at": at},
        )


def is_published(connection: Connection, task_id: str) -> bool:
    """Whether a task of a canvas has gone out."""
    found = connection.execute(
        text("SELECT 1 FROM published WHERE task_id = :id"), {"id": task_id}
    ).scalar_one_or_none()
    return found is not None


def told(
    connection: Connection, *, since: datetime, after: int = 0, limit: int = 1000
) -> list[Told]:
    """A page of tickets completed since a moment, by id."""
    rows = connection.execute(
        text("""
            SELECT id, task_id, headers FROM ticket
            WHERE state = 'completed' AND completed_at >= :since AND id > :after
            ORDER BY id LIMIT :limit
        """),
        {"since": since, "after": after, "limit": limit},
    )
    return [Told(**row._asdict()) for row in rows]


def tell_again(connection: Connection, ticket_ids: Sequence[int], *, at: datetime) -> int:
    """Make completed tickets ready once more; how many there were. May be repeated."""
    return connection.execute(
        text("""
            UPDATE ticket SET state = 'ready', ready_at = :at, generation = generation + 1,
                              leased_until = NULL
            WHERE id = ANY(CAST(:ids AS bigint[])) AND state = 'completed'
        """),
        {"ids": list(ticket_ids), "at": at},
    ).rowcount


def tell_group_again(connection: Connection, group_id: str, *, at: datetime) -> int:
    """Make a chord's completed tickets ready once more; how many there were. May be repeated."""
    return connection.execute(
        text("""
            UPDATE ticket SET state = 'ready', ready_at = :at, generation = generation + 1,
                              leased_until = NULL
            WHERE group_id = :group_id AND in_chord AND state = 'completed'
        """),
        {"group_id": group_id, "at": at},
    ).rowcount


def awaited(connection: Connection, *, after: int = 0, limit: int = 1000) -> list[Awaited]:
    """A page of open tickets, by id."""
    rows = connection.execute(
        text("""
            SELECT ticket.id, ticket.task_id, job.endpoint, job.tier, job.published_at
            FROM ticket JOIN job ON job.id = ticket.job_id
            WHERE ticket.state = 'open' AND ticket.id > :after ORDER BY ticket.id LIMIT :limit
        """),
        {"after": after, "limit": limit},
    )
    return [Awaited(**row._asdict()) for row in rows]


def chords_of_unknown_size(connection: Connection, *, limit: int = 1000) -> list[str]:
    """Group ids of open chords whose size nobody has asked Redis for yet."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT ticket.group_id FROM ticket
            LEFT JOIN chord ON chord.group_id = ticket.group_id
            WHERE ticket.in_chord AND ticket.state <> 'completed' AND chord.group_id IS NULL
              AND ticket.group_id IS NOT NULL
            LIMIT :limit
        """),
        {"limit": limit},
    )
    return list(rows.scalars())


def note_chord_sizes(connection: Connection, sizes: Mapping[str, int], *, at: datetime) -> None:
    """Keep what Redis says of chords."""
    if sizes:
        connection.execute(
            text("""
                INSERT INTO chord (group_id, size, seen_at)
                SELECT m.group_id, m.size, :at
                FROM unnest(CAST(:ids AS text[]), CAST(:sizes AS int[])) AS m(group_id, size)
                ON CONFLICT (group_id) DO UPDATE SET size = EXCLUDED.size
            """),
            {"ids": list(sizes), "sizes": list(sizes.values()), "at": at},
        )


def header_parts(
    connection: Connection, *, since: datetime, after: str = "", limit: int = 500
) -> list[HeaderPart]:
    """A page of chords with a ticket admitted since a moment, one ticket of each, by group id."""
    rows = connection.execute(
        text("""
            SELECT ticket.group_id, min(chord.size) AS size, count(*) AS own_count,
                   min(ticket.id) AS ticket_id
            FROM ticket LEFT JOIN chord ON chord.group_id = ticket.group_id
            WHERE ticket.in_chord AND ticket.admitted_at >= :since AND ticket.group_id > :after
            GROUP BY ticket.group_id ORDER BY ticket.group_id LIMIT :limit
        """),
        {"since": since, "after": after, "limit": limit},
    )
    return [HeaderPart(**row._asdict()) for row in rows]


def prune(connection: Connection, *, before: datetime, limit: int = 10_000) -> int:
    """Forget published tasks and chords from before a moment; how many there were."""
    count = 0
    for statement in (
        """
        DELETE FROM published WHERE task_id IN (
          SELECT task_id FROM published WHERE at < :before LIMIT :limit)
        """,
        """
        DELETE FROM chord WHERE group_id IN (
          SELECT group_id FROM chord WHERE seen_at < :before LIMIT :limit)
        """,
    ):
        count += connection.execute(text(statement), {"before": before, "limit": limit}).rowcount
    return count
