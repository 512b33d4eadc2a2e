"""What callers and providers say is nowhere but where it belongs, at the most talkative log level.

The table is that of docs/operating.md, "Where your data is".
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import pytest
import redis

from dev.stack import Stack
from tests.notify.receivers import Answer, Inbox, receiving
from tests.road.callers import STEPS, Caller
from tests.road.canaries import (
    Search,
    canary,
    search_files,
    search_flower,
    search_redis,
    search_webhooks,
)
from tests.road.conftest import HASTE, PROCESSES, SPEED
from tests.road.flowers import Flower
from tests.support.waiting import wait_until

#: Where each may be found once its call has ended. The ledger and storage have everything.
ALLOWED: Final[dict[str, set[str]]] = {
    "prompt": set(),
    "system": set(),
    "tool": {"results"},
    "attachment": set(),
    "answer": {"results"},
    # A prompt that its provider quotes in an error: the caller's own task fails with it.
    "quoted": {"results"},
    "key": {"results", "webhooks"},
    "subject": {"results", "webhooks"},
    "recipient": {"mails"},
    "mail_subject": {"mails"},
    "webhook_secret": set(),
    "webhook_address": set(),
    "api_key": set(),
}
#: What must have been found, or the search proves nothing.
CERTAIN: Final[dict[str, set[str]]] = {
    "answer": {"results"},
    "quoted": {"results"},
    "key": {"results", "webhooks"},
    "subject": {"webhooks"},
    "recipient": {"mails"},
    "mail_subject": {"mails"},
}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole run, and what was found after it."""

    search: Search
    ends: list[str]
    logs: str


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """Every process at DEBUG, one caller who says everything, and a search of every place."""
    canaries = {kind: canary(kind) for kind in ALLOWED}
    # A secret is base64: its canary is the text of it.
    with receiving() as crm, receiving(Answer(status=410)) as gone:
        stack = Stack(
            directory=tmp_path_factory.mktemp("canaries"),
            processes=[*PROCESSES, "flower"],
            environment=HASTE | _told(canaries, crm, gone),
            simulator_options=SPEED,
        )
        keys = {
            f"UNHURRIED_{provider}_API_KEY": canaries["api_key"]
            for provider in ("ANTHROPIC", "OPENAI")
        }
        stack.own = dict.fromkeys(PROCESSES, keys)
        stack.own["flower"] = {**keys, "FLOWER_UNAUTHENTICATED_API": "true"}
        with stack:
            ends = _played(stack, canaries)
            yield Whole(_searched(stack, canaries, [crm, gone]), ends, _logs(stack))


def _told(canaries: dict[str, str], crm: Inbox, gone: Inbox) -> dict[str, str]:
    secret = "whsec_" + base64.b64encode(canaries["webhook_secret"].encode()).decode()
    receivers = {
        name: {"url": f"{inbox.url}&at={canaries['webhook_address']}", "secrets": [secret]}
        for name, inbox in (("crm", crm), ("gone", gone))
    }
    return {
        "UNHURRIED_LOG_LEVEL": "DEBUG",
        "UNHURRIED_WEBHOOKS": json.dumps(receivers),
        "UNHURRIED_WEBHOOK_HOSTS_ALLOWED": '["127.0.0.1"]',
        "UNHURRIED_MAIL_DOMAINS_ALLOWED": '["example.org"]',
    }


def _played(stack: Stack, canaries: dict[str, str]) -> list[str]:
    """Say everything, and wait until nothing of it is under way."""
    caller = Caller(stack, stack.directory / "caller.jsonl")
    caller.worker(include=STEPS)
    telling = replace(caller, settings={"CANARIES": json.dumps(canaries)})
    process = telling.start("canaries", "canaries.py")
    assert 0 == process.wait(within_s=150), process.tail()
    ends: list[str] = json.loads(process.tail().splitlines()[-1])["ends"]
    wait_until(
        lambda: all(word in _logs(stack) for word in ("completion_postponed", "webhook_dead")),
        within_s=30,
        what="what nobody takes to be given up",
    )
    return ends


def _searched(stack: Stack, canaries: dict[str, str], inboxes: list[Inbox]) -> Search:
    search = Search(canaries)
    with redis.Redis.from_url(stack.variables["UNHURRIED_REDIS_URL"]) as client:
        search_redis(search, client)
    search_flower(search, Flower(stack.flower_url))
    search_files(search, stack, [*PROCESSES, "flower"])
    search_webhooks(search, inboxes)
    return search


def _logs(stack: Stack) -> str:
    files = [stack.directory / "logs" / f"{name}.log" for name in PROCESSES]
    return "\n".join(file.read_text("utf-8", "replace") for file in files)


@pytest.mark.parametrize("kind", ALLOWED)
def test_a_word_is_found_only_where_it_belongs(whole: Whole, kind: str) -> None:
    """
    Logs, Redis, Flower, mails, webhooks and files: each holds no more than the table says.
    """
    assert set() == whole.search.places(kind) - ALLOWED[kind]


@pytest.mark.parametrize("kind", CERTAIN)
def test_the_search_finds_what_is_there(whole: Whole, kind: str) -> None:
    """
    Where a word belongs, it has been.
    """
    assert CERTAIN[kind] <= whole.search.places(kind)


def test_every_place_was_looked_at(whole: Whole) -> None:
    """
    None was empty, or left out.
    """
    places = {"logs", "servers' logs", "Flower", "results", "mails", "webhooks", "names of keys"}

    assert places <= whole.search.found.keys()


def test_everything_that_may_go_wrong_went_wrong(whole: Whole) -> None:
    """
    Successes and failures, a dead webhook, a dead mail, an expired call, a callback nobody can publish.
    """
    assert {"SUCCESS", "FAILURE"} == set(whole.ends)
    for event in ("mail_dead", "webhook_dead", "event=expired", "completion_postponed", "raised"):
        assert event in whole.logs
