"""What a page offers to decide, with what that does not undo."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid4

from app.policy.changing import NOT_UNDONE, What
from app.policy.health import Health
from app.policy.lifecycle import ENDED, JobState, SubmissionState
from app.policy.standing import Batch, Paused
from app.policy.subjects import Kind
from app.policy.telling_again import Part

_LABELS: Final[Mapping[What, str]] = MappingProxyType(
    {
        What.CANCEL: "Cancel",
        What.EXPEDITE: "Expedite what waits",
        What.RETRY: "Retry what failed",
        What.POLL: "Look now",
        What.PAUSE: "Pause its account",
        What.RESUME: "Resume",
        What.READ: "Mark as read",
        What.REDELIVER: "Tell again",
        What.DUE: "Change its due time",
        What.FLUSH: "Pack now what waits",
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
class Choice:
    """Something that a form asks besides its reason."""

    name: str
    label: str
    #: What is said in the empty field; where there are values, one of them is chosen instead.
    hint: str = ""
    #: Each with what is read for it.
    values: Sequence[tuple[str, str]] = ()


_DUE_AT: Final = Choice(name="at", label="Due", hint="Due in 8h, at 2026-12-01T09:00Z, or never")
_ONLY: Final = Choice(
    name="only",
    label="What",
    values=(("", "everything"), *((str(part), f"{part} alone") for part in Part)),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One form: what is decided, of what, and what it does not undo."""

    what: What
    #: What the form says of its subject.
    of: Mapping[str, str]
    #: Which row it stands in, for whoever hears the page; empty where there is one alone.
    about: str = ""
    #: What it asks besides.
    asks: Sequence[Choice] = ()
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
    lane = {"kind": str(Kind.LANE), "provider": provider, "account": account}
    offers = [Offer(what=one, of=of) for one in wishes]
    offers += of_results(Kind.BATCH, batch_id) if state == SubmissionState.COLLECTED else []
    return [*offers, Offer(what=What.PAUSE, of=lane)]


def of_results(kind: Kind, thing: object, *, about: str = "") -> list[Offer]:
    """What can be decided of results that are there."""
    of = _of(kind, thing)
    return [
        Offer(what=What.READ, of=of, about=about),
        Offer(what=What.REDELIVER, of=of, about=about, asks=(_ONLY,)),
    ]


def of_job(job_id: UUID, state: str, *, pruned: bool = False) -> list[Offer]:
    """What can be decided of a job in its state; of one whose content was pruned, no retry."""
    of = _of(Kind.JOB, job_id)
    if state not in ENDED:
        return [
            Offer(what=What.CANCEL, of=of),
            Offer(what=What.EXPEDITE, of=of),
            Offer(what=What.DUE, of=of, asks=(_DUE_AT,)),
        ]
    again = state in (JobState.FAILED, JobState.EXPIRED) and not pruned
    retry = [Offer(what=What.RETRY, of=of)] if again else []
    return retry + of_results(Kind.JOB, job_id)


def of_run(run_id: UUID, *, is_open: bool) -> list[Offer]:
    """What can be decided of a run."""
    of = _of(Kind.RUN, run_id)
    wishes = [What.CANCEL, What.EXPEDITE] if is_open else []
    due = [Offer(what=What.DUE, of=of, asks=(_DUE_AT,))] if is_open else []
    return [*(Offer(what=one, of=of) for one in wishes), *due, *of_results(Kind.RUN, run_id)]


def of_waiting(accounts: Iterable[str]) -> list[Offer]:
    """What can be decided of all that waits for company; `accounts` as `provider/account`."""
    values = [("", "every account"), *((one, one) for one in sorted(accounts))]
    if len(values) == 1:
        return []
    asks = (Choice(name="account_of", label="Account", values=values),)
    return [Offer(what=What.FLUSH, of={}, asks=asks)]


def of_row(batch: Batch, health: Health) -> list[Offer]:
    """What is likeliest to be decided of a batch in a list of them."""
    of, about = _of(Kind.BATCH, batch.submission_id), str(batch.submission_id)
    if health is Health.UNREAD:
        return of_results(Kind.BATCH, batch.submission_id, about=about)
    wishes = [What.POLL] if batch.state in _LOOKED_AT else []
    wishes += [What.CANCEL] if batch.state in _UNDER_WAY else []
    return [Offer(what=one, of=of, about=about) for one in wishes]


def of_task(task_id: str) -> list[Offer]:
    """What can be decided of a result that waits."""
    return of_results(Kind.TASK, task_id, about=task_id)


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
