"""Prune what its own age decides: mails and webhooks, money, batches, what nobody could read, what people decided.

Each step is one short transaction over some hundred rows; rows that others hold are passed over. May be repeated and
run twice at once.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from app.policy.keeping import Cutoffs, Kind

#: Rows of one transaction.
ROWS_MAX: Final = 1000

_LIVE: Final = "('planned', 'uploaded', 'sending', 'unknown', 'accepted')"
#: A sweep holds providers' lists against the ledger from here on: a batch that it may list must be known.
_ACCOUNTED: Final = """(
    SELECT coalesce((SELECT clean_at FROM sweep
                     WHERE sweep.provider = {of}.provider AND sweep.account = {of}.account), began_at)
           - interval '1 day' FROM origin)"""
#: Of a job that is there: whoever looks `:ahead` counts on it to go before what it is in the way of.
_GOES_TOO: Final = "(:ahead AND job.settled_at < :before)"
_BATCH_OF_CHARGE: Final = "substr(charge.source, 7)"
#: What no batch of ours explains stays, and so does what a job that is there has cost: a line could be read
#: again, and booked again.
_CHARGES: Final = f"""booked_at < :before
    AND NOT EXISTS (SELECT FROM job WHERE job.id = charge.job_id AND NOT {_GOES_TOO})
    AND (source NOT LIKE 'batch:%'
      OR EXISTS (SELECT FROM submission WHERE submission.provider_batch_id = {_BATCH_OF_CHARGE}
                 AND submission.state NOT IN {_LIVE})
      OR EXISTS (SELECT FROM stray WHERE stray.provider = charge.provider
                 AND stray.provider_batch_id = {_BATCH_OF_CHARGE} AND stray.closed_at IS NOT NULL))
    AND NOT EXISTS (SELECT FROM stray WHERE stray.provider = charge.provider
                    AND stray.provider_batch_id = {_BATCH_OF_CHARGE} AND stray.closed_at IS NULL)
"""  # noqa: S608 - constants of this module
_BATCHES: Final = f"""created_at < :before
    AND created_at < {_ACCOUNTED.format(of="pack")}
    AND NOT EXISTS (SELECT FROM pack_item JOIN job ON job.id = pack_item.job_id
                    WHERE pack_item.pack_id = pack.id AND NOT {_GOES_TOO})
    AND NOT EXISTS (SELECT FROM submission WHERE submission.pack_id = pack.id AND (
      submission.state IN {_LIVE}
      OR greatest(submission.created_at, submission.ended_at, submission.collected_at,
                  submission.accepted_at) >= :before
      OR NOT :ahead AND EXISTS (SELECT FROM charge
                                WHERE charge.source = 'batch:' || submission.provider_batch_id)))
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One kind of rows: those that are old enough and that nothing needs."""

    kind: Kind
    table: str
    key: str
    #: Of `before`.
    which: str
    #: Which of the two cutoffs.
    content: bool
    #: What is done to them; deleted where this is empty.
    change: str = ""
    bytes: str = "0"
    #: What goes with them, first.
    first: tuple[str, ...] = ()


STEPS: Final = (
    Step(
        kind=Kind.NOTIFICATIONS_CONTENT,
        table="notification",
        key="id",
        which="""state IN ('done', 'dead', 'unknown') AND content_pruned_at IS NULL
                 AND next_at < :before""",
        content=True,
        change="payload = '{}', body = NULL, last_error = NULL, content_pruned_at = :at",
        bytes="octet_length(payload) + coalesce(octet_length(body), 0)",
    ),
    Step(
        kind=Kind.QUARANTINE_CONTENT,
        table="quarantine",
        key="id",
        which="at < :before AND octet_length(raw) > 0",
        content=True,
        change="raw = ''",
        bytes="octet_length(raw)",
    ),
    Step(
        kind=Kind.BATCHES_CONTENT,
        table="submission",
        key="id",
        which=f"""last_error IS NOT NULL AND created_at < :before AND state NOT IN {_LIVE}
                  AND coalesce(collected_at, ended_at, created_at) < :before""",
        content=True,
        change="last_error = NULL",
        bytes="octet_length(last_error)",
    ),
    # A submission's events quote its errors, of which it keeps the last one alone.
    Step(
        kind=Kind.BATCHES_CONTENT,
        table="event",
        key="id",
        which="""submission_id IS NOT NULL AND detail IS NOT NULL AND at < :before""",
        content=True,
        change="detail = NULL",
        bytes="octet_length(detail)",
    ),
    # Before its parts, or its counts would shrink.
    Step(
        kind=Kind.RUNS,
        table="run",
        key="id",
        which="ended_at < :before",
        content=False,
    ),
    Step(
        kind=Kind.NOTIFICATIONS,
        table="notification",
        key="id",
        which="content_pruned_at IS NOT NULL AND next_at < :before",
        content=False,
    ),
    Step(
        kind=Kind.PICK_UPS,
        table="pick_up",
        key="(result_id, consumer)",
        which="last_at < :before",
        content=False,
    ),
    Step(
        kind=Kind.CHARGES,
        table="charge",
        key="(source, line)",
        which=_CHARGES,
        content=False,
    ),
    Step(
        kind=Kind.BATCHES,
        table="pack",
        key="id",
        which=_BATCHES,
        content=False,
        first=(
            """DELETE FROM event WHERE id < (SELECT max(id) FROM event) AND submission_id IN (
               SELECT id FROM submission WHERE pack_id = ANY(:ids))""",
            "DELETE FROM submission WHERE pack_id = ANY(:ids)",
        ),
    ),
    Step(
        kind=Kind.STRAYS,
        table="stray",
        key="(provider, provider_batch_id)",
        which=f"""closed_at < :before
            AND coalesce(created_at, noted_at) < :before
            AND coalesce(created_at, noted_at) < {_ACCOUNTED.format(of="stray")}
            AND (:ahead OR NOT EXISTS (SELECT FROM charge
              WHERE charge.source = 'batch:' || stray.provider_batch_id))""",
        content=False,
    ),
    Step(
        kind=Kind.QUARANTINE,
        table="quarantine",
        key="id",
        which="at < :before AND octet_length(raw) = 0",
        content=False,
    ),
    Step(
        kind=Kind.ACTIONS,
        table="action",
        key="id",
        which="at < :before AND outcome IS NOT NULL",
        content=False,
    ),
    Step(
        kind=Kind.EVENTS,
        table="event",
        key="id",
        which="""job_id IS NULL AND submission_id IS NULL AND at < :before
                 AND id < (SELECT max(id) FROM event)""",
        content=False,
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Aged:
    """How many rows a step found, and what those that it emptied weighed."""

    count: int
    bytes_count: int


def take(connection: Connection, step: Step, cutoffs: Cutoffs, *, at: datetime) -> Aged:
    """Prune some rows of a step, ROWS_MAX at most; fewer say that no more are there now."""
    values = _values(step, cutoffs, ahead=False) | {"limit": ROWS_MAX}
    rows = connection.execute(
        text(f"""
            SELECT {step.key.strip("()")}, {step.bytes} AS weight FROM {step.table}
            WHERE {step.which} LIMIT :limit FOR UPDATE SKIP LOCKED
        """),  # noqa: S608 - constants of this module
        values,
    ).all()
    if rows:
        ids = [row[0] if not step.key.startswith("(") else tuple(row[:-1]) for row in rows]
        _prune(connection, step, ids, at)
    return Aged(count=len(rows), bytes_count=sum(row.weight for row in rows))


def _prune(connection: Connection, step: Step, ids: list[object], at: datetime) -> None:
    if step.key.startswith("("):
        names = step.key.strip("()").split(", ")
        connection.execute(
            text(f"DELETE FROM {step.table} WHERE " + " AND ".join(f"{n} = :{n}" for n in names)),  # noqa: S608 - constants of this module
            [dict(zip(names, one, strict=True)) for one in ids if isinstance(one, tuple)],
        )
        return
    for statement in step.first:
        connection.execute(text(statement), {"ids": ids})
    if step.change:
        changed = text(f"UPDATE {step.table} SET {step.change} WHERE {step.key} = ANY(:ids)")  # noqa: S608 - as above
        connection.execute(changed, {"ids": ids} | ({"at": at} if ":at" in step.change else {}))
    else:
        connection.execute(
            text(f"DELETE FROM {step.table} WHERE {step.key} = ANY(:ids)"),  # noqa: S608 - as above
            {"ids": ids},
        )


def weigh(connection: Connection, step: Step, cutoffs: Cutoffs) -> Aged:
    """What a step would find once the jobs before it are gone. Nothing is held or done."""
    row = connection.execute(
        text(f"""
            SELECT count(*) AS rows_count, coalesce(sum({step.bytes}), 0) AS bytes_count
            FROM {step.table} WHERE {step.which}
        """),  # noqa: S608 - constants of this module
        _values(step, cutoffs, ahead=True),
    ).one()
    return Aged(count=row.rows_count, bytes_count=int(row.bytes_count))


def _values(step: Step, cutoffs: Cutoffs, *, ahead: bool) -> dict[str, Any]:
    before = cutoffs.content_before if step.content else cutoffs.records_before
    return {"before": before} | ({"ahead": ahead} if ":ahead" in step.which else {})
