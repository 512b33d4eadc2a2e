"""Celery's message as it lies in Redis, taken apart and decided upon. Nothing here touches a server."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kombu.exceptions import KombuError
from kombu.serialization import loads

from app.ledger.arrivals import Admission, Message, NotificationDraft
from app.ledger.notifications import id_of_task
from app.policy import admission, contexts, mail, runs, tracing, versions, webhooks
from app.policy.admission import Refusal
from app.policy.awaiting import follower
from app.policy.rules import Rules
from app.policy.runs import RunDraft
from unhurried.contract import (
    CONTRACT_HEADER,
    CONTRACT_VERSION,
    EMAIL_TASK,
    ENDPOINTS_BY_TASK,
    ORIGIN_HEADER,
    TELLS_HEADER,
    WEBHOOK_TASK,
)
from unhurried.run_wire import RUN_TASK

#: What arrives is another party's: nothing but JSON is ever decoded.
_ACCEPTED: Final = ("json", "application/json")
#: What an index of the ledger can hold, in any script.
_NAME_CHARACTERS_MAX: Final = 500


class Unreadable(ValueError):  # noqa: N818 - reads as what it says
    """A message without so much as a task id: nobody can be told, so it is kept for people."""


@dataclass(frozen=True, slots=True)
class _Call:
    args: list[Any]
    kwargs: dict[str, Any]
    embed: dict[str, Any]


def read(raw: bytes, *, now: datetime, rules: Rules) -> Admission:
    """One message and what is to become of it. Raises Unreadable where it names no task."""
    envelope = _envelope(raw)
    headers, properties = envelope["headers"], envelope["properties"]
    body = _body(envelope, properties)
    try:
        call = _call(envelope, body)
    except ValueError as error:
        message = _message(envelope, headers, properties, body, _Call([], {}, {}))
        refusal = _version_refused(headers) or Refusal(code="unreadable", message=str(error))
        return Admission(message=message, decision=refusal)
    message = _message(envelope, headers, properties, body, call)
    decision = _version_refused(headers) or _decide(message, headers, call, now, rules)
    return Admission(message=message, decision=decision)


def _version_refused(headers: Mapping[str, Any]) -> Refusal | None:
    return versions.refused(headers.get(CONTRACT_HEADER, CONTRACT_VERSION))


def _envelope(raw: bytes) -> dict[str, Any]:
    try:
        envelope: dict[str, Any] = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from None
    headers = envelope.get("headers") if isinstance(envelope, dict) else None
    if not isinstance(headers, dict) or not isinstance(headers.get("id"), str):
        raise Unreadable("no task id: not a Celery message of protocol 2")
    if not isinstance(headers.get("task"), str) or not isinstance(envelope.get("body"), str):
        raise Unreadable("no task name or no body: not a Celery message of protocol 2")
    envelope["properties"] = envelope.get("properties") or {}
    if not isinstance(envelope["properties"], dict):
        raise Unreadable("no properties: not a Celery message of protocol 2")
    _require_names(headers, envelope)
    return envelope


def _require_names(headers: Mapping[str, Any], envelope: Mapping[str, Any]) -> None:
    """Raise Unreadable where what names the message is no text that the ledger can hold."""
    for name in ("id", "task"):
        if not _is_name(headers[name]):
            raise Unreadable(f"{name} is no name")
    optional = {name: headers.get(name) for name in ("group", "root_id")}
    optional |= {name: envelope.get(name) for name in ("content-type", "content-encoding")}
    for name, value in optional.items():
        if value is not None and not _is_name(value):
            raise Unreadable(f"{name} is no name")


def _is_name(value: Any) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= _NAME_CHARACTERS_MAX:
        return False
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _body(envelope: Mapping[str, Any], properties: Mapping[str, Any]) -> bytes:
    if properties.get("body_encoding") == "base64":
        try:
            return base64.b64decode(envelope["body"], validate=True)
        except ValueError as error:  # also binascii.Error
            raise Unreadable(f"the body is not base64: {error}") from None
    return str(envelope["body"]).encode("utf-8", "surrogatepass")


def _call(envelope: Mapping[str, Any], body: bytes) -> _Call:
    try:
        decoded = loads(
            body,
            str(envelope.get("content-type") or "application/json"),
            str(envelope.get("content-encoding") or "utf-8"),
            accept=_ACCEPTED,
        )
        args, kwargs, embed = decoded
    except (KombuError, ValueError, TypeError, RecursionError, LookupError) as error:
        raise ValueError(f"the message body cannot be read as JSON: {error}") from None
    if not isinstance(args, list | tuple) or not isinstance(kwargs, dict):
        raise ValueError("the message body is not Celery's (args, kwargs, embed)")  # noqa: TRY004 - one refusal
    return _Call(list(args), kwargs, embed if isinstance(embed, dict) else {})


def _message(
    envelope: Mapping[str, Any],
    headers: Mapping[str, Any],
    properties: Mapping[str, Any],
    body: bytes,
    call: _Call,
) -> Message:
    chord = call.embed.get("chord")
    origin = headers.get(ORIGIN_HEADER)
    return Message(
        task_id=headers["id"],
        task_name=headers["task"],
        context_digest=contexts.digest(headers, call.embed),
        headers=json.dumps(headers).encode(),
        properties=json.dumps(properties).encode(),
        body=body,
        content_type=str(envelope.get("content-type") or "application/json"),
        content_encoding=str(envelope.get("content-encoding") or "utf-8"),
        group_id=headers.get("group"),
        root_id=headers.get("root_id"),
        in_chord=chord is not None,
        ignore_result=bool(headers.get("ignore_result")),
        origin=json.dumps(origin).encode() if origin is not None else None,
        follower=follower(call.embed),
        tells_pick_ups=bool(headers.get(TELLS_HEADER)),
    )


def _decide(
    message: Message, headers: Mapping[str, Any], call: _Call, now: datetime, rules: Rules
) -> Any:
    if message.task_name == EMAIL_TASK:
        return _mail(message, call)
    if message.task_name == WEBHOOK_TASK:
        return _webhook(message, headers, call, rules)
    if message.task_name == RUN_TASK:
        return _run(message, call)
    endpoint = ENDPOINTS_BY_TASK.get(message.task_name)
    if endpoint is None:
        return Refusal(code="unknown_task", message=f"no task {message.task_name!r} is served here")
    return admission.decide(
        endpoint=endpoint,
        task_id=message.task_id,
        args=call.args,
        kwargs=call.kwargs,
        eta=_moment(headers.get("eta")),
        expires=_moment(headers.get("expires")),
        now=now,
        rules=rules,
    )


def _run(message: Message, call: _Call) -> RunDraft | Refusal:
    try:
        return runs.draft(message.task_id, call.kwargs)
    except ValueError as error:
        return Refusal(code="invalid_request", message=str(error))


def _mail(message: Message, call: _Call) -> NotificationDraft | Refusal:
    try:
        payload = mail.draft(call.args, call.kwargs)
    except ValueError as error:
        return Refusal(code="invalid_request", message=str(error))
    return _notification(message, payload)


def _webhook(
    message: Message, headers: Mapping[str, Any], call: _Call, rules: Rules
) -> NotificationDraft | Refusal:
    parent_id = headers.get("parent_id")
    try:
        payload = webhooks.draft(
            call.args,
            call.kwargs,
            task_id=message.task_id,
            parent_id=parent_id if isinstance(parent_id, str) else None,
            receivers=rules.receivers,
        )
    except webhooks.UnknownReceiver as unknown:
        return Refusal(code="unknown_receiver", message=str(unknown))
    except ValueError as error:
        return Refusal(code="invalid_request", message=str(error))
    return _notification(message, payload | {"trace": tracing.carried(headers)})


def _notification(message: Message, payload: Mapping[str, Any]) -> NotificationDraft:
    return NotificationDraft(
        id=id_of_task(message.task_id, message.context_digest),
        tenant="default",
        kind=payload["kind"],
        receiver=payload.get("receiver"),
        payload=json.dumps(payload).encode(),
    )


def _moment(value: Any) -> datetime | None:
    """Celery's eta and expires travel as ISO text; without an offset they are UTC. None beyond the calendar."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
