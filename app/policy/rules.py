"""What a deployment admits, and the checks of a call against it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from app.policy import attachments, canonical, webhooks
from app.policy.attachments import Weighed
from app.policy.flaws import require_schema
from app.policy.spending import DailyLimits, PriceRules, at_tier, ceiling, dollars
from unhurried.contract import JobOptions, Tier, WebhookNotice
from unhurried.workloads import Workload

#: The account of the keys that the settings name themselves.
DEFAULT_ACCOUNT: Final = "default"
#: No call costs a hundred thousand dollars. Above it the limits named are a mistake, and a day's sum of
#: them would be more than the ledger counts to.
_NANO_USD_MAX: Final = 10**14


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What this deployment admits."""

    request_bytes_max: int
    attempts_max: int
    #: What a request may weigh with its attachments in it; None where there is no storage here.
    attached_bytes_max: int | None = None
    models_allowed: tuple[str, ...] = ()
    #: Declared workloads by name; None where no file declares any, and a name is only a name.
    workloads: Mapping[str, Workload] | None = None
    #: Named accounts by provider, beside its default one.
    accounts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Receivers of webhooks that are set up.
    receivers: frozenset[str] = frozenset()
    #: What an account may spend in a day, where it is limited.
    daily_limits: DailyLimits = field(default_factory=dict)
    prices: PriceRules = field(default_factory=PriceRules)
    #: Tiers that a message on the pump's queues may ask for.
    tiers: frozenset[Tier] = frozenset({Tier.BATCH})


class Refused(Exception):  # noqa: N818 - control flow of admission only
    """A call cannot become a job: why, and a code for programs."""

    def __init__(self, message: str, code: str = "invalid_request") -> None:
        self.refusal_code, self.message = code, message
        super().__init__(message)


def require_tier(tier: Tier, rules: Rules) -> None:
    """Raise Refused where this queue does not serve the tier."""
    if tier not in rules.tiers:
        served = ", ".join(sorted(rules.tiers))
        raise Refused(
            f"tier {tier} is not served from this queue; it serves: {served}", "wrong_tier"
        )


def require_contract(options: JobOptions, request: Mapping[str, Any], rules: Rules) -> None:
    """Raise Refused where a workload's contract does not allow the call.

    The service holds the contract as well: a caller's file may be older than ours.
    """
    if options.workload is None or rules.workloads is None:
        return
    contract = rules.workloads.get(options.workload)
    if contract is None:
        known = ", ".join(sorted(rules.workloads)) or "none"
        raise Refused(
            f"no workload {options.workload!r} is declared here; declared are: {known}",
            "unknown_workload",
        )
    if contract.models and request["model"] not in contract.models:
        allowed = ", ".join(contract.models)
        raise Refused(f"workload {options.workload!r} may only ask: {allowed}")


def require_account(options: JobOptions, provider: str, rules: Rules) -> str:
    """The account that the call goes to. Raises Refused for one that is not this provider's."""
    account = options.account or DEFAULT_ACCOUNT
    named = rules.accounts.get(provider, frozenset())
    if account != DEFAULT_ACCOUNT and account not in named:
        known = ", ".join(sorted({DEFAULT_ACCOUNT, *named}))
        raise Refused(
            f"{account!r} is no account at {provider} here; there are: {known}", "unknown_account"
        )
    return account


def require_receivers(options: JobOptions, rules: Rules) -> None:
    """Raise Refused where a webhook names a receiver that is not set up."""
    for notice in options.notify:
        if isinstance(notice, WebhookNotice):
            try:
                webhooks.require_known(notice.receiver, rules.receivers)
            except webhooks.UnknownReceiver as unknown:
                raise Refused(str(unknown), "unknown_receiver") from None


def encode(request: Mapping[str, Any], rules: Rules) -> bytes:
    """The request as it is stored. Raises Refused where it is no JSON, or too large."""
    try:
        encoded = canonical.encode(dict(request), as_written=True)
    except canonical.NotCanonical as reason:
        raise Refused(str(reason)) from None
    if len(encoded) > rules.request_bytes_max:
        raise Refused(
            f"the request is {len(encoded):,} bytes; at most {rules.request_bytes_max:,} are taken",
            "too_large",
        )
    return encoded


def weigh(request: Mapping[str, Any], rules: Rules) -> Weighed:
    """The request with its attachments found. Raises Refused where they are none, or too large."""
    try:
        weighed = attachments.weigh(request)
    except attachments.NotAttachedError as reason:
        raise Refused(str(reason)) from None
    if weighed.references:
        if rules.attached_bytes_max is None:
            raise Refused(
                "the request has attachments, and the service has no storage: set UNHURRIED_STORAGE there",
                "no_storage",
            )
        size = sum(one.written_bytes for one in weighed.references)
        if size > rules.attached_bytes_max:
            raise Refused(
                f"the attachments are {size:,} bytes of base64; at most {rules.attached_bytes_max:,} "
                "are taken",
                "too_large",
            )
    return weighed


def require_affordable(
    request: Mapping[str, Any],
    rules: Rules,
    *,
    provider: str,
    account: str,
    tier: Tier,
    input_tokens: int,
) -> int:
    """What an attempt costs at most at the sync tier. Raises Refused where no day allows as much."""
    most = ceiling(
        provider, str(request["model"]), request, input_tokens=input_tokens, rules=rules.prices
    )
    if most > _NANO_USD_MAX:
        raise Refused(
            f"the call may cost {dollars(most)}, which no answer costs: lower its token limit"
        )
    limit = rules.daily_limits.get((provider, account))
    if limit is not None and at_tier(most, tier) > limit:
        raise Refused(
            f"the call may cost {dollars(at_tier(most, tier))} and account {account!r} may spend "
            f"{dollars(limit)} a day: lower its token limit, or raise the account's",
            "over_daily_limit",
        )
    return most


def require_end(as_of: datetime, effective_for_s: float | None) -> None:
    """Raise Refused where an answer could be shown for longer than there are dates."""
    try:
        as_of + timedelta(seconds=effective_for_s or 0)
    except OverflowError:
        raise Refused("option effective_for_s: it ends after the year 9999") from None


def schema(options: JobOptions) -> bytes | None:
    """The schema that the answer must have, as canonical JSON. Raises Refused where it is none."""
    if options.answer_schema is None:
        return None
    try:
        encoded = canonical.encode(options.answer_schema)
        require_schema(options.answer_schema)
    except ValueError as reason:
        raise Refused(f"schema: {reason}") from None
    return encoded
