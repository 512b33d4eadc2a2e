"""How everything stands at one moment, as values that somebody read: what `classify` judges. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from app.policy.lifecycle import SubmissionState
from unhurried.contract import Tier

#: Rounds that beat asks for; `beat` itself is the newest wake-up of beat's that arrived anywhere.
WOKEN: Final = ("pack", "collect", "complete", "notify", "webhooks", "upkeep")
BEAT: Final = "beat"
INTAKE: Final = "intake"
NEAR_REAL_TIME: Final = "near_real_time"


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """The looks of a worker at its work. Times are None before the first."""

    name: str
    #: How often it is due, in seconds, as its worker knows it.
    period_s: float
    started_at: datetime | None = None
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    #: The class of what went wrong last; kept after it went well again.
    error: str | None = None
    host: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """A submission that is under way, or that was collected lately."""

    submission_id: str
    provider: str
    account: str
    model: str
    state: SubmissionState
    jobs_count: int
    created_at: datetime
    provider_batch_id: str | None = None
    provider_status: str | None = None
    #: For display alone: Anthropic's counts stay zero until the whole batch has ended.
    provider_done: int | None = None
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    #: The last good look at it.
    observed_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    collected_at: datetime | None = None
    #: The earliest due time that has passed of a job in it; None where none has.
    due_at: datetime | None = None
    #: Nine of ten batches of this provider and model took no longer; None where too few have ended.
    typical: timedelta | None = None
    #: Since when results of it wait for somebody to pick them up; None where none does.
    unread_since: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """What waits of a tier for one account: jobs that are ready, and packs that no provider has taken yet."""

    tier: Tier
    provider: str
    account: str
    waiting_count: int
    #: Since when the oldest of them waits; None where nothing does.
    oldest_at: datetime | None
    #: When a provider last took something of it; None for never.
    left_at: datetime | None
    #: Jobs that are not ready yet: a backoff, or an eta.
    later_count: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Unread:
    """Results that somebody awaits and nobody has picked up, by who awaits them."""

    #: A consumer's name, a task's, or a workload's.
    consumer: str
    workload: str | None
    count: int
    #: When the oldest of them was there to be read.
    oldest_at: datetime
    #: When Redis forgets the oldest.
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Paused:
    """A lane that sends nothing."""

    provider: str
    account: str
    #: Empty for the whole account.
    model: str
    paused_at: datetime
    reason: str | None
    #: Somebody wanted it so.
    by_person: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """An account that sends nothing until every batch of its workspace is accounted for."""

    provider: str
    account: str
    reason: str
    looked_at: datetime
    #: Nothing was ever accounted for: it sends nothing at all. Else only what landed late is looked for.
    closed: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What an account has spent and reserved today (UTC), in nano-dollars."""

    provider: str
    account: str
    nano_usd: int
    limit_nano_usd: int | None
    #: When the limit first held a job back today.
    held_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outbox:
    """Mails, or the webhooks of one receiver."""

    #: None for mails.
    receiver: str | None
    #: Staged, or to be tried again.
    undelivered_count: int
    #: When the oldest of them was staged.
    oldest_at: datetime | None
    #: Given up lately, and mails whose reply was lost.
    dead_count: int
    unknown_count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """Ends that Celery has not been told of."""

    ready_count: int = 0
    oldest_at: datetime | None = None
    #: Of those, tried in vain.
    failing_count: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Chords:
    """Chords all of whose parts of ours have ended and that are not over."""

    full_count: int = 0
    #: When the last part of the oldest of them had ended.
    oldest_full_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """Messages that callers have published and that are in Redis alone."""

    unadmitted_count: int = 0
    #: When the oldest of them was published; None where nothing waits, or it does not say.
    oldest_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Everything that is judged. Lists are bounded by whoever reads them."""

    rounds: tuple[Round, ...] = ()
    batches: tuple[Batch, ...] = ()
    queues: tuple[Queue, ...] = ()
    unread: tuple[Unread, ...] = ()
    paused: tuple[Paused, ...] = ()
    held: tuple[Held, ...] = ()
    spent: tuple[Spent, ...] = ()
    outboxes: tuple[Outbox, ...] = ()
    completion: Completion = field(default_factory=Completion)
    chords: Chords = field(default_factory=Chords)
    admission: Admission = field(default_factory=Admission)
    #: What could not be understood in the last day.
    quarantined_count: int = 0
    #: The nearest due time of jobs under way by (provider, account): how much is left, or by how much it is
    #: missed.
    next_due: Mapping[tuple[str, str], datetime] = field(
        default_factory=lambda: MappingProxyType({})
    )
    #: Why the ledger, or Redis, could not be read; None where it was.
    ledger_error: str | None = None
    redis_error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """By what is judged."""

    #: How long a short pack waits for company.
    linger: timedelta
    pick_up_within: timedelta
    #: Rounds that are expected of a service that serves, and their periods in seconds.
    periods: Mapping[str, float]
    #: A round that is older than three of its periods, and than this, is silent.
    silent_after: timedelta = timedelta(seconds=60)
    #: The same while a round is under way: a large upload or download takes its time.
    long_round: timedelta = timedelta(minutes=15)
    #: A batch whose last good look is older can no longer be followed.
    look_within: timedelta = timedelta(minutes=75)
    #: How long after the provider's own window an end may be seen.
    expiry_grace: timedelta = timedelta(hours=2)
    #: How long after a batch's end its results may take, lines that come late included.
    results_within: timedelta = timedelta(hours=2)
    #: A create without an id is settled sooner than this, found or proven absent.
    create_within: timedelta = timedelta(minutes=60)
    #: Nothing has left a queue for so long.
    drain_within: timedelta = timedelta(minutes=30)
    #: What waits at near-real-time for longer is not near.
    near_real_time_within: timedelta = timedelta(minutes=10)
    #: Results that Redis forgets sooner are about to expire.
    expiry_margin: timedelta = timedelta(hours=4)
    #: An end of a job reaches Celery within seconds.
    complete_within: timedelta = timedelta(minutes=10)
    #: Upkeep mends a full chord within minutes.
    chord_within: timedelta = timedelta(minutes=30)
    #: A mail or webhook that is due for longer is late.
    deliver_within: timedelta = timedelta(hours=1)
    #: A published call is admitted within seconds.
    admit_within: timedelta = timedelta(minutes=5)
    #: The share of a day's limit that is worth a word.
    spend_near: float = 0.9
