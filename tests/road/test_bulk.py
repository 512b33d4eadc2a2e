"""Many at once over the whole road: thousands, cut off while publishing, cancelled."""

import json
from typing import Any

from dev.stack import Stack
from tests.road.callers import Caller
from tests.road.conftest import books
from tests.support.waiting import wait_until

#: As the caller's program has them.
WHOLE, CUT = 5000, 1200


def told(caller: Caller, *arguments: str) -> Any:
    """What one of the caller's processes says."""
    process = caller.start(f"many_{arguments[0]}", "many.py", *arguments)
    assert 0 == process.wait(within_s=160), process.tail()
    return json.loads(process.tail().splitlines()[-1])["told"]


def reports(caller: Caller, name: str) -> list[dict[str, Any]]:
    """Every run of what follows."""
    return [run for run in caller.events("bulk_report") if run["name"] == name]


def billed(stack: Stack) -> dict[str, int]:
    """How often each prompt was billed that was billed more than once."""
    return {one["prompt"]: one["times"] for one in books(stack, "/repeats")}


def test_thousands_become_one_run(caller: Caller, stack: Stack) -> None:
    """
    Five thousand calls of a generator: each part has its result, what follows runs once with all of
    them, one mail says how many could not be done.
    """
    run_id = told(caller, "whole")
    seen = told(caller, "look", run_id)

    assert "ended" == seen["state"]
    assert [WHOLE, WHOLE, WHOLE, 5] == seen["counts"]
    assert WHOLE - 5 == seen["texts"]
    assert (WHOLE, 5) == (seen["end"]["jobs"], seen["end"]["failed"])
    wait_until(lambda: reports(caller, "whole"), within_s=60, what="what follows the run")
    (report,) = reports(caller, "whole")
    assert (WHOLE - 5, 5, WHOLE - 5) == (report["ok"], report["failed"], report["keys"])

    def mails() -> list[str]:
        found = [path.read_text("utf-8") for path in stack.mails.glob("*.eml")]
        return [mail for mail in found if "To: bulk@example.org" in mail]

    wait_until(mails, within_s=30, what="the mail")
    assert [f"Ready, 5 of {WHOLE}"] == [
        mail.partition("Subject: ")[2][: len(f"Ready, 5 of {WHOLE}")] for mail in mails()
    ]


def test_a_run_whose_caller_was_killed_is_published_again(caller: Caller, stack: Stack) -> None:
    """
    What was published stays, unsealed; the same run again buys nothing twice and is followed once.
    """
    before = billed(stack)
    killed = caller.start("many_cut_off", "many.py", "cut_off")
    assert 9 == killed.wait(within_s=60), killed.tail()
    run_id = told(caller, "again")
    seen = told(caller, "look", run_id)

    assert [CUT, CUT, CUT, 0] == seen["counts"]
    wait_until(lambda: reports(caller, "cut"), within_s=60, what="what follows the run")
    assert [CUT] == [report["keys"] for report in reports(caller, "cut")]
    assert before == billed(stack)


def test_a_cancelled_run_is_not_followed(caller: Caller) -> None:
    """
    Its own task fails with JobCancelled once nothing of it is under way.
    """
    assert {"code": "cancelled", "state": "cancelled"} == told(caller, "cancelled")
    assert [] == reports(caller, "cancelled")
