"""Waiting jobs as packing sees them, and packs once they are decided."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Connection, insert, text

from app.ledger import moves, schema, spending
from app.policy.lifecycle import SubmissionState
from app.policy.names import submission_token
from app.policy.packing import Candidate, LaneKey, PackPlan
from unhurried.contract import Tier

#: Two of the largest provider batches: a backlog drains at full pack size within bounded memory.
CANDIDATES_MAX = 200_000

#: Rows read at a time where a whole pack streams through.
_PAGE = 500
_CANDIDATES_PAGE = 5000


def candidates(
    connection: Connection,
    *,
    at: datetime,
    closed: Collection[tuple[str, str]] = (),
    limit: int = CANDIDATES_MAX,
) -> list[Candidate]:
    """Batch jobs that may be packed at `at`, oldest first, lanes that are paused left out.

    So are those of `closed` accounts (provider, account).
    """
    rows = connection.execute(
        text("""
            SELECT job.id, job.provider, job.account, job.endpoint, job.model, job.betas,
                   job.request_bytes, job.request_tokens, job.request_inputs,
                   job.prefix_digest, job.ready_at, job.due_at,
                   coalesce(flush.flushed_at >= job.ready_at, false) AS flushed
            FROM job
            LEFT JOIN lane AS flush ON flush.provider = job.provider
                          AND flush.account = job.account AND flush.model = job.model
            LEFT JOIN lane ON lane.provider = job.provider AND lane.account = job.account
                          AND lane.model IN ('', job.model)
                          AND (lane.paused_at IS NOT NULL OR lane.not_before > :at)
            WHERE job.state = 'waiting' AND job.tier = 'batch' AND job.ready_at <= :at
              AND lane.provider IS NULL AND job.cancel_requested_at IS NULL
              -- Nobody has ended it yet, and an answer would be of no use.
              AND (job.due_at IS NULL OR job.due_at > :at)
              AND (job.provider, job.account) NOT IN (
                SELECT * FROM unnest(CAST(:providers AS text[]), CAST(:accounts AS text[]))
              )
            ORDER BY job.ready_at LIMIT :limit
        """),
        {
            "at": at,
            "limit": limit,
            "providers": [provider for provider, _ in closed],
            "accounts": [account for _, account in closed],
        },
        execution_options={"yield_per": _CANDIDATES_PAGE},
    )
    lanes: dict[tuple[str, str, str, str, str], LaneKey] = {}
    found = []
    for row in rows:
        words = (row.provider, row.account, row.endpoint, row.model, row.betas)
        found.append(
            Candidate(
                job_id=row.id,
                lane=lanes.setdefault(words, LaneKey(*words)),
                request_bytes=row.request_bytes,
                tokens=row.request_tokens,
                inputs=row.request_inputs,
                prefix=bytes(row.prefix_digest),
                ready_at=row.ready_at,
                due_at=row.due_at,
                flushed=row.flushed,
            )
        )
    return found


def make(
    connection: Connection, plan: PackPlan, *, at: datetime, limit_nano_usd: int | None = None
) -> UUID | None:
    """Record a pack, its first submission and an attempt of each job, in one transaction.

    Jobs that stopped waiting meanwhile are left out, and so are those that would take the account over
    what it may spend today; None where none is left. The partial unique
    index on live items refuses a job that is in another live pack.
    """
    pack_id, submission_id = uuid4(), uuid4()
    ids = spending.affordable(
        connection,
        [candidate.job_id for candidate in plan.jobs],
        provider=plan.lane.provider,
        account=plan.lane.account,
        tier=Tier.BATCH,
        limit_nano_usd=limit_nano_usd,
        at=at,
    )
    taken = moves.take_off(connection, ids, tier=Tier.BATCH, submission_id=submission_id, at=at)
    ordered = [job_id for job_id in ids if job_id in taken]
    if not ordered:
        return None
    _insert_pack(connection, plan, pack_id, set(ordered), at)
    insert_items(connection, pack_id, [(job_id, taken[job_id]) for job_id in ordered])
    plan_submission(connection, pack_id, submission_id, plan.lane, attempt=1, at=at)
    return submission_id


def _insert_pack(
    connection: Connection, plan: PackPlan, pack_id: UUID, taken: set[UUID], at: datetime
) -> None:
    left_out = [candidate for candidate in plan.jobs if candidate.job_id not in taken]
    connection.execute(
        insert(schema.pack).values(
            id=pack_id,
            provider=plan.lane.provider,
            account=plan.lane.account,
            endpoint=plan.lane.endpoint,
            model=plan.lane.model,
            betas=plan.lane.betas,
            jobs_count=len(taken),
            bytes_count=plan.bytes_count - sum(job.request_bytes for job in left_out),
            tokens_count=plan.tokens_count - sum(job.tokens for job in left_out),
            reason=plan.reason,
            created_at=at,
        )
    )


def insert_items(connection: Connection, pack_id: UUID, items: Sequence[tuple[UUID, int]]) -> None:
    """Put (job, attempt) pairs into a pack, in this order."""
    connection.execute(
        text("""
            INSERT INTO pack_item (pack_id, seq, job_id, attempt, active)
            SELECT :pack_id, m.seq - 1, m.job_id, m.attempt, true
            FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[]))
                 WITH ORDINALITY AS m(job_id, attempt, seq)
        """),
        {
            "pack_id": pack_id,
            "ids": [job_id for job_id, _ in items],
            "attempts": [attempt for _, attempt in items],
        },
    )


def plan_submission(
    connection: Connection,
    pack_id: UUID,
    submission_id: UUID,
    lane: LaneKey,
    *,
    attempt: int,
    at: datetime,
) -> None:
    """Record that a pack is to be handed over. One live submission a pack, by index."""
    connection.execute(
        insert(schema.submission).values(
            id=submission_id,
            token=submission_token(submission_id),
            pack_id=pack_id,
            attempt=attempt,
            provider=lane.provider,
            account=lane.account,
            workspace=f"{lane.provider}/{lane.account}",
            state=SubmissionState.PLANNED,
            created_at=at,
        )
    )


def requests(connection: Connection, pack_id: UUID) -> Iterator[tuple[UUID, bytes]]:
    """Every request of a pack in body order, streamed: memory holds one page of them."""
    rows = connection.execute(
        text("""
            SELECT pack_item.job_id, job.request FROM pack_item
            JOIN job ON job.id = pack_item.job_id
            WHERE pack_item.pack_id = :pack_id ORDER BY pack_item.seq
        """),
        {"pack_id": pack_id},
        execution_options={"yield_per": _PAGE},
    )
    for row in rows:
        yield row.job_id, bytes(row.request)
