"""How far something is, as a Celery state of its own: of one job, and of a canvas of many steps.

`AsyncResult(id).info` and Flower show the same: state `PROGRESS` with one of these as its value.
"""

import json
from typing import Any, Final, Self

from celery import states
from pydantic import BaseModel, ConfigDict, Field

from unhurried.contract import REDIS_LIFETIME_S

#: Celery's state of a task that is under way and says how far.
PROGRESS_STATE: Final = "PROGRESS"
#: The text so far travels to whoever looks; only its end does, beyond this many characters.
TEXT_MAX: Final = 4000

#: Set a state unless the task has ended: a late word about the way must not take back the end.
_TELL: Final = """
local now = redis.call('GET', KEYS[1])
if now then
  local read, meta = pcall(cjson.decode, now)
  if read and (meta['status'] == 'SUCCESS' or meta['status'] == 'FAILURE'
               or meta['status'] == 'REVOKED') then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""


class Progress(BaseModel):
    """How far one near-real-time job is."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    wire_schema: int = Field(1, alias="schema")
    #: Tokens of the answer so far, estimated.
    tokens: int = 0
    #: The end of the text so far; empty where the service does not show it.
    text: str = ""

    @classmethod
    def read(cls, info: Any) -> Self | None:
        """What a state's value says; None for anything else."""
        if not isinstance(info, dict) or "tokens" not in info:
            return None
        return cls.model_validate(info)


def tell(client: Any, key: str, *, task_id: str, state: str, value: Any) -> bool:
    """Store a Celery state under its result key, unless the task has ended; whether it was stored."""
    meta = {
        "status": state,
        "result": value,
        "traceback": None,
        "children": [],
        "task_id": task_id,
    }
    if state in states.READY_STATES:
        meta["date_done"] = None
    return bool(client.eval(_TELL, 1, key, json.dumps(meta), REDIS_LIFETIME_S))
