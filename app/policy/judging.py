"""Put a price on an outcome and say what follows: the same for a batch's line and a direct call."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.policy.flaws import checked
from app.policy.lifecycle import Move
from app.policy.outcomes import Answered, Closed, Outcome, Rejected, Transient, Usage
from app.policy.pricing import Overrides, price
from app.policy.settling import Prices, Standing, next_move


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """One billed line. `nano_usd` None is an unknown price, never a free one."""

    source: str
    line: str
    provider: str
    account: str
    job_id: UUID | None
    model: str
    batch: bool
    usage: Usage
    nano_usd: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """What a charge says beside its price: where the line stands, and who pays."""

    #: `batch:<provider batch id>` or `direct:<job id>`.
    source: str
    #: The line's custom_id, or the attempt's number.
    line: str
    provider: str
    account: str
    #: The model that was asked; the answer may name another.
    model: str
    batch: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a job, and what its line cost; None where it was not billed."""

    move: Move
    charge: Charge | None


class Judge:
    """Knows the price list and the backoff; the rest is the outcome's."""

    def __init__(self, *, overrides: Overrides, first_backoff: timedelta) -> None:
        self._overrides = overrides
        self._first_backoff = first_backoff

    def judge(self, outcome: Outcome, standing: Standing, bill: Bill, *, now: datetime) -> Judged:
        """Judge one attempt's end; an answer is held against the schema that it was to have."""
        outcome = checked(outcome, standing.answer_schema)
        usage = billed_usage(outcome)
        model = outcome.model if isinstance(outcome, Answered) else bill.model
        prices = Prices(
            cost_nano_usd=self._price(bill.provider, model, usage, batch=bill.batch),
            sync_nano_usd=self._price(bill.provider, model, usage, batch=False),
        )
        move = next_move(
            outcome, standing, prices=prices, now=now, first_backoff=self._first_backoff
        )
        return Judged(move, self.charge(outcome, bill, job_id=standing.job_id))

    def charge(self, outcome: Outcome, bill: Bill, *, job_id: UUID | None) -> Charge | None:
        """What an outcome cost, whatever becomes of its job; None where it was not billed."""
        usage = billed_usage(outcome)
        if usage is None:
            return None
        model = outcome.model if isinstance(outcome, Answered) else bill.model
        return Charge(
            source=bill.source,
            line=bill.line,
            provider=bill.provider,
            account=bill.account,
            job_id=job_id,
            model=model,
            batch=bill.batch,
            usage=usage,
            nano_usd=self._price(bill.provider, model, usage, batch=bill.batch),
        )

    def _price(self, provider: str, model: str, usage: Usage | None, *, batch: bool) -> int | None:
        if usage is None:
            return None
        return price(provider, model, usage, batch=batch, overrides=self._overrides)


def billed_usage(outcome: Outcome) -> Usage | None:
    """The tokens that an outcome was billed for; None where it was not billed."""
    match outcome:
        case Answered() | Rejected() | Transient() | Closed():
            return outcome.usage
        case _:
            return None
