"""Answer near-real-time jobs: threads that claim from the ledger, within shared rate limits.

Claim (commit) -> call the provider once (no transaction open) -> settle (commit, guarded). A worker that
dies in between leaves an attempt that nobody settles; past the longest possible call it counts as lost.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, assert_never
from uuid import UUID

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from app.ledger import engine as ledger
from app.ledger import lanes, near_real_time
from app.ledger.near_real_time import Claimed, OverLimit
from app.observe.log import tell
from app.policy.judging import Bill, Judge, Judged
from app.policy.lifecycle import Fail, GiveBack, JobState, Retry
from app.policy.outcomes import Closed, Rejected, Transient
from app.policy.spending import DailyLimits, dollars
from app.providers.attached import Attached, UnattachedError
from app.providers.limits import Account, Limits
from app.providers.port import Ambiguous, Direct, DirectReply, LaneClosed, NotTaken, Provider
from unhurried.contract import OnLost

_IDLE_S: Final = 0.2
_OUTAGE_S: Final = 2.0
#: A call may overrun its time-out by this much before its job counts as lost.
_LOST_MARGIN: Final = timedelta(seconds=30)
#: Less than that margin: an answer that the ledger cannot take now is held for so long.
_SETTLE_WITHIN_S: Final = 20.0
#: A wait for the rate limit is looked at again at least this often.
_LIMIT_LOOK_S: Final = 1.0
_BUSY_S: Final = 5.0
#: How often an account that has spent its limit is looked at again.
_HELD_LOOK_S: Final = 5.0
#: How often calls of dead workers are looked for.
_LOST_EVERY_S: Final = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamina:
    """How many calls at once, and how long one may take."""

    threads: int
    timeout_s: float


class NearRealTime:
    """One worker process. Any number may run; each job goes to one of them."""

    def __init__(
        self,
        *,
        engine: Engine,
        providers: Mapping[tuple[str, str], Provider],
        limits: Limits,
        attached: Attached,
        judge: Judge,
        stamina: Stamina,
        watch: Callable[[UUID], Callable[[str], None]],
        wake_completion: Callable[[], None],
        daily_limits: DailyLimits | None = None,
    ) -> None:
        self._engine = engine
        self._providers = providers
        self._limits = limits
        self._attached = attached
        self._judge = judge
        self._stamina = stamina
        self._watch = watch
        self._wake_completion = wake_completion
        self._daily_limits = daily_limits or {}
        #: When an account that has spent its limit is looked at again, by the monotonic clock.
        self._held_until_s: dict[Account, float] = {}

    def run(
        self,
        stop: threading.Event,
        *,
        look: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Answer until `stop` is set; calls under way are finished first. `look` stands around looks for lost ones.

        Raises what ended a thread: a process that answers less and less must not look alive.
        """
        with ThreadPoolExecutor(self._stamina.threads, "near-real-time") as pool:
            threads = [pool.submit(self._loop, stop) for _ in range(self._stamina.threads)]
            wait_s = 0.0
            while not stop.wait(wait_s):
                self._guarded(partial(self._look_for_lost, look))
                _end_with(threads, stop)
                wait_s = _LOST_EVERY_S

    def _look_for_lost(self, look: Callable[[], AbstractContextManager[None]]) -> float:
        with look():
            return float(self.give_up_lost())

    def answer_one(self) -> float:
        """Answer one job; seconds until the next look is worth while, 0 for at once."""
        with self._engine.begin() as connection:
            candidates = near_real_time.waiting(connection, at=ledger.now(connection))
        waits = [_IDLE_S]
        for candidate in candidates:
            if (candidate.provider, candidate.account) not in self._providers:
                continue
            account = Account(provider=candidate.provider, account=candidate.account)
            if time.monotonic() < self._held_until_s.get(account, 0.0):
                continue
            wait_s = self._limits.take(account, tokens=candidate.tokens, user_waits=False)
            if wait_s > 0:
                waits.append(min(wait_s, _LIMIT_LOOK_S))
                continue
            claimed = self._claim(account)
            if claimed is not None:
                self._answer(claimed, account)
                return 0.0
        return max(waits)

    def give_up_lost(self) -> int:
        """Move on with jobs whose worker died; how many there were."""
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            longest = timedelta(seconds=self._stamina.timeout_s) + _LOST_MARGIN
            lost = near_real_time.give_up_lost(connection, opened_before=now - longest, at=now)
        if lost:
            tell("answers_lost", warning=True, jobs_count=lost)
            self._wake_completion()
        return lost

    def _loop(self, stop: threading.Event) -> None:
        while not stop.is_set():
            wait_s = self._guarded(self.answer_one)
            if wait_s:
                stop.wait(wait_s)

    def _guarded(self, step: Callable[[], float]) -> float:
        """Take a step; an outage of the ledger or of Redis is waited out, and never ends a thread."""
        try:
            return step()
        except (DBAPIError, redis.RedisError, OSError) as outage:
            tell("near_real_time_waits", warning=True, reason=type(outage).__name__)
            return _OUTAGE_S

    def _claim(self, account: Account) -> Claimed | None:
        limit = self._daily_limits.get((account.provider, account.account))
        with self._engine.begin() as connection:
            claimed = near_real_time.claim(
                connection,
                provider=account.provider,
                account=account.account,
                at=ledger.now(connection),
                limit_nano_usd=limit,
            )
        if not isinstance(claimed, OverLimit):
            return claimed
        self._held_until_s[account] = time.monotonic() + _HELD_LOOK_S
        if claimed.first and limit is not None:
            tell(
                "spend_held",
                warning=True,
                provider=account.provider,
                account=account.account,
                limit=dollars(limit),
                remedy="its jobs wait for the next day (UTC), or for a higher daily limit",
            )
        return None

    def _answer(self, claimed: Claimed, account: Account) -> None:
        provider = self._providers[account.provider, account.account]
        reply = self._ask(provider, claimed)
        try:
            self._close_where_asked(account, reply)
        finally:
            # Nobody else knows what the provider said: unsettled, a definite no would count as a lost answer.
            judged, settled = self._settle(claimed, reply)
        tell(
            "answered" if settled else "answered_late",
            job_id=str(claimed.standing.job_id),
            provider=account.provider,
            attempt=claimed.standing.attempt,
            move=type(judged.move).__name__.lower(),
        )
        self._wake_completion()

    def _settle(self, claimed: Claimed, reply: DirectReply) -> tuple[Judged, bool]:
        """Record what came of a call, and whether its job was still waiting for that.

        An answer in hand has been paid for: an outage of the ledger is waited out while its job does not
        count as lost. May be repeated, so a COMMIT without a reply is as well.
        """
        until_s = time.monotonic() + _SETTLE_WITHIN_S
        while True:
            try:
                with self._engine.begin() as connection:
                    now = ledger.now(connection)
                    judged = self._judged(claimed, reply, now)
                    return judged, near_real_time.settle(connection, judged, at=now)
            except DBAPIError as outage:
                if time.monotonic() > until_s:
                    raise
                tell("near_real_time_waits", warning=True, reason=type(outage).__name__)
                time.sleep(_OUTAGE_S)

    def _ask(self, provider: Provider, claimed: Claimed) -> DirectReply:
        """Call the provider once, or not at all where the request's attachments cannot be had."""
        try:
            request = self._attached.whole(claimed.request)
        except UnattachedError as error:
            kind = Transient if error.passing else Rejected
            return Direct(outcome=kind(code=error.code, message=str(error)))
        return provider.stream(
            request,
            endpoint=claimed.endpoint,
            timeout_s=self._stamina.timeout_s,
            on_text=self._watch(claimed.standing.job_id),
        )

    def _close_where_asked(self, account: Account, reply: DirectReply) -> None:
        match reply:
            case NotTaken():
                self._limits.close(account, for_s=reply.retry_after_s or _BUSY_S)
            case (
                LaneClosed(code=code, message=message)
                | Direct(outcome=Closed(code=code, message=message))
            ):
                with self._engine.begin() as connection:
                    lanes.pause(
                        connection,
                        provider=account.provider,
                        account=account.account,
                        reason=f"{code}: {message}",
                        at=ledger.now(connection),
                    )
                tell("lane_paused", warning=True, provider=account.provider, code=code)
            case Direct() | Ambiguous():
                return
            case _:
                assert_never(reply)

    def _judged(self, claimed: Claimed, reply: DirectReply, now: datetime) -> Judged:
        standing = claimed.standing
        match reply:
            case Direct():
                bill = Bill(
                    source=f"direct:{standing.job_id}",
                    line=str(standing.attempt),
                    provider=claimed.provider,
                    account=claimed.account,
                    model=claimed.model,
                    batch=False,
                )
                return self._judge.judge(reply.outcome, standing, bill, now=now)
            case NotTaken():
                wait = timedelta(seconds=reply.retry_after_s or _BUSY_S)
                return Judged(_back(claimed, now + wait), None)
            case LaneClosed():
                return Judged(_back(claimed, now), None)
            case Ambiguous():
                return Judged(_lost(claimed, reply, now), None)
            case _:
                assert_never(reply)


def _end_with(threads: Sequence[Future[None]], stop: threading.Event) -> None:
    for thread in threads:
        if thread.done() and not stop.is_set():
            stop.set()
            thread.result()


def _back(claimed: Claimed, ready_at: datetime) -> GiveBack:
    """A definite no is nobody's attempt."""
    standing = claimed.standing
    return GiveBack(job_id=standing.job_id, attempt=standing.attempt, ready_at=ready_at)


def _lost(claimed: Claimed, reply: Ambiguous, now: datetime) -> Fail | Retry:
    """The reply was lost: it may have been paid for. The caller has said what then."""
    standing = claimed.standing
    if claimed.on_lost is OnLost.RETRY and standing.counted < standing.attempts_max:
        return Retry(
            job_id=standing.job_id,
            attempt=standing.attempt,
            outcome="lost",
            code="possible_spend",
            ready_at=now + timedelta(seconds=_BUSY_S),
        )
    return Fail(
        job_id=standing.job_id,
        attempt=standing.attempt,
        state=JobState.FAILED,
        outcome="lost",
        code="answer_lost",
        message=reply.reason,
        retryable=True,
    )
