"""Counting changes no reply, and knows each kind of them by a word."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import get_args

import pytest

from app.providers import port
from app.providers.counted import _WORDS, Counted
from app.providers.port import Handover, Provider, Unreachable
from tests.providers.adapters import ENDPOINTS, Adapter
from tests.providers.scripted import Answer, Drop, Reply, Reset, Server


def test_every_reply_has_a_word() -> None:
    """
    None of the port's replies is `other`.
    """
    several = (
        port.CreateReply,
        port.UploadReply,
        port.PollReply,
        port.ListReply,
        port.DeleteReply,
        port.DownloadReply,
        port.DirectReply,
    )

    assert {one for replies in several for one in get_args(replies)} == _WORDS.keys()


def test_what_cannot_be_reached_is_counted_by_operation(
    unreachable: Adapter, handover: Callable[[Adapter], Handover]
) -> None:
    """
    The replies are the adapter's own.
    """
    seen: Counter[tuple[str, ...]] = Counter()

    def note(*labels: str) -> None:
        seen[labels] += 1

    counted: Provider = Counted(unreachable, note)
    name = unreachable.name
    assert isinstance(counted.poll("batch"), Unreachable)
    assert isinstance(counted.poll("batch"), Unreachable)
    counted.create(handover(unreachable))
    counted.list_batches(newer_than=None, since=datetime.now(UTC))
    counted.answer(b'{"model": "m"}', endpoint=ENDPOINTS[name], timeout_s=1)

    assert {
        (name, "poll", "unreachable", "unconnected"): 2,
        (name, "create", "not_taken", "unconnected"): 1,
        (name, "list", "unreachable", "unconnected"): 1,
        (name, "answer", "not_taken", "unconnected"): 1,
    } == seen
    assert counted.limits is unreachable.limits
    assert counted.uploads == unreachable.uploads


def test_what_an_adapter_raises_goes_up(unreachable: Adapter) -> None:
    """
    Counted as `raised`; HTTP was not asked, and what it said of an earlier request is forgotten.
    """
    unreachable.poll("batch")
    seen = []
    counted = Counted(unreachable, lambda *labels: seen.append(labels))

    with pytest.raises(Exception, match="nowhere"):
        counted.answer(b'{"model": "m"}', endpoint="nowhere", timeout_s=1)
    assert [(unreachable.name, "answer", "raised", "unknown")] == seen


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Reply(200), "200"),
        (Reply(404), "404"),
        (Reply(429), "429"),
        (Reply(529), "529"),
        (Drop(), "reset"),
        (Reset(), "reset"),
        # A body that ends before its stated length.
        (Reply(200, b'{"id": ', length=1000), "reset"),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_a_code_is_what_http_said(
    adapter: Adapter, server: Server, answer: Answer, code: str
) -> None:
    """
    A status, or why there was none.
    """
    seen: list[tuple[str, ...]] = []
    server.answers(answer)
    Counted(adapter, lambda *labels: seen.append(labels)).poll("batch")

    assert [code] == [one[-1] for one in seen]


def test_silence_is_a_timeout(adapter: Adapter, server: Server) -> None:
    """
    Of a direct call, which waits no longer than it is told to.
    """
    seen: list[tuple[str, ...]] = []
    counted = Counted(adapter, lambda *labels: seen.append(labels))
    with server.silence():
        counted.answer(
            b'{"model": "m", "max_tokens": 1, "messages": []}',
            endpoint=ENDPOINTS[adapter.name],
            timeout_s=0.3,
        )

    assert [(adapter.name, "answer", "ambiguous", "timeout")] == seen


def test_a_stream_that_breaks_off_was_reset(adapter: Adapter, server: Server) -> None:
    """
    Whatever its status had promised.
    """
    seen: list[tuple[str, ...]] = []
    kind = {"Content-Type": "text/event-stream"}
    server.answers(Reply(200, b": still here\n\n", kind, length=1000))
    Counted(adapter, lambda *labels: seen.append(labels)).stream(
        b'{"model": "m", "max_tokens": 1, "messages": []}',
        endpoint=ENDPOINTS[adapter.name],
        timeout_s=2,
        on_text=lambda _: None,
    )

    assert [(adapter.name, "answer", "ambiguous", "reset")] == seen
