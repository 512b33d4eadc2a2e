"""Say that results were read: who picks up nothing is seen in the ledger, and by nobody else."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from celery import Celery

from unhurried.binding import key_prefix, redis_answers, redis_of
from unhurried.errors import ServiceUnavailable
from unhurried.readers import (
    PICK_UP_RESULTS_MAX,
    PICK_UPS_KEY,
    PICK_UPS_MAX,
    Declaration,
    PickUp,
)
from unhurried.results import Result

_log = logging.getLogger(__name__)


def record(app: Celery, results: Iterable[Result], *, consumer: Declaration | None = None) -> None:
    """Leave a note for the service. A result that has been read stays read: an outage of Redis is
    logged, and never raised at a reader that has what it wanted.
    """
    ids = [UUID(result.result_id) for result in results if result.result_id is not None]
    now = datetime.now(UTC)
    try:
        with redis_answers("the pick-up is not recorded"):
            pipe = redis_of(app).pipeline(transaction=False)
            for start in range(0, len(ids), PICK_UP_RESULTS_MAX):
                part = tuple(ids[start : start + PICK_UP_RESULTS_MAX])
                entry = PickUp(consumer=consumer, result_ids=part, picked_up_at=now)
                pipe.xadd(
                    key_prefix(app) + PICK_UPS_KEY,
                    {"pick_up": entry.model_dump_json()},
                    maxlen=PICK_UPS_MAX,
                    approximate=True,
                )
            pipe.execute()
    except ServiceUnavailable as outage:
        _log.warning("%s", outage)
