"""Revokes, as every worker of ours hears them: Celery's own remote control, and a note for hours later.

A revoke from a caller or from Flower reaches workers alone. What was revoked may wait in the ledger, or be
with a provider: the note says so to whoever completes it. Importing this module is what replaces the command.
"""

from typing import Any, Final

from celery.utils.functional import maybe_list
from celery.worker.control import Panel
from redis.exceptions import RedisError

from app.changing.revocations import heard
from app.observe.log import tell
from app.settings import settings
from app.wiring.stores import client

_ANOTHER: Final = Panel.data["revoke"]


def revoke(state: Any, task_id: Any, *args: Any, **kwargs: Any) -> Any:
    """Do what Celery does, terminate or not, and note the ids for tickets and messages of ours.

    A Redis that fails just then loses the note: the revoke is repeated by whoever wants it.
    """
    ids = list(maybe_list(task_id) or [])
    try:
        heard(client(), settings().redis_key_prefix, ids)
    except RedisError as outage:
        tell("revoke_lost", warning=True, ids_count=len(ids), reason=type(outage).__name__)
    return _ANOTHER(state, ids, *args, **kwargs)


Panel.data["revoke"] = revoke
