"""States made from outside, by real processes: page, metric, alert and command agree each time.

`Desk.agree` asks all of them: names, severities, counts, who is named, the verdict and the exit code.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dev.processes import Process
from dev.servers import Server
from tests.agreement.desk import WITHIN_S, Desk, answers
from tests.deploy.prometheus import fetched
from tests.support.stopping import stopped
from tests.support.waiting import wait_until

pytestmark = pytest.mark.ops

_BATCHES = "/v1/messages/batches"
#: Ended batches that tell what is usual.
_HISTORY = 5
_EARLIER = """
    UPDATE submission SET created_at = created_at - %(span)s::interval,
      sent_at = sent_at - %(span)s::interval, accepted_at = accepted_at - %(span)s::interval
    WHERE state = 'accepted'
"""
_BETWEEN = "SELECT FROM round WHERE name = %(name)s AND last_started_at <= last_succeeded_at"
_TOOK = """
    UPDATE submission SET created_at = ended_at - %(span)s::interval,
      sent_at = ended_at - %(span)s::interval, accepted_at = ended_at - %(span)s::interval
    WHERE state = 'collected'
"""
#: What a person waits for a command whose ledger does not answer, on a busy machine.
_AT_ONCE_S = 15.0
_SILENT, _ATTENTION = "UnhurriedWorkerSilent", "UnhurriedAttention"


@contextmanager
def killed(process: Process, start: Callable[[], object]) -> Iterator[None]:
    """Gone, and started again afterwards."""
    process.kill()
    try:
        yield
    finally:
        start()


@contextmanager
def between_looks(desk: Desk, name: str, process: Process) -> Iterator[None]:
    """Stopped while it does nothing: in the middle of a look it may be at a long download for all one can see."""
    while True:
        with stopped(process):
            if desk.write(_BETWEEN, name=name):
                yield
                return


def batches(desk: Desk) -> list[str]:
    """How each batch under way is; the list, the page and both metrics say the same of each."""
    listed = [one for one in desk.commands("batches")["batches"]["told"] if one["health"] != "done"]
    shown = [one["of"] for one in desk.page("batches")["batches"]]
    by_id = {one["batch"]["submission_id"]: one["health"] for one in listed}
    assert by_id == {
        one["batch"]["submission_id"]: one["health"] for one in shown if one["health"] != "done"
    }
    for health, count in Counter(by_id.values()).items():
        labels = f'{{health="{health}",provider="anthropic"}}'
        assert {float(count)} == gauge(desk, f"unhurried_batches{labels}")
    return list(by_id.values())


def gauge(desk: Desk, name: str) -> set[float]:
    """What both endpoints have of a gauge."""
    urls = (desk.stack.exporter_url, desk.stack.flower_url)
    found = [
        re.search(rf"^{re.escape(name)} (\S+)$", fetched(f"{url}/metrics"), re.MULTILINE)
        for url in urls
    ]
    return {float(one[1]) for one in found if one}


def test_all_is_well_and_nothing_is_under_way(desk: Desk) -> None:
    """
    Exit 0; doctor finds nothing but what this machine's Redis is.
    """
    desk.agree({})
    doctor = desk.commands("doctor")["doctor"]["told"]

    assert ["redis_not_persistent"] == [one["name"] for one in doctor]
    assert {1.0} == gauge(desk, "unhurried_monitor_up")


def test_a_stopped_packer(desk: Desk) -> None:
    """
    One page, exit 2, and why; once it goes on, all is well everywhere.
    """
    with stopped(desk.stack.process("packer")):
        key = desk.publish()
        agreed = desk.agree({"packer_silent": "stuck"}, (_SILENT, "packer_silent"))
        doctor = desk.commands("doctor")["doctor"]

    finding = agreed.finding("packer_silent")
    assert 2 == finding["count"]
    assert "2 jobs wait" in finding["sentence"]
    assert "packer" in finding["remedy"]
    assert (2, "packer_silent") == (doctor["code"], doctor["told"][0]["name"])
    desk.await_report(key)


def test_a_dead_beat(desk: Desk) -> None:
    """
    A ticket while nothing waits, and a page once something does; it stands for all that beat wakes.
    """
    with killed(desk.stack.process("beat"), lambda: desk.stack.restart("beat")):
        desk.agree({"beat_silent": "attention"}, (_ATTENTION, "beat_silent"))
        key = desk.publish()
        agreed = desk.agree({"beat_silent": "stuck"}, (_SILENT, "beat_silent"))

    assert "2 jobs wait" in agreed.finding("beat_silent")["sentence"]
    desk.await_report(key)


def test_a_stopped_collector(desk: Desk) -> None:
    """
    A page while batches run; after a while they cannot be followed either, which is a ticket beside it.
    """
    with between_looks(desk, "collect", desk.stack.process("collector")):
        key = desk.publish()
        agreed = desk.agree(
            {"collector_silent": "stuck", "batch_stuck": "attention"},
            (_SILENT, "collector_silent"),
            ("UnhurriedBatchStuck", "batch_stuck"),
        )

    assert 2 == agreed.finding("collector_silent")["count"]
    desk.await_report(key)


def test_batches_that_cannot_be_looked_at(desk: Desk) -> None:
    """
    A ticket; a page once the account takes nothing more and jobs wait for two fill windows.
    """
    with desk.faults() as arm:
        arm("error_instead", method="GET", path=f"{_BATCHES}/*", status=500)
        first = desk.publish()
        agreed = desk.agree({"batch_stuck": "attention"}, ("UnhurriedBatchStuck", "batch_stuck"))
        finding = agreed.finding("batch_stuck")
        assert ("anthropic", 2, 2) == (finding["provider"], finding["count"], len(finding["ids"]))
        assert ["stuck", "stuck"] == batches(desk)

        arm("error_instead", method="POST", path=_BATCHES, status=429)
        second = desk.publish()
        desk.agree(
            {"batch_stuck_queue_growing": "stuck"},
            ("UnhurriedBatchStuckQueueGrowing", "batch_stuck_queue_growing"),
        )
        assert {2.0} == gauge(desk, 'unhurried_queue_depth{tier="batch"}')

    # What was refused is offered again within half a minute, as if that were over.
    desk.write("UPDATE submission SET not_before = NULL WHERE state = 'planned'")
    for key in (first, second):
        desk.await_report(key)


def test_an_account_that_may_not_buy(desk: Desk) -> None:
    """
    Its key is refused, then its money is gone: the lane is paused each time and its jobs are kept; a page, once
    they have waited for too long. Mended and resumed, they are answered.
    """
    resume = ("resume", "anthropic", "--why", "its account is mended")
    with desk.faults() as arm:
        arm("error_instead", method="POST", path=_BATCHES, status=401, times=1)
        arm("error_instead", method="POST", path=_BATCHES, status=402)
        key = desk.publish()
        refused_at = wait_until(
            lambda: paused_at(desk), within_s=WITHIN_S, what="the lane to be paused"
        )
        assert 0 == desk.command(*resume)[0]
        wait_until(
            lambda: paused_at(desk) not in {None, refused_at},
            within_s=WITHIN_S,
            what="the lane to be paused again",
        )
        agreed = desk.agree({"lane_paused": "stuck"}, ("UnhurriedStuck", "lane_paused"))
        finding = agreed.finding("lane_paused")
        assert ("anthropic", "default") == (finding["provider"], finding["account"])
        assert {2.0} == gauge(desk, 'unhurried_queue_depth{tier="batch"}')
        assert not desk.reported(key)

    assert 0 == desk.command(*resume)[0]
    desk.await_report(key)


def paused_at(desk: Desk) -> str | None:
    """Since when the only lane is paused, as the page has it; None where it is not."""
    found: list[str] = [one["paused_at"] for one, _ in desk.page("batches")["paused"]]
    return found[0] if found else None


def test_a_consumer_that_is_away(desk: Desk) -> None:
    """
    Its chord has fired and nobody ran the report: exit 1, a ticket, and everybody names the consumer. Once it
    is back it has read, and nobody is missed.
    """
    worker = desk.stack.process(f"{desk.caller.queue}_worker")
    with killed(worker, desk.caller.worker):
        key = desk.publish()
        agreed = desk.agree(
            {"results_unread": "attention"}, ("UnhurriedResultsUnread", "results_unread")
        )
        told = desk.commands("results", "doctor")
        shown = desk.page("results")
        read = desk.read_in_the_browser()
        assert {2.0} == gauge(desk, "unhurried_results_unread")

    finding = agreed.finding("results_unread")
    assert ("hourly-report", 2) == (finding["consumer"], finding["count"])
    assert ["hourly-report"] == [one["consumer"] for one in agreed.page["unread"]]
    assert ["hourly-report"] * 2 == [one["consumer"] for one in told["results"]["told"]]
    assert ["hourly-report"] * 2 == [one["consumer"] for one in shown["results"]]
    assert "hourly-report" in told["doctor"]["told"][0]["sentence"]
    assert any("hourly-report" in line for line in read)
    desk.await_report(key)


def test_a_ledger_that_is_down(desk: Desk) -> None:
    """
    The page shows how everything last stood, and how long ago that was; no endpoint claims to see.
    """
    with down(desk.stack.servers["postgres"]):
        agreed = desk.agree(
            {"ledger_unreachable": "stuck"}, ("UnhurriedStoreUnreachable", "ledger_unreachable")
        )
        page = desk.page("batches")
        ready = [
            answers(f"{desk.stack.exporter_url}/health/ready"),
            answers(f"{desk.stack.flower_url}/batches/health/ready"),
        ]
        assert {0.0} == gauge(desk, "unhurried_monitor_up")

    assert [503, 503] == ready
    assert page["error"]
    assert page["at"] == agreed.page["at"]
    assert page["age_s"] > agreed.page["age_s"] > 0


def test_a_ledger_that_hangs_is_told_of_in_seconds(desk: Desk) -> None:
    """
    It takes connections and does not answer them.
    """
    with stopped(desk.stack.servers["postgres"].process):
        began = time.monotonic()
        code, told = desk.command("status")
        took_s = time.monotonic() - began

    assert (2, ["ledger_unreachable"]) == (code, [one["name"] for one in told["findings"]])
    assert took_s < _AT_ONCE_S


@contextmanager
def down(server: Server) -> Iterator[None]:
    """Ended, and started again over the same data."""
    server.stop()
    try:
        yield
    finally:
        server.start_again()


def test_a_batch_of_six_hours_on_time_and_then_a_slow_one(opened: Desk) -> None:
    """
    Exit 0, nothing fires, and the page says that nobody has to do anything; also where nine of ten like it were
    quicker, which is a word and no more.
    """
    desk = opened
    while len(of_state(desk, "collected")) < _HISTORY:
        desk.await_report(desk.publish())
    with desk.faults() as arm:
        arm("slow", method="POST", path=_BATCHES, share=0.002, times=2)
        desk.publish()
        wait_until(
            lambda: len(of_state(desk, "accepted")) == 2, within_s=WITHIN_S, what="the batches"
        )
    # Nobody can wait: they run on, and are looked at, and the ledger says that it has been so for hours.
    assert 2 == desk.write(_EARLIER, span="6 hours")
    desk.write(_TOOK, span="7 hours")

    desk.agree({})
    assert ["ok", "ok"] == batches(desk)

    desk.write(_TOOK, span="5 hours")
    agreed = desk.agree({"batch_slow": "info"})
    assert 2 == agreed.finding("batch_slow")["count"]
    assert 2 == agreed.page["healths"]["slow"]
    assert ["slow", "slow"] == batches(desk)


def of_state(desk: Desk, state: str) -> list[Any]:
    """Batches as the page has them."""
    return [one for one in desk.page("batches")["batches"] if one["of"]["batch"]["state"] == state]
