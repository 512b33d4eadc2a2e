"""What pages say for people where commands and metrics have one word."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from app.policy.changing import unended
from app.policy.findings import FindingName, Severity, counted
from app.policy.health import Health

HEALTH_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        Health.STUCK: "stuck",
        Health.OVERDUE: "overdue",
        Health.UNREAD: "not picked up",
        Health.SLOW: "long, within its time",
        Health.OK: "on time",
        Health.DONE: "done",
    }
)
#: What a finding asks of whoever reads it.
SEVERITY_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {Severity.STUCK: "Act", Severity.ATTENTION: "Look", Severity.INFO: "No action"}
)
#: The verdict, and what a person has to do.
VERDICT_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "ok": ("All is well", "nobody has to do anything"),
        "attention": ("Somebody should look", "in working hours"),
        "stuck": ("Something does not go on", "somebody should act now"),
    }
)
#: A job's states in the colours of batches; what goes on has that of `slow`.
JOB_TONES: Final[Mapping[str, str]] = MappingProxyType(
    {"succeeded": "ok", "failed": "stuck", "expired": "overdue", "cancelled": "done"}
)

#: Findings whose ids are those of batches.
BATCH_FINDINGS: Final = frozenset(
    {
        FindingName.BATCH_SLOW,
        FindingName.BATCH_STUCK,
        FindingName.BATCH_STUCK_QUEUE_GROWING,
        FindingName.BATCH_OVERDUE,
        FindingName.CREATE_UNRESOLVED,
    }
)


def moment(at: datetime | None) -> str:
    """A moment without its fractions, in UTC; a dash for none."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def usd(nano_usd: int) -> str:
    """Nano-dollars for people, to four figures after the point."""
    return f"${nano_usd / 1e9:,.4f}"


def fact(value: Any) -> str:
    """Anything that the ledger knows, for people."""
    match value:
        case datetime():
            return moment(value)
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def came_of(outcome: Mapping[str, Any] | None, request_id: UUID) -> str:
    """What came of an action: what was done to how many, and why others were left."""
    if outcome is None:
        return unended(request_id)
    did = [
        f"{count:,} {str(deed).replace('_', ' ')}" for deed, count in outcome.get("did", {}).items()
    ]
    left = [f"{count:,} left: {why}" for why, count in outcome.get("left", {}).items()]
    to_end = outcome.get("batches_to_end")
    ends = [f"{counted(to_end, 'batch', 'batches')} asked to end"] if to_end else []
    return "; ".join([*did, *ends, *left]) or "nothing was to be done"
