"""The wire contract of runs: many calls published as one, counted in the ledger, ended once.

As in `unhurried.contract`, fields may be added and none changes its meaning.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from unhurried.contract import RESULT_SCHEMA

#: The task that seals a run: its id is the run's, its end is the run's end, its links are what follows.
RUN_TASK: Final = "unhurried.run.v1"
#: Commands of clients, on the control queue.
CANCEL_RUN_TASK: Final = "unhurried.cancel-run.v1"
RESTORE_RUN_TASK: Final = "unhurried.restore-run.v1"


class RunState(StrEnum):
    """Where a run is."""

    #: Not sealed: its caller is still publishing, or was interrupted.
    PUBLISHING = "publishing"
    RUNNING = "running"
    #: What waits was dropped; what is at the provider comes to its end.
    CANCELLING = "cancelling"
    #: Every part has ended, and what follows has been published.
    ENDED = "ended"
    CANCELLED = "cancelled"


class RunCounts(BaseModel):
    """How a run stands in the ledger; JSON in the field `counts` of its hash."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: RunState
    #: Parts there are; None until the run is sealed.
    total: int | None = None
    admitted: int = 0
    waiting: int = 0
    in_flight: int = 0
    #: Parts whose Celery task has ended, `failed` of them without an answer.
    done: int = 0
    failed: int = 0
    #: When it is likely to end, judged by jobs like these; None where there were none yet.
    expected_at: AwareDatetime | None = None
    looked_at: AwareDatetime


class RunReference(BaseModel):
    """The end of a run on the wire: what its `then` task gets, and its own Celery result."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    wire_schema: Literal[1] = Field(RESULT_SCHEMA, alias="schema")
    run: Annotated[str, Field(min_length=1, max_length=64)]
    #: Parts, and how many of them could not be done.
    jobs: int
    failed: int
    workload: str | None = None


def is_run_reference(value: Any) -> bool:
    """Whether a value is the end of a run, by reference."""
    return isinstance(value, dict) and value.get("schema") == RESULT_SCHEMA and "run" in value


def run_key(run_id: str) -> str:
    """The Redis hash of a run: `published`, `published:<call>` and `sealed` by its caller, `counts` by the service."""
    return f"unhurried:run:{run_id}"


def parts_key(run_id: str) -> str:
    """The Redis sorted set of a run's parts: task ids, by their place in what was published."""
    return f"unhurried:run:{run_id}:parts"
