"""Whether a message is taken into the ledger, and as what. Pure: the message decides, nothing else.

A bad request fails its task within seconds, not after a batch of hours.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, assert_never
from uuid import UUID, uuid5

from pydantic import ValidationError

from app.policy import attachments, canonical, upstream, webhooks
from app.policy.attachments import Weighed
from app.policy.flaws import require_schema
from app.policy.parameters import REFUSED_IN_BATCH, REMOVED, accepted
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
from unhurried.workloads import Workload

#: Everything a job id is derived from lies under this.
_NAMESPACE: Final = UUID("9a3f7c52-6a0e-4b0a-9a0e-756e68757272")

#: English prose runs at four bytes a token; JSON and code at three. Estimates err on the safe side.
_BYTES_PER_TOKEN: Final = 3

#: OpenAI documents 2,048 texts for one embeddings request.
_EMBEDDING_INPUTS_MAX: Final = 2048

PROVIDERS: Final[dict[Endpoint, str]] = {
    Endpoint.MESSAGES: "anthropic",
    Endpoint.RESPONSES: "openai",
    Endpoint.CHAT: "openai",
    Endpoint.EMBEDDINGS: "openai",
}


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
    #: Receivers of webhooks that are set up.
    receivers: frozenset[str] = frozenset()
    #: Tiers that a message on the pump's queues may ask for.
    tiers: frozenset[Tier] = frozenset({Tier.BATCH})


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a message cannot become a job; its task fails with this."""

    code: str
    message: str
    on_failure: OnFailure = OnFailure.RAISE


Decision = JobDraft | Refusal


class _Refused(Exception):  # noqa: N818 - control flow inside this module only
    def __init__(self, message: str, code: str = "invalid_request") -> None:
        self.refusal_code, self.message = code, message
        super().__init__(message)


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
    """Admit a call or refuse it. `eta` and `expires` are Celery's own; the later wish wins."""
    options: JobOptions | None = None
    try:
        options = _options(kwargs)
        request = _request(endpoint, args, kwargs, options.tier, rules)
        _check_workload(options, request, rules)
        _check_notices(options, rules)
        weighed = _weigh(request, rules)
        encoded = _encode(weighed.request, rules)
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
    except _Refused as refused:
        policy = options.on_failure if options else OnFailure.RAISE
        return Refusal(code=refused.refusal_code, message=refused.message, on_failure=policy)


def job_id(*, tenant: str, endpoint: Endpoint, key: str | None, task_id: str) -> UUID:
    """The job that a call belongs to: its key names it, or else its own task id."""
    name = f"key\0{key}" if key is not None else f"task\0{task_id}"
    return uuid5(_NAMESPACE, f"{tenant}\0{endpoint}\0{name}")


def _options(kwargs: Mapping[str, Any]) -> JobOptions:
    if not isinstance(kwargs.get("options"), dict) or not isinstance(kwargs.get("request"), dict):
        raise _Refused(
            "the message holds no request and options: publish it with unhurried's handles"
        )
    try:
        return JobOptions.model_validate(kwargs["options"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _Refused(f"option {place}: {first['msg']}") from None


def _request(
    endpoint: Endpoint,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    tier: Tier,
    rules: Rules,
) -> dict[str, Any]:
    request = dict(kwargs["request"])
    if args:
        try:
            request = upstream.merge(endpoint, args[0], request)
        except upstream.NothingToSay as silence:
            raise _Refused(str(silence), "upstream_failed") from None
    _check_tier(tier, rules)
    _check_names(endpoint, request, tier)
    _check_shape(endpoint, request)
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise _Refused("model is missing")
    if rules.models_allowed and model not in rules.models_allowed:
        raise _Refused(f"model {model!r} is not allowed here: {', '.join(rules.models_allowed)}")
    return request


def _check_tier(tier: Tier, rules: Rules) -> None:
    if tier not in rules.tiers:
        served = ", ".join(sorted(rules.tiers))
        raise _Refused(
            f"tier {tier} is not served from this queue; it serves: {served}", "wrong_tier"
        )


def _check_names(endpoint: Endpoint, request: Mapping[str, Any], tier: Tier) -> None:
    for name in sorted(request.keys() & REMOVED[endpoint]):
        raise _Refused(f"{name} was removed from this API: leave it out")
    if request.get("stream"):
        raise _Refused("stream is not possible here: the answer comes as one result")
    if tier is Tier.BATCH:
        for name in sorted(request.keys() & REFUSED_IN_BATCH[endpoint]):
            if request[name] not in (None, False):
                raise _Refused(f"{name} is refused inside a batch: leave it out or use tier='sync'")
    unknown = sorted(request.keys() - accepted(endpoint))
    if unknown:
        raise _Refused(f"{endpoint} takes no argument {unknown[0]!r}")


def _check_shape(endpoint: Endpoint, request: Mapping[str, Any]) -> None:
    match endpoint:
        case Endpoint.MESSAGES:
            _check_turns(request)
            tokens = request.get("max_tokens")
            if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
                raise _Refused("max_tokens must be a whole number of at least 1")
        case Endpoint.CHAT:
            _check_turns(request)
        case Endpoint.RESPONSES:
            if not request.get("input") and not request.get("prompt"):
                raise _Refused("input is missing")
        case Endpoint.EMBEDDINGS:
            count = inputs_count(endpoint, request)
            if not request.get("input"):
                raise _Refused("input is missing")
            if count > _EMBEDDING_INPUTS_MAX:
                raise _Refused(
                    f"input holds {count:,} texts; at most {_EMBEDDING_INPUTS_MAX:,} are taken at once"
                )
        case _:
            assert_never(endpoint)


def _check_turns(request: Mapping[str, Any]) -> None:
    if not isinstance(request.get("messages"), list) or not request["messages"]:
        raise _Refused("messages must be a list of at least one message")


def inputs_count(endpoint: Endpoint, request: Mapping[str, Any]) -> int:
    """How many inputs a request counts for: OpenAI limits embeddings by inputs, not by lines."""
    inputs = request.get("input")
    if endpoint is not Endpoint.EMBEDDINGS or not isinstance(inputs, list):
        return 1
    # A list of numbers is one text as tokens.
    return 1 if inputs and isinstance(inputs[0], int) else len(inputs)


def _check_workload(options: JobOptions, request: Mapping[str, Any], rules: Rules) -> None:
    """The service holds the contract as well: a caller's file may be older than ours."""
    if options.workload is None or rules.workloads is None:
        return
    contract = rules.workloads.get(options.workload)
    if contract is None:
        known = ", ".join(sorted(rules.workloads)) or "none"
        raise _Refused(
            f"no workload {options.workload!r} is declared here; declared are: {known}",
            "unknown_workload",
        )
    if contract.models and request["model"] not in contract.models:
        allowed = ", ".join(contract.models)
        raise _Refused(f"workload {options.workload!r} may only ask: {allowed}")


def _check_notices(options: JobOptions, rules: Rules) -> None:
    for notice in options.notify:
        if isinstance(notice, WebhookNotice):
            try:
                webhooks.require_known(notice.receiver, rules.receivers)
            except webhooks.UnknownReceiver as unknown:
                raise _Refused(str(unknown), "unknown_receiver") from None


def _encode(request: Mapping[str, Any], rules: Rules) -> bytes:
    try:
        encoded = canonical.encode(dict(request), as_written=True)
    except canonical.NotCanonical as reason:
        raise _Refused(str(reason)) from None
    if len(encoded) > rules.request_bytes_max:
        raise _Refused(
            f"the request is {len(encoded):,} bytes; at most {rules.request_bytes_max:,} are taken",
            "too_large",
        )
    return encoded


def _weigh(request: Mapping[str, Any], rules: Rules) -> Weighed:
    try:
        weighed = attachments.weigh(request)
    except attachments.NotAttachedError as reason:
        raise _Refused(str(reason)) from None
    if weighed.references:
        if rules.attached_bytes_max is None:
            raise _Refused(
                "the request has attachments, and the service has no storage: set UNHURRIED_STORAGE there",
                "no_storage",
            )
        size = sum(one.written_bytes for one in weighed.references)
        if size > rules.attached_bytes_max:
            raise _Refused(
                f"the attachments are {size:,} bytes of base64; at most {rules.attached_bytes_max:,} "
                "are taken",
                "too_large",
            )
    return weighed


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
    answer_schema = _schema(options)
    return JobDraft(
        id=job_id(
            tenant=options.tenant, endpoint=endpoint, key=options.idempotency_key, task_id=task_id
        ),
        tenant=options.tenant,
        endpoint=endpoint,
        provider=PROVIDERS[endpoint],
        account=options.account or "default",
        model=str(request["model"]),
        key=options.idempotency_key,
        fingerprint=fingerprint,
        workload=options.workload,
        subject=options.subject,
        tier=options.tier,
        request=encoded,
        request_bytes=len(encoded) + sum(one.written_bytes for one in weighed.references),
        request_tokens=len(encoded) // _BYTES_PER_TOKEN
        + 1
        + sum(one.tokens for one in weighed.references),
        request_inputs=inputs_count(endpoint, request),
        prefix_digest=_prefix_digest(endpoint, request),
        as_of=options.as_of or published_at,
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


def _schema(options: JobOptions) -> bytes | None:
    if options.answer_schema is None:
        return None
    try:
        require_schema(options.answer_schema)
        return canonical.encode(options.answer_schema)
    except ValueError as reason:
        raise _Refused(f"schema: {reason}") from None


def _prefix_digest(endpoint: Endpoint, request: Mapping[str, Any]) -> bytes:
    """Digest of what prompts of a kind share and providers cache: the instructions and the tools."""
    prefix = [request.get("model"), request.get("tools"), _instructions(endpoint, request)]
    return hashlib.sha256(canonical.encode(prefix)).digest()[:8]


def _instructions(endpoint: Endpoint, request: Mapping[str, Any]) -> Any:
    match endpoint:
        case Endpoint.MESSAGES:
            return request.get("system")
        case Endpoint.RESPONSES:
            return request.get("instructions")
        case Endpoint.CHAT:
            first = request["messages"][0]
            roles = {"system", "developer"}
            return first if isinstance(first, dict) and first.get("role") in roles else None
        case Endpoint.EMBEDDINGS:
            return None
        case _:
            assert_never(endpoint)
