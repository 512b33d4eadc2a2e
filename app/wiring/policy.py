"""What policy decides by: the rules of admission, the judge, and when an empty file is believed."""

from datetime import timedelta
from functools import cache

from app.policy.judging import Judge
from app.policy.reconciling import Emptiness
from app.policy.rules import Rules
from app.policy.spending import PriceRules
from app.settings import Settings, settings
from app.wiring.accounts import daily_limits, named_accounts
from unhurried import workloads
from unhurried.contract import Tier


def rules(config: Settings, *tiers: Tier) -> Rules:
    """What is admitted at these tiers."""
    return Rules(
        request_bytes_max=config.request_bytes_max,
        attempts_max=config.attempts_max,
        attached_bytes_max=config.attached_bytes_max if config.storage else None,
        models_allowed=config.models_allowed,
        accounts=named_accounts(config),
        receivers=frozenset(config.webhooks),
        daily_limits=daily_limits(),
        prices=PriceRules(overrides=config.price_overrides, unknown=config.price_ceiling),
        tiers=frozenset(tiers),
        workloads=workloads.read(config.workloads) if config.workloads is not None else None,
    )


@cache
def judge() -> Judge:
    """Prices outcomes and says what follows."""
    config = settings()
    return Judge(
        overrides=config.price_overrides, first_backoff=timedelta(seconds=config.retry_first_s)
    )


@cache
def emptiness() -> Emptiness:
    """When a result file without a single line is believed."""
    config = settings()
    return Emptiness(
        looks=config.downloads_max, after=timedelta(seconds=config.results_empty_after_s)
    )
