"""A model's ceiling of enqueued tokens: lowered by refusals, raised by what goes through, never zero."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.policy.ceilings import Room, lowered, raised
from app.policy.packing import Candidate, LaneKey, Limits, Patience, plan
from tests.support.factories import NOW, uuid

LANE = LaneKey("openai", "default", "responses", "gpt-5-mini")
LIMITS = {"openai": Limits(requests_max=1000, bytes_max=10**9, line_overhead_bytes=100)}
PATIENCE = Patience(linger=timedelta(0), due_margin=timedelta(0))
WHERE = ("openai", "default", "gpt-5-mini")


def candidates(tokens: list[int], lane: LaneKey = LANE) -> list[Candidate]:
    """Jobs of so many tokens each."""
    return [
        Candidate(
            job_id=uuid(number + 1),
            lane=lane,
            request_bytes=100,
            tokens=count,
            prefix=b"",
            ready_at=NOW,
            due_at=None,
        )
        for number, count in enumerate(tokens)
    ]


@given(st.none() | st.integers(1000, 10**9), st.integers(0, 10**9))
def test_a_refusal_lowers_what_was_enqueued_by_half(before: int | None, enqueued: int) -> None:
    """It ends below what was refused, and never so low that nothing goes."""
    after = lowered(before, enqueued_tokens=enqueued)

    assert after >= 1
    assert after <= max(enqueued // 2, 1)
    assert raised(after) > after


@given(
    st.lists(st.integers(1, 5000), max_size=60),
    st.integers(1000, 20_000),
    st.integers(0, 20_000),
)
def test_no_more_is_planned_than_the_room_takes(
    tokens: list[int], tokens_max: int, enqueued: int
) -> None:
    """Every job is planned or held; only a first pack of one job may be larger than the room."""
    found = plan(
        candidates(tokens),
        limits=LIMITS,
        now=NOW,
        patience=PATIENCE,
        rooms={WHERE: Room(tokens_max, enqueued)},
    )
    planned = sum(pack.tokens_count for pack in found.packs)

    assert len(tokens) == sum(len(pack.jobs) for pack in found.packs) + len(found.held)
    alone = not enqueued and len(found.packs) == 1 and len(found.packs[0].jobs) == 1
    assert not found.packs or enqueued + planned <= tokens_max or alone


@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=20))
def test_an_empty_queue_always_takes_something(tokens: list[int]) -> None:
    """However low the ceiling: what waits goes on, one pack after the other."""
    found = plan(
        candidates(tokens),
        limits=LIMITS,
        now=NOW,
        patience=PATIENCE,
        rooms={WHERE: Room(1000, 0)},
    )

    assert found.packs
    assert not found.too_large


def test_endpoints_of_one_model_share_its_room() -> None:
    """The provider counts a model's tokens, whatever they are asked of."""
    chat = LaneKey("openai", "default", "chat", "gpt-5-mini")
    both = [*candidates([900]), *candidates([900], chat)]

    found = plan(both, limits=LIMITS, now=NOW, patience=PATIENCE, rooms={WHERE: Room(1000, 0)})

    assert (1, 1) == (len(found.packs), len(found.held))
