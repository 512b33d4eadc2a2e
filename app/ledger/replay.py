"""Settled results of a workload in an order that never changes: what a consumer rebuilds its state from."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from app.policy.ends import JobEnd

_JOB: Final = [name for name in JobEnd.__dataclass_fields__ if name != "job_id"]
#: Results that one transaction numbers.
NUMBERED_MAX: Final = 10_000

_NUMBER: Final = text("""
    WITH settled AS MATERIALIZED (
      SELECT id, row_number() OVER (ORDER BY settled_at, id) AS place FROM job
      WHERE tenant = :tenant AND workload = :workload AND replay_number IS NULL
        AND state IN ('succeeded', 'failed', 'expired', 'cancelled')
      ORDER BY settled_at, id LIMIT :limit
    ), counted AS (
      SELECT count(*) AS jobs FROM settled
    ), reserved AS MATERIALIZED (
      SELECT jobs, setval('job_replay_number', jobs + greatest(
        last_value, CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)
      )) AS last FROM job_replay_number, counted WHERE jobs > 0
    )
    UPDATE job SET replay_number = reserved.last - reserved.jobs + settled.place
    FROM settled, reserved WHERE job.id = settled.id
      -- Looked at once more where another transaction had the row: reopened by it, a job settles later, and a
      -- number of now would lie below the cursors of then.
      AND job.replay_number IS NULL AND job.state IN ('succeeded', 'failed', 'expired', 'cancelled')
""")

# Workload by workload, each a look at the index: numbers have none of their own.
_ELSEWHERE: Final = text("""
    WITH RECURSIVE known AS (
      (SELECT workload FROM job WHERE tenant = :tenant AND replay_number IS NOT NULL
       ORDER BY workload LIMIT 1)
      UNION ALL
      SELECT (
        SELECT workload FROM job
        WHERE tenant = :tenant AND replay_number IS NOT NULL AND workload > known.workload
        ORDER BY workload LIMIT 1
      ) FROM known WHERE known.workload IS NOT NULL
    )
    SELECT EXISTS (
      SELECT FROM known CROSS JOIN LATERAL (
        SELECT endpoint FROM job
        WHERE tenant = :tenant AND workload = known.workload AND replay_number = :number LIMIT 1
      ) AS found
      WHERE known.workload <> :workload OR found.endpoint <> :endpoint
    )
""")


@dataclass(frozen=True, slots=True)
class Numbered:
    """One result and its place."""

    number: int
    job: JobEnd


def number(connection: Connection, *, tenant: str, workload: str) -> int:
    """Give the settled results of a workload that have none their numbers; how many there were.

    One transaction at a time does so, whatever the workload: the lock is held until its commit. So nothing
    ever becomes visible below a number that somebody has seen; a sequence, or the time of settling, taken
    in the settling transactions themselves could not promise that, since they commit in any order.

    A number is what the ledger's clock says, in microseconds since 1970, or one more than the last where that
    is more. The sequence alone would not do: it goes back with a ledger that is restored from a backup, under
    cursors that consumers have. The clock alone would not either: it may be set back. Earlier versions count
    on in the sequence, and may run beside this one.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('unhurried.replay'))"))
    return connection.execute(
        _NUMBER, {"tenant": tenant, "workload": workload, "limit": NUMBERED_MAX}
    ).rowcount


def results(
    connection: Connection,
    *,
    tenant: str,
    workload: str,
    endpoint: str,
    after: int,
    limit: int,
    bytes_max: int,
) -> tuple[list[Numbered], bool]:
    """Numbered results of an endpoint beyond a number, in order, and whether there are more.

    At most `limit`, whose outputs and calls of tools are within `bytes_max` but for the last one.
    """
    rows = connection.execute(
        text(f"""
            WITH next AS (
              SELECT replay_number, id, coalesce(octet_length(output), 0)
                       + coalesce(octet_length(tool_calls), 0) AS bytes FROM job
              WHERE tenant = :tenant AND workload = :workload AND endpoint = :endpoint
                AND replay_number > :after
              ORDER BY replay_number LIMIT :limit + 1
            ), page AS (
              SELECT replay_number, id, count(*) OVER () AS found,
                     coalesce(sum(bytes) OVER (
                       ORDER BY replay_number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                     ), 0) AS bytes_before
              FROM next
            )
            SELECT page.replay_number AS number, page.found, job.id, {", ".join(_JOB)}
            FROM page JOIN job ON job.id = page.id
            WHERE bytes_before <= :bytes_max ORDER BY page.replay_number LIMIT :limit
        """),  # noqa: S608 - column names are constants of this module
        {
            "tenant": tenant,
            "workload": workload,
            "endpoint": endpoint,
            "after": after,
            "limit": limit,
            "bytes_max": bytes_max,
        },
    ).all()
    found = [
        Numbered(row.number, JobEnd(job_id=row.id, **{name: getattr(row, name) for name in _JOB}))
        for row in rows
    ]
    return found, bool(rows) and rows[0].found > len(rows)


def is_elsewhere(
    connection: Connection, *, tenant: str, workload: str, endpoint: str, number: int
) -> bool:
    """Whether a number is known to be of another workload, or endpoint, of the tenant.

    Going on behind it would pass over results: all workloads draw from one row of numbers. One that is nobody's
    (pruned since, reopened, or forgotten by a ledger that was restored) is as good as any.
    """
    found: bool = connection.execute(
        _ELSEWHERE,
        {"tenant": tenant, "workload": workload, "endpoint": endpoint, "number": number},
    ).scalar_one()
    return found
