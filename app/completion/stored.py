"""What Redis holds of tasks' ends: a key may be there and hold an older state, if a stale replica took over."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from celery import states

#: What completion writes; anything else under a completed ticket's key is older than its completion.
_ENDS: Final = (states.SUCCESS, states.FAILURE, states.REVOKED)
#: Celery puts the status first: a long result is not fetched to learn that it is there.
_HEAD_BYTES: Final = 32
_ENDED: Final = re.compile(rb'\A\{"status": ?"(?:%s)"' % "|".join(_ENDS).encode())


def not_ended(client: Any, backend: Any, task_ids: Sequence[str]) -> set[str]:
    """Those of these tasks for which Redis holds no end: nothing, or an earlier state."""
    keys = {task_id: backend.get_key_for_task(task_id) for task_id in task_ids}
    with client.pipeline(transaction=False) as pipe:
        for key in keys.values():
            pipe.getrange(key, 0, _HEAD_BYTES - 1)
        heads = pipe.execute()
    unclear = [task_id for task_id, head in zip(keys, heads, strict=True) if not _ENDED.match(head)]
    if not unclear:
        return set()
    whole = client.mget([keys[task_id] for task_id in unclear])
    return {
        task_id
        for task_id, meta in zip(unclear, whole, strict=True)
        if meta is None or backend.decode_result(meta).get("status") not in _ENDS
    }


def ignores_result(headers: bytes) -> bool:
    """Whether a task's caller wants nothing of it kept; `headers` are its message's, as JSON."""
    return bool(json.loads(bytes(headers)).get("ignore_result"))
