"""What Redis knew and may have forgotten: enough to tell it again, and nothing twice."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

_PUBLICATIONS = "unnest(CAST(:ids AS text[]), CAST(:publishers AS text[])) AS m(task_id, publisher)"
_REMEMBER = text(f"""
    INSERT INTO published (task_id, publisher, at)
    SELECT task_id, min(publisher), CAST(:at AS timestamptz) FROM {_PUBLICATIONS}
    GROUP BY task_id ORDER BY task_id ON CONFLICT DO NOTHING
""")  # noqa: S608 - a constant of this module
#: A second publisher of the same task has its name after the task's.
_REMEMBER_BESIDE = text(f"""
    INSERT INTO published (task_id, publisher, at)
    SELECT DISTINCT m.task_id || ' ' || m.publisher, m.publisher, CAST(:at AS timestamptz)
    FROM {_PUBLICATIONS} JOIN published ON published.task_id = m.task_id
    WHERE published.publisher <> m.publisher ORDER BY 1 ON CONFLICT DO NOTHING
""")  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Publication:
    """A task of a canvas, and who published it: a ticket, or a chord for its body."""

    publisher: str
    task_id: str


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
    #: The message's headers, as JSON.
    headers: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """By what the Redis that was told is known again."""

    value: str
    #: None where Redis does not say.
    replication_id: str | None


def mark(connection: Connection) -> Mark | None:
    """What Redis was told to remember; None before the first time."""
    row = connection.execute(text("SELECT value, replication_id FROM redis_mark")).one_or_none()
    return Mark(**row._asdict()) if row else None


def set_mark(connection: Connection, known: Mark, *, instead_of: Mark | None, at: datetime) -> bool:
    """Expect this of Redis from now on; whether the ledger still expected what it is put in the place of.

    Whoever stood still meanwhile must not hide what Redis has forgotten since.
    """
    values = {"value": known.value, "replication_id": known.replication_id, "at": at}
    if instead_of is None:
        first = text("""
            INSERT INTO redis_mark (value, replication_id, set_at)
            VALUES (:value, :replication_id, :at) ON CONFLICT ("only") DO NOTHING
        """)
        return bool(connection.execute(first, values).rowcount)
    moved = connection.execute(
        text("""
            UPDATE redis_mark
            SET value = :value, replication_id = :replication_id, set_at = :at,
                unadmitted_count = 0, unadmitted_at = NULL
            WHERE value = :old_value
              AND replication_id IS NOT DISTINCT FROM CAST(:old_replication_id AS text)
        """),
        {
            **values,
            "old_value": instead_of.value,
            "old_replication_id": instead_of.replication_id,
        },
    )
    return bool(moved.rowcount)


def note_unadmitted(connection: Connection, count: int, *, of: Mark, at: datetime) -> None:
    """Keep how many messages Redis alone has. Of another Redis than is expected it is not kept.

    What a look after a loss would say must not take the place of the last look before.
    """
    connection.execute(
        text("""
            UPDATE redis_mark SET unadmitted_count = :count, unadmitted_at = :at
            WHERE value = :value
              AND replication_id IS NOT DISTINCT FROM CAST(:replication_id AS text)
        """),
        {"count": count, "at": at, "value": of.value, "replication_id": of.replication_id},
    )


def unadmitted(connection: Connection) -> int:
    """How many messages Redis alone had when the pump last looked."""
    found: int | None = connection.execute(
        text("SELECT unadmitted_count FROM redis_mark")
    ).scalar_one_or_none()
    return found or 0


def outdate_leased(connection: Connection, *, at: datetime) -> int:
    """Raise the generation of what completers hold now; how many there were.

    They may have told Redis before it forgot: none of them may close its tickets. The leases stay.
    """
    return connection.execute(
        text("""
            WITH leased AS MATERIALIZED (
              SELECT id FROM ticket WHERE state = 'ready' AND leased_until >= :at
              ORDER BY id FOR UPDATE
            )
            UPDATE ticket SET generation = generation + 1 FROM leased WHERE ticket.id = leased.id
        """),
        {"at": at},
    ).rowcount


def remember_published(
    connection: Connection, published: Collection[Publication], *, at: datetime
) -> None:
    """Never publish these again, whatever Redis forgets. May be repeated."""
    if not published:
        return
    known = {
        "ids": [one.task_id for one in published],
        "publishers": [one.publisher for one in published],
        "at": at,
    }
    for statement in (_REMEMBER, _REMEMBER_BESIDE):
        connection.execute(statement, known)


def is_published(connection: Connection, one: Publication) -> bool:
    """Whether a task of a canvas has gone out; by whom, an earlier version did not note."""
    found: bool = connection.execute(
        text("""
            SELECT EXISTS (
              SELECT FROM published
              WHERE task_id = :id AND (publisher IS NULL OR publisher = :publisher)
                 OR task_id = :id || ' ' || :publisher)
        """),
        {"id": one.task_id, "publisher": one.publisher},
    ).scalar_one()
    return found


def told(
    connection: Connection, *, since: datetime, before: int | None = None, limit: int = 1000
) -> list[Told]:
    """A page of tickets completed since a moment, the newest first; `before` is the last page's last id."""
    rows = connection.execute(
        text("""
            SELECT id, task_id, headers FROM ticket
            WHERE state = 'completed' AND completed_at >= :since
              AND (CAST(:before AS bigint) IS NULL OR id < :before)
            ORDER BY id DESC LIMIT :limit
        """),
        {"since": since, "before": before, "limit": limit},
    )
    return [Told(**row._asdict()) for row in rows]


def tell_again(connection: Connection, ticket_ids: Sequence[int], *, at: datetime) -> int:
    """Make completed tickets ready once more; how many there were. May be repeated."""
    return connection.execute(
        text("""
            WITH told AS MATERIALIZED (
              SELECT id FROM ticket WHERE id = ANY(CAST(:ids AS bigint[])) AND state = 'completed'
              ORDER BY id FOR UPDATE
            )
            UPDATE ticket SET state = 'ready', ready_at = :at, generation = generation + 1,
                              leased_until = NULL
            FROM told WHERE ticket.id = told.id
        """),
        {"ids": list(ticket_ids), "at": at},
    ).rowcount


def awaited(connection: Connection, *, after: int = 0, limit: int = 1000) -> list[Awaited]:
    """A page of open tickets, by id."""
    rows = connection.execute(
        text("""
            SELECT ticket.id, ticket.task_id, ticket.headers, job.endpoint, job.tier,
                   job.published_at
            FROM ticket JOIN job ON job.id = ticket.job_id
            WHERE ticket.state = 'open' AND ticket.id > :after ORDER BY ticket.id LIMIT :limit
        """),
        {"after": after, "limit": limit},
    )
    return [Awaited(**row._asdict()) for row in rows]


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
