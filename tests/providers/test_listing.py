"""Looking through a workspace's batches: complete, or no answer at all."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.policy.names import Mark
from app.policy.searching import ListedBatch
from app.providers.anthropic import AnthropicProvider
from app.providers.listing import PAGES_MAX
from app.providers.openai import OpenAIProvider
from app.providers.port import BatchReport, Gone, LaneClosed, Listing, Unreachable
from tests.providers.adapters import Adapter
from tests.providers.scripted import Answer, Drop, Reply, Server
from tests.providers.test_collect import ok

SINCE = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER, EARLIER = SINCE + timedelta(hours=1), SINCE - timedelta(hours=1)


def entry(adapter: Adapter, batch_id: str, *, at: datetime = LATER) -> dict[str, Any]:
    """A running batch of seven, as its provider lists it."""
    if isinstance(adapter, AnthropicProvider):
        counts = {"processing": 7, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        created: Any = at.isoformat()
        return {
            "id": batch_id,
            "created_at": created,
            "processing_status": "in_progress",
            "request_counts": counts,
        }
    return {
        "id": batch_id,
        "created_at": int(at.timestamp()),
        "status": "in_progress",
        "request_counts": {"total": 7, "completed": 0, "failed": 0},
        "input_file_id": f"file-{batch_id}",
        "metadata": {"uh_dep": "dep123", "uh_sub": "0000000000001"},
    }


def test_every_newer_batch_is_listed_page_by_page(adapter: Adapter, server: Server) -> None:
    """The walk follows the cursor and ends at the mark."""
    first = [entry(adapter, "b5"), entry(adapter, "b4")]
    second = [entry(adapter, "b3"), entry(adapter, "mark"), entry(adapter, "b1")]
    server.answers(ok(data=first, has_more=True), ok(data=second, has_more=True))

    listing = adapter.list_batches(newer_than="mark", since=SINCE)

    assert isinstance(listing, Listing)
    assert ["b5", "b4", "b3"] == [batch.provider_batch_id for batch in listing.batches]
    assert "b4" in server.seen[1].path


def test_one_older_batch_ends_nothing_but_a_page_of_them_does(
    adapter: Adapter, server: Server
) -> None:
    """Nobody promises an order, so the walk goes on until a whole page is older."""
    mixed = [entry(adapter, "old", at=EARLIER), entry(adapter, "new")]
    older = [entry(adapter, "older", at=EARLIER)]
    server.answers(ok(data=mixed, has_more=True), ok(data=older, has_more=True))

    listing = adapter.list_batches(newer_than=None, since=SINCE)

    assert isinstance(listing, Listing)
    assert ["new"] == [batch.provider_batch_id for batch in listing.batches]
    assert 2 == len(server.seen)


def test_a_listed_anthropic_batch_says_only_how_large_it_is(
    anthropic: AnthropicProvider, server: Server
) -> None:
    """Nothing of ours is in it before its results are."""
    server.answers(ok(data=[entry(anthropic, "b1")], has_more=False))

    shown = ListedBatch(
        provider_batch_id="b1", created_at=LATER, total=7, ended=False, endpoint="messages"
    )

    assert Listing((shown,)) == anthropic.list_batches(newer_than=None, since=SINCE)


def test_a_listed_openai_batch_says_whose_it_is(openai: OpenAIProvider, server: Server) -> None:
    """Its metadata and its input file are what it is known by; other people's say nothing."""
    foreign = {**entry(openai, "b2"), "metadata": {"team": "blue"}}
    server.answers(ok(data=[entry(openai, "b1"), foreign], has_more=False))

    listing = openai.list_batches(newer_than=None, since=SINCE)

    assert isinstance(listing, Listing)
    assert [(Mark("dep123", "0000000000001"), "file-b1"), (None, "file-b2")] == [
        (batch.mark, batch.file_id) for batch in listing.batches
    ]


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (Reply(500), Unreachable),
        (Reply(404), Unreachable),
        (Reply(401), LaneClosed),
        (Reply(200, b"["), Unreachable),
        (Reply(200, b"{}"), Unreachable),
        (Reply(200, b'{"data":[{}],"has_more":false}'), Unreachable),
        (Reply(200, b'{"data":[],"has_more":true}'), Unreachable),
        (Drop(), Unreachable),
    ],
    ids=repr,
)
def test_half_a_list_is_no_list(
    adapter: Adapter, server: Server, answer: Answer, reply: type
) -> None:
    """A page that cannot be read may hold the batch that is looked for."""
    server.answers(ok(data=[entry(adapter, "b1")], has_more=True), answer)

    assert isinstance(adapter.list_batches(newer_than=None, since=SINCE), reply)


def test_a_list_without_end_is_no_list(adapter: Adapter, server: Server) -> None:
    """The walk has a bound, and reaching it is not the same as having seen everything."""
    server.answers(ok(data=[entry(adapter, "b1")], has_more=True))

    assert isinstance(adapter.list_batches(newer_than=None, since=SINCE), Unreachable)
    assert PAGES_MAX == len(server.seen)


@pytest.mark.parametrize("status", [200, 404])
def test_a_deleted_file_is_gone_whoever_deleted_it(
    openai: OpenAIProvider, server: Server, status: int
) -> None:
    """Deleting may be repeated."""
    server.answers(Reply(status))

    assert Gone() == openai.delete_file("file-1")
    assert ["DELETE /v1/files/file-1"] == server.paths()


def test_a_file_that_may_still_be_there_is_not_gone(openai: OpenAIProvider, server: Server) -> None:
    """Without a clear yes nothing is fenced off."""
    server.answers(Reply(500))

    assert isinstance(openai.delete_file("file-1"), Unreachable)


def test_a_cancelled_batch_is_reported(adapter: Adapter, server: Server) -> None:
    """Asked once; how the batch is now comes back."""
    server.answers(ok(**entry(adapter, "b1")))

    report = adapter.cancel("b1")

    assert [True] == [path.endswith("/b1/cancel") for path in server.paths()]
    assert isinstance(report, BatchReport)
    assert 7 == report.total
