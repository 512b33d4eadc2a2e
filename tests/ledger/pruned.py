"""What tests of pruning have in common: a ledger that has grown old, and what may still need something in it."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import DateTime, Engine, text

from app.ledger import engine as ledger
from app.ledger import packs, schema, settling, submissions, tickets
from app.policy.judging import Charge
from app.policy.keeping import Held, Pruned
from app.policy.lifecycle import SubmissionState
from app.policy.settling import Prices, next_move
from app.upkeep.prune import Pruning
from tests.support.answering import admit
from tests.support.factories import a_pack, an_admission, an_answer

#: Triggers refuse what no service does; time does it all the same.
_AS_TIME_DOES: Final = text("SET LOCAL session_replication_role = replica")

_HOLDS: Final = {
    Held.NOT_ENDED: "UPDATE job SET state = 'in_flight', settled_at = NULL",
    Held.AWAITED: "UPDATE ticket SET state = 'ready'",
    Held.NEWS_DUE: """
        INSERT INTO notification (id, tenant, kind, job_id, payload, state, created_at, next_at)
        SELECT gen_random_uuid(), tenant, 'email', id, '{}', 'new', settled_at, settled_at FROM job
    """,
    Held.RUN_OPEN: """
        WITH run AS (
          INSERT INTO run (id, tenant, opened_at) VALUES (gen_random_uuid(), 'default', now())
          RETURNING id)
        UPDATE ticket SET run_id = run.id FROM run
    """,
    Held.CHORD_OPEN: """
        WITH chord AS (INSERT INTO chord (group_id, size, seen_at) VALUES ('g', 2, now()))
        UPDATE ticket SET in_chord = true, group_id = 'g'
    """,
    Held.BATCH_OPEN: """
        WITH pack AS (
          INSERT INTO pack SELECT gen_random_uuid(), provider, account, endpoint, model, betas, 1, 1,
                                  1, 'lingered', admitted_at FROM job RETURNING id
        ), item AS (
          INSERT INTO pack_item SELECT pack.id, 0, job.id, 1, false FROM pack, job)
        INSERT INTO submission (id, token, pack_id, attempt, provider, account, workspace, state,
                                created_at)
        SELECT gen_random_uuid(), 't', pack.id, 1, 'anthropic', 'default', 'w', 'unknown', now()
        FROM pack
    """,
    Held.STRAY_OPEN: """
        INSERT INTO stray (provider, provider_batch_id, account, ours, endpoint, model, reason,
                           noted_at, poll_at)
        VALUES ('anthropic', 'b', 'default', true, '', '', '', now(), now())
    """,
}


def aged(engine: Engine, *, days: float) -> None:
    """Everything there is happened so many days before."""
    with engine.begin() as connection:
        connection.execute(_AS_TIME_DOES)
        for table in schema.metadata.sorted_tables:
            moments = [c.name for c in table.columns if isinstance(c.type, DateTime)]
            if moments:
                moved = ", ".join(f'"{name}" = "{name}" - :span' for name in moments)
                connection.execute(
                    text(f'UPDATE "{table.name}" SET {moved}'),  # noqa: S608 - names of the schema
                    {"span": timedelta(days=days)},
                )


def accounted(engine: Engine) -> None:
    """The workspace's list was held against the ledger just now."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO sweep (provider, account, clean_at, looked_at)
                VALUES ('anthropic', 'default', now(), now())
            """)
        )


def hold(engine: Engine, why: Held) -> None:
    """Let the one job be needed."""
    with engine.begin() as connection:
        connection.execute(_AS_TIME_DOES)
        connection.exec_driver_sql(_HOLDS[why])


def pruning(engine: Engine) -> Pruning:
    """One without a Redis."""
    return Pruning(engine=engine, forget=lambda _tasks, _results: None)


def run(engine: Engine, *, content_days: int = 30, records_days: int = 400) -> Pruned:
    """Prune all that is due."""
    return pruning(engine).run(content_days=content_days, records_days=records_days)


def complete(engine: Engine) -> None:
    """Take ready tickets and close them."""
    with engine.begin() as connection:
        now = ledger.now(connection)
        taken = tickets.claim(connection, at=now, lease=timedelta(0), limit=1000)
        tickets.completed(connection, [(one.id, one.generation) for one in taken], at=now)


def a_whole_batch(engine: Engine) -> None:
    """Two jobs answered in one batch that is collected, and told of."""
    admit(engine, [an_admission("a"), an_admission("b", prompt="Other")])
    with engine.begin() as connection:
        now = ledger.now(connection)
        (plan,) = a_pack(packs.candidates(connection, at=now), now=now)
        submission_id = packs.make(connection, plan, at=now)
        assert submission_id is not None
        settle(connection, send(connection, submission_id))
        submissions.advance(
            connection,
            submission_id,
            expected=SubmissionState.ACCEPTED,
            to=SubmissionState.COLLECTED,
            ended_at=now,
            collected_at=now,
        )
    complete(engine)


def send(connection: Any, submission_id: UUID) -> UUID:
    """The provider takes a pack."""
    for to in (SubmissionState.SENDING, SubmissionState.ACCEPTED):
        submissions.advance(
            connection,
            submission_id,
            expected=(SubmissionState.PLANNED, SubmissionState.SENDING),
            to=to,
            provider_batch_id=f"batch-{submission_id}",
        )
    return submission_id


def settle(connection: Any, submission_id: UUID, *, limit: int = 1000) -> None:
    """Answer jobs of a batch, and book their lines."""
    now = ledger.now(connection)
    found = submissions.find(connection, submission_id)
    assert found is not None
    jobs = sorted(settling.open_jobs(connection, found.pack_id))[:limit]
    standings = settling.standings(connection, found.pack_id, jobs)
    prices = Prices(cost_nano_usd=7, sync_nano_usd=14)
    moves = [
        next_move(an_answer(), one, prices=prices, now=now, first_backoff=timedelta(0))
        for one in standings.values()
    ]
    charges = [
        Charge(
            source=f"batch:batch-{submission_id}",
            line=str(job_id),
            provider="anthropic",
            account="default",
            job_id=job_id,
            model="claude-haiku-4-5",
            batch=True,
            usage=an_answer().usage,
            nano_usd=7,
        )
        for job_id in standings
    ]
    settling.settle(connection, found.pack_id, moves, charges, at=now)


def rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    """What the ledger says."""
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


def everything(engine: Engine) -> str:
    """Every value in the ledger."""
    found = []
    with engine.connect() as connection:
        for table in schema.metadata.sorted_tables:
            for row in connection.execute(table.select()):
                found += [
                    bytes(one).decode(errors="replace") if isinstance(one, bytes) else str(one)
                    for one in row
                ]
    return "\n".join(found)
