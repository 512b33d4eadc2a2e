"""End batches of ours that nobody waits for, and book what they cost; jobs that wait take their answers.

One that this ledger has forgotten (it was restored) is not ended: it may hold what all the others wait for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from sqlalchemy import Connection, Engine

from app.ledger import engine as ledger
from app.ledger import locks, moves, recovering, settling, strays, sweeping, turns
from app.ledger.strays import Stray
from app.observe.log import tell
from app.policy.judging import Bill, Judge
from app.policy.names import parse_custom_id
from app.policy.outcomes import Answered
from app.policy.polling import next_poll
from app.policy.reconciling import Emptiness, holds_all, stays_empty
from app.providers.port import BatchReport, Downloaded, Line, Phase, PollReply, Provider

#: Strays that one run looks at; there should never be any.
_LOOKS_MAX: Final = 50
_LINES_MAX: Final = 500


class Strays:
    """Cancels and books. Safe to repeat, to kill anywhere and to run twice at once."""

    def __init__(
        self,
        *,
        engine: Engine,
        providers: Mapping[tuple[str, str], Provider],
        spool_directory: Path,
        judge: Judge,
        emptiness: Emptiness,
        shortest: timedelta,
        longest: timedelta,
        on_settled: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._providers = providers
        self._spool_directory = spool_directory
        self._judge = judge
        self._emptiness = emptiness
        #: How often the file of a batch was read and lacked lines; a new process counts anew.
        self._short_looks: dict[str, int] = {}
        self._shortest = shortest
        self._longest = longest
        self._on_settled = on_settled

    def run(self) -> int:
        """Look at every stray that is due; how many were booked whole."""
        with self._engine.begin() as connection:
            found = strays.due(connection, at=ledger.now(connection), limit=_LOOKS_MAX)
        with turns.in_turn() as turn:
            return sum(turn(self._one, stray) for stray in found)

    def _one(self, stray: Stray) -> bool:
        provider = self._providers.get((stray.provider, stray.account))
        with locks.only_one(self._engine, f"stray:{stray.provider_batch_id}") as mine:
            if not mine or provider is None:
                return False
            reply = self._look(stray, provider)
            if not isinstance(reply, BatchReport) or reply.phase is Phase.RUNNING:
                self._later(stray)
                return False
            if stray.wanted and not self._let_jobs_wait(stray):
                self._later(stray)
                return False
            return self._book(stray, provider, reply)

    def _let_jobs_wait(self, stray: Stray) -> bool:
        """Take apart what was never sent; False while a create without a clear reply may hold the same."""
        with self._engine.begin() as connection:
            if sweeping.is_unsettled(connection, provider=stray.provider):
                return False
            recovering.unpack(connection, provider=stray.provider, at=ledger.now(connection))
        return True

    def _look(self, stray: Stray, provider: Provider) -> PollReply:
        """Ask for its end once; afterwards only how it is."""
        reply = provider.poll(stray.provider_batch_id)
        running = isinstance(reply, BatchReport) and reply.phase is Phase.RUNNING
        if not running or stray.wanted or stray.cancelled_at is not None:
            return reply
        reply = provider.cancel(stray.provider_batch_id)
        if isinstance(reply, BatchReport):
            with self._engine.begin() as connection:
                strays.update_one(connection, stray, cancelled_at=ledger.now(connection))
            tell(
                "stray_cancelled",
                warning=True,
                provider=stray.provider,
                provider_batch_id=stray.provider_batch_id,
            )
        return reply

    def _book(self, stray: Stray, provider: Provider, report: BatchReport) -> bool:
        self._spool_directory.mkdir(parents=True, exist_ok=True)
        booked, used, ids = 0, 0, set[str]()
        with TemporaryFile(dir=self._spool_directory) as file:
            if not isinstance(provider.download(report, file), Downloaded):
                self._later(stray)
                return False
            lines = _lines(stray, provider, file)
            while chunk := list(islice(lines, _LINES_MAX)):
                ids |= {line.custom_id for line in chunk}
                with self._engine.begin() as connection:
                    booked += self._charge(connection, stray, chunk)
                    used += self._use(connection, stray, chunk)
        if used:
            self._on_settled()
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            whole = self._is_whole(stray, report, len(ids), now)
            if whole:
                strays.update_one(connection, stray, closed_at=now)
        if not whole:
            self._later(stray)
            return False
        tell(
            "stray_booked",
            warning=True,
            provider=stray.provider,
            provider_batch_id=stray.provider_batch_id,
            lines_count=booked,
            used_count=used,
        )
        return True

    def _is_whole(self, stray: Stray, report: BatchReport, lines_count: int, now: datetime) -> bool:
        """Whether nothing more will be read of it: what breaks off lacks what was paid for, and may be ours."""
        batch_id = stray.provider_batch_id
        if report.phase is not Phase.VOID and not holds_all(lines_count, total=report.total):
            looks = self._short_looks.get(batch_id, 0) + 1
            self._short_looks[batch_id] = looks
            ended_at = report.ended_at or stray.noted_at
            if not stays_empty(looks, ended_at=ended_at, now=now, enough=self._emptiness):
                return False
        self._short_looks.pop(batch_id, None)
        return True

    def _charge(self, connection: Connection, stray: Stray, lines: Sequence[Line]) -> int:
        """Book what the provider billed; how many lines that were."""
        charges = []
        for line in lines:
            parts = parse_custom_id(line.custom_id)
            charge = self._judge.charge(
                line.outcome, _bill(stray, line), job_id=parts.job_id if parts is not None else None
            )
            if charge is not None:
                charges.append(charge)
        settling.book(connection, charges, at=ledger.now(connection))
        return len(charges)

    def _use(self, connection: Connection, stray: Stray, lines: Sequence[Line]) -> int:
        """Give answers to the jobs that still wait for them; how many there were."""
        now = ledger.now(connection)
        answered = {
            parts.job_id: line
            for line in lines
            if isinstance(line.outcome, Answered)
            and (parts := parse_custom_id(line.custom_id)) is not None
        }
        standings = recovering.take(
            connection, list(answered), batch_created_at=stray.created_at, at=now
        )
        judged = [
            self._judge.judge(
                answered[job_id].outcome, standing, _bill(stray, answered[job_id]), now=now
            )
            for job_id, standing in standings.items()
        ]
        return len(moves.apply(connection, [one.move for one in judged], at=now))

    def _later(self, stray: Stray) -> None:
        with self._engine.begin() as connection:
            now = ledger.now(connection)
            wait = next_poll(now - stray.noted_at, shortest=self._shortest, longest=self._longest)
            strays.update_one(connection, stray, poll_at=now + wait)


def _lines(stray: Stray, provider: Provider, file: BinaryIO) -> Iterator[Line]:
    file.seek(0)
    for line in provider.read_lines(file, endpoint=stray.endpoint):
        if isinstance(line, Line):
            yield line


def _bill(stray: Stray, line: Line) -> Bill:
    return Bill(
        source=f"batch:{stray.provider_batch_id}",
        line=line.custom_id,
        provider=stray.provider,
        account=stray.account,
        model=stray.model,
        batch=True,
    )
