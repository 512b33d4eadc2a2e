"""The wire contract of changing what is under way: cancel, expedite, another due time.

As in `unhurried.contract`, fields may be added and none changes its meaning.
"""

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from unhurried.contract import Moment, Tier, without_nul

#: The command of clients, on the control queue. One request id is one change, however often it is sent.
CHANGE_TASK: Final = "unhurried.change.v1"

Said = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(without_nul)]


class Wished(StrEnum):
    """What a caller may change."""

    CANCEL = "cancel"
    EXPEDITE = "expedite"
    DUE = "due"


class Of(StrEnum):
    """What it is changed of."""

    #: A Celery task of the caller's; it speaks for itself alone.
    TASK = "task"
    RUN = "run"


class Change(BaseModel):
    """What a client asks for: the arguments of the command."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    request_id: UUID
    what: Wished
    of: Of
    id: Said
    why: Said
    who: Said
    #: Of `expedite`.
    tier: Tier | None = None
    #: Of `due`; None waits as long as it takes.
    due_at: Moment | None = None


class Changed(BaseModel):
    """What came of it, as JSON under the reply's key; `celery -A app unhurried` prints the same."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    #: Jobs by what was done to them: cancelled, asked_to_end, let_go, expedited, due_changed...
    did: dict[str, int] = {}
    #: Jobs that nothing was done to, by why.
    left: dict[str, int] = {}
    #: Provider batches that nobody wants anything of any more; each is asked to end.
    batches_to_end: int = 0
    #: It was done before, by the same request id.
    repeated: bool = False
    #: Why it could be done to no job at all; None where it could.
    refused: str | None = None

    @property
    def touched(self) -> int:
        """How many jobs something was done to."""
        return sum(self.did.values())
