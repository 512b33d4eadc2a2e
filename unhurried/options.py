"""A call's arguments, divided: the SDK's own go to the provider, ours say how it is answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from unhurried import workloads
from unhurried.contract import Endpoint, JobOptions, MailNotice, Tier, WebhookNotice
from unhurried.errors import CallError, MissingTier
from unhurried.plain import plain
from unhurried.schemas import ask
from unhurried.spans import seconds

#: Ours. None of them may ever be a parameter of an SDK's method; a test compares them.
NAMES: Final = frozenset(
    {
        "tier",
        "workload",
        "subject",
        "as_of",
        "deadline",
        "effective_for",
        "idempotency_key",
        "on_failure",
        "on_lost",
        "notify",
        "schema",
        "account",
        "attempts",
        "tenant",
    }
)
#: What `notify=` takes.
Notices = MailNotice | WebhookNotice | Sequence[MailNotice | WebhookNotice]

#: Arguments of an SDK's method that are no part of a request, and so mean nothing hours later.
_NOT_A_REQUEST: Final = ("extra_headers", "extra_query", "extra_body", "timeout")


def split(arguments: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """`{"request": ..., "options": ...}` of a call's keyword arguments.

    Raises MissingTier, CallError (what cannot be sent, by place) or ValueError (a bad option).
    """
    ours = _with_workload(
        {name: arguments[name] for name in NAMES & arguments.keys()}, arguments.get("model")
    )
    request = {name: value for name, value in arguments.items() if name not in NAMES}
    for name in _NOT_A_REQUEST:
        if name in request:
            raise CallError(f"{name} belongs to a call that waits; a job cannot carry it")
    if request.pop("stream", None):
        raise CallError("stream is not possible here: the answer comes as one result")
    schema = ours.pop("schema", None)
    if schema is not None:
        asked = ask(endpoint, schema, request)
        request |= asked.parameters
        ours["answer_schema"] = asked.checked
    return {"request": plain(request), "options": _options(ours)}


def first_problem(error: ValidationError) -> str:
    """What is wrong with which option, in one line and without its value."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _with_workload(ours: dict[str, Any], model: Any) -> dict[str, Any]:
    """Ours, with what the workload's contract says where the call does not."""
    name = ours.get("workload")
    contract = workloads.find(name) if isinstance(name, str) else None
    if contract is None:
        return ours
    if contract.models and model not in contract.models:
        allowed = ", ".join(contract.models)
        raise CallError(f"workload {name!r} may not ask {model!r}; its contract names: {allowed}")
    given = {key: value for key, value in ours.items() if value is not None}
    return {**contract.defaults(), **given}


def _options(ours: dict[str, Any]) -> dict[str, Any]:
    tier = ours.get("tier")
    if tier is None:
        raise MissingTier(
            "is a user waiting? say so: tier='sync' (answered in seconds), 'near-real-time' (minutes) "
            "or 'batch' (hours, half price)"
        )
    if str(tier) not in list(Tier):
        raise ValueError(f"tier={tier!r} is none of: {', '.join(Tier)}")
    values: dict[str, Any] = {
        name: value
        for name, value in ours.items()
        if name not in {"deadline", "effective_for", "notify"} and value is not None
    }
    for name in ("deadline", "effective_for"):
        if ours.get(name) is not None:
            values[f"{name}_s"] = seconds(ours[name])
    if ours.get("notify") is not None:
        if Tier(str(tier)) is Tier.SYNC:
            raise ValueError(
                "notify= tells of a job that ends later; a sync call has ended by then"
            )
        values["notify"] = notices(ours["notify"])
    return _validated(values)


def notices(notify: Notices) -> list[MailNotice | WebhookNotice]:
    """What `notify=` says, as a list."""
    return [notify] if isinstance(notify, MailNotice | WebhookNotice) else list(notify)


def _validated(values: dict[str, Any]) -> dict[str, Any]:
    as_of = values.get("as_of")
    if isinstance(as_of, datetime) and as_of.tzinfo is None:
        raise ValueError("as_of needs a time zone: datetime.now(UTC), not datetime.now()")
    if "idempotency_key" in values:
        values["idempotency_key"] = str(values["idempotency_key"])
    try:
        options = JobOptions.model_validate(values)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None
    return options.model_dump(mode="json", exclude_defaults=True)
