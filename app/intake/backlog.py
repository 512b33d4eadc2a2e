"""Messages in Redis that nobody has admitted: on the queues, or reserved by a pump."""

from typing import Any, Final

from unhurried.contract import NOTIFY_QUEUE, QUEUES, Tier

#: kombu keeps each priority in a list of its own, and callers may use any of ten steps.
_PRIORITY_SEPARATOR: Final = "\x06\x16"
_PRIORITY_STEPS: Final = range(10)
#: What the pump takes in.
ADMITTED_QUEUES: Final = (QUEUES[Tier.BATCH], QUEUES[Tier.NEAR_REAL_TIME], NOTIFY_QUEUE)


def queue_keys(key_prefix: str) -> list[str]:
    """The lists that messages arrive on, the urgent ones of each queue first."""
    return [
        f"{key_prefix}{queue}" + (f"{_PRIORITY_SEPARATOR}{step}" if step else "")
        for queue in ADMITTED_QUEUES
        for step in _PRIORITY_STEPS
    ]


def index_key(key_prefix: str) -> str:
    """The sorted set of lists that pumps have reserved."""
    return f"{key_prefix}unhurried:intake"


def count(client: Any, key_prefix: str) -> int:
    """How many there are now."""
    reserved = [key.decode() for key in client.zrange(index_key(key_prefix), 0, -1)]
    with client.pipeline(transaction=False) as pipe:
        for key in (*queue_keys(key_prefix), *reserved):
            pipe.llen(key)
        return sum(pipe.execute())
