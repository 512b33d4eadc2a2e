"""What a person's wish is about: one thing by its id, or everything that a filter lets through. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """By what jobs are named."""

    JOB = "job"
    #: The Celery task: it speaks for itself alone, and not for others that wait for the same job.
    TASK = "task"
    #: The caller's idempotency key.
    KEY = "key"
    #: Whose data it is, as the caller named it.
    SUBJECT = "subject"
    RUN = "run"
    #: A provider batch, by the id of its submission.
    BATCH = "batch"
    #: Whoever is missed as a reader: a consumer, a task, or a receiver of webhooks.
    CONSUMER = "consumer"
    FILTER = "filter"
    #: An account, or one model of it.
    LANE = "lane"


#: What a wish about jobs may name.
OF_JOBS: Final = (Kind.JOB, Kind.TASK, Kind.KEY, Kind.RUN, Kind.BATCH)
#: What a wish about results may name.
OF_RESULTS: Final = (*OF_JOBS, Kind.SUBJECT)

#: Columns of a job that a filter may name.
FILTERS: Final = ("provider", "account", "model", "workload", "tier")


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One thing, or a filter."""

    kind: Kind
    #: Empty for a filter.
    id: str = ""
    #: By the names of FILTERS; at least one of them, all of which must hold.
    wanted: Mapping[str, str] = field(default_factory=dict)
    #: Of jobs that have ended, those that ended since then.
    since: datetime | None = None

    def __str__(self) -> str:
        """How an action names it, for people and for finding it again."""
        if self.kind is not Kind.FILTER:
            return f"{self.kind}:{self.id}"
        said = [f"{name}={self.wanted[name]}" for name in sorted(self.wanted)]
        return f"{self.kind}:{','.join(said)}" + (
            f",since={self.since.isoformat()}" if self.since else ""
        )


def filtered(wanted: Mapping[str, str | None], *, since: datetime | None = None) -> Subject:
    """A filter. Raises ValueError where it would let everything through."""
    said = {name: value for name, value in wanted.items() if value}
    unknown = said.keys() - set(FILTERS)
    if unknown:
        raise ValueError(f"nothing can be filtered by {', '.join(sorted(unknown))}")
    if not said:
        raise ValueError("name one thing by its id, or narrow down by at least one filter")
    return Subject(kind=Kind.FILTER, wanted=said, since=since)


def flushed(named: Mapping[str, str]) -> str:
    """How an action names the lanes that are packed now."""
    return ",".join(f"{name}={value}" for name, value in sorted(named.items())) or "every lane"
