"""Chords with tickets of ours: how large each is, how many of its parts have ended, whether it is over."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, text

from app.policy.chords import Standing


@dataclass(frozen=True, kw_only=True, slots=True)
class Chord:
    """A chord that is not over, and one ticket of it, for what its message says of the body."""

    group_id: str
    standing: Standing
    ticket_id: int


_COLUMNS = """
    ticket.group_id, min(chord.size) AS size, min(ticket.id) AS ticket_id, count(*) AS own,
    count(*) FILTER (WHERE ticket.state = 'completed') AS completed,
    count(*) FILTER (WHERE ticket.state = 'open' OR ticket.generation = 1
                                                    AND ticket.state = 'ready') AS awaited
"""


def admitted_since(
    connection: Connection, *, since: datetime, after: str = "", limit: int = 500
) -> list[Chord]:
    """A page of chords with a ticket admitted since a moment, by group id.

    Without those that are over and have parts of the caller's own: nobody can take their steps again.
    """
    rows = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM ticket LEFT JOIN chord ON chord.group_id = ticket.group_id
            WHERE ticket.in_chord AND ticket.admitted_at >= :since AND ticket.group_id > :after
            GROUP BY ticket.group_id, chord.over_at
            HAVING chord.over_at IS NULL OR min(chord.size) = count(*)
            ORDER BY ticket.group_id LIMIT :limit
        """),  # noqa: S608 - columns are a constant of this module
        {"since": since, "after": after, "limit": limit},
    )
    return [_read(row) for row in rows.mappings()]


def unfinished(connection: Connection, *, after: str = "", limit: int = 500) -> list[Chord]:
    """A page of chords of known size that are not over, by group id."""
    rows = connection.execute(
        text(f"""
            SELECT {_COLUMNS} FROM (
              SELECT group_id, size FROM chord
              WHERE over_at IS NULL AND group_id > :after ORDER BY group_id LIMIT :limit
            ) AS chord JOIN ticket ON ticket.group_id = chord.group_id AND ticket.in_chord
            GROUP BY ticket.group_id ORDER BY ticket.group_id
        """),  # noqa: S608 - columns are a constant of this module
        {"after": after, "limit": limit},
    )
    return [_read(row) for row in rows.mappings()]


def _read(row: RowMapping) -> Chord:
    standing = Standing(**{name: row[name] for name in ("size", "own", "completed", "awaited")})
    return Chord(group_id=row["group_id"], standing=standing, ticket_id=row["ticket_id"])


def tell_again(
    connection: Connection, group_id: str, *, at: datetime, limit: int | None = None
) -> int:
    """Make completed tickets of a chord ready once more, `limit` of them; how many. May be repeated."""
    return connection.execute(
        text("""
            WITH told AS MATERIALIZED (
              SELECT id FROM ticket
              WHERE group_id = :group_id AND in_chord AND state = 'completed'
              ORDER BY id LIMIT :limit FOR UPDATE
            )
            UPDATE ticket SET state = 'ready', ready_at = :at, generation = generation + 1,
                              leased_until = NULL
            FROM told WHERE ticket.id = told.id
        """),
        {"group_id": group_id, "at": at, "limit": limit},
    ).rowcount


def over(connection: Connection, group_ids: Collection[str], *, at: datetime) -> None:
    """Leave these chords alone from now on. One whose size was never known is none to remember."""
    if group_ids:
        connection.execute(
            text("""
                UPDATE chord SET over_at = :at
                WHERE group_id = ANY(CAST(:ids AS text[])) AND over_at IS NULL
            """),
            {"ids": list(group_ids), "at": at},
        )


def of_unknown_size(connection: Connection, *, limit: int = 1000) -> list[str]:
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


def note_sizes(connection: Connection, sizes: Mapping[str, int], *, at: datetime) -> None:
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
