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
    RUN = "run"
    #: A provider batch, by the id of its submission.
    BATCH = "batch"
    FILTER = "filter"
    #: An account, or one model of it.
    LANE = "lane"


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
