"""Webhooks of the outbox: taken one receiver at a time, so that a receiver that fails stops no other."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from app.ledger.notifications import Due


@dataclass(frozen=True, kw_only=True, slots=True)
class DueWebhook:
    """A webhook to be sent now."""

    due: Due
    #: What every try sends; None before the first.
    body: bytes | None


def due_receivers(connection: Connection, *, at: datetime) -> list[str]:
    """Whom something is due for that may be sent now, whether the settings know them or not."""
    return list(
        connection.execute(
            text("""
                SELECT DISTINCT notification.receiver
                FROM notification LEFT JOIN receiver ON receiver.name = notification.receiver
                WHERE notification.state = 'new' AND notification.receiver IS NOT NULL
                  AND next_at <= :at AND (leased_until IS NULL OR leased_until < :at)
                  AND (slow_until IS NULL OR slow_until <= :at)
                ORDER BY notification.receiver
            """),
            {"at": at},
        ).scalars()
    )


def claim(
    connection: Connection, receiver: str, *, at: datetime, lease: timedelta
) -> DueWebhook | None:
    """Take one webhook of a receiver that may be sent to now; nobody else takes it within the lease.

    A sender that dies leaves it to be sent again when the lease is over: the receiver knows it by its
    id.
    """
    row = connection.execute(
        text("""
            UPDATE notification SET leased_until = :until, attempts = attempts + 1
            WHERE id = (
              SELECT id FROM notification
              WHERE state = 'new' AND receiver = :receiver AND next_at <= :at
                AND (leased_until IS NULL OR leased_until < :at)
                AND NOT EXISTS (
                  SELECT FROM receiver WHERE receiver.name = :receiver AND slow_until > :at
                )
              ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED
            )
            RETURNING id, tenant, kind, ticket_id, job_id, payload, attempts, attempts_before,
                      created_at, body
        """),
        {"receiver": receiver, "at": at, "until": at + lease},
    ).one_or_none()
    return None if row is None else _due(row)


def set_body(connection: Connection, notification_id: UUID, body: bytes) -> None:
    """Keep the bytes that every try sends."""
    connection.execute(
        text("UPDATE notification SET body = :body WHERE id = :id AND body IS NULL"),
        {"id": notification_id, "body": body},
    )


def output(connection: Connection, job_id: UUID, *, bytes_max: int) -> str | None:
    """A job's answer as text, for a receiver that wants it; None for one of more than `bytes_max`.

    That stays in the ledger: the vectors of one call are 50 MB, and every receiver's thread would hold them.
    """
    found = connection.execute(
        text("SELECT output FROM job WHERE id = :id AND octet_length(output) <= :bytes_max"),
        {"id": job_id, "bytes_max": bytes_max},
    ).scalar_one_or_none()
    return None if found is None else bytes(found).decode()


def slow_down(
    connection: Connection, receiver: str, *, at: datetime, pause: Callable[[int], timedelta]
) -> int:
    """Leave a receiver alone for a while; how many failures in a row that makes."""
    failures: int = connection.execute(
        text("""
            INSERT INTO receiver (name, failures, slow_until) VALUES (:name, 1, :at)
            ON CONFLICT (name) DO UPDATE SET failures = receiver.failures + 1
            RETURNING failures
        """),
        {"name": receiver, "at": at},
    ).scalar_one()
    connection.execute(
        text("UPDATE receiver SET slow_until = greatest(slow_until, :until) WHERE name = :name"),
        {"name": receiver, "until": at + pause(failures)},
    )
    return failures


def recovered(connection: Connection, receiver: str) -> None:
    """A receiver took something: it is well."""
    connection.execute(text("DELETE FROM receiver WHERE name = :name"), {"name": receiver})


def _due(row: Row[Any]) -> DueWebhook:
    fields = row._asdict()
    body = fields.pop("body")
    payload = json.loads(bytes(fields.pop("payload")))
    return DueWebhook(
        due=Due(**fields, payload=payload), body=None if body is None else bytes(body)
    )
