"""OpenAI's batch objects: what a create says, and what their fields mean."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import httpx2

from app.policy.names import Mark
from app.policy.outcomes import Closed, Transient
from app.policy.searching import ListedBatch
from app.providers import reading, replies
from app.providers.port import (
    Accepted,
    BatchReport,
    CreateReply,
    Handover,
    LineError,
    NotTaken,
    Phase,
)
from app.providers.strict_json import NotJsonError, parse_object

#: The address of an endpoint in a line and in a batch; a direct call's is the same under the base URL.
URLS: Final = {
    "responses": "/v1/responses",
    "chat": "/v1/chat/completions",
    "embeddings": "/v1/embeddings",
}
_ENDPOINTS: Final = {url: endpoint for endpoint, url in URLS.items()}
#: Names in a batch's metadata: what an orphan is known by.
_DEPLOYMENT: Final = "uh_dep"
_SUBMISSION: Final = "uh_sub"
_ENDED: Final = frozenset({"completed", "expired", "cancelled", "canceled"})
_LAGGING_FILE_STATUSES: Final = frozenset({400, 404})
_ABSENCES: Final = (
    "cannot find",
    "could not find",
    "not find",
    "no such",
    "not found",
    "not exist",
)
#: Refusals of a whole batch that say nothing about it: the same one may succeed later.
_PASSING: Final = frozenset({"internal_error", "server_error"})


def metadata(handover: Handover) -> dict[str, str]:
    """What the create says of us; listed with the batch ever after."""
    return {
        _DEPLOYMENT: handover.deployment,
        _SUBMISSION: handover.submission_id,
        "sha": handover.sha256,
        "n": str(handover.requests_count),
    }


def listed(batch: dict[str, Any]) -> ListedBatch | None:
    """A batch in a list; None where it has no id."""
    batch_id = reading.text(batch.get("id"))
    if batch_id is None:
        return None
    told = report(batch_id, batch)
    said = reading.fields(batch.get("metadata"))
    deployment, token = (reading.text(said.get(name)) for name in (_DEPLOYMENT, _SUBMISSION))
    return ListedBatch(
        provider_batch_id=batch_id,
        created_at=reading.moment(batch.get("created_at")),
        total=told.total,
        ended=told.phase is not Phase.RUNNING,
        mark=Mark(deployment, token) if deployment and token else None,
        file_id=reading.text(batch.get("input_file_id")),
        endpoint=_ENDPOINTS.get(reading.text(batch.get("endpoint")) or ""),
    )


def refused(failed: replies.Failure) -> CreateReply:
    """The reply to a create that failed; a file just uploaded may not be visible yet."""
    if failed.status in _LAGGING_FILE_STATUSES and _is_file_unseen(failed.message):
        return NotTaken(reason=str(failed), retry_after_s=failed.retry_after_s)
    return replies.of_create(failed)


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
        status=reading.text(batch.get("status")) or "",
        expires_at=reading.moment(batch.get("expires_at")),
        request_id=replies.request_id(response),
    )


def report(batch_id: str, batch: dict[str, Any]) -> BatchReport:
    """A batch as it says it is; any field may be missing."""
    status = reading.text(batch.get("status"), longest=100) or "unknown"
    counts = reading.fields(batch.get("request_counts"))
    ids = (batch.get("output_file_id"), batch.get("error_file_id"))
    files = tuple(file_id for file_id in map(reading.text, ids) if file_id)
    ends = ("completed_at", "expired_at", "cancelled_at", "failed_at")
    errors = tuple(_errors(batch))
    return BatchReport(
        provider_batch_id=batch_id,
        phase=_phase(status, has_results=bool(files)),
        status=status,
        total=reading.count(counts.get("total")),
        done=reading.count(
            reading.count(counts.get("completed")) + reading.count(counts.get("failed"))
        ),
        result_files=files,
        errors=errors,
        blameless=_blameless(errors),
        expires_at=reading.moment(batch.get("expires_at")),
        ended_at=next(filter(None, (reading.moment(batch.get(name)) for name in ends)), None),
    )


def _phase(status: str, *, has_results: bool) -> Phase:
    if status in _ENDED:
        return Phase.ENDED
    if status == "failed":
        # Results would have been paid for; without any, nothing ran.
        return Phase.ENDED if has_results else Phase.VOID
    return Phase.RUNNING


def _errors(batch: dict[str, Any]) -> Iterator[LineError]:
    for error in map(
        reading.fields, reading.items(reading.fields(batch.get("errors")).get("data"))
    ):
        yield LineError(
            code=reading.text(error.get("code"), longest=100) or "unknown_error",
            message=reading.text(error.get("message")) or "the provider gave no reason",
            line=reading.count(error.get("line")) or None,
        )


def _blameless(errors: Sequence[LineError]) -> Closed | Transient | None:
    """What a refused batch means for its requests where no line is named and none is to blame."""
    if any(error.line is not None for error in errors):
        return None
    for error in errors:
        said = replies.Words(code=error.code, message=error.message)
        if replies.is_the_accounts(said, blames_request=True):
            return Closed(code=error.code, message=error.message)
        # The validator has been seen not to find files that everybody else finds.
        unseen = error.code not in replies.MODEL_CODES and _is_file_unseen(error.message)
        if unseen or error.code in _PASSING:
            return Transient(code=error.code, message=error.message)
    return None


def _is_file_unseen(message: str) -> bool:
    """Whether the file is missed that was just uploaded: that passes, and no request is at fault."""
    said = message.lower()
    return "file" in said and any(phrase in said for phrase in _ABSENCES)
