"""Whether a message is taken into the ledger, and as what. Pure: the message decides, nothing else.

A bad request fails its task within seconds, not after a batch of hours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from pydantic import ValidationError

from app.policy import attachments, canonical, shapes, upstream
from app.policy import rules as checks
from app.policy.attachments import Weighed
from app.policy.rules import Refused, Rules
from app.policy.sharing import ALONE, Sharing, sharing
from unhurried.contract import (
    Endpoint,
    JobOptions,
    MailNotice,
    OnFailure,
    OnLost,
    Tier,
    WebhookNotice,
)

#: Everything a job id is derived from lies under this.
_NAMESPACE: Final = UUID("9a3f7c52-6a0e-4b0a-9a0e-756e68757272")

#: English prose runs at four bytes a token; JSON and code at three. Estimates err on the safe side.
_BYTES_PER_TOKEN: Final = 3
#: More than any provider's name of a model; what an index of the ledger can hold.
_MODEL_CHARACTERS_MAX: Final = 300

PROVIDERS: Final[dict[Endpoint, str]] = {
    Endpoint.MESSAGES: "anthropic",
    Endpoint.RESPONSES: "openai",
    Endpoint.CHAT: "openai",
    Endpoint.EMBEDDINGS: "openai",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class JobDraft:
    """A job as it will stand in the ledger, before anyone knows whether it is there already."""

    id: UUID
    tenant: str
    endpoint: Endpoint
    provider: str
    account: str
    model: str
    key: str | None
    fingerprint: bytes
    workload: str | None
    subject: str | None
    tier: Tier
    #: As it is stored: attachments are named in it, not contained.
    request: bytes = field(repr=False)
    #: What it weighs at the provider, attachments included.
    request_bytes: int
    request_tokens: int
    #: Inputs for a provider that limits a batch by them; 1 for anything but embeddings.
    request_inputs: int
    #: What one attempt costs at most at the sync tier.
    ceiling_nano_usd: int = 0
    prefix_digest: bytes
    as_of: datetime
    published_at: datetime
    ready_at: datetime
    due_at: datetime | None
    effective_for_s: float | None
    attempts_max: int
    on_failure: OnFailure
    #: The JSON schema that the answer must have, as canonical JSON.
    answer_schema: bytes | None = field(repr=False, default=None)
    on_lost: OnLost
    notify: tuple[MailNotice | WebhookNotice, ...]
    sharing: Sharing = ALONE
    #: The run that this call is a part of.
    run: UUID | None = None

    def as_another(self) -> "JobDraft":
        """The same as a job of its own: what one task id asks without a key is told apart by the request."""
        return replace(self, id=uuid5(self.id, self.fingerprint.hex()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a message cannot become a job; its task fails with this."""

    code: str
    message: str
    on_failure: OnFailure = OnFailure.RAISE
    #: The run that the call is a part of: it ends with this part, too.
    run: UUID | None = None


Decision = JobDraft | Refusal


def decide(
    *,
    endpoint: Endpoint,
    task_id: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    eta: datetime | None,
    expires: datetime | None,
    now: datetime,
    rules: Rules,
) -> Decision:
    """Admit a call or refuse it. `eta` and `expires` are Celery's own; the later wish wins.

    A call that this code fails over is refused as well: it comes from a stranger, and others wait behind it.
    """
    options: JobOptions | None = None
    try:
        options = _options(kwargs)
        request = _request(endpoint, args, kwargs, options.tier, rules)
        checks.require_contract(options, request, rules)
        checks.require_receivers(options, rules)
        encoded = checks.encode(request, rules)
        weighed = Weighed(request, ())
        if attachments.may_be_in(encoded):
            weighed = checks.weigh(request, rules)
            encoded = checks.encode(weighed.request, rules)
        return _draft(
            endpoint,
            task_id,
            options,
            weighed,
            encoded,
            eta=eta,
            expires=expires,
            now=now,
            rules=rules,
        )
    except Refused as refused:
        return _refusal(refused, options)
    except RecursionError:
        return _refusal(Refused("the call is nested too deep"), options)
    except Exception as error:  # noqa: BLE001 - raised, it would come back with its message, and stop intake
        failed = f"the service failed over this call ({type(error).__name__}): tell its operator"
        return _refusal(Refused(failed), options)


def job_id(*, tenant: str, endpoint: Endpoint, key: str | None, task_id: str) -> UUID:
    """The job that a call belongs to: its key names it, or else its own task id."""
    name = f"key\0{key}" if key is not None else f"task\0{task_id}"
    return uuid5(_NAMESPACE, f"{tenant}\0{endpoint}\0{name}")


def _refusal(refused: Refused, options: JobOptions | None) -> Refusal:
    return Refusal(
        code=refused.refusal_code,
        message=refused.message,
        on_failure=options.on_failure if options else OnFailure.RAISE,
        run=options.run if options else None,
    )


def _options(kwargs: Mapping[str, Any]) -> JobOptions:
    if not isinstance(kwargs.get("options"), dict) or not isinstance(kwargs.get("request"), dict):
        raise Refused(
            "the message holds no request and options: publish it with unhurried's handles"
        )
    try:
        return JobOptions.model_validate(kwargs["options"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(f"option {place}: {first['msg']}") from None


def _request(
    endpoint: Endpoint,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    tier: Tier,
    rules: Rules,
) -> dict[str, Any]:
    request = dict(kwargs["request"])
    checks.require_tier(tier, rules)
    try:
        if args:
            request = upstream.merge(endpoint, args[0], request)
        shapes.require(endpoint, request, tier)
    except upstream.NothingToSay as silence:
        raise Refused(str(silence), "upstream_failed") from None
    except shapes.WrongShapeError as wrong:
        raise Refused(str(wrong)) from None
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise Refused("model is missing")
    if not model.isprintable() or len(model) > _MODEL_CHARACTERS_MAX:
        raise Refused(f"model is no name of at most {_MODEL_CHARACTERS_MAX} printable characters")
    if rules.models_allowed and model not in rules.models_allowed:
        raise Refused(f"model {model!r} is not allowed here: {', '.join(rules.models_allowed)}")
    return request


def _draft(
    endpoint: Endpoint,
    task_id: str,
    options: JobOptions,
    weighed: Weighed,
    encoded: bytes,
    *,
    eta: datetime | None,
    expires: datetime | None,
    now: datetime,
    rules: Rules,
) -> JobDraft:
    request = weighed.request
    published_at = min(options.published_at or now, now)
    due_at = expires
    if options.deadline_s is not None:
        due_at = published_at + timedelta(seconds=options.deadline_s)
    fingerprint = canonical.fingerprint(endpoint, canonical.encode(dict(request)))
    answer_schema = checks.schema(options)
    request_tokens = (
        len(encoded) // _BYTES_PER_TOKEN + 1 + sum(one.tokens for one in weighed.references)
    )
    account = checks.require_account(options, PROVIDERS[endpoint], rules)
    as_of = options.as_of or published_at
    checks.require_end(as_of, options.effective_for_s)
    return JobDraft(
        id=job_id(
            tenant=options.tenant, endpoint=endpoint, key=options.idempotency_key, task_id=task_id
        ),
        tenant=options.tenant,
        endpoint=endpoint,
        provider=PROVIDERS[endpoint],
        account=account,
        model=str(request["model"]),
        key=options.idempotency_key,
        fingerprint=fingerprint,
        workload=options.workload,
        subject=options.subject,
        tier=options.tier,
        request=encoded,
        request_bytes=len(encoded) + sum(one.written_bytes for one in weighed.references),
        request_tokens=request_tokens,
        request_inputs=shapes.inputs_count(endpoint, request),
        ceiling_nano_usd=checks.require_affordable(
            request,
            rules,
            provider=PROVIDERS[endpoint],
            account=account,
            tier=options.tier,
            input_tokens=request_tokens,
        ),
        prefix_digest=shapes.prefix_digest(endpoint, request),
        as_of=as_of,
        published_at=published_at,
        ready_at=max(eta or now, now),
        due_at=due_at,
        effective_for_s=options.effective_for_s,
        attempts_max=options.attempts or rules.attempts_max,
        on_failure=options.on_failure,
        answer_schema=answer_schema,
        on_lost=options.on_lost,
        notify=tuple(options.notify),
        sharing=_sharing(options, rules, [fingerprint, answer_schema]),
        run=options.run,
    )


def _sharing(options: JobOptions, rules: Rules, asked: Sequence[object]) -> Sharing:
    contract = (rules.workloads or {}).get(options.workload or "")
    return sharing(
        contract,
        asked=[options.workload, options.subject, *asked],
        answered_how=[
            options.tier,
            options.account,
            options.attempts,
            options.on_failure,
            options.on_lost,
            options.effective_for_s,
        ],
        keyed=options.idempotency_key is not None,
    )
