"""How far an account's list of batches is accounted for, and whether this ledger is the one it was."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from app.ledger import schema, submissions
from app.ledger.submissions import Submission
from app.policy.lifecycle import SubmissionState
from app.policy.names import Mark
from app.policy.sweeping import Unmarked, Verdict, verdict


@dataclass(frozen=True, slots=True)
class Witness:
    """An event of this ledger. One that was restored from a backup has lost it, or has another there."""

    id: int
    at: datetime


def origin(connection: Connection) -> UUID:
    """Which ledger this is; the same for every copy of it."""
    found: UUID = connection.execute(text("SELECT id FROM origin")).scalar_one()
    return found


def witness(connection: Connection) -> Witness | None:
    """The newest event; None in a ledger where nothing has happened yet."""
    row = connection.execute(
        text("SELECT id, at FROM event ORDER BY id DESC LIMIT 1")
    ).one_or_none()
    return Witness(row.id, row.at) if row else None


def remembers(connection: Connection, seen: Witness | None) -> bool:
    """Whether what was seen is still there."""
    if seen is None:
        return True
    found = connection.execute(
        text("SELECT 1 FROM event WHERE id = :id AND at = :at"), {"id": seen.id, "at": seen.at}
    )
    return found.scalar_one_or_none() is not None


def accounted_until(connection: Connection, *, provider: str, account: str) -> datetime:
    """Every batch of the account made before this moment is accounted for."""
    found: datetime = connection.execute(
        text("""
            SELECT coalesce(
              (SELECT clean_at FROM sweep WHERE provider = :provider AND account = :account),
              began_at
            ) FROM origin
        """),
        {"provider": provider, "account": account},
    ).scalar_one()
    return found


def note(
    connection: Connection,
    *,
    provider: str,
    account: str,
    began_at: datetime,
    held_because: str | None,
) -> bool:
    """Record a look that began at a moment; whether what it found differs from the last one's."""
    before = connection.execute(
        text("SELECT held_because FROM sweep WHERE provider = :provider AND account = :account"),
        {"provider": provider, "account": account},
    ).one_or_none()
    connection.execute(
        text("""
            INSERT INTO sweep (provider, account, clean_at, looked_at, held_because)
            VALUES (:provider, :account, CASE WHEN CAST(:reason AS text) IS NULL
                                              THEN CAST(:at AS timestamptz) END, :at, :reason)
            ON CONFLICT (provider, account) DO UPDATE SET
              clean_at = coalesce(excluded.clean_at, sweep.clean_at),
              looked_at = excluded.looked_at, held_because = excluded.held_because
        """),
        {"provider": provider, "account": account, "at": began_at, "reason": held_because},
    )
    return (before.held_because if before else None) != held_because


def of_token(connection: Connection, token: str) -> Submission | None:
    """The submission that a mark names."""
    found = connection.execute(
        text("SELECT id FROM submission WHERE token = :token"), {"token": token}
    ).scalar_one_or_none()
    return submissions.find(connection, found) if found is not None else None


def named_by(
    connection: Connection, mark: Mark | Unmarked, *, deployment: str
) -> tuple[Submission | None, Verdict]:
    """The submission that a batch's mark names, and what that makes of the batch."""
    named = of_token(connection, mark.token) if isinstance(mark, Mark) else None
    what = verdict(
        mark,
        deployment=deployment,
        submission=named.state if named else None,
        on_trial=named is not None and named.is_on_trial,
    )
    return named, what


def tokens_of_files(
    connection: Connection, *, provider: str, file_ids: Collection[str]
) -> dict[str, str]:
    """The tokens of submissions by the input files that they were uploaded as."""
    rows = connection.execute(
        text("""
            SELECT file_id, token FROM submission
            WHERE provider = :provider AND file_id = ANY(CAST(:ids AS text[]))
        """),
        {"provider": provider, "ids": list(file_ids)},
    )
    return {row.file_id: row.token for row in rows}


def wanted_count(connection: Connection, *, provider: str) -> int:
    """Batches of ours that this ledger has forgotten and whose answers are not in yet.

    Of all the provider's accounts: which of them made one, nobody knows.
    """
    count: int = connection.execute(
        text("""
            SELECT count(*) FROM stray
            WHERE provider = :provider AND wanted AND closed_at IS NULL
        """),
        {"provider": provider},
    ).scalar_one()
    return count


def is_unsettled(connection: Connection, *, provider: str) -> bool:
    """Whether a create at the provider has got no clear reply yet."""
    table = schema.submission
    found = connection.execute(
        table.select()
        .where(table.c.provider == provider)
        .where(table.c.state.in_([SubmissionState.SENDING, SubmissionState.UNKNOWN]))
        .limit(1)
    )
    return found.first() is not None
