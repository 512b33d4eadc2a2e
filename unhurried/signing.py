"""Sign webhooks and verify them, as Standard Webhooks says: what was sent, by whom, and just now."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from unhurried.errors import WebhookInvalid

__all__ = ["Event", "WebhookInvalid", "secret_bytes", "sign", "unwrap"]

_ID: Final = "webhook-id"
_TIMESTAMP: Final = "webhook-timestamp"
_SIGNATURE: Final = "webhook-signature"

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - says that a secret follows
_SECRET_BYTES_MIN: Final = 24
_SECRET_BYTES_MAX: Final = 64
_VERSION: Final = "v1"
#: A rotation sends two; more than this is somebody making us work.
_SIGNATURES_MAX: Final = 16
_TOLERANCE: Final = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A verified webhook. The same `id` may come again: do its work once."""

    id: str
    #: Such as "job.completed" or "group.completed".
    type: str
    #: When it happened.
    timestamp: datetime
    data: dict[str, Any]


def sign(
    body: bytes, *, webhook_id: str, at: datetime, secrets: str | Sequence[str]
) -> dict[str, str]:
    """The three headers to send with exactly this body; one signature for each secret.

    Raises ValueError for a secret that is none, an id with a dot in it, or a time without a zone.
    """
    if not webhook_id or "." in webhook_id:
        raise ValueError("a webhook's id must not be empty, nor hold a dot: it is signed with dots")
    if at.tzinfo is None:
        raise ValueError("at= needs a time zone: datetime.now(UTC), not datetime.now()")
    timestamp = str(int(at.timestamp()))
    signed = _signed(webhook_id.encode(), timestamp.encode(), body)
    signatures = [base64.b64encode(_mac(secret, signed)).decode() for secret in _keys(secrets)]
    return {
        _ID: webhook_id,
        _TIMESTAMP: timestamp,
        _SIGNATURE: " ".join(f"{_VERSION},{signature}" for signature in signatures),
    }


def unwrap(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance: timedelta = _TOLERANCE,
    now: datetime | None = None,
) -> Event:
    """The event of a webhook that one of these secrets signed, no longer ago than `tolerance`.

    `body` is the request's body as it came, byte for byte. Header names are taken in any case. Raises
    WebhookInvalid, whose `reason` says why it is not to be believed: answer 400. Raises ValueError for
    a secret that is none: that is our side's mistake.
    """
    if not isinstance(body, bytes):
        raise TypeError("unwrap() needs the raw body as bytes: request.body, request.get_data()")
    given = {str(name).lower(): str(value) for name, value in headers.items()}
    webhook_id, timestamp, signatures = (
        _header(given, name) for name in (_ID, _TIMESTAMP, _SIGNATURE)
    )
    signed = _signed(_bytes(webhook_id), _bytes(timestamp), body)
    # Before the time: whether a forged one is also late is nobody's business.
    _require_signature(signed, signatures, _keys(secrets))
    _require_recent(timestamp, now or datetime.now(UTC), tolerance)
    return _event(webhook_id, body)


def secret_bytes(secret: str) -> bytes:
    """The key of a `whsec_` secret. Raises ValueError, which never quotes it."""
    encoded = secret.removeprefix(_SECRET_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a webhook's secret must be whsec_ and base64") from None
    if not secret.startswith(_SECRET_PREFIX):
        raise ValueError("a webhook's secret must begin with whsec_")
    if not _SECRET_BYTES_MIN <= len(key) <= _SECRET_BYTES_MAX:
        raise ValueError(
            f"a webhook's secret must hold {_SECRET_BYTES_MIN} to {_SECRET_BYTES_MAX} bytes, "
            f"this one holds {len(key)}"
        )
    return key


def _keys(secrets: str | Sequence[str]) -> list[bytes]:
    listed = [secrets] if isinstance(secrets, str) else list(secrets)
    if not listed:
        raise ValueError("a webhook needs at least one secret")
    return [secret_bytes(secret) for secret in listed]


def _signed(webhook_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    return b".".join((webhook_id, timestamp, body))


def _mac(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).digest()


def _header(given: Mapping[str, str], name: str) -> str:
    value = given.get(name)
    if not value:
        raise WebhookInvalid("missing_header", f"{name} is missing")
    return value


def _bytes(header: str) -> bytes:
    try:
        return header.encode("ascii")
    except UnicodeEncodeError:
        raise WebhookInvalid("malformed_header", "a header is not plain ASCII") from None


def _require_signature(signed: bytes, header: str, keys: Sequence[bytes]) -> None:
    expected = [_mac(key, signed) for key in keys]
    matches = False
    for given in header.split(" ")[:_SIGNATURES_MAX]:
        version, _, encoded = given.partition(",")
        if version != _VERSION:
            continue
        try:
            signature = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        for mac in expected:
            # Every pair is compared, so that the time it takes tells nothing.
            matches |= hmac.compare_digest(mac, signature)
    if not matches:
        raise WebhookInvalid("wrong_signature", "no signature fits the body and a known secret")


def _require_recent(timestamp: str, now: datetime, tolerance: timedelta) -> None:
    if not (timestamp.isdecimal() and len(timestamp) <= len("99999999999")):
        raise WebhookInvalid("malformed_header", f"{_TIMESTAMP} is no number of seconds")
    age = now.timestamp() - int(timestamp)
    most = tolerance.total_seconds()
    if age > most:
        raise WebhookInvalid("too_old", f"it was sent {age:.0f} s ago; {most:.0f} s are tolerated")
    if age < -most:
        raise WebhookInvalid("too_new", f"it was sent {-age:.0f} s from now: is the clock right?")


def _event(webhook_id: str, body: bytes) -> Event:
    try:
        said = json.loads(body)
        event_type, data = said["type"], said["data"]
        timestamp = datetime.fromisoformat(said["timestamp"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise WebhookInvalid("malformed_body", "the body is not type, timestamp and data") from None
    if not isinstance(event_type, str) or not isinstance(data, dict) or timestamp.tzinfo is None:
        raise WebhookInvalid("malformed_body", "the body is not type, timestamp and data")
    return Event(id=webhook_id, type=event_type, timestamp=timestamp, data=data)
