"""What ops should know, as values: each finding with its severity, its sentence and its remedy. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
#: Ids that one finding names: whoever wants them all lists them.
IDS_MAX: Final = 5


class Severity(StrEnum):
    """What a finding asks of people: nothing, a look in working hours, or somebody now."""

    INFO = "info"
    ATTENTION = "attention"
    STUCK = "stuck"

    @property
    def rank(self) -> int:
        """The higher, the worse; 0 for info."""
        return _RANKS[self]


_RANKS: Final = {Severity.INFO: 0, Severity.ATTENTION: 1, Severity.STUCK: 2}


class FindingName(StrEnum):
    """Every finding there is: the words of pages, metrics, alerts and commands alike."""

    LEDGER_UNREACHABLE = "ledger_unreachable"
    REDIS_UNREACHABLE = "redis_unreachable"
    PACKER_SILENT = "packer_silent"
    COLLECTOR_SILENT = "collector_silent"
    COMPLETER_SILENT = "completer_silent"
    NOTIFIER_SILENT = "notifier_silent"
    UPKEEP_SILENT = "upkeep_silent"
    INTAKE_SILENT = "intake_silent"
    NEAR_REAL_TIME_SILENT = "near_real_time_silent"
    BEAT_SILENT = "beat_silent"
    QUEUE_NOT_DRAINING = "queue_not_draining"
    ADMISSION_STALLED = "admission_stalled"
    BATCH_SLOW = "batch_slow"
    BATCH_STUCK = "batch_stuck"
    BATCH_STUCK_QUEUE_GROWING = "batch_stuck_queue_growing"
    BATCH_OVERDUE = "batch_overdue"
    CREATE_UNRESOLVED = "create_unresolved"
    LANE_PAUSED = "lane_paused"
    ACCOUNT_HELD = "account_held"
    SPEND_LIMIT_NEAR = "spend_limit_near"
    SPEND_LIMIT_REACHED = "spend_limit_reached"
    RESULTS_UNREAD = "results_unread"
    RESULTS_EXPIRING = "results_expiring"
    COMPLETION_LATE = "completion_late"
    CHORD_LATE = "chord_late"
    MAIL_UNDELIVERED = "mail_undelivered"
    WEBHOOK_UNDELIVERED = "webhook_undelivered"
    QUARANTINED = "quarantined"


_WORKER: Final = (Severity.ATTENTION, Severity.STUCK)

#: The severities that each finding may have: what a metric shows, zeros included.
SEVERITIES: Final[Mapping[FindingName, tuple[Severity, ...]]] = MappingProxyType(
    {
        FindingName.LEDGER_UNREACHABLE: (Severity.STUCK,),
        FindingName.REDIS_UNREACHABLE: (Severity.STUCK,),
        FindingName.PACKER_SILENT: _WORKER,
        FindingName.COLLECTOR_SILENT: _WORKER,
        FindingName.COMPLETER_SILENT: _WORKER,
        FindingName.NOTIFIER_SILENT: _WORKER,
        FindingName.UPKEEP_SILENT: (Severity.ATTENTION,),
        FindingName.INTAKE_SILENT: _WORKER,
        FindingName.NEAR_REAL_TIME_SILENT: (Severity.INFO, Severity.STUCK),
        FindingName.BEAT_SILENT: _WORKER,
        FindingName.QUEUE_NOT_DRAINING: (Severity.STUCK,),
        FindingName.ADMISSION_STALLED: (Severity.STUCK,),
        FindingName.BATCH_SLOW: (Severity.INFO,),
        FindingName.BATCH_STUCK: (Severity.ATTENTION,),
        FindingName.BATCH_STUCK_QUEUE_GROWING: (Severity.STUCK,),
        FindingName.BATCH_OVERDUE: (Severity.STUCK,),
        FindingName.CREATE_UNRESOLVED: (Severity.ATTENTION,),
        FindingName.LANE_PAUSED: _WORKER,
        FindingName.ACCOUNT_HELD: _WORKER,
        FindingName.SPEND_LIMIT_NEAR: (Severity.INFO,),
        FindingName.SPEND_LIMIT_REACHED: (Severity.ATTENTION,),
        FindingName.RESULTS_UNREAD: (Severity.ATTENTION,),
        FindingName.RESULTS_EXPIRING: (Severity.STUCK,),
        FindingName.COMPLETION_LATE: _WORKER,
        FindingName.CHORD_LATE: (Severity.ATTENTION,),
        FindingName.MAIL_UNDELIVERED: (Severity.ATTENTION,),
        FindingName.WEBHOOK_UNDELIVERED: (Severity.ATTENTION,),
        FindingName.QUARANTINED: (Severity.ATTENTION,),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that ops should know."""

    name: FindingName
    severity: Severity
    #: What is so, for a person who has ten seconds.
    sentence: str
    #: What to do; where there is nothing to do it says so.
    remedy: str
    provider: str | None = None
    account: str | None = None
    tier: str | None = None
    consumer: str | None = None
    workload: str | None = None
    #: How many batches, results or notifications it is about.
    count: int = 1
    #: Some of what it is about, for people; never a label.
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is found, the worst first."""

    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """That of the worst finding; info where there is none."""
        return max(
            (one.severity for one in self.findings),
            key=lambda one: one.rank,
            default=Severity.INFO,
        )

    @property
    def exit_code(self) -> int:
        """0 ok, 1 attention, 2 stuck."""
        return self.severity.rank

    @property
    def word(self) -> str:
        """ok, attention or stuck."""
        return "ok" if self.severity is Severity.INFO else str(self.severity)


def verdict(findings: Iterable[Finding]) -> Verdict:
    """These findings, the worst first, those of one severity in the order of their names."""
    order = {name: place for place, name in enumerate(FindingName)}
    return Verdict(
        findings=tuple(sorted(findings, key=lambda one: (-one.severity.rank, order[one.name])))
    )


def spoken(span: timedelta) -> str:
    """A span for people: "6 h 12 min", "45 s"; what is negative is "0 s"."""
    seconds = max(int(span.total_seconds()), 0)
    for unit_s, unit, part_s, part in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "min"),
        (_MINUTE_S, "min", 1, "s"),
    ):
        if seconds >= unit_s:
            whole, rest = divmod(seconds, unit_s)
            parts = rest // part_s
            return f"{whole} {unit} {parts} {part}" if parts else f"{whole} {unit}"
    return f"{seconds} s"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """ "1 job", "2,000 jobs"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
