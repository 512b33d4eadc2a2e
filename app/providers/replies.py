"""What a failed call means: one verdict per error, one reply per kind of call.

The verdict rests on what is certain. A call that may have reached the provider and got no clear no is
`UNCLEAR`: on a create that word costs a search, any other costs money.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, assert_never

import httpx2

from app.policy.outcomes import Rejected
from app.providers import reading
from app.providers.port import (
    Ambiguous,
    Direct,
    DirectReply,
    LaneClosed,
    NotFound,
    NotTaken,
    RefusedForGood,
    Unreachable,
)
from app.providers.strict_json import NotJsonError, parse

RETRY_AFTER_MAX_S: Final = 3600.0

#: Raised before the first byte of the request leaves: nothing can have been made.
_NEVER_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)

#: Causes that both providers document as the account's, under whatever HTTP status they come.
_ACCOUNT_CODES: Final = frozenset(
    {
        "account_deactivated",
        "authentication_error",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "cmek_context_unavailable",
        "cmek_key_disabled",
        "cmek_key_network_blocked",
        "cmek_key_unreachable",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "insufficient_quota",
        "invalid_api_key",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
        "organization_on_hold",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
#: Spend limits that an owner set, and empty balances, come as a plain 400 without a code of their own.
#: Taken for the request's fault, they would fail every job of the account.
_ACCOUNT_PHRASES: Final = ("credit balance", "usage limit", "spend limit")
_OVERLOADED: Final = "overloaded"
MODEL_CODES: Final = frozenset({"model_not_found"})

_BODY_STATUSES: Final = frozenset({400, 422})
_UNCLEAR_STATUSES: Final = frozenset({408, 409, 425, 499})
_OVERLOAD_STATUSES: Final = frozenset({503, 529})


class Verdict(StrEnum):
    """What is certain about a call that did not succeed."""

    UNSENT = "unsent"
    BUSY = "busy"
    ACCOUNT = "account"
    INVALID = "invalid"
    ABSENT = "absent"
    UNCLEAR = "unclear"


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A call that did not succeed."""

    verdict: Verdict
    code: str
    message: str
    status: int | None = None
    request_id: str | None = None
    retry_after_s: float | None = None
    #: Whether the provider itself spoke, or something on the way to it.
    worded: bool = False

    def __str__(self) -> str:
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {self.message}{request}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """A provider's error object: `kind` is the broad category, `code` the exact cause."""

    kind: str | None = None
    code: str | None = None
    message: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """Every name that the error goes by."""
        return frozenset(name for name in (self.kind, self.code) if name)

    @property
    def cause(self) -> str | None:
        """The most exact name of the error."""
        return self.code or self.kind


def words(error: Any) -> Words:
    """The error object of either provider: `{type, message, details.error_code}` or `{type, code, ...}`."""
    stated = reading.fields(error)
    exact = reading.text(reading.fields(stated.get("details")).get("error_code"), longest=100)
    return Words(
        kind=reading.text(stated.get("type"), longest=100),
        code=exact or reading.text(stated.get("code"), longest=100),
        message=reading.text(stated.get("message")),
    )


def is_the_accounts(said: Words, *, blames_request: bool) -> bool:
    """Whether an error is the account's: the same request succeeds once a person has mended that.

    The one table for replies and for lines of a result file. `blames_request` is an error that counts as the
    request's own otherwise; only there are its words asked as well as its code.
    """
    if said.names & _ACCOUNT_CODES:
        return True
    message = (said.message or "").lower()
    return blames_request and any(phrase in message for phrase in _ACCOUNT_PHRASES)


def failure(error: Exception) -> Failure:
    """What an exception of either SDK, or of the HTTP library below them, says for certain."""
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response) and not response.is_success:
        return _of_response(response)
    cause = error.__cause__ or error
    verdict = Verdict.UNSENT if isinstance(cause, _NEVER_SENT) else Verdict.UNCLEAR
    message = reading.text(str(cause)) or "no reply"
    return Failure(verdict=verdict, code=type(cause).__name__, message=message)


def unreadable(response: httpx2.Response) -> Failure:
    """A reply that says success and cannot be read."""
    return Failure(
        verdict=Verdict.UNCLEAR,
        code="unreadable_reply",
        message=f"HTTP {response.status_code} without the object it should hold",
        status=response.status_code,
        request_id=request_id(response),
    )


def request_id(response: httpx2.Response) -> str | None:
    """The id that the provider's support asks for."""
    headers = response.headers
    return reading.text(headers.get("request-id") or headers.get("x-request-id"), longest=200)


def retry_after_s(value: str | None, *, now: datetime) -> float | None:
    """`Retry-After` in seconds or as a date, within 0..3600; None for what is neither."""
    if not value:
        return None
    try:
        wait = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        wait = max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
    return min(wait, RETRY_AFTER_MAX_S) if 0 <= wait < float("inf") else None


def _of_response(response: httpx2.Response) -> Failure:
    try:
        body = reading.fields(parse(response.content))
    except (NotJsonError, httpx2.StreamError):
        body = {}
    said = _said(body)
    verdict = _verdict(response.status_code, said)
    return Failure(
        verdict=verdict,
        code=said.cause or f"http_{response.status_code}",
        message=said.message or f"HTTP {response.status_code}",
        status=response.status_code,
        request_id=request_id(response) or reading.text(body.get("request_id"), longest=200),
        retry_after_s=retry_after_s(response.headers.get("retry-after"), now=datetime.now(UTC)),
        worded=bool(said.names or said.message),
    )


def _said(body: Mapping[str, Any]) -> Words:
    """The error of a reply. Servers that speak a provider's wire put it elsewhere, or in plain words."""
    error = body.get("error")
    if isinstance(error, str) and error:
        return Words(kind="error", message=reading.text(error))
    if error is None and body.get("object") == "error":
        return words(body)
    return words(error)


def _verdict(status: int, said: Words) -> Verdict:  # noqa: PLR0911 - a table, read from the top
    message = (said.message or "").lower()
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        overloaded = any(_OVERLOADED in word for word in (*said.names, message))
        return Verdict.BUSY if status in _OVERLOAD_STATUSES and overloaded else Verdict.UNCLEAR
    if is_the_accounts(said, blames_request=status in _BODY_STATUSES and bool(said.names)):
        return Verdict.ACCOUNT
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Verdict.BUSY
    if status in _UNCLEAR_STATUSES:
        return Verdict.UNCLEAR
    if status == HTTPStatus.NOT_FOUND:
        return Verdict.ABSENT
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or said.names & MODEL_CODES:
        return Verdict.INVALID
    if status in _BODY_STATUSES and said.names:
        return Verdict.INVALID
    # Keys, permissions, redirects, and a gateway's own pages: no fault of any one request.
    return Verdict.ACCOUNT


def of_create(failed: Failure) -> NotTaken | RefusedForGood | LaneClosed | Ambiguous:
    """The reply to a create that failed."""
    match failed.verdict:
        case Verdict.UNSENT | Verdict.BUSY:
            return NotTaken(reason=str(failed), retry_after_s=failed.retry_after_s)
        case Verdict.INVALID:
            return RefusedForGood(code=failed.code, message=failed.message)
        case Verdict.ACCOUNT | Verdict.ABSENT:
            return LaneClosed(code=failed.code, message=failed.message)
        case Verdict.UNCLEAR:
            return Ambiguous(reason=str(failed))
        case _:
            assert_never(failed.verdict)


def of_upload(failed: Failure) -> NotTaken | RefusedForGood | LaneClosed:
    """The reply to an upload that failed: it costs nothing, so what is unclear is done again."""
    reply = of_create(failed)
    if isinstance(reply, Ambiguous):
        return NotTaken(reason=reply.reason, retry_after_s=failed.retry_after_s)
    return reply


def of_question(failed: Failure) -> NotFound | Unreachable | LaneClosed:
    """The reply to a question (poll, download) that failed: everything but a no may be asked again."""
    if failed.verdict is Verdict.ABSENT:
        return NotFound()
    if failed.verdict is Verdict.ACCOUNT:
        return LaneClosed(code=failed.code, message=failed.message)
    return Unreachable(reason=str(failed), retry_after_s=failed.retry_after_s)


def cut_short(error: Exception) -> Unreachable:
    """A download that began and did not arrive whole."""
    return Unreachable(reason=str(error))


def of_direct(failed: Failure) -> DirectReply:
    """The reply to a direct call that failed."""
    # A 404 in the provider's words is about the model; any other is about the address.
    refused = failed.verdict is Verdict.ABSENT and failed.worded
    if refused or failed.verdict is Verdict.INVALID:
        outcome = Rejected(code=failed.code, message=failed.message, request_id=failed.request_id)
        return Direct(outcome=outcome)
    reply = of_create(failed)
    if isinstance(reply, RefusedForGood):  # unreachable by the lines above; keeps the types honest
        return LaneClosed(code=reply.code, message=reply.message)
    return reply
