"""Say that results were read: who picks up nothing is seen in the ledger, and by nobody else."""

import logging
from collections.abc import Iterable, Sequence
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
    note(app, ids, consumer=consumer)


def note(
    app: Celery,
    result_ids: Sequence[UUID],
    *,
    consumer: Declaration | None = None,
    run_id: UUID | None = None,
) -> None:
    """As `record`, of results by their ids, or of a whole run."""
    now = datetime.now(UTC)
    entries = [
        PickUp(
            consumer=consumer,
            result_ids=tuple(result_ids[start : start + PICK_UP_RESULTS_MAX]),
            picked_up_at=now,
        )
        for start in range(0, len(result_ids), PICK_UP_RESULTS_MAX)
    ]
    if run_id is not None:
        entries.append(PickUp(consumer=consumer, result_ids=(), picked_up_at=now, run_id=run_id))
    _leave(app, entries)


def announce(app: Celery, declarations: Iterable[Declaration]) -> bool:
    """Make consumers known that have read nothing yet; whether Redis took it."""
    now = datetime.now(UTC)
    return _leave(
        app, [PickUp(consumer=one, result_ids=(), picked_up_at=now) for one in declarations]
    )


def _leave(app: Celery, entries: Sequence[PickUp]) -> bool:
    try:
        with redis_answers("the pick-up is not recorded"):
            pipe = redis_of(app).pipeline(transaction=False)
            for entry in entries:
                pipe.xadd(
                    key_prefix(app) + PICK_UPS_KEY,
                    {"pick_up": entry.model_dump_json()},
                    maxlen=PICK_UPS_MAX,
                    approximate=True,
                )
            pipe.execute()
    except ServiceUnavailable as outage:
        _log.warning("%s", outage)
        return False
    return True
