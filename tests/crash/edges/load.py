"""What a caller publishes once, kept as Redis got it, so that each run begins with the very same."""

from dataclasses import dataclass
from typing import Any, Final

import redis
from celery import chord, signature, uuid

from tests.client.apps import calling
from unhurried import email, messages, responses

BATCH: Final = "batch"
#: The numbers of a load of batch jobs: each with a link, but for the parts of one chord; one with a mail.
LINKED: Final = (0, 1)
MAILED: Final = 1
PARTS: Final = (2, 3)


@dataclass(frozen=True)
class Load:
    """Published jobs. Each prompt says the job's number, and so does its answer."""

    provider: str
    #: The tier, and what becomes of a call that was lost where the tier asks.
    kind: str
    #: Task ids by number.
    tasks: dict[int, str]
    #: Redis's own form of every key.
    keys: dict[bytes, bytes]

    @property
    def is_batch(self) -> bool:
        """Whether its jobs go in a batch."""
        return self.kind == BATCH

    def publish(self, client: redis.Redis) -> None:
        """Let it lie in an empty Redis as its caller left it."""
        for key, value in self.keys.items():
            client.restore(key, 0, value)


def prompt(provider: str, number: int) -> str:
    """No other job has it."""
    return f"{provider} is number {number}."


def publish(client: redis.Redis, url: str, provider: str, kind: str) -> Load:
    """Let a caller's app publish a load into an empty Redis; the load."""
    client.flushdb()
    with calling(url):
        tasks = _batch(provider) if kind == BATCH else _call(provider, kind)
    keys: Any = client.keys("*")
    kept: dict[bytes, Any] = {key: client.dump(key) for key in keys}
    client.flushdb()
    return Load(provider, kind, tasks, kept)


def _batch(provider: str) -> dict[int, str]:
    tasks = {number: uuid() for number in (*LINKED, *PARTS)}
    for number in LINKED:
        to = email.to(f"{provider}-{number}@example.org")
        notify = {"notify": to} if number == MAILED else {}
        asked = _ask(provider, number, tier=BATCH, **notify)
        asked.apply_async(task_id=tasks[number], link=signature("caller.landed", args=(number,)))
    parts = [_ask(provider, one, tier=BATCH).set(task_id=tasks[one]) for one in PARTS]
    chord(parts)(signature("caller.body", queue="celery"))
    return tasks


def _call(provider: str, on_lost: str) -> dict[int, str]:
    task_id, (number, *_) = uuid(), LINKED
    asked = _ask(provider, number, tier="near-real-time", on_lost=on_lost)
    link, errback = (signature(f"caller.{name}", args=(number,)) for name in ("landed", "failed"))
    asked.apply_async(task_id=task_id, link=link, link_error=errback)
    return {number: task_id}


def _ask(provider: str, number: int, **options: Any) -> Any:
    said = prompt(provider, number)
    if provider == "anthropic":
        turns = [{"role": "user", "content": said}]
        return messages.s(model="claude-haiku-4-5", max_tokens=100, messages=turns, **options)
    return responses.s(model="gpt-5-mini", input=said, **options)
