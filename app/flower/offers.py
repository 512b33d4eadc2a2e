"""What a page offers to decide, with what that does not undo."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid4

from app.policy.changing import NOT_UNDONE, What
from app.policy.lifecycle import ENDED, JobState, SubmissionState
from app.policy.standing import Paused
from app.policy.subjects import Kind

_LABELS: Final[Mapping[What, str]] = MappingProxyType(
    {
        What.CANCEL: "Cancel",
        What.EXPEDITE: "Expedite what waits",
        What.RETRY: "Retry what failed",
        What.POLL: "Look now",
        What.PAUSE: "Pause its account",
        What.RESUME: "Resume",
        What.READ: "Mark as read",
    }
)
_UNDER_WAY: Final = frozenset(SubmissionState) - {
    SubmissionState.COLLECTED,
    SubmissionState.REJECTED,
    SubmissionState.VOID,
    SubmissionState.ABSENT,
}
_LOOKED_AT: Final = frozenset({SubmissionState.ACCEPTED, SubmissionState.UNKNOWN})


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One form: what is decided, of what, and what it does not undo."""

    what: What
    #: What the form says of its subject.
    of: Mapping[str, str]
    #: Which row it stands in, for whoever hears the page; empty where there is one alone.
    about: str = ""
    #: The same form sent twice acts once.
    request_id: UUID = field(default_factory=uuid4)

    @property
    def label(self) -> str:
        """For the button."""
        return _LABELS[self.what]

    @property
    def not_undone(self) -> str:
        """What it does not take back."""
        return NOT_UNDONE[self.what]


def _of(kind: Kind, thing: object) -> Mapping[str, str]:
    return {"kind": str(kind), "id": str(thing)}


def of_batch(batch_id: UUID, state: str, provider: str, account: str) -> list[Offer]:
    """What can be decided of a batch in its state."""
    of = _of(Kind.BATCH, batch_id)
    wishes = [What.CANCEL] if state in _UNDER_WAY else []
    wishes += [What.POLL] if state in _LOOKED_AT else []
    wishes += [What.RETRY, What.EXPEDITE]
    wishes += [What.READ] if state == SubmissionState.COLLECTED else []
    lane = {"kind": str(Kind.LANE), "provider": provider, "account": account}
    return [*(Offer(what=one, of=of) for one in wishes), Offer(what=What.PAUSE, of=lane)]


def of_job(job_id: UUID, state: str, *, pruned: bool = False) -> list[Offer]:
    """What can be decided of a job in its state; of one whose content was pruned, only that it is read."""
    of = _of(Kind.JOB, job_id)
    if state not in ENDED:
        return [Offer(what=What.CANCEL, of=of), Offer(what=What.EXPEDITE, of=of)]
    again = state in (JobState.FAILED, JobState.EXPIRED) and not pruned
    return [Offer(what=What.RETRY if again else What.READ, of=of)]


def of_task(task_id: str) -> list[Offer]:
    """What can be decided of a result that waits."""
    return [Offer(what=What.READ, of=_of(Kind.TASK, task_id), about=task_id)]


def of_reader(consumer: str) -> list[Offer]:
    """What can be decided of everything that waits for somebody."""
    return [Offer(what=What.READ, of=_of(Kind.CONSUMER, consumer), about=consumer)]


def of_paused(paused: Iterable[Paused]) -> list[tuple[Paused, Offer]]:
    """Each paused lane, with the offer to go on."""
    return [
        (
            one,
            Offer(
                what=What.RESUME,
                of={
                    "kind": str(Kind.LANE),
                    "provider": one.provider,
                    "account": one.account,
                    "model": one.model,
                },
            ),
        )
        for one in paused
    ]
