"""How everything stands is judged once: three states that look alike are told apart, and time never mends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.policy.classify import Judgement, classify
from app.policy.findings import SEVERITIES, FindingName, Severity, counted, spoken
from app.policy.health import Health, of_batch
from app.policy.lifecycle import SubmissionState
from app.policy.standing import (
    Admission,
    Batch,
    Chords,
    Completion,
    Held,
    Limits,
    Outbox,
    Paused,
    Queue,
    Round,
    Spent,
    Standing,
    Unread,
)
from unhurried.contract import Tier

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PERIODS = {
    "pack": 10.0,
    "collect": 10.0,
    "complete": 5.0,
    "notify": 5.0,
    "webhooks": 5.0,
    "upkeep": 60.0,
    "beat": 5.0,
    "intake": 1.0,
    "near_real_time": 10.0,
}
LIMITS = Limits(linger=timedelta(minutes=5), pick_up_within=timedelta(minutes=30), periods=PERIODS)
ANTHROPIC = ("anthropic", "default")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def looks(**spans: timedelta) -> tuple[Round, ...]:
    """Every worker has just looked, but for these."""
    return tuple(
        Round(
            name=name,
            period_s=period_s,
            started_at=NOW - spans.get(name, timedelta(0)),
            succeeded_at=NOW - spans.get(name, timedelta(0)),
        )
        for name, period_s in PERIODS.items()
    )


def a_batch(hours: float = 6, **fields: object) -> Batch:
    """A batch at Anthropic that was looked at a minute ago and counts nothing yet."""
    running = Batch(
        submission_id="s-1",
        provider="anthropic",
        account="default",
        model="claude-haiku-4-5",
        state=SubmissionState.ACCEPTED,
        jobs_count=50_000,
        created_at=ago(hours=hours),
        sent_at=ago(hours=hours),
        accepted_at=ago(hours=hours),
        provider_batch_id="msgbatch_1",
        provider_status="in_progress",
        provider_done=0,
        observed_at=ago(minutes=1),
        expires_at=ago(hours=hours - 24),
        typical=timedelta(hours=7),
    )
    return replace(running, **fields)  # type: ignore[arg-type]  # a test names fields of a batch


def a_queue(minutes: float, *, left_minutes: float | None = 1, **fields: object) -> Queue:
    found = Queue(
        tier=Tier.BATCH,
        provider="anthropic",
        account="default",
        waiting_count=20,
        oldest_at=ago(minutes=minutes),
        left_at=ago(minutes=left_minutes) if left_minutes is not None else None,
    )
    return replace(found, **fields)  # type: ignore[arg-type]  # as above


def judged(standing: Standing, now: datetime = NOW) -> Judgement:
    return classify(standing, now, LIMITS)


def names(standing: Standing, now: datetime = NOW) -> dict[str, str]:
    return {str(one.name): str(one.severity) for one in judged(standing, now).verdict.findings}


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
    ],
    ids=["looks fail", "no end after the window"],
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


MOMENTS = st.integers(0, 40 * 3600).map(lambda seconds: NOW - timedelta(seconds=seconds))
MAYBE = st.none() | MOMENTS


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """Anything that may be read."""
    rounds = draw(
        st.lists(
            st.builds(
                Round,
                name=st.sampled_from(sorted(PERIODS)),
                period_s=st.just(5.0),
                started_at=MAYBE,
                succeeded_at=MAYBE,
                failed_at=MAYBE,
                error=st.none() | st.just("OperationalError"),
            ),
            max_size=9,
            unique_by=lambda one: one.name,
        )
    )
    batches = draw(
        st.lists(
            st.builds(
                a_batch,
                st.floats(0.01, 40),
                state=st.sampled_from(
                    [
                        SubmissionState.PLANNED,
                        SubmissionState.SENDING,
                        SubmissionState.UNKNOWN,
                        SubmissionState.ACCEPTED,
                        SubmissionState.COLLECTED,
                    ]
                ),
                observed_at=MAYBE,
                expires_at=MAYBE,
                ended_at=MAYBE,
                due_at=MAYBE,
                unread_since=MAYBE,
                typical=st.none() | st.just(timedelta(hours=2)),
            ),
            max_size=4,
        )
    )
    queues = draw(
        st.lists(
            st.builds(
                Queue,
                tier=st.sampled_from([Tier.BATCH, Tier.NEAR_REAL_TIME]),
                provider=st.sampled_from(["anthropic", "openai"]),
                account=st.just("default"),
                waiting_count=st.integers(1, 9),
                oldest_at=MAYBE,
                left_at=MAYBE,
            ),
            max_size=3,
        )
    )
    unread = draw(
        st.lists(
            st.builds(
                Unread,
                consumer=st.just("report"),
                workload=st.none(),
                count=st.integers(1, 9),
                oldest_at=MOMENTS,
                expires_at=MOMENTS.map(lambda at: at + timedelta(hours=30)),
            ),
            max_size=2,
        )
    )
    paused = draw(
        st.lists(
            st.builds(
                Paused,
                provider=st.just("anthropic"),
                account=st.just("default"),
                model=st.sampled_from(["", "claude-haiku-4-5"]),
                paused_at=MOMENTS,
                reason=st.none(),
                by_person=st.booleans(),
            ),
            max_size=1,
        )
    )
    return Standing(
        rounds=tuple(rounds),
        batches=tuple(batches),
        queues=tuple(queues),
        unread=tuple(unread),
        paused=tuple(paused),
        completion=Completion(
            ready_count=draw(st.integers(0, 3)), oldest_at=draw(MAYBE), failing_count=0
        ),
        chords=Chords(full_count=1, oldest_full_at=draw(MAYBE)),
        admission=Admission(unadmitted_count=draw(st.integers(0, 2)), oldest_at=draw(MAYBE)),
    )


@given(standings(), st.integers(0, 48 * 3600))
def test_time_alone_mends_nothing(standing: Standing, later_s: int) -> None:
    """
    With nothing else changed, a later moment has at least as bad a verdict.
    """
    later = judged(standing, NOW + timedelta(seconds=later_s)).verdict.severity

    assert judged(standing).verdict.severity.rank <= later.rank


@given(standings())
def test_the_verdict_is_that_of_the_worst_finding(standing: Standing) -> None:
    """
    Each finding has a sentence, a remedy and a severity that its name may have; the worst comes first.
    """
    found = judged(standing).verdict
    ranks = [one.severity.rank for one in found.findings]

    assert sorted(ranks, reverse=True) == ranks
    assert max(ranks, default=0) == found.exit_code
    for one in found.findings:
        assert one.sentence
        assert one.remedy
        assert one.severity in SEVERITIES[one.name]


@given(standings(), st.integers(0, 6 * 3600))
def test_a_batch_that_is_looked_at_within_its_time_asks_nobody(
    standing: Standing, age_s: int
) -> None:
    """
    Whatever else is wrong, a batch of up to six hours that is followed is no reason for it.
    """
    healthy = a_batch(hours=age_s / 3600, submission_id="healthy", provider="openai")
    alone = replace(standing, batches=())
    with_it = replace(standing, batches=(healthy,))

    before, after = judged(alone).verdict, judged(with_it).verdict

    asked = {one.name for one in after.findings if one.severity is not Severity.INFO} - {
        FindingName.COLLECTOR_SILENT
    }
    assert asked - {one.name for one in before.findings} == set()


def test_every_finding_has_its_severities() -> None:
    """
    A metric shows each of them, zeros included.
    """
    assert set(FindingName) == set(SEVERITIES)
    assert all(SEVERITIES.values())
