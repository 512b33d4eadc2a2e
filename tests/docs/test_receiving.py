"""What docs/calling.md tells a receiver of webhooks to write does what it says."""

import base64
import textwrap
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.docs.tree import blocks, page
from unhurried.signing import sign

SECRET, OTHER = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
BODY = b'{"type": "job.completed", "timestamp": "2026-11-23T12:00:00Z", "data": {"task_id": "t1"}}'


def block(holding: str) -> str:
    """The one Python block of the page with this in it."""
    (found,) = (one for one in blocks(page("docs/calling.md"), "python") if holding in one)
    return found


def headers(**changed: Any) -> dict[str, str]:
    """Of a webhook that was signed just now."""
    signing = {"webhook_id": "evt_1", "at": datetime.now(UTC), "secrets": SECRET, **changed}
    return sign(BODY, **signing)


def receive(given: dict[str, str], secrets: Any) -> Any:
    """What the five lines make of a webhook: their answer, or the event."""
    text = block("from unhurried.signing import WebhookInvalid, unwrap")
    inside = textwrap.indent(text, "    ")
    names: dict[str, Any] = {}
    exec(f"def receive(body, headers, secrets):\n{inside}    return event\n", names)  # noqa: S102 - the page's own words
    return names["receive"](BODY, given, secrets)


@pytest.mark.parametrize("secrets", [SECRET, [OTHER, SECRET]])
def test_the_five_lines_take_a_webhook_of_ours(secrets: Any) -> None:
    """
    With one secret, or with several during a rotation.
    """
    event = receive(headers(), secrets)

    assert ("evt_1", "job.completed", {"task_id": "t1"}) == (event.id, event.type, event.data)


def test_the_five_lines_refuse_any_other() -> None:
    """
    Forged, late, or no webhook at all: 400 and a reason.
    """
    late = datetime.now(UTC) - timedelta(hours=1)

    assert (400, "wrong_signature") == receive(headers(secrets=OTHER), SECRET)
    assert (400, "too_old") == receive(headers(at=late), SECRET)
    assert (400, "missing_header") == receive({}, SECRET)
