"""Look at everything at once: the ledger, and what lies in Redis alone. A store that is away is a finding."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.ledger import engine as ledger
from app.ledger import standing as reading
from app.policy.classify import Judgement, classify
from app.policy.standing import Admission, Limits, Standing
from unhurried.contract import NOTIFY_QUEUE, QUEUES, Marker, Tier, marker_key

#: What the pump takes from, and the lists of priorities beside each.
_QUEUES: Final = (QUEUES[Tier.BATCH], QUEUES[Tier.NEAR_REAL_TIME], NOTIFY_QUEUE)
_PRIORITY_SEPARATOR: Final = "\x06\x16"
_PRIORITIES: Final = range(1, 10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """How everything stands, when, and what that means."""

    standing: Standing
    #: By the ledger's clock; by this machine's where the ledger is away.
    at: datetime
    judgement: Judgement


class Look:
    """Reads and judges. Changes nothing; never raises for a store that is away."""

    def __init__(
        self,
        *,
        engine: Engine,
        client: Any,
        key_prefix: str,
        limits: Limits,
        result_lifetime: timedelta,
        daily_limits: Mapping[tuple[str, str], int],
    ) -> None:
        self._engine = engine
        self._client = client
        self._key_prefix = key_prefix
        self._limits = limits
        self._result_lifetime = result_lifetime
        self._daily_limits = daily_limits

    @property
    def limits(self) -> Limits:
        """By what is judged."""
        return self._limits

    def run(self) -> Looked:
        """One look: a few queries of the ledger, a few of Redis, all bounded.

        Both at once: where both hang, a person waits for one of them.
        """
        with ThreadPoolExecutor(1, "look") as pool:
            in_redis = pool.submit(self._redis)
            standing, at = self._ledger()
            admission, error = in_redis.result()
        standing = replace(standing, admission=admission, redis_error=error)
        return Looked(standing=standing, at=at, judgement=classify(standing, at, self._limits))

    def _ledger(self) -> tuple[Standing, datetime]:
        try:
            return reading.read(
                self._engine, lifetime=self._result_lifetime, daily_limits=self._daily_limits
            )
        except SQLAlchemyError as error:
            return Standing(ledger_error=ledger.cause(error)), datetime.now(UTC)

    def _redis(self) -> tuple[Admission, str | None]:
        """What lies there, and why it cannot be read; None where it can."""
        try:
            return self._admission(), None
        except (redis.RedisError, OSError) as error:
            return Admission(), type(error).__name__

    def _admission(self) -> Admission:
        keys = [self._key_prefix + queue for queue in _QUEUES]
        keys += [f"{key}{_PRIORITY_SEPARATOR}{step}" for key in keys for step in _PRIORITIES]
        with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.llen(key)
                # Taken from the right: there is the oldest.
                pipe.lindex(key, -1)
            found: Sequence[Any] = pipe.execute()
        oldest = [self._published_at(raw) for raw in found[1::2] if raw is not None]
        return Admission(
            unadmitted_count=sum(found[0::2]),
            oldest_at=min((one for one in oldest if one is not None), default=None),
        )

    def _published_at(self, raw: bytes) -> datetime | None:
        """When a message was published, by the mark that its caller left; None where there is none."""
        try:
            task_id = json.loads(raw)["headers"]["id"]
            found = self._client.get(self._key_prefix + marker_key(str(task_id)))
            return None if found is None else Marker.model_validate_json(found).published_at
        except (ValueError, TypeError, KeyError):
            return None
