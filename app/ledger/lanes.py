"""What accounts may do now: pauses, and how many tokens of a model may be enqueued."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, text

from app.policy import ceilings
from app.policy.ceilings import Room

#: Account and model of a provider, as rooms are known by.
RoomKey = tuple[str, str, str]


def pause(
    connection: Connection, *, provider: str, account: str, reason: str, at: datetime
) -> bool:
    """Stop submitting for an account; whether it was not paused before. Its jobs wait; none fails."""
    paused = connection.execute(
        text("""
            INSERT INTO lane (provider, account, model, paused_at, pause_reason)
            VALUES (:provider, :account, '', :at, :reason)
            ON CONFLICT (provider, account, model)
            DO UPDATE SET paused_at = EXCLUDED.paused_at, pause_reason = EXCLUDED.pause_reason
            WHERE lane.paused_at IS NULL
        """),
        {"provider": provider, "account": account, "at": at, "reason": reason},
    )
    return bool(paused.rowcount)


def resume(connection: Connection, *, provider: str, account: str, paused_before: datetime) -> bool:
    """Go on submitting for an account whose key works again; whether it had been paused."""
    resumed = connection.execute(
        text("""
            UPDATE lane SET paused_at = NULL, pause_reason = NULL
            WHERE provider = :provider AND account = :account AND model = ''
              AND paused_at < :paused_before
        """),
        {"provider": provider, "account": account, "paused_before": paused_before},
    )
    return bool(resumed.rowcount)


def rooms(connection: Connection) -> dict[RoomKey, Room]:
    """The room of every (provider, account, model) that the provider has refused a batch of."""
    rows = connection.execute(
        text("""
            SELECT lane.provider, lane.account, lane.model, lane.tokens_max,
                   coalesce(sum(pack.tokens_count) FILTER (WHERE submission.id IS NOT NULL), 0)
                     AS enqueued_tokens
            FROM lane
            LEFT JOIN pack ON pack.provider = lane.provider AND pack.account = lane.account
                          AND pack.model = lane.model AND pack.closed_at IS NULL
            LEFT JOIN submission ON submission.pack_id = pack.id AND submission.state IN
              ('planned', 'uploaded', 'sending', 'unknown', 'accepted')
            WHERE lane.tokens_max IS NOT NULL
            GROUP BY 1, 2, 3, 4
        """)
    )
    return {
        (row.provider, row.account, row.model): Room(row.tokens_max, int(row.enqueued_tokens))
        for row in rows
    }


def lower_ceiling(connection: Connection, *, provider: str, account: str, model: str) -> int:
    """Enqueue less from now on; the new ceiling. Call it while the refused pack still counts."""
    enqueued: int = connection.execute(
        text("""
            SELECT coalesce(sum(pack.tokens_count), 0) FROM pack
            JOIN submission ON submission.pack_id = pack.id AND submission.state = 'accepted'
            WHERE pack.provider = :provider AND pack.account = :account AND pack.model = :model
        """),
        {"provider": provider, "account": account, "model": model},
    ).scalar_one()
    before = _ceiling(connection, {"provider": provider, "account": account, "model": model})
    tokens_max = ceilings.lowered(before, enqueued_tokens=int(enqueued))
    connection.execute(
        text("""
            INSERT INTO lane (provider, account, model, tokens_max)
            VALUES (:provider, :account, :model, :tokens_max)
            ON CONFLICT (provider, account, model) DO UPDATE SET tokens_max = EXCLUDED.tokens_max
        """),
        {"provider": provider, "account": account, "model": model, "tokens_max": tokens_max},
    )
    return tokens_max


def raise_ceiling(connection: Connection, *, provider: str, account: str, model: str) -> None:
    """A batch went through: a little more may be enqueued where there is a ceiling at all."""
    where = {"provider": provider, "account": account, "model": model}
    before = _ceiling(connection, where)
    if before is not None:
        connection.execute(
            text("""
                UPDATE lane SET tokens_max = :tokens_max
                WHERE provider = :provider AND account = :account AND model = :model
            """),
            {**where, "tokens_max": ceilings.raised(before)},
        )


def _ceiling(connection: Connection, where: Mapping[str, str]) -> int | None:
    """The ceiling as it is, held until the transaction ends; None where there is none."""
    found: int | None = connection.execute(
        text("""
            SELECT tokens_max FROM lane
            WHERE provider = :provider AND account = :account AND model = :model FOR UPDATE
        """),
        where,
    ).scalar_one_or_none()
    return found
