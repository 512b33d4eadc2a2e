"""Put a price on an outcome and ask policy what follows."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.ledger.settling import Charge
from app.ledger.submissions import Submission
from app.policy.lifecycle import Move
from app.policy.outcomes import Answered, Outcome, Rejected, Transient, Usage
from app.policy.pricing import Overrides, price
from app.policy.settling import Prices, Standing, next_move


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a job, and what its line cost; None where it was not billed."""

    move: Move
    charge: Charge | None


class Judge:
    """Knows the price list; the rest is the outcome's."""

    def __init__(self, *, overrides: Overrides, first_backoff: timedelta) -> None:
        self._overrides = overrides
        self._first_backoff = first_backoff

    def line(
        self,
        submission: Submission,
        outcome: Outcome,
        standing: Standing,
        *,
        custom_id: str,
        now: datetime,
    ) -> Judged:
        """Judge one line of a provider batch."""
        usage = billed_usage(outcome)
        model = outcome.model if isinstance(outcome, Answered) else submission.model
        prices = Prices(
            cost_nano_usd=self._price(submission, model, usage, batch=True),
            sync_nano_usd=self._price(submission, model, usage, batch=False),
        )
        move = next_move(
            outcome, standing, prices=prices, now=now, first_backoff=self._first_backoff
        )
        if usage is None:
            return Judged(move, None)
        charge = Charge(
            source=f"batch:{submission.provider_batch_id}",
            line=custom_id,
            provider=submission.provider,
            account=submission.account,
            job_id=standing.job_id,
            model=model,
            batch=True,
            usage=usage,
            nano_usd=prices.cost_nano_usd,
        )
        return Judged(move, charge)

    def _price(
        self, submission: Submission, model: str, usage: Usage | None, *, batch: bool
    ) -> int | None:
        if usage is None:
            return None
        return price(submission.provider, model, usage, batch=batch, overrides=self._overrides)


def billed_usage(outcome: Outcome) -> Usage | None:
    """The tokens that an outcome was billed for; None where it was not billed."""
    match outcome:
        case Answered() | Rejected() | Transient():
            return outcome.usage
        case _:
            return None
