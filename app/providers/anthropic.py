"""Anthropic Message Batches and Messages, through Anthropic's SDK."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from urllib.parse import quote

import anthropic
import httpx2

from app.policy.outcomes import Outcome
from app.providers import anthropic_lines, downloads, lines, reading, replies
from app.providers.port import (
    Accepted,
    BatchLimits,
    BatchReport,
    CreateReply,
    Direct,
    DirectReply,
    Downloaded,
    DownloadReply,
    Handover,
    Line,
    Malformed,
    MarkUnreadError,
    Phase,
    PollReply,
    RefusedForGood,
    UploadReply,
)
from app.providers.strict_json import NotJsonError, encode, parse_object

_BATCHES: Final = "/v1/messages/batches"
_JSON: Final = {"Content-Type": "application/json"}
#: 100,000 requests and 256 MB are documented; a tenth of the bytes is left for what nobody counted.
_REQUESTS_MAX: Final = 100_000
_BYTES_MAX: Final = 256_000_000 * 9 // 10
#: `{"custom_id":"<51 characters>","params":},`, rounded up.
_LINE_OVERHEAD_BYTES: Final = 96
_DONE_COUNTS: Final = ("succeeded", "errored", "canceled", "expired")
_FAILURES: Final = (anthropic.AnthropicError, httpx2.HTTPError, httpx2.StreamError)


class AnthropicProvider:
    """One workspace at Anthropic."""

    name = "anthropic"
    limits = BatchLimits(
        requests_max=_REQUESTS_MAX,
        bytes_max=_BYTES_MAX,
        line_overhead_bytes=_LINE_OVERHEAD_BYTES,
    )
    uploads = False

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        deployment: str,
        connect_timeout_s: float,
        create_timeout_s: float,
        sync_timeout_s: float,
    ) -> None:
        """`deployment` is the tag of our custom_ids. Opens no connection."""
        self.deployment = deployment
        self._api_key = api_key
        self._base_url = base_url
        self._connect_timeout_s = connect_timeout_s
        self._create_timeout_s = create_timeout_s
        self._asking = self._client(sync_timeout_s, follow_redirects=True)

    def write_body(
        self, requests: Iterable[tuple[str, bytes]], into: BinaryIO, *, endpoint: str
    ) -> None:
        """See `Provider`. One JSON object; the requests' own bytes are embedded as they are."""
        _require_messages(endpoint)
        separator = b'{"requests":['
        for custom_id, request in requests:
            into.write(b'%s{"custom_id":%s,"params":%s}' % (separator, encode(custom_id), request))
            separator = b","
        into.write(b"]}")

    def newest_batch_id(self) -> str | None:
        """See `Provider`. Anthropic documents that batches are listed newest first."""
        try:
            reply = self._asking.messages.batches.with_raw_response.list(limit=1)
            page = parse_object(reply.http_response.content)
        except NotJsonError:
            raise MarkUnreadError(
                replies.of_question(replies.unreadable(reply.http_response))
            ) from None
        except _FAILURES as error:
            raise MarkUnreadError(replies.of_question(replies.failure(error))) from error
        for batch in map(reading.fields, reading.items(page.get("data"))):
            return reading.text(batch.get("id"))
        return None

    def upload(self, path: Path, *, name: str) -> UploadReply:
        """Anthropic takes the body with the create."""
        return RefusedForGood(code="no_uploads", message=f"{name} ({path}) travels with the create")

    def create(self, handover: Handover) -> CreateReply:
        """See `Provider`. Sending and waiting may each take `create_timeout_s`."""
        # A connection of its own: one kept alive may be closed by the other side in the very moment
        # that it is used again, and that would leave the create in doubt.
        with self._client(self._create_timeout_s, follow_redirects=False) as client:
            try:
                response = client.post(
                    _BATCHES,
                    cast_to=httpx2.Response,
                    content=_chunks(handover.path, within_s=self._create_timeout_s),
                    options={
                        "headers": {
                            **_JSON,
                            "Content-Length": str(handover.path.stat().st_size),
                            # Not documented to do anything; it costs nothing.
                            "Idempotency-Key": f"uh-{handover.submission_id}",
                        }
                    },
                )
            except _FAILURES as error:
                return replies.of_create(replies.failure(error))
        return _accepted(response)

    def poll(self, provider_batch_id: str) -> PollReply:
        """See `Provider`. Until a batch ends, all its requests count as processing."""
        try:
            reply = self._asking.messages.batches.with_raw_response.retrieve(provider_batch_id)
            return _report(provider_batch_id, parse_object(reply.http_response.content))
        except NotJsonError:
            return replies.of_question(replies.unreadable(reply.http_response))
        except _FAILURES as error:
            return replies.of_question(replies.failure(error))

    def download(self, report: BatchReport, into: BinaryIO) -> DownloadReply:
        """See `Provider`. On any reply but `Downloaded`, `into` is as it was.

        The address is built on our own base URL: `results_url` could name a host that must not
        see the key.
        """
        start = into.tell()
        written = 0
        try:
            for batch_id in report.result_files:
                written += self._stream(f"{_BATCHES}/{quote(batch_id, safe='')}/results", into)
        except downloads.CutShortError as error:
            downloads.rewind(into, start)
            return replies.cut_short(error)
        except _FAILURES as error:
            downloads.rewind(into, start)
            return replies.of_question(replies.failure(error))
        return Downloaded(bytes_count=written)

    def read_lines(self, source: BinaryIO, *, endpoint: str) -> Iterator[Line | Malformed]:
        """See `Provider`."""
        _require_messages(endpoint)
        return lines.read(source, anthropic_lines.record)

    def answer(self, request: bytes, *, endpoint: str, timeout_s: float) -> DirectReply:
        """See `Provider`. The same bytes travel here as in a batch."""
        _require_messages(endpoint)
        try:
            response = self._asking.post(
                "/v1/messages",
                cast_to=httpx2.Response,
                content=request,
                options={
                    "headers": _JSON,
                    "timeout": self._timeout(timeout_s),
                    "follow_redirects": False,
                },
            )
        except _FAILURES as error:
            return replies.of_direct(replies.failure(error))
        return _answered(response)

    def close(self) -> None:
        """See `Provider`."""
        self._asking.close()

    def _client(self, timeout_s: float, *, follow_redirects: bool) -> anthropic.Anthropic:
        return anthropic.Anthropic(
            api_key=self._api_key,
            base_url=self._base_url,
            # Retries are ours: the SDK would repeat a create whose reply was lost, and pay twice.
            max_retries=0,
            timeout=self._timeout(timeout_s),
            http_client=anthropic.DefaultHttpxClient(follow_redirects=follow_redirects),
        )

    def _timeout(self, timeout_s: float) -> httpx2.Timeout:
        connect_s = min(self._connect_timeout_s, timeout_s)
        return httpx2.Timeout(timeout_s, connect=connect_s, pool=connect_s)

    def _stream(self, path: str, into: BinaryIO) -> int:
        stream = self._asking.get(
            path,
            cast_to=httpx2.Response,
            options={"headers": downloads.PLAIN},
            stream=True,
            stream_cls=anthropic.Stream[object],
        )
        # With this `cast_to` the SDK hands over the response itself, unread; its types do not say so.
        response = cast("httpx2.Response", stream)
        try:
            return downloads.stream(response, into)
        finally:
            response.close()


def _require_messages(endpoint: str) -> None:
    if endpoint != "messages":
        raise ValueError(f"Anthropic has no endpoint {endpoint!r}")


def _chunks(path: Path, *, within_s: float) -> Iterator[bytes]:
    """The file's bytes; gives up when sending takes too long, which leaves the body incomplete."""
    give_up_at = time.monotonic() + within_s
    with path.open("rb") as body:
        while chunk := body.read(downloads.CHUNK_BYTES):
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"the body was not sent within {within_s} s")
            yield chunk


def _accepted(response: httpx2.Response) -> CreateReply:
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


def _report(batch_id: str, batch: dict[str, Any]) -> BatchReport:
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
        total=done + reading.count(counts.get("processing")),
        done=done,
        result_files=(batch_id,) if kept else (),
        expires_at=reading.moment(batch.get("expires_at")),
        ended_at=reading.moment(batch.get("ended_at")),
    )


def _answered(response: httpx2.Response) -> DirectReply:
    outcome: Outcome | str
    try:
        fields = parse_object(response.content)
        outcome = anthropic_lines.message(fields, request_id=replies.request_id(response))
    except NotJsonError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        return replies.of_direct(replies.unreadable(response))
    return Direct(outcome=outcome)
