"""How a service stands, written into a ledger from outside: every state that a page tells apart, side by side."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg

from app.policy.standing import BEAT, INTAKE, NEAR_REAL_TIME, WOKEN
from tests.support.waiting import wait_until

ANTHROPIC: Final = ("anthropic", "claude-haiku-4-5")
OPENAI: Final = ("openai", "gpt-5-mini")

Lane = tuple[str, str]
_DIGEST: Final = hashlib.sha256(b"scene").digest()


@dataclass(frozen=True)
class Scene:
    """Writes. Moments are spans from now, in PostgreSQL's words: `-6 hours`."""

    url: str
    _open: list[psycopg.Connection[Any]] = field(default_factory=list)

    def healthy(self) -> None:
        """Every worker has looked; each looks once more in an hour, so that none falls silent meanwhile."""
        for name in (*WOKEN, BEAT, INTAKE, NEAR_REAL_TIME):
            self.write(
                """
                INSERT INTO round (name, period_s, last_started_at, last_succeeded_at, host)
                VALUES (%s, 10, now(), now() + interval '1 hour', 'worker-1')
                ON CONFLICT (name) DO UPDATE SET last_succeeded_at = excluded.last_succeeded_at
                """,
                name,
            )

    def silent(self, name: str, since: str = "-5 minutes") -> None:
        """A worker has not looked for so long."""
        self.write(
            """
            UPDATE round SET last_succeeded_at = now() + %s::interval,
              last_started_at = now() + %s::interval WHERE name = %s
            """,
            since,
            since,
            name,
        )

    def history(self, lane: Lane, took: str, count: int = 6) -> None:
        """Batches that ended some days ago, by which the usual length is told."""
        for _ in range(count):
            id_ = self.batch(f"old-{uuid4().hex}", lane, accepted="-3 days", state="collected")
            self.write(
                """
                UPDATE submission SET ended_at = accepted_at + %s::interval,
                  collected_at = accepted_at + %s::interval WHERE id = %s
                """,
                took,
                took,
                id_,
            )

    def batch(
        self,
        name: str,
        lane: Lane,
        *,
        accepted: str,
        state: str = "accepted",
        jobs_count: int = 100,
        done_count: int | None = None,
        looked: str = "0 seconds",
        error: str | None = None,
    ) -> UUID:
        """A batch that a provider took so long ago; its submission's id."""
        provider, model = lane
        pack_id, id_ = uuid4(), uuid4()
        self.write(
            """
            INSERT INTO pack (id, provider, account, endpoint, model, betas, jobs_count, bytes_count,
                              tokens_count, reason, created_at)
            VALUES (%s, %s, 'default', 'messages', %s, '', %s, 48211, 1, 'lingered',
                    now() + %s::interval - interval '40 seconds')
            """,
            pack_id,
            provider,
            model,
            jobs_count,
            accepted,
        )
        self.write(
            """
            INSERT INTO submission (id, token, pack_id, attempt, provider, account, workspace, state,
                                    provider_batch_id, provider_status, provider_total, provider_done,
                                    created_at, sent_at, accepted_at, observed_at, poll_at, expires_at,
                                    last_error)
            VALUES (%(id)s, %(token)s, %(pack)s, 1, %(provider)s, 'default', 'w', %(state)s, %(name)s,
                    'in_progress', %(jobs)s, %(done)s, now() + %(at)s::interval - interval '40 seconds',
                    now() + %(at)s::interval - interval '3 seconds', now() + %(at)s::interval,
                    now() + %(looked)s::interval, now() + interval '4 minutes',
                    now() + %(at)s::interval + interval '24 hours', %(error)s)
            """,
            id=id_,
            token=uuid4().hex[:13],
            pack=pack_id,
            provider=provider,
            state=state,
            name=name,
            jobs=jobs_count,
            done=done_count,
            at=accepted,
            looked=looked,
            error=error,
        )
        return id_

    def ended(self, batch: UUID, when: str) -> None:
        """It has ended at the provider, and every line is settled."""
        self.write(
            """
            UPDATE submission SET state = 'collected', provider_status = 'ended',
              ended_at = now() + %(at)s::interval - interval '20 seconds',
              observed_at = now() + %(at)s::interval - interval '18 seconds',
              collected_at = now() + %(at)s::interval WHERE id = %(id)s
            """,
            at=when,
            id=batch,
        )

    def job(
        self,
        key: str,
        lane: Lane,
        *,
        state: str = "waiting",
        tier: str = "batch",
        batch: UUID | None = None,
        outcome: str | None = None,
        code: str | None = None,
        since: str = "-2 minutes",
        published: str | None = None,
        due: str | None = None,
        workload: str | None = "letters",
        subject: str | None = None,
        awaited_by: str | None = None,
    ) -> UUID:
        """A job, with its ticket, its place in a batch and how that ended.

        `since` is when it came into its state, `published` when it was called for.
        """
        provider, model = lane
        id_ = uuid4()
        ended = state not in ("waiting", "in_flight")
        self.write(
            """
            INSERT INTO job (id, tenant, endpoint, provider, account, model, key, fingerprint, workload,
                             subject, tier, request, request_bytes, request_tokens, prefix_digest, as_of,
                             published_at, admitted_at, ready_at, due_at, state, attempt, attempts_max,
                             outcome, error_code, error_retryable, output, answer, usage, result_id,
                             cost_nano_usd, sync_cost_nano_usd, settled_at)
            VALUES (%(id)s, 'default', 'messages', %(provider)s, 'default', %(model)s, %(key)s,
                    %(digest)s, %(workload)s, %(subject)s, %(tier)s, '{}', 2, 1, %(digest)s,
                    now() + %(called)s::interval, now() + %(called)s::interval,
                    now() + %(called)s::interval + interval '1 second', now() + %(called)s::interval,
                    now() + %(due)s::interval, %(state)s, %(attempt)s, 3, %(outcome)s, %(code)s, %(failed)s,
                    %(output)s, %(output)s, %(output)s, %(result)s, %(cost)s, %(twice)s,
                    CASE WHEN %(ended)s THEN now() + %(since)s::interval END)
            """,
            id=id_,
            provider=provider,
            model=model,
            key=key,
            digest=_DIGEST,
            workload=workload,
            subject=subject,
            tier=tier,
            since=since,
            called=published or since,
            due=due,
            state=state,
            attempt=0 if state == "waiting" else 1,
            outcome=outcome,
            code=code,
            failed=False if code else None,
            output=b"{}" if state == "succeeded" else None,
            result=uuid4() if state == "succeeded" else None,
            cost=1_200_000 if state == "succeeded" else None,
            twice=2_400_000 if state == "succeeded" else None,
            ended=ended,
        )
        moments = (published or since, since if ended else None)
        self._ticket(id_, key, moments=moments, awaited_by=awaited_by)
        if batch is not None:
            self._into(batch, id_, outcome=outcome, code=code, since=since)
        return id_

    def _ticket(
        self, job: UUID, key: str, *, moments: tuple[str, str | None], awaited_by: str | None
    ) -> None:
        called, ended = moments
        origin = {
            "kind": "worker",
            "site": "letters.tasks:summarize:41",
            "task": "letters.summarize",
        }
        self.write(
            """
            INSERT INTO ticket (task_id, context_digest, job_id, tenant, task_name, headers, properties,
                                body, content_type, content_encoding, on_failure, in_chord, awaited_by,
                                origin, state, admitted_at, ready_at, completed_at)
            VALUES (%(task)s, %(digest)s, %(job)s, 'default', 'unhurried.messages.v1', '{}', '{}', '[]',
                    'application/json', 'utf-8', 'raise', false, %(by)s, %(origin)s, %(state)s,
                    now() + %(called)s::interval + interval '1 second', now() + %(at)s::interval,
                    now() + %(at)s::interval + interval '2 seconds')
            """,
            task=f"task-{key}",
            digest=_DIGEST,
            job=job,
            by=awaited_by,
            origin=json.dumps(origin).encode(),
            state="completed" if ended else "open",
            called=called,
            at=ended,
        )

    def _into(
        self, batch: UUID, job: UUID, *, outcome: str | None, code: str | None, since: str
    ) -> None:
        self.write(
            """
            INSERT INTO pack_item (pack_id, seq, job_id, attempt, active)
            SELECT pack_id, (SELECT count(*) FROM pack_item WHERE pack_id = submission.pack_id), %s, 1, %s
            FROM submission WHERE id = %s
            """,
            job,
            outcome is None,
            batch,
        )
        self.write(
            """
            INSERT INTO attempt (job_id, number, tier, submission_id, outcome, error_code, opened_at,
                                 settled_at)
            VALUES (%(job)s, 1, 'batch', %(batch)s, %(outcome)s, %(code)s,
                    now() + %(since)s::interval,
                    CASE WHEN %(outcome)s::text IS NOT NULL THEN now() + %(since)s::interval END)
            """,
            job=job,
            batch=batch,
            outcome=outcome,
            code=code,
            since=since,
        )
        if outcome == "answered":
            self.write(
                """
                INSERT INTO charge (source, line, provider, account, job_id, model, batch, usage, nano_usd,
                                    booked_at)
                SELECT 'batch:' || provider_batch_id, %s, provider, account, %s, 'm', true, '{}', 1200000,
                       now() FROM submission WHERE id = %s
                """,
                str(job),
                job,
                batch,
            )

    def saw(self, tier: str, *, top: int, every_minutes: int) -> None:
        """Six hours of a queue that fills and is packed whole: what a healthy one looks like."""
        self.write(
            """
            INSERT INTO depth (tier, at, waiting_count, queued_count, opened_count)
            SELECT %(tier)s, date_trunc('minute', now()) - make_interval(mins => 360 - n),
                   (n %% %(every)s) * %(top)s / %(every)s, n * %(top)s / %(every)s,
                   n * %(top)s / %(every)s - (n %% %(every)s) * %(top)s / %(every)s
            FROM generate_series(1, 360) AS n
            """,
            tier=tier,
            top=top,
            every=every_minutes,
        )

    def consumer(self, workload: str, name: str) -> None:
        """A declared reader."""
        self.write(
            """
            INSERT INTO consumer (tenant, workload, name, max_staleness_s, owner, seen_at)
            VALUES ('default', %s, %s, 3600, 'team-letters', now())
            """,
            workload,
            name,
        )

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """What the ledger says."""
        return self._connected().execute(statement.encode(), values or None).fetchall()

    def write(self, statement: str, *values: Any, **named: Any) -> None:
        """Write past the ledger's own triggers: a scene is what they would have let come about over hours."""
        given: Mapping[str, Any] | tuple[Any, ...] = named or values
        self._connected().execute(statement.encode(), given)

    def clear(self) -> None:
        """Forget everything but which ledger this is."""
        wait_until(self._is_cleared, within_s=20, what="an empty ledger")

    def _is_cleared(self) -> bool:
        """False where a page that is being read held one of the tables, and waited for another."""
        try:
            self._connected().execute(
                "TRUNCATE job, ticket, attempt, charge, pack, pack_item, submission, consumer, "
                "depth, lane, action, event, round, pick_up, tally, measure CASCADE"
            )
        except psycopg.errors.DeadlockDetected:
            return False
        return True

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody may connect to the ledger, and nobody is connected."""
        plain = self.url.replace("+psycopg", "")
        name = plain.rpartition("/")[2]
        with psycopg.connect(plain.replace(f"/{name}", "/postgres"), autocommit=True) as server:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            try:
                self.close()
                self._open.clear()
                yield
            finally:
                server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())

    def _connected(self) -> psycopg.Connection[Any]:
        """One connection for all of it, and another once that was cut off."""
        if self._open and not self._open[-1].broken:
            return self._open[-1]
        connection = psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)
        connection.execute("SET session_replication_role = replica")
        self._open.append(connection)
        return connection

    def close(self) -> None:
        """Let go of the ledger."""
        for one in self._open:
            one.close()


def everything(scene: Scene) -> dict[str, UUID]:
    """Every state at once: what the pictures in the documentation show."""
    scene.healthy()
    scene.history(ANTHROPIC, "4 hours")
    scene.history(OPENAI, "90 minutes")
    scene.saw("batch", top=9000, every_minutes=45)
    scene.saw("near-real-time", top=40, every_minutes=9)
    found = {
        "ok": scene.batch("msgbatch_01Hq", ANTHROPIC, accepted="-2 hours", jobs_count=12_480),
        "slow": scene.batch("msgbatch_01Fz", ANTHROPIC, accepted="-6 hours", jobs_count=4_210),
        "counted": scene.batch(
            "batch_68e1", OPENAI, accepted="-55 minutes", jobs_count=8_000, done_count=5_312
        ),
        "stuck": scene.batch(
            "batch_68d0",
            OPENAI,
            accepted="-5 hours",
            jobs_count=2_100,
            done_count=700,
            looked="-3 hours",
            error="PermissionDenied(401)",
        ),
        "overdue": scene.batch("msgbatch_01Ae", ANTHROPIC, accepted="-3 hours", jobs_count=310),
        "unread": scene.batch("msgbatch_01Bk", ANTHROPIC, accepted="-9 hours", jobs_count=40),
        "done": scene.batch("batch_68c4", OPENAI, accepted="-8 hours", jobs_count=36),
    }
    scene.ended(found["unread"], "-5 hours")
    scene.ended(found["done"], "-6 hours")
    scene.consumer("digest", "hourly-report")
    scene.job(
        "letter-17",
        ANTHROPIC,
        state="in_flight",
        batch=found["overdue"],
        since="-3 hours",
        published="-3 hours -4 minutes",
        due="-20 minutes",
    )
    for number in range(8):
        scene.job(
            f"report-{number}", OPENAI, state="in_flight", batch=found["stuck"], since="-5 hours"
        )
    for number in range(34):
        scene.job(
            f"digest-{number}",
            ANTHROPIC,
            state="succeeded",
            outcome="answered",
            batch=found["unread"],
            since="-5 hours",
            published="-9 hours -3 minutes",
            workload="digest",
            subject=f"customer:{400 + number}",
            awaited_by="@digest",
        )
    for number, code in enumerate(("invalid_request", "content_policy", "invalid_request")):
        scene.job(
            f"digest-bad-{number}",
            ANTHROPIC,
            state="failed",
            outcome="rejected",
            code=code,
            batch=found["unread"],
            since="-5 hours",
            published="-9 hours -3 minutes",
            workload="digest",
            subject=f"customer:{900 + number}",
        )
    for number in range(12):
        scene.job(f"waiting-{number}", ANTHROPIC, since=f"-{number} seconds")
    scene.job("soon-1", OPENAI, tier="near-real-time", since="-4 seconds")
    return found
