"""Provider batches that no submission stands behind: ours to be booked, others' to be left alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, select, text, update

from app.ledger import schema


class Place(Protocol):
    """Where a batch is, and what is in it; a submission says as much."""

    @property
    def provider(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def model(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Found:
    """The place of a batch that was found in a list."""

    provider: str
    account: str
    endpoint: str
    #: Empty where the list does not say.
    model: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stray:
    """A batch of ours that nobody waits for, or that this ledger has forgotten."""

    provider: str
    provider_batch_id: str
    account: str
    endpoint: str
    model: str
    #: Made before this ledger was restored: not cancelled, and what it answers is used.
    wanted: bool
    created_at: datetime | None
    noted_at: datetime
    cancelled_at: datetime | None


def note(
    connection: Connection,
    place: Place,
    batch_id: str,
    *,
    ours: bool,
    reason: str,
    at: datetime,
    created_at: datetime | None = None,
    wanted: bool = False,
) -> bool:
    """Remember a batch that no submission stands behind; whether it is new.

    One of ours is left to be cancelled and booked; a `wanted` one to be brought in. May be repeated. One that
    a submission has taken meanwhile is none.
    """
    return bool(
        connection.execute(
            text("""
                INSERT INTO stray (provider, provider_batch_id, account, ours, endpoint, model, reason,
                                   wanted, created_at, noted_at, poll_at, closed_at)
                SELECT :provider, CAST(:batch_id AS text), :account, :ours, :endpoint, :model, :reason,
                       :wanted, CAST(:created_at AS timestamptz), CAST(:at AS timestamptz), :at,
                       CASE WHEN :ours THEN NULL ELSE CAST(:at AS timestamptz) END
                WHERE NOT EXISTS (SELECT FROM submission
                                  WHERE provider = :provider AND provider_batch_id = :batch_id)
                ON CONFLICT DO NOTHING
            """),
            {
                "provider": place.provider,
                "batch_id": batch_id,
                "account": place.account,
                "ours": ours,
                "endpoint": place.endpoint,
                "model": place.model,
                "reason": reason,
                "wanted": wanted,
                "created_at": created_at,
                "at": at,
            },
        ).rowcount
    )


def due(connection: Connection, *, at: datetime, limit: int) -> list[Stray]:
    """Open strays of ours whose next look is due at `at`, the most overdue first."""
    table = schema.stray
    rows = connection.execute(
        select(
            table.c.provider,
            table.c.provider_batch_id,
            table.c.account,
            table.c.endpoint,
            table.c.model,
            table.c.wanted,
            table.c.created_at,
            table.c.noted_at,
            table.c.cancelled_at,
        )
        .where(table.c.closed_at.is_(None))
        .where(table.c.poll_at <= at)
        .order_by(table.c.poll_at)
        .limit(limit)
    )
    return [Stray(**row._asdict()) for row in rows]


def update_one(connection: Connection, stray: Stray, **fields: Any) -> None:
    """Record what was seen or done: `poll_at`, `cancelled_at`, `closed_at`."""
    connection.execute(
        update(schema.stray)
        .where(schema.stray.c.provider == stray.provider)
        .where(schema.stray.c.provider_batch_id == stray.provider_batch_id)
        .values(**fields)
    )
