"""Words that nobody else says, and every place that they are looked for in."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import redis

from dev.stack import Stack
from tests.notify.receivers import Inbox
from tests.road.flowers import Flower

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
#: Base64 in a message that is itself base64 in another.
_LAYERS_MAX: Final = 3
_PAGES: Final = (
    "/",
    "/workers",
    "/workers?json=1",
    "/tasks",
    "/broker",
    "/metrics",
    "/api/tasks",
    "/api/workers?refresh=1",
    "/api/queues/length",
)


def canary(kind: str) -> str:
    """A word of that kind that stands nowhere else."""
    return f"zq{kind.replace('_', '')}{uuid4().hex}"


@dataclass
class Search:
    """Which canaries were found, and where."""

    canaries: dict[str, str]
    #: Kinds by place; a place that was looked at and holds none is there as well.
    found: dict[str, set[str]] = field(default_factory=dict)

    def look(self, place: str, content: bytes | str) -> None:
        """Look at one content of a place, at what is base64 in it as well."""
        kinds = self.found.setdefault(place, set())
        for text in _readings(content.encode() if isinstance(content, str) else content, 0):
            kinds |= {kind for kind, word in self.canaries.items() if word.encode() in text}

    def places(self, kind: str) -> set[str]:
        """Where that kind was found."""
        return {place for place, kinds in self.found.items() if kind in kinds}


def _readings(content: bytes, depth: int) -> Iterator[bytes]:
    yield content
    if depth == _LAYERS_MAX:
        return
    for piece in _BASE64.findall(content):
        try:
            decoded = base64.b64decode(piece + b"=" * (-len(piece) % 4))
        except ValueError:
            continue
        yield from _readings(decoded, depth + 1)


def search_redis(search: Search, client: "redis.Redis") -> None:
    """Every key and every value, by what they are for."""
    for key in client.scan_iter(count=1000):
        name = key.decode()
        search.look("names of keys", name)
        search.look(_use(name), b"\n".join(_values(client, key)))


def _use(key: str) -> str:
    if key.startswith(("celery-task-meta-", "celery-taskset-meta-", "unhurried:output:")):
        return "results"
    if key.startswith("unhurried:"):
        return ":".join(key.split(":")[:2])
    return key


def _values(client: Any, key: bytes) -> list[bytes]:
    kind = client.type(key).decode()
    read: dict[str, Callable[[], Iterable[bytes]]] = {
        "string": lambda: [client.get(key) or b""],
        "list": lambda: client.lrange(key, 0, -1),
        "hash": lambda: chain.from_iterable(client.hgetall(key).items()),
        "set": lambda: client.smembers(key),
        "zset": lambda: client.zrange(key, 0, -1),
        "stream": lambda: [repr(entry).encode() for entry in client.xrange(key)],
        # It ran out while it was looked for.
        "none": list,
    }
    return list(read[kind]())


def search_flower(search: Search, flower: Flower) -> None:
    """Its pages, its API, its metrics, and the page of every task and worker."""
    pages = [*_PAGES, *(f"/worker/{name}" for name in flower.workers())]
    for task_id in flower.tasks():
        pages += [f"/task/{task_id}", f"/api/task/info/{task_id}"]
    for page in pages:
        search.look("Flower", flower.text(page))
    search.look("Flower", str(flower.rows("")))


def search_files(search: Search, stack: Stack, processes: list[str]) -> None:
    """Logs of our processes and of the servers, spool files, and mails."""
    logs = stack.directory / "logs"
    for name in processes:
        search.look("logs", (logs / f"{name}.log").read_bytes())
    for name in ("postgres", "redis"):
        search.look("servers' logs", _of(logs / f"{name}.log"))
    for file in Path(stack.variables["UNHURRIED_RUN_DIRECTORY"]).rglob("*"):
        if file.is_file():
            search.look("run directory", file.read_bytes())
    for mail in stack.mails.glob("*.eml"):
        search.look("mails", _unfolded(mail.read_bytes()))


def _of(log: Path) -> bytes:
    return log.read_bytes() if log.exists() else b""


def _unfolded(mail: bytes) -> bytes:
    """A mail whose long lines are whole again."""
    return mail + re.sub(rb"=?\r?\n[ \t]?", b"", mail)


def search_webhooks(search: Search, inboxes: list[Inbox]) -> None:
    """What receivers got, headers as well."""
    for inbox in inboxes:
        for got in inbox.got:
            search.look("webhooks", got.body + str(got.headers).encode())
