"""A provider's adapter whose other side is a workspace in this process, with everything a wire can do to it."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from app.policy.names import Mark
from app.policy.outcomes import (
    Answered,
    Cancelled,
    Finish,
    Lapsed,
    Outcome,
    Rejected,
    Transient,
    Usage,
)
from app.policy.searching import ListedBatch
from app.providers.port import (
    Accepted,
    Ambiguous,
    BatchLimits,
    BatchReport,
    CreateReply,
    DeleteReply,
    DirectReply,
    Downloaded,
    DownloadReply,
    Gone,
    Handover,
    Line,
    LineError,
    Listing,
    ListReply,
    Malformed,
    MarkUnreadError,
    NotFound,
    NotTaken,
    Phase,
    PollReply,
    RefusedForGood,
    Unreachable,
    UploadReply,
)
from tests.simulation.chance import SEND_EDGE, Deed
from tests.simulation.workspace import INPUT_TOKENS, Batch, Workspace, answer_to
from tests.simulation.world import World

MODELS: Final = {"anthropic": "claude-haiku-4-5", "openai": "gpt-5-mini"}
#: A create that its caller has given up may still arrive this much later: half of the settle time, with
#: the pause before the send in the other half. In a weak world there is no such bound.
_LATE_MAX_S: Final = {"anthropic": 800.0, "openai": 300.0}
_LATE_WEAK_S: Final = 20_000.0
_CREATE_TIMEOUT_S: Final = 120.0
_REPLY_S: Final = 2.0
_RETRY_AFTER_S: Final = 30.0
_BAD_DOWNLOADS_MAX: Final = 2


@dataclass
class SimulatedProvider:
    """Implements `Provider` over a workspace. Safe to share by processes: it keeps nothing itself."""

    world: World
    workspace: Workspace

    def __post_init__(self) -> None:
        self.name = self.workspace.kind
        self.uploads = self.name == "openai"
        self.limits = BatchLimits(requests_max=6, bytes_max=1_000_000, line_overhead_bytes=100)

    def write_body(
        self, requests: Iterable[tuple[str, Iterable[bytes]]], into: BinaryIO, *, endpoint: str
    ) -> None:
        """One line for each."""
        del endpoint
        for custom_id, pieces in requests:
            into.write(b'{"custom_id": "%s", "request": ' % custom_id.encode())
            into.writelines(pieces)
            into.write(b"}\n")

    def newest_batch_id(self) -> str | None:
        """Where Anthropic's search starts from."""
        if self.name == "openai":
            return None
        self._ask("newest", MarkUnreadError)
        batches = list(self.workspace.batches)
        self._edge("newest:after")
        return batches[-1] if batches else None

    def upload(self, path: Path, *, name: str) -> UploadReply:
        """Keeps the body; a lost reply leaves a file that nobody knows."""
        del name
        self._edge("upload:before")
        if self._happens("create_refused"):
            return NotTaken(reason="429", retry_after_s=_RETRY_AFTER_S)
        file_id = self.workspace.add_file(path.read_bytes())
        deed = self._edge("upload:after", takes_s=self._span())
        if deed is Deed.CUT_AFTER or self._happens("unreachable"):
            return NotTaken(reason="no reply to the upload")
        return file_id

    def create(self, handover: Handover) -> CreateReply:
        """The one call that costs money."""
        body = handover.path.read_bytes()
        if self.world.edge(SEND_EDGE) is Deed.CUT_BEFORE:
            return NotTaken(reason="connection refused")
        if self._happens("create_refused"):
            return self._refusal()
        is_late = self._happens("create_late")
        if is_late or self._happens("create_never"):
            if is_late:
                self._arrive_late(body, handover)
            self._make_twin(handover)
            self._edge("create:silence", takes_s=_CREATE_TIMEOUT_S)
            return Ambiguous(reason="still under way" if is_late else "never arrived")
        batch = self._arrive(body, handover)
        if batch is None:
            return NotTaken(reason="the file is not found")
        deed = self._edge("create:after", takes_s=self._span())
        if deed is Deed.CUT_AFTER or self._happens("create_lost"):
            self.world.counts["replies_lost"] += 1
            self._make_twin(handover)
            return Ambiguous(reason="the reply was lost")
        return Accepted(provider_batch_id=batch.id, status="in_progress")

    def poll(self, provider_batch_id: str) -> PollReply:
        """How a batch is."""
        problem = self._problem("poll")
        if problem is not None:
            return problem
        batch = self.workspace.batches[provider_batch_id]
        if self._happens("not_found"):
            return NotFound()
        self._edge("poll:after")
        return self._report(batch)

    def list_batches(self, *, newer_than: str | None, since: datetime) -> ListReply:
        """All that are to be seen, the newest first."""
        del since  # nothing here is older than the hour that clocks may be apart
        problem = self._problem("list")
        if problem is not None:
            return problem
        now_s = self.world.now_s
        newest_first = reversed(list(self.workspace.batches.values()))
        seen = []
        for batch in newest_first:
            if batch.id == newer_than:
                break
            if batch.listed_s <= now_s:
                seen.append(self._listed(batch))
        if newer_than is None:
            self.workspace.listed_s = now_s
        self._edge("list:after")
        return Listing(tuple(seen))

    def cancel(self, provider_batch_id: str) -> PollReply:
        """What has run stays paid."""
        problem = self._problem("cancel")
        if problem is not None:
            return problem
        batch = self.workspace.batches[provider_batch_id]
        self.workspace.cancel(batch, self.world.now_s)
        self._edge("cancel:after")
        return self._report(batch)

    def delete_file(self, file_id: str) -> DeleteReply:
        """The fence: no create of it can succeed from now on."""
        problem = self._problem("delete")
        if problem is not None:
            return problem
        self.workspace.files.pop(file_id, None)
        self._edge("delete:after")
        if self._happens("unreachable"):
            return Unreachable(reason="no reply to the delete")
        return Gone()

    def download(
        self, report: BatchReport, into: BinaryIO, *, bytes_max: int | None = None
    ) -> DownloadReply:
        """The results, perhaps cut off, perhaps with lines that are not there yet."""
        del bytes_max
        problem = self._problem("download")
        if problem is not None:
            return problem
        batch = self.workspace.batches[report.provider_batch_id]
        body = b"".join(self._written(batch))
        if batch.bad_downloads < _BAD_DOWNLOADS_MAX and self._happens("truncated"):
            batch.bad_downloads += 1
            body = body[: self.world.chance.count(0, len(body))]
        into.write(body)
        self._edge("download:after", takes_s=self._span())
        return Downloaded(bytes_count=len(body))

    def read_lines(self, source: BinaryIO, *, endpoint: str) -> Iterator[Line | Malformed]:
        """What `download` wrote."""
        del endpoint
        for raw in source:
            try:
                said = json.loads(raw)
            except ValueError:
                yield Malformed(reason="not JSON", raw=raw)
                continue
            yield Line(custom_id=said["custom_id"], outcome=_outcome(said, MODELS[self.name]))

    def answer(self, request: bytes, *, endpoint: str, timeout_s: float) -> DirectReply:
        """No direct call is in these schedules."""
        raise NotImplementedError(request, endpoint, timeout_s)

    def stream(
        self, request: bytes, *, endpoint: str, timeout_s: float, on_text: Callable[[str], None]
    ) -> DirectReply:
        """Nor a streamed one."""
        raise NotImplementedError(request, endpoint, timeout_s, on_text)

    def close(self) -> None:
        """Nothing is open."""

    def _arrive(self, body: bytes, handover: Handover) -> Batch | None:
        """The provider takes it, unless its file is gone."""
        mark = None
        if handover.file_id is not None:
            if handover.file_id not in self.workspace.files:
                self.world.counts["fenced"] += 1
                return None
            body = self.workspace.files[handover.file_id]
            mark = Mark(handover.deployment, handover.submission_id)
        self.world.tell(f"{self.name} takes a batch of {handover.requests_count}")
        return self.workspace.make(
            body, now_s=self.world.now_s, mark=mark, file_id=handover.file_id
        )

    def _arrive_late(self, body: bytes, handover: Handover) -> None:
        most = _LATE_WEAK_S if self.world.chance.mix.weak else _LATE_MAX_S[self.name]
        late_s = _CREATE_TIMEOUT_S + self.world.chance.between(0, most)
        self.world.counts["late_creates"] += 1
        self.world.at(self.world.now_s + late_s, lambda: self._arrive(body, handover))

    def _make_twin(self, handover: Handover) -> None:
        """Somebody else's batch, which nothing but its results tells from ours."""
        if self._happens("twin"):
            self.world.counts["twins"] += 1
            self.workspace.make_foreign(handover.requests_count, now_s=self.world.now_s)

    def _refusal(self) -> CreateReply:
        if self.world.chance.between(0, 1) < 0.8:
            return NotTaken(reason="429", retry_after_s=_RETRY_AFTER_S)
        return RefusedForGood(code="invalid_request_error", message="no")

    def _report(self, batch: Batch) -> BatchReport:
        now_s = self.world.now_s
        if not batch.has_ended(now_s):
            phase, status = Phase.RUNNING, "in_progress"
        elif batch.void is not None:
            phase, status = Phase.VOID, "failed"
        else:
            phase, status = Phase.ENDED, "ended"
        errors = [LineError(code=batch.void, message="refused whole")] if batch.void else []
        return BatchReport(
            provider_batch_id=batch.id,
            phase=phase,
            status=status,
            total=batch.requests,
            result_files=("results",) if phase is Phase.ENDED else (),
            errors=tuple(errors) if phase is Phase.VOID else (),
            ended_at=self._moment_of(batch.ends_s) if phase is not Phase.RUNNING else None,
        )

    def _listed(self, batch: Batch) -> ListedBatch:
        return ListedBatch(
            provider_batch_id=batch.id,
            created_at=self._moment_of(batch.created_s),
            total=batch.requests,
            ended=batch.has_ended(self.world.now_s),
            mark=batch.mark,
            file_id=batch.file_id,
            endpoint="messages" if self.name == "anthropic" else "responses",
        )

    def _written(self, batch: Batch) -> Iterator[bytes]:
        for line in batch.lines:
            if line["kind"] == "dropped":
                continue
            written = json.dumps(line).encode() + b"\n"
            yield written
            if self._happens("doubled"):
                yield written
        if self._happens("stranger"):
            yield b'{"custom_id": "who-is-this", "kind": "rejected"}\n'

    def _moment_of(self, at_s: float) -> datetime:
        return self.world.moment() - timedelta(seconds=self.world.now_s - at_s)

    def _ask(self, what: str, refuse: Callable[[Unreachable], Exception]) -> None:
        problem = self._problem(what)
        if isinstance(problem, Unreachable):
            raise refuse(problem)

    def _problem(self, what: str) -> Unreachable | None:
        deed = self._edge(f"{what}:before", takes_s=self._span())
        if deed in (Deed.CUT_BEFORE, Deed.CUT_AFTER) or self._happens("unreachable"):
            return Unreachable(reason="cannot be asked now")
        return None

    def _edge(self, what: str, *, takes_s: float = 0.0) -> Deed:
        return self.world.edge(f"provider.{what}", takes_s=takes_s)

    def _happens(self, rate: str) -> bool:
        return self.world.chance.happens(rate)

    def _span(self) -> float:
        return self.world.chance.between(0, _REPLY_S)


def _outcome(said: dict[str, object], model: str) -> Outcome:
    match said["kind"]:
        case "answered":
            return Answered(
                finish=Finish.ANSWERED,
                output=answer_to(str(said["prompt"])),
                usage=Usage(input_tokens=INPUT_TOKENS, output_tokens=int(str(said["tokens"]))),
                model=model,
                request_id=None,
                body=b"{}",
            )
        case "lapsed":
            return Lapsed()
        case "cancelled":
            return Cancelled()
        case "transient":
            return Transient(code="overloaded_error", message="busy")
        case _:
            return Rejected(code="invalid_request_error", message="no")
