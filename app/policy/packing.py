"""Which waiting jobs go to a provider together, and which wait for company. Pure.

Every cut is forced: a pack ends only where its next job would break a limit. A pack that is cut is
full and goes at once; the last, short one waits until its oldest job has lingered or a due time
presses.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.policy.ceilings import Room


@dataclass(frozen=True, slots=True, order=True)
class LaneKey:
    """What one provider batch may not mix. OpenAI demands one endpoint and one model a file."""

    provider: str
    account: str
    endpoint: str
    model: str
    betas: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A waiting job, as far as packing cares."""

    job_id: UUID
    lane: LaneKey
    request_bytes: int
    tokens: int
    #: Inputs that count against a limit of their own; 1 for anything but embeddings.
    inputs: int = 1
    prefix: bytes
    ready_at: datetime
    due_at: datetime | None
    #: A person has said that it goes without waiting for company.
    flushed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one pack of a lane may hold. `tokens_max` None means that tokens are not counted."""

    requests_max: int
    bytes_max: int
    line_overhead_bytes: int
    tokens_max: int | None = None
    inputs_max: int | None = None


class Reason(StrEnum):
    """Why a pack goes now."""

    FULL = "full"
    LINGERED = "lingered"
    DUE = "due"
    #: A person wanted it now.
    FLUSHED = "flushed"
    #: Half of a pack that the provider refused as a whole.
    SPLIT = "split"


@dataclass(frozen=True, kw_only=True, slots=True)
class PackPlan:
    """One pack to be made, in the order its body will have."""

    lane: LaneKey
    jobs: tuple[Candidate, ...]
    bytes_count: int
    tokens_count: int
    reason: Reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Every candidate is in exactly one of the three."""

    packs: tuple[PackPlan, ...]
    held: tuple[Candidate, ...]
    #: Jobs that no batch of this provider could hold even alone.
    too_large: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a short pack waits for company."""

    linger: timedelta
    due_margin: timedelta


def plan(
    candidates: Iterable[Candidate],
    *,
    limits: Mapping[str, Limits],
    now: datetime,
    patience: Patience,
    rooms: Mapping[tuple[str, str, str], Room] | None = None,
) -> Plan:
    """Divide the candidates into packs to send now and jobs to hold.

    `limits` is by provider; jobs of a provider that is not in it are held: nobody can send them now.
    `rooms` is by provider, account and model, where fewer tokens may be enqueued than the limits say:
    packs are cut smaller there, and those beyond the room are held.
    """
    lanes: dict[LaneKey, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        lanes[candidate.lane].append(candidate)
    packs: list[PackPlan] = []
    held: list[Candidate] = []
    too_large: list[Candidate] = []
    left = dict(rooms or {})
    for lane in sorted(lanes):
        limit = limits.get(lane.provider)
        if limit is None:
            held.extend(lanes[lane])
            continue
        fitting = [job for job in lanes[lane] if _fits_alone(job, limit)]
        too_large.extend(job for job in lanes[lane] if not _fits_alone(job, limit))
        where = (lane.provider, lane.account, lane.model)
        room = left.get(where)
        limit = limit if room is None else replace(limit, tokens_max=room.tokens_max)
        runs = _cut(sorted(fitting, key=_order), limit)
        for index, run in enumerate(runs):
            is_cut = index < len(runs) - 1 or len(run) == limit.requests_max
            reason = Reason.FULL if is_cut else _reason_to_go(run, now, patience)
            tokens = sum(job.tokens for job in run)
            if reason is None or (room is not None and not room.takes(tokens)):
                held.extend(run)
                continue
            packs.append(_pack(lane, run, limit, reason))
            if room is not None:
                room = left[where] = room.with_more(tokens)
    return Plan(packs=tuple(packs), held=tuple(held), too_large=tuple(too_large))


def _pack(lane: LaneKey, run: Sequence[Candidate], limit: Limits, reason: Reason) -> PackPlan:
    return PackPlan(
        lane=lane,
        jobs=tuple(run),
        bytes_count=sum(job.request_bytes + limit.line_overhead_bytes for job in run),
        tokens_count=sum(job.tokens for job in run),
        reason=reason,
    )


def _order(candidate: Candidate) -> tuple[bytes, datetime, UUID]:
    return (candidate.prefix, candidate.ready_at, candidate.job_id)


def _fits_alone(candidate: Candidate, limit: Limits) -> bool:
    return _Load().plus(candidate, limit).within(limit)


@dataclass(frozen=True, slots=True)
class _Load:
    """What a pack holds so far, in every measure that a provider limits."""

    requests: int = 0
    bytes: int = 0
    tokens: int = 0
    inputs: int = 0

    def plus(self, candidate: Candidate, limit: Limits) -> "_Load":
        return _Load(
            self.requests + 1,
            self.bytes + candidate.request_bytes + limit.line_overhead_bytes,
            self.tokens + candidate.tokens,
            self.inputs + candidate.inputs,
        )

    def within(self, limit: Limits) -> bool:
        return (
            self.requests <= limit.requests_max
            and self.bytes <= limit.bytes_max
            and (limit.tokens_max is None or self.tokens <= limit.tokens_max)
            and (limit.inputs_max is None or self.inputs <= limit.inputs_max)
        )


def _cut(ordered: Sequence[Candidate], limit: Limits) -> list[list[Candidate]]:
    runs: list[list[Candidate]] = []
    load = _Load()
    for candidate in ordered:
        longer = load.plus(candidate, limit)
        if not runs or not longer.within(limit):
            runs.append([])
            longer = _Load().plus(candidate, limit)
        runs[-1].append(candidate)
        load = longer
    return runs


def _reason_to_go(run: Sequence[Candidate], now: datetime, patience: Patience) -> Reason | None:
    if any(job.due_at is not None and job.due_at - now <= patience.due_margin for job in run):
        return Reason.DUE
    if any(job.flushed for job in run):
        return Reason.FLUSHED
    if any(now - job.ready_at >= patience.linger for job in run):
        return Reason.LINGERED
    return None
