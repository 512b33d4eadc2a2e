"""Jobs as people list them, and what a deployment has to know of its models and accounts. Reads, never locks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

#: Rows of one list at most.
ROWS_MAX: Final = 1000
_LATELY: Final = timedelta(days=7)
_UNDER_WAY: Final = ("waiting", "in_flight")
_COLUMNS: Final = """
    id, state, tier, provider, account, model, workload, subject, key, attempt,
    outcome, error_code, admitted_at, ready_at, due_at, settled_at, content_pruned_at
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLine:
    """One job in a list: names, states and times, never a prompt or an answer."""

    id: UUID
    state: str
    tier: str
    provider: str
    account: str
    model: str
    workload: str | None
    subject: str | None
    key: str | None
    attempt: int
    outcome: str | None
    error_code: str | None
    admitted_at: datetime
    ready_at: datetime
    due_at: datetime | None
    settled_at: datetime | None
    #: When what was asked and answered was pruned; None while it is there.
    content_pruned_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFilter:
    """Which jobs; None is any."""

    state: str | None = None
    tier: str | None = None
    provider: str | None = None
    workload: str | None = None


def jobs(connection: Connection, wanted: JobFilter, *, limit: int) -> Sequence[JobLine]:
    """Jobs that fit: those that wait or are in flight longest waiting first, ended ones newest first."""
    narrower = "".join(
        f" AND {name} = :{name}"
        for name in ("tier", "provider", "workload")
        if getattr(wanted, name) is not None
    )
    states = _UNDER_WAY if wanted.state is None else (wanted.state,)
    ends = wanted.state not in (None, *_UNDER_WAY)
    order = "settled_at DESC" if ends else "ready_at"
    settled = " AND settled_at IS NOT NULL" if ends else ""
    # Each state has an index of its own.
    of_states = " UNION ALL ".join(
        f"(SELECT {_COLUMNS} FROM job WHERE state = :state_{place}{settled}{narrower}"  # noqa: S608 - as below
        f" ORDER BY {order} LIMIT :limit)"
        for place in range(len(states))
    )
    rows = connection.execute(
        text(f"SELECT * FROM ({of_states}) AS found ORDER BY {order} LIMIT :limit"),  # noqa: S608 - names of this module
        {
            **{f"state_{place}": state for place, state in enumerate(states)},
            "tier": wanted.tier,
            "provider": wanted.provider,
            "workload": wanted.workload,
            "limit": min(limit, ROWS_MAX),
        },
    )
    return [JobLine(**row._asdict()) for row in rows]


def models(connection: Connection, *, at: datetime) -> list[tuple[str, str]]:
    """Providers' models that batches went to lately, or will."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT pack.provider, pack.model
            FROM submission JOIN pack ON pack.id = submission.pack_id
            WHERE submission.state IN ('planned', 'uploaded', 'sending', 'unknown', 'accepted')
               OR submission.state = 'collected' AND submission.collected_at >= :since
            ORDER BY 1, 2 LIMIT :limit
        """),
        {"since": at - _LATELY, "limit": ROWS_MAX},
    )
    return [(row.provider, row.model) for row in rows]


def receivers_awaited(connection: Connection) -> list[str]:
    """Receivers of webhooks that something is staged for."""
    rows = connection.execute(
        text("""
            SELECT DISTINCT receiver FROM notification
            WHERE state = 'new' AND receiver IS NOT NULL LIMIT :limit
        """),
        {"limit": ROWS_MAX},
    )
    return sorted(rows.scalars())


def mails_wait(connection: Connection) -> bool:
    """Whether a mail is staged."""
    found: Any = connection.execute(
        text("""
            SELECT 1 FROM notification WHERE state IN ('new', 'sending') AND receiver IS NULL LIMIT 1
        """)
    ).scalar_one_or_none()
    return found is not None
