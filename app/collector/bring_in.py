"""Bring the results of an ended batch into the ledger, in bounded memory.

Download to disk, read it through once to see whether it is whole and which line speaks for which job,
then settle it some hundred lines at a time. Killed anywhere, it starts again and changes nothing twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO
from uuid import UUID

from sqlalchemy import Engine

from app.collector import pausing
from app.collector.confirming import Confirming, NotTold
from app.ledger import engine as ledger
from app.ledger import lanes, quarantine, settling, submissions
from app.ledger.submissions import Submission
from app.observe.log import tell
from app.policy import tracing
from app.policy.judging import Bill, Judge, Judged
from app.policy.lifecycle import SubmissionState
from app.policy.names import parse_custom_id
from app.policy.outcomes import Closed, Missing, Outcome, Transient
from app.policy.reconciling import (
    Emptiness,
    Seen,
    Survey,
    stays_empty,
    survey,
)
from app.policy.settling import Standing, backoff
from app.policy.tracing import Span
from app.providers.port import BatchReport, Downloaded, Line, Malformed, NotFound, Provider


@dataclass(frozen=True, kw_only=True, slots=True)
class Thoroughness:
    """How results are read: lines a transaction, and downloads before an absent line is missing."""

    lines_max: int
    downloads_max: int
    #: The wait before a download that lacked lines is tried again; it doubles each time.
    again_after: timedelta
    #: When a file without a single line is believed.
    emptiness: Emptiness


@dataclass(frozen=True, slots=True)
class _Spoken:
    """One line that speaks for a job."""

    job_id: UUID
    custom_id: str
    outcome: Outcome


class BringIn:
    """Settles ended batches."""

    def __init__(
        self,
        *,
        engine: Engine,
        spool_directory: Path,
        deployment: str,
        judge: Judge,
        thoroughness: Thoroughness,
        on_settled: Callable[[], None],
        watch: Callable[[Span], None] | None = None,
        closed_for: timedelta = pausing.CLOSED_FOR,
    ) -> None:
        self._engine = engine
        self._spool_directory = spool_directory
        self._confirming = Confirming(engine, deployment=deployment)
        self._judge = judge
        self._thoroughness = thoroughness
        self._on_settled = on_settled
        self._watch = watch
        self._closed_for = closed_for

    def run(self, submission: Submission, provider: Provider, report: BatchReport) -> bool:
        """Bring one batch in; whether every one of its lines is settled now."""
        self._spool_directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=self._spool_directory) as file:
            reply = provider.download(report, file)
            unwanted = isinstance(reply, NotFound) and submission.cancel_requested_at is not None
            # Where nobody wants anything of it any more, a file that stays away is one that stays empty.
            is_gone = unwanted and self._stays_empty(submission, report.ended_at)
            if not isinstance(reply, Downloaded) and not is_gone:
                self._retry_later(submission, f"download: {reply}", downloaded=unwanted)
                return False
            return self._bring_in(submission, provider, file, report.ended_at)

    def end_unrun(self, submission: Submission, outcome: Closed | Transient) -> None:
        """End a batch of which nothing ran, as if each of its lines had said so. May be repeated."""
        with self._engine.begin() as connection:
            jobs = iter(sorted(settling.open_jobs(connection, submission.pack_id)))
        while chunk := list(islice(jobs, self._thoroughness.lines_max)):
            self._settle(submission, [_Spoken(job, "", outcome) for job in chunk])
        with self._engine.begin() as connection:
            submissions.close(
                connection,
                submission,
                to=SubmissionState.VOID,
                last_error=f"{outcome.code}: {outcome.message}",
                at=ledger.now(connection),
            )

    def _bring_in(
        self,
        submission: Submission,
        provider: Provider,
        file: BinaryIO,
        ended_at: datetime | None,
    ) -> bool:
        with self._engine.begin() as connection:
            token, jobs = settling.tokens(connection, submission.pack_id)
            open_jobs = settling.open_jobs(connection, submission.pack_id)
        if token is None:
            return False
        found = survey(_seen(provider, file, submission), token=token, jobs=jobs)
        if submission.proof is None and not self._is_confirmed(submission, found, ended_at):
            return False
        missing = open_jobs - found.chosen.keys()
        if missing and not self._is_last_look(submission):
            # The next file may be cut off where this one is not.
            self._settle_lines(submission, provider, file, found, open_jobs & found.answered)
            self._retry_later(
                submission, f"{len(missing)} lines are not there yet", downloaded=True
            )
            return False
        self._settle_lines(submission, provider, file, found, open_jobs)
        self._settle(submission, [_Spoken(job, "", Missing()) for job in sorted(missing)])
        self._close(submission, found, len(missing))
        return True

    def _is_confirmed(
        self, submission: Submission, found: Survey, ended_at: datetime | None
    ) -> bool:
        last_look = (
            self._stays_empty(submission, ended_at)
            if found.is_empty
            else self._is_last_look(submission)
        )
        try:
            return self._confirming.are_ours(submission, found, last_look=last_look)
        except NotTold as reason:
            self._retry_later(submission, str(reason), downloaded=reason.was_read)
            return False

    def _stays_empty(self, submission: Submission, ended_at: datetime | None) -> bool:
        enough = self._thoroughness.emptiness
        with self._engine.connect() as connection:
            now = ledger.now(connection)
        return stays_empty(submission.downloads + 1, ended_at=ended_at, now=now, enough=enough)

    def _is_last_look(self, submission: Submission) -> bool:
        return submission.downloads + 1 >= self._thoroughness.downloads_max

    def _settle_lines(
        self,
        submission: Submission,
        provider: Provider,
        file: BinaryIO,
        found: Survey,
        open_jobs: Iterable[UUID],
    ) -> None:
        still_open = set(open_jobs)
        verdicts = self._verdicts(submission, provider, file, found)
        wanted = (verdict for verdict in verdicts if verdict.job_id in still_open)
        while chunk := list(islice(wanted, self._thoroughness.lines_max)):
            self._settle(submission, chunk)

    def _verdicts(
        self, submission: Submission, provider: Provider, file: BinaryIO, found: Survey
    ) -> Iterator[_Spoken]:
        file.seek(0)
        for number, line in enumerate(provider.read_lines(file, endpoint=submission.endpoint)):
            if number in found.strangers:
                self._quarantine(submission, line)
                self._book_stranger(submission, line)
                continue
            assert isinstance(line, Line)
            parts = parse_custom_id(line.custom_id)
            assert parts is not None
            if found.chosen[parts.job_id] == number:
                yield _Spoken(parts.job_id, line.custom_id, line.outcome)

    def _settle(self, submission: Submission, verdicts: list[_Spoken]) -> None:
        if not verdicts:
            return
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            standings = settling.standings(
                connection, submission.pack_id, [verdict.job_id for verdict in verdicts]
            )
            judged = self._judged(submission, verdicts, standings, now)
            moved = settling.settle(
                connection,
                submission.pack_id,
                [one.move for one in judged],
                [one.charge for one in judged if one.charge is not None],
                at=now,
            )
            # With the jobs, so that nobody packs them in between.
            closed = pausing.closed(one.outcome for one in verdicts if one.job_id in moved)
            paused = closed is not None and pausing.pause(
                connection, submission, closed, at=now, rest=self._closed_for
            )
        tell("settled", submission_id=str(submission.id), jobs_count=len(moved))
        if closed is not None and paused:
            remedy = "mend the account, then resume the lane; no job has failed"
            pausing.tell_paused(submission, closed, remedy=remedy)
        self._on_settled()

    def _judged(
        self,
        submission: Submission,
        verdicts: Iterable[_Spoken],
        standings: Mapping[UUID, Standing],
        now: datetime,
    ) -> list[Judged]:
        return [
            self._judge.judge(
                verdict.outcome,
                standings[verdict.job_id],
                _bill(submission, verdict.custom_id),
                now=now,
            )
            for verdict in verdicts
            if verdict.job_id in standings
        ]

    def _quarantine(self, submission: Submission, line: Line | Malformed) -> None:
        raw = line.raw if isinstance(line, Malformed) else line.custom_id.encode()
        reason = line.reason if isinstance(line, Malformed) else "no job of this pack has this id"
        source = f"batch:{submission.provider_batch_id}"
        with self._engine.begin() as connection:
            quarantine.keep(
                connection,
                source=source,
                reason=reason,
                raw=raw,
                at=ledger.now(connection),
            )
        tell("quarantined", warning=True, submission_id=str(submission.id), reason=reason)

    def _book_stranger(self, submission: Submission, line: Line | Malformed) -> None:
        """What a line cost that speaks for nobody: the provider billed it, so it is in the books."""
        if isinstance(line, Malformed):
            return
        bill = _bill(submission, line.custom_id)
        charge = self._judge.charge(line.outcome, bill, job_id=None)
        if charge is not None:
            with self._engine.begin() as connection:
                settling.book(connection, [charge], at=ledger.now(connection))

    def _retry_later(
        self, submission: Submission, reason: str, *, downloaded: bool = False
    ) -> None:
        tries = submission.downloads + int(downloaded)
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            submissions.note(
                connection,
                submission.id,
                last_error=reason,
                downloads=tries,
                # Nobody may ever be able to read it: the looks become rare.
                poll_at=now + backoff(tries + 1, self._thoroughness.again_after),
            )
        tell("download_failed", warning=True, submission_id=str(submission.id), reason=reason)

    def _close(self, submission: Submission, found: Survey, missing_count: int) -> None:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            submissions.close(connection, submission, at=now)
            lanes.raise_ceiling(
                connection,
                provider=submission.provider,
                account=submission.account,
                model=submission.model,
            )
        tell(
            "collected",
            submission_id=str(submission.id),
            provider=submission.provider,
            account=submission.account,
            model=submission.model,
            provider_batch_id=submission.provider_batch_id,
            age_s=round((now - submission.created_at).total_seconds(), 1),
            lines_count=len(found.chosen),
            missing_count=missing_count,
            strangers_count=len(found.strangers),
            repeats_count=found.repeats,
        )
        if self._watch is not None:
            self._watch(_span(submission, missing_count, ended_at=now))


def _seen(provider: Provider, file: BinaryIO, submission: Submission) -> Iterator[Seen]:
    file.seek(0)
    for line in provider.read_lines(file, endpoint=submission.endpoint):
        match line:
            case Line():
                yield Seen(line.custom_id, line.outcome)
            case Malformed():
                yield Seen(None, None)


def _bill(submission: Submission, custom_id: str) -> Bill:
    return Bill(
        source=f"batch:{submission.provider_batch_id}",
        line=custom_id,
        provider=submission.provider,
        account=submission.account,
        model=submission.model,
        batch=True,
    )


def _span(submission: Submission, missing_count: int, *, ended_at: datetime) -> Span:
    operation = tracing.operation(submission.endpoint)
    return Span(
        name=f"batch {operation} {submission.model}",
        began_at=submission.accepted_at or submission.created_at,
        ended_at=ended_at,
        attributes={
            "gen_ai.provider.name": submission.provider,
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": submission.model,
            "unhurried.submission_id": str(submission.id),
            "unhurried.provider_batch_id": submission.provider_batch_id or "",
            "unhurried.jobs_count": submission.jobs_count,
            "unhurried.missing_count": missing_count,
        },
        batch=submission.id,
    )
