"""Publish many calls as one run: pipelined, in bounded memory, and again without harm."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from celery import Celery

from unhurried.binding import key_prefix, producer_of, redis_answers, redis_of, require_redis
from unhurried.checks import require_workable
from unhurried.contract import (
    QUEUES,
    REDIS_LIFETIME_S,
    TASK_NAMES,
    Endpoint,
    Marker,
    OnFailure,
    Tier,
    marker_key,
)
from unhurried.envelopes import Envelopes
from unhurried.errors import CallError
from unhurried.options import split
from unhurried.presence import require_served
from unhurried.remembered import Remembered
from unhurried.run_wire import parts_key, run_key

#: Parts of one round trip, and bytes of messages after which it goes early: what publishing holds in
#: memory of a generator, whatever its length.
_PORTION_MAX: Final = 500
_PORTION_BYTES_MAX: Final = 4 * 1024 * 1024

_AGAIN: Final = "publish the run again with the same key"

_PARTS: Final = UUID("d2f0a4b6-2f5e-4a7e-9a0e-756e68757272")


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One call of a run; made by `item`."""

    arguments: Mapping[str, Any] = field(repr=False)
    key: str | None
    subject: str | None
    as_of: datetime | None


def item(
    arguments: Mapping[str, Any],
    *,
    key: object = None,
    subject: str | None = None,
    as_of: datetime | None = None,
) -> Item:
    """One call of a run: the SDK's own arguments, and what is this call's alone.

    `key` names its job as `idempotency_key` does elsewhere: give one, and the run may be published again
    after an interruption without buying anything twice.
    """
    named = str(key) if key is not None else None
    return Item(arguments=arguments, key=named, subject=subject, as_of=as_of)


def shared(common: Mapping[str, Any]) -> dict[str, Any]:
    """Options of every part. Raises CallError for those that are one part's alone."""
    for name in ("idempotency_key", "subject", "as_of"):
        if name in common:
            raise CallError(f"{name} is one call's alone: say it in item(...)")
    return {"on_failure": OnFailure.RETURN, **common}


class Publisher:
    """Publishes the parts of one run. What it has published stays published, whatever happens next."""

    def __init__(
        self, app: Celery, *, endpoint: Endpoint, run_id: str, common: Mapping[str, Any]
    ) -> None:
        self._app = app
        self._endpoint = endpoint
        self._run_id = run_id
        self._common = common
        self._tier: Tier | None = None
        self._envelopes: Envelopes | None = None
        prefix = key_prefix(app)
        self._run, self._parts = prefix + run_key(run_id), prefix + parts_key(run_id)
        self._remembered = Remembered(self._run)

    @property
    def tier(self) -> Tier:
        """The tier of the parts; batch where there was none."""
        return self._tier or Tier.BATCH

    def publish(self, items: Iterable[Item]) -> None:
        """Publish all of them.

        Raises what the items raise, and as `delay` does for an argument that cannot be sent: then the
        run is left unsealed, with what came before. Raises ServiceUnavailable where Redis is down, or has
        forgotten what came before.
        """
        require_workable(self._app)
        with redis_answers(_AGAIN):
            require_served(self._app)
            require_redis(self._app)
        with producer_of(self._app) as producer:
            with redis_answers(_AGAIN):
                channel = producer.channel
            for portion in self._portions(channel, items):
                with redis_answers(_AGAIN):
                    self._send(portion)

    def total(self) -> int:
        """How many parts the run has: what is there, since an interrupted run may hold more than this call.

        Raises ServiceUnavailable where Redis has forgotten some of what this call published.
        """
        with redis_answers(_AGAIN):
            # At one moment: a count of what is there says nothing where some of it is gone.
            pipe = redis_of(self._app).pipeline(transaction=True)
            self._remembered.look(pipe)
            pipe.zcard(self._parts)
            found, total = pipe.execute()
        self._remembered.require(found)
        return int(total)

    def _portions(
        self, channel: Any, items: Iterable[Item]
    ) -> Iterator[list[tuple[int, str, str]]]:
        """(place, task id, message) of each item, in portions that bound memory."""
        portion: list[tuple[int, str, str]] = []
        size = 0
        for place, one in enumerate(items):
            task_id, message = self._message(channel, place, one)
            portion.append((place, task_id, message))
            size += len(message)
            if len(portion) >= _PORTION_MAX or size >= _PORTION_BYTES_MAX:
                yield portion
                portion, size = [], 0
        if portion:
            yield portion

    def _message(self, channel: Any, place: int, one: Item) -> tuple[str, str]:
        ours = {"subject": one.subject, "as_of": one.as_of, "idempotency_key": one.key}
        given = {name: value for name, value in ours.items() if value is not None}
        wire = split({**one.arguments, **self._common, **given}, self._endpoint)
        tier = self._same_tier(Tier(wire["options"]["tier"]))
        text = json.dumps(wire["request"])
        now = datetime.now(UTC).isoformat()
        wire["options"] = {
            "published_at": now,
            "as_of": now,
            **wire["options"],
            "run": self._run_id,
        }
        task_id = self._task_id(place, one.key, text)
        summary = f"<{self._endpoint} {tier} part {place} of run {self._run_id}>"
        assert self._envelopes is not None
        return task_id, self._envelopes.message(channel, task_id, wire, summary=summary)

    def _same_tier(self, tier: Tier) -> Tier:
        if tier is Tier.SYNC:
            raise CallError(
                "a run is answered in its own time: use tier='batch' or 'near-real-time'"
            )
        if self._tier is None:
            self._tier = tier
            self._envelopes = Envelopes(
                self._app,
                task_name=TASK_NAMES[self._endpoint],
                queue=QUEUES[tier],
                root_id=self._run_id,
            )
        return tier

    def _task_id(self, place: int, key: str | None, request: str) -> str:
        """The same part of the same run always has the same id, so that publishing it again is nothing.

        The request is in it, since a key that names another request is a conflict that must be seen.
        """
        named = f"key\0{key}" if key is not None else f"place\0{place}"
        digest = hashlib.sha256(request.encode()).hexdigest()
        return str(uuid5(_PARTS, f"{self._run_id}\0{named}\0{digest}"))

    def _send(self, portion: list[tuple[int, str, str]]) -> None:
        prefix = key_prefix(self._app)
        marker = Marker(
            tier=self.tier, endpoint=TASK_NAMES[self._endpoint], published_at=datetime.now(UTC)
        ).model_dump_json()
        pipe = redis_of(self._app).pipeline(transaction=False)
        self._remembered.look(pipe)
        for _, task_id, _ in portion:
            pipe.set(prefix + marker_key(task_id), marker, ex=REDIS_LIFETIME_S)
        pipe.zadd(self._parts, {task_id: place for place, task_id, _ in portion})
        pipe.hset(self._run, "published", portion[-1][0] + 1)
        for key in (self._run, self._parts):
            pipe.expire(key, REDIS_LIFETIME_S)
        pipe.lpush(prefix + QUEUES[self.tier], *(message for _, _, message in portion))
        self._remembered.write(pipe, len(portion))
        found, *_ = pipe.execute()
        self._remembered.require(found, parts=len(portion))
