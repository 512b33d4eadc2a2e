"""What lies in a Redis, as JSON that a person can read, and put back into another one."""

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import redis

#: Broadcasts, bindings, and what a consumer keeps for itself: nobody's messages.
_NOT_OURS: Final = re.compile(r"_kombu|(unhurried\.)?unacked|.*pidbox|.*celeryev")
_WAKE_UP: Final = "unhurried.wake."
#: ISO 8601 and PostgreSQL's own way of writing a moment.
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)(?![\d-])"
)

#: Keys by name, each with its type and its value.
Lying = dict[str, dict[str, Any]]


def taken(client: redis.Redis) -> Lying:
    """Everything that is there, the queues first-published first and their messages taken apart."""
    found: Lying = {}
    server: Any = client
    for key in sorted(server.scan_iter(count=1000)):
        name = key.decode()
        if not _NOT_OURS.match(name):
            kind = server.type(key).decode()
            found[name] = {"type": kind, "value": _READ[kind](server, key)}
    return {name: one for name, one in found.items() if one["value"]}


def put_back(client: redis.Redis, lying: Mapping[str, Mapping[str, Any]]) -> None:
    """Write every key into an empty Redis. They expire after an hour, as the tests should."""
    for name, one in lying.items():
        _WRITE[one["type"]](client, name, one["value"])
        client.expire(name, timedelta(hours=1))


def moved(text: str, *, by: timedelta) -> str:
    """The text with every moment that carries an offset moved on: days later it is as fresh as it was."""
    return _MOMENT.sub(lambda found: _later(found[0], by), text)


def message(raw: bytes) -> Any:
    """A Celery message taken apart, its body read."""
    envelope = json.loads(raw)
    envelope["body"] = json.loads(base64.b64decode(envelope["body"]))
    return envelope


def packed(envelope: Mapping[str, Any]) -> bytes:
    """A message as it travels."""
    body = base64.b64encode(json.dumps(envelope["body"]).encode()).decode()
    return json.dumps({**envelope, "body": body}).encode()


def _later(written: str, by: timedelta) -> str:
    moment = datetime.fromisoformat(written)
    return (moment + by).isoformat(sep=written[10])


def _text(stored: bytes) -> Any:
    """A value that is JSON as what it says, any other as text."""
    text = stored.decode()
    try:
        return {"json": json.loads(text)}
    except ValueError:
        return {"text": text}


def raw(value: Mapping[str, Any]) -> str:
    """A value as it is stored."""
    return str(value["text"]) if "text" in value else json.dumps(value["json"])


def _element(stored: bytes) -> Any:
    value = _text(stored)
    envelope = value.get("json")
    return (
        {"message": message(stored)} if isinstance(envelope, dict) and "body" in envelope else value
    )


def _wakes(element: Mapping[str, Any]) -> bool:
    """Whether it only says "look now", and may as well be lost."""
    headers = element.get("message", {}).get("headers", {})
    return str(headers.get("task")).startswith(_WAKE_UP)


def _raw_element(value: Mapping[str, Any]) -> bytes:
    return packed(value["message"]) if "message" in value else raw(value).encode()


_READ: Final[dict[str, Any]] = {
    "string": lambda client, key: _text(client.get(key)),
    "list": lambda client, key: [
        one for one in map(_element, reversed(client.lrange(key, 0, -1))) if not _wakes(one)
    ],
    "hash": lambda client, key: {
        name.decode(): _text(value) for name, value in sorted(client.hgetall(key).items())
    },
    "set": lambda client, key: [_text(one) for one in sorted(client.smembers(key))],
    "zset": lambda client, key: [
        [_text(one), score] for one, score in client.zrange(key, 0, -1, withscores=True)
    ],
    "stream": lambda client, key: [
        {name.decode(): _text(value) for name, value in fields.items()}
        for _, fields in client.xrange(key)
    ],
}
_WRITE: Final[dict[str, Any]] = {
    "string": lambda client, key, value: client.set(key, raw(value)),
    "list": lambda client, key, value: client.lpush(key, *(_raw_element(one) for one in value)),
    "hash": lambda client, key, value: client.hset(
        key, mapping={name: raw(one) for name, one in value.items()}
    ),
    "set": lambda client, key, value: client.sadd(key, *(raw(one) for one in value)),
    "zset": lambda client, key, value: client.zadd(key, {raw(one): score for one, score in value}),
    "stream": lambda client, key, value: [
        client.xadd(key, {name: raw(one) for name, one in entry.items()}) for entry in value
    ],
}
