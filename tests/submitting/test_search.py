"""A create without a clear reply: looked for, adopted or proven absent, and never bought twice."""

from dataclasses import replace
from typing import Any

import pytest

from app.providers.port import Gone, Listing, NotFound
from tests.providers.adapters import KINDS
from tests.simulator.conftest import say
from tests.submitting.altered import altered
from tests.submitting.conftest import Road
from tests.support.waiting import wait_until

JOBS = 20


def assert_bought_once(road: Road, count: int = JOBS) -> None:
    """By the provider's books, and in money."""
    assert [1] * count == list(road.bought().values())
    ours, theirs = road.booked_nano_usd()
    assert ours == theirs > 0


@pytest.mark.parametrize("fault", ["reply_lost", "error_after"])
def test_a_batch_whose_reply_was_lost_is_adopted(road: Road, fault: str) -> None:
    """The provider took it; it is found, collected and paid once."""
    road.admit(JOBS)
    road.arm(fault)
    road.packer.run()
    road.submitter.run()
    assert ["unknown"] == road.states()

    road.until_done(JOBS)

    assert ["collected"] == road.states()
    assert_bought_once(road)
    proof = {"anthropic": "results", "openai": "mark"}[road.name]
    assert [(proof,)] == road.rows("SELECT proof FROM submission")


def test_a_batch_that_was_never_made_is_sent_again_after_the_settle_time(road: Road) -> None:
    """Absent is proven by two looks; then the same pack goes once more."""
    road.admit(JOBS)
    road.arm("error_instead")
    road.packer.run()
    road.submitter.run()
    assert ["unknown"] == road.states()

    road.until_done(JOBS)

    assert ["absent", "collected"] == road.states()
    assert_bought_once(road)
    assert [(1,), (2,)] == road.rows("SELECT attempt FROM submission ORDER BY created_at")


def test_what_another_workspaces_key_does_not_see_is_not_absent(road: Road) -> None:
    """
    The key is replaced by one that sees none of ours, neither the batch that runs nor the one that is looked for.
    """
    road.admit(1, named="running")
    road.arm("slow", share=0.001)
    road.packer.run()
    road.submitter.run()
    road.admit(JOBS)
    road.arm("reply_lost")
    road.packer.run()
    road.submitter.run()
    elsewhere = replace(
        road,
        provider=altered(
            road.provider,
            list_batches=lambda **_: Listing(()),
            newest_batch_id=lambda: None,
            poll=lambda _: NotFound(),
            delete_file=lambda _: Gone(),
        ),
    )

    def doubted() -> bool:
        elsewhere.once()
        said = elsewhere.rows("SELECT last_error FROM submission WHERE state = 'unknown'")
        return "another workspace's?" in str(said)

    wait_until(doubted, within_s=30, what="a doubt about the key")
    for _ in range(5):
        elsewhere.once()
    assert ["accepted", "unknown"] == road.states()

    def answered() -> bool:
        road.once()
        return road.states("job").count("succeeded") == JOBS

    wait_until(answered, within_s=30, what="the jobs")
    assert {1} == set(road.bought().values())


def test_an_attempt_that_was_never_made_does_not_count(road: Road) -> None:
    """Every job is still at its first attempt."""
    road.admit(3)
    road.arm("error_instead")
    road.until_done(3)

    assert [(1,)] == road.rows("SELECT DISTINCT attempt FROM job")


def test_the_input_file_is_deleted_before_absence_is_certain(road: Road) -> None:
    """A create still on its way can then not succeed; Anthropic has no such door to shut."""
    road.admit(3)
    road.arm("error_instead")
    road.packer.run()
    road.submitter.run()
    wait_until(lambda: road.search.run() or "absent" in road.states(), within_s=20, what="absence")

    files = [one.filename for one in road.simulator.openai.files.list().data]
    assert [] == files


def test_other_peoples_batches_are_left_alone(road: Road) -> None:
    """One of the same size runs at the same time: its results say that it is not ours."""
    road.admit(3)
    road.arm("error_instead")
    road.packer.run()
    road.submitter.run()
    if road.name == "anthropic":
        theirs = road.simulator.messages_batch({f"note-{n}": say(f"Hi {n}.") for n in range(3)}).id
    else:
        theirs = road.simulator.responses_batch([_line(n) for n in range(3)]).id

    road.until_done(3)

    assert [1] * 6 == list(road.bought().values())
    assert "cancel" not in str(_batch(road, theirs))
    assert [] == road.rows("SELECT * FROM stray WHERE ours")


def test_ours_is_told_from_another_of_its_size(road: Road) -> None:
    """Two running batches could be ours: nobody chooses before their results are there."""
    road.admit(3)
    road.arm("reply_lost")
    road.packer.run()
    road.submitter.run()
    if road.name == "anthropic":
        road.simulator.messages_batch({f"note-{n}": say(f"Hi {n}.") for n in range(3)})
    else:
        road.simulator.responses_batch([_line(n) for n in range(3)])

    road.until_done(3)

    assert ["collected"] == road.states()
    assert [1] * 6 == list(road.bought().values())


@pytest.mark.parametrize("road", KINDS[1:], ids=["openai"], indirect=True)
def test_a_create_that_arrived_twice_is_adopted_once_and_the_other_booked(road: Road) -> None:
    """What somebody on the way repeated is ours to pay: it is cancelled, and what it cost is booked."""
    road.admit(3)
    road.arm("reply_lost")
    road.packer.run()
    road.submitter.run()
    _repeat_create(road)

    road.until_done(3)
    wait_until(lambda: road.strays.run() or _all_closed(road), within_s=20, what="the booking")

    ours, theirs = road.booked_nano_usd()
    assert ours == theirs > 0


def _all_closed(road: Road) -> bool:
    return [] == road.rows("SELECT * FROM stray WHERE closed_at IS NULL")


def _repeat_create(road: Road) -> None:
    batch = road.simulator.openai.batches.list().data[0]
    road.simulator.openai.batches.create(
        input_file_id=batch.input_file_id,
        endpoint="/v1/responses",
        completion_window="24h",
        metadata=batch.metadata,
    )


def _batch(road: Road, batch_id: str) -> Any:
    if road.name == "anthropic":
        return road.simulator.anthropic.messages.batches.retrieve(batch_id).processing_status
    return road.simulator.openai.batches.retrieve(batch_id).status


def _line(number: int) -> dict[str, Any]:
    return {
        "custom_id": f"note-{number}",
        "method": "POST",
        "url": "/v1/responses",
        "body": {"model": "gpt-5-mini", "input": f"Hi {number}."},
    }
