"""Stories of a service, minute by minute: how it stands, and which alerts are to fire when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from app.policy.lifecycle import SubmissionState
from app.policy.standing import BEAT, WOKEN, Batch, Limits, Queue, Round, Standing, Unread
from tests.support.factories import NOW
from unhurried.contract import Tier

_PERIODS: Final = {**dict.fromkeys(WOKEN, 10.0), BEAT: 10.0, "intake": 1.0}
LIMITS: Final = Limits(
    linger=timedelta(minutes=5), pick_up_within=timedelta(minutes=30), periods=_PERIODS
)

PAGE: Final = "page"
TICKET: Final = "ticket"


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """What is read each minute, None where nobody reads, and what is to fire at some of them."""

    minutes: int
    at: Callable[[int], Standing | None]
    #: By minute: (alert, severity).
    fires: Mapping[int, set[tuple[str, str]]]


def moment(minute: float) -> datetime:
    """A minute of the story."""
    return NOW + timedelta(minutes=minute)


def served(minute: int, *, stopped: Mapping[str, int] | None = None) -> tuple[Round, ...]:
    """Every worker's last look: just now, but for those that stopped at some minute."""
    return tuple(
        Round(name=name, period_s=period_s, started_at=looked, succeeded_at=looked)
        for name, period_s in _PERIODS.items()
        if (looked := moment(min(minute, (stopped or {}).get(name, minute))))
    )


def a_batch(minute: int, *, seen: int | None = None, due: int | None = None) -> Batch:
    """One that a provider took at minute 0; nine of ten like it took four hours."""
    batch = Batch(
        submission_id="s-1",
        provider="anthropic",
        account="default",
        model="claude-haiku-4-5",
        state=SubmissionState.ACCEPTED,
        jobs_count=1000,
        created_at=moment(0),
        sent_at=moment(0),
        accepted_at=moment(0),
        observed_at=moment(minute if seen is None else min(minute, seen)),
        expires_at=moment(24 * 60),
        typical=timedelta(hours=4),
    )
    late = due is not None and minute > due
    return replace(batch, due_at=moment(due)) if late and due is not None else batch


def a_queue(minute: int, *, since: float, left: float, count: int = 500) -> Queue:
    """What waits of the batch tier."""
    waits = minute >= since
    return Queue(
        tier=Tier.BATCH,
        provider="anthropic",
        account="default",
        waiting_count=count if waits else 0,
        oldest_at=moment(since) if waits else None,
        left_at=moment(left),
    )


def saw(minute: int) -> Queue:
    """It fills for five minutes, and then all of it goes."""
    began = minute - minute % 5
    return a_queue(minute, since=began, left=began, count=1 + 100 * (minute % 5))


def _healthy(minute: int) -> Standing:
    done = minute >= 6 * 60
    batch = a_batch(minute)
    if done:
        over = moment(6 * 60)
        batch = replace(batch, state=SubmissionState.COLLECTED, ended_at=over, collected_at=over)
    return Standing(rounds=served(minute), batches=(batch,), queues=(saw(minute),))


def _dead_packer(minute: int) -> Standing:
    queue = saw(minute) if minute < 20 else a_queue(minute, since=20, left=20, count=minute)
    return Standing(rounds=served(minute, stopped={"pack": 20}), queues=(queue,))


def _dead_beat(minute: int) -> Standing:
    stopped = dict.fromkeys((*WOKEN, BEAT), 20)
    queue = saw(minute) if minute < 20 else a_queue(minute, since=20, left=20, count=minute)
    return Standing(rounds=served(minute, stopped=stopped), queues=(queue,))


def _unpollable(minute: int) -> Standing:
    batch = a_batch(minute, seen=30)
    return Standing(rounds=served(minute), batches=(batch,), queues=(saw(minute),))


def _unpollable_growing(minute: int) -> Standing:
    queue = saw(minute) if minute < 150 else a_queue(minute, since=150, left=minute, count=minute)
    batch = a_batch(minute, seen=30)
    return Standing(rounds=served(minute), batches=(batch,), queues=(queue,))


def _backlog(minute: int) -> Standing:
    queue = a_queue(minute, since=-180, left=minute - 2, count=1_000_000 - 2_000 * minute)
    return Standing(rounds=served(minute), queues=(queue,))


def _unread(minute: int) -> Standing:
    waiting = Unread(
        consumer="weekly-report",
        workload="tagging",
        count=300,
        oldest_at=moment(10),
        expires_at=moment(10 + 8 * 60),
    )
    return Standing(rounds=served(minute), unread=(waiting,) if minute >= 10 else ())


def _picked_up(minute: int) -> Standing:
    standing = _unread(minute)
    return replace(standing, unread=()) if minute >= 100 else standing


def _overdue(minute: int) -> Standing:
    return Standing(rounds=served(minute), batches=(a_batch(minute, due=60),))


def _blind(minute: int) -> Standing | None:
    return _healthy(minute) if minute < 30 else None


def _ledger_down(minute: int) -> Standing:
    return _healthy(minute) if minute < 30 else Standing(ledger_error="OperationalError")


_STUCK: Final = ("UnhurriedBatchStuck", TICKET)
_GROWING: Final = ("UnhurriedBatchStuckQueueGrowing", PAGE)
_SILENT: Final = ("UnhurriedWorkerSilent", PAGE)
_READ: Final = ("UnhurriedResultsUnread", TICKET)
_EXPIRING: Final = ("UnhurriedResultsExpiring", PAGE)

TIMELINES: Final = {
    "a healthy six-hour batch under a saw of a queue": Timeline(
        minutes=420, at=_healthy, fires={30: set(), 235: set(), 359: set(), 400: set()}
    ),
    "a dead packer": Timeline(
        minutes=240, at=_dead_packer, fires={20: set(), 24: {_SILENT}, 200: {_SILENT}}
    ),
    "a dead beat": Timeline(minutes=120, at=_dead_beat, fires={20: set(), 100: {_SILENT}}),
    "a batch that cannot be followed while the queue drains": Timeline(
        minutes=240, at=_unpollable, fires={100: set(), 115: {_STUCK}, 230: {_STUCK}}
    ),
    "the same with a queue that grows": Timeline(
        minutes=240, at=_unpollable_growing, fires={100: set(), 155: {_STUCK}, 170: {_GROWING}}
    ),
    "a backlog that is worked off": Timeline(
        minutes=300, at=_backlog, fires={10: set(), 150: set(), 290: set()}
    ),
    "results that nobody reads until they expire": Timeline(
        minutes=500,
        at=_unread,
        fires={35: set(), 50: {_READ}, 245: {_READ}, 260: {_READ, _EXPIRING}},
    ),
    "results that are picked up late": Timeline(
        minutes=120, at=_picked_up, fires={50: {_READ}, 102: set()}
    ),
    "a due time that passes": Timeline(
        minutes=120, at=_overdue, fires={60: set(), 65: {("UnhurriedBatchOverdue", PAGE)}}
    ),
    "an exporter that is gone": Timeline(
        minutes=60, at=_blind, fires={29: set(), 35: {("UnhurriedMonitorBlind", PAGE)}}
    ),
    "a ledger that is down": Timeline(
        minutes=60, at=_ledger_down, fires={29: set(), 40: {("UnhurriedStoreUnreachable", PAGE)}}
    ),
}
