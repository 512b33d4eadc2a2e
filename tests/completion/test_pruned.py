"""What a caller gets whose answer is kept no longer: always that it was pruned, and when."""

from typing import Any

import pytest
from sqlalchemy import text

from app.direct.record import Recorder
from app.policy.ends import Failure
from app.upkeep.copies import Copies
from app.upkeep.prune import Pruning
from tests.completion.conftest import Service
from tests.completion.test_replay import NOTES, served, settle
from tests.completion.test_restore import as_a_caller
from tests.ledger.pruned import aged, rows
from tests.support.answering import admit, answer, fail
from tests.support.factories import a_draft, an_admission
from unhurried import messages
from unhurried.contract import OUTPUT_INLINE_BYTES_MAX
from unhurried.errors import ContentPruned, IdempotencyConflict, JobFailed
from unhurried.readers import Reply


def prune(service: Service, *, days: int = 31, records_days: int = 400) -> None:
    """Let the ledger grow old, and prune it."""
    aged(service.engine, days=days)
    backend: Any = service.app.backend
    copies = Copies(client=service.client, backend=backend, key_prefix="")
    pruning = Pruning(engine=service.engine, forget=copies.forget)
    pruning.run(content_days=30, records_days=records_days)


def test_reading_it_again_says_that_it_was_pruned(service: Service) -> None:
    """
    Also where the copy in Redis was there a moment ago, and where its output travelled by reference.
    """
    long = "x" * (OUTPUT_INLINE_BYTES_MAX + 1)
    answer(service.engine, admit(service.engine, [an_admission("a", **NOTES)]), output=long)
    fail(service.engine, admit(service.engine, [an_admission("b", prompt="Other")]), code="odd")
    service.completer.run()
    with as_a_caller(service):
        before = messages.result("a")
        prune(service)

        assert [] == service.client.keys("unhurried:output:*")
        assert [Reply.RESTORED] * 2 == [service.restorer.result(one) for one in ("a", "b")]
        with pytest.raises(ContentPruned, match="pruned on"):
            messages.result("a")
        with pytest.raises(ContentPruned):
            messages.read("a", max_staleness="999d")
        with pytest.raises(ContentPruned):
            before.output  # noqa: B018 - it is fetched when it is asked for
        with pytest.raises(JobFailed, match="odd: the job is failed; why in words was pruned"):
            messages.result("b")
        service.restorer.newest(tenant="default", workload="notes", subject=None)
        with pytest.raises(ContentPruned):
            messages.latest("notes", max_staleness="999d")


def test_the_same_key_buys_no_second_answer(service: Service) -> None:
    """
    Its task fails with what to do; another request is a conflict as ever, and the mail does not say ready.
    """
    answer(service.engine, admit(service.engine, [an_admission("a", key="k")]))
    service.completer.run()
    prune(service)
    notify = [{"kind": "email", "to": "ada@example.org"}]
    admit(service.engine, [an_admission("again", key="k", notify=notify)])
    admit(service.engine, [an_admission("other", key="k", prompt="Another")])
    service.completer.run()

    with as_a_caller(service):
        with pytest.raises(ContentPruned, match="another key"):
            messages.result("again")
        with pytest.raises(IdempotencyConflict):
            messages.result("other")
    assert [(1, "succeeded")] == rows(service.engine, "SELECT attempt, state FROM job")
    ((payload,),) = rows(service.engine, "SELECT payload FROM notification")
    assert b'"state": "failed", "code": "content_pruned"' in bytes(payload)


def test_a_direct_call_with_that_key_is_not_made(service: Service) -> None:
    """
    Nobody asks the provider.
    """
    answer(service.engine, admit(service.engine, [an_admission("a", key="k")]))
    service.completer.run()
    prune(service)
    recorder = Recorder(engine=service.engine, client=service.client, key_prefix="")

    known = recorder.known(a_draft("b", key="k"))
    assert isinstance(known, Failure)
    assert "content_pruned" == known.error["code"]


def test_a_replay_goes_on_over_what_is_gone(service: Service) -> None:
    """
    Pruned results stand in their places as errors; every cursor is good, also of rows before and after it that are no
    more.
    """
    settle(service, "a", "b", "c")
    service.completer.run()
    with served(service):
        whole = list(messages.results("notes"))
        prune(service)
        settle(service, "d")
        service.completer.run()
        pruned = list(messages.results("notes"))
        with service.engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE job SET settled_at = settled_at - interval '500 days',"
                    " content_pruned_at = now() WHERE content_pruned_at IS NOT NULL"
                )
            )
            connection.execute(
                text(
                    "UPDATE ticket SET completed_at = completed_at"
                    " - interval '500 days' WHERE content_pruned_at IS NOT NULL"
                )
            )
        prune(service, days=0)
        left = list(messages.results("notes"))
        rest = list(messages.results("notes", after=whole[1].cursor))

    assert [one.result_id for one in whole] == [one.result_id for one in pruned[:3]]
    assert ["content_pruned"] * 3 + [None] == [one.error and one.error.code for one in pruned]
    assert [pruned[3].cursor] == [one.cursor for one in left] == [one.cursor for one in rest]
