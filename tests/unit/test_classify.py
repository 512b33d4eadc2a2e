"""How everything stands is judged once: three states that look alike are told apart."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.policy.findings import SEVERITIES, FindingName, counted, spoken
from app.policy.health import Health, of_batch
from app.policy.lifecycle import SubmissionState
from app.policy.standing import (
    Admission,
    Batch,
    Chords,
    Completion,
    Held,
    Outbox,
    Paused,
    Spent,
    Standing,
    Unread,
)
from tests.support.standings import (
    LIMITS,
    NOW,
    a_batch,
    a_queue,
    ago,
    judged,
    looks,
    names,
)


def test_a_healthy_batch_of_six_hours_is_nothing_to_know() -> None:
    """
    Six hours, nothing counted yet, a queue that has just begun to fill: ok, and not a word.
    """
    standing = Standing(rounds=looks(), batches=(a_batch(),), queues=(a_queue(4),))

    found = judged(standing)

    assert () == found.verdict.findings
    assert (0, "ok") == (found.verdict.exit_code, found.verdict.word)
    assert [Health.OK] == [one.health for one in found.batches]


def test_longer_than_is_usual_is_worth_a_word_and_no_more() -> None:
    """
    Beyond nine of ten of its own history and within its time: info, exit 0.
    """
    standing = Standing(rounds=looks(), batches=(a_batch(hours=12),))

    assert {"batch_slow": "info"} == names(standing)
    assert 0 == judged(standing).verdict.exit_code
    assert [Health.SLOW] == [one.health for one in judged(standing).batches]


def test_without_a_history_nothing_is_slow() -> None:
    """
    A provider and model of which few batches have ended have no usual length.
    """
    standing = Standing(rounds=looks(), batches=(a_batch(hours=20, typical=None),))

    assert {} == names(standing)


@pytest.mark.parametrize(
    "batch",
    [
        a_batch(observed_at=ago(hours=2), last_error="503 from the provider"),
        a_batch(hours=30, expires_at=ago(hours=3), typical=None),
        a_batch(ended_at=ago(hours=3), last_error="download: 404"),
    ],
    ids=["looks fail", "no end after the window", "results that nobody can read"],
)
def test_a_batch_that_cannot_be_followed_is_a_ticket(batch: Batch) -> None:
    """
    It is a page once jobs wait behind it for longer than two windows.
    """
    alone = Standing(rounds=looks(), batches=(batch,), queues=(a_queue(4),))
    growing = replace(alone, queues=(a_queue(11),))

    assert {"batch_stuck": "attention"} == names(alone)
    assert {"batch_stuck_queue_growing": "stuck"} == names(growing)
    assert [Health.STUCK] == [one.health for one in judged(alone).batches]


def test_a_create_without_an_answer_is_a_ticket_in_the_end() -> None:
    """
    Within the time in which it is found or proven absent it is nothing.
    """
    young = a_batch(state=SubmissionState.UNKNOWN, sent_at=ago(minutes=30), accepted_at=None)
    old = replace(young, sent_at=ago(minutes=90))

    assert {} == names(Standing(rounds=looks(), batches=(young,)))
    assert {"create_unresolved": "attention"} == names(Standing(rounds=looks(), batches=(old,)))


def test_a_missed_due_time_is_a_page() -> None:
    """
    A job of a running batch was due a minute ago.
    """
    standing = Standing(rounds=looks(), batches=(a_batch(due_at=ago(minutes=1)),))

    assert {"batch_overdue": "stuck"} == names(standing)
    assert [Health.OVERDUE] == [one.health for one in judged(standing).batches]


def test_a_batch_that_is_both_is_told_of_twice() -> None:
    """
    Its health is the worse word; that a due time passed is not hidden behind it.
    """
    both = a_batch(due_at=ago(minutes=1), observed_at=ago(hours=2))

    assert {"batch_overdue": "stuck", "batch_stuck": "attention"} == names(
        Standing(rounds=looks(), batches=(both,))
    )
    assert Health.STUCK is of_batch(both, NOW, LIMITS).health


@pytest.mark.parametrize(
    ("process", "round_", "waits"),
    [
        ("packer", "pack", {"queues": (a_queue(1),)}),
        ("collector", "collect", {"batches": (a_batch(),)}),
        ("completer", "complete", {"completion": Completion(ready_count=1, oldest_at=NOW)}),
        ("intake", "intake", {"admission": Admission(unadmitted_count=1, oldest_at=NOW)}),
        (
            "notifier",
            "notify",
            {
                "outboxes": (
                    Outbox(
                        receiver=None,
                        undelivered_count=1,
                        oldest_at=NOW,
                        dead_count=0,
                        unknown_count=0,
                    ),
                )
            },
        ),
    ],
)
def test_a_worker_that_does_not_look_is_a_page_once_something_waits(
    process: str, round_: str, waits: dict[str, object]
) -> None:
    """
    A minute is nothing; more is a ticket, and a page where there is work for it.
    """
    silent = Standing(rounds=looks(**{round_: timedelta(minutes=2)}))
    busy = replace(silent, **waits)  # type: ignore[arg-type]  # fields of a standing

    assert {} == names(Standing(rounds=looks(**{round_: timedelta(seconds=59)})))
    assert {f"{process}_silent": "attention"} == names(silent)
    assert {f"{process}_silent": "stuck"} == names(busy)


def test_a_service_that_never_looked_is_silent() -> None:
    """
    Of a ledger without a single round every worker is missed, but for the one that need not be there.
    """
    found = names(Standing())

    assert {"beat_silent", "intake_silent", "near_real_time_silent"} == set(found)
    assert "info" == found["near_real_time_silent"]


def test_a_dead_beat_is_one_finding() -> None:
    """
    What beat wakes is silent with it; that is not told six times.
    """
    quiet = dict.fromkeys(
        ("beat", "pack", "collect", "complete", "notify", "webhooks", "upkeep"),
        timedelta(minutes=10),
    )

    assert {"beat_silent": "attention"} == names(Standing(rounds=looks(**quiet)))
    assert {"beat_silent": "stuck"} == names(Standing(rounds=looks(**quiet), queues=(a_queue(1),)))


def test_a_long_look_is_no_silence() -> None:
    """
    A collector in the middle of a large download looks when it is done; a look that never ends is told.
    """
    (long,) = (one for one in looks() if one.name == "collect")
    others = tuple(one for one in looks() if one.name != "collect")
    at_it = replace(long, started_at=ago(minutes=10), succeeded_at=ago(minutes=11))

    assert {} == names(Standing(rounds=(*others, at_it)))
    assert {"collector_silent": "attention"} == names(
        Standing(rounds=(*others, replace(at_it, started_at=ago(minutes=20), succeeded_at=None)))
    )


def test_a_packer_stopped_in_a_look_is_told_within_the_fill_window() -> None:
    """
    A long upload is no silence, and yet whoever reads has a fifth of the window left to be told.
    """
    (look,) = (one for one in looks() if one.name == "pack")
    others = tuple(one for one in looks() if one.name != "pack")
    at_it = replace(look, started_at=ago(seconds=230), succeeded_at=ago(seconds=240))
    stopped = replace(look, started_at=ago(seconds=245), succeeded_at=ago(seconds=255))

    assert {} == names(Standing(rounds=(*others, at_it), queues=(a_queue(1),)))
    assert {"packer_silent": "stuck"} == names(
        Standing(rounds=(*others, stopped), queues=(a_queue(1),))
    )


def test_a_worker_that_fails_each_time_says_by_what() -> None:
    """
    Its looks begin and end in an error.
    """
    (broken,) = (one for one in looks() if one.name == "pack")
    others = tuple(one for one in looks() if one.name != "pack")
    failing = replace(broken, succeeded_at=ago(minutes=5), failed_at=NOW, error="OperationalError")

    (finding,) = judged(Standing(rounds=(*others, failing))).verdict.findings

    assert "has failed for 5 min: OperationalError" in finding.sentence


def test_a_queue_that_drains_may_be_deep() -> None:
    """
    Its age tells, never its depth; that something leaves is enough.
    """
    deep = a_queue(60, waiting_count=1_000_000)

    assert {} == names(Standing(rounds=looks(), queues=(deep,)))
    assert {"queue_not_draining": "stuck"} == names(
        Standing(rounds=looks(), queues=(a_queue(60, left_minutes=45),))
    )
    assert {"queue_not_draining": "stuck"} == names(
        Standing(rounds=looks(), queues=(a_queue(60, left_minutes=None),))
    )


def test_results_that_nobody_picks_up_are_a_ticket_then_a_page() -> None:
    """
    Half an hour is nothing; more names the consumer; near their end it is a page.
    """
    unread = Unread(
        consumer="weekly-report",
        workload="tagging",
        count=3,
        oldest_at=ago(minutes=29),
        expires_at=ago(days=-8),
    )
    late = replace(unread, oldest_at=ago(hours=1))
    ending = replace(late, expires_at=ago(hours=-3))

    assert {} == names(Standing(rounds=looks(), unread=(unread,)))
    (finding,) = judged(Standing(rounds=looks(), unread=(late,))).verdict.findings
    assert ("results_unread", "weekly-report", 3) == (finding.name, finding.consumer, finding.count)
    assert "weekly-report" in finding.sentence
    assert {"results_unread": "attention", "results_expiring": "stuck"} == names(
        Standing(rounds=looks(), unread=(ending,))
    )


def test_a_reason_that_is_known_takes_the_place_of_the_symptom() -> None:
    """
    What waits behind a paused account, or the day's limit, is not told as a queue that nothing leaves.
    """
    backed_up = (a_queue(60, left_minutes=None),)
    paused = Paused(
        provider="anthropic",
        account="default",
        model="",
        paused_at=ago(hours=1),
        reason="401: invalid key",
    )
    spent = Spent(
        provider="anthropic",
        account="default",
        nano_usd=10**9,
        limit_nano_usd=10**9,
        held_at=ago(hours=1),
    )

    assert {"lane_paused": "stuck"} == names(
        Standing(rounds=looks(), queues=backed_up, paused=(paused,))
    )
    assert {"lane_paused": "attention"} == names(Standing(rounds=looks(), paused=(paused,)))
    assert {"lane_paused": "attention"} == names(
        Standing(rounds=looks(), queues=backed_up, paused=(replace(paused, by_person=True),))
    )
    assert {"spend_limit_reached": "attention"} == names(
        Standing(rounds=looks(), queues=backed_up, spent=(spent,))
    )


def test_what_else_wants_a_person() -> None:
    """
    A held account, late completions and chords, undelivered news, what nobody could read: tickets each.
    """
    standing = Standing(
        rounds=looks(),
        held=(Held(provider="openai", account="default", reason="one batch", looked_at=NOW),),
        completion=Completion(ready_count=2, oldest_at=ago(hours=1), failing_count=2),
        chords=Chords(full_count=1, oldest_full_at=ago(hours=1)),
        outboxes=(
            Outbox(
                receiver=None, undelivered_count=0, oldest_at=None, dead_count=1, unknown_count=1
            ),
            Outbox(
                receiver="crm",
                undelivered_count=5,
                oldest_at=ago(hours=2),
                dead_count=0,
                unknown_count=0,
            ),
        ),
        quarantined_count=1,
        spent=(
            Spent(
                provider="openai",
                account="default",
                nano_usd=95,
                limit_nano_usd=100,
                held_at=None,
            ),
        ),
    )

    assert {
        "account_held": "attention",
        "completion_late": "attention",
        "chord_late": "attention",
        "mail_undelivered": "attention",
        "webhook_undelivered": "attention",
        "quarantined": "attention",
        "spend_limit_near": "info",
    } == names(standing)


def test_calls_that_nobody_admits_are_a_page() -> None:
    """
    They are in Redis alone, and the oldest of them for ten minutes.
    """
    standing = Standing(
        rounds=looks(), admission=Admission(unadmitted_count=7, oldest_at=ago(minutes=10))
    )

    assert {"admission_stalled": "stuck"} == names(standing)


def test_a_ledger_that_is_away_is_all_there_is_to_say() -> None:
    """
    Nothing is judged that could not be read; Redis is.
    """
    away = Standing(ledger_error="OperationalError", redis_error="ConnectionError")

    assert {"ledger_unreachable": "stuck", "redis_unreachable": "stuck"} == names(away)
    assert 2 == judged(away).verdict.exit_code


def test_people_read_spans_and_counts() -> None:
    """
    The two largest units; never a negative one.
    """
    assert ["0 s", "45 s", "1 min 5 s", "6 h 12 min", "2 d", "0 s"] == [
        spoken(timedelta(seconds=one)) for one in (0, 45, 65, 22_320, 172_800, -5)
    ]
    assert ["1 job", "2,000 jobs"] == [counted(1, "job"), counted(2000, "job")]


def test_every_finding_has_its_severities() -> None:
    """
    A metric shows each of them, zeros included.
    """
    assert set(FindingName) == set(SEVERITIES)
    assert all(SEVERITIES.values())
