"""Publishing: calls a second of one caller with `bulk`, beside `delay` for each of the same."""

from collections.abc import Iterator
from typing import Any

import redis
from celery import Celery

from benchmarks.ground import PROMPT, PUBLISHED, QUEUE, ROUNDS, Figure, Ground, middle, rate
from unhurried import item, messages
from unhurried.bulk import Item


def measure(where: Ground, *, count: int) -> list[Figure]:
    """One figure, over `count` calls."""
    url = where.redis_url(PUBLISHED)
    caller = Celery("caller", broker=url, backend=url)
    caller.set_current()
    bulked: list[float] = []
    single: list[float] = []
    with redis.Redis.from_url(url) as client:
        for _ in range(ROUNDS):
            client.flushdb()
            bulked.append(rate(count, lambda: messages.bulk(_items(count), tier="batch")))
            lying: Any = client.llen(QUEUE)
            assert lying == count + 1, f"{lying} of {count} messages and a seal were published"
            client.flushdb()
            single.append(rate(count, lambda: _delay(count)))
        client.flushdb()
    return [
        Figure(
            name="publishing with bulk",
            per_s=middle(bulked),
            beside="delay for each",
            beside_per_s=middle(single),
        )
    ]


def _items(count: int) -> Iterator[Item]:
    for number in range(count):
        yield item(_body(number), key=number, subject=f"user:{number}")


def _delay(count: int) -> None:
    for number in range(count):
        messages.delay(
            **_body(number), tier="batch", idempotency_key=str(number), subject=f"user:{number}"
        )


def _body(number: int) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"Number {number}. {PROMPT}"}]
    return {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": turns}
