"""The wire contract of reading: who read which result, where the newest one is, what Redis has lost.

As in `unhurried.contract`, fields may be added and none changes its meaning.
"""

import hashlib
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from unhurried.contract import Moment, without_nul

#: Commands of clients, on the control queue. Each may be lost or repeated.
RESTORE_TASK: Final = "unhurried.restore.v1"
LATEST_TASK: Final = "unhurried.latest.v1"
CALLBACKS_TASK: Final = "unhurried.callbacks.v1"
REPLAY_TASK: Final = "unhurried.replay.v1"
#: Results of one page of a replay, at most.
REPLAY_RESULTS_MAX: Final = 200

#: The stream of pick-ups, and how many entries it holds at most: the oldest are dropped.
PICK_UPS_KEY: Final = "unhurried:pick-ups"
PICK_UPS_MAX: Final = 100_000
#: Results that one entry of it names at most.
PICK_UP_RESULTS_MAX: Final = 1000

#: How long a reply to a command is believed.
REPLY_LIFETIME_S: Final = 60


class Reply(StrEnum):
    """What the service says of something that Redis does not know."""

    #: The ledger has it, and now Redis has it again.
    RESTORED = "restored"
    #: It is known and has not ended.
    WAITING = "waiting"
    #: The ledger does not have it either.
    UNKNOWN = "unknown"


class Declaration(BaseModel):
    """A consumer of a workload's results, and how old they may be for it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")]
    workload: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")]
    max_staleness_s: Annotated[float, Field(ge=0)]
    #: Who answers for it, for people.
    owner: Annotated[str, Field(max_length=200), AfterValidator(without_nul)] | None = None
    tenant: Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,64}$")] = "default"
    #: The function that consumes, as `module.name`, which is its task's name unless it was given another.
    task: Annotated[str, Field(max_length=200), AfterValidator(without_nul)] | None = None


class PickUp(BaseModel):
    """One entry of the stream of pick-ups, as JSON in its field `pick_up`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    #: None where a reader named no consumer.
    consumer: Declaration | None = None
    result_ids: Annotated[tuple[UUID, ...], Field(max_length=PICK_UP_RESULTS_MAX)]
    picked_up_at: Moment
    #: A run whose end, by reference, was taken: it stands for the results of its parts.
    run_id: UUID | None = None


class ReplayQuery(BaseModel):
    """What a client asks for: the arguments of the command."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    endpoint: str
    workload: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")]
    tenant: Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,64}$")] = "default"
    #: Beyond this place; 0 begins at the beginning.
    after: Annotated[int, Field(ge=0, lt=2**63)] = 0
    #: What the reply is about, for `reply_key`.
    reply: Annotated[str, Field(max_length=64)]


class ReplayPage(BaseModel):
    """A page of results, as JSON under the reply's key."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    #: On the wire, each with its `cursor`.
    results: tuple[dict[str, Any], ...]
    #: Whether there are more beyond the last one now.
    more: bool
    #: Whether `after` is the place of another workload's result, or of another endpoint's: then some are passed over.
    foreign: bool = False


def latest_key(*, tenant: str, workload: str, subject: str | None) -> str:
    """The Redis hash that points at the newest answer of a workload about a subject.

    `as_of_us` is when its input was true, in microseconds since 1970; `task_id` whose result it is.
    """
    digest = hashlib.sha256((subject or "").encode()).hexdigest()[:32]
    return f"unhurried:latest:{tenant}:{workload}:{digest}"


def reply_key(about: str) -> str:
    """The Redis key under which the service replies, for a task id or a `latest_key`."""
    return f"unhurried:reply:{about}"
