"""Walks a provider's list of batches, towards older ones, until nothing newer can follow."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx2

from app.policy.searching import ListedBatch
from app.providers import reading, replies
from app.providers.port import LaneClosed, Listing, NotFound, Unreachable
from app.providers.strict_json import NotJsonError, parse_object

#: Pages of one walk. A longer list is no answer: whatever was not seen may be ours.
PAGES_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class _Page:
    batches: tuple[ListedBatch, ...]
    #: Where the next page begins; None where this is the last.
    cursor: str | None


def walk(
    ask: Callable[[str | None], httpx2.Response],
    read: Callable[[dict[str, Any]], ListedBatch | None],
    *,
    newer_than: str | None,
    since: datetime,
    failures: tuple[type[Exception], ...],
) -> Listing | Unreachable | LaneClosed:
    """Every batch newer than the one of this id, and in any case those made after `since`.

    The walk ends at that id, or with a page on which every batch is older: only Anthropic documents an
    order (newest first), so a single older batch ends nothing. `ask` gets one page, from the cursor on,
    and may raise `failures`.
    """
    found: list[ListedBatch] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = _page(ask, read, cursor, failures)
        if not isinstance(page, _Page):
            return page
        newer = list(_until(page.batches, newer_than))
        found.extend(batch for batch in newer if not _is_older(batch, since))
        at_the_mark = len(newer) < len(page.batches)
        all_older = all(_is_older(batch, since) for batch in page.batches)
        if at_the_mark or all_older or page.cursor is None:
            return Listing(tuple(found))
        cursor = page.cursor
    return Unreachable(
        reason=f"more than {PAGES_MAX} pages of batches since {since:%Y-%m-%d %H:%M}"
    )


def _page(
    ask: Callable[[str | None], httpx2.Response],
    read: Callable[[dict[str, Any]], ListedBatch | None],
    cursor: str | None,
    failures: tuple[type[Exception], ...],
) -> _Page | Unreachable | LaneClosed:
    try:
        response = ask(cursor)
    except failures as error:
        return _no_list(replies.of_question(replies.failure(error)))
    try:
        body = parse_object(response.content)
    except NotJsonError:
        return _no_list(replies.of_question(replies.unreadable(response)))
    if not isinstance(body.get("data"), list):
        return _no_list(replies.of_question(replies.unreadable(response)))
    entries = [dict(reading.fields(entry)) for entry in body["data"]]
    batches = [read(entry) for entry in entries]
    if None in batches:
        return Unreachable(reason="a listed batch has no id")
    more = body.get("has_more") is True
    if more and not batches:
        return Unreachable(reason="a page without a batch says that more follow")
    last = batches[-1].provider_batch_id if batches and batches[-1] else None
    return _Page(tuple(batch for batch in batches if batch), last if more else None)


def _no_list(reply: NotFound | Unreachable | LaneClosed) -> Unreachable | LaneClosed:
    """A list that is not there says nothing of what it would hold."""
    if isinstance(reply, NotFound):
        return Unreachable(reason="the provider does not list its batches")
    return reply


def _until(batches: tuple[ListedBatch, ...], mark: str | None) -> Iterator[ListedBatch]:
    for batch in batches:
        if batch.provider_batch_id == mark:
            return
        yield batch


def _is_older(batch: ListedBatch, since: datetime) -> bool:
    return batch.created_at is not None and batch.created_at < since
