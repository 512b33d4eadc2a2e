"""What follows from a look for a batch whose create got no clear reply. Pure.

Nothing here ever sends again on a guess: a submission is declared absent only after everything that was
under way has had the time to arrive, twice looked for and not found; where the provider can be made to
refuse a late arrival (a deleted input file), that comes first.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.policy.names import Mark

#: How far a provider's clock may be behind ours, and how late a batch may show in its list.
CLOCKS_APART: Final = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedBatch:
    """One provider batch as a listing shows it."""

    provider_batch_id: str
    #: None where the provider did not say.
    created_at: datetime | None
    #: Requests in it; 0 where the provider has not counted them yet.
    total: int
    ended: bool
    #: What its metadata says of us; None where there is nothing of ours.
    mark: Mark | None = None
    #: The file it was made from, where it was made from one.
    file_id: str | None = None
    #: Which of our endpoints its requests go to; None where it does not say, or is none of ours.
    endpoint: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """A submission whose create got no clear reply."""

    mark: Mark
    jobs_count: int
    #: The uploaded input file; None where the body travelled with the create.
    file_id: str | None
    #: No byte of the create can have left us after this moment.
    not_after: datetime
    #: When it was first not found although the settle time was over.
    absent_noted_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a create may take to show, and how long after it a second look must come."""

    settle: timedelta
    again: timedelta


@dataclass(frozen=True, slots=True)
class Adopt:
    """This batch is ours. `proven` False: nothing else can be it, and its results will tell."""

    provider_batch_id: str
    proven: bool
    #: Others that are provably of the same submission: paid for twice by somebody on the way.
    surplus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prove:
    """These have ended and may be ours: their results tell."""

    provider_batch_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Too early to say, or several running batches may be ours."""

    reason: str


@dataclass(frozen=True, slots=True)
class NoteAbsent:
    """Not found. Shut the door to a late arrival where there is one, and look once more."""

    delete_file: str | None


@dataclass(frozen=True, slots=True)
class DeclareAbsent:
    """It does not exist and will not: its pack may be handed over anew."""


Step = Adopt | Prove | LookAgain | NoteAbsent | DeclareAbsent


def search_step(
    doubt: Doubt,
    listed: Sequence[ListedBatch],
    *,
    taken: Collection[str],
    now: datetime,
    patience: Patience,
) -> Step:
    """What follows from one complete listing of the batches newer than the intent.

    `taken` are batches that are known to be something else: other submissions' and proven strangers.
    """
    free = [batch for batch in listed if batch.provider_batch_id not in taken]
    ours = [batch for batch in free if _is_marked(batch, doubt)]
    if ours:
        return _adopt_oldest(ours)
    if doubt.file_id is None:
        # A batch that is not counted yet may hold any number.
        sizes = (doubt.jobs_count, 0)
        like = [batch for batch in free if batch.mark is None and batch.total in sizes]
        if like:
            return _among(like, doubt.jobs_count)
    return _not_found(doubt, now, patience)


def _is_marked(batch: ListedBatch, doubt: Doubt) -> bool:
    by_file = doubt.file_id is not None and batch.file_id == doubt.file_id
    return by_file or batch.mark == doubt.mark


def _adopt_oldest(ours: Sequence[ListedBatch]) -> Adopt:
    first, *others = sorted(ours, key=lambda batch: (_age_key(batch), batch.provider_batch_id))
    return Adopt(
        first.provider_batch_id,
        proven=True,
        surplus=tuple(batch.provider_batch_id for batch in others),
    )


def _age_key(batch: ListedBatch) -> float:
    return batch.created_at.timestamp() if batch.created_at else float("inf")


def _among(like: Sequence[ListedBatch], jobs_count: int) -> Adopt | Prove | LookAgain:
    """Batches that carry no mark and hold as many requests as ours, or do not say how many."""
    ended = tuple(batch.provider_batch_id for batch in like if batch.ended)
    if ended:
        return Prove(ended)
    if len(like) == 1 and like[0].total == jobs_count:
        return Adopt(like[0].provider_batch_id, proven=False)
    return LookAgain(
        f"{len(like)} running batches hold {jobs_count} requests, or do not say how many, and one may be "
        "ours: which, their results will tell"
    )


def _not_found(doubt: Doubt, now: datetime, patience: Patience) -> Step:
    if now < doubt.not_after + patience.settle:
        return LookAgain("not found yet; it may still arrive")
    if doubt.absent_noted_at is None:
        return NoteAbsent(doubt.file_id)
    if now < doubt.absent_noted_at + patience.again:
        return LookAgain("not found; it is looked for once more")
    return DeclareAbsent()
