"""Anthropic Message Batches and Messages, through Anthropic's SDK."""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from urllib.parse import quote

import anthropic
import httpx2

from app.keys import Key
from app.policy.outcomes import Outcome
from app.providers import (
    anthropic_batches,
    anthropic_lines,
    anthropic_streams,
    downloads,
    lines,
    listing,
    reading,
    replies,
)
from app.providers.heard import Hearing
from app.providers.port import (
    BatchLimits,
    BatchReport,
    CreateReply,
    DeleteReply,
    Direct,
    DirectReply,
    Downloaded,
    DownloadReply,
    Handover,
    Line,
    ListReply,
    Malformed,
    MarkUnreadError,
    PollReply,
    RefusedForGood,
    UploadReply,
)
from app.providers.streaming import OnText
from app.providers.strict_json import NotJsonError, encode, parse_object

_BATCHES: Final = "/v1/messages/batches"
_JSON: Final = {"Content-Type": "application/json"}
#: 100,000 requests and 256 MB are documented; a tenth of the bytes is left for what nobody counted.
_REQUESTS_MAX: Final = 100_000
_BYTES_MAX: Final = 256_000_000 * 9 // 10
#: `{"custom_id":"<51 characters>","params":},`, rounded up.
_LINE_OVERHEAD_BYTES: Final = 96
#: The largest page that Anthropic gives.
_LIST_PAGE: Final = 1000
#: A ValueError is an SDK's, of an id that no address can hold or a key that no header can.
_FAILURES: Final = (anthropic.AnthropicError, httpx2.HTTPError, httpx2.StreamError, ValueError)


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
        api_key: Key,
        base_url: str | None,
        connect_timeout_s: float,
        create_timeout_s: float,
        sync_timeout_s: float,
    ) -> None:
        """Opens no connection."""
        self._api_key = api_key
        self._base_url = base_url
        self._connect_timeout_s = connect_timeout_s
        self._create_timeout_s = create_timeout_s
        self._kept = self._client(sync_timeout_s, follow_redirects=True)

    def write_body(
        self, requests: Iterable[tuple[str, Iterable[bytes]]], into: BinaryIO, *, endpoint: str
    ) -> None:
        """See `Provider`. One JSON object; the requests' own bytes are embedded as they are."""
        _require_messages(endpoint)
        separator = b'{"requests":['
        for custom_id, request in requests:
            into.write(b'%s{"custom_id":%s,"params":' % (separator, encode(custom_id)))
            into.writelines(request)
            into.write(b"}")
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
        return anthropic_batches.accepted(response)

    def poll(self, provider_batch_id: str) -> PollReply:
        """See `Provider`. Until a batch ends, all its requests count as processing."""
        try:
            reply = self._asking.messages.batches.with_raw_response.retrieve(provider_batch_id)
            return anthropic_batches.report(
                provider_batch_id, parse_object(reply.http_response.content)
            )
        except NotJsonError:
            return replies.of_question(replies.unreadable(reply.http_response))
        except _FAILURES as error:
            return replies.of_question(replies.failure(error))

    def list_batches(self, *, newer_than: str | None, since: datetime) -> ListReply:
        """See `Provider`. Anthropic documents that the newest come first."""

        def ask(cursor: str | None) -> httpx2.Response:
            after = anthropic.omit if cursor is None else cursor
            reply = self._asking.messages.batches.with_raw_response.list(
                limit=_LIST_PAGE, after_id=after
            )
            return reply.http_response

        return listing.walk(
            ask, anthropic_batches.listed, newer_than=newer_than, since=since, failures=_FAILURES
        )

    def cancel(self, provider_batch_id: str) -> PollReply:
        """See `Provider`. Requests that have not begun are not billed."""
        try:
            reply = self._asking.messages.batches.with_raw_response.cancel(provider_batch_id)
            return anthropic_batches.report(
                provider_batch_id, parse_object(reply.http_response.content)
            )
        except NotJsonError:
            return replies.of_question(replies.unreadable(reply.http_response))
        except _FAILURES as error:
            return replies.of_question(replies.failure(error))

    def delete_file(self, file_id: str) -> DeleteReply:
        """Anthropic takes the body with the create: there is never a file."""
        raise ValueError(f"no file {file_id} was uploaded: the body travels with the create")

    def download(
        self, report: BatchReport, into: BinaryIO, *, bytes_max: int | None = None
    ) -> DownloadReply:
        """See `Provider`. On any reply but `Downloaded`, `into` is as it was.

        The address is built on our own base URL: `results_url` could name a host that must not
        see the key.
        """
        start = into.tell()
        written = 0
        try:
            for batch_id in report.result_files:
                path = f"{_BATCHES}/{quote(batch_id, safe='')}/results"
                written += self._stream(path, into, bytes_max)
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
                options=self._direct_options(timeout_s),
            )
        except _FAILURES as error:
            return replies.of_direct(replies.failure(error))
        return _answered(response)

    def stream(
        self, request: bytes, *, endpoint: str, timeout_s: float, on_text: OnText
    ) -> DirectReply:
        """See `Provider`."""
        _require_messages(endpoint)
        return anthropic_streams.answer(
            self._asking,
            request,
            options=self._direct_options(timeout_s),
            timeout_s=timeout_s,
            on_text=on_text,
        )

    def close(self) -> None:
        """See `Provider`."""
        self._kept.close()

    def _direct_options(self, timeout_s: float) -> Any:
        """The SDK's options of a direct call: sent once, to the address we know."""
        return {
            "headers": _JSON,
            "timeout": self._timeout(timeout_s),
            "follow_redirects": False,
        }

    @property
    def _asking(self) -> anthropic.Anthropic:
        """The client whose connections are kept, with the key as of now."""
        self._kept.api_key = self._api_key()
        return self._kept

    def _client(self, timeout_s: float, *, follow_redirects: bool) -> anthropic.Anthropic:
        return anthropic.Anthropic(
            api_key=self._api_key(),
            base_url=self._base_url,
            # Retries are ours: the SDK would repeat a create whose reply was lost, and pay twice.
            max_retries=0,
            timeout=self._timeout(timeout_s),
            http_client=_Client(follow_redirects=follow_redirects),
        )

    def _timeout(self, timeout_s: float) -> httpx2.Timeout:
        connect_s = min(self._connect_timeout_s, timeout_s)
        return httpx2.Timeout(timeout_s, connect=connect_s, pool=connect_s)

    def _stream(self, path: str, into: BinaryIO, bytes_max: int | None) -> int:
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
            return downloads.stream(response, into, bytes_max=bytes_max)
        finally:
            response.close()


class _Client(Hearing, anthropic.DefaultHttpxClient):
    """The SDK's own client, which says what it hears."""


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
