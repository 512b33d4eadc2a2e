"""Pruning over a real ledger: what is old and at an end goes, and nothing else does."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from app.ledger import actions
from app.ledger import engine as ledger
from app.ledger.actions import Decision
from app.policy.keeping import Held, Kind
from app.upkeep.prune import Retention
from tests.ledger.pruned import (
    a_whole_batch,
    accounted,
    aged,
    complete,
    everything,
    hold,
    pruning,
    rows,
    run,
)
from tests.support.answering import admit, answer, fail
from tests.support.factories import an_admission, uuid

PROMPT = "A canary sings."


def test_content_goes_and_the_record_stays(engine: Engine) -> None:
    """
    Every column that says what somebody wrote or a model answered is empty; states, ids and prices stay.
    """
    job_ids = admit(engine, [an_admission("a", key="k", prompt=PROMPT, notify=[_mail()])])
    answer(engine, job_ids, output=f"{PROMPT} Always.")
    failed = admit(engine, [an_admission("b", prompt=PROMPT)])
    fail(engine, failed)
    complete(engine)
    _send_all(engine)
    aged(engine, days=31)
    assert "canary" in everything(engine)
    before = rows(engine, "SELECT id, state, result_id, cost_nano_usd, usage FROM job ORDER BY id")

    done = run(engine)

    assert {Kind.JOBS_CONTENT: 2, Kind.NOTIFICATIONS_CONTENT: 1} == dict(done.counts)
    assert before == rows(
        engine, "SELECT id, state, result_id, cost_nano_usd, usage FROM job ORDER BY id"
    )
    assert ("canary" in everything(engine), "ada@" in everything(engine)) == (False, False)
    assert done.bytes_count > len(PROMPT)
    assert {} == dict(run(engine).counts)


def test_a_task_that_came_too_late_is_emptied_at_its_own_age(engine: Engine) -> None:
    """
    Its message asked the same once more, after the answer had been pruned.
    """
    answer(engine, admit(engine, [an_admission("a", key="k")]))
    complete(engine)
    aged(engine, days=31)
    run(engine)
    admit(engine, [an_admission("late", key="k")])
    complete(engine)

    assert {} == dict(run(engine).counts)
    aged(engine, days=31)
    assert {Kind.TICKETS_CONTENT: 1} == dict(run(engine).counts)
    assert [(0, 2)] == rows(engine, "SELECT sum(octet_length(body))::int, count(*) FROM ticket")


def test_what_is_younger_stays(engine: Engine) -> None:
    """
    Age counts from when the last task was told: a key that was asked again yesterday keeps its answer.
    """
    answer(engine, admit(engine, [an_admission("a", key="k"), an_admission("old")]))
    complete(engine)
    aged(engine, days=31)
    admit(engine, [an_admission("again", key="k")])
    complete(engine)

    assert {Kind.JOBS_CONTENT: 1} == dict(run(engine).counts)
    assert [("k", True), (None, False)] == rows(
        engine, "SELECT key, answer IS NOT NULL FROM job ORDER BY key NULLS LAST"
    )


@pytest.mark.parametrize("why", [one for one in Held if one is not Held.RECORD_NEEDED])
def test_what_is_needed_stays_and_why_is_told(engine: Engine, why: Held) -> None:
    """
    However old it is: neither its content nor its record goes.
    """
    answer(engine, admit(engine, [an_admission("a", prompt=PROMPT)]))
    complete(engine)
    aged(engine, days=500)
    hold(engine, why)

    done = run(engine)

    assert {} == dict(done.counts)
    # What has not ended is not even looked at.
    assert ({} if why is Held.NOT_ENDED else {why: 1}) == dict(done.held)
    assert [(True,)] == rows(engine, "SELECT octet_length(request) > 0 FROM job")


def test_records_go_long_after_with_all_that_hangs_on_them(engine: Engine) -> None:
    """
    Jobs, tickets, attempts, packs, submissions, charges, events: but the newest event, which tells this ledger from a
    restored one.
    """
    a_whole_batch(engine)
    _decide(engine)
    aged(engine, days=401)
    accounted(engine)
    plan = pruning(engine).preview(content_days=30, records_days=400)
    done = run(engine)

    for table in (
        "job",
        "ticket",
        "attempt",
        "pack_item",
        "pack",
        "submission",
        "charge",
        "action",
    ):
        assert [(0,)] == rows(engine, f"SELECT count(*) FROM {table}"), table  # noqa: S608 - names above
    assert [(1,)] == rows(engine, "SELECT count(*) FROM event")
    assert (plan.counts[Kind.CHARGES], plan.counts[Kind.JOBS]) == (2, 2)
    assert {**plan.counts, Kind.EVENTS: 0} == {**done.counts, Kind.EVENTS: 0}


def test_a_charge_that_nothing_explains_stays(engine: Engine) -> None:
    """
    A line of a batch that no submission and no closed stray stands behind is for people to look at.
    """
    a_whole_batch(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE submission SET provider_batch_id = 'another'"))
    aged(engine, days=401)
    accounted(engine)

    run(engine)

    assert [(2, 14)] == rows(engine, "SELECT count(*), sum(nano_usd)::int FROM charge")


def test_a_batch_that_a_sweep_may_list_is_remembered(engine: Engine) -> None:
    """
    What the workspace's list was not held against since is known by its id: forgotten, it would look like an orphan.
    """
    a_whole_batch(engine)
    aged(engine, days=401)

    run(engine)

    assert [(1,)] == rows(engine, "SELECT count(*) FROM submission")


def test_results_that_nobody_picked_up_are_counted(engine: Engine) -> None:
    """
    They go at their age as everything else, and are said.
    """
    answer(engine, admit(engine, [an_admission("a")]))
    complete(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE ticket SET awaited_by = '@notes'"))
    aged(engine, days=31)

    assert 1 == run(engine).unread_count


def test_what_was_pruned_is_never_sent_again(engine: Engine) -> None:
    """
    The database refuses a way back to a job that asks nothing, and to a mail without an address.
    """
    fail(engine, admit(engine, [an_admission("a", notify=[_mail()])]))
    complete(engine)
    _send_all(engine, state="dead")
    aged(engine, days=31)
    run(engine)

    with pytest.raises(IntegrityError, match="publish it again"), engine.begin() as connection:
        connection.execute(text("UPDATE job SET state = 'waiting'"))
    again = text("UPDATE notification SET state = 'new'")
    with pytest.raises(IntegrityError, match="cannot be sent again"), engine.begin() as connection:
        connection.execute(again)


def test_a_row_that_somebody_holds_is_passed_over(engine: Engine) -> None:
    """
    Nobody waits: the next round has it.
    """
    first, second = admit(engine, [an_admission("a"), an_admission("b", prompt="Other")])
    answer(engine, [first, second])
    complete(engine)
    aged(engine, days=31)
    with engine.begin() as connection:
        connection.execute(text("SELECT 1 FROM job WHERE id = :id FOR SHARE"), {"id": first})
        assert {Kind.JOBS_CONTENT: 1} == dict(run(engine).counts)

    assert {Kind.JOBS_CONTENT: 1} == dict(run(engine).counts)


def test_two_at_once_prune_everything_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each row goes with one of them, content and record.
    """
    monkeypatch.setattr("app.ledger.pruning.PAGE", 7)
    answer(
        engine,
        admit(engine, [an_admission(f"t-{n}", prompt=f"{n}", key=f"{n}") for n in range(60)]),
    )
    complete(engine)
    aged(engine, days=401)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: run(engine), range(2))

    both = first.plus(second).counts
    assert 60 == both[Kind.JOBS_CONTENT]
    assert [(60 - both.get(Kind.JOBS, 0),)] == rows(engine, "SELECT count(*) FROM job")
    run(engine)
    assert [(0,)] == rows(engine, "SELECT count(*) FROM job")


def test_an_unattended_round_waits_until_no_older_process_runs(engine: Engine) -> None:
    """
    Then it does a bounded piece of everything, by the settings.
    """
    answer(engine, admit(engine, [an_admission("a")]))
    complete(engine)
    aged(engine, days=31)

    assert 0 == _retention(engine, not_within=timedelta(hours=1)).run().total
    assert {Kind.JOBS_CONTENT: 1} == dict(_retention(engine, not_within=timedelta(0)).run().counts)


def test_what_is_held_keeps_nothing_behind_it_from_its_turn(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A round that met nothing but held jobs goes on behind them in the next.
    """
    monkeypatch.setattr("app.ledger.pruning.PAGE", 1)
    monkeypatch.setattr("app.upkeep.prune._PAGES_OF_ROUND_MAX", 1)
    answer(engine, admit(engine, [an_admission("held")]))
    complete(engine)
    aged(engine, days=1)
    hold(engine, Held.STRAY_OPEN)
    aged(engine, days=1)
    answer(engine, admit(engine, [an_admission("free", prompt="Other")]))
    complete(engine)
    aged(engine, days=31)
    retention = _retention(engine, not_within=timedelta(0))

    assert [0, 1] == [retention.run().total, retention.run().total]


def _retention(engine: Engine, *, not_within: timedelta) -> Retention:
    return Retention(
        engine=engine,
        pruning=pruning(engine),
        content_days=30,
        records_days=400,
        not_within=not_within,
    )


def _decide(engine: Engine) -> None:
    decision = Decision(who="ops", why="a test", what="x", subject="y", request_id=uuid(1))
    with engine.begin() as connection:
        now = ledger.now(connection)
        actions.note(connection, decision, at=now)
        actions.close(connection, decision.request_id, {"did": {}}, at=now)


def _mail() -> dict[str, Any]:
    return {"kind": "email", "to": "ada@example.org", "subject": PROMPT}


def _send_all(engine: Engine, *, state: str = "done") -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE notification SET state = :state"), {"state": state})
