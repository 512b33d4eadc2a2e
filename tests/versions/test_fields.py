"""What today's client says that the oldest recorded service had never heard of: nothing that is not written down."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from tests.client.apps import calling
from tests.versions.calls import WORKLOADS, record, record_questions
from tests.versions.recordings import oldest
from unhurried.contract import ATTACHMENT_KEY, CONTRACT_VERSION

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
#: Rows of the table of what came later: the first cell names it.
_ROW: Final = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
_IDS: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}")


@pytest.fixture
def today(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_client: redis.Redis, redis_url: str
) -> set[str]:
    """Every field of every message of today's client."""
    monkeypatch.setenv("UNHURRIED_WORKLOADS", str(WORKLOADS))
    monkeypatch.setenv("UNHURRIED_STORAGE", tmp_path.as_uri())
    with calling(redis_url) as app:
        return set(_fields(record(app, redis_client), record_questions(app, redis_client)))


def test_what_came_later_is_written_down(today: set[str]) -> None:
    """Each field, command and key that the oldest recorded service does not know has a row that says so."""
    knows = oldest().part("calls", file="knows.json")
    known = set(_fields(oldest().part("calls"), oldest().part("calls", file="questions.json"))) | {
        f"options.{name}" for name in knows["options"]
    }
    section = PAGE.read_text("utf-8").partition("### What came later")[2].partition("\n## ")[0]

    later = today - known
    # Of a command that is new as a whole, its name is enough.
    named = {one for one in later if one.partition(" ")[0] not in later - {one}}
    assert named == set(_ROW.findall(section))


def test_the_contract_is_the_one_that_it_knows(today: set[str]) -> None:
    """The oldest recorded service refuses none of today's messages for its contract."""
    assert CONTRACT_VERSION == oldest().part("calls", file="knows.json")["contract"]
    assert "header unhurried_contract" in today


def _fields(calls: Mapping[str, Any], questions: Mapping[str, Any]) -> Iterator[str]:
    """Names of everything of ours that is said; what is in a request is the SDK's own."""
    for command in questions.values():
        yield from _of_message(command)
    for shape in calls.values():
        for key, one in shape["lying"].items():
            if one["type"] == "list":
                for element in one["value"]:
                    yield from _of_message(element["message"])
            elif key.startswith("unhurried:"):
                yield from _of_key(key, one)


def _of_message(message: Mapping[str, Any]) -> Iterator[str]:
    task, arguments = message["headers"]["task"], message["body"][1]
    yield task
    yield from (f"header {name}" for name in message["headers"] if name.startswith("unhurried"))
    yield from (f"{task} {name}" for name in arguments)
    options = arguments.get("options", {})
    yield from (f"options.{name}" for name in options)
    for notice in options.get("notify", []):
        yield from (f"options.notify.{name}" for name in notice)
    yield from (f"attachment {name}" for name in _attached(arguments.get("request")))


def _attached(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if ATTACHMENT_KEY in value:
            yield from value
        for part in value.values():
            yield from _attached(part)
    elif isinstance(value, list):
        for part in value:
            yield from _attached(part)


def _of_key(key: str, one: Mapping[str, Any]) -> Iterator[str]:
    """A key that a client writes, and what is in it."""
    name = _IDS.sub("…", key)
    yield name
    if one["type"] == "hash":
        yield from (f"{name} {_IDS.sub('…', field)}" for field in one["value"])
    elif "json" in one["value"] and isinstance(one["value"]["json"], dict):
        yield from (f"{name} {field}" for field in one["value"]["json"])
