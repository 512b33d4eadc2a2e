"""Who has read which result. Taking the same note in twice changes nothing."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from unhurried.readers import Declaration, PickUp

_PICKED_UP = text("""
    INSERT INTO pick_up (result_id, consumer, first_at, last_at)
    SELECT DISTINCT id, :consumer, CAST(:at AS timestamptz), CAST(:at AS timestamptz)
    FROM unnest(CAST(:ids AS uuid[])) AS m(id) ORDER BY id
    ON CONFLICT (result_id, consumer) DO UPDATE
      SET first_at = least(pick_up.first_at, excluded.first_at),
          last_at = greatest(pick_up.last_at, excluded.last_at)
""")

_SEEN = text("""
    INSERT INTO consumer (tenant, workload, name, max_staleness_s, owner, seen_at)
    VALUES (:tenant, :workload, :name, :max_staleness_s, :owner, :at)
    ON CONFLICT (tenant, workload, name) DO UPDATE
      SET max_staleness_s = excluded.max_staleness_s, owner = excluded.owner,
          seen_at = excluded.seen_at
      WHERE consumer.seen_at <= excluded.seen_at
""")


def record(connection: Connection, notes: Sequence[PickUp], *, at: datetime) -> int:
    """Record what was read, and the consumers as last declared; how many results were named.

    A reader's clock that runs ahead of the ledger's is taken for the ledger's.
    """
    count = 0
    for note in notes:
        moment = min(note.picked_up_at, at)
        name = note.consumer.name if note.consumer is not None else ""
        if note.consumer is not None:
            _seen(connection, note.consumer, moment)
        ids = sorted(note.result_ids)
        connection.execute(_PICKED_UP, {"ids": ids, "consumer": name, "at": moment})
        count += len(ids)
    return count


def _seen(connection: Connection, consumer: Declaration, at: datetime) -> None:
    connection.execute(_SEEN, {**consumer.model_dump(), "at": at})
