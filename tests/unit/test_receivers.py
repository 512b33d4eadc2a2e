"""Receivers of webhooks in the settings: what cannot work stops the process, and says which and why."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import Settings
from unhurried.contract import EventType

SECRET = "whsec_" + base64.b64encode(b"c" * 32).decode()
CRM = {"url": "https://crm.example/hook", "secrets": [SECRET]}


def settings(monkeypatch: pytest.MonkeyPatch, value: str, *hosts: str) -> Settings:
    """As the environment has it."""
    monkeypatch.setenv("UNHURRIED_WEBHOOKS", value)
    monkeypatch.setenv("UNHURRIED_WEBHOOK_HOSTS_ALLOWED", json.dumps(hosts))
    return Settings()


def one(monkeypatch: pytest.MonkeyPatch, *hosts: str, **changed: Any) -> Settings:
    """With one receiver."""
    return settings(monkeypatch, json.dumps({"crm": {**CRM, **changed}}), *hosts)


def test_receivers_are_json_or_a_file_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file keeps secrets out of the environment."""
    text = json.dumps({"crm": {**CRM, "events": ["job.failed"]}})
    path = tmp_path / "webhooks.json"
    path.write_text(text)
    for value in (text, str(path)):
        crm = settings(monkeypatch, value).webhooks["crm"]
        assert crm.url.get_secret_value() == "https://crm.example/hook"
        assert [secret.get_secret_value() for secret in crm.secrets] == [SECRET]
        assert crm.takes(EventType.JOB_FAILED)
        assert not crm.takes(EventType.JOB_COMPLETED)


@pytest.mark.parametrize("value", ["", " ", "{}"])
def test_an_empty_value_names_nobody(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """As a container's environment has what is not set."""
    assert settings(monkeypatch, value).webhooks == {}


def test_without_events_a_receiver_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving them out is no filter."""
    crm = one(monkeypatch).webhooks["crm"]
    assert all(crm.takes(event_type) for event_type in EventType)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"url": "http://crm.example/hook"}, "must be https"),
        ({"url": "https://crm.example:25/"}, "port 443 or 8443"),
        ({"url": "ftp://crm.example/"}, "https://host/path"),
        ({"url": "https:///hook"}, "https://host/path"),
        ({"url": "crm.example"}, "https://host/path"),
        ({"url": "https://ann@crm.example/"}, "neither a user"),
        ({"url": "https://crm.example/#x"}, "fragment"),
        ({"url": "https://crm.example\\@10.0.0.1/"}, "backslashes"),
        ({"url": "https://crm.example/a b"}, "spaces"),
        ({"url": "https://crm.example/\n"}, "ASCII"),
        ({"url": "https://crm.éxample/"}, "ASCII"),
        ({"url": "https://crm.example:99999/"}, "cannot be read"),
        ({"url": "https://[::1"}, "cannot be read"),
        ({"secrets": []}, "at least 1"),
        ({"secrets": ["whsec_c2hvcnQ="]}, "24 to 64 bytes"),
        ({"secrets": ["c2VjcmV0"]}, "whsec_"),
        ({"secrets": [SECRET] * 5}, "at most 4"),
        ({"events": ["job.done"]}, "job.completed"),
        ({"event": ["job.failed"]}, "Extra inputs"),
    ],
)
def test_a_receiver_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], text: str
) -> None:
    """The rule is named; neither the URL nor a secret is quoted."""
    with pytest.raises(ValidationError, match=text) as refusal:
        one(monkeypatch, **changed)
    assert "crm" in str(refusal.value)
    assert "example" not in str(refusal.value)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{", "neither JSON"),
        ("/nowhere/webhooks.json", "cannot be read: FileNotFoundError"),
        ('{"a b": {}}', "pattern"),
        ('{"crm": "https://x.example"}', "crm"),
    ],
)
def test_a_value_that_is_no_map_of_receivers_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str, text: str
) -> None:
    """At start, not when the first webhook is due."""
    with pytest.raises(ValidationError, match=text):
        settings(monkeypatch, value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/", "http://Hooks.internal/x"])
def test_a_host_that_is_allowed_may_be_plain_and_on_any_port(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Named by the operator, and only as it stands in the URL."""
    assert one(monkeypatch, "127.0.0.1", "hooks.INTERNAL", url=url).webhooks
    with pytest.raises(ValidationError, match="UNHURRIED_WEBHOOK_HOSTS_ALLOWED"):
        one(monkeypatch, "internal", "localhost", url=url)


def test_nothing_shows_an_address_or_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed settings end in logs."""
    shown = repr(one(monkeypatch))
    assert "crm.example" not in shown
    assert SECRET not in shown
