"""Anthropic's batch objects: what their fields mean."""

from typing import Any, Final

import httpx2

from app.policy.searching import ListedBatch
from app.providers import reading, replies
from app.providers.port import Accepted, BatchReport, CreateReply, Phase
from app.providers.strict_json import NotJsonError, parse_object

_DONE_COUNTS: Final = ("succeeded", "errored", "canceled", "expired")


def accepted(response: httpx2.Response) -> CreateReply:
    """The reply to a create that says success; ambiguous where it names no batch."""
    try:
        batch = parse_object(response.content)
    except NotJsonError:
        batch = {}
    batch_id = reading.text(batch.get("id"))
    if batch_id is None:
        return replies.of_create(replies.unreadable(response))
    return Accepted(
        provider_batch_id=batch_id,
        status=reading.text(batch.get("processing_status")) or "",
        expires_at=reading.moment(batch.get("expires_at")),
        request_id=replies.request_id(response),
    )


def report(batch_id: str, batch: dict[str, Any]) -> BatchReport:
    """A batch as it says it is; any field may be missing."""
    status = reading.text(batch.get("processing_status"), longest=100) or "unknown"
    counts = reading.fields(batch.get("request_counts"))
    done = sum(reading.count(counts.get(name)) for name in _DONE_COUNTS)
    ended = status == "ended"
    # An archived batch is listed for ever; its results are gone.
    kept = ended and batch.get("archived_at") is None
    return BatchReport(
        provider_batch_id=batch_id,
        phase=Phase.ENDED if ended else Phase.RUNNING,
        status=status,
        total=reading.count(done + reading.count(counts.get("processing"))),
        done=reading.count(done),
        result_files=(batch_id,) if kept else (),
        expires_at=reading.moment(batch.get("expires_at")),
        ended_at=reading.moment(batch.get("ended_at")),
    )


def listed(batch: dict[str, Any]) -> ListedBatch | None:
    """A batch in a list; None where it has no id. Nothing in it is ours until its results are."""
    batch_id = reading.text(batch.get("id"))
    if batch_id is None:
        return None
    told = report(batch_id, batch)
    return ListedBatch(
        provider_batch_id=batch_id,
        created_at=reading.moment(batch.get("created_at")),
        total=told.total,
        ended=told.phase is Phase.ENDED,
        endpoint="messages",
    )
