"""How everything stands is judged, of any standing: time never mends, and the worst comes first."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.policy.findings import SEVERITIES, FindingName, Severity
from app.policy.lifecycle import SubmissionState
from app.policy.standing import (
    Admission,
    Chords,
    Completion,
    Paused,
    Queue,
    Round,
    Standing,
    Unread,
)
from tests.support.standings import NOW, PERIODS, a_batch, judged
from unhurried.contract import Tier

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
