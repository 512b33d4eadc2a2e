"""Who shares a job without naming it by a key: what a workload's contract opts in to. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from unhurried.workloads import Workload


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharing:
    """How a job may be shared; by default it is not."""

    #: What an identical request has in common with this one: workload, subject and what is asked. None
    #: where nobody may ever use its answer again.
    likeness: bytes | None = None
    #: An answer whose input was true within this span may be used instead of asking. None asks.
    reuse_within: timedelta | None = None
    #: Jobs of one tenant and one flight are asked once while one of them is under way. None is alone.
    flight: bytes | None = None


ALONE: Final = Sharing()


def sharing(
    contract: Workload | None,
    *,
    asked: Sequence[object],
    answered_how: Sequence[object],
    keyed: bool,
) -> Sharing:
    """What the contract lets this call share.

    `asked` is all that decides on the answer, `answered_how` all that decides on when and what becomes of
    it: an answer is reused whatever the latter was; a job under way is joined by its equals alone. A key
    names its job, so a keyed call neither reuses nor joins; others may reuse its answer.
    """
    if contract is None or (contract.reuse is None and not contract.single_flight):
        return ALONE
    likeness = _digest(asked)
    if keyed:
        return Sharing(likeness=likeness)
    return Sharing(
        likeness=likeness,
        reuse_within=timedelta(seconds=contract.reuse) if contract.reuse is not None else None,
        flight=_digest([likeness.hex(), *answered_how]) if contract.single_flight else None,
    )


def may_reuse(
    wanted: Sharing,
    *,
    effective_for_s: float | None,
    as_of: datetime,
    effective_until: datetime | None,
    now: datetime,
) -> bool:
    """Whether an answer is fresh enough to stand for asking again. Age counts from its `as_of`."""
    if wanted.reuse_within is None or now - as_of > wanted.reuse_within:
        return False
    if effective_until is not None and now > effective_until:
        return False
    return effective_for_s is None or now <= as_of + timedelta(seconds=effective_for_s)


def may_join(
    *, wanted_due_at: datetime | None, due_at: datetime | None, cancel_requested: bool
) -> bool:
    """Whether a job under way will be tried for as long as the call that would join it wants."""
    if cancel_requested:
        return False
    return due_at is None or (wanted_due_at is not None and wanted_due_at <= due_at)


def _digest(parts: Sequence[object]) -> bytes:
    said = "\0".join(repr(part) for part in parts)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()
