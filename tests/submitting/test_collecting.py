"""Whatever a provider makes of a batch and its results: every job answered, each request bought once."""

from typing import Any

import pytest

from tests.submitting.conftest import CREATES, Road
from tests.support.waiting import wait_until

JOBS = 40
RESULTS = {"anthropic": "/v1/messages/batches/*/results", "openai": "/v1/files/*/content"}
STATUS = {"anthropic": "/v1/messages/batches/*", "openai": "/v1/batches/*"}


def assert_all_bought_once(road: Road) -> None:
    """By the provider's books, and the ledger's money equals theirs."""
    assert [1] * JOBS == list(road.bought().values())
    ours, theirs = road.booked_nano_usd()
    assert ours == theirs > 0


@pytest.mark.parametrize(
    ("fault", "fields"),
    [
        ("drop_lines", {"share": 0.05}),
        ("drop_lines", {"share": 1.0}),
        ("repeat_lines", {"share": 0.3}),
        ("cut", {"share": 0.5}),
        ("cut", {"share": 0.0}),
        ("truncate", {"share": 0.5}),
        ("truncate", {"share": 0.001}),
        ("error_instead", {"status": 404, "times": 2}),
        ("error_instead", {"status": 500, "times": 4}),
        ("reply_lost", {"times": 2}),
    ],
    ids=str,
)
def test_results_that_come_wrong_are_read_again(
    road: Road, fault: str, fields: dict[str, Any]
) -> None:
    """What half a file lacks is not bought anew for it."""
    road.admit(JOBS)
    road.arm(fault, path=RESULTS[road.name], **{"method": "GET", **fields})
    road.until_done(JOBS)

    assert_all_bought_once(road)
    assert [(1,)] == road.rows("SELECT DISTINCT attempt FROM job")


def test_an_answer_that_only_an_earlier_file_held_is_used(road: Road) -> None:
    """Some lines never ran, so the file is read to the last time: that one breaks off in the middle."""
    road.admit(JOBS)
    road.arm("omit_lines", share=0.1)
    road.arm("repeat_lines", path=RESULTS[road.name], method="GET", share=0.0, times=2)
    road.arm("truncate", path=RESULTS[road.name], method="GET", share=0.5)
    road.until_done(JOBS)

    assert_all_bought_once(road)
    assert [1, 2, 1] == [one["fired"] for one in road.simulator.ask("/_faults")]


def test_results_that_break_off_in_their_first_line_disown_no_batch(road: Road) -> None:
    """The reply to the create was lost, and its file shows no id at first: neither ours nor others'."""
    road.admit(JOBS)
    road.arm("reply_lost")
    road.arm("truncate", path=RESULTS[road.name], method="GET", share=0.001, times=2)
    road.packer.run()
    road.submitter.run()
    road.search.run()
    road.until_done(JOBS)

    assert_all_bought_once(road)
    assert [1, 2] == [one["fired"] for one in road.simulator.ask("/_faults")]


@pytest.mark.parametrize(
    ("status", "times"), [(404, 3), (500, 4), (429, 2), (529, 2)], ids=["404", "500", "429", "529"]
)
def test_a_status_that_cannot_be_had_is_asked_for_again(
    road: Road, status: int, times: int
) -> None:
    """A 404 for a batch that is known proves nothing."""
    road.admit(JOBS)
    road.packer.run()
    road.submitter.run()
    road.arm("error_instead", method="GET", path=STATUS[road.name], status=status, times=times)
    road.until_done(JOBS)

    assert_all_bought_once(road)


def test_what_ran_before_a_batch_expired_is_kept(road: Road) -> None:
    """Sixty in a hundred are answered and paid; only the others go again."""
    road.admit(JOBS)
    road.arm("expire", share=0.6)
    road.until_done(JOBS)

    assert_all_bought_once(road)
    assert 2 <= len(road.states())


def test_what_ran_before_a_batch_was_cancelled_is_kept(road: Road) -> None:
    """Somebody cancelled it at the provider: what had run is answered, the rest goes again."""
    road.admit(JOBS)
    road.packer.run()
    road.submitter.run()
    ((batch_id,),) = road.rows("SELECT provider_batch_id FROM submission")
    road.provider.cancel(batch_id)
    road.until_done(JOBS)

    assert_all_bought_once(road)


def test_lines_that_fail_without_a_reason_go_again(road: Road) -> None:
    """A null error is nobody's verdict on the request."""
    road.admit(JOBS)
    road.arm("null_errors", share=0.2)
    road.until_done(JOBS)

    assert_all_bought_once(road)
    attempts = [attempt for (attempt,) in road.rows("SELECT attempt FROM job")]
    assert {1, 2} == set(attempts)


def test_two_collectors_settle_a_batch_once(road: Road) -> None:
    """Each line is booked once, however often it is read."""
    road.admit(JOBS)
    road.packer.run()
    road.submitter.run()
    other = Road(road.name, road.engine, road.simulator, road.provider, road.spool)

    def done() -> bool:
        road.collector.run()
        other.collector.run()
        return road.states("job") == ["succeeded"] * JOBS

    wait_until(done, within_s=20, what="both collectors")
    assert_all_bought_once(road)


def test_the_paths_are_the_providers(road: Road) -> None:
    """The tests above arm what is really asked."""
    road.admit(1)
    # Of all that can befall a create, this holds nobody up.
    road.arm("slow", path=CREATES[road.name], share=1)
    road.until_done(1)

    assert [1] == [one["fired"] for one in road.simulator.ask("/_faults")]
