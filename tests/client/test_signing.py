"""Webhooks are signed and verified as everybody else who speaks Standard Webhooks does it."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from unhurried import UnhurriedError, WebhookInvalid
from unhurried.signing import Event, sign, unwrap

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NEW, OLD, OTHER = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
BODY = json.dumps(
    {"type": "job.completed", "timestamp": "2026-11-23T11:59:00Z", "data": {"job_id": "1"}}
).encode()


def signed(body: bytes = BODY, *, at: datetime = NOW, secrets: Any = NEW) -> dict[str, str]:
    """The headers of a webhook."""
    return sign(body, webhook_id="evt_1", at=at, secrets=secrets)


def reason(body: bytes, headers: Any, secrets: Any = NEW, *, now: datetime = NOW) -> str:
    """Why a webhook is not believed."""
    with pytest.raises(WebhookInvalid) as refusal:
        unwrap(body, headers, secrets, now=now)
    return refusal.value.reason


def test_what_we_sign_we_believe() -> None:
    """The event comes back as it was sent, with the id by which its repetitions are known."""
    assert unwrap(BODY, signed(), NEW, now=NOW) == Event(
        id="evt_1",
        type="job.completed",
        timestamp=datetime(2026, 11, 23, 11, 59, tzinfo=UTC),
        data={"job_id": "1"},
    )


@given(text=st.text(), key=st.binary(min_size=24, max_size=64))
def test_the_official_library_believes_what_we_sign(text: str, key: bytes) -> None:
    """Any body under any secret."""
    secret = "whsec_" + base64.b64encode(key).decode()
    body = json.dumps({"text": text}, ensure_ascii=False).encode("utf-8", "replace")
    headers = signed(body, at=datetime.now(UTC), secrets=secret)
    assert Webhook(secret).verify(body, headers) == json.loads(body)


def test_we_believe_what_the_official_library_signs() -> None:
    """Its signature under our headers."""
    signature = Webhook(NEW).sign("evt_1", NOW, BODY.decode())
    headers = {**signed(secrets=OTHER), "webhook-signature": signature}
    assert unwrap(BODY, headers, NEW, now=NOW).id == "evt_1"


@pytest.mark.parametrize("known", [NEW, OLD, [OTHER, OLD], (NEW, OTHER)])
def test_during_a_rotation_each_secret_is_enough(known: Any) -> None:
    """Signed with the new and the old one; a receiver may know either, or more."""
    headers = signed(at=datetime.now(UTC), secrets=[NEW, OLD])
    assert unwrap(BODY, headers, known).type == "job.completed"
    if isinstance(known, str):
        Webhook(known).verify(BODY, headers)


def test_a_time_is_signed_whatever_its_zone() -> None:
    """A moment is the same moment elsewhere."""
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert signed(at=elsewhere) == signed()


def test_header_names_come_in_any_case() -> None:
    """Servers write them as they like."""
    headers = {name.title(): value for name, value in signed().items()}
    assert unwrap(BODY, headers, NEW, now=NOW).id == "evt_1"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_named(name: str) -> None:
    """Each of the three is needed."""
    headers = {key: value for key, value in signed().items() if key != name}
    assert reason(BODY, headers) == "missing_header"
    assert reason(BODY, {**headers, name: ""}) == "missing_header"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-id", "evt_2"),
        ("webhook-timestamp", str(int(NOW.timestamp()) + 1)),
        ("webhook-timestamp", "now"),
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,not base64!"),
        ("webhook-signature", "v2,"),
        ("webhook-signature", ",,, ,"),
    ],
)
def test_a_header_that_was_changed_is_not_believed(name: str, value: str) -> None:
    """Id, time and body are signed together; a malformed signature is a wrong one, never a crash."""
    assert reason(BODY, {**signed(), name: value}) == "wrong_signature"


def test_a_header_that_is_not_ascii_is_not_believed() -> None:
    """No crash on what cannot be signed."""
    assert reason(BODY, {**signed(), "webhook-id": "evt_é"}) == "malformed_header"


@given(body=st.binary(max_size=200))
def test_another_body_is_not_believed(body: bytes) -> None:
    """Not one byte may differ."""
    if body != BODY:
        assert reason(body, signed()) == "wrong_signature"


def test_another_secret_is_not_believed() -> None:
    """Only who knows the secret can speak."""
    assert reason(BODY, signed(), OTHER) == "wrong_signature"


def test_signatures_of_other_kinds_are_passed_over() -> None:
    """A sender may sign in ways that we do not know, beside ours."""
    headers = signed()
    headers["webhook-signature"] = "v1a,AAAA v9,x " + headers["webhook-signature"]
    assert unwrap(BODY, headers, NEW, now=NOW).id == "evt_1"


@pytest.mark.parametrize(
    ("seconds", "why"), [(300, None), (301, "too_old"), (-300, None), (-301, "too_new")]
)
def test_a_webhook_is_believed_for_five_minutes(seconds: int, why: str | None) -> None:
    """Whoever recorded one cannot play it back later."""
    now = NOW + timedelta(seconds=seconds)
    if why is None:
        assert unwrap(BODY, signed(), NEW, now=now).id == "evt_1"
    else:
        assert reason(BODY, signed(), now=now) == why


def test_the_tolerance_is_the_receivers() -> None:
    """Wider or narrower than five minutes."""
    late = NOW + timedelta(hours=1)
    assert unwrap(BODY, signed(), NEW, now=late, tolerance=timedelta(hours=2)).id == "evt_1"
    with pytest.raises(WebhookInvalid, match="too_old: it was sent 3600 s ago; 60 s are tolerated"):
        unwrap(BODY, signed(), NEW, now=late, tolerance=timedelta(minutes=1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b'{"type": 1, "timestamp": "2026-11-23T12:00:00Z", "data": {}}',
        b'{"type": "x", "timestamp": "2026-11-23T12:00:00", "data": {}}',
        b'{"type": "x", "timestamp": 7, "data": {}}',
        b'{"type": "x", "timestamp": "2026-11-23T12:00:00Z", "data": []}',
        b"[" * 100_000,
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    """Whatever it holds, the receiver gets one kind of error."""
    assert reason(body, signed(body)) == "malformed_body"


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_AAAA",
        "whsec_not base64!",
        "whsec_é",
        NEW.removeprefix("whsec_"),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        [],
    ],
)
def test_a_secret_that_is_none_is_our_mistake(secret: Any) -> None:
    """Too short, too long, without its prefix: a ValueError on both sides, and never quoted."""
    for act in (lambda: signed(secrets=secret), lambda: unwrap(BODY, signed(), secret, now=NOW)):
        with pytest.raises(ValueError, match="secret") as refusal:
            act()
        assert "AAAA" not in str(refusal.value)
        assert not isinstance(refusal.value, UnhurriedError)


def test_a_secret_without_its_padding_is_the_same_secret() -> None:
    """Some tools cut the = off."""
    assert unwrap(BODY, signed(secrets=NEW.rstrip("=")), NEW, now=NOW).id == "evt_1"


@pytest.mark.parametrize(
    ("webhook_id", "at"), [("", NOW), ("a.b", NOW), ("evt_1", NOW.replace(tzinfo=None))]
)
def test_what_cannot_be_signed_is_refused(webhook_id: str, at: datetime) -> None:
    """An id with a dot could be another id and another time; a time without a zone is no moment."""
    with pytest.raises(ValueError, match=r"webhook's id|time zone"):
        sign(BODY, webhook_id=webhook_id, at=at, secrets=NEW)


def test_a_text_is_not_a_body() -> None:
    """Decoded and encoded again, it may be other bytes than were signed."""
    with pytest.raises(TypeError, match="raw body"):
        unwrap(BODY.decode(), signed(), NEW, now=NOW)  # type: ignore[arg-type]
