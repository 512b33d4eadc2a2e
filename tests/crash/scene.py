"""The whole service behind proxies that can strike, and a caller that writes down what reaches it.

What happened is counted from outside: the providers' books, the caller's log, the mail catcher.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import redis

from dev.fault_proxy import Deed, Fault, FaultProxy
from dev.processes import Process
from dev.stack import Stack
from tests.road.callers import Caller
from tests.road.conftest import books
from tests.support.waiting import wait_until

PROVIDERS: Final = ("anthropic", "openai")
WITHIN_S: Final = 240.0
SPANS: Final = {
    "UNHURRIED_CONNECT_TIMEOUT_S": "2",
    "UNHURRIED_CREATE_TIMEOUT_S": "4",
    "UNHURRIED_SEND_TTL_S": "11",
    "UNHURRIED_SEARCH_EVERY_S": "1",
    "UNHURRIED_SETTLE_ANTHROPIC_S": "15",
    "UNHURRIED_SETTLE_OPENAI_S": "15",
    # Many portions, so that a kill falls between two of them.
    "UNHURRIED_INTAKE_MESSAGES_MAX": "20",
    "UNHURRIED_SETTLE_LINES_MAX": "20",
    "UNHURRIED_NEAR_REAL_TIME_TIMEOUT_S": "5",
}
_QUEUES: Final = ("celery", "unhurried.batch", "unhurried.notify", "unhurried:intake")

#: What a URL needs so that a proxy can read along.
_PLAIN: Final = {"UNHURRIED_REDIS_URL": "", "UNHURRIED_DATABASE_URL": "?sslmode=disable"}

CREATES: Final = {
    "anthropic": re.compile(rb"\APOST /v1/messages/batches "),
    "openai": re.compile(rb"\APOST /v1/batches "),
}
DOWNLOADS: Final = {
    "anthropic": re.compile(rb"\AGET /v1/messages/batches/[^/ ]+/results "),
    "openai": re.compile(rb"\AGET /v1/files/[^/ ]+/content "),
}
RESULTS: Final = re.compile(rb"celery-task-meta-")
DIRECT: Final = {
    "anthropic": re.compile(rb"\APOST /v1/messages "),
    "openai": re.compile(rb"\APOST /v1/responses "),
}
FINAL_DOT: Final = re.compile(rb"(\A|\r\n)\.\r\n\Z")


@dataclass(frozen=True)
class Scene:
    """A stack, a caller's worker, and what can be seen of both from outside."""

    stack: Stack
    caller: Caller

    def publish(self, name: str, provider: str, count: int, *shape: str) -> Process:
        """Start a caller's process that publishes `count` jobs."""
        program = f"publish.{name}.{provider}"
        return self.caller.start(program, "publish.py", name, provider, str(count), *shape)

    def arm(self, request: re.Pattern[bytes], deed: Deed, *, after_bytes: int = 0) -> Fault:
        """Let the proxy in front of the simulator strike a reply."""
        fault = Fault(request=request, deed=deed, after_bytes=after_bytes)
        return self.stack.proxies["simulator"].arm(fault)

    def await_published(self, load: Process, number: int) -> None:
        """Wait until a caller's process has published that many; it goes on."""
        said = f"published {number}\n"
        wait_until(
            lambda: said in load.log.read_text("utf-8"), within_s=WITHIN_S, what=said.strip()
        )

    @contextmanager
    def through_proxy(
        self, name: str, *, to: str = "UNHURRIED_REDIS_URL", faults: Sequence[Fault] = ()
    ) -> Iterator[FaultProxy]:
        """Restart a process so that a proxy stands between it and a server; restart it again at the end."""
        url = self.stack.variables[to]
        port = urlsplit(url).port
        assert port is not None
        with FaultProxy(port) as proxy:
            for fault in faults:
                proxy.arm(fault)
            self.stack.variables[to] = url.replace(str(port), str(proxy.port)) + _PLAIN[to]
            try:
                self.stack.restart(name)
            finally:
                self.stack.variables[to] = url
            yield proxy
        self.stack.restart(name)

    def kill(self, name: str) -> None:
        """SIGKILL a process of the service."""
        self.stack.process(name).kill()

    def bought(self, provider: str) -> int:
        """Requests in all batches that a provider ever took."""
        batches = books(self.stack)["batches"]
        return sum(one["requests"] for one in batches if one["provider"] == provider)

    def billed(self, name: str, provider: str, count: int) -> Counter[int]:
        """How often each number is in the provider's books."""
        prompts = Counter(
            line["prompt"] for line in books(self.stack, f"/lines?provider={provider}&limit=10000")
        )
        return Counter({number: prompts[digest(name, provider, number)] for number in range(count)})

    def landed(self, name: str, provider: str) -> Counter[int]:
        """How often the caller's task ran for each number."""
        said = f" {name} {provider} is number "
        return Counter(
            one["number"] for one in self.caller.events("landed") if said in f" {one['said']}"
        )

    def redis(self) -> redis.Redis:
        """A client of the Redis that caller and service share."""
        return redis.Redis.from_url(self.stack.variables["UNHURRIED_REDIS_URL"])

    def bodies(self, name: str) -> list[list[str]]:
        """What each run of a chord's body was given."""
        return [one["said"] for one in self.caller.events("body") if one["name"] == name]

    def mailed(self, name: str) -> Counter[str]:
        """How many mails each address got."""
        mails = [message_from_bytes(path.read_bytes(), policy=default) for path in self._mails()]
        return Counter(to for mail in mails if (to := str(mail["To"])).startswith(f"{name}-"))

    def await_landing(self, name: str, provider: str, count: int) -> None:
        """Wait until every number has landed at least once, and until nothing more is under way."""
        wait_until(
            lambda: len(self.landed(name, provider)) >= count,
            within_s=WITHIN_S,
            what=f"{count} jobs of {name} at {provider}",
        )
        self.await_rest()

    def await_rest(self) -> None:
        """Wait until no message waits anywhere: what comes twice has come."""
        with self.redis() as client:
            wait_until(
                lambda: not client.exists(*_QUEUES), within_s=WITHIN_S, what="the queues to empty"
            )

    def require_once(self, name: str, provider: str, count: int) -> None:
        """Everything came exactly once and was billed exactly once."""
        self.await_landing(name, provider, count)

        assert dict.fromkeys(range(count), 1) == self.landed(name, provider)
        assert dict.fromkeys(range(count), 1) == self.billed(name, provider, count)

    def _mails(self) -> list[Path]:
        return list(self.stack.mails.glob("*.eml"))


def digest(name: str, provider: str, number: int) -> str:
    """How the books tell the request that the caller made of this number."""
    prompt = f"{name} {provider} is number {number}."
    turns = [{"role": "user", "content": prompt}]
    request = {
        "anthropic": {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": turns},
        "openai": {"model": "gpt-5-mini", "input": prompt},
    }[provider]
    return sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
