"""/batches: the verdict in sentences, what waits at each tier, and every batch, the worst first."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from app.flower.offers import of_paused, of_waiting
from app.flower.page import ROWS, Page, seen
from app.observe.reading import Reading, Seen
from app.policy.classify import Judgement, classify
from app.policy.depths import Depth, Rates, rates
from app.policy.findings import Finding, verdict
from app.policy.health import BatchHealth, Health
from app.policy.lifecycle import SubmissionState
from app.policy.standing import Standing
from app.wiring import standing
from unhurried.contract import Tier

#: What Redis alone has of a tier is not told here: Flower's Broker page has it.
_QUEUED: Final = (Tier.BATCH, Tier.NEAR_REAL_TIME)


@dataclass(frozen=True, kw_only=True, slots=True)
class TierLine:
    """What waits at a tier, over all its accounts."""

    tier: Tier
    waiting_count: int
    later_count: int
    oldest_at: datetime | None
    left_at: datetime | None
    #: By `provider/account`.
    accounts: Mapping[str, int]
    rates: Rates | None
    depths: Sequence[Depth]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchLine:
    """A batch, how it is, and the spans that a person compares."""

    batch_id: str
    of: BatchHealth
    #: None where the provider does not count before the end.
    done_count: int | None
    elapsed: timedelta
    left: timedelta | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the address narrows the batches down to; empty is any."""

    healths: frozenset[str] = frozenset()
    provider: str = ""
    state: str = ""
    name: str = ""

    def fits(self, one: BatchHealth) -> bool:
        """Whether a batch is among them."""
        batch = one.batch
        return (
            (not self.healths or one.health in self.healths)
            and (not self.provider or batch.provider == self.provider)
            and (not self.state or batch.state == self.state)
            and (
                not self.name
                or self.name in batch.model
                or self.name in batch.submission_id
                or self.name in (batch.provider_batch_id or "")
            )
        )


class BatchesPage(Page):
    """Everything at a glance."""

    async def show(self, *_: str) -> None:
        """The last reading, which is of now where the ledger answers."""
        found = await seen()
        error, findings = _trouble(found)
        if found.reading is None:
            self.answer("batches.html", at=None, error=error, findings=findings, verdict="stuck")
            return
        reading = found.reading
        judged = classify(reading.standing, reading.at, standing.look().limits)
        if error is None:
            findings = judged.verdict.findings
        wanted = self._wanted()
        fitting = [one for one in judged.batches if wanted.fits(one)]
        number = min(self.number("page"), max(-(-len(fitting) // ROWS), 1))
        self.answer(
            "batches.html",
            at=reading.at,
            age_s=found.age_s,
            error=error,
            verdict=verdict(findings).word,
            findings=findings,
            healths=_counts(judged),
            tiers=_tiers(reading),
            offers=of_waiting(
                f"{one.provider}/{one.account}"
                for one in reading.standing.queues
                if one.tier == Tier.BATCH and one.waiting_count
            ),
            unadmitted_count=reading.standing.admission.unadmitted_count,
            unread=reading.standing.unread,
            paused=of_paused(reading.standing.paused),
            batches=[
                _line(one, reading.at) for one in fitting[(number - 1) * ROWS : number * ROWS]
            ],
            batches_count=len(fitting),
            all_count=len(judged.batches),
            number=number,
            numbers=max(-(-len(fitting) // ROWS), 1),
        )

    def _wanted(self) -> Wanted:
        healths = self.wanted("health").split(",")
        return Wanted(
            healths=frozenset(one for one in healths if one in set(map(str, Health))),
            provider=self.wanted("provider"),
            state=self.wanted("state"),
            name=self.wanted("name").strip(),
        )


def _trouble(found: Seen) -> tuple[str | None, tuple[Finding, ...]]:
    """Why the ledger cannot be read now, and what that means; None where it can."""
    if found.failed is None:
        return None, ()
    limits = standing.look().limits
    at = found.reading.at if found.reading is not None else datetime.now(UTC)
    said = found.failed if found.failed.ledger_error is not None else Standing(ledger_error="?")
    return said.ledger_error, classify(said, at, limits).verdict.findings


def _counts(judged: Judgement) -> dict[str, int]:
    counts = Counter(str(one.health) for one in judged.batches)
    return {str(health): counts[str(health)] for health in Health}


def _tiers(reading: Reading) -> list[TierLine]:
    depths: dict[str, list[Depth]] = defaultdict(list)
    for one in reading.depths:
        depths[one.tier].append(one)
    return [_tier(reading, tier, depths[str(tier)]) for tier in _QUEUED]


def _tier(reading: Reading, tier: Tier, depths: Sequence[Depth]) -> TierLine:
    queues = [one for one in reading.standing.queues if one.tier == tier]
    return TierLine(
        tier=tier,
        waiting_count=sum(one.waiting_count for one in queues),
        later_count=sum(one.later_count for one in queues),
        oldest_at=_edge((one.oldest_at for one in queues), newest=False),
        left_at=_edge((one.left_at for one in queues), newest=True),
        accounts={f"{one.provider}/{one.account}": one.waiting_count for one in queues},
        rates=rates(depths, now=reading.at),
        depths=depths,
    )


def _edge(moments: Iterable[datetime | None], *, newest: bool) -> datetime | None:
    known = [one for one in moments if one is not None]
    return max(known, default=None) if newest else min(known, default=None)


def _line(one: BatchHealth, now: datetime) -> BatchLine:
    batch = one.batch
    collected = batch.state is SubmissionState.COLLECTED
    running = batch.state is SubmissionState.ACCEPTED and batch.ended_at is None
    ended_at = batch.ended_at or batch.collected_at or now
    silent = running and batch.provider == "anthropic"
    return BatchLine(
        batch_id=batch.provider_batch_id or batch.submission_id,
        of=one,
        done_count=batch.jobs_count if collected else None if silent else batch.provider_done or 0,
        # Clocks differ: a span is never less than nothing.
        elapsed=max(ended_at - (batch.accepted_at or batch.created_at), timedelta()),
        left=batch.expires_at - now if running and batch.expires_at is not None else None,
    )
