"""A provider whose every reply is counted, by operation, by what it meant, and by what HTTP said."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from app.providers import heard
from app.providers.port import (
    Accepted,
    Ambiguous,
    BatchReport,
    CreateReply,
    DeleteReply,
    Direct,
    DirectReply,
    Downloaded,
    DownloadReply,
    Gone,
    Handover,
    LaneClosed,
    Line,
    Listing,
    ListReply,
    Malformed,
    MarkUnreadError,
    NotFound,
    NotTaken,
    PollReply,
    Provider,
    RefusedForGood,
    Unreachable,
    UploadReply,
)

#: Provider, operation, one word for the reply, and what HTTP said last (`app.providers.heard`).
Note = Callable[[str, str, str, str], None]

_Reply = TypeVar("_Reply")

#: One word for each kind of reply, of whichever operation.
_WORDS: Final[dict[type[object], str]] = {
    Accepted: "accepted",
    Ambiguous: "ambiguous",
    BatchReport: "reported",
    Direct: "answered",
    Downloaded: "downloaded",
    Gone: "gone",
    LaneClosed: "lane_closed",
    Listing: "listed",
    NotFound: "not_found",
    NotTaken: "not_taken",
    RefusedForGood: "refused",
    Unreachable: "unreachable",
    # An upload's good reply is the file's id.
    str: "uploaded",
}


class Counted:
    """What it wraps, reply for reply. Counting never changes, delays or fails one."""

    def __init__(self, inner: Provider, note: Note) -> None:
        """`note` returns at once and raises nothing."""
        self.name = inner.name
        self.limits = inner.limits
        self.uploads = inner.uploads
        self._inner = inner
        self._note = note

    def write_body(
        self, requests: Iterable[tuple[str, Iterable[bytes]]], into: BinaryIO, *, endpoint: str
    ) -> None:
        """See `Provider`."""
        self._inner.write_body(requests, into, endpoint=endpoint)

    def newest_batch_id(self) -> str | None:
        """See `Provider`."""
        heard.forget()
        try:
            found = self._inner.newest_batch_id()
        except MarkUnreadError as error:
            self._count("list", error.reply)
            raise
        if not self.uploads:
            self._say("list", "listed")
        return found

    def upload(self, path: Path, *, name: str) -> UploadReply:
        """See `Provider`."""
        return self._counted("upload", lambda: self._inner.upload(path, name=name))

    def create(self, handover: Handover) -> CreateReply:
        """See `Provider`."""
        return self._counted("create", lambda: self._inner.create(handover))

    def poll(self, provider_batch_id: str) -> PollReply:
        """See `Provider`."""
        return self._counted("poll", lambda: self._inner.poll(provider_batch_id))

    def list_batches(self, *, newer_than: str | None, since: datetime) -> ListReply:
        """See `Provider`. However many pages it takes, it counts once."""
        return self._counted(
            "list", lambda: self._inner.list_batches(newer_than=newer_than, since=since)
        )

    def cancel(self, provider_batch_id: str) -> PollReply:
        """See `Provider`."""
        return self._counted("cancel", lambda: self._inner.cancel(provider_batch_id))

    def delete_file(self, file_id: str) -> DeleteReply:
        """See `Provider`."""
        return self._counted("delete", lambda: self._inner.delete_file(file_id))

    def download(
        self, report: BatchReport, into: BinaryIO, *, bytes_max: int | None = None
    ) -> DownloadReply:
        """See `Provider`. However many files it takes, it counts once."""
        return self._counted(
            "download", lambda: self._inner.download(report, into, bytes_max=bytes_max)
        )

    def read_lines(self, source: BinaryIO, *, endpoint: str) -> Iterator[Line | Malformed]:
        """See `Provider`."""
        return self._inner.read_lines(source, endpoint=endpoint)

    def answer(self, request: bytes, *, endpoint: str, timeout_s: float) -> DirectReply:
        """See `Provider`."""
        return self._counted(
            "answer", lambda: self._inner.answer(request, endpoint=endpoint, timeout_s=timeout_s)
        )

    def stream(
        self,
        request: bytes,
        *,
        endpoint: str,
        timeout_s: float,
        on_text: Callable[[str], None],
    ) -> DirectReply:
        """See `Provider`."""
        return self._counted(
            "answer",
            lambda: self._inner.stream(
                request, endpoint=endpoint, timeout_s=timeout_s, on_text=on_text
            ),
        )

    def close(self) -> None:
        """See `Provider`."""
        self._inner.close()

    def _counted(self, operation: str, ask: Callable[[], _Reply]) -> _Reply:
        heard.forget()
        try:
            reply = ask()
        except BaseException:
            self._say(operation, "raised")
            raise
        self._count(operation, reply)
        return reply

    def _count(self, operation: str, reply: object) -> None:
        self._say(operation, _WORDS.get(type(reply), "other"))

    def _say(self, operation: str, word: str) -> None:
        self._note(self.name, operation, word, heard.last())
