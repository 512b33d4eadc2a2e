"""The port that every provider adapter implements, and the values it speaks in.

An adapter translates; it decides nothing and remembers nothing. Every reply is a value of a closed
set: what a provider may do is not exceptional. Nothing of an SDK leaves this package.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

from app.policy.outcomes import Closed, Outcome, Transient
from app.policy.searching import ListedBatch


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchLimits:
    """What one provider batch may hold, with headroom already taken off."""

    requests_max: int
    bytes_max: int
    #: Bytes that a line costs beyond its request (custom_id, method, url, quotes, newline).
    line_overhead_bytes: int
    #: Enqueued prompt tokens for one model; None where the provider counts requests instead.
    tokens_max: int | None = None
    #: Inputs over all lines (embeddings); None where lines alone are counted.
    inputs_max: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Handover:
    """One submission, ready to be sent: everything the create call says."""

    submission_id: str
    deployment: str
    endpoint: str
    requests_count: int
    sha256: str
    #: The spooled body, written by `write_body` of the same adapter.
    path: Path
    #: The provider's id of the uploaded file; None where the body travels with the create.
    file_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The provider took the batch."""

    provider_batch_id: str
    status: str
    expires_at: datetime | None = None
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NotTaken:
    """A definite no that may become a yes: nothing was made, nothing was billed."""

    reason: str
    retry_after_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedForGood:
    """A definite no to this body: it must be mended or split. Nothing was made."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneClosed:
    """The account cannot submit (key, permission, billing, spend limit). A person must act."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ambiguous:
    """Nobody knows whether the batch exists. Never repeat the create: look for the batch."""

    reason: str


CreateReply = Accepted | NotTaken | RefusedForGood | LaneClosed | Ambiguous
UploadReply = str | NotTaken | RefusedForGood | LaneClosed


class Phase(StrEnum):
    """Where a provider batch is, for us. The provider's own word is kept as `status`."""

    RUNNING = "running"
    #: Ended with results to collect, whichever way it ended.
    ENDED = "ended"
    #: The provider refused the whole batch in validation: nothing ran, nothing was billed.
    VOID = "void"


@dataclass(frozen=True, kw_only=True, slots=True)
class LineError:
    """One reason why a provider refused a whole batch. `line` counts from 1; None where it names none."""

    code: str
    message: str
    line: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchReport:
    """A provider batch as it says it is. Counts are the provider's and may lie."""

    provider_batch_id: str
    phase: Phase
    status: str
    total: int = 0
    done: int = 0
    #: Ids of the result files to download; empty strings never appear here.
    result_files: tuple[str, ...] = ()
    errors: tuple[LineError, ...] = ()
    #: What a void batch means for each of its requests, where no request is at fault.
    blameless: Closed | Transient | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NotFound:
    """404 for an id we know: propagation, until proven otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreachable:
    """The provider could not be asked now; ask again after `retry_after_s` or our own backoff."""

    reason: str
    retry_after_s: float | None = None


PollReply = BatchReport | NotFound | Unreachable | LaneClosed


@dataclass(frozen=True, slots=True)
class Listing:
    """Every batch of the workspace that a look was for, ours and other people's."""

    batches: tuple[ListedBatch, ...]


ListReply = Listing | Unreachable | LaneClosed


@dataclass(frozen=True, slots=True)
class Gone:
    """The file does not exist any more, whoever deleted it."""


DeleteReply = Gone | Unreachable | LaneClosed


@dataclass(frozen=True, kw_only=True, slots=True)
class Downloaded:
    """All result files of a batch, one after the other, in `into`."""

    bytes_count: int


DownloadReply = Downloaded | NotFound | Unreachable | LaneClosed


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a result file, translated."""

    custom_id: str
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Malformed:
    """A line that is not a result: kept for people to look at, never guessed."""

    reason: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Direct:
    """A direct call got a definite end."""

    outcome: Outcome


DirectReply = Direct | NotTaken | LaneClosed | Ambiguous


class MarkUnreadError(Exception):
    """The mark could not be read; without it nothing may be created. Ask again as `reply` says."""

    def __init__(self, reply: NotFound | Unreachable | LaneClosed) -> None:
        self.reply = reply
        super().__init__(repr(reply))


class Provider(Protocol):
    """One account at one provider. Safe to share between threads; opens connections when first used."""

    name: str
    limits: BatchLimits
    #: Whether the body is uploaded as a file before the create.
    uploads: bool

    def write_body(
        self, requests: Iterable[tuple[str, Iterable[bytes]]], into: BinaryIO, *, endpoint: str
    ) -> None:
        """Write the batch body for pairs of a custom_id and request JSON in pieces, in constant memory."""
        ...

    def newest_batch_id(self) -> str | None:
        """The id of the workspace's newest batch, the mark an orphan search starts from.

        None where there is no batch yet, or the provider's batches carry a mark of ours instead.
        Raises MarkUnreadError.
        """
        ...

    def upload(self, path: Path, *, name: str) -> UploadReply:
        """Upload the body (streamed). Costs nothing and may be repeated."""
        ...

    def create(self, handover: Handover) -> CreateReply:
        """Make the batch: one POST, never retried here."""
        ...

    def poll(self, provider_batch_id: str) -> PollReply:
        """Ask how the batch is. May be repeated."""
        ...

    def list_batches(self, *, newer_than: str | None, since: datetime) -> ListReply:
        """Every batch made after the one of this id, and never one made before `since`.

        Complete or no answer at all: what is not listed is not there now.
        """
        ...

    def cancel(self, provider_batch_id: str) -> PollReply:
        """Ask for a batch to end. What has run stays paid. May be repeated."""
        ...

    def delete_file(self, file_id: str) -> DeleteReply:
        """Delete an uploaded body, so that no create of it can succeed from now on."""
        ...

    def download(
        self, report: BatchReport, into: BinaryIO, *, bytes_max: int | None = None
    ) -> DownloadReply:
        """Stream every result file of an ended batch into `into`, in constant memory.

        With `bytes_max` only the whole lines at the beginning of each.
        """
        ...

    def read_lines(self, source: BinaryIO, *, endpoint: str) -> Iterator[Line | Malformed]:
        """Translate downloaded results, line by line, in constant memory."""
        ...

    def answer(self, request: bytes, *, endpoint: str, timeout_s: float) -> DirectReply:
        """Send one direct call, once."""
        ...

    def stream(
        self,
        request: bytes,
        *,
        endpoint: str,
        timeout_s: float,
        on_text: Callable[[str], None],
    ) -> DirectReply:
        """As `answer`, and call `on_text` with the whole text so far whenever it has grown.

        A stream that breaks is ambiguous: what was told of it may have been paid for.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...
