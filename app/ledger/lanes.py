"""What accounts may do now: pauses, and how many tokens of a model may be enqueued."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from app.policy import ceilings
from app.policy.ceilings import Room


@dataclass(frozen=True, slots=True)
class LaneName:
    """What a person pauses: an account, or one model of it."""

    provider: str
    account: str
    #: Empty for the whole account.
    model: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.provider, self.account, self.model) if part)

    @property
    def columns(self) -> dict[str, str]:
        """By the names of the table."""
        return {"provider": self.provider, "account": self.account, "model": self.model}


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


def rest(connection: Connection, *, provider: str, account: str, until: datetime) -> None:
    """Let no look that succeeds resume an account's paused lane before `until`; a person may at any time."""
    connection.execute(
        text("""
            UPDATE lane SET not_before = greatest(not_before, :until)
            WHERE provider = :provider AND account = :account AND model = ''
              AND paused_at IS NOT NULL
        """),
        {"provider": provider, "account": account, "until": until},
    )


def resume(
    connection: Connection,
    *,
    provider: str,
    account: str,
    at: datetime,
    rested: timedelta = timedelta(0),
) -> bool:
    """Go on submitting for an account whose key works again; whether it had been paused, and `rested`.

    What a person has paused stays so, and so does what is to rest for longer.
    """
    resumed = connection.execute(
        text("""
            UPDATE lane SET paused_at = NULL, pause_reason = NULL, not_before = NULL
            WHERE provider = :provider AND account = :account AND model = ''
              AND paused_at < :paused_before AND paused_by IS NULL
              AND (not_before IS NULL OR not_before <= :at)
        """),
        {"provider": provider, "account": account, "at": at, "paused_before": at - rested},
    )
    return bool(resumed.rowcount)


def pause_by_person(
    connection: Connection, lane: LaneName, *, who: str, reason: str, at: datetime
) -> bool:
    """Send nothing more of a lane until a person resumes it; False where a person had paused it before."""
    paused = connection.execute(
        text("""
            INSERT INTO lane (provider, account, model, paused_at, pause_reason, paused_by)
            VALUES (:provider, :account, :model, :at, :reason, :who)
            ON CONFLICT (provider, account, model)
            DO UPDATE SET paused_at = EXCLUDED.paused_at, pause_reason = EXCLUDED.pause_reason,
                          paused_by = EXCLUDED.paused_by
            WHERE lane.paused_by IS NULL
        """),
        {**lane.columns, "at": at, "reason": reason, "who": who},
    )
    return bool(paused.rowcount)


def resume_by_person(connection: Connection, lane: LaneName) -> bool:
    """Go on with a lane, whoever had paused it; whether it was paused."""
    resumed = connection.execute(
        text("""
            UPDATE lane SET paused_at = NULL, pause_reason = NULL, paused_by = NULL,
                            not_before = NULL
            WHERE provider = :provider AND account = :account AND model = :model
              AND paused_at IS NOT NULL
        """),
        lane.columns,
    )
    return bool(resumed.rowcount)


def flush(connection: Connection, wanted: Mapping[str, str], *, at: datetime) -> int:
    """Let jobs that wait for a batch now go without company; how many they are.

    `wanted` narrows them down by `provider`, `account` and `model`.
    """
    names = [name for name in ("provider", "account", "model") if wanted.get(name)]
    where = "".join(f" AND {name} = :{name}" for name in names)
    found = connection.execute(
        text(f"""
            SELECT provider, account, model, count(*) AS jobs_count FROM job
            WHERE state = 'waiting' AND tier = 'batch' AND ready_at <= :at{where}
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """),  # noqa: S608 - names of columns out of a constant
        {**wanted, "at": at},
    ).all()
    for row in found:
        connection.execute(
            text("""
                INSERT INTO lane (provider, account, model, flushed_at)
                VALUES (:provider, :account, :model, :at)
                ON CONFLICT (provider, account, model) DO UPDATE SET flushed_at = EXCLUDED.flushed_at
            """),
            {"provider": row.provider, "account": row.account, "model": row.model, "at": at},
        )
    return sum(row.jobs_count for row in found)


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
