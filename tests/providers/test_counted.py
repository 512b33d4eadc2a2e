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
        (name, "poll", "unreachable"): 2,
        (name, "create", "not_taken"): 1,
        (name, "list", "unreachable"): 1,
        (name, "answer", "not_taken"): 1,
    } == seen
    assert counted.limits is unreachable.limits
    assert counted.uploads == unreachable.uploads


def test_what_an_adapter_raises_goes_up(unreachable: Adapter) -> None:
    """
    Counted as `raised`.
    """
    seen = []
    counted = Counted(unreachable, lambda *labels: seen.append(labels))

    with pytest.raises(Exception, match="nowhere"):
        counted.answer(b'{"model": "m"}', endpoint="nowhere", timeout_s=1)
    assert [(unreachable.name, "answer", "raised")] == seen
