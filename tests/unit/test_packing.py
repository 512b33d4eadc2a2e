"""Packing: every job placed once, no limit broken, no cut without need, nobody waits for ever."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy.packing import Candidate, LaneKey, Limits, Patience, Plan, Reason, plan

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIMITS = Limits(requests_max=7, bytes_max=1000, line_overhead_bytes=10, tokens_max=500)
PATIENCE = Patience(linger=timedelta(minutes=5), due_margin=timedelta(hours=4))
LANES = [
    LaneKey("anthropic", "default", "messages", "claude-haiku-4-5"),
    LaneKey("openai", "default", "responses", "gpt-5-mini"),
    LaneKey("openai", "other", "responses", "gpt-5-mini"),
]


def a_candidate(
    number: int,
    *,
    lane: LaneKey = LANES[0],
    request_bytes: int = 50,
    tokens: int = 10,
    waited: timedelta = timedelta(0),
    due_in: timedelta | None = None,
    prefix: bytes = b"",
) -> Candidate:
    return Candidate(
        job_id=UUID(int=number),
        lane=lane,
        request_bytes=request_bytes,
        tokens=tokens,
        prefix=prefix,
        ready_at=NOW - waited,
        due_at=NOW + due_in if due_in is not None else None,
    )


def planned(candidates: list[Candidate]) -> Plan:
    limits = {"anthropic": LIMITS, "openai": LIMITS}
    return plan(candidates, limits=limits, now=NOW, patience=PATIENCE)


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    count = draw(st.integers(0, 60))
    return [
        a_candidate(
            number,
            lane=draw(st.sampled_from(LANES)),
            request_bytes=draw(st.integers(1, 1100)),
            tokens=draw(st.integers(1, 550)),
            waited=timedelta(seconds=draw(st.integers(0, 600))),
            due_in=draw(st.none() | st.timedeltas(timedelta(hours=-1), timedelta(hours=48))),
            prefix=draw(st.sampled_from([b"a", b"b", b"c"])),
        )
        for number in range(count)
    ]


@given(candidates())
def test_every_candidate_is_placed_exactly_once(waiting: list[Candidate]) -> None:
    """
    Each job is in one pack, held, or too large: never lost, never twice.
    """
    result = planned(waiting)

    placed = [job.job_id for pack in result.packs for job in pack.jobs]
    placed += [job.job_id for job in (*result.held, *result.too_large)]

    assert Counter(job.job_id for job in waiting) == Counter(placed)


@given(candidates())
def test_no_pack_breaks_a_limit_mixes_lanes_or_is_empty(waiting: list[Candidate]) -> None:
    """
    What is handed to a provider is always something it accepts.
    """
    for pack in planned(waiting).packs:
        size = sum(job.request_bytes + LIMITS.line_overhead_bytes for job in pack.jobs)

        assert {pack.lane} == {job.lane for job in pack.jobs}
        assert 1 <= len(pack.jobs) <= LIMITS.requests_max
        assert size == pack.bytes_count <= LIMITS.bytes_max
        assert sum(job.tokens for job in pack.jobs) == pack.tokens_count <= 500


@given(candidates())
def test_every_cut_was_forced(waiting: list[Candidate]) -> None:
    """
    A full pack ends only where the next job of its lane would have broken a limit.
    """
    result = planned(waiting)
    for lane in LANES:
        full = [pack for pack in result.packs if pack.lane == lane and pack.reason is Reason.FULL]
        rest = [
            job
            for pack in result.packs
            if pack.lane == lane and pack.reason is not Reason.FULL
            for job in pack.jobs
        ] + [job for job in result.held if job.lane == lane]
        for pack, successor in zip_longest(full, full[1:]):
            nexts = successor.jobs if successor is not None else rest
            if not nexts:
                assert len(pack.jobs) == LIMITS.requests_max
                continue
            first = min(nexts, key=lambda job: (job.prefix, job.ready_at, job.job_id))
            assert (
                len(pack.jobs) == LIMITS.requests_max
                or pack.bytes_count + first.request_bytes + LIMITS.line_overhead_bytes
                > LIMITS.bytes_max
                or pack.tokens_count + first.tokens > 500
            )


@given(candidates())
def test_nobody_is_held_who_has_waited_long_enough(waiting: list[Candidate]) -> None:
    """
    A job that has lingered, or whose due time presses, is never held back.
    """
    for job in planned(waiting).held:
        assert NOW - job.ready_at < PATIENCE.linger
        assert job.due_at is None or job.due_at - NOW > PATIENCE.due_margin


def test_a_short_pack_is_held_until_its_oldest_job_has_lingered() -> None:
    """
    One young job waits for company; the same job goes once it has lingered.
    """
    young = planned([a_candidate(1, waited=timedelta(minutes=4))])
    old = planned([a_candidate(1, waited=timedelta(minutes=5))])

    assert ((), 1) == (young.packs, len(young.held))
    assert [Reason.LINGERED] == [pack.reason for pack in old.packs]


def test_a_pressing_due_time_sends_a_short_pack_at_once() -> None:
    """
    A due time within the margin takes the whole short pack along.
    """
    result = planned([a_candidate(1), a_candidate(2, due_in=timedelta(hours=3))])

    assert [(Reason.DUE, 2)] == [(pack.reason, len(pack.jobs)) for pack in result.packs]


def test_jobs_that_share_a_prefix_stand_together() -> None:
    """
    A pack's order puts like prompts side by side, for the provider's cache.
    """
    waited = timedelta(minutes=6)
    mixed = [a_candidate(n, prefix=bytes([n % 2]), waited=waited) for n in range(6)]

    (pack,) = planned(mixed).packs

    assert [b"\0"] * 3 + [b"\1"] * 3 == [job.prefix for job in pack.jobs]


def test_embeddings_are_cut_by_inputs() -> None:
    """
    OpenAI counts every text of an embeddings request, so a pack of few lines can be full.
    """
    limit = {
        "openai": Limits(requests_max=9, bytes_max=10_000, line_overhead_bytes=1, inputs_max=5)
    }
    lane = LaneKey("openai", "default", "embeddings", "text-embedding-3-small")
    jobs = [
        Candidate(
            job_id=UUID(int=number),
            lane=lane,
            request_bytes=10,
            tokens=10,
            inputs=2,
            prefix=b"",
            ready_at=NOW - timedelta(hours=1),
            due_at=None,
        )
        for number in range(5)
    ]

    result = plan(jobs, limits=limit, now=NOW, patience=PATIENCE)

    assert [2, 2, 1] == [len(pack.jobs) for pack in result.packs]


def test_jobs_of_a_provider_without_a_key_wait_and_hold_nobody_up() -> None:
    """
    The others are packed as ever.
    """
    old = timedelta(hours=1)
    jobs = [a_candidate(1, lane=LANES[0], waited=old), a_candidate(2, lane=LANES[1], waited=old)]

    result = plan(jobs, limits={"openai": LIMITS}, now=NOW, patience=PATIENCE)

    assert ([LANES[1]], [LANES[0]]) == (
        [pack.lane for pack in result.packs],
        [job.lane for job in result.held],
    )


@pytest.mark.parametrize(
    ("size", "fits"), [(989, True), (990, True), (991, False), (10**6, False), (10**12, False)]
)
def test_a_request_that_no_batch_could_hold_is_too_large(size: int, fits: bool) -> None:  # noqa: FBT001 - a table's column
    """
    With the overhead of its line; it takes nobody along.
    """
    found = planned([a_candidate(1, request_bytes=size), a_candidate(2)])

    assert ([] if fits else [1]) == [one.job_id.int for one in found.too_large]
    placed = [*found.held, *(job for pack in found.packs for job in pack.jobs)]
    assert 2 in [one.job_id.int for one in placed]
