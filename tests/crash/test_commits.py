"""The connection to PostgreSQL breaks at a COMMIT: nobody knows whether it was done, and nothing is lost or doubled."""

import re
from typing import Final

import pytest

from dev.fault_proxy import Deed, Fault
from tests.crash.scene import PROVIDERS, WITHIN_S, Scene
from tests.support.waiting import wait_until

#: As psycopg sends it: one simple query.
COMMIT: Final = re.compile(rb"\AQ....COMMIT\x00", re.DOTALL)
#: What each process's most dangerous transaction says before it.
INTENDS: Final = re.compile(rb"UPDATE submission SET[^;]*not_after")
ADMITS: Final = re.compile(rb"INSERT INTO ticket")
SETTLES: Final = re.compile(rb"INSERT INTO charge")
COMPLETES: Final = re.compile(rb"UPDATE ticket SET state = 'completed'")
SENDS: Final = re.compile(rb"UPDATE notification SET state = 'sending'")
ENDS: Final = re.compile(rb"UPDATE notification\s+SET state = \$\d")
DATABASE: Final = "UNHURRIED_DATABASE_URL"
#: The reply is lost, so it was committed; or the COMMIT is, so it was rolled back.
DEEDS: Final = [
    pytest.param(Deed.CUT, id="committed"),
    pytest.param(Deed.LOSE, id="rolled-back", marks=pytest.mark.full),
]


def cut(after: re.Pattern[bytes], deed: Deed) -> Fault:
    """A fault at the COMMIT of a transaction that has said this."""
    return Fault(request=COMMIT, deed=deed, preceded_by=after)


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize(
    ("process", "after"),
    [
        pytest.param("intake", ADMITS, id="intake"),
        # It is looked for until the provider is certain not to have it: half a minute.
        pytest.param("packer", INTENDS, id="packer", marks=pytest.mark.full),
        pytest.param("collector", SETTLES, id="collector"),
        pytest.param("completer", COMPLETES, id="completer"),
    ],
)
def test_a_commit_without_a_reply_loses_and_doubles_nothing(
    scene: Scene, process: str, after: re.Pattern[bytes], deed: Deed
) -> None:
    """
    Every job comes once and is billed once, and the process that met it goes on by itself.
    """
    name = f"commit-{process}-{deed}"
    fault = cut(after, deed)
    with scene.through_proxy(process, to=DATABASE, faults=[fault]):
        for provider in PROVIDERS:
            scene.publish(name, provider, 60)
        assert fault.struck.wait(WITHIN_S)
        for provider in PROVIDERS:
            scene.require_once(name, provider, 60)
        scene.stack.process(process).require_alive()


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("after", [pytest.param(SENDS, id="before"), pytest.param(ENDS, id="end")])
def test_a_mail_whose_commit_had_no_reply_goes_once(
    scene: Scene, after: re.Pattern[bytes], deed: Deed
) -> None:
    """
    The notifier knows what was handed over and what was not: every mail goes, and nobody gets two.
    """
    name = f"commit-mail-{'sending' if after is SENDS else 'end'}-{deed}"
    fault = cut(after, deed)
    with scene.through_proxy("notifier", to=DATABASE, faults=[fault]):
        scene.publish(name, "openai", 6, "mail")
        assert fault.struck.wait(WITHIN_S)
        wait_until(lambda: len(scene.mailed(name)) == 6, within_s=WITHIN_S, what="6 mails")
        scene.await_rest()

        assert {1} == set(scene.mailed(name).values())
        scene.stack.process("notifier").require_alive()


@pytest.mark.full
@pytest.mark.parametrize("deed", [Deed.CUT, Deed.LOSE])
def test_a_near_real_time_answer_in_hand_is_recorded(scene: Scene, deed: Deed) -> None:
    """
    It has been paid for: the commit is tried again, and no job fails for it.
    """
    name = f"commit-answer-{deed}"
    fault = cut(SETTLES, deed)
    with scene.through_proxy("near_real_time", to=DATABASE, faults=[fault]):
        scene.publish(name, "openai", 30, "raise")
        assert fault.struck.wait(WITHIN_S)
        scene.require_once(name, "openai", 30)
        scene.stack.process("near_real_time").require_alive()
