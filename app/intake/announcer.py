"""Tell Redis what the ledger has admitted: states that callers see, and chord keys that must last."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from celery import Celery
from redis.exceptions import OutOfMemoryError

from app.ledger.arrivals import Admitted
from app.observe.task_events import Told
from app.policy import task_events
from app.policy.admission import JobDraft
from app.policy.task_events import About, TaskEvent
from unhurried.contract import (
    ADMITTED_STATE,
    REDIS_LIFETIME_S,
    SERVICE_KEY,
    Marker,
    Presence,
    Tier,
    marker_key,
)

_CHORD_SUFFIXES: Final = (".j", ".t", ".s", ".d")


class Announcer:
    """Everything here may be repeated or lost: the ledger is the truth, this is for who looks early.

    A Redis that is full is told nothing and refuses nothing: taking messages in is what empties it.
    """

    def __init__(
        self,
        *,
        app: Celery,
        client: Any,
        key_prefix: str,
        wake: Callable[[], None],
        told: Told | None = None,
    ) -> None:
        self._backend: Any = app.backend  # the Redis backend: its key names are Celery's own
        self._client = client
        self._key_prefix = key_prefix
        self._wake = wake
        self._told = told

    def admitted(self, admitted: Sequence[Admitted]) -> None:
        """Mark tickets as admitted, make chord counters outlive a batch, wake completion if needed."""
        with self._client.pipeline(transaction=False) as pipe:
            for one in admitted:
                self._mark(pipe, one)
            _require_heard(pipe.execute(raise_on_error=False))
        if any(one.ready for one in admitted):
            self._wake()
        if self._told is not None:
            # A ticket that is ready at once is told of when it is completed.
            now = datetime.now(UTC)
            self._told([_event(one, now) for one in admitted if not one.ready])

    def present(self) -> None:
        """Say that this database is served, and under which prefix: callers are held to it."""
        presence = Presence(key_prefix=self._key_prefix).model_dump_json()
        with suppress(OutOfMemoryError):
            self._client.set(SERVICE_KEY, presence, ex=REDIS_LIFETIME_S)

    def refresh_chords(self, group_ids: Sequence[str]) -> None:
        """Keep the counters of open chords alive: a caller's default lifetime is one day."""
        with self._client.pipeline(transaction=False) as pipe:
            for group_id in group_ids:
                self._keep_chord(pipe, group_id)
            pipe.execute()

    def _mark(self, pipe: Any, one: Admitted) -> None:
        message = one.message
        if isinstance(one.decision, JobDraft):
            marker = Marker(
                tier=one.decision.tier,
                endpoint=one.decision.endpoint,
                published_at=one.decision.published_at,
            )
        else:
            marker = Marker(
                tier=Tier.BATCH, endpoint=message.task_name, published_at=datetime.now(UTC)
            )
        key = self._key_prefix + marker_key(message.task_id)
        pipe.set(key, marker.model_dump_json(), ex=REDIS_LIFETIME_S, nx=True)
        if not one.ready and not message.ignore_result:
            meta = {"status": ADMITTED_STATE, "result": None, "task_id": message.task_id}
            pipe.set(
                self._backend.get_key_for_task(message.task_id),
                self._backend.encode({**meta, "traceback": None, "children": []}),
                ex=REDIS_LIFETIME_S,
                nx=True,
            )
        if message.in_chord and message.group_id:
            self._keep_chord(pipe, message.group_id)

    def _keep_chord(self, pipe: Any, group_id: str) -> None:
        for suffix in _CHORD_SUFFIXES:
            pipe.expire(
                self._backend.get_key_for_group(group_id, suffix), REDIS_LIFETIME_S, gt=True
            )
        pipe.expire(self._backend.get_key_for_group(group_id), REDIS_LIFETIME_S, gt=True)


def _require_heard(replies: Sequence[Any]) -> None:
    """Raise what Redis said no with, unless it is that it is full."""
    for reply in replies:
        if isinstance(reply, Exception) and not isinstance(reply, OutOfMemoryError):
            raise reply


def _event(one: Admitted, now: datetime) -> TaskEvent:
    message, decision = one.message, one.decision
    draft = decision if isinstance(decision, JobDraft) else None
    about = About(
        task_id=message.task_id,
        task_name=message.task_name,
        headers=json.loads(message.headers),
        published_at=draft.published_at if draft is not None else None,
        admitted_at=now,
        summary=task_events.NO_ARGUMENTS if draft is None else _summary(draft),
    )
    return task_events.admitted(about)


def _summary(draft: JobDraft) -> str:
    return task_events.summary(
        endpoint=draft.endpoint, tier=draft.tier, model=draft.model, workload=draft.workload
    )
