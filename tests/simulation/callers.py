"""Callers: what they publish, what their workers were asked to run, and the mails that people got."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Final

from app.notify.smtp import Delivery, NotSent, Sent, Unknown
from tests.simulation.chance import Deed
from tests.simulation.provider import MODELS
from tests.simulation.redis_memory import RedisMemory
from tests.simulation.workspace import SPOILED
from tests.simulation.world import World
from unhurried.contract import TASK_NAMES, Endpoint

_TASKS: Final = {
    "anthropic": TASK_NAMES[Endpoint.MESSAGES],
    "openai": TASK_NAMES[Endpoint.RESPONSES],
}
_PUBLISHED_WITHIN_S: Final = 1800.0
_LITTLE_WITHIN_S: Final = 60.0
_REPEAT_AFTER_S: Final = 7200.0


@dataclass(kw_only=True)
class Call:
    """One job that somebody wants."""

    task_id: str
    provider: str
    prompt: str
    raw: bytes
    callback: str | None = None
    #: Whether the callback follows whatever is told as a value; an errback follows a failure.
    follows_success: bool = False
    group: str | None = None
    mail: str | None = None


@dataclass
class Callers:
    """Publishes, and watches. A call without an end is published again: nothing may come of it twice."""

    world: World
    calls: dict[str, Call] = field(default_factory=dict)
    #: Sizes of chords by group id; its body's task id is `body-<group>`, its errback's `errback-<group>`.
    chords: dict[str, int] = field(default_factory=dict)
    queue: list[bytes] = field(default_factory=list)
    reserved: list[bytes] = field(default_factory=list)
    torn: set[str] = field(default_factory=set)
    ran: Counter[str] = field(default_factory=Counter)
    #: How often a task may run once more: see `forget_marks`.
    may_repeat: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)
    memory: RedisMemory | None = None

    def plan(self) -> None:
        """Draw what will be published and when."""
        chance = self.world.chance
        for provider in MODELS:
            for number in range(chance.count(1, 6)):
                self._later([self._single(provider, number)], _PUBLISHED_WITHIN_S)
            for number in range(chance.count(0, 1)):
                self._chord(f"{provider}-chord-{number}", provider, chance.count(2, 5))

    def plan_little(self) -> None:
        """What a small scene needs: one call at each provider, and one chord."""
        for number, provider in enumerate(MODELS):
            self._later([self._single(provider, number)], _LITTLE_WITHIN_S)
        self._chord("anthropic-chord-0", "anthropic", 2, within_s=_LITTLE_WITHIN_S)

    def ran_task(self, message: dict[str, Any]) -> None:
        """A caller's worker takes a task that completion published."""
        task_id = str(message["headers"]["id"])
        self.world.tell(f"a caller runs {task_id}")
        self.ran[task_id] += 1
        self.world.counts["repeated"] += self.ran[task_id] > 1
        if not self.is_right(task_id, 1):
            self.world.violate(f"{task_id} was published {self.ran[task_id]} times")

    def is_right(self, task_id: str, wanted: int) -> bool:
        """Whether a task has run as often as that, but for what is not promised."""
        return 0 <= self.ran[task_id] - wanted <= (self.may_repeat[task_id] if wanted else 0)

    def forget_marks(self, noted: Collection[str]) -> None:
        """Redis forgets what was published, and of what has run the ledger has only `noted`.

        Nobody knows of the rest any more that it went out (docs/reliability.md, what is not promised).
        """
        self.may_repeat.update(set(self.ran) - set(noted))

    def unended(self) -> Iterator[Call]:
        """Calls for which Redis shows no end."""
        assert self.memory is not None
        for call in self.calls.values():
            meta = self.memory.peek(f"celery-task-meta-{call.task_id}")
            if meta is None or json.loads(meta)["status"] not in ("SUCCESS", "FAILURE"):
                yield call

    def unpublished_bodies(self) -> list[str]:
        """Chords of which neither the body nor the errback has run: all else may be done before Redis is
        told again.
        """
        return [
            group
            for group in self.chords
            if not self.ran[f"body-{group}"] + self.ran[f"errback-{group}"]
            and group not in self.torn
        ]

    def has_failed(self, group: str) -> bool:
        """Whether a part of a chord ended as a failure: its errback runs then, and its body does not."""
        return any(
            self.end(call)[0] == "FAILURE" for call in self.calls.values() if call.group == group
        )

    def end(self, call: Call) -> tuple[str, Any]:
        """How a call ended, as its caller sees it."""
        assert self.memory is not None
        meta = json.loads(self.memory.peek(f"celery-task-meta-{call.task_id}"))
        return str(meta["status"]), meta["result"]

    def lose_queue(self) -> None:
        """What Redis alone had is gone; a chord that has lost a part like this is lost."""
        for call in self.calls.values():
            if call.group is not None and call.raw in (*self.queue, *self.reserved):
                self.torn.add(call.group)
        self.queue.clear()
        self.reserved.clear()

    def _single(self, provider: str, number: int) -> Call:
        chance, name = self.world.chance, f"{provider}-{number}"
        embed: dict[str, Any] = {}
        call = Call(task_id=name, provider=provider, prompt=f"say {name}", raw=b"")
        options: dict[str, Any] = {"on_failure": chance.pick(["raise", "return"])}
        if chance.count(0, 1):
            call.callback = f"callback-{name}"
            link = _signature("callback", call.callback)
            call.follows_success = options["on_failure"] == "return"
            embed["callbacks" if call.follows_success else "errbacks"] = [link]
        if chance.count(0, 1):
            call.mail = f"{name}@example.com"
            options["notify"] = [{"kind": "email", "to": call.mail, "subject": "ready"}]
        call.raw = _message(call, options, embed)
        return call

    def _chord(
        self, group: str, provider: str, size: int, *, within_s: float = _PUBLISHED_WITHIN_S
    ) -> None:
        self.chords[group] = size
        parts = []
        body = _signature("body", f"body-{group}")
        body["options"]["link_error"] = [_signature("errback", f"errback-{group}")]
        chance = self.world.chance
        options = {"on_failure": chance.pick(["raise", "return"])}
        spoils = chance.count(0, 3) == 0
        for index in range(size):
            name = f"{group}-{index}"
            prompt = f"{SPOILED if spoils and index == 0 else 'say'} {name}"
            call = Call(task_id=name, provider=provider, prompt=prompt, raw=b"", group=group)
            call.raw = _message(call, options, {"chord": {**body, "chord_size": size}}, index)
            parts.append(call)
        self._later(parts, within_s)

    def _later(self, calls: list[Call], within_s: float) -> None:
        for call in calls:
            self.calls[call.task_id] = call
        moment_s = self.world.chance.between(0, within_s)
        self.world.at(moment_s, lambda: self._publish_all(calls))

    def _publish_all(self, calls: list[Call]) -> None:
        """Celery tells Redis how large a chord is, and then publishes its parts."""
        assert self.memory is not None
        group = calls[0].group
        if group is not None:
            self.memory.preset(f"celery-taskset-meta-{group}.s", str(self.chords[group]))
        for call in calls:
            self._publish(call)

    def _publish(self, call: Call) -> None:
        if call in list(self.unended()):
            self.queue.append(call.raw)
            again_s = self.world.now_s + _REPEAT_AFTER_S
            self.world.at(again_s, lambda: self._publish(call), awaited=False)


@dataclass
class Mailbox:
    """A mail server; implements what the outbox wants of a sender."""

    world: World
    callers: Callers

    def send(
        self, message: EmailMessage, *, sender: str, to: str, mark: Callable[[], bool]
    ) -> Delivery | None:
        """Take one mail, or not, and say so, or not."""
        del message, sender
        chance = self.world.chance
        if self.world.edge("mail:before") in (Deed.CUT_BEFORE, Deed.CUT_AFTER):
            return NotSent("connect: refused", permanent=False, reached=False)
        if chance.happens("mail_later"):
            return NotSent("450 later", permanent=False)
        if not mark():
            return None
        self.callers.mails[to] += 1
        if self.callers.mails[to] > 1:
            self.world.violate(f"{to} got {self.callers.mails[to]} mails")
        deed = self.world.edge("mail:after", takes_s=1.0)
        if deed is Deed.CUT_AFTER or chance.happens("mail_lost"):
            return Unknown("no reply")
        return Sent()


def _signature(task: str, task_id: str) -> dict[str, Any]:
    return {
        "task": f"caller.{task}",
        "args": [],
        "kwargs": {},
        "options": {"task_id": task_id},
        "subtask_type": None,
        "immutable": False,
    }


def _message(
    call: Call, options: dict[str, Any], embed: dict[str, Any], index: int | None = None
) -> bytes:
    """What lies in Redis after a call."""
    request: dict[str, Any] = {"model": MODELS[call.provider]}
    if call.provider == "openai":
        request |= {"input": call.prompt, "max_output_tokens": 100}
    else:
        turns = [{"role": "user", "content": call.prompt}]
        request |= {"max_tokens": 100, "messages": turns}
    kwargs = {"request": request, "options": {"tier": "batch", **options}}
    body = json.dumps([[], kwargs, embed]).encode()
    headers = {
        "id": call.task_id,
        "task": _TASKS[call.provider],
        "root_id": call.task_id,
        "parent_id": None,
        "group": call.group,
        "group_index": index,
        "ignore_result": False,
        "lang": "py",
    }
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {"body_encoding": "base64", "correlation_id": call.task_id},
    }
    return json.dumps(envelope).encode()
