"""Settle result lines in transactions of some hundred: money booked, items closed, jobs moved."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.engine import Row

from app.ledger import moves
from app.policy.judging import Charge
from app.policy.lifecycle import Move
from app.policy.settling import Standing
from unhurried.contract import OnFailure

#: Rows read at a time where a whole pack streams through.
_PAGE = 5000


def open_jobs(connection: Connection, pack_id: UUID) -> set[UUID]:
    """Every job whose line of this pack is not settled yet."""
    rows = connection.execute(
        text("SELECT job_id FROM pack_item WHERE pack_id = :pack_id AND active"),
        {"pack_id": pack_id},
        execution_options={"yield_per": _PAGE},
    )
    return set(rows.scalars())


def standings(
    connection: Connection, pack_id: UUID, job_ids: Sequence[UUID]
) -> dict[UUID, Standing]:
    """How those of the jobs stand whose line of this pack is not settled yet.

    Each comes with its schema: ask for some hundred at a time.
    """
    rows = connection.execute(
        text("""
            SELECT pack_item.job_id, pack_item.attempt, job.uncounted, job.attempts_max, job.due_at,
                   job.cancel_requested_at IS NOT NULL AS cancel_requested,
                   job.on_failure, job.answer_schema
            FROM pack_item JOIN job ON job.id = pack_item.job_id
            WHERE pack_item.pack_id = :pack_id AND pack_item.active
              AND pack_item.job_id = ANY(CAST(:job_ids AS uuid[]))
        """),
        {"pack_id": pack_id, "job_ids": list(job_ids)},
    )
    return {row.job_id: standing(row) for row in rows}


def standing(row: Row[Any]) -> Standing:
    """How a job stands, from a row with its columns and with `attempt` as the one that ends."""
    return Standing(
        job_id=row.job_id,
        attempt=row.attempt,
        counted=row.attempt - row.uncounted,
        attempts_max=row.attempts_max,
        due_at=row.due_at,
        cancel_requested=row.cancel_requested,
        tries_flaws_again=row.on_failure == OnFailure.RETRY,
        answer_schema=row.answer_schema,
    )


def tokens(connection: Connection, pack_id: UUID) -> tuple[str | None, set[UUID]]:
    """The token of the pack's live submission, and every job the pack was made of."""
    token = connection.execute(
        text("SELECT token FROM submission WHERE pack_id = :id AND state = 'accepted'"),
        {"id": pack_id},
    ).scalar_one_or_none()
    jobs = connection.execute(
        text("SELECT job_id FROM pack_item WHERE pack_id = :id"), {"id": pack_id}
    )
    return token, set(jobs.scalars())


def settle(
    connection: Connection,
    pack_id: UUID,
    decided: Sequence[Move],
    charges: Sequence[Charge],
    *,
    at: datetime,
) -> set[UUID]:
    """Book the lines and move their jobs, once; the jobs that moved. May be repeated in any split.

    A charge is booked even where its job has long ended: the provider billed it.
    """
    closed = connection.execute(
        text("""
            UPDATE pack_item SET active = false
            WHERE pack_id = :pack_id AND active AND job_id = ANY(CAST(:ids AS uuid[]))
            RETURNING job_id
        """),
        {"pack_id": pack_id, "ids": [move.job_id for move in decided]},
    )
    first = set(closed.scalars())
    moved = moves.apply(connection, [move for move in decided if move.job_id in first], at=at)
    book(connection, charges, at=at)
    return moved


def book(connection: Connection, charges: Sequence[Charge], *, at: datetime) -> None:
    """Book billed lines; one that is booked already stays as it is.

    Each counts for the day on which its attempt was opened; an unknown price as the job's ceiling.
    """
    if not charges:
        return
    connection.execute(
        text("""
            WITH booked AS (
            INSERT INTO charge (source, line, provider, account, tenant, job_id, model, batch, usage,
                                nano_usd, booked_at)
            SELECT m.source, m.line, m.provider, m.account, job.tenant, m.job_id, m.model, m.batch,
                   m.usage, m.nano_usd, :at
            FROM unnest(
              CAST(:sources AS text[]), CAST(:lines AS text[]), CAST(:providers AS text[]),
              CAST(:accounts AS text[]), CAST(:job_ids AS uuid[]), CAST(:models AS text[]),
              CAST(:batches AS boolean[]), CAST(:usages AS bytea[]), CAST(:nanos AS bigint[])
            ) AS m(source, line, provider, account, job_id, model, batch, usage, nano_usd)
            LEFT JOIN job ON job.id = m.job_id
            ON CONFLICT DO NOTHING
            RETURNING provider, account, job_id, nano_usd
            )
            INSERT INTO spend (provider, account, day, nano_usd)
            SELECT booked.provider, booked.account,
                   (COALESCE(attempt.opened_at, :at) AT TIME ZONE 'UTC')::date,
                   sum(COALESCE(booked.nano_usd, job.ceiling_nano_usd, 0))
            FROM booked
            LEFT JOIN job ON job.id = booked.job_id
            LEFT JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempt
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            ON CONFLICT (provider, account, day)
            DO UPDATE SET nano_usd = spend.nano_usd + EXCLUDED.nano_usd
        """),
        {
            "sources": [charge.source for charge in charges],
            "lines": [charge.line for charge in charges],
            "providers": [charge.provider for charge in charges],
            "accounts": [charge.account for charge in charges],
            "job_ids": [charge.job_id for charge in charges],
            "models": [charge.model for charge in charges],
            "batches": [charge.batch for charge in charges],
            "usages": [json.dumps(asdict(charge.usage)).encode() for charge in charges],
            "nanos": [charge.nano_usd for charge in charges],
            "at": at,
        },
    )
