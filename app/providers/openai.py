"""OpenAI's files, batches and responses, through OpenAI's SDK; also for those who speak that wire."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx2
import openai

from app.keys import Key
from app.providers import (
    downloads,
    lines,
    listing,
    openai_batches,
    openai_bodies,
    openai_lines,
    openai_streams,
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
    Gone,
    Handover,
    Line,
    ListReply,
    Malformed,
    NotFound,
    PollReply,
    UploadReply,
)
from app.providers.streaming import OnText
from app.providers.strict_json import NotJsonError, encode, parse_object

#: 50,000 requests and 200 MB are documented; a tenth of the bytes is left for what nobody counted.
_REQUESTS_MAX: Final = 50_000
_BYTES_MAX: Final = 200_000_000 * 9 // 10
#: `{"custom_id":"<51 characters>","method":"POST","url":"/v1/responses","body":}\\n`, rounded up.
_LINE_OVERHEAD_BYTES: Final = 144
#: The longest that OpenAI keeps output files, counted from their creation.
_OUTPUT_KEPT_S: Final = 30 * 24 * 3600
_JSON: Final = {"Content-Type": "application/json"}
_READS: Final[Mapping[str, openai_lines.Read]] = {
    "responses": openai_lines.answer,
    "chat": openai_bodies.chat,
    "embeddings": openai_bodies.embeddings,
}
#: The largest page that OpenAI gives.
_LIST_PAGE: Final = 100
#: A ValueError is an SDK's, of an id that no address can hold or a key that no header can.
_FAILURES: Final = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, ValueError)


class OpenAIProvider:
    """One project at OpenAI."""

    name = "openai"
    #: Enqueued tokens are limited too, by a figure that only the account's limits page knows.
    limits = BatchLimits(
        requests_max=_REQUESTS_MAX,
        bytes_max=_BYTES_MAX,
        line_overhead_bytes=_LINE_OVERHEAD_BYTES,
        # Documented for embeddings, over all lines; any other line is one input.
        inputs_max=_REQUESTS_MAX,
    )
    uploads = True

    def __init__(
        self,
        *,
        api_key: Key,
        base_url: str | None,
        connect_timeout_s: float,
        create_timeout_s: float,
        sync_timeout_s: float,
        organization: str | None = None,
        project: str | None = None,
    ) -> None:
        """Opens no connection."""
        self._api_key = api_key
        self._base_url = base_url
        self._organization = organization
        self._project = project
        self._connect_timeout_s = connect_timeout_s
        self._create_timeout_s = create_timeout_s
        self._kept = self._client(sync_timeout_s, follow_redirects=True)

    def write_body(
        self, requests: Iterable[tuple[str, Iterable[bytes]]], into: BinaryIO, *, endpoint: str
    ) -> None:
        """See `Provider`. One JSON line for each; the requests' own bytes are embedded as they are."""
        url = encode(_url(endpoint))
        for custom_id, request in requests:
            into.write(
                b'{"custom_id":%s,"method":"POST","url":%s,"body":' % (encode(custom_id), url)
            )
            into.writelines(request)
            into.write(b"}\n")

    def newest_batch_id(self) -> str | None:
        """None: batches carry our submission in their metadata, so a search needs no mark."""
        return None

    def upload(self, path: Path, *, name: str) -> UploadReply:
        """See `Provider`. OpenAI takes no batch file whose name does not end in `.jsonl`."""
        filename = name if name.endswith(".jsonl") else f"{name}.jsonl"
        # An open file is streamed; a path or bytes would be read into memory as a whole.
        with (
            path.open("rb") as body,
            self._client(self._create_timeout_s, follow_redirects=False) as client,
        ):
            try:
                reply = client.files.with_raw_response.create(
                    file=(filename, body, "application/jsonl"), purpose="batch"
                )
                file_id = reading.text(parse_object(reply.http_response.content).get("id"))
            except NotJsonError:
                file_id = None
            except _FAILURES as error:
                return replies.of_upload(replies.failure(error))
        return file_id or replies.of_upload(replies.unreadable(reply.http_response))

    def create(self, handover: Handover) -> CreateReply:
        """See `Provider`. The metadata is what an orphan is known by."""
        if handover.file_id is None:
            raise ValueError("the body must be uploaded first")
        url = _url(handover.endpoint)
        # A connection of its own: one kept alive may be closed by the other side in the very moment
        # that it is used again, and that would leave the create in doubt.
        with self._client(self._create_timeout_s, follow_redirects=False) as client:
            try:
                reply = client.batches.with_raw_response.create(
                    input_file_id=handover.file_id,
                    # The SDK lists the endpoints that it knows; others on this wire have more.
                    endpoint=url,  # type: ignore[arg-type]
                    completion_window="24h",
                    metadata=openai_batches.metadata(handover),
                    output_expires_after={"anchor": "created_at", "seconds": _OUTPUT_KEPT_S},
                    # Not documented to do anything; it costs nothing.
                    extra_headers={"Idempotency-Key": f"uh-{handover.submission_id}"},
                )
            except _FAILURES as error:
                return openai_batches.refused(replies.failure(error))
        return openai_batches.accepted(reply.http_response)

    def poll(self, provider_batch_id: str) -> PollReply:
        """See `Provider`."""
        try:
            reply = self._asking.batches.with_raw_response.retrieve(provider_batch_id)
            return openai_batches.report(
                provider_batch_id, parse_object(reply.http_response.content)
            )
        except NotJsonError:
            return replies.of_question(replies.unreadable(reply.http_response))
        except _FAILURES as error:
            return replies.of_question(replies.failure(error))

    def list_batches(self, *, newer_than: str | None, since: datetime) -> ListReply:
        """See `Provider`. OpenAI documents no order, and filters by nothing."""

        def ask(cursor: str | None) -> httpx2.Response:
            after = openai.omit if cursor is None else cursor
            reply = self._asking.batches.with_raw_response.list(limit=_LIST_PAGE, after=after)
            return reply.http_response

        return listing.walk(
            ask, openai_batches.listed, newer_than=newer_than, since=since, failures=_FAILURES
        )

    def cancel(self, provider_batch_id: str) -> PollReply:
        """See `Provider`. What runs is waited for, up to ten minutes by OpenAI's documentation."""
        try:
            reply = self._asking.batches.with_raw_response.cancel(provider_batch_id)
            return openai_batches.report(
                provider_batch_id, parse_object(reply.http_response.content)
            )
        except NotJsonError:
            return replies.of_question(replies.unreadable(reply.http_response))
        except _FAILURES as error:
            return replies.of_question(replies.failure(error))

    def delete_file(self, file_id: str) -> DeleteReply:
        """See `Provider`."""
        try:
            self._asking.files.with_raw_response.delete(file_id)
        except _FAILURES as error:
            reply = replies.of_question(replies.failure(error))
            return Gone() if isinstance(reply, NotFound) else reply
        return Gone()

    def download(
        self, report: BatchReport, into: BinaryIO, *, bytes_max: int | None = None
    ) -> DownloadReply:
        """See `Provider`. On any reply but `Downloaded`, `into` is as it was."""
        start = into.tell()
        written = 0
        try:
            for file_id in report.result_files:
                with self._asking.files.with_streaming_response.content(
                    file_id, extra_headers=downloads.PLAIN
                ) as reply:
                    written += downloads.stream(reply.http_response, into, bytes_max=bytes_max)
        except downloads.CutShortError as error:
            downloads.rewind(into, start)
            return replies.cut_short(error)
        except _FAILURES as error:
            downloads.rewind(into, start)
            return replies.of_question(replies.failure(error))
        return Downloaded(bytes_count=written)

    def read_lines(self, source: BinaryIO, *, endpoint: str) -> Iterator[Line | Malformed]:
        """See `Provider`."""
        _url(endpoint)
        return lines.read(source, partial(openai_lines.record, read=_READS[endpoint]))

    def answer(self, request: bytes, *, endpoint: str, timeout_s: float) -> DirectReply:
        """See `Provider`. The same bytes travel here as in a batch."""
        url = _url(endpoint)
        try:
            response = self._asking.post(
                url.removeprefix("/v1"),
                cast_to=httpx2.Response,
                content=request,
                options=self._direct_options(timeout_s),
            )
        except _FAILURES as error:
            return replies.of_direct(replies.failure(error))
        return _answered(response, _READS[endpoint])

    def stream(
        self, request: bytes, *, endpoint: str, timeout_s: float, on_text: OnText
    ) -> DirectReply:
        """See `Provider`. Embeddings come at once: there is nothing to tell in between."""
        if endpoint == "embeddings":
            return self.answer(request, endpoint=endpoint, timeout_s=timeout_s)
        return openai_streams.answer(
            self._asking,
            request,
            endpoint=endpoint,
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
    def _asking(self) -> openai.OpenAI:
        """The client whose connections are kept, with the key as of now."""
        self._kept.api_key = self._api_key()
        return self._kept

    def _client(self, timeout_s: float, *, follow_redirects: bool) -> openai.OpenAI:
        return openai.OpenAI(
            api_key=self._api_key(),
            base_url=self._base_url,
            organization=self._organization,
            project=self._project,
            # Retries are ours: the SDK would repeat a create whose reply was lost, and pay twice.
            max_retries=0,
            timeout=self._timeout(timeout_s),
            http_client=_Client(follow_redirects=follow_redirects),
        )

    def _timeout(self, timeout_s: float) -> httpx2.Timeout:
        connect_s = min(self._connect_timeout_s, timeout_s)
        return httpx2.Timeout(timeout_s, connect=connect_s, pool=connect_s)


class _Client(Hearing, openai.DefaultHttpxClient):
    """The SDK's own client, which says what it hears."""


def _url(endpoint: str) -> str:
    if endpoint not in openai_batches.URLS:
        raise ValueError(f"no endpoint {endpoint!r} on this wire")
    return openai_batches.URLS[endpoint]


def _answered(response: httpx2.Response, read: openai_lines.Read) -> DirectReply:
    try:
        fields = parse_object(response.content)
        outcome = read(fields, request_id=replies.request_id(response))
    except NotJsonError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        return replies.of_direct(replies.unreadable(response))
    return Direct(outcome=outcome)
