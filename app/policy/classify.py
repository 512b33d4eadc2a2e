"""What ops should know of how everything stands: the one judgement behind pages, metrics, alerts and commands.

Pure. Time alone never makes it better: with nothing else changed, a later moment has at least as bad a verdict.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from app.policy import health
from app.policy.findings import (
    IDS_MAX,
    Finding,
    FindingName,
    Severity,
    Verdict,
    counted,
    verdict,
)
from app.policy.health import BatchHealth, of_batch
from app.policy.queueing import draining, is_backed_up
from app.policy.silence import silent
from app.policy.standing import Batch, Limits, Standing
from app.policy.tending import delivering, reading, restraints

_OUT_OF_REACH: Final = "nobody can say how anything stands until it answers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The findings, and how each batch is, the worst first."""

    verdict: Verdict
    batches: tuple[BatchHealth, ...]


def classify(standing: Standing, now: datetime, limits: Limits) -> Judgement:
    """Judge how everything stands. Where a store cannot be read, what it would have told is not judged."""
    order = {one: place for place, one in enumerate(health.Health)}
    batches = [of_batch(one, now, limits) for one in standing.batches]
    batches.sort(key=lambda one: (order[one.health], one.batch.created_at))
    return Judgement(
        verdict=verdict(_findings(standing, now, limits)),
        batches=tuple(batches),
    )


def _findings(standing: Standing, now: datetime, limits: Limits) -> Iterator[Finding]:
    yield from _stores(standing)
    if standing.ledger_error is not None:
        return
    yield from silent(standing, now, limits)
    yield from draining(standing, now, limits)
    yield from _batches(standing, now, limits)
    yield from restraints(standing, now, limits)
    yield from reading(standing, now, limits)
    yield from delivering(standing, now, limits)


def _stores(standing: Standing) -> Iterator[Finding]:
    if standing.ledger_error is not None:
        yield Finding(
            name=FindingName.LEDGER_UNREACHABLE,
            severity=Severity.STUCK,
            sentence=f"the ledger cannot be read ({standing.ledger_error}): {_OUT_OF_REACH}",
            remedy="start PostgreSQL, or correct UNHURRIED_DATABASE_URL; nothing that was admitted is lost",
        )
    if standing.redis_error is not None:
        yield Finding(
            name=FindingName.REDIS_UNREACHABLE,
            severity=Severity.STUCK,
            sentence=f"Redis does not answer ({standing.redis_error}): callers cannot publish, nothing is woken",
            remedy="start Redis, or correct UNHURRIED_REDIS_URL; the ledger tells it again what it has lost",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """What is said of batches that have the same to them."""

    name: FindingName
    severity: Severity
    what: str
    remedy: str


_STUCK: Final = _Kind(
    name=FindingName.BATCH_STUCK,
    severity=Severity.ATTENTION,
    what="cannot be followed",
    remedy="look at the account's key and at the provider's status page; `unhurried show BATCH` says what was "
    "tried",
)
_GROWING: Final = _Kind(
    name=FindingName.BATCH_STUCK_QUEUE_GROWING,
    severity=Severity.STUCK,
    what="cannot be followed, and jobs wait behind them",
    remedy=_STUCK.remedy,
)
_UNRESOLVED: Final = _Kind(
    name=FindingName.CREATE_UNRESOLVED,
    severity=Severity.ATTENTION,
    what="may or may not exist at the provider",
    remedy="nothing is bought twice; `unhurried show BATCH` says what the search waits for",
)
_OVERDUE: Final = _Kind(
    name=FindingName.BATCH_OVERDUE,
    severity=Severity.STUCK,
    what="missed a due time",
    remedy="cancel what is of no use any more, or ask again at a faster tier; what is paid is kept",
)
_SLOW: Final = _Kind(
    name=FindingName.BATCH_SLOW,
    severity=Severity.INFO,
    what="went past the usual time",
    remedy="nothing: they are followed and within their time",
)


def _batches(standing: Standing, now: datetime, limits: Limits) -> Iterator[Finding]:
    """Findings by account: ten thousand slow batches are one thing to know."""
    lost = _by_account(standing, partial(health.cannot_follow, now=now, limits=limits))
    unresolved = _by_account(standing, partial(health.unresolved, now=now, limits=limits))
    for account, found in lost.items():
        growing = is_backed_up(standing, account, now, limits)
        yield _about(_GROWING if growing else _STUCK, account, found)
    for account, found in unresolved.items():
        yield _about(_UNRESOLVED, account, found)
        # The account's next create waits for this one.
        if account not in lost and is_backed_up(standing, account, now, limits):
            yield _about(_GROWING, account, found)
    for account, found in _by_account(standing, partial(health.overdue, now=now)).items():
        yield _about(_OVERDUE, account, found)
    for account, found in _by_account(standing, partial(health.slow, now=now)).items():
        yield _about(_SLOW, account, found)


def _by_account(
    standing: Standing, why: Callable[[Batch], str | None]
) -> dict[tuple[str, str], list[tuple[Batch, str]]]:
    """Batches that have something to them, with what, by account; the oldest first."""
    found: dict[tuple[str, str], list[tuple[Batch, str]]] = defaultdict(list)
    for one in sorted(standing.batches, key=lambda one: one.created_at):
        cause = why(one)
        if cause is not None:
            found[one.provider, one.account].append((one, cause))
    return found


def _about(kind: _Kind, account: tuple[str, str], found: Sequence[tuple[Batch, str]]) -> Finding:
    provider, name = account
    subject = counted(len(found), "batch", "batches")
    return Finding(
        name=kind.name,
        severity=kind.severity,
        sentence=f"{subject} of {provider}/{name} {kind.what}: {found[0][1]}",
        remedy=kind.remedy,
        provider=provider,
        account=name,
        count=len(found),
        ids=tuple(one.provider_batch_id or one.submission_id for one, _ in found[:IDS_MAX]),
    )
