"""Answer one call while a user waits: admit, ask the provider, price, hand back, then record.

The record comes after the answer: with the ledger down the caller still gets it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, assert_never

import redis

from app.direct.record import Recorder
from app.direct.spend import OverLimit, Reservation, SpendGuard
from app.ledger.direct import Billed, DirectRecord
from app.policy import admission, ends, flaws, tracing, versions
from app.policy.admission import JobDraft, Refusal
from app.policy.ends import JobsEnd
from app.policy.judging import billed_usage
from app.policy.outcomes import Answered, Outcome, Transient
from app.policy.pricing import Overrides, price
from app.policy.rules import Rules
from app.policy.tracing import Asked, Span
from app.providers.attached import Attached, UnattachedError
from app.providers.limits import Account, Limits
from app.providers.port import Ambiguous, Direct, DirectReply, LaneClosed, NotTaken, Provider
from unhurried.contract import CONTRACT_VERSION, Endpoint, OnFailure

#: Tries after a definite no. A reply that was lost is never tried again: it may have been paid for.
_TRIES_MAX: Final = 4
_BACKOFF_S: Final = 0.5
#: A wait for the rate limit is looked at again at least this often.
_LIMIT_LOOK_S: Final = 1.0
#: How often a call looks whether the other one of its key has been answered.
_TURN_LOOK_S: Final = 0.1
#: A call may overrun its time-out by this much: its last try, and writing down what came of it.
_TURN_MARGIN_S: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call as the Celery task received it."""

    endpoint: Endpoint
    task_id: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    #: What its message says that it speaks.
    contract: object = CONTRACT_VERSION
    #: The trace that it belongs to (`tracing.carried`); empty where it names none.
    trace: Mapping[str, str] = field(default_factory=dict)


class DirectAnswer:
    """Answers direct calls. Stateless between calls; shared by all threads of a worker."""

    def __init__(
        self,
        *,
        providers: Mapping[tuple[str, str], Provider],
        recorder: Recorder,
        limits: Limits,
        attached: Attached,
        rules: Rules,
        overrides: Overrides,
        timeout_s: float,
        guard: SpendGuard,
        told: Callable[[Sequence[Span]], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`told` hears of each call that was asked, when it has ended; it returns at once and raises nothing."""
        self._providers = providers
        self._recorder = recorder
        self._limits = limits
        self._attached = attached
        self._rules = rules
        self._overrides = overrides
        self._timeout_s = timeout_s
        self._guard = guard
        self._told = told
        self._sleep = sleep

    def answer(self, call: Call) -> JobsEnd:
        """The end of one call. Raises nothing that a provider may do; may spend once."""
        decision = versions.refused(call.contract) or admission.decide(
            endpoint=call.endpoint,
            task_id=call.task_id,
            args=call.args,
            kwargs=call.kwargs,
            eta=None,
            expires=None,
            now=datetime.now(UTC),
            rules=self._rules,
        )
        if isinstance(decision, Refusal):
            return ends.without_answer(_error(decision.code, decision.message), decision.on_failure)
        # Celery gives a chain's last task one id each time that the chain is applied.
        draft = decision if decision.key is not None else decision.as_another()
        known = self._recorder.known(draft)
        if known is not None:
            return known
        return self._ask(call, draft) if draft.key is None else self._ask_alone(call, draft)

    def _ask_alone(self, call: Call, draft: JobDraft) -> JobsEnd:
        """Ask for a job that a key names while nobody else does: a button that is pressed twice is paid once."""
        until = time.monotonic() + self._timeout_s
        while True:
            with self._recorder.turn(draft.id, for_s=self._timeout_s + _TURN_MARGIN_S) as is_mine:
                if is_mine:
                    return self._recorder.known(draft) or self._ask(call, draft)
            if time.monotonic() >= until:
                message = f"another call with the key {draft.key!r} is still being answered"
                return self._fail(call, draft, _error("not_taken", message, retryable=True))
            self._sleep(_TURN_LOOK_S)

    def _ask(self, call: Call, draft: JobDraft) -> JobsEnd:
        provider = self._providers.get((draft.provider, draft.account))
        if provider is None:
            message = f"no key is configured for account {draft.account!r} at {draft.provider}"
            return self._fail(call, draft, _error("no_key", message))
        try:
            request = self._attached.whole(draft.request)
        except UnattachedError as error:
            found = _error(error.code, str(error), retryable=error.passing)
            return self._fail(call, draft, found)
        until = time.monotonic() + self._timeout_s
        ended: Outcome | None = None
        billed: list[Billed | None] = []
        reserved: list[Reservation] = []
        while True:
            reply = self._within_limit(provider, draft, request, until, reserved)
            if not isinstance(reply, Direct):
                # An answer that is not what was asked for is still more than none.
                return (
                    self._fail(call, draft, _cut_off(reply))
                    if ended is None
                    else self._end(call, draft, ended, billed, reserved)
                )
            ended = flaws.checked(reply.outcome, draft.answer_schema)
            billed.append(self._bill(draft, ended))
            if not _again(draft, ended, len(billed)) or time.monotonic() >= until:
                return self._end(call, draft, ended, billed, reserved)

    def _within_limit(
        self,
        provider: Provider,
        draft: JobDraft,
        request: bytes,
        until: float,
        reserved: list[Reservation],
    ) -> DirectReply | OverLimit:
        """One reply, reserved before and noted in `reserved` if it was answered."""
        reservation = self._guard.take(draft)
        if isinstance(reservation, OverLimit):
            return reservation
        try:
            reply = self._try(provider, draft, request, until)
        except redis.RedisError as outage:
            # The limit is asked before the provider is, and closed after its no: nothing was answered.
            reply = NotTaken(reason=f"the account's rate limit: {type(outage).__name__}")
        match reply:
            case Direct():
                reserved.append(reservation)
            case NotTaken() | LaneClosed():
                self._guard.give_back(draft, reservation)
            case Ambiguous():
                pass  # it may have been paid for, and stays counted
            case _:
                assert_never(reply)
        return reply

    def _try(
        self, provider: Provider, draft: JobDraft, request: bytes, until: float
    ) -> DirectReply:
        for number in range(_TRIES_MAX):
            full = self._wait_for_limit(draft, until)
            if full is not None:
                return full
            left_s = max(until - time.monotonic(), 1.0)
            reply = provider.answer(request, endpoint=draft.endpoint, timeout_s=left_s)
            if not isinstance(reply, NotTaken) or number == _TRIES_MAX - 1:
                return reply
            wait_s = reply.retry_after_s or _BACKOFF_S * 2.0**number
            self._limits.close(_account(draft), for_s=wait_s)
            if time.monotonic() + wait_s >= until:
                return reply
            self._sleep(wait_s)
        raise AssertionError("the last try returns")

    def _wait_for_limit(self, draft: JobDraft, until: float) -> NotTaken | None:
        """Wait until the account's shared limit allows the call; a refusal where that is too late."""
        while True:
            wait_s = self._limits.take(
                _account(draft), tokens=draft.request_tokens, user_waits=True
            )
            if wait_s == 0:
                return None
            if time.monotonic() + wait_s >= until:
                reason = f"the account's rate limit allows the next call in {wait_s:.0f} s"
                return NotTaken(reason=reason, retry_after_s=wait_s)
            self._sleep(min(wait_s, _LIMIT_LOOK_S))

    def _end(
        self,
        call: Call,
        draft: JobDraft,
        outcome: Outcome,
        billed: Sequence[Billed | None],
        reserved: Sequence[Reservation],
    ) -> JobsEnd:
        record = DirectRecord(
            task_id=call.task_id,
            draft=draft,
            outcome=outcome,
            attempts=tuple(billed),
            ended_at=datetime.now(UTC),
            reserved_nano_usd=sum(one.nano_usd for one in reserved),
            reserved_at=next((one.at for one in reserved), None),
        )
        self._recorder.record(record)
        end = record.job_end()
        span = tracing.of_job(
            end,
            task_id=call.task_id,
            provider=draft.provider,
            began_at=draft.published_at,
            ended_at=record.ended_at,
            trace=call.trace,
        )
        self._tell(span)
        return ends.of_job(end, draft.on_failure)

    def _fail(self, call: Call, draft: JobDraft, error: dict[str, Any]) -> JobsEnd:
        asked = Asked(
            task_id=call.task_id,
            job_id=draft.id,
            provider=draft.provider,
            endpoint=draft.endpoint,
            model=draft.model,
            tier=draft.tier,
        )
        span = tracing.without_end(
            asked,
            code=error["code"],
            began_at=draft.published_at,
            ended_at=datetime.now(UTC),
            trace=call.trace,
        )
        self._tell(span)
        return ends.without_answer(error, draft.on_failure)

    def _tell(self, span: Span) -> None:
        if self._told is not None:
            self._told([span])

    def _bill(self, draft: JobDraft, outcome: Outcome) -> Billed | None:
        usage = billed_usage(outcome)
        if usage is None:
            return None
        model = outcome.model if isinstance(outcome, Answered) else draft.model
        nano_usd = price(draft.provider, model, usage, batch=False, overrides=self._overrides)
        return Billed(usage=usage, model=model, nano_usd=nano_usd)


def _again(draft: JobDraft, outcome: Outcome, attempts: int) -> bool:
    """Whether the call's policy is to ask again for what was not whole."""
    failed = flaws.flaw(outcome) is not None or isinstance(outcome, Transient)
    return draft.on_failure is OnFailure.RETRY and failed and attempts < draft.attempts_max


def _cut_off(reply: NotTaken | LaneClosed | Ambiguous | OverLimit) -> dict[str, Any]:
    match reply:
        case OverLimit():
            return _error("spend_limit_reached", reply.reason, retryable=True)
        case NotTaken():
            return _error("not_taken", reply.reason, retryable=True)
        case LaneClosed():
            return _error(reply.code, reply.message)
        case Ambiguous():
            return _error("answer_lost", reply.reason, retryable=True)
        case _:
            assert_never(reply)


def _account(draft: JobDraft) -> Account:
    return Account(provider=draft.provider, account=draft.account)


def _error(code: str, message: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"code": code, "message": message, "retryable": retryable}
